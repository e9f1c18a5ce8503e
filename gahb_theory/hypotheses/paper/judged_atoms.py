"""The bases with which eigenbases of networks are compared: of fixed and adapted transforms, and of the exact posterior.

    BestOf              the r atoms with the largest coefficients of the clean image, in a basis adapted to it where it can be
    posterior_matrices  Cov[x | y] / sigma^2 at many noisy C^alpha images at once, whose eigenvectors are the optimal basis

With chains on all images at once, one image costs a tenth of what `CAlphaBayes` takes. The covariance is the mean of that
given the contour, over the states of the last half of the chains, and the covariance of the means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.bases import Basis
from gahb_theory.denoisers.exact.contour_target import ContourTarget
from gahb_theory.denoisers.exact.posterior_chain import BLOCK, Search, begin, block, search
from gahb_theory.hypotheses.jobs import Bench
from gahb_theory.hypotheses.laboratory import ARRAYS
from gahb_theory.images import CAlpha
from gahb_theory.randomness import Component, add_noise, step_generator

__all__ = ["BestOf", "measure_posterior", "posterior_matrices"]


@dataclass(frozen=True, eq=False)
class BestOf:
    """The r atoms with the largest coefficients of each clean image; bases that adapt are adapted to it at sigma."""

    basis: Basis
    found: dict[Any, Tensor] = field(default_factory=dict, repr=False)

    def __call__(self, images: Tensor, sigma: float, r: int) -> Tensor:
        """Atoms (n, r, d)."""
        key = (tuple(images.shape), float(images.double().sum()), sigma, r)
        if key not in self.found:
            rows = []
            for i in range(len(images)):
                x = images[i : i + 1]
                basis = self.basis.at(x, sigma)
                first = basis.analysis(x)[0].abs().topk(r).indices.tolist()
                rows.append(basis.atom_images(first, x.shape[1:]).flatten(1))
            self.found[key] = torch.stack(rows)
        return self.found[key]


def posterior_matrices(
    X: CAlpha, y: Tensor, sigma: float, *, steps: int = 500, chains: int = 4, seed: int = 0
) -> Tensor:
    """Cov[x | y] / sigma^2 at each noisy image, (n, d, d) in double precision.

    Parameters
    ----------
    X
        A "holder" class.
    y
        Noisy images, (n, 1, h, w).
    sigma
        Their noise level.
    steps, chains
        Steps of each chain, half of which are left out, and chains for each image.
    seed
        Of the chains.
    """
    n = len(y)
    target = ContourTarget(X, y.double().flatten(1), sigma)
    kernel, z = search(target, n, Search(chains, rounds=20, steps=60), seed=seed)
    states, blocks = begin(target, z), -(-steps // BLOCK)
    index = torch.arange(n).repeat_interleave(chains)
    means, given = [], torch.zeros(n, y[0].numel(), y[0].numel(), dtype=torch.float64)
    for number in range(blocks):
        states, _ = block(target, states, kernel, step_generator("cpu", Component.POSTERIOR, seed, number))
        if 2 * (number + 1) > blocks:
            means.append(states.mean)
            for rows, of in zip(torch.split(states.z.flatten(0, 1), 16), torch.split(index, 16), strict=True):
                given.index_add_(0, of, target.covariance(rows, of))
    found = torch.stack(means).movedim(0, 2).flatten(1, 2)  # (n, states, d)
    centred = found - found.mean(dim=1, keepdim=True)
    return (given + centred.mT @ centred) / found.shape[1] / sigma**2


def measure_posterior(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """The task of one noise level: eigenvalues and eigenvectors of the exact posterior, in arrays.npz."""
    X, n, sigma = place["images"], place["count"], place["sigma"]
    x = X.sample(n, seed=place["seed"])
    matrices = posterior_matrices(X, add_noise(x, sigma, seed=place["noise"]), sigma)
    values, vectors = torch.linalg.eigh(matrices)
    arrays = {"values": values.flip(1).float().numpy(), "vectors": vectors.flip(2).mT.half().numpy()}
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {"trace": values.sum(dim=1).tolist()}
