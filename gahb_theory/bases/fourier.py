"""Two fixed bases of harmonics: real Fourier series and discrete cosines.

The real Fourier basis of an h by w torus joins each pair of conjugate exponentials. For a frequency k = (k1, k2) and
a pixel u = (u1, u2), with the phase w_k(u) = 2 pi (k1 u1 / h + k2 u2 / w),

    e_k(u) = sqrt(2 / hw) cos w_k(u)    and    e_-k(u) = sqrt(2 / hw) sin w_k(u),        k != -k modulo (h, w),
    e_k(u) = sqrt(1 / hw) cos w_k(u),                                                    k  = -k modulo (h, w).

It diagonalises the covariance of every stationary process on the torus. The discrete cosine transform (the second
type of Ahmed, Natarajan and Rao 1974) is the product of two bases of the line,

    e_k(u) = s_k cos(pi k (u + 1/2) / n),        s_0 = sqrt(1 / n),  s_k = sqrt(2 / n) for k > 0,

and continues the image by reflection, so that it does not see a jump between opposite sides.

An edge leaves coefficients that decay so slowly that the squared error of the best M terms is of the order 1 / sqrt(M)
in both. Harmonics have to follow the edge to do better.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.precision import wide

__all__ = ["DCT", "Fourier"]


@dataclass(frozen=True)
class Fourier(Basis):
    """The real orthonormal Fourier basis of images of any size and number of channels.

    The layout is that of `torch.fft.fft2`: the coefficient at position (k1, k2) of the (h, w) grid belongs to that
    frequency. Of the two places k and -k the one that comes first holds the cosine, the other the sine. Each channel is
    transformed on its own; rows are flattened row-major, one channel after the other.

    References
    ----------
    S. Mallat, A Wavelet Tour of Signal Processing, 3rd edition, 2009, section 3.4.

    See Also
    --------
    gahb_theory.DCT, gahb_theory.Wavelet

    Examples
    --------
    A constant image is one coefficient:

    >>> import torch
    >>> c = Fourier().analysis(torch.ones(1, 1, 3, 3))
    >>> c.round(decimals=4)[0].tolist()
    [3.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Cosine and sine coefficients of each image, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        exact = wide(x)  # there is no transform of half precision
        cosine, sine = _harmonics(x.shape[-2], x.shape[-1], exact.dtype, x.device)
        spectrum = torch.fft.fft2(exact, norm="ortho")
        return (cosine * spectrum.real + sine * spectrum.imag).flatten(1).to(x.dtype)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        channels, height, width = validate.square_shape(c.shape[1], shape)
        exact = wide(c)
        cosine, sine = _harmonics(height, width, exact.dtype, c.device)
        grid = exact.reshape(-1, channels, height, width)
        return torch.fft.ifft2(torch.complex(cosine * grid, sine * grid), norm="ortho").real.to(c.dtype)


@dataclass(frozen=True)
class DCT(Basis):
    """The orthonormal discrete cosine basis (type II) of images of any size and number of channels.

    The coefficient at position (k1, k2) of the (h, w) grid belongs to the product of cosine k1 along the height and
    cosine k2 along the width. Each channel is transformed on its own; rows are flattened row-major, one channel after
    the other. Equal to `scipy.fft.dctn(x, axes=(-2, -1), norm="ortho")`.

    References
    ----------
    N. Ahmed, T. Natarajan, K. R. Rao, Discrete cosine transform, IEEE Transactions on Computers, 1974.

    See Also
    --------
    gahb_theory.Fourier, gahb_theory.Wavelet, gahb_theory.compare

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    >>> c = DCT().analysis(x)
    >>> tuple(c.shape), bool(torch.allclose(DCT().synthesis(c, (3, 5, 7)), x, atol=1e-6))
    ((2, 105), True)
    """

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Cosine coefficients of each image, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        rows, columns = (_cosines(size, x.dtype, x.device) for size in x.shape[-2:])
        return (rows @ x @ columns.mT).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        channels, height, width = validate.square_shape(c.shape[1], shape)
        rows, columns = (_cosines(size, c.dtype, c.device) for size in (height, width))
        return rows.mT @ c.reshape(-1, channels, height, width) @ columns


@lru_cache(maxsize=64)
def _harmonics(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """Weights of the real and of the imaginary part of the spectrum, each of shape (height, width)."""
    place = np.arange(height * width).reshape(height, width)
    mirror = np.roll(place[::-1, ::-1], (1, 1), axis=(0, 1))  # the place of -k
    cosine = np.where(place < mirror, np.sqrt(2.0), np.where(place == mirror, 1.0, 0.0))
    sine = np.where(place > mirror, np.sqrt(2.0), 0.0)
    with torch.inference_mode(False):  # a cached tensor must serve autograd later on
        return torch.from_numpy(cosine).to(dtype).to(device), torch.from_numpy(sine).to(dtype).to(device)


@lru_cache(maxsize=64)
def _cosines(size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The (size, size) matrix whose rows are the cosines of the line."""
    k, u = np.arange(size)[:, None], np.arange(size)[None, :]
    turns = (k * (2 * u + 1)) % (4 * size)  # whole quarter steps, so that the cosine sees no large argument
    matrix = np.sqrt(np.where(k == 0, 1.0, 2.0) / size) * np.cos(np.pi * turns / (2 * size))
    with torch.inference_mode(False):
        return torch.from_numpy(matrix).to(dtype).to(device)
