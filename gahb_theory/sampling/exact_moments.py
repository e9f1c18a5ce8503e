"""Mean and covariance of what the coarse-to-fine ascent draws with the optimal denoiser of a Gaussian, without sampling.

With f(y) = m + G_sigma (y - m), G_sigma = C (C + sigma^2 Id)^-1, and K_sigma = (Id - P) G_sigma, a step of
`gahb_theory.sampling.reconstruct` along the schedule sigma_(t+1) = (1 - beta h) sigma_t is affine in y_t:

    mu    <-  mu + h (c + K_sigma (mu - m) - mu) ,                       c = (Id - P) m + A^+ (measurements),
    V     <-  B V B^T + gamma^2 Id ,    B = (1 - h) Id + h K_sigma ,     gamma^2 = ((1 - beta h)^2 - (1 - h)^2) sigma^2 ,

so that its error against the posterior p(x | A x) is computed exactly: that of the mean, and that of the covariance.
Without measurements P = 0 and this is `gahb_theory.generate`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.sampling.measurements import Measurement, pseudo_inverse
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Moments", "ascent_moments", "posterior_moments"]


@dataclass(frozen=True, eq=False, repr=False)
class Moments(Result):
    """Mean, shape (d,), and covariance, shape (d, d), of images in double precision."""

    mean: Float[Tensor, " d"]
    covariance: Float[Tensor, "d d"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the eigenvalues of the covariance, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        variances = torch.linalg.eigvalsh(self.covariance).flip(0).cpu()
        return draw_spectra({"variances": variances}, ax, "variance")


def posterior_moments(prior: Moments, a: Float[Tensor, "k d"], m: Float[Tensor, " k"]) -> Moments:
    """Mean and covariance of a Gaussian x given a x = m: mean + C a^T (a C a^T)^-1 (m - a mean), and its Schur complement.

    Examples
    --------
    >>> prior = Moments(torch.zeros(2), torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    >>> given = posterior_moments(prior, torch.tensor([[1.0, 0.0]]), torch.tensor([2.0]))
    >>> given.mean, round(float(given.covariance[1, 1]), 2)
    (tensor([2.0000, 1.6000]), 0.36)
    """
    c = prior.covariance
    gain = c @ a.mT @ torch.linalg.pinv(a @ c @ a.mT, hermitian=True)
    return Moments(prior.mean + gain @ (m - a @ prior.mean), c - gain @ a @ c)


def ascent_moments(
    prior: Moments,
    measured: Tensor | None = None,
    measurement: Measurement | None = None,
    *,
    shape: tuple[int, int, int],
    step: Callable[[int], float],
    beta: float,
    mean: float = 0.5,
    sigma_0: float = 1.0,
    sigma_inf: float = 0.01,
) -> Moments:
    """Mean and covariance of the `images` that `reconstruct` draws for one row of measurements, or that `generate` draws.

    Parameters
    ----------
    prior
        Of the Gaussian whose optimal denoiser is sampled.
    measured, measurement
        One row, n = 1, and what measured it; None samples freely.
    shape
        (channels, height, width) of the images.
    step, beta, mean, sigma_0, sigma_inf
        As in `reconstruct`, the step as a function of t = 1, 2, ...

    Examples
    --------
    In one direction of variance s the constant step leaves 1 - h / 2 of it:

    >>> free = ascent_moments(Moments(torch.zeros(1), torch.full((1, 1), 0.04)), shape=(1, 1, 1), step=lambda t: 0.1,
    ...                       beta=0.05)
    >>> round(float(free.covariance) / 0.04, 2)
    0.95
    """
    m, c = prior.mean.double(), prior.covariance.double()
    d = len(m)
    eye = torch.eye(d, dtype=c.dtype, device=c.device)
    projection, known = torch.zeros_like(c), torch.zeros_like(m)
    if measured is not None and measurement is not None:
        inverse = pseudo_inverse(measurement, eye[:1].reshape(1, *shape))
        projection = inverse(measurement.A(eye.reshape(d, *shape))).flatten(1).mT
        known = inverse(measured.to(c)).flatten()
    values, vectors = torch.linalg.eigh(c)
    free = eye - projection
    mu, v, sigma, t = known + free @ torch.full_like(m, mean), sigma_0**2 * eye, sigma_0, 0
    while True:
        keep = free @ (vectors * (values / (values + sigma**2))) @ vectors.mT
        estimate = known + free @ m + keep @ (mu - m)
        if sigma < sigma_inf:
            return Moments(estimate, keep @ v @ keep.mT)
        t += 1
        h = step(t)
        change = (1 - h) * eye + h * keep
        gamma = math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma
        mu, v = mu + h * (estimate - mu), change @ v @ change.mT + gamma**2 * eye
        sigma *= 1 - beta * h
