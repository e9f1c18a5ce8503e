"""Networks: those of the paper, those of others, and those that change one inductive bias at a time."""

from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet, initialise
from gahb_theory.denoisers.networks.conditioned import ConditionedUNet
from gahb_theory.denoisers.networks.conservative import Conservative, conservative_from
from gahb_theory.denoisers.networks.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.ircnn import IRCNN
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks.receptive import WindowedCNN, kernels_for
from gahb_theory.denoisers.networks.transformer import DiT, NoiseEmbedding, embedding_size, precondition

__all__ = [
    "BFCNN",
    "IRCNN",
    "BiasFreeNorm",
    "ConditionedUNet",
    "Conservative",
    "DRUNet",
    "DiT",
    "DilatedUNet",
    "DnCNN",
    "FFDNet",
    "FullyConnected",
    "LinearConvolution",
    "LinearDenoiser",
    "LocallyConnected",
    "NoiseEmbedding",
    "RecursiveCNN",
    "StagedCNN",
    "UNet",
    "WindowedCNN",
    "conservative_from",
    "embedding_size",
    "initialise",
    "kernels_for",
    "precondition",
]
