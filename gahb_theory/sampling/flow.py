"""Samples by the probability flow: an ordinary differential equation from noise to an image, without noise on the way.

With a denoiser f(y, sigma), whose score is (f(y, sigma) - y) / sigma^2, the noisy images of level sigma move by

    dy / dsigma = (y - f(y, sigma)) / sigma

(Song et al., ICLR 2021; Karras, Aittala, Aila and Laine, NeurIPS 2022, equation 1), from y ~ N(m, sigma_0^2 Id). It is
solved by Heun's method, of second order, on the noise levels of Karras et al. (algorithm 1, equation 5 with rho = 7),

    sigma_i = (sigma_0^(1 / rho) + i / (K - 1) (sigma_inf^(1 / rho) - sigma_0^(1 / rho)))^rho ,     i = 0, ..., K - 1,

and ends with the step to sigma = 0, which is f(y, sigma_inf): 2 K - 1 calls of f for each sample.

In a direction of a Gaussian of variance s the flow multiplies y - m by sqrt((s + sigma^2) / (s + sigma_0^2)). Noise on the
way would make it forget its start; here a start that lacks s of the variance s + sigma_0^2 stays short of that share, so
that sigma_0 must be large against the spread of the images.
"""

import itertools

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.sampling.coarse_to_fine import Samples, Status, Trajectory, join
from gahb_theory.sampling.starts import Starts, dtype_and_device

__all__ = ["karras_levels", "probability_flow"]


def karras_levels(
    count: int = 32, *, sigma_0: float = 1.0, sigma_inf: float = 0.01, rho: float = 7.0
) -> tuple[float, ...]:
    """The noise levels of Karras et al. (2022), from sigma_0 down to sigma_inf, dense where they are small.

    Parameters
    ----------
    count
        K, at least 2.
    sigma_0, sigma_inf
        The first and the last, the second below the first.
    rho
        Above 0; 1 gives equal distances, and large numbers equal ratios.

    Examples
    --------
    >>> [round(s, 3) for s in karras_levels(4, sigma_0=1.0, sigma_inf=0.01)]
    [1.0, 0.293, 0.066, 0.01]
    """
    count = validate.integer(count, "count", 2)
    first, last = validate.sigma_level(sigma_0, "sigma_0"), validate.sigma_level(sigma_inf, "sigma_inf")
    power = 1 / validate.positive(rho, "rho")
    if last >= first:
        raise ValueError(f"sigma_inf must lie below sigma_0 = {first:g}, got {last:g}")
    inner = ((first**power + i / (count - 1) * (last**power - first**power)) ** (1 / power) for i in range(count))
    return (first, *list(inner)[1:-1], last)


@torch.no_grad()
def probability_flow(
    f: Denoiser,
    shape: tuple[int, int, int, int],
    *,
    seed: int = 0,
    start: int = 0,
    sigmas: tuple[float, ...] | None = None,
    mean: float | Float[Tensor, "#n c h w"] = 0.5,
    every: int | None = None,
    batch_size: int = 64,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Samples:
    """Draw samples by Heun's method on the probability flow: the noise of the start decides them.

    With the seed of `gahb_theory.generate` and the same first noise level it starts from the same noise.

    Parameters
    ----------
    f
        A denoiser f(y, sigma). One that is blind estimates the noise level itself, and takes that of the flow for granted
        only in the length of the step.
    shape
        (n, channels, height, width).
    sigmas
        Descending noise levels, at least 2, such as `karras_levels(50, sigma_0=10.0)`; None is `karras_levels()`.
    every
        Keep y, f(y) and sigma at each multiple of this number of steps, and at the end. None keeps nothing.
    seed, start, mean, batch_size, dtype, device
        As in `gahb_theory.generate`.

    Returns
    -------
    The samples; `images` is f(y) at the last level, `noisy` is y there. A sample is DIVERGED if it is not finite.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range, or if f returns another shape than it was given.
    RuntimeError
        If f is a network in train mode.

    References
    ----------
    Karras, Aittala, Aila, Laine, Elucidating the design space of diffusion-based generative models, NeurIPS 2022.

    Examples
    --------
    >>> from gahb_theory.denoisers import GaussianDenoiser
    >>> f = GaussianDenoiser(torch.full((1, 1, 2, 2), 0.5), 0.04 * torch.eye(4))
    >>> samples = probability_flow(f, (200, 1, 2, 2), sigmas=karras_levels(16, sigma_0=5.0), batch_size=200)
    >>> print(samples)
    200 samples: 200 converged, 0 out of steps, 0 diverged; 15 steps
    >>> round(float(samples.images.std()), 1)
    0.2
    """
    validate.denoiser(f)
    validate.evaluation_mode(f)
    levels = _descending(karras_levels() if sigmas is None else sigmas)
    every = None if every is None else validate.integer(every, "every", 1)
    starts = Starts(shape, seed, start, mean, levels[0], batch_size, *dtype_and_device(f, dtype, device))
    return join([_solve(f, y, levels, every) for _, y in starts])


def _solve(f: Denoiser, y: Tensor, levels: tuple[float, ...], every: int | None) -> Samples:
    """Heun's method from y at the first level to the last, on one batch."""
    way: list[tuple[int, Tensor, Tensor]] = []
    denoised = validate.denoised(f, y, levels[0])
    for i, (sigma, below) in enumerate(itertools.pairwise(levels)):
        if every is not None and i % every == 0:
            way.append((i, y, denoised))
        slope = (y - denoised) / sigma
        guess = y + (below - sigma) * slope
        after = (guess - validate.returned(f, guess, below)) / below
        y = y + (below - sigma) / 2 * (slope + after)
        denoised = validate.returned(f, y, below)  # NaN becomes the status DIVERGED
    last = len(levels) - 1
    trajectory = None
    if every is not None:
        steps, noisy, estimates = zip(*way, (last, y, denoised), strict=True)
        sigma_of = torch.tensor([levels[i] for i in steps], dtype=y.dtype, device=y.device)
        trajectory = Trajectory(
            torch.tensor(steps, device="cpu"),
            torch.stack(noisy),
            torch.stack(estimates),
            sigma_of[:, None].expand(-1, len(y)),
        )
    finite = denoised.isfinite().flatten(1).all(dim=1)
    return Samples(
        images=denoised,
        noisy=y,
        sigma=y.new_full((len(y),), levels[-1]),
        steps=torch.full((len(y),), last, dtype=torch.long, device=y.device),
        status=torch.where(finite, int(Status.CONVERGED), int(Status.DIVERGED)),
        trajectory=trajectory,
    )


def _descending(sigmas: tuple[float, ...]) -> tuple[float, ...]:
    levels = validate.levels(sigmas)
    if len(levels) < 2 or any(b >= a for a, b in itertools.pairwise(levels)):
        raise ValueError("sigmas must descend, at least two levels from the noise to the image; see karras_levels")
    return levels
