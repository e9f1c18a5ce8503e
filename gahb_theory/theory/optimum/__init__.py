"""The optimum: the Bayes risk of image classes, exact or between two bounds, and how far a denoiser is from it.

dispatch         `bayes_risk`: which computation a class needs
suboptimality    `optimality`: a denoiser beside the optimum
orientation      oracles beside both, which are no bounds
enclosure        the result, and scores of denoisers against it
exact_classes    closed forms and finite sums
chain_enclosure  the two bounds from chains
standard_table   the table that comes with the package
"""

from gahb_theory.theory.optimum.dispatch import bayes_risk
from gahb_theory.theory.optimum.enclosure import BayesRisk
from gahb_theory.theory.optimum.orientation import oracle_curves
from gahb_theory.theory.optimum.suboptimality import Gap, Optimality, optimality

__all__ = ["BayesRisk", "Gap", "Optimality", "bayes_risk", "optimality", "oracle_curves"]
