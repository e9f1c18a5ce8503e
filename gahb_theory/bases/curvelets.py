"""Curvelets: a tight frame of oscillations that are long along an edge and short across it.

The uniform discrete curvelet transform (Nguyen and Chauris 2010) cuts the plane of frequencies into a low band L and
wedges W_b, whose length grows as the square of their width, each with its own decimation:

    c_0 = decimate(L x),    z_b = decimate(sqrt(2) W_b x),    c_b = (Re z_b, Im z_b) ;
    L(k)^2 + sum_b (W_b(k)^2 + W_b(-k)^2) = 1    =>    sum of c^2 = ||x||^2 ,

since no wedge overlaps itself when the plane is folded by its decimation. M terms approximate an image with C^2 edges
with an error of order M^-2 (log M)^3 (Candes and Donoho 2004). The windows come from the package `curvelets`; they are
applied here to whole batches, by one gather and one Fourier transform for each size of wedges.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.precision import wide

__all__ = ["Curvelets"]

REDUNDANCY = 4


@dataclass(frozen=True)
class Curvelets(Basis):
    """The uniform discrete curvelet transform, with four coefficients for each pixel.

    The real and the imaginary part of a coefficient count as two. Scaled by 2 the transform is a tight frame with bound
    4, so that the synthesis, its adjoint divided by 4, is the pseudo-inverse. The mean squared norm of the atoms is 1;
    each norm is 1 to within 9 % for sides of 2 steps, 5 % for 4 and 3 % for 8, a step being the largest decimation, and
    so is the level of the noise in the coefficients. Boundaries are periodic; channels are transformed apart.

    Measure the risk of its denoisers with `psnr_curve`: the sum of squared errors of coefficients is not that of
    pixels. The package `curvelets` must be installed: pip install 'gahb-theory[frames]'.

    Parameters
    ----------
    scales
        Number of scales with the low band, at least 3. The sides of the images must be multiples of the step
        2^(scales - 1) * wedges / 3, and at least two of them.
    wedges
        Number of wedges at the coarsest scale in each of the two directions, a multiple of 3; it doubles from scale to
        scale.

    Raises
    ------
    ImportError
        If the package `curvelets` is not installed.

    References
    ----------
    T. T. Nguyen, H. Chauris, Uniform discrete curvelet transform, IEEE Trans. Signal Processing 58, 2010.
    E. J. Candes, D. L. Donoho, New tight frames of curvelets and optimal representations of objects with piecewise C^2
    singularities, Comm. Pure Appl. Math. 57, 2004.

    Examples
    --------
    >>> import torch
    >>> frame = Curvelets(scales=3)  # doctest: +SKIP
    >>> x = torch.rand(2, 1, 32, 32)
    >>> c = frame.analysis(x)  # doctest: +SKIP
    >>> tuple(c.shape), bool(torch.allclose(frame.synthesis(c), x, atol=1e-5))  # doctest: +SKIP
    ((2, 4096), True)
    """

    scales: int = 4
    wedges: int = 3
    is_orthonormal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", validate.integer(self.scales, "scales", 3, 12))
        object.__setattr__(self, "wedges", validate.integer(self.wedges, "wedges", 3, 3 * 2**10))
        if self.wedges % 3:
            raise ValueError(f"wedges must be a multiple of 3, got {self.wedges}")
        _package()

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients of each image, shape (batch, 4 * pixels): the low band, then scale by scale."""
        dtype = validate.images(x, "x").dtype
        x = wide(x)  # there is no transform of half precision
        plan = _plan(*x.shape[2:], self.scales, self.wedges)
        source, place, weights = plan.on(x)
        waves = torch.fft.fft2(x.flatten(0, 1), norm="ortho").flatten(1)
        folded = waves.new_zeros(len(waves), plan.total).index_add(1, place, waves[:, source] * weights)
        parts = []
        for number, (part, band) in enumerate(zip(torch.split(folded, plan.lengths, dim=1), plan.bands, strict=True)):
            z = torch.fft.ifft2(part.reshape(-1, *band), norm="ortho").flatten(1)
            parts.append(z.real if number == 0 else torch.view_as_real(z).flatten(1))
        return torch.cat(parts, dim=1).reshape(x.shape[0], -1).to(dtype)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images of least-squares coefficients; `shape` = (channels, height, width), square and grey if None."""
        dtype = validate.coefficients(c).dtype
        c = wide(c)
        if c.shape[1] % REDUNDANCY:
            raise ValueError(f"c must hold {REDUNDANCY} coefficients for each pixel, got {c.shape[1]} in all")
        channels, height, width = validate.square_shape(c.shape[1] // REDUNDANCY, shape)
        plan = _plan(height, width, self.scales, self.wedges)
        source, place, weights = plan.on(c)
        low, high = plan.lengths[0], [2 * length for length in plan.lengths[1:]]
        parts = []
        each = torch.split(c.reshape(c.shape[0] * channels, -1), [low, *high], dim=1)
        for number, (part, band) in enumerate(zip(each, plan.bands, strict=True)):
            z = part if number == 0 else torch.view_as_complex(part.reshape(len(part), -1, 2))
            parts.append(torch.fft.fft2(z.reshape(-1, *band), norm="ortho").flatten(1))
        spread = torch.cat(parts, dim=1)[:, place] * weights
        waves = spread.new_zeros(len(spread), height * width).index_add(1, source, spread)
        x = torch.fft.ifft2(waves.reshape(-1, height, width), norm="ortho").real
        return (x / REDUNDANCY).reshape(-1, channels, height, width).to(dtype)


@dataclass(frozen=True)
class _Plan:
    """Where each frequency of the image goes in the folded bands, and its weight there."""

    source: Tensor
    place: Tensor
    weights: Tensor
    bands: tuple[tuple[int, int, int], ...]
    """Number of wedges and size of their coefficients, the low band first."""

    @property
    def lengths(self) -> list[int]:
        return [math.prod(band) for band in self.bands]

    @property
    def total(self) -> int:
        return sum(self.lengths)

    def on(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.source.to(x.device), self.place.to(x.device), self.weights.to(x.dtype).to(x.device)


@lru_cache(maxsize=16)
def _plan(height: int, width: int, scales: int, wedges: int) -> _Plan:
    largest = 2 ** (scales - 1) * wedges // 3
    if height % largest or width % largest or min(height, width) < 2 * largest:
        raise ValueError(
            f"the sides of the images must be multiples of {largest}, and at least {2 * largest}, for {scales} scales and "
            f"{wedges} wedges, got {height} x {width}; crop the images or take fewer scales"
        )
    with torch.inference_mode(False):  # cached tensors must serve autograd later on
        plan = _folded(height, width, scales, wedges)
        _check_tight(plan, height, width)
    return plan


def _folded(height: int, width: int, scales: int, wedges: int) -> _Plan:
    transform = _package().UDCT((height, width), num_scales=scales, wedges_per_direction=wedges)
    steps = [ratio.tolist() for ratio in transform.decimation_ratios]
    source, place, weights, bands, begin = [], [], [], [], 0
    for scale, directions in enumerate(transform.windows):
        for direction, windows in enumerate(directions):
            row_step, column_step = steps[scale][min(direction, len(steps[scale]) - 1)]
            h, w = height // row_step, width // column_step
            for window in windows:
                k = window.indices.flatten()
                source.append(k)
                place.append(begin + (k // width % h) * w + k % width % w)
                weights.append(window.values.double() * (1 if scale == 0 else math.sqrt(2)))
                begin += h * w
            bands.append((len(windows), h, w))
    return _Plan(torch.cat(source), torch.cat(place), math.sqrt(REDUNDANCY) * torch.cat(weights), tuple(bands))


def _check_tight(plan: _Plan, height: int, width: int) -> None:
    """Refuse windows that fold onto themselves or whose squares do not sum to 1."""
    power = torch.zeros(height * width, dtype=torch.float64, device="cpu").index_add(
        0, plan.source, plan.weights.square()
    )
    power = power.reshape(height, width)
    mirrored = power.flip(0, 1).roll((1, 1), dims=(0, 1))
    folds = int(torch.bincount(plan.place).max()) > 1
    if folds or float(((power + mirrored) / (2 * REDUNDANCY) - 1).abs().max()) > 1e-9:
        raise ValueError(
            f"the windows of the package curvelets are no tight frame of {height} x {width} images; take 3 wedges, or "
            "sides that are powers of 2"
        )


def _package() -> ModuleType:
    try:
        import curvelets.torch
    except ImportError as error:
        raise ImportError("Curvelets needs the package curvelets: pip install 'gahb-theory[frames]'") from error
    return curvelets.torch
