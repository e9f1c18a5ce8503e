"""Geometric C^alpha images: regular regions separated by regular contours (Kadkhodaie et al. 2024, appendix E).

    x = m b_1 + (1 - m) b_2,        m = area coverage of {y > C(x)},

with a contour C of Hoelder regularity alpha and backgrounds b_1, b_2 of regularity beta. The optimal denoiser of the
class has a PSNR slope a / (a + 1), a = min(alpha, beta) (Korostelev and Tsybakov 1993). With several contours each
region {exactly k of the contours lie above, or around} has a background of its own,

    x = sum_k m_k b_k,        sum_k m_k = 1 .
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Drawn, keep
from gahb_theory.images.batches import block_length, draw_images
from gahb_theory.images.contours import ClosedContours, GraphContours
from gahb_theory.images.covariance import RegionCovariance, StationaryCovariance
from gahb_theory.images.fields import evaluate_series, gaussian_fields, lattice, power_law, series_coefficients
from gahb_theory.images.published_c_alpha import paper_images, paper_sample
from gahb_theory.images.raster import area_below, area_inside, blurred
from gahb_theory.randomness import Component, uniforms
from gahb_theory.stored_results import Result

__all__ = ["CAlpha", "CAlphaScene", "background_covariance"]

SUB_COLUMNS = 16
CONTOUR_STD = 0.13
RADIUS_STD = 0.2
BACKGROUND_STD = 0.1


@dataclass(frozen=True, repr=False)
class CAlphaScene(Result):
    """C^alpha images and their truth, c contours in each.

    For one contour images = coverage * backgrounds[:, :1] + (1 - coverage) * backgrounds[:, 1:]; for any number they are
    the sum of weights * backgrounds.
    """

    images: Float[Tensor, "n 1 size size"]
    contour: Float[Tensor, "n *curves size"]
    """A graph: its height at the column centres, as a fraction of the image height, from the top. A closed contour:
    its radius at equal angles. Of shape (n, size) for one contour, else (n, c, size)."""
    coverage: Float[Tensor, "n c size size"]
    """Fraction of each pixel with at least 1, 2, ..., c contours above it (or around it)."""
    backgrounds: Float[Tensor, "n r size size"]
    """Of the regions with c, c - 1, ..., 0 contours above (or around)."""
    contours: GraphContours | ClosedContours | None
    """The contours as functions; None for the "paper" convention, whose contours exist at whole pixels only."""
    covariance: RegionCovariance | None
    """Covariance of each image given its contours; None for the "paper" convention, which is not Gaussian."""

    @property
    def weights(self) -> Float[Tensor, "n r size size"]:
        """Share of each region in each pixel, in the order of `backgrounds`; they sum to 1."""
        return _weights(self.coverage)


@dataclass(frozen=True)
class CAlpha(Drawn[CAlphaScene]):
    """Images of regularity alpha along and away from contours that cross the image, or close in it.

    Parameters
    ----------
    alpha
        Regularity of the contours, above 0.
    beta
        Regularity of the backgrounds; None means alpha.
    size
        Height and width in pixels, at least 4.
    convention
        "holder": amplitudes |k|^-(alpha + 1/2) for the contour and |k|^-(beta + 1) for the backgrounds, which give just
        these regularities; Gaussian coefficients that do not depend on the size (the same scene at any resolution); the
        contour is rendered by exact area coverage. The means of neighbouring regions differ by at least `jump`.

        "paper": the published generator to the letter: amplitudes |k|^-alpha in both (regularity alpha - 1/2 of the
        contour and beta - 1 of the backgrounds), uniform white noise, contour rounded to whole pixels, mask blurred
        by a 2x2 box with its shift of half a pixel, backgrounds stretched between their extremes. Only its contours
        that leave the image, which inverted the mask, are mended.
    jump
        Smallest difference of the means of neighbouring regions ("holder" only), in (0, 0.5].
    contours
        Number of contours ("holder" only), 1 to 8. Several graphs are tilted alternately, so that neighbours cross;
        crossings are transversal with probability 1 for alpha > 1.
    contour
        "graph": from left to right through the image. "closed": around a centre, r(angle) a random series ("holder"
        only).
    blur
        Standard deviation in pixels of a Gaussian blur of the coverage ("holder" only), 0 to size / 8; 0.5 to 0.8
        removes what aliasing the area coverage leaves.

    Notes
    -----
    Intensities lie in [0, 1] but for Gaussian tails ("holder"), which are not clipped: clipping would change the
    regularity.

    The coverage is exact for contours taken linear between 16 points per pixel. Where two closed contours cross, the
    few pixels of the crossing hold the product of the two coverages.

    See Also
    --------
    gahb_theory.Disks, gahb_theory.Photographs, gahb_theory.dataset, gahb_theory.bayes_risk

    Examples
    --------
    >>> images = CAlpha(alpha=2.0, size=32).sample(3, seed=1)
    >>> images.shape
    torch.Size([3, 1, 32, 32])
    >>> crossing = CAlpha(alpha=3.0, size=32, contours=2).scene(1)
    >>> crossing.coverage.shape
    torch.Size([1, 2, 32, 32])
    """

    alpha: float = 2.0
    beta: float | None = None
    size: int = 64
    convention: Literal["holder", "paper"] = "holder"
    jump: float = 0.2
    contours: int = 1
    contour: Literal["graph", "closed"] = "graph"
    blur: float = 0.0

    def __post_init__(self) -> None:
        keep(self, "alpha", validate.positive(self.alpha, "alpha"))
        if self.beta is not None:
            keep(self, "beta", validate.positive(self.beta, "beta"))
        keep(self, "size", validate.integer(self.size, "size", 4, 4096))
        keep(self, "contours", validate.integer(self.contours, "contours", 1, 8))
        validate.one_of(self.convention, "convention", ("holder", "paper"))
        validate.one_of(self.contour, "contour", ("graph", "closed"))
        keep(self, "jump", validate.number(self.jump, "jump", above=0.0, most=0.5))
        if not 0 <= keep(self, "blur", validate.number(self.blur, "blur")) <= self.size / 8:
            raise ValueError(f"blur must lie in [0, size / 8] = [0, {self.size / 8:g}] pixels, got {self.blur}")
        if self.convention == "paper" and (self.contours, self.contour, self.blur) != (1, "graph", 0):
            raise ValueError(
                'the "paper" convention has one contour, a graph, and no blur of its own; leave contours, contour and '
                'blur at their defaults, or use convention="holder"'
            )

    @property
    def background_regularity(self) -> float:
        """The exponent beta, alpha where it is not given."""
        return self.alpha if self.beta is None else self.beta

    @property
    def optimal_slope(self) -> float | None:
        """Asymptotic PSNR slope a / (a + 1) of the minimax denoiser, a the smaller of the regularities the images have.

        It bounds the worst image of that regularity. The optimal denoiser of the images as they are drawn has a slope that
        is not less, and that a finite grid does not show.
        These are alpha and beta for "holder", alpha - 1/2 and beta - 1 for "paper"; None if that is not above 0.
        """
        lost = (0.5, 1.0) if self.convention == "paper" else (0.0, 0.0)
        a = min(self.alpha - lost[0], self.background_regularity - lost[1])
        return a / (a + 1) if a > 0 else None

    @property
    def nominal_slope(self) -> float:
        """The slope a / (a + 1) of the smaller a of alpha and beta: what the paper compares with, whatever the convention."""
        a = min(self.alpha, self.background_regularity)
        return a / (a + 1)

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        shape = (1, self.size, self.size)
        if self.convention == "paper":
            parameters = self.size, self.alpha, self.background_regularity
            return draw_images(
                lambda count, first: paper_sample(count, *parameters, seed=seed, start=first, dtype=dtype),
                *(n, start, self._block, shape, dtype),
                threads=torch.get_num_threads(),
            )
        return draw_images(
            lambda count, first: self._parts(count, seed, first, dtype)[0], n, start, self._block, shape, dtype
        )

    @property
    def _block(self) -> int:
        return block_length(self.size**2, self.contours)

    @property
    def _scene_shape(self) -> tuple[int, ...]:
        return (3 + 2 * self.contours, self.size, self.size)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> CAlphaScene:
        images, contour, coverage, backgrounds, contours = self._parts(n, seed, start, dtype)
        covariance = None
        if self.convention == "holder":
            means = _means_covariance(self.contours, self.jump).to(dtype).expand(n, -1, -1)
            field = background_covariance(self.size, self.background_regularity)
            covariance = RegionCovariance(_weights(coverage), field, means)
        return CAlphaScene(images, contour, coverage, backgrounds, contours, covariance)

    def _parts(
        self, n: int, seed: int, start: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, GraphContours | ClosedContours | None]:
        """Images, contour, coverage, backgrounds, contours."""
        if self.convention == "paper":
            beta = self.background_regularity
            return (*paper_images(n, self.size, self.alpha, beta, seed=seed, start=start, dtype=dtype), None)
        u, coefficients = self.numbers(n, seed=seed, start=start, dtype=dtype)
        contour, coverage, contours = self._render(u, coefficients)
        backgrounds = self._backgrounds(u, seed, start)
        if self.contours == 1:
            contour, images = contour[:, 0], _mix(backgrounds, coverage)
        else:
            images = (_weights(coverage) * backgrounds).sum(dim=1, keepdim=True)
        return images, contour, coverage, backgrounds, contours

    def numbers(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> tuple[Float[Tensor, "n c p"], Float[Tensor, "n c k 2"]]:
        """The random numbers that determine the contours and the means of the regions ("holder" only).

        Uniform ones for each contour, of which a graph uses height, centre, gap, and side or tilt, a closed contour in
        the place of the height its centre and radius, which come last; and the coefficients of its series.
        """
        parts = range(self.contours)
        u = torch.stack([self._parameters(n, seed, start, j, dtype) for j in parts], dim=1)
        return u, torch.stack([self._series(n, seed, start, j, dtype) for j in parts], dim=1)

    def regions(
        self, u: Float[Tensor, "n c p"], coefficients: Float[Tensor, "n c k 2"]
    ) -> Float[Tensor, "n r size size"]:
        """Share of each region in each pixel, for random numbers such as those of `numbers`; they sum to 1."""
        return _weights(self._render(u, coefficients)[1])

    def _render(self, u: Tensor, coefficients: Tensor) -> tuple[Tensor, Tensor, GraphContours | ClosedContours]:
        """Contour, coverage, contours as functions."""
        render = _graphs if self.contour == "graph" else _closed
        contour, coverage, contours = render(u, coefficients, self.size)
        return contour, blurred(coverage, self.blur) if self.blur > 0 else coverage, contours

    def _parameters(self, n: int, seed: int, start: int, part: int, dtype: torch.dtype) -> Tensor:
        count = 4 if self.contour == "graph" else 7
        return uniforms(n, count, seed=seed, start=start, component=Component.PARAMETERS, part=part, dtype=dtype)

    def _series(self, n: int, seed: int, start: int, part: int, dtype: torch.dtype) -> Tensor:
        return series_coefficients(n, self.size, self.alpha, seed=seed, start=start, part=part, dtype=dtype)

    def _backgrounds(self, u: Tensor, seed: int, start: int) -> Tensor:
        """The field of each region plus its mean; neighbours lie on different sides of a common centre."""
        n, c, dtype = u.shape[0], self.contours, u.dtype
        centre = 0.4 + 0.2 * u[:, :1, 1]
        gaps = self.jump + (0.5 - self.jump) * u[:, :, 2]
        gaps = torch.cat([gaps[:, :1], gaps], dim=1)  # the first two regions share theirs
        side = torch.where(u[:, :1, 3] < 0.5, -1.0, 1.0).to(dtype) * (-1.0) ** torch.arange(
            c + 1, dtype=dtype, device="cpu"
        )
        fields = [
            gaussian_fields(n, self.size, self.background_regularity, seed=seed, start=start, part=part, dtype=dtype)
            for part in range(c // 2 + 1)
        ]
        fields_of_regions = fields[0] if c == 1 else torch.cat(fields, dim=1)[:, : c + 1]
        return fields_of_regions.mul_(BACKGROUND_STD).add_((centre + side * gaps / 2)[:, :, None, None])


def _graphs(u: Tensor, coefficients: Tensor, size: int) -> tuple[Tensor, Tensor, GraphContours]:
    n, c = u.shape[:2]
    if c == 1:
        height, tilt = 0.3 + 0.4 * u[:, :, 0], torch.zeros_like(u[:, :, 0])
    else:
        height = 0.4 + 0.2 * u[:, :, 0]
        tilt = (0.4 + 0.4 * u[:, :, 3]) * (-1.0) ** torch.arange(c, dtype=u.dtype, device="cpu")
    points = SUB_COLUMNS * size
    t = (torch.arange(points, dtype=u.dtype, device="cpu") + 0.5) / points
    series = evaluate_series(coefficients.flatten(0, 1), points)[:, :points].reshape(n, c, points)
    fine = torch.add(height[:, :, None], series, alpha=CONTOUR_STD)
    if c > 1:
        fine += tilt[:, :, None] * (t - 0.5)
    middle = fine.reshape(n, c, size, SUB_COLUMNS)[..., SUB_COLUMNS // 2 - 1 : SUB_COLUMNS // 2 + 1].mean(dim=3)
    # at least k contours lie above a point if the k-th from the top does
    ordered = fine if c == 1 else fine.sort(dim=1).values
    coverage = area_below((size * ordered).flatten(0, 1), size).reshape(n, c, size, size)
    return middle, coverage, GraphContours(height, tilt, CONTOUR_STD * coefficients)


def _closed(u: Tensor, coefficients: Tensor, size: int) -> tuple[Tensor, Tensor, ClosedContours]:
    n, c = u.shape[:2]
    centre, radius = 0.3 + 0.4 * u[:, :, 4:6], 0.15 + 0.15 * u[:, :, 6]
    points = SUB_COLUMNS * size
    series = evaluate_series(coefficients.flatten(0, 1), points).reshape(n, c, 2 * points)
    along = radius[:, :, None] * torch.exp(RADIUS_STD * series)
    angle = 2 * torch.pi * (torch.arange(2 * points, dtype=u.dtype, device="cpu") + 0.5) / (2 * points)
    vertices = torch.stack([along * angle.sin(), along * angle.cos()], dim=-1) + centre[:, :, None]
    single = area_inside((size * vertices).flatten(0, 1), size).reshape(n, c, size, size)
    coverage = single
    if c > 1:  # at least k of j + 1 contours: at least k of the first j, or k - 1 of them and the new one
        levels = [torch.ones_like(single[:, 0])] + [torch.zeros_like(single[:, 0])] * c
        for m in single.unbind(dim=1):
            levels = levels[:1] + [torch.lerp(levels[k], levels[k - 1], m) for k in range(1, c + 1)]
        coverage = torch.stack(levels[1:], dim=1)
    middle = along.reshape(n, c, size, 2 * SUB_COLUMNS)[..., SUB_COLUMNS - 1 : SUB_COLUMNS + 1].mean(dim=3)
    return middle, coverage, ClosedContours(centre, radius, RADIUS_STD * coefficients)


def _mix(backgrounds: Tensor, coverage: Tensor) -> Tensor:
    first, second = backgrounds[:, :1], backgrounds[:, 1:]
    return (first - second).mul_(coverage).add_(second)


def _weights(coverage: Tensor) -> Tensor:
    """From the fractions with at least 1, ..., c contours to those with exactly c, ..., 0."""
    least = torch.cat([torch.ones_like(coverage[:, :1]), coverage], dim=1)
    exactly = torch.cat([least[:, :-1] - least[:, 1:], least[:, -1:]], dim=1)
    return exactly.flip(1)


@lru_cache(maxsize=8)
def background_covariance(size: int, beta: float) -> StationaryCovariance:
    """Covariance of the field of each region, without its mean, of regularity beta."""
    return StationaryCovariance((BACKGROUND_STD * lattice(size, power_law(beta))) ** 2, size)


def _means_covariance(contours: int, jump: float) -> Tensor:
    """Covariance of the means: centre uniform on [0.4, 0.6], gaps uniform on [jump, 0.5], one random sign."""
    mean = (jump + 0.5) / 2
    square = (jump**2 + jump * 0.5 + 0.25) / 3
    gap = torch.full((contours + 1, contours + 1), mean**2, dtype=torch.float64, device="cpu")
    gap[:2, :2] = square
    gap.fill_diagonal_(square)
    sign = (-1.0) ** torch.arange(contours + 1, dtype=torch.float64, device="cpu")
    return 0.2**2 / 12 + sign[:, None] * sign[None, :] * gap / 4
