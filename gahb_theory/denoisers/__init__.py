"""Denoisers: one of the four nouns.

`base` states the contract. Trained: `networks` (the paper's), `receptive` (its windows set apart from depth), `mohan`
(Mohan et al. 2020), `conditioned`, `transformer` and `controls` (the inductive biases one by one). Exact: `exact`,
`stationary`, `mixtures`, `empirical`, `disks`; under constraints: `local`, `equivariant`, `tangent`. `shrinking` makes a
denoiser of a basis and a shrinkage. Others' own: `ircnn`, `ffdnet`, `drunet` (Zhang et al.), `adapters`, `probing` and
`classical`. On disk: `checkpoints`, `tensor_files`, `foreign`, `own_states`, `adapted_files`, `published`, `hub`.
"""

from gahb_theory.denoisers.adapters import Adapted, Convention, adapt
from gahb_theory.denoisers.base import Denoiser, DenoiserModule, Network
from gahb_theory.denoisers.checkpoints.files import load_denoiser, save_denoiser
from gahb_theory.denoisers.classical import AdaptedArrays, NonLocalMeans, adapt_arrays
from gahb_theory.denoisers.diffusion import AdaptedDiffusion, DiffusionConvention, adapt_diffusion
from gahb_theory.denoisers.exact.disk_posterior import DiskBayes, DiskPosterior
from gahb_theory.denoisers.exact.empirical import EmpiricalBayes, EmpiricalRays
from gahb_theory.denoisers.exact.equivariant import BoundaryBrokenPatchBayes, EquivariantPatchBayes
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.exact.local import PatchBayes, WienerPatchBayes
from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians, union_of_subspaces
from gahb_theory.denoisers.exact.patches import PatchSchedule, calibrate_patches
from gahb_theory.denoisers.exact.stationary import StationaryGaussianDenoiser
from gahb_theory.denoisers.exact.tangent import TangentDenoiser
from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet
from gahb_theory.denoisers.networks.conditioned import ConditionedUNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.ircnn import IRCNN
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks.receptive import WindowedCNN, kernels_for
from gahb_theory.denoisers.networks.transformer import DiT
from gahb_theory.denoisers.probing import Probe, probe
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser

__all__ = [
    "BFCNN",
    "IRCNN",
    "Adapted",
    "AdaptedArrays",
    "AdaptedDiffusion",
    "BiasFreeNorm",
    "BoundaryBrokenPatchBayes",
    "ConditionedUNet",
    "Conservative",
    "Convention",
    "DRUNet",
    "Denoiser",
    "DenoiserModule",
    "DiT",
    "DiffusionConvention",
    "DilatedUNet",
    "DiskBayes",
    "DiskPosterior",
    "DnCNN",
    "EmpiricalBayes",
    "EmpiricalRays",
    "EquivariantPatchBayes",
    "FFDNet",
    "FullyConnected",
    "GaussianDenoiser",
    "GaussianMixture",
    "LinearConvolution",
    "LinearDenoiser",
    "LocallyConnected",
    "Network",
    "NonLocalMeans",
    "PatchBayes",
    "PatchSchedule",
    "Probe",
    "RecursiveCNN",
    "ShrinkageDenoiser",
    "StagedCNN",
    "StationaryGaussianDenoiser",
    "TangentDenoiser",
    "UNet",
    "WienerPatchBayes",
    "WindowedCNN",
    "adapt",
    "adapt_arrays",
    "adapt_diffusion",
    "calibrate_patches",
    "kernels_for",
    "load_denoiser",
    "mixture_of_gaussians",
    "probe",
    "save_denoiser",
    "union_of_subspaces",
]
