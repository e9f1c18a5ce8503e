"""A denoiser beside the optimum of each class, and the leaderboard."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.hypotheses.benchmark import Benchmark, Entry
from gahb_theory.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_benchmark", "draw_leaderboard"]

COLOURS = (BLUE, GREEN, ORANGE, VERMILION, PURPLE, "black")


def draw_benchmark(result: Benchmark, ax: "Axes | None" = None) -> "Axes":
    """Draw decibels above the optimum against the noise level, a line with intervals for each class, and return the axes."""
    ax = axes_or_new(ax)
    for i, (name, o) in enumerate(result.classes.items()):
        value = (o.gap.lower.value + o.gap.upper.value) / 2
        # intervals of neighbouring lines beside each other
        shifted = o.sigmas * 1.03 ** (i - len(result.classes) / 2)
        error = np.stack([value - o.gap.lower.low, o.gap.upper.high - value])
        ax.errorbar(shifted, value, yerr=error, fmt="o-", ms=4, color=COLOURS[i % len(COLOURS)], label=name)
    ax.axhline(0.0, color=GREY, linestyle="--", label="optimum")
    ax.set_xscale("log")
    ax.set_xlabel("noise level sigma")
    ax.set_ylabel("risk above the Bayes risk (dB)")
    ax.set_title(result.name)
    ax.legend()
    return ax


def draw_leaderboard(entries: Sequence[Entry], ax: "Axes | None" = None) -> "Axes":
    """Draw the score of each entry, a dot for each class on a bar to the mean, nulls in grey, and return the axes."""
    ax = axes_or_new(ax)
    places = np.arange(len(entries))
    null = [entry.kind == "null" for entry in entries]
    ax.barh(places, [entry.total for entry in entries], color=["0.9" if n else "#cfe3f1" for n in null], zorder=1)
    labels = list(dict.fromkeys(label for entry in entries for label in entry.scores))
    for label, colour in zip(labels, COLOURS, strict=False):
        for place, entry in zip(places, entries, strict=True):
            if label in entry.scores:
                score = entry.scores[label]
                shown = GREY if entry.kind == "null" else colour
                error = [[score["value"] - score["low"]], [score["high"] - score["value"]]]
                ax.errorbar(score["value"], place, xerr=error, fmt="o", ms=3, color=shown, elinewidth=0.8)
        ax.plot([], [], "o", ms=3, color=colour, label=label)
    ax.set_yticks(places, [entry.name for entry in entries])
    for tick, grey in zip(ax.get_yticklabels(), null, strict=True):
        tick.set_color(GREY if grey else "black")
    ax.invert_yaxis()
    ax.set_xlim(left=0)
    ax.set_xlabel("decibels above the optimum, mean over noise levels")
    ax.legend(loc="upper right")
    return ax
