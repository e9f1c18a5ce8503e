"""Gaussian fields whose covariance is known exactly: power laws, Matern fields, stationary textures.

On a torus of `period` times the side of the image, with independent complex white noise g_k,

    x(u) = mean + std Re sum_{k != 0} a(|k|) g_k exp(2 pi i k.u / period),      Cov(u, u') = std^2 sum_k a^2 cos(...),

    power law   a ~ |k|^-(alpha + 1)                          regularity alpha, at every scale alike;
    Matern      a ~ (1 / l^2 + |2 pi k / period|^2)^-((alpha + 1) / 2)   the same below the correlation length l
                                                              (Matern 1960; Whittle 1954);
    texture     a ~ exp(-(|k| / period - f)^2 / (4 b^2))      a band of width b around f cycles per image.

The covariance makes the Wiener filter the optimal denoiser at every noise level, and its risk
sum_k s_k sigma^2 / (s_k + sigma^2) exact, s_k the eigenvalues.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import keep
from gahb_theory.images.batches import block_length, draw_images
from gahb_theory.images.covariance import StationaryCovariance
from gahb_theory.images.fields import Amplitude, complex_fields, lattice, power_law
from gahb_theory.stored_results import Result

__all__ = ["GaussianField", "GaussianFieldScene", "Texture"]


@dataclass(frozen=True, repr=False)
class GaussianFieldScene(Result):
    """Images of a Gaussian distribution, and its covariance, which is that of every image."""

    images: Float[Tensor, "n 1 size size"]
    mean: float
    covariance: StationaryCovariance


class _Stationary:
    """What the fields share: a subclass has an amplitude and a period."""

    size: int
    mean: float
    std: float
    period: int = 2

    @property
    def dimension(self) -> None:
        """None: not a manifold of finite dimension."""
        return None

    @property
    def covariance(self) -> StationaryCovariance:
        """Exact covariance of the pixels."""
        return _covariance(self.size, self._amplitude, self.period, self.std)

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        size, amplitude = self.size, self._amplitude

        def draw(count: int, first: int) -> Tensor:
            pairs = (first + count + 1) // 2 - first // 2  # images 2 p and 2 p + 1: both parts of the complex field p
            both = complex_fields(pairs, size, amplitude, seed=seed, start=first // 2, dtype=dtype, period=self.period)
            images = torch.view_as_real(both).permute(0, 3, 1, 2).reshape(2 * pairs, 1, size, size)
            return images[first % 2 : first % 2 + count].mul_(self.std).add_(self.mean)

        return draw_images(draw, n, start, 2 * block_length(size**2), (1, size, size), dtype)

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> GaussianFieldScene:
        """Images with the mean and the covariance of their distribution."""
        return GaussianFieldScene(self.sample(n, seed=seed, start=start, dtype=dtype), self.mean, self.covariance)

    @property
    def _amplitude(self) -> Amplitude:
        raise NotImplementedError

    def _keep_moments(self) -> None:
        keep(self, "mean", validate.number(self.mean, "mean", least=0.0, most=1.0))
        keep(self, "std", validate.number(self.std, "std", above=0.0, most=1.0))


@dataclass(frozen=True)
class GaussianField(_Stationary):
    """Stationary Gaussian fields of regularity `exponent`.

    Parameters
    ----------
    exponent
        Hoelder regularity alpha of the sample paths, above 0.
    size
        Height and width in pixels, at least 4.
    spectrum
        "power": a power law. "matern": flat beyond the correlation length.
    correlation_length
        l as a fraction of the side ("matern" only), above 0.
    period
        2: a corner of a torus of twice the side, so that nothing wraps around; the same scene at any size. 1: periodic
        images, whose covariance the Fourier basis diagonalises.
    mean, std
        Of a pixel.

    Notes
    -----
    The frequency 0 is left out, and those beyond the resolution of the image; `std` is that of the whole series.

    See Also
    --------
    gahb_theory.GaussianDenoiser, gahb_theory.HolderBall, gahb_theory.bayes_risk

    Examples
    --------
    >>> field = GaussianField(exponent=2.0, size=32)
    >>> field.sample(3).shape
    torch.Size([3, 1, 32, 32])
    >>> field.covariance.matrix().shape
    torch.Size([1024, 1024])
    """

    exponent: float = 2.0
    size: int = 64
    spectrum: Literal["power", "matern"] = "power"
    correlation_length: float = 0.2
    period: Literal[1, 2] = 2
    mean: float = 0.5
    std: float = 0.15

    def __post_init__(self) -> None:
        keep(self, "exponent", validate.positive(self.exponent, "exponent"))
        keep(self, "size", validate.integer(self.size, "size", 4, 4096))
        validate.one_of(self.spectrum, "spectrum", ("power", "matern"))
        keep(self, "correlation_length", validate.positive(self.correlation_length, "correlation_length"))
        if keep(self, "period", validate.integer(self.period, "period", 1)) > 2:
            raise ValueError(f"period must be 1 (periodic images) or 2, got {self.period}")
        self._keep_moments()

    @property
    def optimal_slope(self) -> float:
        """Asymptotic PSNR slope alpha / (alpha + 1) of the optimal denoiser, here the Wiener filter."""
        return self.exponent / (self.exponent + 1)

    @property
    def _amplitude(self) -> Amplitude:
        if self.spectrum == "power":
            return power_law(self.exponent)
        return _matern(self.exponent, self.correlation_length, self.period)


@dataclass(frozen=True)
class Texture(_Stationary):
    """Stationary Gaussian textures: every direction, one band of frequencies.

    Parameters
    ----------
    size
        Height and width in pixels, at least 8.
    frequency
        Centre f of the band in cycles per image, above 0 and below size / 2.
    bandwidth
        Standard deviation b of the power spectrum across the band, in cycles per image, at least 0.25.
    mean, std
        Of a pixel.

    Examples
    --------
    >>> Texture(size=32, frequency=5.0).sample(2).shape
    torch.Size([2, 1, 32, 32])
    """

    size: int = 64
    frequency: float = 8.0
    bandwidth: float = 1.0
    mean: float = 0.5
    std: float = 0.15

    def __post_init__(self) -> None:
        keep(self, "size", validate.integer(self.size, "size", 8, 4096))
        if keep(self, "frequency", validate.positive(self.frequency, "frequency")) >= self.size / 2:
            raise ValueError(f"frequency must lie below size / 2 = {self.size / 2:g}, got {self.frequency}")
        if keep(self, "bandwidth", validate.positive(self.bandwidth, "bandwidth")) < 0.25:
            raise ValueError(f"bandwidth must be at least 0.25 cycles per image, got {self.bandwidth}")
        self._keep_moments()

    @property
    def optimal_slope(self) -> None:
        """No power law: the risk of the Wiener filter follows from `covariance`."""
        return None

    @property
    def _amplitude(self) -> Amplitude:
        return _band(self.size, self.frequency, self.bandwidth)


@lru_cache(maxsize=16)
def _covariance(size: int, amplitude: Amplitude, period: int, std: float) -> StationaryCovariance:
    values = std * lattice(size, amplitude, period)
    values[0, 0] = 0
    return StationaryCovariance(values**2, size)


@lru_cache(maxsize=16)
def _matern(alpha: float, length: float, period: int, radius: int = 1024) -> Amplitude:
    inverse, scale = length**-2, (2 * math.pi / period) ** 2
    axis = torch.arange(-radius, radius + 1, dtype=torch.float64, device="cpu") ** 2
    squared = axis[:, None] + axis[None, :]
    inside = (squared > 0) & (squared <= radius**2)
    tail = math.pi * (inverse + scale * radius**2) ** -alpha / (alpha * scale)
    total = float(((inverse + scale * squared[inside]) ** -(alpha + 1)).sum()) + tail
    if not 1e-290 < total < 1e290:
        raise ValueError(
            f"exponent {alpha:g} and correlation_length {length:g} leave the range of double precision; give a "
            "correlation_length about the size of the image (0.01 to 10), or a smaller exponent"
        )
    return lambda squared: (inverse + scale * squared) ** (-(alpha + 1) / 2) / total**0.5


@lru_cache(maxsize=16)
def _band(size: int, frequency: float, bandwidth: float) -> Amplitude:
    def bump(squared: Tensor) -> Tensor:
        return torch.exp(-((squared.sqrt() / 2 - frequency) ** 2) / (4 * bandwidth**2))

    values = lattice(size, bump)
    values[0, 0] = 0
    total = float((values**2).sum())
    return lambda squared: bump(squared) / total**0.5
