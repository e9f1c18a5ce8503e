"""The stochastic coarse-to-fine ascent on one batch, step by step, and what comes out of it.

`gahb_theory.sampling.samples` states the algorithm and checks the input; here it runs. Every sample has random numbers of its
own, f is called once a step on those that are still going, and a sample that has ended leaves the batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.precision import wide
from gahb_theory.randomness import Component, step_generator
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Ascent", "Correction", "Level", "Samples", "Status", "Trajectory", "join", "sample_normals"]

Level: TypeAlias = Callable[[Tensor, float | Tensor], float | Tensor]
"""(||s_t|| / sqrt(d) of each sample, the scheduled level) -> sigma_t, a number or one for each sample."""

Correction: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(f(y) of some samples, their numbers in the batch) -> images of the same shape."""

BLOCK_NUMBERS, LONGEST_BLOCK = 2**16, 256
"""The noise of one sample is drawn for several steps at once: at most so many numbers, and so many steps."""
EXPLOSION, FLUCTUATION = 2.0, 4.0
"""A sample has diverged if its residual exceeds what it was at first, or what it might have been, by the first factor.
The length of d normal numbers is sqrt(d) + O(1), hence the second: sigma_0 (1 + 4 / sqrt(d)) for each of them."""


class Status(IntEnum):
    """How the ascent of one sample ended."""

    CONVERGED = 0
    """The noise level fell below sigma_inf."""
    OUT_OF_STEPS = 1
    """It did not within max_steps."""
    DIVERGED = 2
    """The residual exploded, or is not finite."""


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory(Result):
    """The way of n samples, at m of its steps. A sample that has ended stays where it is.

    Parameters
    ----------
    steps
        The steps t that were kept, shape (m,), from 0.
    noisy
        y_t, shape (m, n, channels, height, width).
    denoised
        f(y_t), of the same shape.
    sigma
        Noise level sigma_t, shape (m, n).
    """

    steps: Int[Tensor, " m"]
    noisy: Float[Tensor, "m n c h w"]
    denoised: Float[Tensor, "m n c h w"]
    sigma: Float[Tensor, "m n"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the noise level of each sample over the steps, and return the axes."""
        from gahb_theory.report.figures import axes_or_new

        ax = axes_or_new(ax)
        ax.semilogy(self.steps.cpu(), self.sigma.cpu())
        ax.set(xlabel="step", ylabel=r"noise level $\sigma$")
        return ax


@dataclass(frozen=True, eq=False, repr=False)
class Samples(Result):
    """Samples of the distribution of a denoiser, and how each of them ended.

    Parameters
    ----------
    images
        f(y_T), the last estimate, shape (n, channels, height, width), not clipped. It lacks at most about
        min(s_k, sigma_inf^2) of each eigenvalue s_k of the covariance.
    noisy
        y_T, which the paper shows: noise of level sigma_inf is left in it.
    sigma
        Noise level at the end, shape (n,).
    steps
        Number of steps T, shape (n,).
    status
        A `Status` for each sample, shape (n,).
    trajectory
        The way, where it was asked for.
    """

    images: Float[Tensor, "n c h w"]
    noisy: Float[Tensor, "n c h w"]
    sigma: Float[Tensor, " n"]
    steps: Int[Tensor, " n"]
    status: Int[Tensor, " n"]
    trajectory: Trajectory | None = None

    @property
    def converged(self) -> Tensor:
        """Whether each sample reached sigma_inf, shape (n,)."""
        return self.status == Status.CONVERGED

    def __str__(self) -> str:
        counts = ", ".join(f"{int((self.status == s).sum())} {s.name.lower().replace('_', ' ')}" for s in Status)
        low, high = int(self.steps.min()), int(self.steps.max())
        return f"{len(self.status)} samples: {counts}; {low if low == high else f'{low} to {high}'} steps"

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the first eight images side by side, and return the axes."""
        from gahb_theory.report.figures import axes_or_new, image

        row = torch.cat(list(self.images[:8].cpu()), dim=-1)
        return image(row.numpy(), axes_or_new(ax))


class Ascent:
    """One batch of samples on its way.

    Parameters
    ----------
    f
        The denoiser.
    y
        The start, shape (n, channels, height, width); it is not changed.
    indices
        Number of each sample in the stream that `seed` names, shape (n,), on the CPU.
    seed, sigma_0, sigma_inf, level, every
        As in `gahb_theory.generate`.
    correct
        What is done to f(y) before the step, from the estimates of some samples and their numbers in this batch; None
        does nothing.
    """

    def __init__(
        self,
        f: Denoiser,
        y: Float[Tensor, "n c h w"],
        indices: Int[Tensor, " n"],
        *,
        seed: int,
        sigma_0: float,
        sigma_inf: float,
        level: Level,
        every: int | None,
        correct: Correction | None = None,
    ) -> None:
        n = len(y)
        self.f, self.y, self.indices, self.seed = f, y, indices, seed
        self.sigma_0, self.sigma_inf, self.level, self.every = sigma_0, sigma_inf, level, every
        self.correct = correct
        self.rows = torch.arange(n, dtype=torch.long, device=y.device)  # the place of each sample that is still going
        self.ended = Samples(
            images=torch.empty_like(y),
            noisy=torch.empty_like(y),
            sigma=torch.empty(n, dtype=y.dtype, device=y.device),
            steps=torch.zeros(n, dtype=torch.long, device=y.device),
            status=torch.empty(n, dtype=torch.long, device=y.device),
        )
        self.way: list[tuple[int, Tensor, Tensor, Tensor]] = []

    def run(self, step: Callable[[int], float], beta: float, max_steps: int) -> Samples:
        """Take steps until every sample has ended."""
        shape = self.y.shape[1:]
        root = math.sqrt(shape.numel())
        block = max(1, min(LONGEST_BLOCK, BLOCK_NUMBERS // shape.numel()))
        noise = torch.empty(len(self.y) if beta < 1 else 0, block, *shape, dtype=torch.float32, device=self.y.device)
        scheduled: float | Tensor = self.sigma_0
        bound = torch.empty(0, dtype=self.y.dtype, device=self.y.device)
        for t in range(max_steps + 1):
            call = validate.denoised if t == 0 else validate.returned  # NaN later on is the status DIVERGED
            denoised = call(self.f, self.y, scheduled)
            if self.correct is not None:
                denoised = self.correct(denoised, self.rows)
            residual = (
                torch.linalg.vector_norm((wide(denoised) - wide(self.y)).flatten(1), dim=1).to(self.y.dtype) / root
            )
            if t == 0:
                bound = EXPLOSION * residual.clamp(min=self.sigma_0 * (1 + FLUCTUATION / root))
            rule = self._level(residual, scheduled)
            sigma = rule if isinstance(rule, Tensor) else torch.full_like(residual, rule)
            diverged, converged = ~(residual <= bound), sigma < self.sigma_inf  # the first also where it is NaN
            stop = diverged | converged if t < max_steps else torch.ones_like(diverged)
            some, every = bool(stop.any()), bool(stop.all())
            if some:
                self._settle(stop, denoised, sigma, diverged, converged, t)
            if self.every is not None and (t % self.every == 0 or every):
                self._keep(t, denoised, sigma)
            if every:
                break
            if some:
                go = ~stop
                self.rows, self.y, denoised = self.rows[go], self.y[go], denoised[go]
                sigma, bound = sigma[go], bound[go]
                noise = noise[go] if beta < 1 else noise
                rule = rule[go] if isinstance(rule, Tensor) else rule
            h = validate.number(step(t + 1), f"step({t + 1})", above=0, most=1)
            self.y = self.y.lerp(denoised, h)
            if beta < 1:
                if t % block == 0:
                    sample_normals(noise, self.indices[self.rows.cpu()], self.seed, 1 + t // block)
                gamma = math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma
                self.y.addcmul_(gamma[:, None, None, None], noise[:, t % block].to(self.y.dtype))
            scheduled = (1 - beta * h) * rule
        return replace(self.ended, trajectory=self._trajectory())

    def _level(self, residual: Tensor, scheduled: float | Tensor) -> float | Tensor:
        """The noise level by the rule of the user: a number, or one for each sample that is going."""
        rule = self.level(residual, scheduled)
        if not isinstance(rule, Tensor):
            return validate.number(rule, "what level returned")
        if rule.ndim == 0:
            return validate.number(rule, "what level returned")
        if rule.shape != residual.shape or not rule.is_floating_point():
            raise ValueError(
                f"level must return a number or a floating-point tensor of shape ({len(residual)},), got {rule.dtype} of "
                f"shape {tuple(rule.shape)}"
            )
        if not bool((rule.isfinite() | ~residual.isfinite()).all()):
            raise ValueError("what level returned must be finite for samples that are")
        return rule.to(residual)

    def _settle(
        self, stop: Tensor, denoised: Tensor, sigma: Tensor, diverged: Tensor, converged: Tensor, t: int
    ) -> None:
        rows, ended = self.rows[stop], self.ended
        ended.images[rows], ended.noisy[rows], ended.sigma[rows] = denoised[stop], self.y[stop], sigma[stop]
        ended.steps[rows] = t
        status = torch.where(converged, int(Status.CONVERGED), int(Status.OUT_OF_STEPS))
        ended.status[rows] = torch.where(diverged, int(Status.DIVERGED), status)[stop]

    def _keep(self, t: int, denoised: Tensor, sigma: Tensor) -> None:
        now = [part.clone() for part in (self.ended.noisy, self.ended.images, self.ended.sigma)]
        for part, going in zip(now, (self.y, denoised, sigma), strict=True):
            part[self.rows] = going
        self.way.append((t, now[0], now[1], now[2]))

    def _trajectory(self) -> Trajectory | None:
        if self.every is None:
            return None
        steps, noisy, denoised, sigma = zip(*self.way, strict=True)
        return Trajectory(
            torch.tensor(steps, device="cpu"), torch.stack(noisy), torch.stack(denoised), torch.stack(sigma)
        )


def sample_normals(noise: Tensor, indices: Tensor, seed: int, block: int) -> None:
    """Fill `noise` with standard normal numbers, row i a function of (seed, indices[i], block) alone.

    One call serves many steps of a sample, so that the loop over samples costs little beside f.
    """
    for row, index in zip(noise, indices.tolist(), strict=True):
        row.normal_(generator=step_generator(noise.device, Component.SAMPLING, seed, index, block))


def join(parts: list[Samples]) -> Samples:
    """Batches of samples as one. In the trajectory a batch that ended earlier stays where it was."""
    whole = Samples(
        images=torch.cat([part.images for part in parts]),
        noisy=torch.cat([part.noisy for part in parts]),
        sigma=torch.cat([part.sigma for part in parts]),
        steps=torch.cat([part.steps for part in parts]),
        status=torch.cat([part.status for part in parts]),
    )
    ways = [part.trajectory for part in parts if part.trajectory is not None]
    if not ways:
        return whole
    steps = torch.tensor(sorted({int(t) for way in ways for t in way.steps}), device="cpu")
    at = [torch.searchsorted(way.steps, steps, right=True) - 1 for way in ways]
    noisy, denoised, sigma = (
        torch.cat([getattr(way, name)[index] for way, index in zip(ways, at, strict=True)], dim=1)
        for name in ("noisy", "denoised", "sigma")
    )
    return replace(whole, trajectory=Trajectory(steps, noisy, denoised, sigma))
