"""Denoisers that are exact: the posterior mean of a known distribution, or the best under a constraint.

gaussian      of a Gaussian distribution, any covariance
stationary    of a stationary Gaussian distribution, by Fourier transforms
mixtures      of mixtures of Gaussians and of unions of subspaces
empirical     of a finite set of images, and of the rays through them
smoothed      the same, averaged over displacements of the noisy image
disks         of the class `Disks`, by importance sampling
tangent       projection on the tangent space of a manifold: an oracle for small noise
local         each pixel estimated from the patch around it
equivariant   the same, with the patches of all places
composites    each patch estimated on its own, and averaged where patches overlap
patches       what these three have in common; the side of a patch for each noise level
holder_posterior  of the class `HolderBall`: a shrinkage for each wavelet coefficient
cone_posterior    of the classes `Ray` and `SineCone`
chain_posterior   of `CAlpha`, `Disks`, `Ellipses`, `Polygons`, by the chains of posterior_chain over contour_target or
                  parameter_target; given_regions: images given their regions
own_jacobian      what the last three have in common: J from the posterior, and its eigenbasis
bounded_normal    a uniform number in Gaussian noise
finite_sums   posterior means over a finite set in bounded memory
"""

from gahb_theory.denoisers.exact.chain_posterior import CAlphaBayes, ChainPosterior, ManifoldBayes
from gahb_theory.denoisers.exact.composites import PatchComposite
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.denoisers.exact.disk_posterior import DiskBayes, DiskPosterior
from gahb_theory.denoisers.exact.empirical import EmpiricalBayes, EmpiricalRays
from gahb_theory.denoisers.exact.equivariant import BoundaryBrokenPatchBayes, EquivariantPatchBayes
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes
from gahb_theory.denoisers.exact.local import PatchBayes, WienerPatchBayes
from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians, union_of_subspaces
from gahb_theory.denoisers.exact.patches import (
    BUDGET,
    Boundary,
    PatchMachine,
    PatchSchedule,
    calibrate_patches,
)
from gahb_theory.denoisers.exact.smoothed import SmoothedEmpiricalBayes
from gahb_theory.denoisers.exact.stationary import StationaryGaussianDenoiser
from gahb_theory.denoisers.exact.tangent import TangentDenoiser

__all__ = [
    "BUDGET",
    "Boundary",
    "BoundaryBrokenPatchBayes",
    "CAlphaBayes",
    "ChainPosterior",
    "ConeBayes",
    "DiskBayes",
    "DiskPosterior",
    "EmpiricalBayes",
    "EmpiricalRays",
    "EquivariantPatchBayes",
    "GaussianDenoiser",
    "GaussianMixture",
    "HolderBallBayes",
    "ManifoldBayes",
    "PatchBayes",
    "PatchComposite",
    "PatchMachine",
    "PatchSchedule",
    "SmoothedEmpiricalBayes",
    "StationaryGaussianDenoiser",
    "TangentDenoiser",
    "WienerPatchBayes",
    "calibrate_patches",
    "mixture_of_gaussians",
    "union_of_subspaces",
]
