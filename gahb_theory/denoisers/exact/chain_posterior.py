"""The optimal denoisers of C^alpha images, disks, ellipses and polygons, by chains over what determines the images.

    f(y) = E[x | y] = E[ m(c) | y ],      Cov[x | y] = E[ C(c) | y ] + Cov[ m(c) | y ],      J = Cov[x | y] / sigma^2,

c the contours or parameters, m and C the exact posterior mean and covariance given them. The eigenvectors of J are the basis
that the theory wants: adapted to the geometry, with its uncertainty. The chains begin where a search that sees y alone ended;
their random numbers are fixed by the seed, so that f is a function of y.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.exact.contour_target import ContourTarget
from gahb_theory.denoisers.exact.own_jacobian import OwnJacobian
from gahb_theory.denoisers.exact.parameter_target import ParameterTarget, parameter_target
from gahb_theory.denoisers.exact.posterior_chain import BLOCK, Search, begin, block, search, traces
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.images.c_alpha import CAlpha
from gahb_theory.images.disks import Disks
from gahb_theory.images.ellipses import Ellipses
from gahb_theory.images.polygons import Polygons
from gahb_theory.randomness import Component, step_generator

__all__ = ["CAlphaBayes", "ChainPosterior", "ManifoldBayes"]

MOST_STEPS, MOST_CHAINS = 10**7, 1024


class ChainPosterior(NamedTuple):
    """States of all chains at one noisy image, m in all, every 50 steps of the last half."""

    numbers: Tensor
    """What determines contours or parameters, as standard normal numbers, (m, D)."""
    means: Tensor
    """E[x | y, c], (m, d)."""
    traces: Tensor
    """The trace of Cov[x | y, c], (m,)."""
    between_chains: Tensor
    """Variance of the means of the chains over the variance of all states: about 0 once they agree."""

    @property
    def mean(self) -> Tensor:
        """E[x | y], (d,)."""
        return self.means.mean(dim=0)

    @property
    def variance(self) -> Tensor:
        """The trace of Cov[x | y]."""
        return self.traces.mean() + (self.means - self.mean).square().sum(dim=1).mean()


class _Run(NamedTuple):
    """What the chains met at one noisy image, and of what."""

    numbers: Tensor
    means: Tensor
    target: ContourTarget | ParameterTarget


class _ChainBayes(OwnJacobian):
    """What both denoisers have in common."""

    def __init__(
        self, images: CAlpha | Disks | Ellipses | Polygons, steps: int = 500, chains: int = 8, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.images = images
        self.steps = validate.integer(steps, "steps", 2 * BLOCK, MOST_STEPS)
        self.chains = validate.integer(chains, "chains", 2, MOST_CHAINS)
        self.seed = validate.seed(seed)
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image, each with chains of its own."""
        levels = sigma.flatten().expand(len(y)).tolist()
        means = [self._run(row[None], s).means.mean(dim=0) for row, s in zip(y, levels, strict=True)]
        return torch.stack(means).reshape(y.shape).to(y.dtype)

    def posterior(self, y: Float[Tensor, "1 1 h w"], sigma: float) -> ChainPosterior:
        """The states of the chains at one noisy image."""
        run = self._run(validate.one_image(y, "y"), validate.sigma_level(sigma))
        with torch.no_grad():
            trace = traces(run.target, run.numbers[None])[0]
        spread = (run.means - run.means.mean(dim=0)).square().sum(dim=1).mean()
        between = run.means.reshape(-1, self.chains, run.means.shape[1]).mean(dim=0).var(dim=0).sum()
        return ChainPosterior(run.numbers, run.means, trace, between / spread.clamp(min=torch.finfo(spread.dtype).tiny))

    def samples(self, y: Float[Tensor, "1 1 h w"], sigma: float, count: int = 8) -> Float[Tensor, "k 1 h w"]:
        """Draws of p(x | y): a state of the chains, then the Gaussian given it (the means of the regions by their moments)."""
        count = validate.integer(count, "count", 1, 10**5)
        result = self._run(validate.one_image(y, "y"), validate.sigma_level(sigma))
        generator = step_generator("cpu", Component.POSTERIOR, self.seed, -1)
        chosen = torch.randint(len(result.numbers), (count,), generator=generator)
        z = torch.randn(count, result.means.shape[1], generator=generator, dtype=torch.float64)
        rows = []
        for state, noise in zip(chosen.tolist(), z, strict=True):
            covariance = result.target.covariance(result.numbers[state : state + 1], torch.zeros(1, dtype=torch.long))[
                0
            ]
            values, vectors = torch.linalg.eigh(covariance)
            rows.append(result.means[state] + vectors @ (values.clamp(min=0).sqrt() * noise))
        return torch.stack(rows).reshape(count, *y.shape[1:]).to(y.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 1 h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, from the states of the chains."""
        level = validate.sigma_level(sigma)
        result = self._run(validate.one_image(y, "y"), level)
        centred = result.means - result.means.mean(dim=0)
        total = centred.mT @ centred / len(centred)
        for z in torch.split(result.numbers, 16):
            total += result.target.covariance(z, torch.zeros(len(z), dtype=torch.long)).sum(dim=0) / len(centred)
        return (total / level**2).to(y.dtype)

    def _run(self, y: Tensor, level: float) -> _Run:
        fitting(y, (1, self.images.size, self.images.size))
        with torch.no_grad():
            target = self._target(y.detach().double().cpu().flatten(1), level)
            kernel, z = search(target, 1, Search(self.chains, rounds=20, steps=60), seed=self.seed)
            states, retained = begin(target, z), []
            blocks = -(-self.steps // BLOCK)
            for number in range(blocks):
                generator = step_generator("cpu", Component.POSTERIOR, self.seed, number)
                states, _ = block(target, states, kernel, generator)
                if 2 * (number + 1) > blocks:
                    retained.append((states.z[0], states.mean[0]))
        numbers, means = (torch.cat(column) for column in zip(*retained, strict=True))
        return _Run(numbers, means, target)

    def _target(self, y: Tensor, level: float) -> ContourTarget | ParameterTarget:
        raise NotImplementedError


class CAlphaBayes(_ChainBayes):
    """The posterior mean of "holder" `CAlpha` images, any regularity and number of contours.

    Parameters
    ----------
    images
        The class.
    steps
        Steps of each chain after the search, of which the last half counts.
    chains
        Number of chains at each noisy image.
    seed
        Names the random numbers.

    Notes
    -----
    It takes some seconds for each image of 16 pixels. The Bayes risk is cheaper from `gahb_theory.theory.optimum`, whose
    bounds hold before the chains have converged; here `posterior(...).between_chains` says how far they agree.

    Examples
    --------
    >>> f = CAlphaBayes(CAlpha(alpha=2.0, size=16), steps=100)
    >>> f.chains
    8
    """

    def __init__(self, images: CAlpha, steps: int = 500, chains: int = 8, *, seed: int = 0) -> None:
        if not isinstance(images, CAlpha):
            raise TypeError(f"images must be an image class CAlpha, got {type(images).__name__}")
        if images.convention != "holder":
            raise ValueError('images of the "paper" convention are no Gaussian mixture; use convention="holder"')
        super().__init__(images, steps, chains, seed=seed)

    def _target(self, y: Tensor, level: float) -> ContourTarget:
        return ContourTarget(self.images, y, level)  # type: ignore[arg-type]


class ManifoldBayes(_ChainBayes):
    """The posterior mean of `Disks`, `Ellipses` or `Polygons`.

    Parameters
    ----------
    images
        The class.
    steps, chains, seed
        As for `CAlphaBayes`.

    Examples
    --------
    >>> f = ManifoldBayes(Ellipses(size=16), steps=100)
    >>> f.images.dimension
    7
    """

    def __init__(
        self, images: Disks | Ellipses | Polygons, steps: int = 500, chains: int = 8, *, seed: int = 0
    ) -> None:
        if not isinstance(images, Disks | Ellipses | Polygons):
            raise TypeError(f"images must be an image class Disks, Ellipses or Polygons, got {type(images).__name__}")
        super().__init__(images, steps, chains, seed=seed)

    def _target(self, y: Tensor, level: float) -> ParameterTarget:
        return parameter_target(self.images, y, level)  # type: ignore[arg-type]
