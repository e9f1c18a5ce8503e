"""The risk of a denoiser beside the interval that holds the Bayes risk."""

from typing import TYPE_CHECKING, Literal

import numpy as np

from gahb_theory.report.curves import Panel, Series, draw
from gahb_theory.report.figures import BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gahb_theory.theory.optimum import Optimality

LINES: tuple[Literal["--", ":", "-."], ...] = ("--", ":", "-.")

__all__ = ["draw_optimality", "optimality_panel"]


def optimality_panel(o: "Optimality") -> Panel:
    """Risk over sigma^2 against the noise level, the Bayes interval from its lowest to its highest end, and oracles."""
    order = np.argsort(o.sigmas)
    sigma = np.asarray(o.sigmas, dtype=float)[order]
    low, high, risk, below, above, middle = (
        np.asarray(values, dtype=float)[order] / sigma**2
        for values in (
            [b.lower.low for b in o.bayes],
            [b.upper.high for b in o.bayes],
            o.risk.value,
            o.risk.low,
            o.risk.high,
            [(b.lower.value + b.upper.value) / 2 for b in o.bayes],
        )
    )
    oracles = [
        Series(f"{name}: oracle, not a bound", sigma, values[order] / sigma**2, line=line, width=1.0)
        for (name, values), line in zip(o.oracles().items(), LINES, strict=False)
    ]
    return Panel(
        [
            Series("optimum, between its bounds", sigma, middle, low, high, colour=BLUE),
            Series("denoiser", sigma, risk, below, above, colour=VERMILION, marker="o"),
            *oracles,
        ],
        "noise level σ",
        "risk / σ²",
        xlog=True,
        ylog=True,
    )


def draw_optimality(o: "Optimality", ax: "Axes") -> "Axes":
    """Draw risk over sigma^2 against the noise level, the Bayes interval, and the oracles for orientation."""
    return draw(optimality_panel(o), ax)
