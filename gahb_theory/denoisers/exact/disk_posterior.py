"""The optimal denoiser of disk images, by importance sampling of the posterior over the five parameters.

    f(y) = E[x(u) | y],        p(u | y) ~ p(u) exp( -||y - x(u)||^2 / (2 sigma^2) ),        u = (row, column, radius, a, b).

Given the geometry, x = a D + b (1 - D) is linear in the two intensities, and their posterior is a Gaussian restricted to
the square [0, 1]^2 without the band |a - b| < jump, on which they are uniform. So the geometry alone is searched: it
is drawn from the prior (a Sobol sequence), and from a Gaussian at the mode that Gauss-Newton finds from the best of
those, with the covariance of Laplace's approximation, inflated. Both samples are weighted together by the balance
heuristic of Veach and Guibas (1995); the intensities are drawn from their conditional Gaussian. At small noise the
second sample does the work, at large noise the first. Where the prior hardly lets the centre move, as for the
largest disks of a small image, few samples count, and the effective number says so.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import squared
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.images.disks import Disks
from gahb_theory.randomness import Component, named_seed, step_generator

__all__ = ["DiskBayes", "DiskPosterior"]

SMALLEST_RADIUS, RADIUS_RANGE = 0.1, 0.25
INFLATION, STEPS, SIDE = 1.5, 12, 3.0


class DiskPosterior(NamedTuple):
    """Weighted samples of the posterior at each noisy image."""

    parameters: Tensor
    """Row, column, radius, intensity inside and outside, shape (n, m, 5)."""
    weights: Tensor
    """Shape (n, m), summing to 1."""
    effective_samples: Tensor
    """1 / sum of squared weights, shape (n,): how many independent draws the estimate is worth."""
    standard_error: Tensor
    """Monte Carlo error of the posterior mean, in the 2-norm over pixels, shape (n,)."""


class DiskBayes(DenoiserModule):
    """The posterior mean of `Disks`, with its Monte Carlo error.

    The estimate is a function of y: its random numbers are fixed by the seed. The work is done in double precision, on
    the CPU or a CUDA device.

    Parameters
    ----------
    disks
        The class of images.
    samples
        Number of geometries from each of the two proposals.
    seed
        Names the random numbers.
    budget
        Bytes for what is computed at a time.

    Examples
    --------
    >>> from gahb_theory.randomness import add_noise
    >>> disks = Disks(size=16)
    >>> x = disks.sample(2)
    >>> f = DiskBayes(disks, samples=256)
    >>> f(add_noise(x, 0.1), 0.1).shape
    torch.Size([2, 1, 16, 16])
    """

    own_derivative = True
    """The samples move with y, but the derivative is that of their weights, Cov[x | y] / sigma^2."""

    def __init__(self, disks: Disks, samples: int = 2048, budget: int = 2**28, *, seed: int = 0) -> None:
        super().__init__()
        if not isinstance(disks, Disks):
            raise TypeError(f"disks must be an image class Disks, got {type(disks).__name__}")
        if isinstance(disks.edge, str):
            raise ValueError(
                f"disks must have a smooth edge, of a width in pixels, got edge={disks.edge!r}; "
                "its images are not differentiable in the parameters. Use Disks(size, edge=1.0)"
            )
        self.disks, self.edge = disks, float(disks.edge)
        self.samples = samples = validate.integer(samples, "samples", 16, 2**24)
        self.budget = validate.integer(budget, "budget", 2**20)
        self.seed = seed = validate.seed(seed, high=2**63 - 1)
        scramble = named_seed(Component.DISK_PRIOR, seed)
        sobol = torch.quasirandom.SobolEngine(3, scramble=True, seed=scramble)  # type: ignore[no-untyped-call]
        cube = sobol.draw(samples, dtype=torch.float64)
        self.register_buffer("prior_draws", self._geometry(cube))
        normal = torch.randn(
            samples,
            3,
            generator=step_generator("cpu", Component.DISK_GEOMETRY, seed),
            dtype=torch.float64,
            device="cpu",
        )
        self.register_buffer("normal_draws", normal)
        pairs = torch.randn(
            2 * samples,
            2,
            generator=step_generator("cpu", Component.DISK_INTENSITY, seed),
            dtype=torch.float64,
            device="cpu",
        )
        self.register_buffer("intensity_draws", pairs)
        self.eval()

    prior_draws: Tensor
    normal_draws: Tensor
    intensity_draws: Tensor

    def posterior(self, y: Float[Tensor, "n 1 h w"], sigma: float | Tensor) -> DiskPosterior:
        """Weighted samples of the five parameters at each noisy image."""
        validate.images(y, "y")
        level = validate.batch_sigma(sigma, y).flatten().expand(len(y))
        parts = [self._posterior(a, s) for a, s in self._chunks(y, level)]
        return DiskPosterior(*(torch.cat(columns) for columns in zip(*(p[:4] for p in parts), strict=True)))

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        level = sigma.flatten().expand(len(y))
        parts = [self._mean(a, s) for a, s in self._chunks(y, level)]
        return torch.cat(parts)

    def jacobian_matrix(self, y: Float[Tensor, "1 1 h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, from the same samples."""
        validate.one_image(y, "y")
        posterior = self.posterior(y, sigma)
        w, x = posterior.weights[0], self._paint(posterior.parameters[0])
        centred = x - w @ x
        s2 = squared(validate.batch_sigma(validate.sigma_level(sigma), y)).reshape(())
        return validate.finite(((centred.mT * w) @ centred / s2).to(y.dtype), "J at so small a noise level")

    def _rows(self) -> int:
        """Images for which all samples fit into the budget."""
        return max(1, self.budget // (8 * 8 * self.samples * self.disks.size**2))

    def _chunks(self, y: Tensor, level: Tensor) -> Iterable[tuple[Tensor, Tensor]]:
        return zip(torch.split(y, self._rows()), torch.split(level, self._rows()), strict=True)

    def _mean(self, y: Tensor, s: Tensor) -> Tensor:
        """The posterior mean; its derivative by y is that of the weights at fixed samples, Cov / sigma^2."""
        with torch.no_grad():
            parameters, weights, _, _, fixed = self._posterior(y.detach(), s)
            x = self._paint(parameters)
            log_ratio = weights.log() + fixed / (2 * s.double()[:, None].square())
        q = y.double().flatten(1)
        distance = (q[:, None] - x).square().sum(dim=2)
        w = torch.softmax(log_ratio - distance / (2 * s.double()[:, None].square()), dim=1)
        return torch.einsum("nm,nmd->nd", w, x).reshape(y.shape).to(y.dtype)

    def _posterior(self, y: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        fitting(y, (1, self.disks.size, self.disks.size))
        q, s2 = y.double().flatten(1), squared(s)[:, None]
        geometry, log_proposal = self._draw(q, s2)
        inside = self._coverage(geometry)
        mean, factor, log_evidence = self._intensities(inside, q, s2)
        pair = mean + torch.einsum("nmij,mj->nmi", factor, self.intensity_draws)
        allowed = (pair >= 0).all(2) & (pair <= 1).all(2) & ((pair[..., 0] - pair[..., 1]).abs() >= self.disks.jump)
        log_w = self._log_prior(geometry) + log_evidence - log_proposal
        log_w = log_w.masked_fill(~allowed, -torch.inf)
        if not bool(torch.isfinite(log_w.amax(dim=1)).all()):
            raise ValueError(
                "no sample of the posterior is possible: the image is no noisy disk, sigma is too large, or samples is "
                "too small"
            )
        weights = torch.softmax(log_w, dim=1)
        parameters = torch.cat([geometry, pair], dim=2)
        x = pair[..., 1:] + (pair[..., :1] - pair[..., 1:]) * inside
        centre = torch.einsum("nm,nmd->nd", weights, x)
        spread = (x - centre[:, None]).square().sum(dim=2)
        error = (weights.square() * spread).sum(dim=1).sqrt()
        distance = (q[:, None] - x).square().sum(dim=2)
        return parameters, weights, 1 / weights.square().sum(dim=1), error, distance

    def _draw(self, q: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        """Geometries from both proposals, shape (n, 2 m, 3), and the log density of their mixture there."""
        prior = self.prior_draws.expand(len(q), -1, -1)
        _, _, fit = self._intensities(self._coverage(prior[:1]), q, s2)
        mode = prior.gather(1, fit.argmax(dim=1)[:, None, None].expand(-1, 1, 3))
        for _ in range(STEPS):
            proposed = self._keep_in_range(mode + self._step(mode, q, s2))
            better = self._fit(proposed, q, s2) > self._fit(mode, q, s2)
            mode = torch.where(better[:, :, None], proposed, mode)
        precision = self._precision(mode, q, s2)
        spread = self.disks.size * 0.2
        floor = torch.eye(3, dtype=q.dtype, device=q.device) / spread**2
        root = torch.linalg.cholesky(precision + floor)
        local = (
            mode
            + INFLATION
            * torch.linalg.solve_triangular(root.mT, self.normal_draws.mT.expand(len(q), -1, -1), upper=True).mT
        )
        geometry = torch.cat([prior, local], dim=1)
        scaled = (root.mT @ (geometry - mode).mT).mT / INFLATION
        log_det = root.diagonal(dim1=1, dim2=2).log().sum(dim=1)[:, None] - 3 * math.log(INFLATION)
        log_local = log_det - scaled.square().sum(dim=2) / 2 - 1.5 * math.log(2 * math.pi)
        return geometry, torch.logaddexp(self._log_prior(geometry), log_local) - math.log(2)

    def _fit(self, geometry: Tensor, q: Tensor, s2: Tensor) -> Tensor:
        return self._intensities(self._coverage(geometry), q, s2)[2]

    def _step(self, mode: Tensor, q: Tensor, s2: Tensor) -> Tensor:
        """Gauss-Newton on all five parameters; the intensities are those of least squares."""
        derivatives, residual = self._derivatives(mode, q, s2)
        step = torch.linalg.lstsq(derivatives.mT, residual[:, :, None]).solution[:, :3, 0]
        return step.clamp(-SIDE, SIDE)[:, None]

    def _precision(self, mode: Tensor, q: Tensor, s2: Tensor) -> Tensor:
        """Inverse of the posterior covariance of the geometry in Laplace's approximation, shape (n, 3, 3)."""
        derivatives, _ = self._derivatives(mode, q, s2)
        gram = derivatives @ derivatives.mT
        cross = gram[:, :3, 3:] @ torch.linalg.solve(gram[:, 3:, 3:], gram[:, 3:, :3])
        schur = gram[:, :3, :3] - cross
        return (schur + schur.mT) / 2 / s2[:, :, None]

    def _derivatives(self, mode: Tensor, q: Tensor, s2: Tensor) -> tuple[Tensor, Tensor]:
        """Derivatives by the five parameters, shape (n, 5, d), and the residual (n, d)."""
        inside = self._coverage(mode)
        pair, _, _ = self._intensities(inside, q, s2)
        a, b = pair[:, 0, :1], pair[:, 0, 1:]
        t, down, right = self._profile(mode)
        slope = (a - b) * (torch.exp(-t.square() / 2) / (math.sqrt(2 * math.pi) * self.edge))[:, 0]
        one = inside[:, 0]
        rows = torch.stack([slope * down[:, 0], slope * right[:, 0], slope, one, 1 - one], dim=1)
        return rows, q - (b + (a - b) * one)

    def _intensities(self, inside: Tensor, q: Tensor, s2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Conditional mean (n, m, 2) and root (n, m, 2, 2) of the intensities, and the log evidence of the geometry."""
        outside = 1 - inside
        aa, ab = inside.square().sum(dim=2), (inside * outside).sum(dim=2)
        bb = outside.square().sum(dim=2)
        gram = torch.stack([torch.stack([aa, ab], -1), torch.stack([ab, bb], -1)], -2)
        gram = gram + 1e-9 * torch.eye(2, dtype=q.dtype, device=q.device)
        right = torch.einsum("nmd,nd->nm", inside.expand(len(q), -1, -1), q)
        right = torch.stack([right, q.sum(dim=1, keepdim=True) - right], -1)
        mean = torch.linalg.solve(gram.expand(len(q), -1, -1, -1), right[..., None])[..., 0]
        explained = (mean * right).sum(dim=2)
        log_evidence = explained / (2 * s2) - torch.linalg.slogdet(gram).logabsdet / 2
        root = torch.linalg.cholesky(torch.linalg.inv(gram)) * s2.sqrt()[:, :, None, None]
        return mean, root, log_evidence

    def _profile(self, geometry: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(r - rho) / w and the direction cosines from the centre, each (n, m, d)."""
        size = self.disks.size
        centre = torch.arange(size, dtype=geometry.dtype, device=geometry.device) + 0.5
        down = (centre[:, None] - geometry[..., 0, None, None]).expand(*geometry.shape[:2], size, size)
        right = (centre[None, :] - geometry[..., 1, None, None]).expand(*geometry.shape[:2], size, size)
        rho = torch.hypot(down, right)
        t = (geometry[..., 2, None, None] - rho) / self.edge
        away = rho.clamp(min=1e-6)
        return t.flatten(2), (down / away).flatten(2), (right / away).flatten(2)

    def _coverage(self, geometry: Tensor) -> Tensor:
        return torch.special.ndtr(self._profile(geometry)[0])

    def _paint(self, parameters: Tensor) -> Tensor:
        """Images (..., m, d) of parameters (..., m, 5)."""
        batch = parameters.reshape(-1, *parameters.shape[-2:])
        x = batch[..., 4:] + (batch[..., 3:4] - batch[..., 4:]) * self._coverage(batch[..., :3])
        return x.reshape(*parameters.shape[:-1], -1)

    def _geometry(self, u: Tensor) -> Tensor:
        size = self.disks.size
        radius = size * (SMALLEST_RADIUS + RADIUS_RANGE * u[:, 2])
        margin = radius + 3 * self.edge
        span = size - 2 * margin
        return torch.stack([margin + span * u[:, 0], margin + span * u[:, 1], radius], dim=1)

    def _log_prior(self, geometry: Tensor) -> Tensor:
        """Log density of row, column and radius: uniform radius, uniform centre where the disk fits."""
        row, column, radius = geometry.unbind(dim=-1)
        size = self.disks.size
        margin = radius + 3 * self.edge
        span = size - 2 * margin
        inside = (radius >= size * SMALLEST_RADIUS) & (radius <= size * (SMALLEST_RADIUS + RADIUS_RANGE))
        for place in (row, column):
            inside = inside & ((place - size / 2).abs() <= span.abs() / 2)
        log_p = -2 * span.abs().clamp(min=1e-9).log() - math.log(size * RADIUS_RANGE)
        return log_p.masked_fill(~inside, -torch.inf)

    def _keep_in_range(self, geometry: Tensor) -> Tensor:
        size = self.disks.size
        radius = geometry[..., 2].clamp(size * SMALLEST_RADIUS, size * (SMALLEST_RADIUS + RADIUS_RANGE))
        reach = (size - 2 * (radius + 3 * self.edge)).abs() / 2
        offset = geometry[..., :2] - size / 2
        places = [size / 2 + torch.maximum(torch.minimum(offset[..., i], reach), -reach) for i in (0, 1)]
        return torch.stack([*places, radius], dim=-1)
