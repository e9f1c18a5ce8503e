"""Periodised orthonormal wavelet bases (Mallat 1989, Daubechies 1988).

One level splits a line of n samples, n even, by the low-pass filter h and the high-pass filter g, both continued
periodically,

    a(k) = sum_i h(i) x(2k - i),        b(k) = sum_i g(i) x(2k - i),        k = 0 .. n/2 - 1,

which is one orthogonal matrix W_n of order n. A level of the image transform is W_h x W_w^T: it leaves a coarse image
in the top left quarter and three images of details in the other quarters. The next level splits the coarse image in
the same way.

In the best M terms of such a basis a piecewise regular image with edges of finite length keeps a squared error of the
order 1 / M, however smooth the edges are; uniformly C^alpha images reach M^-alpha if the wavelet has more than alpha
vanishing moments (Mallat, A Wavelet Tour of Signal Processing, 3rd edition, 2009, chapter 9).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

import numpy as np
import pywt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis

__all__ = ["Wavelet", "level_matrix"]

ORTHOGONAL_FAMILIES = ("haar", "db", "sym", "coif")  # dmey is left out: its filter is orthonormal only to 3e-3
SMALLEST_COARSE_SIDE = 4


@dataclass(frozen=True)
class Wavelet(Basis):
    """A periodised orthonormal wavelet basis.

    Coefficients are those of `pywt.wavedec2(x, name, mode="periodization", level=levels)`, in the Mallat layout of
    `pywt.coeffs_to_array`: one array of the size of the image with the coarse image at the top left. Each channel is
    transformed on its own; rows are flattened row-major, one channel after the other.

    Parameters
    ----------
    name
        An orthogonal wavelet of PyWavelets: "haar", "db1" to "db38", "sym2" to "sym20", "coif1" to "coif17".
        Reconstruction is exact to rounding for all but the sym family, whose filters PyWavelets stores to about
        1e-11.
    levels
        Number of levels J; 2^J must divide both sides of the image. None takes the largest such J that leaves a coarse
        image of at least 4 pixels on each side, and at least one level.

    Raises
    ------
    ValueError
        If the wavelet is unknown or not orthogonal, or if a side of an image is not divisible by 2^levels.

    References
    ----------
    S. Mallat, A theory for multiresolution signal decomposition: the wavelet representation, IEEE PAMI, 1989.
    I. Daubechies, Orthonormal bases of compactly supported wavelets, Comm. Pure and Applied Mathematics, 1988.

    See Also
    --------
    gahb_theory.Bandlet, gahb_theory.ShrinkageDenoiser

    Examples
    --------
    >>> import torch
    >>> x = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    >>> basis = Wavelet("db4", levels=2)
    >>> c = basis.analysis(x)
    >>> bool(torch.allclose(basis.synthesis(c), x, atol=1e-5))
    True
    >>> [int((basis.bands((1, 16, 16)) == band).sum()) for band in range(3)]
    [16, 48, 192]
    """

    name: str = "db4"
    levels: int | None = None

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.levels is not None:
            object.__setattr__(self, "levels", validate.integer(self.levels, "levels", 1, 30))

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Wavelet coefficients of each image, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        return self._split(x, self.levels_for(x.shape[-2], x.shape[-1])).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        channels, height, width = validate.square_shape(c.shape[1], shape)
        return self._join(c.reshape(-1, channels, height, width), self.levels_for(height, width))

    def levels_for(self, height: int, width: int) -> int:
        """Return the number of levels the transform of an image of this size has."""
        height, width = validate.integer(height, "height", 1), validate.integer(width, "width", 1)
        divisor = math.gcd(height, width)
        most = (divisor & -divisor).bit_length() - 1  # the largest power of two that divides both sides
        if most == 0:
            raise ValueError(
                f"a wavelet transform needs even sides, got {height} x {width}; "
                "crop or pad the images, or use Fourier() or DCT(), which take any size"
            )
        if self.levels is None:
            coarsest = (min(height, width) // SMALLEST_COARSE_SIDE).bit_length() - 1
            return max(1, min(most, coarsest))
        if self.levels > most:
            raise ValueError(
                f"{self.levels} levels need sides divisible by {2**self.levels}, got {height} x {width}; "
                f"images of this size allow levels 1 to {most}, or None for a default"
            )
        return self.levels

    def bands(self, shape: Sequence[int]) -> Int[Tensor, " k"]:
        """Return the scale of each coefficient: 0 for the coarse image, 1 to J for the details from coarse to fine.

        Parameters
        ----------
        shape
            Image shape (channels, height, width).

        Returns
        -------
        Integers of shape (channels * height * width,), in the order of the coefficients.
        """
        channels, height, width = validate.sizes(shape, 3)
        levels = self.levels_for(height, width)
        rows, columns = (_line_bands(size, levels) for size in (height, width))
        return torch.maximum(rows[:, None], columns[None, :]).flatten().repeat(channels)

    def _split(self, x: Tensor, levels: int) -> Tensor:
        height, width = x.shape[-2:]
        rows, columns = (level_matrix(self.name, size, x.dtype, x.device) for size in (height, width))
        y = rows @ x @ columns.mT
        if levels == 1:
            return y
        return _with_corner(y, self._split(y[..., : height // 2, : width // 2], levels - 1))

    def _join(self, y: Tensor, levels: int) -> Tensor:
        height, width = y.shape[-2:]
        if levels > 1:
            y = _with_corner(y, self._join(y[..., : height // 2, : width // 2], levels - 1))
        rows, columns = (level_matrix(self.name, size, y.dtype, y.device) for size in (height, width))
        return rows.mT @ y @ columns


def _with_corner(y: Tensor, corner: Tensor) -> Tensor:
    """The image `y` with its top left part replaced by `corner`."""
    height, width = corner.shape[-2:]
    top = torch.cat([corner, y[..., :height, width:]], dim=-1)
    return torch.cat([top, y[..., height:, :]], dim=-2)


def _line_bands(size: int, levels: int) -> Tensor:
    starts = torch.tensor([size >> level for level in range(1, levels + 1)], device="cpu")
    return (torch.arange(size, device="cpu")[:, None] >= starts).sum(dim=1)


@lru_cache(maxsize=128)
def level_matrix(name: str, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The orthogonal matrix W_n of one level: n/2 rows of low-pass above n/2 rows of high-pass."""
    halves = pywt.dwt(np.eye(size), name, mode="periodization", axis=0)
    with torch.inference_mode(False):  # a cached tensor must serve autograd later on
        return torch.from_numpy(np.concatenate(halves)).to(dtype).to(device)


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"wavelet must be the name of a wavelet, got {type(name).__name__}")
    families = {family: pywt.wavelist(family) for family in ORTHOGONAL_FAMILIES}
    allowed = [member for members in families.values() for member in members]
    if name in allowed:
        return
    ranges = ", ".join(f"{m[0]} to {m[-1]}" if len(m) > 1 else m[0] for m in families.values())
    if name in pywt.wavelist():
        raise ValueError(
            f"wavelet {name!r} has no orthonormal filters, so that Parseval's equation would not hold; "
            f"orthonormal wavelets are {ranges}"
        )
    near = get_close_matches(name.lower(), allowed, n=3)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ValueError(f"unknown wavelet {name!r}; {hint}orthonormal wavelets are {ranges}")
