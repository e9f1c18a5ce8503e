"""The Bayes risk of an image class: which computation a class needs.

Gaussian fields, textures, mixtures, finite sets, HolderBall, rays, sine cones     exact
Shuffled                                                                           that of the class before
CAlpha("holder"), Disks with smooth or area edges, Ellipses, Polygons              between two bounds, by chains
anything else                                                                      unknown: 0, and the Wiener filter
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.denoisers import StationaryGaussianDenoiser
from gahb_theory.denoisers.exact.contour_target import ContourTarget
from gahb_theory.denoisers.exact.parameter_target import ParameterTarget, parameter_target
from gahb_theory.denoisers.exact.posterior_chain import Search
from gahb_theory.images import CAlpha, Disks, Ellipses, ImageClass, Polygons, Shuffled
from gahb_theory.metrics.errors import mse
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import read_arrays, write_arrays
from gahb_theory.theory.optimum.chain_enclosure import Progress, advance, bounds, from_stored, start, to_stored
from gahb_theory.theory.optimum.enclosure import BayesRisk, Enclosed, enclosure, unknown
from gahb_theory.theory.optimum.exact_classes import EXACT, Exact, exact_risk
from gahb_theory.theory.optimum.standard_table import stored_risk

__all__ = ["bayes_risk", "bayes_risks", "chained", "posterior_target"]

Known: TypeAlias = ImageClass | Exact
STEPS, FITTED = 2000, 1024
MOST_STEPS, MOST_IMAGES = 10**9, 10**5


def bayes_risk(
    X: Known,
    sigma: float,
    images: int = 32,
    *,
    seed: int = 0,
    steps: int | None = None,
    minutes: float | None = None,
    directory: str | Path | None = None,
    search: Search | None = None,
) -> BayesRisk:
    """The smallest risk E||f(y) - x||^2 of any denoiser f, exact or between two bounds, summed over pixels.

    What is a proof: the expectations of the two bounds enclose the Bayes risk, for any number of steps and however badly the
    chains mix. What is Monte Carlo: the means over images and states that stand for the expectations; their intervals (over
    images, each with chains of its own) are in `lower` and `upper`, that of the paired difference in `width`. What is an
    approximation: of the fields of "holder" images modes are replaced by white noise where that changes their distribution,
    seen through the noise, by at most 1e-5 nats a region; the means of the regions are integrated by 12 by 12 Gauss nodes.

    Parameters
    ----------
    X
        An image class; or an exact denoiser (`GaussianDenoiser`, `StationaryGaussianDenoiser`, `GaussianMixture`,
        `EmpiricalBayes`), which stands for the distribution that it is optimal for. Where nothing is known, as for
        photographs, dead leaves and the "paper" convention, the lower bound is 0, the upper one the risk of a Wiener filter
        fitted on other images, and `method` begins with "unknown".
    sigma
        Noise level.
    images
        Number of noisy images, at least 2: images 0 .. n - 1 of the class at this seed.
    seed
        Of the images, their noise, and the chains.
    steps
        Steps of each chain. None: the table that comes with the package, if it holds this class, level, number of images and
        seed; else 2000.
    minutes
        Stop after so long, even before `steps`; how far it comes then depends on the machine.
    directory
        A run directory: the state of the chains is kept there, and a call with the same class, level, images and seed and with
        more steps goes on from it.
    search
        How the kernel is searched for.

    References
    ----------
    D. Blackwell, Conditional expectation and unbiased sequential estimation, 1947; S. L. Cotter, G. O. Roberts, A. M. Stuart,
    D. White, MCMC methods for functions, 2013; J. S. Liu, Monte Carlo Strategies in Scientific Computing, 2001, section 9.4.

    See Also
    --------
    gahb_theory.optimality, gahb_theory.excess_risk

    Examples
    --------
    >>> from gahb_theory.images import GaussianField
    >>> bayes_risk(GaussianField(size=16), sigma=0.1, images=2)
    BayesRisk(0.11017 at sigma = 0.1, closed form of a Gaussian)
    """
    sigma, n = validate.sigma_level(sigma), validate.integer(images, "images", 2, MOST_IMAGES)
    seed = validate.seed(seed)
    if steps is not None:
        steps = validate.integer(steps, "steps", 1, MOST_STEPS)
    if minutes is not None:
        minutes = validate.positive(minutes, "minutes")
    if isinstance(X, EXACT):
        return exact_risk(X, sigma, n, seed=seed)
    if isinstance(X, Shuffled):
        inner = bayes_risk(
            X.image_class, sigma, n, seed=seed, steps=steps, minutes=minutes, directory=directory, search=search
        )
        return inner.rearranged(X.shuffle, inner.method)
    if not chained(X):
        return unknown_risks(X, (sigma,), n, seed)[0]
    if steps is None and minutes is None and directory is None:
        stored = stored_risk(X, sigma, n, seed)
        if stored is not None:
            return stored
    steps = steps if steps is not None else STEPS if minutes is None else MOST_STEPS
    return _by_chains(X, sigma, n, seed, steps, minutes, directory, search or Search())


def bayes_risks(
    X: Known, sigmas: Sequence[float], images: int, *, seed: int, steps: int | None, minutes: float | None
) -> tuple[BayesRisk, ...]:
    """`bayes_risk` at each noise level; where the optimum is unknown, images are drawn and a Wiener filter is fitted once."""
    if isinstance(X, Shuffled):
        inner = bayes_risks(X.image_class, sigmas, images, seed=seed, steps=steps, minutes=minutes)
        return tuple(b.rearranged(X.shuffle, b.method) for b in inner)
    if isinstance(X, EXACT) or chained(X):
        return tuple(bayes_risk(X, sigma, images, seed=seed, steps=steps, minutes=minutes) for sigma in sigmas)
    return unknown_risks(X, sigmas, validate.integer(images, "images", 2, MOST_IMAGES), seed)


def chained(X: Any) -> bool:
    """Whether the posterior of a class is known up to what a chain draws."""
    return isinstance(X, Ellipses | Polygons) or (
        (isinstance(X, CAlpha) and X.convention == "holder") or isinstance(X, Disks)
    )


def posterior_target(X: CAlpha | Disks | Ellipses | Polygons, y: Any, sigma: float) -> ContourTarget | ParameterTarget:
    """The posterior over contours or parameters at noisy images (n, d)."""
    return ContourTarget(X, y, sigma) if isinstance(X, CAlpha) else parameter_target(X, y, sigma)


def _by_chains(
    X: Any, sigma: float, n: int, seed: int, steps: int, minutes: float | None, directory: Any, settings: Search
) -> BayesRisk:
    y = add_noise(_double(X, n, seed), sigma, seed=seed)
    target = posterior_target(X, y.flatten(1), sigma)
    file, progress = None, None
    if directory is not None:
        config = {
            "class": runs.describe(X),
            "sigma": sigma,
            "images": n,
            "seed": seed,
            "search": runs.describe(settings),
        }
        file = runs.open_run(directory, config) / "chains.npz"
        arrays = read_arrays(file)
        progress = from_stored(arrays) if arrays else None
        if progress is not None and progress.states.z.shape[2] != target.dimension:
            progress = None  # of a former version, with other numbers behind an image
    if progress is None:
        progress = start(target, target.truth(n, seed), settings, seed=seed)

    def save(now: Progress) -> None:
        if file is not None:
            write_arrays(file, to_stored(now))

    seconds = None if minutes is None else 60 * minutes
    progress = advance(target, progress, steps, seed=seed, seconds=seconds, save=save)
    lower, upper, centre, trace, blind = bounds(progress)
    work = {
        "images": n,
        "steps": progress.steps,
        "chains": progress.states.z.shape[1],
        "seconds": round(progress.seconds, 1),
        "accepted_blocks": float(progress.accepted.mean() / progress.blocks),
    }
    known = Enclosed(y, centre.reshape(y.shape), trace, lower, upper, blind.reshape(y.shape))
    return enclosure(known, sigma, "chains from the truth and from nowhere", work, exact=False)


def _double(X: Any, n: int, seed: int) -> Tensor:
    """Images 0 .. n - 1 in double precision, those whose parameters the class tells."""
    return X.sample(n, seed=seed, dtype=torch.float64)


def unknown_risks(X: Any, sigmas: Sequence[float], n: int, seed: int) -> tuple[BayesRisk, ...]:
    """Nothing but the risk of a Wiener filter, fitted once, at each noise level."""
    x = validate.sampled(X, n + FITTED, seed=seed).double()
    f = StationaryGaussianDenoiser.fit(x[n:])
    nothing, risks = torch.zeros(n, dtype=torch.float64), []
    for sigma in sigmas:
        y = add_noise(x[:n], sigma, seed=seed)
        known = Enclosed(y, x[:n], nothing, nothing, mse(x[:n], f(y, sigma)))
        risks.append(unknown(known, sigma, "0 and the risk of a Wiener filter"))
    return tuple(risks)
