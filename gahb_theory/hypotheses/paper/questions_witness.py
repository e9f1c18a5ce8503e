"""Where the slope alpha / (alpha + 1) can be seen at all: the optimum itself, from its Bayes interval.

    local slope of the optimum over [.03, .3], less alpha / (alpha + 1): visible where it is within .05

at 16 and 32 pixels, in the middle of the interval, with jackknife values over 32 images. The null model of each alpha is the
optimum of another alpha, which must not pass. No network takes part: where the optimum does not show the exponent, no slope of
a network can identify alpha.
"""

from typing import Any

import numpy as np

from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.paper.judged_measures import SlopeApart
from gahb_theory.hypotheses.paper.questions_optimum import WINDOW, WRONG, above
from gahb_theory.hypotheses.paper.workshop import row_of_values
from gahb_theory.images import CAlpha
from gahb_theory.theory.optimum.standard_table import stored_risk

__all__ = ["rows"]

VISIBLE, IMAGES = 0.05, 32
SIZES = (16, 32, 64)


def slope(alpha: float, size: int) -> np.ndarray | None:
    """Jackknife values of the slope of the optimum, (images,); None where no table has its Bayes intervals."""
    X = CAlpha(alpha=alpha, size=size)
    if any(stored_risk(X, sigma, IMAGES, 0) is None for sigma in WINDOW):
        return None
    return SlopeApart(above(X), WINDOW).optimum()


def rows() -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    found = {}
    for size in SIZES:
        known = {alpha: slope(alpha, size) for alpha in WRONG}
        for alpha, values in known.items():
            other = known[WRONG[alpha]]
            if values is None or other is None:
                continue
            nominal = alpha / (alpha + 1)
            nulls = {f"optimum of alpha = {WRONG[alpha]:g}": _beside(other, nominal)[None]}
            row = row_of_values(
                f"At {size} pixels the optimum of alpha = {alpha:g} has the slope alpha / (alpha + 1) = {nominal:.3f} to .05.",
                _beside(values, nominal)[None],
                Criterion(VISIBLE, "<"),
                nulls,
                about="the exact optimum",
            )
            e = row["estimate"]
            sign = np.sign(values.mean() - nominal)
            slopes = sorted([nominal + sign * v for v in e[1:]])
            row["reference"] = {"slope of the optimum": [round(float(v), 4) for v in (values.mean(), *slopes)]}
            found[f"visible, alpha = {alpha:g}, {size} pixels"] = row | {"figures": "4, 16"}
    return found


def _beside(values: np.ndarray, nominal: float) -> np.ndarray:
    """Distance of the slope from a number: values whose mean is the absolute difference."""
    apart = values - nominal
    return apart if apart.mean() > 0 else -apart
