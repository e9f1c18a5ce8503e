"""The risk from noisy images alone, and an identity that the posterior mean satisfies.

For y = x + sigma z with z ~ N(0, Id) and any f with a weak derivative, integration by parts gives

    E ||f(y) - x||^2 = E [ 2 sigma^2 tr J(y) + ||y - f(y)||^2 - sigma^2 d ]        (Stein 1981),

whose right-hand side, SURE, is computed from y alone. For the posterior mean, J = Cov[x | y] / sigma^2, so that

    E ||f(y) - x||^2 = sigma^2 E tr J(y) = sigma^2 E sum_k lambda_k(y)

(Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equations 7 and 10). For any f the two sides differ by

    E ||f(y) - x||^2 - sigma^2 E tr J(y) = E <f(y) - y, f(y) - E[x | y]>

(E <f(y), y - x> = sigma^2 E tr J(y), again by parts). A gap therefore shows that f is not the posterior mean. No gap does
not show that it is: the identity map, the best multiple of y, and the Wiener filter times
tr Cov[x] / tr (W Cov[x]) > 1 have none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians.traces import Trace, exact_trace
from gahb_theory.metrics.errors import mse
from gahb_theory.metrics.intervals import Estimate, mean_estimate
from gahb_theory.precision import full_precision, takes_arrays
from gahb_theory.randomness import add_noise
from gahb_theory.scalars import kind_of
from gahb_theory.stored_results import Result

__all__ = ["TraceIdentity", "sure", "sure_risk", "trace_identity"]

Function: TypeAlias = Callable[[Tensor, float | Tensor], Tensor]
BATCH = 64


@full_precision
@takes_arrays
def sure(
    f: Function, y: Float[Tensor, "n c h w"], sigma: float | Tensor, trace: Trace = exact_trace
) -> Float[Tensor, " n"]:
    """Stein's unbiased risk estimate 2 sigma^2 tr J + ||y - f(y)||^2 - sigma^2 d of each noisy image.

    The estimate of one image may be far from its error, even below 0; only the mean is right.

    Parameters
    ----------
    f
        A denoiser that torch can differentiate, in eval mode.
    y
        Noisy images, shape (n, channels, height, width).
    sigma
        Their noise level, which must be true: a number or a tensor of shape (n,), above 0.
    trace
        How to compute tr J: `exact_trace`, with d backward passes for each image, or a `Hutchinson`, whose standard
        error enters here 2 sigma^2 times.

    Returns
    -------
    Shape (n,), summed over pixels.

    References
    ----------
    C. M. Stein, Estimation of the mean of a multivariate normal distribution, Annals of Statistics, 1981.

    See Also
    --------
    gahb_theory.jacobian, gahb_theory.mse

    Examples
    --------
    The denoiser that does nothing has the risk sigma^2 d:

    >>> import torch
    >>> sure(lambda y, sigma: y, torch.ones(2, 1, 4, 4), sigma=0.5)
    tensor([4., 4.])
    """
    levels = validate.batch_sigma(sigma, validate.images(y, "y")).flatten()
    variance = levels.square()
    residual = mse(y, _denoise(f, y, sigma if len(levels) == 1 else levels))
    return 2 * variance * _traces(trace, f, y, sigma) + residual - variance * y[0].numel()


@takes_arrays
def sure_risk(
    f: Function,
    y: Float[Tensor, "n c h w"],
    sigma: float | Tensor,
    trace: Trace = exact_trace,
    confidence: float = 0.95,
) -> Estimate:
    """The mean of `sure` over at least 2 images, with its interval over images.

    The interval takes in the noise of the images and, of a `Hutchinson`, that of the probes.

    Examples
    --------
    >>> import torch
    >>> print(sure_risk(lambda y, sigma: y, torch.ones(5, 1, 4, 4), sigma=0.5))
    4 [4, 4] (95 % interval, t and skewness of 5 images)
    """
    return mean_estimate(_numpy(sure(f, y, sigma, trace)), confidence)


@dataclass(frozen=True, eq=False, repr=False)
class TraceIdentity(Result):
    """The two sides of MSE = sigma^2 E tr J, which are equal for the posterior mean, and for some other denoisers.

    Parameters
    ----------
    mse
        E ||f(y) - x||^2, summed over pixels.
    trace
        sigma^2 E tr J(y).
    gap
        mse less trace, with the interval of paired differences. An interval without 0 shows that f is not the
        posterior mean; one with 0 does not show that it is.
    """

    mse: Estimate
    trace: Estimate
    gap: Estimate


@full_precision
@takes_arrays
def trace_identity(
    f: Function,
    x: Float[Tensor, "n c h w"],
    sigma: float,
    *,
    seed: int = 0,
    trace: Trace = exact_trace,
    confidence: float = 0.95,
) -> TraceIdentity:
    """The mean squared error of a denoiser, sigma^2 E tr J, and their difference, which is 0 for the posterior mean.

    A difference rules the posterior mean out; no difference does not confirm it, see `gahb_theory.theory.stein`.

    Parameters
    ----------
    f
        A denoiser that torch can differentiate, in eval mode.
    x
        At least 2 clean images that f was not trained on, shape (n, channels, height, width).
    sigma
        Noise level, above 0.
    seed
        Names the noise.
    trace
        How to compute tr J: `exact_trace` or a `Hutchinson`.
    confidence
        Probability of the intervals over images.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equation 10.

    Examples
    --------
    Shrinking every pixel alike is not optimal for disks:

    >>> from gahb_theory.images import Disks
    >>> result = trace_identity(lambda y, sigma: 0.9 * y, Disks(size=16).sample(20), sigma=0.1)
    >>> bool(result.gap.low > 0)
    True
    """
    level = validate.sigma_level(sigma)
    y = add_noise(x, level, seed=seed)
    error = _numpy(mse(x, _denoise(f, y, level)))
    traced = level**2 * _numpy(_traces(trace, f, y, level))
    return TraceIdentity(*(mean_estimate(side, confidence) for side in (error, traced, error - traced)))


def _denoise(f: Function, y: Tensor, sigma: float | Tensor) -> Tensor:
    levels: Sequence[float | Tensor] = [sigma] * (-(-len(y) // BATCH))
    if isinstance(sigma, Tensor) and sigma.ndim == 1 and len(sigma) > 1:
        levels = torch.split(sigma, BATCH)
    with torch.no_grad():
        parts = zip(torch.split(y, BATCH), levels, strict=True)
        return torch.cat([validate.denoised(f, part, level) for part, level in parts])


def _traces(trace: Trace, f: Function, y: Tensor, sigma: float | Tensor) -> Tensor:
    """tr J at each image by the function `trace`, if it returns that."""
    out = validate.function(trace, "trace", "trace(f, y, sigma)")(f, y, sigma)
    if not isinstance(out, Tensor) or not out.is_floating_point() or out.shape != y.shape[:1]:
        given = f"shape {tuple(out.shape)} of {out.dtype}" if isinstance(out, Tensor) else kind_of(out)
        raise TypeError(f"trace must return one floating-point number for each of {len(y)} images, got {given}")
    return validate.finite(out, "what trace returned")


def _numpy(values: Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()
