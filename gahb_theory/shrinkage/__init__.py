"""The shrinkage: one of the four nouns.

A shrinkage is any callable (coefficients, sigma) -> gains, each of the shape of the coefficients (batch, k), and a
denoiser multiplies the noisy coefficients by the gains. `base` has the contract and the oracles, which know the clean
coefficients; `thresholds` has functions of one coefficient; `adaptive` has thresholds that a band or a block of
coefficients chooses for itself; `risk` says how good they are, exactly or by Stein's unbiased estimate.
"""

from gahb_theory.shrinkage.adaptive import BayesShrink, BlockJamesStein, SureShrink, square_blocks
from gahb_theory.shrinkage.base import FixedGains, Shrinkage, oracle_gains, projection_gains
from gahb_theory.shrinkage.risk import stein_risk, threshold_risk
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
    "square_blocks",
    "stein_risk",
    "threshold_risk",
    "universal_threshold",
]
