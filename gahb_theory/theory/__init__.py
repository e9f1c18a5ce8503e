"""What the theory predicts: exponents and their fits (`rates`), exact risks (`risk`), regularity (`regularity`)."""

from gahb_theory.theory.rates import (
    SlopeFit,
    decay_to_slope,
    fit_slope,
    local_slopes,
    optimal_slope,
    power_law_oracle_risk,
)
from gahb_theory.theory.regularity import Regularity, estimate_regularity
from gahb_theory.theory.risk import gaussian_mse, oracle_mse, projection_mse, shrinkage_mse

__all__ = [
    "Regularity",
    "SlopeFit",
    "decay_to_slope",
    "estimate_regularity",
    "fit_slope",
    "gaussian_mse",
    "local_slopes",
    "optimal_slope",
    "oracle_mse",
    "power_law_oracle_risk",
    "projection_mse",
    "shrinkage_mse",
]
