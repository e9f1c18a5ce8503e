"""Measures that decide the paper's claims at 16 pixels, one number for each image.

    AboveOptimum     (||f - E[x|y]||^2 + tr Cov[x|y] - upper) / mean of upper, `upper` the upper end of the Bayes interval
    SlopeApart       distance of the PSNR slope of f from that of the optimum over one window, as jackknife values
    LargestAngle     largest principal angle of the first m eigenvectors of S to the tangent space, in degrees
    BetweenCount     eigenvalues of S in (.2, .8)
    OwnGeometry      energy of an image in the best d / 32 vectors of its eigenbasis, less what others' eigenbases let expect
    OverlapOfOwn     the same of the overlap of the first r eigenvectors with r atoms of another basis

S is the symmetric part of the Jacobian at the noisy image. The first two see the noisy images of `bayes_risk`, whatever
`images` and `seed` are, and integrate out the noise of the posterior draw; 10 log10(1 + value) is in decibels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import runs, stored_results
from gahb_theory.comparison.measures import principal_angles
from gahb_theory.denoisers.base import Denoiser, Network
from gahb_theory.identity import digest, identity
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise
from gahb_theory.theory.optimum import BayesRisk, bayes_risk
from gahb_theory.theory.optimum.dispatch import STEPS, chained
from gahb_theory.theory.optimum.standard_table import stored_risk

__all__ = [
    "AboveOptimum",
    "BetweenCount",
    "LargestAngle",
    "OverlapOfOwn",
    "OwnGeometry",
    "SlopeApart",
    "Spectra",
    "decibels",
    "jackknife",
    "own_energy",
]

BETWEEN = (0.2, 0.8)
"""Eigenvalues between these are neither kept nor removed."""


def decibels(relative: float) -> float:
    """10 log10(1 + relative): how far a risk lies above the optimum.

    Examples
    --------
    >>> round(decibels(0.2589), 3)
    1.0
    """
    return float(10 * np.log10(max(1 + relative, 1e-12)))


@dataclass(frozen=True, eq=False)
class AboveOptimum:
    """How much of the Bayes risk a denoiser adds to it, at each image.

    Parameters
    ----------
    X
        An image class whose Bayes risk is exact or enclosed.
    count
        Number of noisy images.
    folder
        Where the chains of intervals are kept that are in no table of the library; None keeps none.
    steps
        Of these chains.
    """

    X: Any
    count: int = 32
    folder: Path | None = None
    steps: int = STEPS
    name: str = "excess over the Bayes risk"
    found: dict[float, BayesRisk] = field(default_factory=dict, repr=False)

    def bayes(self, sigma: float) -> BayesRisk:
        """The interval, computed once."""
        if sigma not in self.found:
            known = not chained(self.X) or stored_risk(self.X, sigma, self.count, 0) is not None
            if known or self.folder is None:
                self.found[sigma] = bayes_risk(self.X, sigma, self.count, seed=0)
            else:
                directory = self.folder / digest([identity(self.X), sigma, self.count])[:24]
                self.found[sigma] = bayes_risk(self.X, sigma, self.count, seed=0, steps=self.steps, directory=directory)
        return self.found[sigma]

    def stored(self, sigmas: Sequence[float]) -> str:
        """The hash of the intervals: a verdict rests on them, too. Those in no table of the library are computed."""
        known = [self.bayes(sigma)._known() for sigma in sigmas] if chained(self.X) else []
        return digest([[[float(f"{v:.8g}") for v in end.tolist()] for end in (b.lower, b.upper)] for b in known])

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        b = self.bayes(sigma)
        upper = b._known().upper
        with torch.no_grad():
            return (b.score(f) - upper) / upper.mean()


@dataclass(frozen=True, eq=False)
class SlopeApart:
    """Distance between the slope of PSNR against -20 log10 sigma of a denoiser and that of the optimum, in one window.

    The slope is that of the mean risk; its values at single images are n t - (n - 1) t_i, t_i the slope without image i
    (Quenouille 1956), so that their mean is the slope and their spread its error. Differences are turned so that the mean of
    each denoiser is positive.

    Parameters
    ----------
    above
        Gives the Bayes intervals.
    window
        Noise levels; the measure is the same at whatever sigma it is called.
    """

    above: AboveOptimum
    window: Sequence[float]
    name: str = "distance of the slope from that of the optimum"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        found = [self.above.bayes(level) for level in self.window]
        with torch.no_grad():
            own = torch.stack([b.score(f) for b in found])
        best = torch.stack([(b._known().lower + b._known().upper) / 2 for b in found])
        apart = jackknife(own.numpy(), self.window) - jackknife(best.numpy(), self.window)
        return torch.from_numpy(apart if apart.mean() > 0 else -apart)

    def slope(self, f: Denoiser) -> float:
        """The slope of a denoiser."""
        with torch.no_grad():
            risks = torch.stack([self.above.bayes(level).score(f) for level in self.window])
        return float(jackknife(risks.numpy(), self.window).mean())

    def optimum(self) -> np.ndarray:
        """Jackknife values of the slope of the optimum, in the middle of its interval."""
        found = [self.above.bayes(level)._known() for level in self.window]
        return jackknife(torch.stack([(b.lower + b.upper) / 2 for b in found]).numpy(), self.window)


def jackknife(risks: np.ndarray, window: Sequence[float]) -> np.ndarray:
    """Jackknife values of the slope of risk in decibels against noise in decibels, from risks (levels, images).

    Examples
    --------
    >>> jackknife(np.outer([0.01, 0.04], [1.0, 2.0, 3.0]), [0.1, 0.2]).round(6).tolist()
    [1.0, 1.0, 1.0]
    """
    n = risks.shape[1]
    x = np.log(np.asarray(window, dtype=float)) * 2
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    total = risks.sum(axis=1)
    whole = weights @ np.log(total / n)
    without = weights @ np.log((total[:, None] - risks) / (n - 1))
    return n * whole - (n - 1) * without


@dataclass(frozen=True, eq=False)
class Spectra:
    """Eigenvalues and eigenvectors of S at noisy images, each computed once: several measures share them.

    Parameters
    ----------
    noise
        Seed of the noise, the same for all denoisers.
    folder
        Where those of networks are kept, by the hash of weights, images and level; None keeps them in memory alone.
    """

    noise: int = 5
    folder: Path | None = None
    found: dict[Any, tuple[Any, Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def at(self, f: Denoiser, images: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Eigenvalues (n, d) and eigenvectors as rows (n, d, d), descending, at each image."""
        key = (id(f), tuple(images.shape), float(images.double().sum()), sigma)
        if key not in self.found:
            self.found[key] = (f, *self._kept(f, images, sigma))  # f is held, so that no other denoiser gets its id
        return self.found[key][1:]

    def _kept(self, f: Denoiser, images: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        if self.folder is None or not isinstance(f, Network):
            return self._compute(f, images, sigma)
        content = [runs.fingerprint_parameters(f), type(f).__name__, identity(images), sigma, self.noise]
        file = self.folder / f"{digest(content)[:24]}.npz"
        if not file.exists():
            values, vectors = self._compute(f, images, sigma)
            self.folder.mkdir(parents=True, exist_ok=True)
            stored_results.write_arrays(file, {"values": values.numpy(), "vectors": vectors.half().numpy()})
        arrays = stored_results.read_arrays(file)
        return torch.from_numpy(arrays["values"]), torch.from_numpy(arrays["vectors"]).float()

    def _compute(self, f: Denoiser, images: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        values, vectors = [], []
        y = add_noise(images, sigma, seed=self.noise)
        for i in range(len(y)):
            known = getattr(f, "jacobian_matrix", None)  # of exact optima, which no gradient passes
            J = jacobian(f, y[i : i + 1], sigma).matrix() if known is None else known(y[i : i + 1], sigma)
            J = J.detach().double()
            eigenvalues, columns = torch.linalg.eigh((J + J.mT) / 2)
            values.append(eigenvalues.flip(0))
            vectors.append(columns.flip(1).mT.float())
        return torch.stack(values), torch.stack(vectors)


@dataclass(frozen=True, eq=False)
class LargestAngle:
    """Largest principal angle between the tangent space and as many first eigenvectors, in degrees: 90 if one is missed.

    Parameters
    ----------
    tangents
        tangents(images) -> (n, m, d), orthonormal.
    spectra
        Where eigenvectors are kept.
    """

    tangents: Callable[[Tensor], Tensor]
    spectra: Spectra = field(default_factory=Spectra)
    name: str = "largest principal angle to the tangent space"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        pairs = zip(self.tangents(images).float(), self.spectra.at(f, images, sigma)[1], strict=True)
        return torch.stack([principal_angles(rows[: len(t)], t).max().rad2deg().double() for t, rows in pairs])


@dataclass(frozen=True, eq=False)
class BetweenCount:
    """Number of eigenvalues of S that are neither near 1 nor near 0, less that of the optimum.

    Parameters
    ----------
    spectra
        Where eigenvalues are kept.
    optimum
        The exact posterior mean; None subtracts nothing.
    """

    spectra: Spectra = field(default_factory=Spectra)
    optimum: Any = None
    name: str = "eigenvalues between .2 and .8"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        best = 0 if self.optimum is None else self.count(self.optimum, images, sigma)
        return self.count(f, images, sigma) - best

    def count(self, f: Denoiser, images: Tensor, sigma: float) -> Tensor:
        """The number at each image."""
        values = self.spectra.at(f, images, sigma)[0]
        return ((values > BETWEEN[0]) & (values < BETWEEN[1])).sum(dim=1).double()


@dataclass(frozen=True, eq=False)
class OwnGeometry:
    """Energy of each image in the best d / 32 vectors of a basis adapted to it, less what others' bases let expect.

    Parameters
    ----------
    spectra
        Where eigenvectors are kept.
    less
        less(images, sigma) -> the same of another adapted basis, which is subtracted; None subtracts nothing.
    """

    spectra: Spectra
    less: Callable[[Tensor, float], Tensor] | None = None
    name: str = "energy in the basis of the same image less that in those of others"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        found = own_energy(images, self.spectra.at(f, images, sigma)[1])
        return found if self.less is None else found - self.less(images, sigma)


def own_energy(images: Tensor, bases: Tensor) -> Tensor:
    """Energy of image i in the best d / 32 vectors of basis i, less what other pairs let expect; bases (n, k, d), rows."""
    x = (images - images.mean(dim=(1, 2, 3), keepdim=True)).flatten(1).double()
    x = x / x.norm(dim=1, keepdim=True)
    count = max(1, x.shape[1] // 32)
    energy = torch.stack([(x @ rows.double().mT).square().topk(count, dim=1).values.sum(dim=1) for rows in bases], 1)
    return own_less_expected(energy)


@dataclass(frozen=True, eq=False)
class OverlapOfOwn:
    """Overlap of the first r eigenvectors with r atoms of a basis of the same image, less what other images' atoms let expect.

    The overlap of two subspaces of dimension r is ||A^T B||^2 / r, between r / d by chance and 1. What is expected is additive
    in the image of the eigenvectors and that of the atoms, fitted to the pairs that do not belong together: a denoiser with
    one basis for all images has 0.

    Parameters
    ----------
    atoms
        atoms(images, sigma, r) -> (n, r, d), orthonormal.
    spectra
        Where eigenvectors are kept.
    rank
        r.
    """

    atoms: Callable[[Tensor, float, int], Tensor]
    spectra: Spectra
    rank: int = 16
    name: str = "overlap with the basis of the same image less that of others"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        first = self.spectra.at(f, images, sigma)[1][:, : self.rank]
        rows = self.atoms(images, sigma, self.rank).float()
        return own_less_expected(
            torch.einsum("ird,jsd->ijrs", first, rows).square().sum(dim=(2, 3)).double() / self.rank
        )


def own_less_expected(table: Tensor) -> Tensor:
    """The diagonal of a square table less the additive fit a_i + b_j to what is not on it.

    Examples
    --------
    >>> a, b = torch.arange(4.0)[:, None], torch.tensor([3.0, 1.0, 0.0, 5.0])
    >>> own_less_expected((a + b + 2 * torch.eye(4)).double()).numpy().round(6).tolist()
    [2.0, 2.0, 2.0, 2.0]
    """
    n, own = len(table), table.diagonal()
    others = table - torch.diag(own)
    rows, columns = others.sum(dim=1) / (n - 1), others.sum(dim=0) / (n - 1)
    return own - (rows + columns - n / (n - 1) * rows.mean()) * (n - 1) / (n - 2)
