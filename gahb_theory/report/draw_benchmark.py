"""A denoiser beside the optimum of each class, and beside the leaderboard."""

from typing import TYPE_CHECKING

from gahb_theory.hypotheses.benchmark import Benchmark
from gahb_theory.report.figures import axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_benchmark"]


def draw_benchmark(result: Benchmark, ax: "Axes | None" = None) -> "Axes":
    """Draw decibels above the optimum against the noise level, a line with intervals for each class, and return the axes."""
    ax = axes_or_new(ax)
    for i, (name, o) in enumerate(result.classes.items()):
        value = (o.gap.lower.value + o.gap.upper.value) / 2
        # intervals of neighbouring lines beside each other
        shifted = o.sigmas * 1.03 ** (i - len(result.classes) / 2)
        ax.errorbar(shifted, value, yerr=[value - o.gap.lower.low, o.gap.upper.high - value], fmt="o-", ms=4, label=name)
    ax.axhline(0.0, color="0.4", linestyle="--", label="optimum")
    ax.set_xscale("log")
    ax.set_xlabel("noise level sigma")
    ax.set_ylabel("risk above the Bayes risk (dB)")
    ax.set_title(result.name)
    ax.legend(fontsize="small")
    return ax
