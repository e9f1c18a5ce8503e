"""A ball of the Hoelder space C^alpha: regularity bounded by construction, not only with probability 1.

A random wavelet series with bounded coefficients,

    x(v) = 1/2 + L sum_{j, k, o} 2^{-j (alpha + 1)} u_{jko} psi_{jko}(v - s),     |u| <= 1 uniform and independent,

psi L^2-normalised wavelets on the unit torus at the scales 2^-j, smoother than alpha and with more vanishing moments, and
s a random shift, which makes the distribution stationary. For alpha not an integer the norm of C^alpha is equivalent to
sup 2^{j (alpha + 1)} |<x, psi_{jko}>| <= L (Meyer 1992; at the integers it is that of Zygmund). L is the largest number
that keeps all intensities in [0, 1]. Unlike a Gaussian series of the same decay, whose modulus of continuity has a
factor sqrt(log 1/h), every image lies in the ball: a class for minimax statements. Their slope is alpha / (alpha + 1).
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pywt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Drawn, keep
from gahb_theory.randomness import Component, uniforms
from gahb_theory.stored_results import Result

__all__ = ["HolderBall", "HolderBallScene", "coefficient_bounds", "synthesis"]


@dataclass(frozen=True, repr=False)
class HolderBallScene(Result):
    """Images of the ball and their wavelet coefficients."""

    images: Float[Tensor, "n 1 size size"]
    coefficients: Float[Tensor, "n size size"]
    """Of x - 1/2 before the shift, in the layout of `pywt.coeffs_to_array`, for pixels as samples (orthonormal)."""
    shift: Int[Tensor, "n 2"]
    """Rows and columns by which the image is rolled, down and to the right."""


@dataclass(frozen=True)
class HolderBall(Drawn[HolderBallScene]):
    """Periodic images whose C^alpha norm is bounded.

    Parameters
    ----------
    alpha
        Regularity, above 0 and at most 8.
    size
        Height and width in pixels, a power of two, at least 16.

    See Also
    --------
    gahb_theory.GaussianField, gahb_theory.bayes_risk

    Examples
    --------
    >>> images = HolderBall(alpha=1.5, size=32).sample(4)
    >>> bool((images >= 0).all() and (images <= 1).all())
    True
    """

    alpha: float = 2.0
    size: int = 64

    def __post_init__(self) -> None:
        if keep(self, "alpha", validate.positive(self.alpha, "alpha")) > 8:
            raise ValueError(f"alpha must be at most 8, got {self.alpha:g}")
        if keep(self, "size", validate.integer(self.size, "size", 16, 4096)).bit_count() != 1:
            raise ValueError(f"size must be a power of two, got {self.size}")

    @property
    def wavelet(self) -> str:
        """The wavelet of PyWavelets: Daubechies', long enough to be smoother than alpha (about 0.2 p derivatives)."""
        return f"db{math.ceil(4 * (self.alpha + 1))}"

    @property
    def norm(self) -> float:
        """L, the bound of 2^{j (alpha + 1)} |<x, psi>|, in units of intensity."""
        return _gains(self.alpha, self.size, self.wavelet)[1]

    @property
    def optimal_slope(self) -> float:
        """Asymptotic PSNR slope alpha / (alpha + 1) of the minimax denoiser: no denoiser does better on the worst image."""
        return self.alpha / (self.alpha + 1)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> HolderBallScene:
        gains, _ = _gains(self.alpha, self.size, self.wavelet)
        u = uniforms(n, self.size**2, seed=seed, start=start, component=Component.FIELDS, dtype=dtype)
        c = (2 * u - 1).reshape(n, self.size, self.size) * gains.to(dtype)
        images = synthesis(c.numpy(), self.wavelet).clip(-0.5, 0.5) + 0.5  # the bound holds but for rounding
        place = uniforms(n, 2, seed=seed, start=start, component=Component.PARAMETERS, dtype=torch.float64)
        shift = (place * self.size).long()
        row, column = (torch.arange(self.size, device="cpu") - shift[:, d, None] for d in (0, 1))
        image = torch.arange(n, device="cpu")[:, None, None]
        rolled = torch.from_numpy(images)[image, row[:, :, None] % self.size, column[:, None, :] % self.size]
        return HolderBallScene(rolled[:, None], c, shift)


def _levels(size: int) -> int:
    return size.bit_length() - 3  # a coarse image of 4 x 4


def synthesis(c: np.ndarray, wavelet: str) -> np.ndarray:
    """Images from coefficients in the layout of pywt.coeffs_to_array, both of shape (n, size, size)."""
    coarse = c.shape[1] >> _levels(c.shape[1])
    x = c[:, :coarse, :coarse]
    while (half := x.shape[1]) < c.shape[1]:
        details = (c[:, half : 2 * half, :half], c[:, :half, half : 2 * half], c[:, half : 2 * half, half : 2 * half])
        x = pywt.idwt2((x, details), wavelet, mode="periodization", axes=(1, 2))
    return x


def coefficient_bounds(images: HolderBall) -> Float[Tensor, "size size"]:
    """The bound g of each coefficient of x - 1/2, which is uniform on [-g, g], in the layout of the coefficients."""
    return _gains(images.alpha, images.size, images.wavelet)[0]


@lru_cache(maxsize=16)
def _gains(alpha: float, size: int, wavelet: str) -> tuple[Tensor, float]:
    """Bound of each coefficient, and L: the sum of |bound * atom| is at most 1/2 in every pixel."""
    levels = _levels(size)
    coarse = size >> levels
    k = np.arange(size)
    octave = np.where(k < coarse, 0, np.log2(np.maximum(k, 1)).astype(int))  # 2^octave wavelets in a row
    scale = np.maximum(octave[:, None], octave[None, :])
    # an L^2-normalised wavelet on the unit square is size times an orthonormal vector of pixels
    decay = np.where(scale == 0, 2.0 ** (-np.log2(coarse) * (alpha + 1)), 2.0 ** (-scale * (alpha + 1.0))) * size
    total = np.zeros((size, size))
    for j in range(levels):  # |psi x phi| = |psi| x |phi|: products of lines
        half = coarse << j
        smooth, detail = (_line_atoms(size, half, part, wavelet) for part in ("low", "high"))
        gain = decay[half, 0]
        total += gain * (np.outer(smooth, detail) + np.outer(detail, smooth) + np.outer(detail, detail))
    smooth = _line_atoms(size, coarse, "low", wavelet)
    total += decay[0, 0] * np.outer(smooth, smooth)
    bound = 0.5 / float(total.max())
    return torch.from_numpy(bound * decay), bound


def _line_atoms(size: int, half: int, part: str, wavelet: str) -> np.ndarray:
    """Sum over k of the absolute values of the atoms of one octave of a line."""
    unit, zero = np.eye(half), np.zeros((half, half))
    x = pywt.idwt(*((unit, zero) if part == "low" else (zero, unit)), wavelet, mode="periodization", axis=0)
    if part == "low":  # the scaling functions themselves, not those of the next octave
        x = unit
    while x.shape[0] < size:
        x = pywt.idwt(x, np.zeros_like(x), wavelet, mode="periodization", axis=0)
    return np.abs(x).sum(axis=1)
