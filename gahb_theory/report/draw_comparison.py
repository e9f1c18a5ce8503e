"""What is drawn of two bases side by side: overlap, principal angles, energies, gains."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.draw_analysis import state_matrix
from gahb_theory.report.figures import BLUE, GREY, VERMILION, panels, plain_text, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gahb_theory.comparison import Comparison

__all__ = ["comparison_figure", "draw_angles", "draw_energy", "draw_gains", "draw_overlap"]


def comparison_figure(c: "Comparison") -> "Figure":
    """Overlap and angles, and, where there are images, energy and gains, each on axes of its own."""
    parts = [draw_overlap, draw_angles]
    parts += [draw_energy] if c.first.best_energy is not None else []
    parts += [draw_gains] if c.first.gains is not None or c.second.gains is not None else []
    with style():
        figure, axes = panels(3.3 * len(parts), 2.9, 1, len(parts))
        for ax, draw in zip(axes, parts, strict=True):
            draw(c, ax)
    return figure


def draw_overlap(c: "Comparison", ax: "Axes") -> "Axes":
    """Draw the overlap of the first r atoms of both, and what random spans give with two standard deviations."""
    ax.plot(c.ranks, c.overlap, color=VERMILION, label=plain_text(f"{c.first.name} and\n{c.second.name}"))
    low, high = (c.overlap_of_chance + 2 * sign * c.overlap_spread for sign in (-1, 1))
    ax.fill_between(c.ranks, low.clip(0), high, color=GREY, alpha=0.35, lw=0)
    ax.plot(c.ranks, c.overlap_of_chance, color=GREY, ls=":", label="random spans")
    ax.set(xscale="log", xlabel="number of atoms r", ylabel="overlap of the spans", ylim=(0, 1.05))
    ax.legend()
    return ax


def draw_angles(c: "Comparison", ax: "Axes") -> "Axes":
    """Draw the principal angles of the first atoms of both, and those with a random span."""
    index = np.arange(1, len(c.angles) + 1)
    ax.plot(index, c.angles, color=VERMILION)
    ax.plot(index, c.angles_of_chance, color=GREY, ls=":", label="random span")
    ax.set(xlabel=f"index, of {c.rank} atoms", ylabel="principal angle (degrees)", ylim=(-2, 92))
    ax.legend(loc="lower right")
    return ax


def draw_energy(c: "Comparison", ax: "Axes") -> "Axes":
    """Draw the part of the energy of the images outside the best r and the first r atoms of both."""
    for side, colour in ((c.first, VERMILION), (c.second, BLUE)):
        if side.best_energy is not None and side.energy is not None:
            index, name = np.arange(1, side.atoms + 1), plain_text(side.name)
            ax.plot(index, 1 - side.best_energy, color=colour, label=f"{name}, best r")
            ax.plot(index, 1 - side.energy, color=colour, ls="--", lw=1, label=f"{name}, first r")
    ax.set(xscale="log", yscale="log", xlabel="number of atoms r", ylabel="energy outside", ylim=(1e-4, 1.3))
    ax.legend(fontsize=7)
    return ax


def draw_gains(c: "Comparison", ax: "Axes") -> "Axes":
    """Draw the shrinkage factors of both: eigenvalues of the symmetric part of a Jacobian, or gains of the oracle."""
    for side, colour in ((c.first, VERMILION), (c.second, BLUE)):
        if side.gains is not None:
            ax.plot(np.arange(1, len(side.gains) + 1), side.gains, color=colour, label=plain_text(side.name))
    ax.set(xscale="log", xlabel="number k of the atom", ylabel="shrinkage factor")
    ax.legend()
    return state_matrix(c.first.reproduction, ax, 44)
