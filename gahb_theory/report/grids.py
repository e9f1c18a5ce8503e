"""A table of numbers as coloured cells, dark for the least and bright for the greatest, drawn by matplotlib or as SVG.

Both show the same numbers: each stands in its cell, and under the pointer with its row and column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report import figures
from gahb_theory.report.downloads import Download, table_as_csv
from gahb_theory.report.figures import plain_text
from gahb_theory.report.svg import FONT, LETTER, WIDTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Grid", "describe_grid", "grid_as_csv", "grid_as_svg", "grids_figure"]

HEIGHT = 34
"""Of a cell."""
WEIGHTS = (0.2126, 0.7152, 0.0722)
"""Of red, green and blue in the luminance of a colour (WCAG 2.1, 2018)."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers by row and column.

    Parameters
    ----------
    values
        Shape (rows, columns); the first row is drawn at the bottom.
    rows, columns
        Their names.
    ylabel, xlabel, title
        What the names are, and what the numbers are, with units.
    line
        The edges between cells above this value and those that are not are drawn.
    """

    values: np.ndarray
    rows: Sequence[str]
    columns: Sequence[str]
    ylabel: str
    xlabel: str
    title: str
    line: float | int | None = None


def describe_grid(grid: Grid) -> str:
    """What is seen, in words: each row from its first to its last number.

    Examples
    --------
    >>> describe_grid(Grid(np.array([[0.0, 1.5]]), ["8"], ["1", "9"], "N", "steps", "gap (dB)"))
    'gap (dB) by N and steps: 8 from 0.00 at 1 to 1.50 at 9.'
    """
    ends = f"at {grid.columns[0]} to", f"at {grid.columns[-1]}"
    said = [
        f"{name} from {v[0]:.2f} {ends[0]} {v[-1]:.2f} {ends[1]}"
        for name, v in zip(grid.rows, grid.values, strict=True)
    ]
    return f"{grid.title} by {grid.ylabel} and {grid.xlabel}: {'; '.join(said)}."


def grid_as_svg(grid: Grid) -> str:
    """The grid as an element of a page, which has the style sheet."""
    count, across = grid.values.shape
    left = 26 + LETTER * max(map(len, grid.rows))
    wide, bottom = (WIDTH - 4 - left) / across, 24.0 + HEIGHT * count
    parts = [f'<text x="{WIDTH / 2}" y="13" text-anchor="middle" font-weight="600">{escape(grid.title)}</text>']
    for (i, j), value, (fill, ink) in zip(np.ndindex(count, across), grid.values.flat, _inks(grid.values), strict=True):
        x, y = left + wide * j, bottom - HEIGHT * (i + 1)
        at = f'x="{x + wide / 2:.1f}" y="{y + HEIGHT / 2 + 4:.1f}"'
        said = escape(f"{grid.title}: {value:.4g} at {grid.ylabel} {grid.rows[i]}, {grid.xlabel} {grid.columns[j]}")
        parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{HEIGHT}" fill="{fill}"/>'
            f'<text style="fill:{ink}" {at} text-anchor="middle" font-size="{FONT - 1}">{_shown(value)}</text>'
            f'<circle class="pt ring" style="color:{ink}" cx="{x + wide / 2:.1f}" cy="{y + HEIGHT / 2:.1f}" '
            f'r="{min(HEIGHT, wide) / 2 - 1:.1f}"><title>{said}</title></circle>'
        )
    for j, name in enumerate(grid.columns):
        x = left + wide * (j + 0.5)
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{escape(name)}</text>')
    for i, name in enumerate(grid.rows):
        y = bottom - HEIGHT * (i + 0.5) + 4
        parts.append(f'<text x="{left - 5:.1f}" y="{y:.1f}" text-anchor="end">{escape(name)}</text>')
    middle = f"12 {(24 + bottom) / 2:.1f}"
    parts.append(f'<text transform="translate({middle}) rotate(-90)" text-anchor="middle">{escape(grid.ylabel)}</text>')
    x = (left + WIDTH) / 2
    parts.append(f'<text x="{x:.1f}" y="{bottom + 33:.1f}" text-anchor="middle">{escape(grid.xlabel)}</text>')
    edges = [
        "M" + "L".join(f"{left + wide * (j + 0.5):.1f} {bottom - HEIGHT * (i + 0.5):.1f}" for j, i in edge)
        for edge in _edges(grid)
    ]
    parts += [f'<path d="{"".join(edges)}" stroke="{c}" stroke-width="{w}"/>' for c, w in LINES if edges]
    label = escape(describe_grid(grid), quote=True)
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {bottom + 40:.0f}" '
        f'font-size="{FONT}">{"".join(parts)}</svg>'
    )


LINES = (("#000000", 3.4), ("#ffffff", 1.4))
"""Colours and widths of the edges, seen on dark cells and on bright ones."""


def grids_figure(grids: Sequence[Grid]) -> "Figure":
    """The figure of grids side by side."""
    with figures.style():
        figure, axes = figures.panels(3.4 * len(grids), 2.9, 1, len(grids))
        for ax, grid in zip(axes, grids, strict=True):
            ax.imshow(grid.values, origin="lower", aspect="auto", cmap="viridis")
            cells = zip(np.ndindex(grid.values.shape), grid.values.flat, _inks(grid.values), strict=True)
            for (i, j), value, (_, ink) in cells:
                ax.text(j, i, _shown(value), ha="center", va="center", fontsize=6, color=ink)
            for colour, width in LINES:
                ax.plot(*_edges(grid).transpose(2, 1, 0), color=colour, lw=width / 2)
            ax.set_xticks(range(len(grid.columns)), list(grid.columns))
            ax.set_yticks(range(len(grid.rows)), list(grid.rows))
            ax.grid(False)
            ax.set(xlabel=grid.xlabel, title=plain_text(grid.title))
        axes[0].set_ylabel(grids[0].ylabel)
        return figure


def grid_as_csv(name: str, grid: Grid) -> Download:
    """The numbers as a table, a line for each row."""
    rows = [[row, *map(float, values)] for row, values in zip(grid.rows, grid.values, strict=True)]
    header = [grid.ylabel, *(f"{grid.xlabel} {column}" for column in grid.columns)]
    return table_as_csv(name, header, rows, f"{grid.title} (CSV)")


def _shown(value: float | int) -> str:
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "−")  # no minus before a zero


def _inks(values: np.ndarray) -> list[tuple[str, str]]:
    """The colour of each cell, and black or white, whichever is read better on it."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    low, high = float(values.min()), float(values.max())
    cells = colormaps["viridis"]((values.ravel() - low) / ((high - low) or 1.0))[:, :3]
    linear = np.where(cells <= 0.04045, cells / 12.92, ((cells + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array(WEIGHTS)
    dark = (luminance + 0.05) ** 2 > 0.05 * 1.05  # there the contrast with black is above that with white
    return [(to_hex(cell), "#000000" if on else "#ffffff") for cell, on in zip(cells, dark, strict=True)]


def _edges(grid: Grid) -> np.ndarray:
    """The edges between cells above the line and others, as pairs of points (column, row), shape (n, 2, 2)."""
    if grid.line is None:
        return np.zeros((0, 2, 2))
    above = grid.values > grid.line
    half = np.array([0.5, 0.5])
    across = [[(j + 1, i), (j + 1, i + 1)] for i, j in np.argwhere(above[:, 1:] != above[:, :-1])]
    up = [[(j, i + 1), (j + 1, i + 1)] for i, j in np.argwhere(above[1:] != above[:-1])]
    return np.array([*across, *up], dtype=float).reshape(-1, 2, 2) - half
