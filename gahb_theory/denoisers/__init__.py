"""Denoisers: one of the four nouns.

`base` states the contract; `networks` holds those that are trained, `exact` those that are optimal for a known law,
`shrinking` those made of a basis and a shrinkage; `checkpoints` saves and loads networks.
"""

from gahb_theory.denoisers.adapters import Adapted, AdaptedDiffusion, Convention, adapt, adapt_diffusion
from gahb_theory.denoisers.base import Denoiser, DenoiserModule, Network
from gahb_theory.denoisers.checkpoints import load_denoiser, save_denoiser
from gahb_theory.denoisers.exact import GaussianDenoiser
from gahb_theory.denoisers.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks import BFCNN, BiasFreeNorm, UNet
from gahb_theory.denoisers.probing import Probe, probe
from gahb_theory.denoisers.receptive import WindowedCNN, kernels_for
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser

__all__ = [
    "BFCNN",
    "Adapted",
    "AdaptedDiffusion",
    "BiasFreeNorm",
    "Convention",
    "Denoiser",
    "DenoiserModule",
    "DilatedUNet",
    "DnCNN",
    "GaussianDenoiser",
    "Network",
    "Probe",
    "RecursiveCNN",
    "ShrinkageDenoiser",
    "StagedCNN",
    "UNet",
    "WindowedCNN",
    "adapt",
    "adapt_diffusion",
    "kernels_for",
    "load_denoiser",
    "probe",
    "save_denoiser",
]
