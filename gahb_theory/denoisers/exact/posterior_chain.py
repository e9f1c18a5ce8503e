"""Markov chains over standard normal numbers z with a posterior p(z | y) ~ exp(-||z||^2 / 2) L(z), many images at a time.

A step proposes  z' = sqrt(1 - b^2) z + b w,  w ~ N(0, Id),  with a size b_i <= 1 of its own in every direction of an
orthonormal basis, and accepts with min(1, L'(z') / L'(z)): the proposal leaves the prior invariant (Cotter, Roberts, Stuart,
White 2013; with a basis informed by the likelihood, Cui, Law, Marzouk 2016). One step in ten, drawn at random, jumps instead:
z' ~ q, a mixture of normal densities around places that the search has met, and the ratio gains q(z) N(z') / [q(z') N(z)], so
that chains cross between modes as often as these deserve. L' is quick and approximate. After a block of steps the whole block
is accepted with

    min(1, [L(z_B) / L'(z_B)] / [L(z_0) / L'(z_0)]),

else the chain returns to z_0: that leaves the exact posterior invariant, however rough L' is (Liu 2001, the surrogate
transition method). Sizes are drawn from a mixture at every step: all directions, some, one; small and large.

Basis and sizes come from a search that sees y and nothing else: chains that begin at the best of many draws of the prior,
of which those that are lost are started again at the best. In the first half of the search the likelihood is raised to a power
that grows to 1 (annealing), so that chains cross from mode to mode. After the search basis and sizes are fixed.
"""

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.denoisers.exact.given_regions import Moments
from gahb_theory.randomness import Component, step_generator

__all__ = ["BLOCK", "Kernel", "Search", "States", "Target", "begin", "block", "search", "traces"]

BLOCK = 50
"""Steps between two looks at the exact likelihood."""
ACCEPTANCE, LOST = 0.25, 15.0
JUMPS, PLACES = 0.1, 4
"""Share of the steps that jump, and places of each chain of the search to jump to."""
SMALLEST_SCALE, SMALLEST_STEP, LARGEST_STEP = 1e-5, 0.01, 30.0
FIRST_POWER = 0.01


@runtime_checkable
class Target(Protocol):
    """A posterior over `dimension` standard normal numbers for each of n images; `index` names the image of each row."""

    dimension: int

    def scales(self) -> Tensor:
        """A guess of the posterior standard deviations, (D,)."""
        ...

    def surrogate(self, z: Tensor, index: Tensor) -> Tensor:
        """A quick approximation of the log likelihood, (m,)."""
        ...

    def exact(self, z: Tensor, index: Tensor) -> Moments:
        """The log likelihood, and the mean of the image given z."""
        ...

    def trace(self, z: Tensor, index: Tensor) -> Tensor:
        """The trace of the covariance of the image given z, (m,)."""
        ...


@dataclass(frozen=True, eq=False)
class Kernel:
    """Orthonormal directions (n, D, D), in columns, posterior scales along them (n, D), and the size of a step (n,).

    `places` (n, M, D) to jump to are along the directions; None for chains that do not jump.
    """

    basis: Tensor
    scale: Tensor
    step: Tensor
    places: Tensor | None = None


@dataclass(frozen=True, eq=False)
class States:
    """K chains at each of n images: places (n, K, D), both log likelihoods (n, K), and the means given the place."""

    z: Tensor
    surrogate: Tensor
    exact: Tensor
    mean: Tensor


@dataclass(frozen=True)
class Search:
    """How the blind search is done: chains for each image, draws of the prior for each, rounds, and steps in a round."""

    chains: int = 4
    draws: int = 300
    rounds: int = 24
    steps: int = 100


def begin(target: Target, z: Float[Tensor, "n K D"]) -> States:
    """The chains at given places."""
    n, chains, _ = z.shape
    flat, index = z.flatten(0, 1), _index(n, chains)
    rough, result = target.surrogate(flat, index), target.exact(flat, index)
    shaped = [a.reshape(n, chains, *a.shape[1:]) for a in (rough, *result)]
    return States(z, *shaped)


def block(
    target: Target, states: States, kernel: Kernel, generator: torch.Generator, steps: int = BLOCK
) -> tuple[States, Float[Tensor, " n"]]:
    """The chains after a block of steps, and the share of blocks that were accepted at each image."""
    z, rough, _ = _steps(target, states.z, states.surrogate, kernel, steps, generator)
    n, chains, _ = z.shape
    result = Moments(*(a.reshape(n, chains, *a.shape[1:]) for a in target.exact(z.flatten(0, 1), _index(n, chains))))
    gain = (result.log_evidence - rough) - (states.exact - states.surrogate)
    taken = torch.rand(n, chains, generator=generator, dtype=z.dtype).log() < gain
    new = States(z, rough, result.log_evidence, result.mean)
    return _chosen(taken, new, states), taken.to(z.dtype).mean(dim=1)


def search(target: Target, n: int, settings: Search, *, seed: int = 0) -> tuple[Kernel, Float[Tensor, "n K D"]]:
    """The kernel and the places of the blind chains; a function of the target, which sees y alone, and of the seed."""
    generator = step_generator("cpu", Component.POSTERIOR, seed)
    d = target.dimension
    z, rough = _best_draws(target, n, settings, generator)
    scale = target.scales().expand(n, -1)
    basis = torch.eye(d, dtype=z.dtype).expand(n, -1, -1)
    kernel = Kernel(basis, scale, torch.full((n,), 0.5, dtype=z.dtype))
    history: list[Tensor] = []
    every = max(1, settings.steps // 10)
    hot = settings.rounds // 2
    for number in range(settings.rounds):
        power = FIRST_POWER ** max(0.0, 1 - number / max(1, hot))
        level, accepted = torch.zeros_like(rough), torch.zeros(n, dtype=z.dtype)
        for _ in range(10):
            z, rough, share = _steps(target, z, rough, kernel, every, generator, power)
            history.append(z)
            level, accepted = level + rough / 10, accepted + share / 10
        step = (kernel.step * torch.exp(3 * (accepted - ACCEPTANCE))).clamp(SMALLEST_STEP, LARGEST_STEP)
        kernel = Kernel(kernel.basis, kernel.scale, step)
        if number < 3 * settings.rounds // 4:  # a chain far below the best of its image begins again there
            best = level.argmax(dim=1)
            lost = power * (level.amax(dim=1, keepdim=True) - level) > LOST
            image = torch.arange(n)
            z = torch.where(lost[:, :, None], z[image, best][:, None], z)
            rough = torch.where(lost, rough[image, best][:, None], rough)
        if power == 1 and (number - hot) % 4 == 2 and number < settings.rounds - 1:
            cold = history[10 * hot :]
            kernel = _informed(torch.stack(cold[len(cold) // 3 :]), kernel)
    late = torch.linspace(3 * len(history) // 4, len(history) - 1, PLACES).long().tolist()
    places = torch.cat([history[k] for k in late], dim=1) @ kernel.basis
    return replace(kernel, places=places), z


def _best_draws(target: Target, n: int, settings: Search, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    index = _index(n, settings.chains)
    z = torch.randn(n * settings.chains, target.dimension, generator=generator, dtype=torch.float64)
    rough = target.surrogate(z, index)
    for _ in range(settings.draws - 1):
        other = torch.randn(z.shape, generator=generator, dtype=z.dtype)
        value = target.surrogate(other, index)
        z, rough = torch.where((value > rough)[:, None], other, z), torch.maximum(value, rough)
    return z.reshape(n, settings.chains, -1), rough.reshape(n, settings.chains)


def _informed(places: Float[Tensor, "t n K D"], kernel: Kernel) -> Kernel:
    """The principal axes of the places that were met, within the chains: differences between chains may be of modes."""
    centred = places - places.mean(dim=0)
    covariance = torch.einsum("tnkd,tnke->nde", centred, centred) / (places.shape[0] * places.shape[2])
    diagonal = torch.diag_embed(covariance.diagonal(dim1=1, dim2=2))
    values, vectors = torch.linalg.eigh(0.9 * covariance + 0.1 * diagonal)
    return Kernel(vectors, values.clamp(SMALLEST_SCALE**2, 1).sqrt(), kernel.step)


def _steps(
    target: Target,
    z: Tensor,
    rough: Tensor,
    kernel: Kernel,
    steps: int,
    generator: torch.Generator,
    power: float = 1.0,
) -> tuple[Tensor, Tensor, Tensor]:
    """Places and surrogate after some steps, and the share of those in all directions that was accepted at each image.

    The likelihood is raised to `power`.
    """
    n, chains, d = z.shape
    index = _index(n, chains)
    a = z @ kernel.basis
    accepted, whole = torch.zeros(2, n, dtype=z.dtype)
    for _ in range(steps):
        noise, gain = torch.randn(n, chains, d, generator=generator, dtype=z.dtype), torch.zeros_like(rough)
        # at random, not every tenth: a block has to be reversible
        if kernel.places is not None and torch.rand((), generator=generator) < JUMPS:
            which = torch.randint(kernel.places.shape[1], (n, chains), generator=generator)
            moved = kernel.places[torch.arange(n)[:, None], which] + kernel.scale[:, None] * noise
            gain, everywhere = _around(a, kernel) - _around(moved, kernel), torch.zeros_like(rough, dtype=torch.bool)
        else:
            size, everywhere = _sizes(kernel, chains, generator)
            moved = (1 - size.square()).sqrt() * a + size * noise
        value = target.surrogate((moved @ kernel.basis.mT).flatten(0, 1), index).reshape(n, chains)
        taken = torch.rand(n, chains, generator=generator, dtype=z.dtype).log() < power * (value - rough) + gain
        a, rough = torch.where(taken[:, :, None], moved, a), torch.where(taken, value, rough)
        accepted += (taken & everywhere).sum(dim=1)
        whole += everywhere.sum(dim=1)
    return a @ kernel.basis.mT, rough, accepted / whole.clamp(min=1)


def _around(a: Float[Tensor, "n K D"], kernel: Kernel) -> Float[Tensor, "n K"]:
    """Log density of the jumps over that of the prior, up to a constant."""
    assert kernel.places is not None
    apart = (a[:, :, None] - kernel.places[:, None]) / kernel.scale[:, None, None]
    return (-apart.square().sum(dim=3) / 2).logsumexp(dim=2) + a.square().sum(dim=2) / 2


def _sizes(kernel: Kernel, chains: int, generator: torch.Generator) -> tuple[Float[Tensor, "n K D"], Tensor]:
    """Sizes of a step, and where it is one of all directions (n, K).

    Of all directions, of a quarter, of a few by more, or of one: a share of 0.4, 0.3, 0.15, 0.15.
    """
    n, d = kernel.scale.shape
    kind = torch.rand(n, chains, 1, generator=generator, dtype=kernel.scale.dtype)
    spread = torch.randn(n, chains, 1, generator=generator, dtype=kernel.scale.dtype).mul(0.6).exp()
    draw = torch.rand(n, chains, d, generator=generator, dtype=kernel.scale.dtype)
    some, few = (draw < 0.25).to(draw), (draw < 2 / (d + 2)).to(draw)
    one = torch.zeros_like(draw).scatter_(2, draw.argmax(dim=2, keepdim=True), 1.0)
    step = kernel.step[:, None, None]
    size = torch.where(
        kind < 0.4,
        step,
        torch.where(kind < 0.7, 2 * step * some, torch.where(kind < 0.85, 4 * step * few, 2 * one)),
    )
    return (size * spread * kernel.scale[:, None]).clamp(max=1), kind[:, :, 0] < 0.4


def _chosen(taken: Tensor, new: States, old: States) -> States:
    mask = taken[:, :, None]
    return States(
        torch.where(mask, new.z, old.z),
        torch.where(taken, new.surrogate, old.surrogate),
        torch.where(taken, new.exact, old.exact),
        torch.where(mask, new.mean, old.mean),
    )


def traces(target: Target, z: Float[Tensor, "n K D"]) -> Float[Tensor, "n K"]:
    """The traces of the covariance given each place."""
    n, chains, _ = z.shape
    return target.trace(z.flatten(0, 1), _index(n, chains)).reshape(n, chains)


def _index(n: int, chains: int) -> Tensor:
    return torch.arange(n).repeat_interleave(chains)
