"""Denoisers f(y, sigma) -> x_hat: networks, exact posterior means, shrinkage in a basis, and those of others.

base          the interface, and what all denoisers of the library have in common
networks/     networks that are trained: UNet, BF-CNN, DnCNN, transformer, controls
exact/        posterior means in closed form, and the best denoisers under a constraint
checkpoints/  saved denoisers, and files that others have published
shrinking     a basis and a shrinkage as a denoiser
adapters      networks that are called in another way, or return noise, residual or score
diffusion     networks that see the time of a diffusion
schedulers    the convention of such a network, read from its scheduler
latents       denoisers of latents, with their autoencoder
onnx_files    networks in ONNX files
probing       which of these ways a network has, found by trying
classical     functions on numpy images, non-local means
shapes        checks of the shape of images
"""

from gahb_theory.denoisers.adapters import Adapted, Convention, adapt
from gahb_theory.denoisers.base import Denoiser, DenoiserModule, Network
from gahb_theory.denoisers.checkpoints.files import load_denoiser, save_denoiser
from gahb_theory.denoisers.classical import AdaptedArrays, NonLocalMeans, adapt_arrays
from gahb_theory.denoisers.diffusion import EDM, AdaptedDiffusion, DiffusionConvention, FlowMatching
from gahb_theory.denoisers.exact.composites import PatchComposite
from gahb_theory.denoisers.exact.disk_posterior import DiskBayes, DiskPosterior
from gahb_theory.denoisers.exact.empirical import EmpiricalBayes, EmpiricalRays
from gahb_theory.denoisers.exact.equivariant import BoundaryBrokenPatchBayes, EquivariantPatchBayes
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.exact.local import PatchBayes, WienerPatchBayes
from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians, union_of_subspaces
from gahb_theory.denoisers.exact.patches import PatchSchedule, calibrate_patches
from gahb_theory.denoisers.exact.smoothed import SmoothedEmpiricalBayes
from gahb_theory.denoisers.exact.stationary import StationaryGaussianDenoiser
from gahb_theory.denoisers.exact.tangent import TangentDenoiser
from gahb_theory.denoisers.latents import AdaptedLatents, adapt_latents
from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet
from gahb_theory.denoisers.networks.conditioned import ConditionedUNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.ircnn import IRCNN
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks.receptive import WindowedCNN, kernels_for
from gahb_theory.denoisers.networks.smooth import SmoothConditionedUNet, SmoothUNet
from gahb_theory.denoisers.networks.transformer import DiT
from gahb_theory.denoisers.onnx_files import OnnxNetwork
from gahb_theory.denoisers.probing import Probe, probe
from gahb_theory.denoisers.schedulers import adapt_diffusion
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser

__all__ = [
    "BFCNN",
    "EDM",
    "IRCNN",
    "Adapted",
    "AdaptedArrays",
    "AdaptedDiffusion",
    "AdaptedLatents",
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
    "FlowMatching",
    "FullyConnected",
    "GaussianDenoiser",
    "GaussianMixture",
    "LinearConvolution",
    "LinearDenoiser",
    "LocallyConnected",
    "Network",
    "NonLocalMeans",
    "OnnxNetwork",
    "PatchBayes",
    "PatchComposite",
    "PatchSchedule",
    "Probe",
    "RecursiveCNN",
    "ShrinkageDenoiser",
    "SmoothConditionedUNet",
    "SmoothUNet",
    "SmoothedEmpiricalBayes",
    "StagedCNN",
    "StationaryGaussianDenoiser",
    "TangentDenoiser",
    "UNet",
    "WienerPatchBayes",
    "WindowedCNN",
    "adapt",
    "adapt_arrays",
    "adapt_diffusion",
    "adapt_latents",
    "calibrate_patches",
    "kernels_for",
    "load_denoiser",
    "mixture_of_gaussians",
    "probe",
    "save_denoiser",
    "union_of_subspaces",
]
