"""Fourier transforms that round each line by itself.

Those of torch round an image differently in another batch or with another number of threads, which would make it depend
on more than (class, seed, index); those of SciPy (pocketfft, Reinecke 2019) do not.
"""

from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor

__all__ = ["filtered_pairs", "forward_real", "inverse_corner", "inverse_real"]


def forward_real(x: Float[Tensor, "n p"]) -> Complex[Tensor, "n q"]:
    """Transform lines, q = p / 2 + 1."""
    return torch.from_numpy(_fft().rfft(x.numpy(), axis=1))


def inverse_real(spectrum: Complex[Tensor, "n q"], points: int) -> Float[Tensor, "n p"]:
    """Sum the series of real lines of the given number of points, without a factor."""
    return torch.from_numpy(_fft().irfft(spectrum.numpy(), n=points, axis=1, norm="forward"))


def inverse_corner(spectrum: Complex[Tensor, "n s s"], size: int) -> Complex[Tensor, "n size size"]:
    """Sum series over a torus, without a factor, in its first `size` rows and columns; `spectrum` is overwritten."""
    fft = _fft()
    columns = fft.ifft(spectrum.numpy(), axis=2, norm="forward", overwrite_x=True)[:, :, :size]
    return torch.from_numpy(fft.ifft(columns, axis=1, norm="forward")[:, :size])


def filtered_pairs(x: Float[Tensor, "n s s 2"], gain: Float[Tensor, "s s2"]) -> Float[Tensor, "n s s 2"]:
    """Filter pairs of images by real and even gains, each given twice in a row.

    The images of a pair are taken as real and imaginary part; `x` is overwritten.
    """
    fft = _fft()
    spectrum = fft.fft2(torch.view_as_complex(x).numpy(), axes=(1, 2), overwrite_x=True)
    parts = spectrum.view(spectrum.real.dtype)  # real and imaginary part after one another
    parts *= gain.numpy()
    both = fft.ifft2(spectrum, axes=(1, 2), norm="forward", overwrite_x=True)
    return torch.view_as_real(torch.from_numpy(both))


def _fft() -> Any:
    from scipy import fft

    return fft
