"""Orthonormal bases of images: one of the four nouns.

Each module holds one family and states its atoms: `base` the contract, `pixels`, `fourier` (real Fourier and cosine
bases), `wavelet`, `pca`, and `eigen`, the basis that a denoiser itself adapts to its input.
"""

from gahb_theory.bases.bandlet import Bandlet
from gahb_theory.bases.base import Basis
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.bases.fourier import DCT, Fourier
from gahb_theory.bases.pca import PCA
from gahb_theory.bases.pixels import Pixels
from gahb_theory.bases.wavelet import Wavelet

__all__ = ["DCT", "PCA", "Bandlet", "Basis", "Eigenbasis", "Fourier", "Pixels", "Wavelet"]
