"""What is drawn of a denoiser at one image: the images, the eigenvectors, the spectrum, the energy that M terms leave out."""

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb_theory.report.curves import Mark, Panel, Series, draw
from gahb_theory.report.figures import BLUE, COLOURS, GREY, VERMILION, image, panels, plain_text, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gahb_theory.jacobians import Reproduction

__all__ = [
    "draw_shrinkage",
    "energy_panel",
    "image_panels",
    "photograph_with_box",
    "shrinkage_panels",
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


def shrinkage_panels(eigenvalues: np.ndarray, coefficients: np.ndarray, sigma: float) -> tuple[Panel, Panel]:
    """Coefficients of the clean image beside the noise level, and eigenvalues beside what an oracle makes of these.

    The oracle multiplies the coefficient c_k by c_k^2 / (c_k^2 + sigma^2).
    """
    rank = np.arange(1, len(eigenvalues) + 1)
    size = np.abs(coefficients)
    floor = max(1e-5, float(np.quantile(size, 0.01)))
    xlabel = "rank k of the eigenvalue of S = (J + Jᵀ)/2"
    first = Panel(
        [Series("coefficient of the clean image", rank, size, colour=BLUE, line="", marker=".")],
        xlabel,
        "|⟨x, eₖ⟩|",
        xlog=True,
        ylog=True,
        ylim=(floor, None),
        marks=[Mark("y", sigma, f"σ = {sigma:g}")],
    )
    oracle = size**2 / (size**2 + sigma**2)
    second = Panel(
        [
            Series("oracle, c²/(c² + σ²)", rank, oracle, colour=BLUE, line="", marker="."),
            Series("eigenvalue λₖ", rank, np.asarray(eigenvalues), colour=VERMILION, width=2.0),
        ],
        xlabel,
        "shrinkage factor",
        xlog=True,
    )
    return first, second


def draw_shrinkage(
    eigenvalues: np.ndarray,
    coefficients: np.ndarray,
    sigma: float,
    ax: "Axes",
    reproduction: "Reproduction | None" = None,
) -> "Axes":
    """Draw the eigenvalues of S beside the factors of an oracle in its eigenvectors, and what S y reproduces."""
    draw(shrinkage_panels(eigenvalues, coefficients, sigma)[1], ax, "upper right")
    return state_matrix(reproduction, ax)


def energy_panel(best: Mapping[str, np.ndarray], ordered: np.ndarray, labels: Mapping[str, str]) -> Panel:
    """The part of the energy that M terms leave out.

    Parameters
    ----------
    best
        That of the best M terms in each basis, M = 1 .. d, by the name of the basis.
    ordered
        That of the first M eigenvectors, in the order of their eigenvalues.
    labels
        What the legend calls the bases.
    """
    series = [
        Series(
            f"{labels.get(name, name)}, best M",
            np.arange(1, len(left) + 1),
            left,
            colour=COLOURS.get(name, GREY),
            width=2.0 if name == "eigenbasis" else 1.4,
        )
        for name, left in best.items()
    ]
    series.append(
        Series("eigenbasis, first M", np.arange(1, len(ordered) + 1), ordered, colour=VERMILION, line="--", width=1.4)
    )
    floor = max(1e-9, min(float(left[len(left) // 2]) for left in best.values()))
    return Panel(
        series, "number of terms M", "energy left out", title="mean removed", xlog=True, ylog=True, ylim=(floor, 1.2)
    )
