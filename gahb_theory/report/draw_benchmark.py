"""A denoiser beside the optimum of each class, and the leaderboard."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.hypotheses.benchmark import Benchmark, Entry
from gahb_theory.report.curves import Mark, Panel, Series, draw
from gahb_theory.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_benchmark", "draw_leaderboard", "gap_panel", "leaderboard_panel"]

COLOURS = (BLUE, GREEN, ORANGE, VERMILION, PURPLE, "black")


def gap_panel(result: Benchmark) -> Panel:
    """Decibels above the optimum against the noise level, a line with intervals for each class."""
    series = []
    for i, (name, o) in enumerate(result.classes.items()):
        value = np.asarray((o.gap.lower.value + o.gap.upper.value) / 2, dtype=float)
        # intervals of neighbouring lines beside each other
        shifted = np.asarray(o.sigmas, dtype=float) * 1.03 ** (i - len(result.classes) / 2)
        low, high = (np.asarray(end, dtype=float) for end in (o.gap.lower.low, o.gap.upper.high))
        colour = COLOURS[i % len(COLOURS)]
        series.append(Series(name, shifted, value, low, high, colour=colour, marker="o", bars=True))
    return Panel(
        series,
        "noise level σ",
        "risk above the Bayes risk (dB)",
        title=result.name,
        xlog=True,
        marks=[Mark("y", 0.0, "optimum")],
    )


def draw_benchmark(result: Benchmark, ax: "Axes | None" = None) -> "Axes":
    """Draw decibels above the optimum against the noise level, a line with intervals for each class, and return the axes."""
    return draw(gap_panel(result), axes_or_new(ax))


def leaderboard_panel(entries: Sequence[Entry]) -> Panel:
    """The score of each entry with its interval, a colour for each class, their mean in front."""
    series = []
    labels = list(dict.fromkeys(label for entry in entries for label in entry.scores))
    for label, colour in zip(labels, COLOURS, strict=False):
        there = [(place, entry.scores[label]) for place, entry in enumerate(entries) if label in entry.scores]
        value, low, high = (np.array([score[end] for _, score in there]) for end in ("value", "low", "high"))
        places = np.array([float(place) for place, _ in there])
        series.append(Series(label, value, places, low, high, colour=colour, line="", marker="o", bars=True))
    mean = np.array([entry.total for entry in entries])
    series.append(Series("mean", mean, np.arange(len(entries), dtype=float), colour=GREY, line="", marker="o"))
    label = "decibels above the optimum, mean over noise levels"
    return Panel(series, label, "", xlim=(0, None), rows=[entry.name for entry in entries])


def draw_leaderboard(entries: Sequence[Entry], ax: "Axes | None" = None) -> "Axes":
    """Draw the score of each entry with its interval, nulls in grey, and return the axes."""
    ax = draw(leaderboard_panel(entries), axes_or_new(ax), "upper right")
    for tick, entry in zip(ax.get_yticklabels(), entries, strict=True):
        tick.set_color(GREY if entry.kind == "null" else "black")
    return ax
