"""The Jacobian of a denoiser at one image, its eigenbasis, its decompositions, and what follows from its eigenvalues.

`jacobian` and `difference_jacobian` (`construction`) return a `Jacobian` (`operator`), a `LinearOperator` with f(y) and a
check of the derivative. `LinearOperator` (`linear_operator`) computes products, rows, the matrix and the trace. On it work
`eigenbasis` and `svd` (`spectra`, by `lanczos` where J is not formed) and `eig`, `schur` and `polar` (`decompositions`);
the methods of the same names call these functions. `traces`, `path`, `dimension` and `posterior` use them. For images too
large for a dense matrix, `windows` and `local_spectra` compute rows and spectra of a window, `sharded_jacobian` (`sharded`)
spreads all rows over processes or machines, and `costs` says beforehand what memory and how many operations a task needs.

The products come from `engines`: recorded linear networks, automatic differentiation, or finite differences.
"""

from gahb_theory.jacobians.construction import difference_jacobian, jacobian
from gahb_theory.jacobians.costs import Cost, JacobianCosts, jacobian_costs
from gahb_theory.jacobians.decompositions import Polar, Schur, Spectrum, eig, polar, schur
from gahb_theory.jacobians.dimension import (
    DimensionEstimate,
    SubspaceDimension,
    dimension_by_flipd,
    dimension_by_gap,
    dimension_by_normal_bundle,
    subspace_dimension,
)
from gahb_theory.jacobians.linear_operator import LinearOperator, Products
from gahb_theory.jacobians.local_spectra import LocalSpectrum, local_eigenbasis, window_block
from gahb_theory.jacobians.operator import Jacobian
from gahb_theory.jacobians.path import EigenbasisPath, eigenbasis_path
from gahb_theory.jacobians.posterior import (
    PosteriorComponents,
    PosteriorMoments,
    posterior_components,
    posterior_deviation,
    posterior_moments,
)
from gahb_theory.jacobians.reproduction import Reproduction
from gahb_theory.jacobians.sharded import ShardedJacobian, sharded_jacobian
from gahb_theory.jacobians.spectra import SVD, eigenbasis, svd
from gahb_theory.jacobians.windows import WindowRows, receptive_window, window_pieces, window_rows

__all__ = [
    "SVD",
    "Cost",
    "DimensionEstimate",
    "EigenbasisPath",
    "Jacobian",
    "JacobianCosts",
    "LinearOperator",
    "LocalSpectrum",
    "Polar",
    "PosteriorComponents",
    "PosteriorMoments",
    "Products",
    "Reproduction",
    "Schur",
    "ShardedJacobian",
    "Spectrum",
    "SubspaceDimension",
    "WindowRows",
    "difference_jacobian",
    "dimension_by_flipd",
    "dimension_by_gap",
    "dimension_by_normal_bundle",
    "eig",
    "eigenbasis",
    "eigenbasis_path",
    "jacobian",
    "jacobian_costs",
    "local_eigenbasis",
    "polar",
    "posterior_components",
    "posterior_deviation",
    "posterior_moments",
    "receptive_window",
    "schur",
    "sharded_jacobian",
    "subspace_dimension",
    "svd",
    "window_block",
    "window_pieces",
    "window_rows",
]
