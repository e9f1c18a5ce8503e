"""The likelihood of an image, from the errors of a denoiser at all noise levels; divergences of two denoisers in nats.

For the posterior mean f of a density p, and the posterior mean w of any Gaussian density p_w, at every image x

    log p(x) = log p_w(x) + int_0^inf (E||w(y) - x||^2 - E||f(y) - x||^2) / sigma^2 d log sigma,    y = x + sigma z

(Guo, Shamai and Verdu 2005; pointwise: Kong, Brekelmans and Ver Steeg 2023), as log p(x) and log p_w(x) have the same
derivative in the signal-to-noise ratio as half of these errors. For any other f the right side is the log likelihood that
the denoiser stands for: it need not be normalised, but its mean over images of p is never above that of log p itself. The
difference is equation 5 of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024),

    KL(p || p_f)  <=  int_0^inf E||f(y) - f*(y)||^2 / sigma^2 d log sigma,

with f* the posterior mean of p; both sides are equal if f is a posterior mean.

Intervals for a nominal 95 % hold log p of single images .95 to .98 times on Gaussians and mixtures, .95 times on `HolderBall`
from sigma = .0001 on, and KL of two mixtures .98 times (`benchmarks/likelihood_coverage.py`). From .01 on they are infinite for
`HolderBall` of 256 pixels, whose bounds are not far above: the range has to begin lower.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.metrics.errors import Repeat
from gahb_theory.metrics.intervals import Estimate, check_confidence
from gahb_theory.precision import full_precision, takes_arrays, wide
from gahb_theory.stored_results import Result
from gahb_theory.theory.noise_integral import integrate, mean_over_draws_and_images, open_ends, range_of, tails

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["LogDivergence", "LogLikelihood", "kl_divergence", "log_likelihood"]

RANGE = (0.01, 10.0)


@dataclass(frozen=True, eq=False, repr=False)
class LogLikelihood(Result):
    """Log likelihoods of n images in nats; densities are per unit of intensity.

    Parameters
    ----------
    nats
        log p of each image, its Monte-Carlo interval widened by the truncation error: arrays of shape (n,).
    mean
        The mean over images.
    truncation
        Error of each for what is below and above the range of noise levels, shape (2, n): as much was added to `nats`, with
        its sign. Infinite, and the interval with it, where the integrand does not fall at that end: widen the range there.
    sigmas
        The range.
    dimension
        Number d of pixels of an image, over all channels.
    draws
        Independent repetitions.
    """

    nats: Estimate
    mean: Estimate
    truncation: Float[np.ndarray, "2 n"]
    sigmas: tuple[float, float]
    dimension: int
    draws: int

    @property
    def bits_per_dimension(self) -> Float[np.ndarray, " n"]:
        """-log2 p / d of each image; 8 more for a pixel of 256 levels between 0 and 1."""
        return -np.asarray(self.nats.value) / (self.dimension * math.log(2))

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the log-likelihood of each image with its interval, and return the axes."""
        from gahb_theory.report.figures import axes_or_new

        ax, ends = axes_or_new(ax), self.nats
        value, below, above = (np.asarray(end) for end in (ends.value, ends.value - ends.low, ends.high - ends.value))
        ax.errorbar(np.arange(len(value)), value, np.stack([below, above]), fmt="o")
        ax.set(xlabel="image", ylabel="log-likelihood (nats)")
        return ax


@dataclass(frozen=True, eq=False, repr=False)
class LogDivergence(Result):
    """How far two denoisers are apart in nats, and at which noise levels.

    Parameters
    ----------
    nats
        The whole, with the ends closed; the interval is over images and draws, begins at 0 at least, and holds the truncation
        error.
    within
        What lies within the range of noise levels.
    truncation
        Error for what is below and above the range: two numbers; as much is in `nats`. Infinite where the integrand does not
        fall at that end; `within` says what is known then.
    sigmas
        Middle of each stratum of noise levels, shape (s,).
    nats_per_octave
        Mean of the integrand, times log 2, shape (s,).
    """

    nats: Estimate
    within: Estimate
    truncation: tuple[float, float]
    sigmas: Float[np.ndarray, " s"]
    nats_per_octave: Float[np.ndarray, " s"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw what each octave of noise adds, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"divergence": self.nats_per_octave}, ax, "nats per octave")


@full_precision
@takes_arrays
def log_likelihood(
    f: Denoiser,
    images: Float[Tensor, "n c h w"],
    sigmas: tuple[float, float] = RANGE,
    *,
    reference: GaussianDenoiser | None = None,
    strata: int = 32,
    draws: int = 8,
    seed: int = 0,
    confidence: float = 0.95,
) -> LogLikelihood:
    """log p of each image, p the density that the denoiser is the posterior mean of.

    Parameters
    ----------
    f
        Any denoiser f(y, sigma), blind or not.
    images
        Clean images.
    sigmas
        The smallest and the largest noise level at which f is asked; beyond them the ends are closed.
    reference
        A Gaussian with a density, whose likelihood is known. Any gives the same result; the more it resembles p, the
        smaller are the Monte-Carlo error and what is beyond the range. By default independent pixels with the mean and
        variance of the images.
    strata, draws
        Noise levels of a draw, and independent draws, at least 2: f is called for each image strata times draws times.
    seed
        Names noise and levels.
    confidence
        Probability of the intervals.

    References
    ----------
    D. Guo, S. Shamai, S. Verdu, Mutual information and minimum mean-square error in Gaussian channels, IEEE Transactions on
    Information Theory, 2005. X. Kong, R. Brekelmans, G. Ver Steeg, Information-theoretic diffusion, ICLR 2023.

    Examples
    --------
    Pixels of variance 1 have the log density -1/2 (log 2 pi + x^2):

    >>> import torch
    >>> f = GaussianDenoiser(torch.zeros(1, 1, 2, 2), torch.eye(4))
    >>> reference = GaussianDenoiser(torch.zeros(1, 1, 2, 2), 2 * torch.eye(4))
    >>> found = log_likelihood(f, torch.ones(1, 1, 2, 2), (0.02, 50.0), reference=reference, draws=16)
    >>> bool(found.nats.low[0] < -2 * (1.8379 + 1) < found.nats.high[0])
    True
    """
    from scipy.special import stdtrit

    x, sigmas, strata, draws, seed = _checked(images, sigmas, strata, draws, seed)
    confidence = check_confidence(confidence)
    gaussian = _isotropic(x) if reference is None else reference
    base = _log_density(gaussian, x)
    own = Repeat(f)

    def gain(clean: Tensor, noisy: Tensor, sigma: float) -> Tensor:
        """||w(y) - x||^2 - ||f(y) - x||^2."""
        theirs, ours = (wide(g(noisy, sigma)) for g in (gaussian, own))
        return ((theirs - ours) * (theirs + ours - 2 * wide(clean))).flatten(1).double().sum(dim=1)

    shares = integrate(gain, x, sigmas, strata, draws, seed)
    with torch.no_grad():
        own.check()
    beyond = tails(shares, sigmas)
    values = base + shares.sum(axis=1) + beyond.sum(axis=0)
    unknown = np.where(open_ends(shares, sigmas), np.inf, 0.0)[:, None]
    truncation = np.abs(beyond.mean(axis=1)) + unknown
    middle, error = values.mean(axis=0), values.std(axis=0, ddof=1) / draws**0.5
    half = stdtrit(draws - 1, (1 + confidence) / 2) * error + truncation.sum(axis=0)
    method = f"t of {draws} draws of {strata} noise levels, and truncation"
    return LogLikelihood(
        nats=Estimate(middle, middle - half, middle + half, error, confidence, method),
        mean=mean_over_draws_and_images(
            values, float(np.abs(beyond.mean(axis=(1, 2))).sum() + unknown.sum()), confidence
        ),
        truncation=truncation,
        sigmas=sigmas,
        dimension=x[0].numel(),
        draws=draws,
    )


@full_precision
@takes_arrays
def kl_divergence(
    f: Denoiser,
    g: Denoiser,
    images: Float[Tensor, "n c h w"],
    sigmas: tuple[float, float] = RANGE,
    *,
    strata: int = 32,
    draws: int = 4,
    seed: int = 0,
    confidence: float = 0.95,
) -> LogDivergence:
    """int E||f(y) - g(y)||^2 / sigma^2 d log sigma: the divergence of what two denoisers stand for, in nats.

    On images of the density that f is the posterior mean of, this is KL(p_f || p_g) if g is a posterior mean too, and an
    upper bound of it if not (equation 5). For two networks on images of a third distribution it is a distance, which says in
    nats how far their scores are apart where these images are.

    Parameters
    ----------
    f, g
        Denoisers, blind or not.
    images
        Clean images.
    sigmas, strata, draws, seed, confidence
        As in `log_likelihood`.

    Examples
    --------
    Gaussians of variance 1 and 2: log 2 / 2 - 1 / 4 for each pixel.

    >>> import torch
    >>> f, g = (GaussianDenoiser(torch.zeros(1, 1, 2, 2), v * torch.eye(4)) for v in (1, 2))
    >>> x = torch.randn(500, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    >>> round(kl_divergence(f, g, x, (0.02, 50.0)).nats.value / 4, 2)
    0.1
    """
    x, sigmas, strata, draws, seed = _checked(images, sigmas, strata, draws, seed)
    one, other = Repeat(f), Repeat(g, "g")

    def distance(clean: Tensor, noisy: Tensor, sigma: float) -> Tensor:
        """||f(y) - g(y)||^2."""
        return (wide(one(noisy, sigma)) - wide(other(noisy, sigma))).flatten(1).double().square().sum(dim=1)

    shares = integrate(distance, x, sigmas, strata, draws, seed)
    with torch.no_grad():
        for repeat in (one, other):
            repeat.check()
    beyond = tails(shares, sigmas)
    unknown = np.where(open_ends(shares, sigmas), np.inf, 0.0)
    below, above = (float(end) for end in beyond.mean(axis=(1, 2)) + unknown)
    inside = shares.sum(axis=1)
    width = math.log(sigmas[1] / sigmas[0]) / strata
    return LogDivergence(
        nats=_not_negative(mean_over_draws_and_images(inside + beyond.sum(axis=0), below + above, confidence)),
        within=_not_negative(mean_over_draws_and_images(inside, 0.0, confidence)),
        truncation=(below, above),
        sigmas=sigmas[0] * np.exp(width * (np.arange(strata) + 0.5)),
        nats_per_octave=shares.mean(axis=(0, 2)) * math.log(2) / width,
    )


def _not_negative(e: Estimate) -> Estimate:
    """An estimate of a mean of squares, whose interval begins at 0 at least."""
    return replace(e, low=max(0.0, float(e.low)))


def _checked(
    images: Tensor, sigmas: tuple[float, float], strata: int, draws: int, seed: int
) -> tuple[Tensor, tuple[float, float], int, int, int]:
    return (
        validate.images(images),
        range_of(sigmas),
        validate.integer(strata, "strata", 1, 10**6),
        validate.integer(draws, "draws", 2, 10**6),
        validate.seed(seed),
    )


def _isotropic(x: Tensor) -> GaussianDenoiser:
    """Independent pixels with the mean and variance of the images; variance 1 where they are constant."""
    values = wide(x).double()
    variance = float(values.var()) if values.numel() > 1 else 0.0
    mean = torch.full((1, *x.shape[1:]), float(values.mean()), dtype=torch.float64)
    eye = torch.eye(mean.numel(), dtype=torch.float64)
    return GaussianDenoiser(mean, (variance or 1.0) * eye).to(x.device)


def _log_density(gaussian: GaussianDenoiser, x: Tensor) -> np.ndarray:
    """Log density of a Gaussian, shape (n,)."""
    if not isinstance(gaussian, GaussianDenoiser):
        raise TypeError(f"reference must be a GaussianDenoiser, got {type(gaussian).__name__}")
    if gaussian.mean.shape[1:] != x.shape[1:]:
        raise ValueError(
            f"reference must be of images {tuple(x.shape[1:])}, got one of images {tuple(gaussian.mean.shape[1:])}"
        )
    variances = gaussian.variances.double()
    if not float(variances.min()) > 0:
        raise ValueError(
            "reference must have a density, got a variance of 0; fit it on more images than pixels, or leave it out"
        )
    c = (wide(x).double() - gaussian.mean.double()).flatten(1) @ gaussian.atoms.double().mT
    log_p = -(c.square() / variances + variances.log() + math.log(2 * math.pi)).sum(dim=1) / 2
    result: np.ndarray = log_p.cpu().numpy()
    return result
