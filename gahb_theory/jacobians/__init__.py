"""The Jacobian of a denoiser: an operator, its engines, and what is read from it.

`operator` holds the contract. Three engines make the products: `frozen` with `recording`, `rules`, `maps`, `windows`
and `meeting` for networks that can be recorded as linear maps, `autograd` for whatever torch can differentiate,
`differences` for black boxes; `engines` chooses. `spectra` and `decompositions` hold the decompositions, `krylov` the
iteration they use where J is not formed, `singular` the result of `svd`. `path`, `dimension` and `posterior` read the
spectra.
"""

from gahb_theory.jacobians.construction import jacobian
from gahb_theory.jacobians.decompositions import eig, polar, schur
from gahb_theory.jacobians.dimension import (
    DimensionEstimate,
    SubspaceDimension,
    dimension_by_flipd,
    dimension_by_gap,
    dimension_by_normal_bundle,
    subspace_dimension,
)
from gahb_theory.jacobians.engines.differences import difference_jacobian
from gahb_theory.jacobians.nonnormal import Polar, Schur, Spectrum
from gahb_theory.jacobians.operator import Jacobian, Products
from gahb_theory.jacobians.path import EigenbasisPath, eigenbasis_path
from gahb_theory.jacobians.posterior import (
    PosteriorComponents,
    PosteriorMoments,
    posterior_components,
    posterior_deviation,
    posterior_moments,
)
from gahb_theory.jacobians.singular import SVD
from gahb_theory.jacobians.spectra import eigenbasis, svd

__all__ = [
    "SVD",
    "DimensionEstimate",
    "EigenbasisPath",
    "Jacobian",
    "Polar",
    "PosteriorComponents",
    "PosteriorMoments",
    "Products",
    "Schur",
    "Spectrum",
    "SubspaceDimension",
    "difference_jacobian",
    "dimension_by_flipd",
    "dimension_by_gap",
    "dimension_by_normal_bundle",
    "eig",
    "eigenbasis",
    "eigenbasis_path",
    "jacobian",
    "polar",
    "posterior_components",
    "posterior_deviation",
    "posterior_moments",
    "schur",
    "subspace_dimension",
    "svd",
]
