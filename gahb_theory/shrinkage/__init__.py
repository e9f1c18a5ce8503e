"""Shrinkages: gains that multiply the coefficients of a noisy image.

A shrinkage is any callable (coefficients, sigma) -> gains, each of the shape of the coefficients (batch, k), and a
denoiser multiplies the noisy coefficients by the gains. `base` has the interface and the oracles, which know the clean
coefficients; `thresholds` has functions of one coefficient; `adaptive` has thresholds that a band or a block of
coefficients chooses for itself; `risk` is Stein's unbiased estimate of how good they are.
"""

from gahb_theory.shrinkage.adaptive import BayesShrink, BlockJamesStein, SureShrink
from gahb_theory.shrinkage.base import FixedGains, Shrinkage, oracle_gains, projection_gains
from gahb_theory.shrinkage.risk import stein_risk
from gahb_theory.shrinkage.thresholds import Firm, Garrote, Hard, Soft, Universal, universal_threshold

__all__ = [
    "BayesShrink",
    "BlockJamesStein",
    "Firm",
    "FixedGains",
    "Garrote",
    "Hard",
    "Shrinkage",
    "Soft",
    "SureShrink",
    "Universal",
    "oracle_gains",
    "projection_gains",
    "stein_risk",
    "universal_threshold",
]
