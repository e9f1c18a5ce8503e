"""What the theory predicts.

Exponents and their fits (`exponents`, `rates`, `finite_grid`, `decay`), exact risks (`exact_risks`), the four oracles
(`oracles`), certificates of suboptimality (`certificates`), the linear null of finite data (`finite_data`), Stein's
estimate (`stein`), regularity (`regularity`), divergence (`divergence`), likelihood (`likelihood`), the optimum
(`optimum`), the cost of symmetry (`symmetry_cost`), every equation of the paper as a test (`identities`).
"""

from gahb_theory.theory.certificates import excess_risk
from gahb_theory.theory.decay import DecayFit, approximation_error, decay_exponent
from gahb_theory.theory.divergence import kl_bound, kl_bound_estimate
from gahb_theory.theory.exact_risks import gaussian_mse, oracle_mse, projection_mse, shrinkage_mse
from gahb_theory.theory.exponents import EXPONENTS, Exponent, exponent_table
from gahb_theory.theory.finite_data import FiniteDataWiener, finite_data_wiener
from gahb_theory.theory.finite_grid import effective_terms, fit_slope_in_window, slope_window, terms_above
from gahb_theory.theory.identities import verify, verify_theory
from gahb_theory.theory.likelihood import LogDivergence, LogLikelihood, kl_divergence, log_likelihood
from gahb_theory.theory.optimum import BayesRisk, Optimality, bayes_risk, optimality
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
from gahb_theory.theory.stein import TraceIdentity, sure, sure_risk, trace_identity
from gahb_theory.theory.symmetry_cost import SymmetryCost, cost_of_symmetry

__all__ = [
    "EXPONENTS",
    "BayesRisk",
    "DecayFit",
    "Exponent",
    "FiniteDataWiener",
    "LogDivergence",
    "LogLikelihood",
    "Optimality",
    "OracleRisks",
    "Regularity",
    "SlopeFit",
    "SymmetryCost",
    "TraceIdentity",
    "approximation_error",
    "bayes_risk",
    "cost_of_symmetry",
    "decay_exponent",
    "decay_to_slope",
    "effective_terms",
    "estimate_regularity",
    "excess_risk",
    "exponent_table",
    "finite_data_wiener",
    "fit_slope",
    "fit_slope_in_window",
    "gaussian_mse",
    "kl_bound",
    "kl_bound_estimate",
    "kl_divergence",
    "local_slopes",
    "log_likelihood",
    "optimal_slope",
    "optimality",
    "oracle_denoise",
    "oracle_mse",
    "oracle_risks",
    "power_law_oracle_risk",
    "projection_mse",
    "shrinkage_mse",
    "slope_window",
    "sure",
    "sure_risk",
    "terms_above",
    "trace_identity",
    "verify",
    "verify_theory",
]
