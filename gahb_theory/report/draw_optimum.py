"""The risk of a denoiser beside the interval that holds the Bayes risk."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.figures import BLUE, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gahb_theory.theory.optimum import Optimality

__all__ = ["draw_optimality"]


def draw_optimality(o: "Optimality", ax: "Axes") -> "Axes":
    """Draw risk over sigma^2 against the noise level, and the Bayes interval from its lowest to its highest end."""
    order = np.argsort(o.sigmas)
    sigma = o.sigmas[order]
    unit = sigma**2
    low, high, risk, below, above = (
        np.asarray(values, dtype=float)[order]
        for values in (
            [b.lower.low for b in o.bayes],
            [b.upper.high for b in o.bayes],
            o.risk.value,
            o.risk.low,
            o.risk.high,
        )
    )
    middle = np.array([(b.lower.value + b.upper.value) / 2 for b in o.bayes])[order]
    ax.fill_between(sigma, low / unit, high / unit, color=BLUE, alpha=0.25, lw=0)
    ax.plot(sigma, middle / unit, color=BLUE, label="optimum, between its bounds")
    ax.fill_between(sigma, below / unit, above / unit, color=VERMILION, alpha=0.2, lw=0)
    ax.plot(sigma, risk / unit, "o-", color=VERMILION, label="denoiser")
    ax.set(xscale="log", yscale="log", xlabel="noise level $\\sigma$", ylabel="risk / $\\sigma^2$")
    ax.legend()
    return ax
