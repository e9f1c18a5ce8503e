"""What the theory predicts.

Exponents and their fits (`rates`, `decay`), exact risks (`risk`), the four oracles (`oracles`), regularity (`regularity`).
"""

from gahb_theory.theory.decay import DecayFit, approximation_error, decay_exponent
from gahb_theory.theory.oracles import OracleRisks, oracle_denoise, oracle_risks
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
    "DecayFit",
    "OracleRisks",
    "Regularity",
    "SlopeFit",
    "approximation_error",
    "decay_exponent",
    "decay_to_slope",
    "estimate_regularity",
    "fit_slope",
    "gaussian_mse",
    "local_slopes",
    "optimal_slope",
    "oracle_denoise",
    "oracle_mse",
    "oracle_risks",
    "power_law_oracle_risk",
    "projection_mse",
    "shrinkage_mse",
]
