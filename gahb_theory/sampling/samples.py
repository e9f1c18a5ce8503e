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
from torch import Tensor, nn
from tqdm import tqdm

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.randomness import LARGEST_INDEX
from gahb_theory.sampling.coarse_to_fine import Ascent, Level, Samples, Status, Trajectory, join, sample_normals

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
    mean: float | Float[Tensor, "1 c h w"] = 0.5,
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
        Mean m of the start, a number or one image.
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
    if not callable(f):
        raise TypeError(f"f must be a denoiser that can be called as f(y, sigma), got {type(f).__name__}")
    validate.evaluation_mode(f)
    n, *image_shape = validate.sizes(shape, 4)
    rule, beta = step if callable(step) else _constant(_fraction(step, "step")), _fraction(beta, "beta")
    seed, start = validate.seed(seed), validate.integer(start, "start", 0, LARGEST_INDEX - n)
    max_steps, batch_size = validate.integer(max_steps, "max_steps", 1), validate.integer(batch_size, "batch_size", 1)
    every = None if every is None else validate.integer(every, "every", 1)
    sigma_0, sigma_inf = validate.sigma_level(sigma_0, "sigma_0"), validate.sigma_level(sigma_inf, "sigma_inf")
    if sigma_inf >= sigma_0:
        raise ValueError(f"sigma_inf must lie below sigma_0 = {sigma_0:g}, got {sigma_inf:g}")
    if level is not None and not callable(level):
        raise TypeError(f"level must be a rule such as residual_level, got {type(level).__name__}")
    f_dtype, f_device = _home(f)
    dtype = f_dtype if dtype is None else validate.floating(dtype)
    if device is not None and not isinstance(device, torch.device | str):
        raise TypeError(f"device must be a torch.device or its name, such as 'cuda', got {type(device).__name__}")
    device = f_device if device is None else torch.device(device)
    centre = _centre(mean, (1, *image_shape), dtype, device)

    parts = []
    with tqdm(total=n, desc="sampling", unit="image", delay=2, leave=False, disable=None) as bar:
        for first in range(0, n, batch_size):
            indices = torch.arange(start + first, start + min(first + batch_size, n), dtype=torch.long, device="cpu")
            noise = torch.empty(len(indices), *image_shape, dtype=torch.float32, device=device)
            sample_normals(noise, indices, seed, 0)
            y = validate.finite(centre + sigma_0 * noise.to(dtype), "the start, mean + sigma_0 z,")
            if level is None:
                level = residual_level if _is_blind(f, y[:1], sigma_0) else scheduled_level
            ascent = Ascent(f, y, indices, seed=seed, sigma_0=sigma_0, sigma_inf=sigma_inf, level=level, every=every)
            parts.append(ascent.run(rule, beta, max_steps))
            bar.update(len(indices))
    return join(parts)


def _centre(mean: float | Tensor, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """The mean of the start, a number or one image."""
    if not isinstance(mean, Tensor) or mean.ndim == 0:
        return torch.tensor(validate.number(mean, "mean"), dtype=dtype, device=device)
    if mean.shape != shape:
        raise ValueError(f"mean must be a number or one image {shape}, got shape {tuple(mean.shape)}")
    return validate.one_image(mean, "mean").to(device, dtype)


def _is_blind(f: Denoiser, y: Tensor, sigma: float) -> bool:
    """Whether f gives the same answer at half the noise level."""
    return torch.equal(validate.denoised(f, y, sigma), validate.denoised(f, y, sigma / 2))


def _home(f: Denoiser) -> tuple[torch.dtype, torch.device]:
    """Where the numbers of f live."""
    if isinstance(f, nn.Module):
        for tensor in (*f.parameters(), *f.buffers()):
            if tensor.is_floating_point():
                return tensor.dtype, tensor.device
    return torch.float32, torch.device("cpu")


def _constant(step: float) -> Callable[[int], float]:
    return lambda t: step


def _fraction(value: float, name: str) -> float:
    return validate.number(value, name, above=0, most=1)
