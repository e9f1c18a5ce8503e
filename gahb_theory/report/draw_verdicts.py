"""The intervals of a hypothesis: subject and nulls beside the threshold."""

from typing import TYPE_CHECKING

from gahb_theory.hypotheses.assessment import Assessment

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_assessment"]


def draw_assessment(result: Assessment, ax: "Axes") -> "Axes":
    """Draw the interval of the subject above those of the nulls, the threshold as a line, and return the axes."""
    rows = [("subject", result.estimate)] + [(n.name, n.estimate) for n in result.nulls if n.estimate is not None]
    for height, (_, e) in enumerate(reversed(rows)):
        subject = height == len(rows) - 1
        errors = [[float(e.value) - float(e.low)], [float(e.high) - float(e.value)]]
        ax.errorbar(float(e.value), height, xerr=errors, fmt="o", color="C3" if subject else "C0", capsize=3)
    ax.axvline(float(result.criterion.split()[1]), color="0.4", linestyle="--", label=f"criterion {result.criterion}")
    ax.set_yticks(range(len(rows)), [name for name, _ in reversed(rows)])
    ax.set_xlabel("mean of the measure" + (f" ({result.unit})" if result.unit else ""))
    ax.set_title(result.verdict)
    ax.legend()
    return ax
