"""What all figures are made of: one style, axes, images and atoms, without the global state of pyplot.

Functions draw on axes and return them. What is drawn of an analysis, of a performance, of a comparison and of a bandlet
basis stands in a module each.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axes_or_new", "gallery", "image", "panels", "plain_text", "signed_image", "style"]

BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#7F7F7F"
COLOURS = {"denoiser": VERMILION, "eigenbasis": VERMILION, "wavelet": BLUE, "dct": GREEN, "pca": PURPLE}
"""Of the denoiser and of the bases, by name."""


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure of the library."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "figure.dpi": 150,
        "savefig.bbox": "tight",
        "lines.linewidth": 1.6,
    }
    with mpl.rc_context(settings):
        yield


def panels(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple["Figure", np.ndarray]:
    """A figure of the given size in inches, and its axes, an array in any case."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns))


def axes_or_new(ax: "Axes | None") -> "Axes":
    """The axes that were given, or those of a new figure, which is `ax.figure`."""
    if ax is not None:
        return ax
    with style():
        return panels(5.0, 3.2)[1][0]


def image(x: np.ndarray, ax: "Axes", title: str = "") -> "Axes":
    """A clean, noisy or denoised image (c, h, w), intensities shown from 0 to 1."""
    shown = x[0] if x.shape[0] == 1 else np.clip(x.transpose(1, 2, 0), 0, 1)
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def signed_image(x: np.ndarray, ax: "Axes", title: str = "") -> "Axes":
    """An atom (c, h, w): red positive, blue negative, white zero; channels averaged."""
    mean = x.mean(axis=0)
    bound = float(np.quantile(np.abs(mean), 0.995)) or 1.0
    ax.imshow(mean, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
    ax.set_title(title, fontsize=8, pad=2)
    ax.set_axis_off()
    return ax


def gallery(images: Mapping[str, np.ndarray]) -> "Figure":
    """A row of images (n, c, h, w) for each name."""
    with style():
        columns = max(len(x) for x in images.values())
        figure, axes = panels(1.1 * columns, 1.3 * len(images), len(images), columns)
        for row, (name, x) in zip(axes.reshape(len(images), columns), images.items(), strict=True):
            for picture, ax in zip(x, row, strict=False):
                image(picture, ax)
            row[0].annotate(
                plain_text(name), (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points"
            ).set_in_layout(False)
        return figure


def plain_text(name: str) -> str:
    """A name that a user gave, taken as it is: no formula, and not left out of a legend."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
