"""Drawing samples from the distribution that a denoiser has learned.

A denoiser is a score: grad log p_sigma(y) = (f(y) - y) / sigma^2 (Robbins 1956; Miyasawa 1961). The stochastic
coarse-to-fine ascent follows it from noise to an image. From y ~ N(m, sigma_0^2 Id), while sigma_t >= sigma_inf,

    s_t       = f(y_t) - y_t
    sigma_t^2 = ||s_t||^2 / d
    gamma_t^2 = ((1 - beta h)^2 - (1 - h)^2) sigma_t^2
    y_(t+1)   = y_t + h s_t + gamma_t z_t ,        z_t ~ N(0, Id) ,

(Kadkhodaie and Simoncelli, NeurIPS 2021; Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, algorithm 1, with h = 0.01,
beta = 0.1, sigma_0 = 1, sigma_inf = 0.05). A step takes the fraction h of the noise away and puts so much back that
1 - beta h of it is left, hence about log(sigma_0 / sigma_inf) / (beta h) steps. With beta = 1 nothing is put back.

The loop ends at the first y_t whose own level sigma_t is below sigma_inf. The authors' code looks at the level of the
image before its last update, and so makes one more update after that (2317 instead of 2316 with its defaults).

The level sigma_t of a blind denoiser is read from its residual, as above (`residual_level`). That of a denoiser that
sees sigma is sigma_(t+1) = (1 - beta h) sigma_t from sigma_0 on (`scheduled_level`): for a posterior mean
E ||s_t||^2 = sigma_t^2 (d - E tr J), so that the residual underrates the noise where tr J is not small against d.

The ascent follows p_sigma to first order in h, which leaves a relative error of the variances of about h / 2. A start
that is not p_(sigma_0) is forgotten: in a Gaussian direction of variance s, like (s / sigma_0^2)^(1 / (2 beta)).
"""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.sampling.coarse_to_fine import Ascent, Level, Samples, Status, Trajectory, join
from gahb_theory.sampling.consistency import Consistency
from gahb_theory.sampling.starts import Starts, dtype_and_device

__all__ = ["Samples", "Status", "Trajectory", "generate", "growing_step", "residual_level", "scheduled_level"]


def growing_step(step: float = 0.01) -> Callable[[int], float]:
    """The growing step h_t = h t / (1 + h (t - 1)), t = 1, 2, ..., of the authors' code; it starts at h and tends to 1.

    Parameters
    ----------
    step
        h, in (0, 1].

    References
    ----------
    Kadkhodaie, Simoncelli, Stochastic solutions for linear inverse problems using the prior implicit in a denoiser,
    NeurIPS 2021.

    Examples
    --------
    >>> h = growing_step(0.01)
    >>> h(1), round(h(100), 4)
    (0.01, 0.5025)
    """
    h = _fraction(step, "step")
    return lambda t: h * t / (1 + h * (t - 1))


def residual_level(residual: Float[Tensor, " n"], scheduled: float | Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """The noise level that a blind denoiser implies, ||f(y) - y|| / sqrt(d), for each sample."""
    return residual


def scheduled_level(
    residual: Float[Tensor, " n"], scheduled: float | Float[Tensor, " n"]
) -> float | Float[Tensor, " n"]:
    """The noise level of the schedule, sigma_(t+1) = (1 - beta h) sigma_t, for a denoiser that sees sigma."""
    return scheduled


@torch.no_grad()
def generate(
    f: Denoiser,
    shape: tuple[int, int, int, int],
    *,
    seed: int = 0,
    step: float | Callable[[int], float] = 0.01,
    beta: float = 0.1,
    start: int = 0,
    mean: float | Float[Tensor, "#n c h w"] = 0.5,
    sigma_0: float = 1.0,
    sigma_inf: float = 0.05,
    max_steps: int = 10_000,
    level: Level | None = None,
    every: int | None = None,
    batch_size: int = 64,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Samples:
    """Draw samples by the stochastic coarse-to-fine ascent.

    All random numbers of sample i are a pure function of (seed, i) on one kind of device: neither `batch_size` nor the
    other samples matter, but for rounding inside f. So denoisers that are called with the same seed start from the same
    noise and take the same noise at every step.

    Parameters
    ----------
    f
        A denoiser f(y, sigma), blind or not; a network must be in eval mode.
    shape
        (n, channels, height, width).
    seed, start
        Sample i of the result is number start + i of the stream that `seed` names.
    step
        h, a number in (0, 1], or a function of t = 1, 2, ... such as `growing_step()`.
    beta
        Share of the removed noise that is not put back, in (0, 1]; 1 makes the ascent deterministic.
    mean
        Mean m of the start: a number, one image, or one for each sample.
    sigma_0
        Noise level of the start, above 0. It should be large against the spread of the distribution.
    sigma_inf
        Noise level of the end, below sigma_0.
    max_steps
        The status of a sample that needs more is OUT_OF_STEPS.
    level
        The rule for sigma_t: `residual_level`, `scheduled_level`, or a function of the same kind. By default the first
        if f is blind and the second if not, which one more call of f, with half the sigma, tells.
    every
        Keep y_t, f(y_t) and sigma_t at each multiple of this number of steps, and at the end. None keeps nothing.
    batch_size
        Number of samples that are denoised at once. One that has ended leaves its batch.
    dtype, device
        Of the samples; by default those of the parameters or buffers of f, else float32 on the CPU.

    Returns
    -------
    The samples, each with its status. Those that have diverged are returned as they are.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range, or if f returns another shape than it was given.
    RuntimeError
        If f is a network in train mode.

    See Also
    --------
    gahb_theory.copies, gahb_theory.add_noise

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import GaussianDenoiser
    >>> f = GaussianDenoiser(torch.full((1, 1, 2, 2), 0.5), 0.04 * torch.eye(4))
    >>> samples = generate(f, (200, 1, 2, 2), step=0.05, batch_size=200)
    >>> print(samples)
    200 samples: 200 converged, 0 out of steps, 0 diverged; 598 steps
    >>> round(float(samples.images.std()), 1)
    0.2
    """
    _check_denoiser(f)
    starts = Starts(shape, seed, start, mean, sigma_0, batch_size, *dtype_and_device(f, dtype, device))
    return ascend(f, starts, step=step, beta=beta, sigma_inf=sigma_inf, max_steps=max_steps, level=level, every=every)


def ascend(
    f: Denoiser,
    starts: Starts,
    *,
    step: float | Callable[[int], float],
    beta: float,
    sigma_inf: float,
    max_steps: int,
    level: Level | None,
    every: int | None,
    consistent: Consistency | None = None,
) -> Samples:
    """The ascent from these starts; `consistent` replaces each estimate by the nearest image that fits what was measured."""
    rule, beta = step if callable(step) else _constant(_fraction(step, "step")), _fraction(beta, "beta")
    max_steps = validate.integer(max_steps, "max_steps", 1)
    every = None if every is None else validate.integer(every, "every", 1)
    sigma_0, sigma_inf = starts.sigma_0, validate.sigma_level(sigma_inf, "sigma_inf")
    if sigma_inf >= sigma_0:
        raise ValueError(f"sigma_inf must lie below sigma_0 = {sigma_0:g}, got {sigma_inf:g}")
    if level is not None and not callable(level):
        raise TypeError(f"level must be a rule such as residual_level, got {type(level).__name__}")
    if level is None:
        level = residual_level if _is_blind(f, starts.first(), sigma_0) else scheduled_level
    parts = [
        Ascent(
            f,
            y,
            indices,
            seed=starts.seed,
            sigma_0=sigma_0,
            sigma_inf=sigma_inf,
            level=level,
            every=every,
            correct=None if consistent is None else consistent.of(indices - starts.start),
        ).run(rule, beta, max_steps)
        for indices, y in starts
    ]
    return join(parts)


def _check_denoiser(f: Denoiser) -> None:
    if not callable(f):
        raise TypeError(f"f must be a denoiser that can be called as f(y, sigma), got {type(f).__name__}")
    validate.evaluation_mode(f)


def _is_blind(f: Denoiser, y: Tensor, sigma: float) -> bool:
    """Whether f gives the same answer at half the noise level."""
    return torch.equal(validate.denoised(f, y, sigma), validate.denoised(f, y, sigma / 2))


def _constant(step: float) -> Callable[[int], float]:
    return lambda t: step


def _fraction(value: float, name: str) -> float:
    return validate.number(value, name, above=0, most=1)
