"""Gaussian random fields of exact Hoelder regularity, in one and two dimensions.

A periodic Gaussian series of period 2 (the image is the unit square, one corner of the torus, so nothing wraps around)

    b(u) = s sum_{k != 0} |k|^{-(alpha + dim/2)} g_k exp(i pi k.u),         g_k complex white noise,

has sample paths in C^gamma for every gamma < alpha and its M-term error decays as M^{-2 alpha/dim}: a filter |k|^{-q}
gives regularity q - dim/2. The scale s makes the variance 1. The coefficients are drawn shell by shell (|k| = max
|k_i| growing), so they do not depend on the number of pixels: the same scene at any resolution, truncated at its
Nyquist frequency.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.images.transforms import inverse_corner, inverse_real
from gahb_theory.randomness import Component, normals, polar_normals

__all__ = [
    "complex_fields",
    "gaussian_fields",
    "gaussian_series",
    "lattice",
    "power_law",
    "series_amplitude",
    "series_coefficients",
]


def series_coefficients(
    n: int, size: int, alpha: float, *, seed: int, start: int, dtype: torch.dtype, part: int = 0
) -> Float[Tensor, "n k 2"]:
    """Coefficients of cos(pi k u) and sin(pi k u), k = 1 .. size - 1, of series of variance 1 and regularity alpha."""
    amplitude = series_amplitude(size, alpha).to(dtype)
    g = normals(n, 2 * (size - 1), seed=seed, start=start, component=Component.CONTOUR, part=part, dtype=dtype)
    return g.reshape(n, size - 1, 2) * amplitude[:, None]


@lru_cache(maxsize=64)
def series_amplitude(size: int, alpha: float) -> Float[Tensor, " k"]:
    """Standard deviation of both coefficients of each frequency k = 1 .. size - 1, of series of variance 1."""
    k = torch.arange(1, size, dtype=torch.float64, device="cpu")
    full = torch.arange(1, 2**20, dtype=torch.float64, device="cpu")
    # cos and sin of each frequency: variance sum_k a_k^2 (the tail beyond 2^20 in closed form)
    q = 2 * alpha + 1
    variance = float((full**-q).sum() + full[-1] ** (1 - q) / (q - 1))
    return k ** -(alpha + 0.5) / variance**0.5


def gaussian_series(
    n: int, size: int, points: int, alpha: float, *, seed: int, start: int, dtype: torch.dtype, part: int = 0
) -> Float[Tensor, "n points"]:
    """One-dimensional fields on [0, 1] with frequencies below `size`, at the centres of `points` equal cells.

    `points` is a multiple of `size`. Variance 1, regularity `alpha`.
    """
    c = series_coefficients(n, size, alpha, seed=seed, start=start, dtype=dtype, part=part)
    return evaluate_series(c, points)[:, :points]


def evaluate_series(c: Float[Tensor, "n k 2"], points: int) -> Float[Tensor, "n p"]:
    """A series with the given coefficients over its whole period [0, 2], at the centres of cells of width 1 / points."""
    cosine, sine = _half_cell(c.shape[1], points, c.dtype)
    # a cos + b sin = Re (a - i b) exp(i pi k u), and u = (p + 1/2) / points
    spectrum = torch.zeros(c.shape[0], points + 1, 2, dtype=c.dtype, device="cpu")
    inside = spectrum[:, 1 : c.shape[1] + 1]
    torch.addcmul(c[:, :, 0] * cosine, c[:, :, 1], sine, out=inside[:, :, 0])
    torch.addcmul(c[:, :, 0] * sine, c[:, :, 1], cosine, value=-1, out=inside[:, :, 1])
    return inverse_real(torch.view_as_complex(spectrum), 2 * points).div_(2)


@lru_cache(maxsize=64)
def _half_cell(count: int, points: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    phase = torch.pi * torch.arange(1, count + 1, dtype=torch.float64, device="cpu") / (2 * points)
    return phase.cos().to(dtype), phase.sin().to(dtype)


Amplitude = Callable[[Tensor], Tensor]
"""Amplitude of a field as a function of |k|^2."""


@lru_cache(maxsize=64)
def power_law(alpha: float, radius: int = 1024) -> Amplitude:
    """The amplitude |k|^-(alpha + 1), 0 at k = 0, of a two-dimensional field of regularity alpha and variance 1."""
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu") ** 2
    squared = axis[:, None] + axis[None, :]
    inside = (squared > 0) & (squared <= radius**2)
    # the tail of the sum of |k|^{-2(alpha+1)} is taken as an integral
    total = float((squared[inside] ** -(alpha + 1)).sum()) + torch.pi * radius ** (-2 * alpha) / alpha
    return lambda squared: torch.where(squared > 0, squared, torch.inf) ** (-(alpha + 1) / 2) / total**0.5


def lattice(size: int, amplitude: Amplitude, period: int = 2) -> Float[Tensor, "side side"]:
    """Amplitudes of the frequencies |k_i| < period size / 2 on the FFT lattice of the torus, of side period * size."""
    side = period * size
    k = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64, device="cpu")
    values = amplitude(k[:, None] ** 2 + k[None, :] ** 2)
    values[side // 2], values[:, side // 2] = 0, 0  # the Nyquist frequency of an even side
    return values


@lru_cache(maxsize=16)
def _layout(size: int, amplitude: Amplitude, period: int, dtype: torch.dtype) -> tuple[np.ndarray, Tensor, Tensor]:
    """For each place of the FFT lattice: its position in the order of the shells, its amplitude, its phase."""
    side = period * size
    most = (side - 1) // 2
    axis = torch.arange(-most, most + 1, device="cpu")
    k1, k2 = torch.meshgrid(axis, axis, indexing="ij")
    shell = torch.maximum(k1.abs(), k2.abs()).reshape(-1)
    # within a shell the order is row-major in (k1, k2), whatever the size
    order = torch.argsort(shell, stable=True)[1:]
    k1, k2 = k1.reshape(-1)[order], k2.reshape(-1)[order]
    position = torch.zeros(side, side, dtype=torch.int64, device="cpu")
    position[k1 % side, k2 % side] = torch.arange(len(order), device="cpu")
    values = lattice(size, amplitude, period)
    values[0, 0] = 0
    # pixel centres lie half a cell off the lattice points: a phase exp(i pi (k1 + k2) / side)
    k = torch.fft.fftfreq(side, 1 / side, dtype=torch.float64, device="cpu")
    phase = torch.pi * (k[:, None] + k[None, :]) / side
    return position.flatten().numpy(), values.flatten().to(dtype), phase.flatten().to(dtype)


def complex_fields(
    n: int,
    size: int,
    amplitude: Amplitude,
    *,
    seed: int,
    start: int,
    dtype: torch.dtype,
    part: int = 0,
    period: int = 2,
) -> Tensor:
    """Complex fields of shape (n, size, size) whose real and imaginary parts are independent and of the same distribution.

    It is that of the given amplitudes on a torus of `period` times the side of the image, without k = 0.
    """
    position, values, phase = _layout(size, amplitude, period, dtype)
    side = period * size
    count = (2 * ((side - 1) // 2) + 1) ** 2 - 1
    radius, angle = polar_normals(
        n, count, seed=seed, start=start, component=Component.FIELDS, part=part, dtype=dtype, order=position
    )
    radius.mul_(values)
    angle.add_(phase)
    spectrum = torch.complex(radius * angle.cos(), angle.sin_().mul_(radius)).reshape(n, side, side)
    return inverse_corner(spectrum, size)


def gaussian_fields(
    n: int, size: int, alpha: float, *, seed: int, start: int, dtype: torch.dtype, part: int = 0
) -> Float[Tensor, "n 2 size size"]:
    """Two independent fields per image: regularity `alpha`, variance 1, values at the pixel centres of the unit square.

    The real and the imaginary part of one complex series are independent and identically distributed: one FFT gives both.
    """
    both = complex_fields(n, size, power_law(alpha), seed=seed, start=start, dtype=dtype, part=part)
    return torch.view_as_real(both).permute(0, 3, 1, 2).contiguous()
