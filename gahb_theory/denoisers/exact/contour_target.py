"""The posterior of the contours of "holder" C^alpha images, as a density over standard normal numbers.

Everything that determines the regions is made of independent standard normals z: a uniform parameter is Phi(z), a
coefficient of a series its standard deviation times z. So the prior is N(0, Id) and the posterior

    p(z | y)  ~  exp(-||z||^2 / 2) p(y | regions(z)) ,

with the evidence of `given_regions`, in which the fields and the means of the regions are integrated out. The centre of
the means, the first gap and, where nothing else depends on it, the side are integrated by quadrature; the gaps of
further contours are among z.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.denoisers.exact.given_regions import Dense, MeanNodes, Moments, given_regions, legendre, quick_regions
from gahb_theory.images.c_alpha import CAlpha, background_covariance
from gahb_theory.images.fields import series_amplitude

__all__ = ["ContourTarget"]

NODES = 12
CENTRE = 0.5
EXACT_ERROR = 1e-5


class ContourTarget:
    """The posterior over contours at n noisy images.

    Parameters
    ----------
    images
        A "holder" class.
    y
        Noisy images, flat, (n, d), double precision.
    sigma
        Noise level.
    """

    def __init__(self, images: CAlpha, y: Float[Tensor, "n d"], sigma: float) -> None:
        self.images, self.sigma = images, sigma
        self.y = y - CENTRE  # smaller numbers round less; the means of the regions are shifted alike
        self.uniform = used_uniforms(images)
        series = series_amplitude(images.size, images.alpha).double()
        self.amplitude = series.repeat_interleave(2).repeat(images.contours)
        self.dimension = len(self.uniform) + len(self.amplitude)
        values, vectors = torch.linalg.eigh(background_covariance(images.size, images.background_regularity).matrix())
        spectrum = values.flip(0).clamp(min=0), vectors.flip(1)
        self.coarse = quick_regions(spectrum, sigma)
        self.fine = given_regions(spectrum, sigma, EXACT_ERROR)
        self.full = Dense((spectrum[1] * spectrum[0]) @ spectrum[1].mT, sigma**2)
        self.y_single = self.y.float()

    def scales(self) -> Float[Tensor, " D"]:
        """A rough guess of the posterior standard deviation of each number, where to begin the search."""
        size = self.images.size
        gap = (self.images.jump + 0.5) / 2
        information = size * (gap / self.sigma) ** 2  # of a shift of the contour by one pixel
        reach = torch.cat(
            [torch.full((len(self.uniform),), 0.15, dtype=torch.float64), 0.13 * self.amplitude * 0.5**0.5]
        )
        return (1 + information * (size * reach).square()).rsqrt()

    def surrogate(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, " m"]:
        """An approximation of the log evidence of image index[i], quick and in single precision."""
        single = z.float()
        return self.coarse.log_evidence(self.weights(single), self.nodes(single), self.y_single[index]).double()

    def exact(self, z: Float[Tensor, "m D"], index: Tensor) -> Moments:
        """Log evidence and posterior mean given the contours."""
        result = self.fine.moments(self.weights(z), self.nodes(z), self.y[index])
        return Moments(result.log_evidence, result.mean + CENTRE)

    def trace(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, " m"]:
        """The trace of the posterior covariance given the contours."""
        return self.fine.trace(self.weights(z), self.nodes(z), self.y[index])

    def covariance(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, "m d d"]:
        """Posterior covariance given the contours, nothing left out."""
        return self.full.covariance(self.weights(z), self.nodes(z), self.y[index])

    def weights(self, z: Float[Tensor, "m D"]) -> Float[Tensor, "m R d"]:
        """Share of each region in each pixel."""
        u = self._uniforms(z)
        c = z[:, len(self.uniform) :] * self.amplitude.to(z)
        coefficients = c.reshape(len(z), self.images.contours, self.images.size - 1, 2)
        return self.images.regions(u, coefficients).flatten(2)

    def nodes(self, z: Float[Tensor, "m D"]) -> MeanNodes:
        """The means of the regions, about 1/2, at the nodes of the quadrature rule."""
        jump, c = self.images.jump, self.images.contours
        x, weight = legendre(NODES)
        centre, gap = torch.meshgrid(0.4 + 0.2 * x - CENTRE, jump + (0.5 - jump) * x, indexing="ij")
        log_weights = (weight[:, None] * weight).log().flatten()
        sign = (-1.0) ** torch.arange(c + 1, dtype=torch.float64)
        centre, gap = centre.reshape(1, -1, 1), gap.reshape(1, -1, 1)
        u = self._uniforms(z).double() if c > 1 else None
        if u is not None:
            others = (jump + (0.5 - jump) * u[:, 1:, 2])[:, None]
            gap = torch.cat([gap.expand(len(z), -1, 2), others.expand(-1, gap.shape[1], -1)], dim=2)
        if u is not None and self.images.contour == "graph":  # the tilt of the first graph tells the side
            side = torch.where(u[:, 0, 3] < 0.5, -1.0, 1.0)[:, None, None]
            means = centre + side * sign * gap / 2
        else:
            means = torch.cat([centre + sign * gap / 2, centre - sign * gap / 2], dim=1)
            log_weights = log_weights.repeat(2)
        return MeanNodes(means.to(z), log_weights.to(z))

    def truth(self, n: int, seed: int, start: int = 0) -> Float[Tensor, "n D"]:
        """The numbers behind images start .. start + n - 1 of the class: one exact draw of the posterior of each."""
        u, coefficients = self.images.numbers(n, seed=seed, start=start, dtype=torch.float64)
        known = torch.stack([u[:, j, k] for j, k in self.uniform], dim=1).clamp(2.0**-60, 1 - 2.0**-53)
        return torch.cat([torch.special.ndtri(known), coefficients.flatten(1) / self.amplitude], dim=1)

    def _uniforms(self, z: Tensor) -> Tensor:
        count = 4 if self.images.contour == "graph" else 7
        u = torch.full((len(z), self.images.contours, count), 0.5, dtype=z.dtype)
        values = torch.special.ndtr(z[:, : len(self.uniform)])
        for column, (j, k) in enumerate(self.uniform):
            u[:, j, k] = values[:, column]
        return u


def used_uniforms(images: CAlpha) -> list[tuple[int, int]]:
    """Contour and place of the uniform numbers that determine regions, or gaps beyond the first."""
    c = images.contours
    places = ((0,) if c == 1 else (0, 3)) if images.contour == "graph" else (4, 5, 6)
    return [(j, k) for j in range(c) for k in places] + [(j, 2) for j in range(1, c)]
