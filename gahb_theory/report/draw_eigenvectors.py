"""Figures of eigenvectors: each under its eigenvalue, the clean image with its contour first, one colour scale."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.figures import VERMILION, image, panels, plain_text, signed_image, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLUMNS", "atoms_in_rows", "eigenvector_figure"]

COLUMNS = 4
COLUMN_WIDTH = 3.3
"""Inches, the width of a column of a paper, of four panels."""


def eigenvector_figure(
    atoms: np.ndarray,
    ranks: Sequence[int] | np.ndarray,
    eigenvalues: np.ndarray,
    clean: np.ndarray | None = None,
    coverage: np.ndarray | None = None,
    columns: int = COLUMNS,
) -> "Figure":
    """The figure of eigenvectors (k, c, h, w) of the given ranks from 0, under their eigenvalues (k,).

    The clean image (c, h, w) stands first, with its contour where its `coverage` (h, w) is 1/2. Each eigenvector has a
    scale of its own, the same to both sides of zero.
    """
    count = len(atoms) + (clean is not None)
    rows = -(-count // columns)
    with style():
        figure, axes = panels(COLUMN_WIDTH / COLUMNS * columns, 1.0 * rows + 0.35, rows, columns)
        figure.get_layout_engine().set(h_pad=0.01, w_pad=0.02, hspace=0.0, wspace=0.02)  # type: ignore[union-attr,call-arg]
        places = iter(axes.flat)
        for ax in axes.flat:
            ax.set_axis_off()
        if clean is not None:
            first = image(clean, next(places))
            first.set_title("clean", fontsize=8, pad=2)
            if coverage is not None:
                first.contour(coverage, levels=[0.5], colors=[VERMILION], linewidths=0.8)
        for k, atom, eigenvalue in zip(ranks, atoms, eigenvalues, strict=True):
            signed_image(atom, next(places), f"$\\lambda_{{{k + 1}}}$ = {float(eigenvalue):.2f}")
        _scale(figure, axes)
        return figure


def atoms_in_rows(
    rows: Mapping[str, tuple[np.ndarray, np.ndarray | None]],
    clean: np.ndarray | Mapping[str, np.ndarray],
    columns: int = 7,
) -> "Figure":
    """The figure of a row for each name: the clean image (c, h, w), then its images (k, c, h, w) under their eigenvalues.

    No more than `columns` of them are drawn; None where they have no eigenvalues. `clean` may be another image for each name.
    """
    with style():
        figure, axes = panels(0.84 * (columns + 1), 0.98 * len(rows) + 0.35, len(rows), columns + 1)
        axes = axes.reshape(len(rows), columns + 1)
        for ax in axes.flat:
            ax.set_axis_off()
        for place, (name, (atoms, eigenvalues)) in zip(axes, rows.items(), strict=True):
            x = clean[name] if isinstance(clean, Mapping) else clean
            image(x - min(0.0, float(x.min())), place[0]).set_title("clean", fontsize=8, pad=2)
            place[0].text(
                -0.1,
                0.5,
                plain_text(name),
                transform=place[0].transAxes,
                rotation=90,
                ha="right",
                va="center",
                fontsize=8,
            )
            for k, (atom, ax) in enumerate(zip(atoms, place[1:], strict=False)):
                title = "" if eigenvalues is None else f"$\\lambda_{{{k + 1}}}$ = {float(eigenvalues[k]):.2f}"
                signed_image(atom, ax, title)
        _scale(figure, axes)
        return figure


def _scale(figure: "Figure", axes: np.ndarray) -> None:
    """The signed scale of colours below all axes."""
    from matplotlib.cm import ScalarMappable

    scale = figure.colorbar(
        ScalarMappable(cmap="RdBu_r"),
        ax=list(axes.flat),
        location="bottom",
        shrink=0.6,
        aspect=60,
        fraction=0.05,
        pad=0.02,
    )
    scale.set_ticks([0, 0.5, 1], labels=["−max", "0", "max of each"], fontsize=7)
    scale.outline.set_linewidth(0.4)
