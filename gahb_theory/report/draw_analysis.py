"""What is drawn of a denoiser at one image: the images, the eigenvectors, the spectrum, the energy that M terms leave out."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb_theory.report.figures import BLUE, COLOURS, GREY, VERMILION, image, panels, plain_text, signed_image, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gahb_theory.jacobians import Reproduction

__all__ = [
    "draw_energy_left_out",
    "draw_shrinkage",
    "eigenvector_panels",
    "image_panels",
    "photograph_with_box",
    "spectrum_of",
    "state_matrix",
    "write_above",
]

WIDTH = 80
"""Letters in a line above a figure."""


def state_matrix(reproduction: "Reproduction | None", ax: "Axes", width: int = WIDTH) -> "Axes":
    """Write above the axes which matrix a spectrum is of, and how much of f the shrinkage reproduces."""
    return ax if reproduction is None else write_above(str(reproduction), ax, width)


def write_above(words: str, ax: "Axes", width: int = WIDTH) -> "Axes":
    """Write a sentence above the axes, in lines of `width` letters."""
    ax.set_title("\n".join(textwrap.wrap(plain_text(words), width)), fontsize=7, loc="left")
    return ax


def spectrum_of(row: Mapping[str, Any]) -> str:
    """Which matrix the spectra of a network are of, and how much of f the shrinkage reproduces, in means over images."""
    said = f"Spectrum of S = (J + J')/2, where ||J - J'|| / ||J|| = {row['asymmetry']['value']:.2g}"
    if "psnr_shrinkage" not in row:
        return f"{said}."
    own, other = (row[key]["value"] for key in ("psnr", "psnr_shrinkage"))
    return f"{said}: S y has {other:.2f} dB beside {own:.2f} dB of f(y), {own - other:.2f} dB lost (means over images)."


def image_panels(images: Mapping[str, np.ndarray]) -> "Figure":
    """A row of images (c, h, w) under their titles."""
    with style():
        figure, axes = panels(2.2 * len(images), 2.4, 1, len(images))
        for (title, x), ax in zip(images.items(), axes, strict=True):
            image(x, ax, title)
        return figure


def photograph_with_box(levels: np.ndarray, left: float, top: float, side: float) -> "Figure":
    """A photograph (h, w, c), uint8, with a square outlined in it."""
    from matplotlib.patches import Rectangle

    with style():
        height, width = levels.shape[:2]
        figure, axes = panels(4.4, 4.4 * height / width)
        axes[0].imshow(levels if levels.shape[2] == 3 else levels[:, :, 0], cmap="gray", vmin=0, vmax=255)
        for colour, line in (("white", 3.0), (VERMILION, 1.5)):  # seen on dark and on light ground
            axes[0].add_patch(Rectangle((left - 0.5, top - 0.5), side, side, fill=False, ec=colour, lw=line))
        axes[0].set_axis_off()
        return figure


def eigenvector_panels(atoms: np.ndarray, indices: np.ndarray, eigenvalues: np.ndarray, columns: int = 8) -> "Figure":
    """Eigenvectors (k, c, h, w) of S, the symmetric part of J, in the order of their eigenvalues."""
    with style():
        rows = -(-len(indices) // columns)
        figure, axes = panels(1.25 * columns, 1.42 * rows, rows, columns)
        for ax in axes.flat:
            ax.set_axis_off()
        for k, atom, ax in zip(indices, atoms, axes.flat, strict=False):
            signed_image(atom, ax, f"$\\lambda_{{{k + 1}}}$ = {eigenvalues[k]:.3f}")
        return figure


def draw_shrinkage(
    eigenvalues: np.ndarray,
    coefficients: np.ndarray,
    sigma: float,
    ax: "Axes",
    reproduction: "Reproduction | None" = None,
) -> "Axes":
    """Draw the eigenvalues of S beside the coefficients of the clean image in its eigenvectors, and what S y reproduces."""
    state_matrix(reproduction, ax)
    right = ax.twinx()
    rank = np.arange(1, len(eigenvalues) + 1)
    ax.plot(rank, np.abs(coefficients), ".", ms=2.5, color=BLUE, alpha=0.6)
    ax.axhline(sigma, color=GREY, ls=":", lw=1)
    ax.annotate("$\\sigma$", (1, sigma), color=GREY, va="bottom", xytext=(2, 1), textcoords="offset points")
    ax.set(xscale="log", yscale="log", xlabel="rank k of the eigenvalue of S = (J + J$^T$)/2")
    ax.set_ylim(bottom=max(1e-5, float(np.quantile(np.abs(coefficients), 0.01))))
    ax.set_ylabel("|<x, e$_k$>|, x the clean image", color=BLUE)
    right.plot(rank, eigenvalues, color=VERMILION)
    right.set_ylabel("shrinkage factor $\\lambda_k$", color=VERMILION)
    right.grid(visible=False)
    right.spines["right"].set_visible(True)
    return ax


def draw_energy_left_out(
    best: Mapping[str, np.ndarray], ordered: np.ndarray, ax: "Axes", labels: Mapping[str, str]
) -> "Axes":
    """Draw the part of the energy that M terms leave out.

    Parameters
    ----------
    best
        That of the best M terms in each basis, M = 1 .. d, by the name of the basis.
    ordered
        That of the first M eigenvectors, in the order of their eigenvalues.
    ax
        Where to draw.
    labels
        What the legend calls the bases.
    """
    for name, left in best.items():
        label = plain_text(labels.get(name, name)) + ", best M"
        ax.plot(np.arange(1, len(left) + 1), left, color=COLOURS.get(name, GREY), label=label)
    ax.plot(np.arange(1, len(ordered) + 1), ordered, "--", color=VERMILION, label="eigenbasis, first M")
    floor = max(1e-9, min(float(left[len(left) // 2]) for left in best.values()))
    ax.set(xscale="log", yscale="log", xlabel="number of terms M", ylabel="energy left out, without the mean")
    ax.set_ylim(floor, 1.2)
    ax.legend(loc="lower left")
    return ax
