"""The posterior of the parameters of disks, ellipses and polygons, as a density over standard normal numbers.

The images are x(u), u independent uniform numbers, u = Phi(z), so that with a prior N(0, Id) of z

    p(z | y)  ~  exp( -||z||^2 / 2 - ||y - x(Phi(z))||^2 / (2 sigma^2) ) .

The angle of an ellipse is that of two normal numbers, halved: nothing separates an angle just above 0 from one just below pi,
which is the same ellipse.

Polygons are drawn through sorting and permutations (Valtr 1995), in which a small change of the polygon may be a large one
of the numbers. Their corners are uniform among all that are in convex position, scaled to their bounding box: here z are the
corners q = Phi(z) in the unit square themselves, with likelihood 0 where they are not convex or not in their order. The
bounding box of q is not seen in the image. Given the shape it has the density e^(k-2) (1 - e) of each side e, and its place is
uniform, which is how an exact draw of z for a given polygon of k corners is made.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.denoisers.exact.given_regions import Moments
from gahb_theory.images.disks import Disks
from gahb_theory.images.ellipses import Ellipses
from gahb_theory.images.polygons import Polygons
from gahb_theory.randomness import Component, uniforms

__all__ = ["EllipseTarget", "ParameterTarget", "PolygonTarget", "parameter_target"]

SMALLEST = 2.0**-53
ANGLE = 2
"""Place of the number that is the angle of an ellipse."""


class ParameterTarget:
    """The posterior over the uniform numbers behind disks or ellipses.

    Parameters
    ----------
    images
        The class.
    y
        Noisy images, flat, (n, d), double precision.
    sigma
        Noise level.
    """

    def __init__(self, images: Disks | Ellipses | Polygons, y: Float[Tensor, "n d"], sigma: float) -> None:
        self.images, self.y, self.sigma = images, y, sigma
        self.dimension = self._dimension()

    def scales(self) -> Float[Tensor, " D"]:
        """A rough guess of the posterior standard deviations: an intensity moves a quarter of the pixels by 0.3."""
        scale = 1 / (1 + (0.15 * self.images.size / self.sigma) ** 2) ** 0.5
        return torch.full((self.dimension,), scale, dtype=torch.float64)

    def surrogate(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, " m"]:
        """The log likelihood itself: it is quick enough."""
        return self._compared(z, index)[0]

    def exact(self, z: Float[Tensor, "m D"], index: Tensor) -> Moments:
        """Log likelihood; the image given the parameters."""
        return Moments(*self._compared(z, index))

    def trace(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, " m"]:
        """0: no variance is left given the parameters."""
        return torch.zeros(len(z), dtype=z.dtype)

    def covariance(self, z: Float[Tensor, "m D"], index: Tensor) -> Float[Tensor, "m d d"]:
        """No variance is left given the parameters."""
        d = self.images.size**2
        return torch.zeros(len(z), d, d, dtype=z.dtype)

    def truth(self, n: int, seed: int, start: int = 0) -> Float[Tensor, "n D"]:
        """The numbers behind images start .. start + n - 1 of the class: one exact draw of the posterior of each."""
        u = self.images.numbers(n, seed=seed, start=start, dtype=torch.float64)
        return torch.special.ndtri(u.clamp(2.0**-60, 1 - SMALLEST))

    def _dimension(self) -> int:
        return self.images.uniform_count

    def _compared(self, z: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        x = self._images(z).flatten(1)
        return -(self.y[index] - x).square().sum(dim=1) / (2 * self.sigma**2), x

    def _images(self, z: Tensor) -> Tensor:
        u = torch.special.ndtr(z).clamp(0, 1 - SMALLEST)
        return self.images.paint(self.images.placed(u))


class EllipseTarget(ParameterTarget):
    """The posterior over the uniform numbers behind ellipses, the angle as the direction of two normal numbers."""

    images: Ellipses

    def truth(self, n: int, seed: int, start: int = 0) -> Float[Tensor, "n D"]:
        """The numbers behind images start .. start + n - 1 of the class: one exact draw of the posterior of each."""
        turn = 2 * torch.pi * self.images.numbers(n, seed=seed, start=start, dtype=torch.float64)[:, ANGLE]
        # the length of the two normal numbers is not seen in the image
        v = uniforms(n, 1, seed=seed, start=start, component=Component.POSTERIOR, part=2, dtype=torch.float64)[:, 0]
        length = (-2 * v.clamp(min=SMALLEST).log()).sqrt()
        z = torch.cat([super().truth(n, seed, start), (length * turn.sin())[:, None]], dim=1)
        z[:, ANGLE] = length * turn.cos()
        return z

    def _dimension(self) -> int:
        return self.images.uniform_count + 1

    def _images(self, z: Tensor) -> Tensor:
        u = torch.special.ndtr(z[:, :-1])
        u[:, ANGLE] = torch.atan2(z[:, -1], z[:, ANGLE]) / (2 * torch.pi) % 1
        return self.images.paint(self.images.placed(u.clamp(0, 1 - SMALLEST)))


class PolygonTarget(ParameterTarget):
    """The posterior over corners in convex position, extent, place and intensities of polygons."""

    images: Polygons

    def truth(self, n: int, seed: int, start: int = 0) -> Float[Tensor, "n D"]:
        """The numbers behind images start .. start + n - 1 of the class: one exact draw of the posterior of each."""
        k = self.images.corners
        u = self.images.numbers(n, seed=seed, start=start, dtype=torch.float64)
        place = u[:, 5 * k :]
        corners = self.images.placed(u)[:, :-2].reshape(n, k, 2) / self.images.size
        low = corners.amin(dim=1, keepdim=True)
        shape = (corners - low) / (corners.amax(dim=1, keepdim=True) - low)
        # sides of the box, of density e^(k-2) (1 - e): the second largest of k uniform numbers; then a uniform place
        draws = uniforms(
            n, 2 * k + 3, seed=seed, start=start, component=Component.POSTERIOR, part=1, dtype=torch.float64
        )
        sides = draws[:, : 2 * k].reshape(n, 1, k, 2).sort(dim=2).values[:, :, -2]
        box = sides * shape + (1 - sides) * draws[:, None, 2 * k : 2 * k + 2]
        # which corner comes first is not seen in the image either
        order = (torch.arange(k) + (k * draws[:, -1:]).long()) % k
        box = box.gather(1, order[:, :, None].expand(-1, -1, 2))
        numbers = torch.cat([box.flatten(1), place], dim=1)
        return torch.special.ndtri(numbers.clamp(2.0**-60, 1 - SMALLEST))

    def _dimension(self) -> int:
        return 2 * self.images.corners + 6

    def _compared(self, z: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        value, x = super()._compared(z, index)
        corners = torch.special.ndtr(z[:, : 2 * self.images.corners]).reshape(len(z), -1, 2)
        return value.masked_fill(~in_convex_order(corners), -torch.inf), x

    def _images(self, z: Tensor) -> Tensor:
        k = self.images.corners
        u = torch.special.ndtr(z).clamp(0, 1 - SMALLEST)
        corners, place = u[:, : 2 * k].reshape(len(z), k, 2), u[:, 2 * k :]
        low = corners.amin(dim=1, keepdim=True)
        shape = (corners - low) / (corners.amax(dim=1, keepdim=True) - low).clamp(min=SMALLEST)
        return self.images.paint(self.images.arranged(shape, place))


def in_convex_order(corners: Float[Tensor, "n k 2"]) -> Tensor:
    """Whether corners go once around a convex polygon, in the sense in which `Polygons` lists them, (n,)."""
    step = corners.roll(-1, 1) - corners
    turn = step[..., 0] * step.roll(-1, 1)[..., 1] - step[..., 1] * step.roll(-1, 1)[..., 0]
    # all turns alike, and one revolution: the directions descend but once
    angle = torch.atan2(step[..., 0], step[..., 1])
    rises = (angle.roll(-1, 1) > angle).sum(dim=1)
    return (turn > 0).all(dim=1) & (rises == 1)


def parameter_target(images: Disks | Ellipses | Polygons, y: Float[Tensor, "n d"], sigma: float) -> ParameterTarget:
    """The posterior of the class."""
    if isinstance(images, Polygons):
        return PolygonTarget(images, y, sigma)
    return EllipseTarget(images, y, sigma) if isinstance(images, Ellipses) else ParameterTarget(images, y, sigma)
