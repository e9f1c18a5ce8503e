"""The Jacobian of a denoiser: an operator, its engine, and its eigenvalues and singular values.

`operator` holds the contract, `autograd` the engine for any differentiable denoiser, `spectra` the decompositions,
`krylov` the iteration they use where J is not formed, and `singular` the result of `svd`.
"""

from gahb_theory.jacobians.engines import jacobian
from gahb_theory.jacobians.operator import Jacobian, Products
from gahb_theory.jacobians.singular import SVD
from gahb_theory.jacobians.spectra import eigenbasis, svd

__all__ = ["SVD", "Jacobian", "Products", "eigenbasis", "jacobian", "svd"]
