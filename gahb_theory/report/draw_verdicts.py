"""The intervals of a hypothesis: subject and nulls beside the threshold."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.report.curves import Mark, Panel, Series, draw
from gahb_theory.report.figures import BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["assessment_panel", "draw_assessment"]


def assessment_panel(result: Assessment) -> Panel:
    """The interval of the subject above those of the nulls, and the threshold."""
    estimates = [("subject", result.estimate)] + [(n.name, n.estimate) for n in result.nulls if n.estimate is not None]
    places = np.arange(len(estimates), dtype=float)
    value, low, high = (np.array([float(getattr(e, end)) for _, e in estimates]) for end in ("value", "low", "high"))
    series = [Series("subject", value[:1], places[:1], low[:1], high[:1], VERMILION, "", "o", bars=True)]
    if len(estimates) > 1:
        series.append(Series("null models", value[1:], places[1:], low[1:], high[1:], BLUE, "", "o", bars=True))
    return Panel(
        series,
        "mean of the measure" + (f" ({result.unit})" if result.unit else ""),
        "",
        title=result.verdict,
        marks=[Mark("x", float(result.criterion.split()[1]), f"criterion {result.criterion}")],
        rows=[name for name, _ in estimates],
    )


def draw_assessment(result: Assessment, ax: "Axes") -> "Axes":
    """Draw the interval of the subject above those of the nulls, the threshold as a line, and return the axes."""
    return draw(assessment_panel(result), ax)
