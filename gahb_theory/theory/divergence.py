"""From the error of a denoiser to the divergence of the distribution that it samples.

A denoiser f whose error exceeds that of the posterior mean f* by MSE(f) - MSE(f*) = E ||f(y) - f*(y)||^2 at every noise
level defines, by its score (f(y) - y) / sigma^2, a distribution p_f with

    KL(p || p_f)  <=  int_0^inf (MSE(f, sigma^2) - MSE(f*, sigma^2)) sigma^-3 d sigma

(Song, Durkan, Murray and Ermon 2021; Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 5). If f is itself
the posterior mean of some distribution, the two sides are equal. In log sigma the integrand is the excess in units of sigma^2,

    int (excess / sigma^2) d log sigma ,

which says where along the scales the divergence comes from. It converges at 0 only if the excess falls faster than
sigma^2: a tangent space with one dimension too many costs the same at every octave. So a measured bound always belongs
to the range of its noise levels.
"""

import numpy as np

from gahb_theory import validate
from gahb_theory.metrics.intervals import Estimate, mean_estimate
from gahb_theory.theory.rates import Values

__all__ = ["kl_bound", "kl_bound_estimate"]


def kl_bound(sigmas: Values, mse: Values, mse_optimal: Values | float) -> float:
    """Bound on KL(p || p_f) between the smallest and the largest noise level, by trapezia in log sigma, in nats.

    Parameters
    ----------
    sigmas
        At least 2 different noise levels, shape (s,), in any order.
    mse
        Error of the denoiser, summed over pixels: shape (s,), or (s, n) with one column for each image.
    mse_optimal
        Error of the posterior mean, of the same shape or of shape (s,), or a number. With 0, and the squared distance of
        two denoisers in the place of `mse`, the result says how far apart the distributions of the two are.

    Returns
    -------
    The bound. What lies below the smallest and above the largest noise level is not in it.

    References
    ----------
    Y. Song, C. Durkan, I. Murray, S. Ermon, Maximum likelihood training of score-based diffusion models, NeurIPS 2021.

    See Also
    --------
    gahb_theory.bayes_risk, gahb_theory.psnr_curve

    Examples
    --------
    A Gaussian of variance 1, sampled by the denoiser of a Gaussian of variance 2:

    >>> import numpy as np
    >>> sigmas = np.geomspace(1e-3, 1e3, 400)
    >>> best, used = 1 / (1 + sigmas**2), 2 / (2 + sigmas**2)
    >>> error = (1 - used) ** 2 + used**2 * sigmas**2
    >>> round(kl_bound(sigmas, error, sigmas**2 * best), 4), round(float(1 / 2 - 1 + np.log(2)) / 2, 4)
    (0.0966, 0.0966)
    """
    levels, excess = _excess(sigmas, mse, mse_optimal)
    return float(_weights(levels) @ excess.mean(axis=1))


def kl_bound_estimate(sigmas: Values, mse: Values, mse_optimal: Values | float, confidence: float = 0.95) -> Estimate:
    """The bound of `kl_bound` with its interval over images.

    Parameters
    ----------
    sigmas, mse, mse_optimal
        As in `kl_bound`; `mse` of shape (s, n) with at least 2 images, the same at all noise levels.
    confidence
        Probability of the interval.

    Examples
    --------
    >>> import numpy as np
    >>> excess = np.random.default_rng(0).uniform(0.5, 1.5, 100) * np.full((9, 1), 0.01)
    >>> print(kl_bound_estimate(np.geomspace(0.1, 1, 9), excess, 0.0))
    0.5332 [0.5019, 0.5639] (95 % interval, t and skewness of 100 images)
    """
    levels, excess = _excess(sigmas, mse, mse_optimal)
    each = _weights(levels) @ excess  # the bound is linear in the errors
    if len(each) < 2:
        raise ValueError("mse must have shape (s, n) with a column for each of at least 2 images, got 1")
    return mean_estimate(each, confidence)


def _weights(levels: np.ndarray) -> np.ndarray:
    """Weights of the excess at each level: trapezia in log sigma of excess / sigma^2."""
    order = np.argsort(levels)
    steps = np.diff(np.log(levels[order]))
    if np.any(steps == 0):
        raise ValueError("sigmas must all be different; average the errors of equal levels first")
    weights = np.empty_like(levels)
    weights[order] = (np.append(steps, 0) + np.append(0, steps)) / 2
    return weights / levels**2


def _excess(sigmas: Values, mse: Values, mse_optimal: Values | float) -> tuple[np.ndarray, np.ndarray]:
    """Noise levels (s,) and MSE - MSE* of each image (s, n), checked."""
    levels, error = validate.real_array(sigmas, "sigmas"), validate.real_array(mse, "mse")
    best = validate.real_array(mse_optimal, "mse_optimal")
    if levels.ndim != 1 or levels.size < 2:
        raise ValueError(f"sigmas must hold at least 2 noise levels in one row, got shape {levels.shape}")
    if levels.min() <= 0:
        raise ValueError(f"sigmas must be finite and above 0, got values from {levels.min():g}")
    if error.ndim not in (1, 2) or error.shape[0] != levels.size:
        raise ValueError(
            f"mse must have shape (s,) or (s, n) with s = {levels.size} noise levels, got {error.shape}; is it transposed?"
        )
    if best.ndim and best.shape not in (error.shape, (levels.size,)):
        raise ValueError(
            f"mse_optimal must be a number or have shape ({levels.size},) or that of mse, {error.shape}, got {best.shape}"
        )
    for values, name in ((error, "mse"), (best, "mse_optimal")):
        if values.min() < 0:
            raise ValueError(f"{name} must be finite and not below 0, got values from {values.min():g}")
    error = error.reshape(levels.size, -1)
    return levels, error - (best.reshape(levels.size, -1) if best.ndim else best)
