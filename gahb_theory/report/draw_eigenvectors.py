"""The figure of eigenvectors: each under its eigenvalue, the clean image with its contour first, one colour scale."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.figures import VERMILION, image, panels, signed_image, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLUMNS", "eigenvector_figure"]

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
    from matplotlib.cm import ScalarMappable

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
    return figure
