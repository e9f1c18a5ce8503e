"""The squares and flows of a bandlet basis, drawn over an image."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from gahb_theory.bases.geometry import Leaf
from gahb_theory.report.figures import VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_flows"]


def draw_flows(leaves: Iterable[Leaf], ax: "Axes", colour: str = VERMILION) -> "Axes":
    """Draw the squares of one subband in the coordinates of the pixels of the image, and the flow of each square.

    Parameters
    ----------
    leaves
        Squares of one level and orientation.
    ax
        Axes that show the image with `imshow`, where pixel (i, j) is centred at x = j, y = i.
    colour
        Of the flows; squares are grey.
    """
    from matplotlib.collections import LineCollection

    outlines, strokes = [], []
    for leaf in leaves:
        step = 2**leaf.level
        x, y, side = step * leaf.left - 0.5, step * leaf.top - 0.5, step * leaf.size
        outlines.append([(x, y), (x + side, y), (x + side, y + side), (x, y + side), (x, y)])
        if leaf.angle is not None:
            strokes += _strokes(x + side / 2, y + side / 2, side / 2, leaf.angle, leaf.curvature)
    ax.add_collection(LineCollection(outlines, colors="0.5", linewidths=0.5))
    ax.add_collection(LineCollection(strokes, colors=colour, linewidths=0.9))
    return ax


def _strokes(x: float, y: float, half: float, angle: float, bend: float) -> list[Float[np.ndarray, "points 2"]]:
    """Lines of the flow inside a square with the given centre and half side."""
    along = np.linspace(-1.5, 1.5, 61)
    lines = []
    for offset in (-0.8, -0.4, 0.0, 0.4, 0.8):
        across = offset + bend * along**2
        points = np.stack(
            [np.cos(angle) * along - np.sin(angle) * across, np.sin(angle) * along + np.cos(angle) * across], axis=1
        )
        inside = (np.abs(points) <= 0.92).all(axis=1)
        lines.append(np.array([x, y]) + half * points[inside])
    return [line for line in lines if len(line) > 1]
