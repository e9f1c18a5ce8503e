"""Geometric C^alpha images: two regular regions separated by a regular contour (Kadkhodaie et al. 2024, appendix E).

    x = m b_1 + (1 - m) b_2,        m = area coverage of {y > C(x)},

with a contour C of Hoelder regularity alpha and backgrounds b_1, b_2 of regularity beta. The optimal denoiser of the
class has a PSNR slope a / (a + 1), a = min(alpha, beta) (Korostelev and Tsybakov 1993).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.fields import gaussian_fields, gaussian_series
from gahb_theory.images.raster import area_below
from gahb_theory.randomness import Component, uniforms

__all__ = ["CAlpha", "CAlphaScene"]

SUB_COLUMNS = 16
CONTOUR_STD = 0.13
BACKGROUND_STD = 0.1


@dataclass(frozen=True)
class CAlphaScene:
    """C^alpha images and their truth: images = coverage * backgrounds[:, :1] + (1 - coverage) * backgrounds[:, 1:]."""

    images: Float[Tensor, "n 1 size size"]
    contour: Float[Tensor, "n size"]
    """Height of the contour at the column centres, as a fraction of the image height, from the top."""
    coverage: Float[Tensor, "n 1 size size"]
    """Fraction of each pixel that lies below the contour."""
    backgrounds: Float[Tensor, "n 2 size size"]


@dataclass(frozen=True)
class CAlpha:
    """Images of regularity alpha along and away from one contour that crosses the image.

    Parameters
    ----------
    alpha
        Regularity of the contour, above 0.
    beta
        Regularity of the backgrounds; None means alpha.
    size
        Height and width in pixels, at least 4.
    convention
        "holder": amplitudes |k|^-(alpha + 1/2) for the contour and |k|^-(beta + 1) for the backgrounds, which give just
        these regularities; Gaussian coefficients that do not depend on the size (the same scene at any resolution); the
        contour is rendered by exact area coverage. The means of the two regions differ by at least `jump`.

        "paper": the published generator to the letter: amplitudes |k|^-alpha in both (regularity alpha - 1/2 of the
        contour and beta - 1 of the backgrounds), uniform white noise, contour rounded to whole pixels, mask blurred
        by a 2x2 box with its shift of half a pixel, backgrounds stretched between their extremes. Only its contours
        that leave the image, which inverted the mask, are mended.
    jump
        Smallest difference of the means of the two regions ("holder" only), in (0, 0.5].

    Notes
    -----
    Intensities lie in [0, 1] but for Gaussian tails ("holder"), which are not clipped: clipping would change the
    regularity.

    Examples
    --------
    >>> images = CAlpha(alpha=2.0, size=32).sample(3, seed=1)
    >>> images.shape
    torch.Size([3, 1, 32, 32])
    """

    alpha: float = 2.0
    beta: float | None = None
    size: int = 64
    convention: Literal["holder", "paper"] = "holder"
    jump: float = 0.2

    def __post_init__(self) -> None:
        validate.positive(self.alpha, "alpha")
        if self.beta is not None:
            validate.positive(self.beta, "beta")
        validate.integer(self.size, "size", 4, 4096)
        if self.convention not in ("holder", "paper"):
            raise ValueError(f'convention must be "holder" or "paper", got {self.convention!r}')
        if not 0 < self.jump <= 0.5:
            raise ValueError(f"jump must lie in (0, 0.5], got {self.jump}")

    @property
    def background_regularity(self) -> float:
        """The exponent beta, alpha where it is not given."""
        return self.alpha if self.beta is None else self.beta

    @property
    def dimension(self) -> None:
        """The class is not a manifold of finite dimension."""
        return None

    @property
    def optimal_slope(self) -> float:
        """Asymptotic PSNR slope a / (a + 1) of the optimal denoiser, a the smaller of the two nominal regularities."""
        a = min(self.alpha, self.background_regularity)
        return a / (a + 1)

    def sample(
        self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        return self.scene(n, seed, start, dtype).images

    def scene(self, n: int, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> CAlphaScene:
        """Images with their contours, coverage and backgrounds."""
        validate.integer(n, "n", 1)
        draw = _holder if self.convention == "holder" else _paper
        contour, coverage, backgrounds = draw(self, n, seed, start, dtype)
        images = backgrounds[:, 1:] + coverage * (backgrounds[:, :1] - backgrounds[:, 1:])
        return CAlphaScene(images, contour, coverage, backgrounds)


def _holder(law: CAlpha, n: int, seed: int, start: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    u = uniforms(n, 4, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
    height = 0.3 + 0.4 * u[:, 0]
    centre = 0.4 + 0.2 * u[:, 1]
    gap = (law.jump + (0.5 - law.jump) * u[:, 2]) * torch.where(u[:, 3] < 0.5, -1.0, 1.0)
    means = torch.stack([centre + gap / 2, centre - gap / 2], dim=1)

    series = gaussian_series(n, law.size, SUB_COLUMNS * law.size, law.alpha, seed=seed, start=start, dtype=dtype)
    fine = height[:, None] + CONTOUR_STD * series
    coverage = area_below(law.size * fine, law.size)
    fields = gaussian_fields(n, law.size, law.background_regularity, seed=seed, start=start, dtype=dtype)
    backgrounds = means[:, :, None, None] + BACKGROUND_STD * fields
    middle = fine.reshape(n, law.size, SUB_COLUMNS)[:, :, SUB_COLUMNS // 2 - 1 : SUB_COLUMNS // 2 + 1]
    return middle.mean(dim=2), coverage[:, None], backgrounds


def _paper(law: CAlpha, n: int, seed: int, start: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    size = law.size
    white = 2 * uniforms(n, size, seed=seed, start=start, component=Component.CONTOUR, dtype=dtype) - 1
    k = np.arange(size // 2 + 1, dtype=np.float64).clip(min=1)
    # by numpy, whose transforms do not depend on the batch
    contour = torch.from_numpy(np.fft.irfft(np.fft.rfft(white.numpy()) * k**-law.alpha, n=size)).to(dtype)
    rows = (torch.round(contour * size) + size // 2).clamp(0, size)
    mask = (torch.arange(size, dtype=dtype)[None, :, None] >= rows[:, None, :]).to(dtype)[:, None]
    mask = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(mask, (1, 0, 1, 0), mode="reflect"), 2, stride=1)

    noise = 2 * uniforms(n, 2 * size**2, seed=seed, start=start, component=Component.FIELDS, dtype=dtype) - 1
    radius = np.hypot(np.fft.fftfreq(size, 1 / size)[:, None], np.arange(size // 2 + 1)[None, :])
    radius[0, 0] = 1
    spectrum = np.fft.rfft2(noise.reshape(n, 2, size, size).numpy()) * radius**-law.background_regularity
    fields = torch.from_numpy(np.fft.irfft2(spectrum, s=(size, size))).to(dtype)
    unit = fields - fields.amin((2, 3), keepdim=True)
    unit = unit / unit.amax((2, 3), keepdim=True)

    u = uniforms(n, 3, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)
    low, high = torch.zeros(n, 2, dtype=dtype), torch.ones(n, 2, dtype=dtype)
    bright = (u[:, 2] >= 0.5).long()  # one region is stretched to [u_0, 1], the other to [0, u_1]
    low.scatter_(1, bright[:, None], u[:, :1])
    high.scatter_(1, 1 - bright[:, None], u[:, 1:2])
    backgrounds = low[:, :, None, None] + (high - low)[:, :, None, None] * unit
    return rows / size, mask, backgrounds
