"""Gaussian random fields of exact Hoelder regularity, in one and two dimensions.

A periodic Gaussian series of period 2 (the image is the unit square, one corner of the torus, so nothing wraps around)

    b(u) = s sum_{k != 0} |k|^{-(alpha + dim/2)} g_k exp(i pi k.u),         g_k complex white noise,

has sample paths in C^gamma for every gamma < alpha and its M-term error decays as M^{-2 alpha/dim}: a filter |k|^{-q}
gives regularity q - dim/2. The scale s makes the variance 1. The coefficients are drawn shell by shell (|k| = max
|k_i| growing), so they do not depend on the number of pixels: the same scene at any resolution, truncated at its
Nyquist frequency.

The sums are fast Fourier transforms by numpy, which treats each line alone. Those of torch round an image differently
in another batch or with another number of threads.
"""

from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.randomness import Component, normals

__all__ = ["gaussian_fields", "gaussian_series"]


def gaussian_series(
    n: int, size: int, points: int, alpha: float, *, seed: int, start: int, dtype: torch.dtype
) -> Float[Tensor, "n points"]:
    """One-dimensional fields on [0, 1] with frequencies below `size`, at the centres of `points` equal cells.

    `points` is a multiple of `size`. Variance 1, regularity `alpha`.
    """
    k = torch.arange(1, size, dtype=torch.float64)
    amplitude = k ** -(alpha + 0.5) / _series_variance(alpha) ** 0.5
    g = torch.view_as_complex(
        normals(n, 2 * (size - 1), seed=seed, start=start, component=Component.CONTOUR, dtype=dtype).reshape(n, -1, 2)
    )
    # a (g_0 cos + g_1 sin) is twice the real part of a wave; cell centres lie half a cell off the lattice points
    centre = torch.polar(amplitude / 2, -torch.pi * k / (2 * points))
    spectrum = torch.zeros(n, points + 1, dtype=g.dtype)
    spectrum[:, 1:size] = (g * centre.to(g.dtype)).conj()
    lines = np.fft.irfft(spectrum.numpy(), n=2 * points, axis=1, norm="forward")[:, :points]
    return torch.from_numpy(np.ascontiguousarray(lines)).to(dtype)


@lru_cache(maxsize=64)
def _series_variance(alpha: float) -> float:
    """Sum of k^{-(2 alpha + 1)} over the positive integers, with the tail as an integral."""
    k = torch.arange(1, 2**20, dtype=torch.float64)
    return float((k ** -(2 * alpha + 1)).sum() + k[-1] ** (-2 * alpha) / (2 * alpha))


@lru_cache(maxsize=16)
def _shells(size: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Frequencies 0 < |k|_inf < size by shells: their positions in the (2 size)^2 FFT lattice, and amplitudes."""
    axis = torch.arange(-(size - 1), size)
    k1, k2 = torch.meshgrid(axis, axis, indexing="ij")
    shell = torch.maximum(k1.abs(), k2.abs()).reshape(-1)
    # within a shell the order is row-major in (k1, k2), whatever the size
    order = torch.argsort(shell, stable=True)[1:]
    k1, k2 = k1.reshape(-1)[order], k2.reshape(-1)[order]
    amplitude = (k1**2 + k2**2).double() ** (-(alpha + 1) / 2) / _total_variance(alpha) ** 0.5
    # pixel centres lie half a cell off the lattice points: a phase exp(i pi (k1 + k2) / (2 size))
    centre = torch.polar(amplitude, torch.pi * (k1 + k2).double() / (2 * size))
    return (k1 % (2 * size)) * (2 * size) + k2 % (2 * size), centre


@lru_cache(maxsize=64)
def _total_variance(alpha: float, radius: int = 1024) -> float:
    """Sum of |k|^{-2(alpha+1)} over the non-zero integers of the plane, with the tail as an integral."""
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64) ** 2
    squared = axis[:, None] + axis[None, :]
    inside = (squared > 0) & (squared <= radius**2)
    return float((squared[inside] ** -(alpha + 1)).sum()) + torch.pi * radius ** (-2 * alpha) / alpha


def gaussian_fields(
    n: int, size: int, alpha: float, *, seed: int, start: int, dtype: torch.dtype
) -> Float[Tensor, "n 2 size size"]:
    """Two independent fields per image: regularity `alpha`, variance 1, values at the pixel centres of the unit square.

    The real and the imaginary part of one complex series are independent and of the same law: one FFT gives both.
    """
    position, amplitude = _shells(size, alpha)
    count = position.numel()
    g = torch.view_as_complex(
        normals(n, 2 * count, seed=seed, start=start, component=Component.FIELDS, dtype=dtype).reshape(n, count, 2)
    )
    spectrum = torch.zeros(n, 4 * size * size, dtype=g.dtype)
    spectrum[:, position] = g * amplitude.to(g.dtype)
    rows = np.fft.ifft(spectrum.reshape(n, 2 * size, 2 * size).numpy(), axis=1, norm="forward")[:, :size]
    both = np.fft.ifft(rows, axis=2, norm="forward")[:, :, :size]
    return torch.from_numpy(np.stack([both.real, both.imag], axis=1)).to(dtype)
