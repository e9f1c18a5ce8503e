"""Orthonormal bases of images.

Each module holds one family and states its atoms. Fixed: `pixels`, `fourier` (real Fourier and cosine bases), `wavelet`,
`tiled` (block cosines, principal components of patches), `pca`. Adapted to an image by the search for a best
basis: `bandlet` (with its `flows`, `quadtree` and `geometry`), `packets`, and `wedgelets`, which are a projection. Given
by a matrix: `dense` (random, tangent to a manifold, of a known covariance), and `eigen`, the basis that a denoiser itself
adapts to its input. `frames` and `curvelets` are redundant, and marked so. `base` has the interface.
"""

from gahb_theory.bases.bandlet import Bandlet
from gahb_theory.bases.base import Basis
from gahb_theory.bases.curvelets import Curvelets
from gahb_theory.bases.dense import ConditionalKLT, DenseBasis, RandomBasis, Tangent
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.bases.fourier import DCT, Fourier
from gahb_theory.bases.frames import CycleSpinning
from gahb_theory.bases.packets import WaveletPackets
from gahb_theory.bases.pca import PCA
from gahb_theory.bases.pixels import Pixels
from gahb_theory.bases.tiled import BlockDCT, PatchPCA
from gahb_theory.bases.wavelet import Wavelet
from gahb_theory.bases.wedgelets import WedgeletPartition, Wedgelets

__all__ = [
    "DCT",
    "PCA",
    "Bandlet",
    "Basis",
    "BlockDCT",
    "ConditionalKLT",
    "Curvelets",
    "CycleSpinning",
    "DenseBasis",
    "Eigenbasis",
    "Fourier",
    "PatchPCA",
    "Pixels",
    "RandomBasis",
    "Tangent",
    "Wavelet",
    "WaveletPackets",
    "WedgeletPartition",
    "Wedgelets",
]
