"""What a figure of curves is, before it is drawn: series on axes with their units, drawn by matplotlib or as SVG.

The methods `plot` of results draw it on axes of matplotlib, the pages as SVG (`gahb_theory.report.svg`), from one
description, so that both show the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from gahb_theory.report import figures
from gahb_theory.report.figures import GREY, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Limits", "Mark", "Panel", "Series", "draw", "panels_figure", "with_equal_limits"]

Limits = tuple[float | int | None, float | int | None]


@dataclass(frozen=True, eq=False)
class Series:
    """Points (x, y) under a name, joined by a line or not, with the ends of their intervals.

    Parameters
    ----------
    label
        In the legend, with unit where it is not that of the axis; none, no entry.
    x, y
        The numbers, shape (n,).
    low, high
        Ends of the intervals of y, or of x where `rows` of the panel name the places; None without.
    colour, line, marker, width
        Colour in hexadecimal; "-", "--", "-.", ":" or "" for no line; "o" or "" for no marker; width of the line in points.
    bars
        Intervals as bars; else as a band.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    colour: str = GREY
    line: Literal["-", "--", "-.", ":", ""] = "-"
    marker: Literal["o", ".", ""] = ""
    width: float | int = 1.6
    bars: bool = False


@dataclass(frozen=True)
class Mark:
    """A reference line across the axes at a value of x or y, with its name beside it."""

    axis: Literal["x", "y"]
    at: float | int
    label: str = ""
    colour: str = GREY


@dataclass(frozen=True)
class Panel:
    """Axes and what is on them.

    Parameters
    ----------
    series, marks
        What is drawn.
    xlabel, ylabel, title
        With units.
    xlog, ylog
        Logarithmic axes.
    xlim, ylim
        Ends of the axes; None takes those of the numbers.
    equal
        A unit of x as long as one of y.
    rows
        Names of the places 0, 1, ... of the y axis, from above; the numbers stand along x.
    """

    series: Sequence[Series]
    xlabel: str
    ylabel: str
    title: str = ""
    xlog: bool = False
    ylog: bool = False
    xlim: Limits = (None, None)
    ylim: Limits = (None, None)
    equal: bool = False
    marks: Sequence[Mark] = ()
    rows: Sequence[str] = ()


def with_equal_limits(panels: Sequence[Panel]) -> list[Panel]:
    """Panels with one range of y, that of all their numbers, so that they can be compared."""
    values = np.concatenate(
        [np.ravel(v) for p in panels for s in p.series for v in (s.y, s.low, s.high) if v is not None]
    )
    values = values[np.isfinite(values) & ((values > 0) | (not panels[0].ylog))]
    low, high = float(values.min()), float(values.max())
    if panels[0].ylog:
        limits = (low / 1.2, high * 1.2)
    else:
        margin = 0.05 * ((high - low) or 1.0)
        limits = (low - margin, high + margin)
    return [replace(panel, ylim=limits) for panel in panels]


def draw(panel: Panel, ax: "Axes", legend: Literal["best", "upper left", "upper right"] = "best") -> "Axes":
    """Draw a panel on axes of matplotlib, and return them."""
    for s in panel.series:
        label = plain_text(s.label) if s.label else None
        if s.low is not None and s.high is not None:
            if s.bars:
                middle = s.x if panel.rows else s.y
                spread = np.stack([middle - s.low, s.high - middle]).clip(min=0)
                x, y = (spread, None) if panel.rows else (None, spread)
                ax.errorbar(s.x, s.y, y, x, fmt="none", ecolor=s.colour, elinewidth=1, capsize=2)
            else:
                ax.fill_between(s.x, s.low, s.high, color=s.colour, alpha=0.2, lw=0)
        size = 2.5 if s.marker == "." else 4
        line = s.line or "none"
        ax.plot(s.x, s.y, linestyle=line, marker=s.marker, ms=size, color=s.colour, lw=s.width, label=label)
    for mark in panel.marks:
        across = ax.axhline if mark.axis == "y" else ax.axvline
        across(mark.at, color=mark.colour, ls=":", lw=1, label=plain_text(mark.label) if mark.label else None)
    if panel.xlog:
        ax.set_xscale("log")
    if panel.ylog:
        ax.set_yscale("log")
    ax.set(xlabel=panel.xlabel, ylabel=panel.ylabel)
    if panel.title:
        ax.set_title(plain_text(panel.title))
    ax.set_xlim(*panel.xlim)
    ax.set_ylim(*panel.ylim)
    if panel.rows:
        ax.set_yticks(range(len(panel.rows)), [plain_text(name) for name in panel.rows])
        ax.set_ylim(len(panel.rows) - 0.5, -0.5)
    if panel.equal:
        ax.set_aspect("equal", adjustable="datalim")
    if sum(bool(label) for label in (*(s.label for s in panel.series), *(m.label for m in panel.marks))) > 1:
        ax.legend(loc=legend)
    return ax


def panels_figure(panels: Sequence[Panel]) -> "Figure":
    """The figure of panels, each as wide as a column of a paper, at most three in a row, with one legend if it serves all."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    names = [{s.label for s in p.series if s.label} | {m.label for m in p.marks if m.label} for p in panels]
    one_legend = _serves_all(names)
    tall = max(2.5, 0.7 + 0.22 * max(len(p.rows) for p in panels)) + (0.35 if one_legend else 0)
    with figures.style():
        figure, axes = figures.panels(3.3 * columns, tall * rows, rows, columns)
        for ax in axes.flat[len(panels) :]:
            ax.set_axis_off()
        for panel, ax in zip(panels, axes.flat, strict=False):
            draw(panel, ax)
            if one_legend and ax.get_legend() is not None:
                ax.get_legend().remove()
        if one_legend:
            pairs = [pair for ax in axes.flat for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
            found = {label: handle for handle, label in reversed(pairs)}
            labels = list(dict.fromkeys(label for _, label in pairs))
            handles = [found[label] for label in labels]
            figure.legend(handles, labels, loc="outside lower center", ncols=min(2 * columns, len(labels)), fontsize=7)
    return figure


def _serves_all(names: Sequence[set[str]]) -> bool:
    """Whether one legend serves panels with these names: they share names, and no panel lacks many that others have."""
    together, longest = set().union(*names), max(map(len, names))
    if len(names) == 1:
        return longest > 2
    return longest > 1 and len(together) <= longest + 1 and len(together) < sum(map(len, names))
