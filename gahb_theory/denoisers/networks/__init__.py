"""Networks that are trained: those of the paper, those of others, and those that change one inductive bias at a time.

bias_free       UNet and BFCNN, the two of the paper; their normalisation and initial weights
receptive       a CNN whose receptive field does not depend on its depth
conservative    the gradient of an energy, whose Jacobian is symmetric
smooth          UNets with a continuous derivative, to be made conservative: blind, or given sigma
mohan           DnCNN, and the UNet, recursive and unrolled CNN of Mohan et al. 2020
ircnn, ffdnet, drunet    of Zhang et al. 2017, 2018 and 2021
conditioned     a UNet that sees sigma
transformer     DiT, a diffusion transformer
controls        linear, fully connected and locally connected networks
initialisation  initial weights as a function of the seed, and how large a network may be
"""

from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet, initialise
from gahb_theory.denoisers.networks.conditioned import ConditionedUNet
from gahb_theory.denoisers.networks.conservative import Conservative, conservative_from
from gahb_theory.denoisers.networks.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.ircnn import IRCNN
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks.receptive import WindowedCNN, kernels_for
from gahb_theory.denoisers.networks.smooth import SmoothConditionedUNet, SmoothUNet
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
    "SmoothConditionedUNet",
    "SmoothUNet",
    "StagedCNN",
    "UNet",
    "WindowedCNN",
    "conservative_from",
    "embedding_size",
    "initialise",
    "kernels_for",
    "precondition",
]
