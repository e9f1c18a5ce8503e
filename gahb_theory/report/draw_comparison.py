"""What is drawn of two bases side by side: overlap, principal angles, energies, gains."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.curves import Panel, Series, draw
from gahb_theory.report.draw_analysis import state_matrix
from gahb_theory.report.figures import BLUE, VERMILION, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gahb_theory.comparison import Comparison

__all__ = ["comparison_figure", "comparison_panels", "draw_overlap"]


def comparison_panels(c: "Comparison") -> list[Panel]:
    """Overlap and angles, and, where there are images, energy and gains."""
    parts = [_overlap(c), _angles(c)]
    parts += [_energy(c)] if c.first.best_energy is not None else []
    return parts + ([_gains(c)] if c.first.gains is not None or c.second.gains is not None else [])


def comparison_figure(c: "Comparison") -> "Figure":
    """The figure of `comparison_panels`, each on axes of its own."""
    parts = comparison_panels(c)
    with style():
        figure, axes = panels(3.3 * len(parts), 2.9, 1, len(parts))
        for ax, panel in zip(axes, parts, strict=True):
            draw(panel, ax)
        state_matrix(c.first.reproduction, axes[-1], 44)
    return figure


def draw_overlap(c: "Comparison", ax: "Axes") -> "Axes":
    """Draw the overlap of the first r atoms of both, and what random spans give with two standard deviations."""
    return draw(_overlap(c), ax)


def _overlap(c: "Comparison") -> Panel:
    ranks = np.asarray(c.ranks, dtype=float)
    low, high = (c.overlap_of_chance + 2 * sign * c.overlap_spread for sign in (-1, 1))
    return Panel(
        [
            Series(f"{c.first.name} and {c.second.name}", ranks, c.overlap, colour=VERMILION, width=2.0),
            Series("random spans", ranks, c.overlap_of_chance, low.clip(0), high, line=":"),
        ],
        "number of atoms r",
        "overlap of the spans",
        xlog=True,
        ylim=(0, 1.05),
    )


def _angles(c: "Comparison") -> Panel:
    index = np.arange(1, len(c.angles) + 1)
    return Panel(
        [
            Series("both", index, c.angles, colour=VERMILION, width=2.0),
            Series("random span", index, c.angles_of_chance, line=":"),
        ],
        f"index, of {c.rank} atoms",
        "principal angle (degrees)",
        ylim=(-2, 92),
    )


def _energy(c: "Comparison") -> Panel:
    """Best atoms solid, first atoms dashed."""
    series = []
    for side, colour in ((c.first, VERMILION), (c.second, BLUE)):
        if side.best_energy is not None and side.energy is not None:
            index = np.arange(1, side.atoms + 1)
            series.append(Series(f"{side.name}, best r", index, 1 - side.best_energy, colour=colour, width=2.0))
            series.append(Series(f"{side.name}, first r", index, 1 - side.energy, colour=colour, line="--", width=1))
    return Panel(series, "number of atoms r", "energy outside", xlog=True, ylog=True, ylim=(1e-4, 1.3))


def _gains(c: "Comparison") -> Panel:
    """Eigenvalues of the symmetric part of a Jacobian, or gains of the oracle."""
    series = [
        Series(side.name, np.arange(1, len(side.gains) + 1), side.gains, colour=colour)
        for side, colour in ((c.first, VERMILION), (c.second, BLUE))
        if side.gains is not None
    ]
    return Panel(series, "number k of the atom", "shrinkage factor", xlog=True)
