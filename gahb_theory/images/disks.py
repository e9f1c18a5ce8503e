"""Disks: a manifold of dimension 5 with an analytic tangent space.

    x(u) = b + (a - b) m(u),

with intensities a inside and b outside, and m the shape of a disk with centre c and radius r, with one of several edges:

    a width w m = Phi((r - ||u - c||) / w), Phi the standard normal distribution function:
              a sharp disk blurred across its contour, differentiable without end in all five parameters;
    area      m = the area of the disk in each pixel, exactly: differentiable once;
    sampled   m = 1{||u - c|| <= r} at the pixel centres: it jumps when a pixel changes sides, so that the
              images are a union of planes of dimension 2.

The radius is uniform on [0.1, 0.35] of the side, the centre uniform where the disk fits, and |a - b| at least `jump`, so
that every disk can be seen. The published code (its continuous disks) has another distribution, the fourth edge:

    published m as for "sampled", r uniform between 3 pixels and (size - 3) // 2, c uniform where the disk fits, and a
              and b independent and uniform on [0, 1]. Areas spread far more, from 1 % to 65 % of an image of 80 pixels
              (5th and 95th percentile, against 4 % and 36 %), and of three disks one has |a - b| < 0.2. Only the
              published shift by half a pixel, of all disks alike, is left out.

For sigma well below the radius of curvature of the manifold the optimal denoiser projects on the tangent space at x: its
risk is 5 sigma^2 and its PSNR slope 1 (Kadkhodaie et al. 2024, section 3.2).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Manifold, keep, two_intensities
from gahb_theory.images.batches import block_length, empty
from gahb_theory.images.raster import area_of_ellipses, ellipse_arcs, own_pixels
from gahb_theory.randomness import Component, step_generator

__all__ = ["Disks"]

JUMP = 0.2
SMALLEST_PUBLISHED_RADIUS = 3
STEP = 8
"""The squares round smooth disks have sides that are multiples of this, in pixels."""
LESS = 0.6
"""Share of the pixels in the squares above which whole images are painted."""


@dataclass(frozen=True)
class Disks(Manifold):
    """One disk per image: centre, radius and two intensities are random.

    The parameters of a scene are: row and column of the centre and radius in pixels, intensities inside and outside.

    Parameters
    ----------
    size
        Height and width in pixels, at least 16.
    edge
        A width w in pixels, at least 0.5 (below, the pixels alias): a smooth edge. "area": a sharp edge, by exact area
        coverage. "sampled": a sharp edge, by the pixel centres inside. "published": the same edge, with the published
        distribution of radius, place and intensities, see above.
    jump
        Smallest difference of the two intensities, in (0, 1); they are uniform where they differ by more. Not
        for the "published" disks, where nothing bounds the difference.

    See Also
    --------
    gahb_theory.Ellipses, gahb_theory.CAlpha, gahb_theory.bayes_risk

    Examples
    --------
    >>> scene = Disks(size=32).scene(2, seed=0)
    >>> scene.tangent.shape
    torch.Size([2, 5, 1024])
    """

    size: int = 64
    edge: float | Literal["area", "sampled", "published"] = 1.0
    jump: float = JUMP

    def __post_init__(self) -> None:
        size = keep(self, "size", validate.integer(self.size, "size", 16, 4096))
        if isinstance(self.edge, str):
            if self.edge not in ("area", "sampled", "published"):
                raise ValueError(
                    f'edge must be a width in pixels, "area" or "sampled" (or "published"), got {self.edge!r}'
                )
        elif not 0.5 <= keep(self, "edge", validate.number(self.edge, "edge")) <= size / 16:
            raise ValueError(f"edge must lie in [0.5, size / 16] = [0.5, {size / 16:g}] pixels, got {self.edge}")
        keep(self, "jump", validate.number(self.jump, "jump", above=0.0, below=1.0))
        if self.edge == "published" and self.jump != JUMP:
            raise ValueError(
                'the intensities of "published" disks are independent, and nothing bounds their difference; leave jump at '
                'its default, or use edge="sampled"'
            )

    uniform_count = 6

    @property
    def dimension(self) -> int:
        """Dimension of the manifold: 5, or 2 for "sampled" and "published", whose images move with their intensities alone."""
        return 2 if self._jumps else 5

    @property
    def _block(self) -> int:
        return block_length(self.size**2) * (1 if isinstance(self.edge, str) else 16)  # many short steps in each

    @property
    def _jumps(self) -> bool:
        return self.edge in ("sampled", "published")

    def curvature_radius(self, parameters: Float[Tensor, "n 5"]) -> Float[Tensor, " n"]:
        """Estimate of the radius of curvature of the manifold at each disk (of smooth edges only), in units of sigma.

        1 / max ||II(v, v)|| over unit tangent vectors v, II the second fundamental form: the part of the second
        derivative across the tangent space. The maximum is sought by gradient ascent from ten directions, so the radius
        may be overestimated. A noise of level sigma moves the projection by about sqrt(5) sigma along the manifold: the
        risk 5 sigma^2 holds where that is well below the radius.
        """
        if isinstance(self.edge, str):
            raise ValueError(
                f'the curvature needs a second derivative, and edge="{self.edge}" has none; use a smooth edge, a number'
            )
        if (
            not isinstance(parameters, Tensor)
            or parameters.ndim != 2
            or parameters.shape[1] != 5
            or not len(parameters)
        ):
            shown = tuple(parameters.shape) if isinstance(parameters, Tensor) else type(parameters).__name__
            raise ValueError(f"parameters must be a tensor of shape (n, 5), such as those of a scene, got {shown}")
        rows = validate.finite(parameters, "parameters").detach().cpu().double()
        return torch.cat([self._radius(row) for row in rows]).to(parameters)

    def _radius(self, row: Tensor) -> Tensor:
        first = self._derivatives(row[None])[0].flatten(1)  # (5, d)
        step = 1e-4 * torch.tensor([1.0, 1.0, 1.0, 0.1, 0.1], dtype=row.dtype, device="cpu")
        moved = row + torch.cat([torch.diag(step), -torch.diag(step)])
        ahead, behind = self._derivatives(moved).flatten(2).chunk(2)
        second = (ahead - behind) / (2 * step[:, None, None])  # (5, 5, d)
        q, r = torch.linalg.qr(first.mT)
        across = second - second @ q @ q.mT
        inverse = torch.linalg.inv(r)
        form = torch.einsum("ai,bj,abd->ijd", inverse, inverse, (across + across.transpose(0, 1)) / 2)
        gram = torch.einsum("ijd,kld->ijkl", form, form)
        generator = step_generator("cpu", Component.CURVATURE)
        v = torch.cat(
            [
                torch.eye(5, dtype=row.dtype, device="cpu"),
                torch.randn(5, 5, generator=generator, dtype=row.dtype, device="cpu"),
            ]
        )
        for _ in range(200):  # ascent with a shift, which makes every step an ascent
            v = v / torch.linalg.vector_norm(v, dim=1, keepdim=True)
            gradient = torch.einsum("ijkl,pj,pk,pl->pi", gram, v, v, v)
            v = gradient + torch.linalg.vector_norm(gradient, dim=1, keepdim=True) * v
        v = v / torch.linalg.vector_norm(v, dim=1, keepdim=True)
        largest = torch.einsum("ijkl,pi,pj,pk,pl->p", gram, v, v, v, v).max()
        return largest.rsqrt()[None]

    def placed(self, u: Float[Tensor, "n u"]) -> Float[Tensor, "n 5"]:
        """Parameters as a function of independent uniform numbers."""
        if self.edge == "published":
            span = (self.size - 3) // 2 - SMALLEST_PUBLISHED_RADIUS
            radius = SMALLEST_PUBLISHED_RADIUS + span * u[:, 0]
            row, column = (radius + (self.size - 2 * radius) * u[:, d] for d in (1, 2))
            return torch.stack([row, column, radius, u[:, 3], u[:, 4]], dim=1)
        radius = self.size * (0.1 + 0.25 * u[:, 0])
        margin = radius + 3 * (1.0 if isinstance(self.edge, str) else self.edge)
        row = margin + (self.size - 2 * margin) * u[:, 1]
        column = margin + (self.size - 2 * margin) * u[:, 2]
        inside, outside = two_intensities(u[:, 3:], self.jump)
        return torch.stack([row, column, radius, inside, outside], dim=1)

    def _paint(self, parameters: Tensor) -> Tensor:
        a, b = parameters[:, 3, None, None], parameters[:, 4, None, None]
        if self._jumps:
            images = np.empty((len(parameters), self.size, self.size), dtype=a.numpy().dtype)
            images[:] = b.numpy()
            np.copyto(images, a.numpy(), where=self._inside(parameters))
            return torch.from_numpy(images)[:, None]
        if isinstance(self.edge, str):
            return self._shape(parameters).mul_(a - b).add_(b)[:, None]
        # gradients do not allow memory that is used again, and NumPy has not every precision
        if parameters.requires_grad or parameters.dtype not in (torch.float32, torch.float64) or not len(parameters):
            # x = (a + b) / 2 + (2 m - 1) (a - b) / 2
            return (self._error_function(parameters) * ((a - b) / 2) + (a + b) / 2)[:, None]
        painted = empty(len(parameters), 1, self.size, self.size, dtype=parameters.dtype)
        self._paint_into(painted, parameters)
        return painted

    def _paint_into(self, images: Tensor, parameters: Tensor) -> None:
        """The same in memory that is there, for a smooth edge by squares round the disks where that is less: all else is flat.

        Images whose squares have the same side go together. Each pixel goes through the steps of `_error_function`, in
        their order, so that what is left out does not show.
        """
        if isinstance(self.edge, str):
            super()._paint_into(images, parameters)
            return
        scale = 1 / (self.edge * math.sqrt(2))
        end = 6.1 if parameters.dtype == torch.float64 else 4.1  # erf is 1 from there on, but for rounding
        wanted = 2 * (parameters[:, 2] + end / scale) + 2
        side = (wanted / STEP).ceil_().mul_(STEP).clamp_(STEP, self.size).long()
        half, mean = (parameters[:, 3] - parameters[:, 4]) / 2, (parameters[:, 3] + parameters[:, 4]) / 2
        finite = bool(parameters[:, :3].isfinite().all())
        if not finite or float(side.square().sum()) > LESS * len(side) * self.size**2:
            x = self._error_function(parameters, out=images[:, 0])
            x.mul_(half[:, None, None]).add_(mean[:, None, None])
            return
        images[:] = (mean - half)[:, None, None, None]
        first = (parameters[:, :2] - side[:, None] / 2).long().clamp_(min=0)
        first = torch.minimum(first, self.size - side[:, None])
        rows = (torch.arange(len(side), device="cpu") * self.size + first[:, 0]) * self.size + first[:, 1]
        centre = scale * (torch.arange(self.size, dtype=parameters.dtype, device="cpu") + 0.5)
        place, radius = scale * parameters[:, :2], scale * parameters[:, 2]
        order = side.argsort()
        lengths, counts = side[order].unique_consecutive(return_counts=True)  # type: ignore[no-untyped-call]
        flat = images.view(-1)
        work = empty(int((lengths.square() * counts).max()), dtype=parameters.dtype)  # of all groups in turn
        for length, chosen in zip(lengths.tolist(), torch.split(order, counts.tolist()), strict=True):
            run = torch.arange(length, device="cpu")
            offset = centre.unfold(0, length, 1)[first[chosen]].sub_(place[chosen, :, None]).square_()
            rho = work[: len(chosen) * length**2].view(-1, length, length)
            torch.add(offset[:, 0, :, None], offset[:, 1, None], out=rho).sqrt_()
            x = torch.sub(radius[chosen, None, None], rho, out=rho).erf_()
            x.mul_(half[chosen, None, None]).add_(mean[chosen, None, None])
            # what begins at each pixel; NumPy sets rows quicker than torch
            windows = flat.as_strided((len(flat) - length + 1, length), (1, 1)).numpy()
            windows[(rows[chosen, None] + self.size * run).numpy()] = x.numpy()

    def _shape(self, parameters: Tensor) -> Tensor:
        if isinstance(self.edge, str):
            return area_of_ellipses(_as_ellipses(parameters), self.size)
        return self._error_function(parameters).add_(1).mul_(0.5)

    def _error_function(self, parameters: Tensor, out: Tensor | None = None) -> Tensor:
        """2 Phi(t) - 1 = erf(t / sqrt 2), t = (r - rho) / w, in one piece of memory, which is what takes time here."""
        scale = 1 / (self.edge * math.sqrt(2))  # type: ignore[operator]
        row, column, radius = (scale * parameters[:, d, None, None] for d in range(3))
        centre = scale * (torch.arange(self.size, dtype=parameters.dtype, device="cpu") + 0.5)
        down, right = (centre[:, None] - row).square_(), (centre - column).square_()
        if parameters.requires_grad:  # which memory that is used again does not allow
            return (radius - (down + right).sqrt()).erf()
        rho = torch.add(down, right, out=out).sqrt_()
        return torch.sub(radius, rho, out=rho).erf_()

    def _inside(self, parameters: Tensor) -> np.ndarray:
        """Pixel centres inside: in each row those at most half a chord from the centre, which follow one another."""
        row, column, radius = (parameters[:, d : d + 1].numpy().astype(np.float64) for d in range(3))
        chord = radius**2 - (np.arange(self.size) + 0.5 - row) ** 2
        half = np.sqrt(np.where(chord >= 0, chord, 0))
        first = np.ceil(column - half - 0.5)
        count = np.where(chord >= 0, np.floor(column + half - 0.5) + 1 - first, 0)
        # one comparison instead of two: without a sign, what lies before the first wraps around to large numbers
        place = np.arange(self.size, dtype=np.uint16)
        return place - first.astype(np.uint16)[:, :, None] < count.astype(np.uint16)[:, :, None]

    def _derivatives(self, parameters: Tensor) -> Tensor:
        """Derivatives of the image by its parameters, (n, k, size, size)."""
        contrast = (parameters[:, 3] - parameters[:, 4])[:, None, None]
        if self._jumps:
            inside = torch.from_numpy(self._inside(parameters)).to(parameters.dtype)
            return torch.stack([inside, 1 - inside], dim=1)
        shape = self._shape(parameters)
        if not isinstance(self.edge, str):
            centre = torch.arange(self.size, dtype=parameters.dtype, device="cpu") + 0.5
            down = centre[:, None] - parameters[:, 0, None, None]
            right = centre - parameters[:, 1, None, None]
            rho = torch.hypot(down, right)
            depth, away = parameters[:, 2, None, None] - rho, rho.clamp(min=1e-6)
            down, right = down / away, right / away
            slope = contrast * torch.exp(-((depth / self.edge) ** 2) / 2) / (math.sqrt(2 * math.pi) * self.edge)
            moves = torch.stack([slope * down, slope * right, slope], dim=1)
        else:  # the area grows by the length of the contour in a pixel, times its speed across
            first, last, row, column = ellipse_arcs(_as_ellipses(parameters), self.size)
            r = parameters[:, 2:3]
            speeds = torch.stack([last.sin() - first.sin(), first.cos() - last.cos(), last - first], dim=1)
            moves = contrast[:, None] * own_pixels(row, column, speeds * r[:, None], self.size)
        return torch.cat([moves, shape[:, None], 1 - shape[:, None]], dim=1)


def _as_ellipses(parameters: Tensor) -> Tensor:
    centre, r = parameters[:, :2], parameters[:, 2:3]
    return torch.cat([centre, r, r, torch.zeros_like(r)], dim=1)
