"""A mixture of two Gaussians on a line, the smallest problem on which every average is an integral that can be done.

Everything here is by quadrature over x and y, so that it shares nothing with the denoisers of the library that it is
compared with.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians

__all__ = ["SIGMA", "Line", "at", "first", "second", "slope"]

SIGMA = 0.4
Function = Callable[[Tensor, float], Tensor]


class Line:
    """Densities, posterior averages and averages over y of a mixture on a line.

    Parameters
    ----------
    weights, means, variances
        Of the components.
    """

    def __init__(self, weights: tuple[float, ...], means: tuple[float, ...], variances: tuple[float, ...]) -> None:
        self.weights, self.means, self.variances = weights, means, variances
        self.x = np.linspace(-3, 3, 1501)
        self.step = self.x[1] - self.x[0]
        self.prior = sum(w * _normal(self.x - m, v) for w, m, v in zip(weights, means, variances, strict=True))

    def denoiser(self) -> GaussianMixture:
        """The posterior mean of the library, for images of one pixel."""
        means, variances, weights = (
            torch.tensor(part, dtype=torch.float64) for part in (self.means, self.variances, self.weights)
        )
        return mixture_of_gaussians(means.reshape(-1, 1, 1, 1), variances.reshape(-1, 1, 1), weights)

    def density(self, y: np.ndarray, sigma: float) -> np.ndarray:
        """p_sigma(y) as a convolution."""
        return _normal(y[:, None] - self.x, sigma**2) @ self.prior * self.step

    def posterior(self, values: np.ndarray, y: np.ndarray, sigma: float) -> np.ndarray:
        """E[values | y], values a function of x of shape (x,), or of both of shape (y, x)."""
        weights = _normal(y[:, None] - self.x, sigma**2) * self.prior
        return (weights * values).sum(axis=1) / weights.sum(axis=1)

    def grid(self, sigma: float, points: int = 1201) -> np.ndarray:
        """Points y that hold all of p_sigma."""
        return np.linspace(-2.5 - 7 * sigma, 2.5 + 7 * sigma, points)

    def average(self, values: Callable[[np.ndarray], np.ndarray], sigma: float = SIGMA) -> float:
        """E values(y), with the density in closed form, since a convolution by sums needs sigma above the step of x."""
        y = self.grid(sigma)
        parts = zip(self.weights, self.means, self.variances, strict=True)
        density = sum(w * _normal(y - m, v + sigma**2) for w, m, v in parts)
        return float((values(y) * density).sum() * (y[1] - y[0]))

    def joint(self, values: Callable[[np.ndarray, np.ndarray], np.ndarray], sigma: float = SIGMA) -> float:
        """E values(x, y)."""
        y = self.grid(sigma)
        weights = _normal(y[:, None] - self.x, sigma**2) * self.prior
        return float((weights * values(self.x[None, :], y[:, None])).sum() * (y[1] - y[0]) * self.step)

    def risk(self, f: Function, sigma: float) -> float:
        """E (x - f(x + sigma z))^2, on a grid of x and z, so that small and large noise levels are as exact as others."""
        x, z = np.linspace(-2.2, 2.4, 151), np.linspace(-7, 7, 113)
        prior = sum(w * _normal(x - m, v) for w, m, v in zip(self.weights, self.means, self.variances, strict=True))
        errors = (x[:, None] - at(f, x[:, None] + sigma * z, sigma)) ** 2
        return float(prior @ errors @ _normal(z, 1.0) * (x[1] - x[0]) * (z[1] - z[0]))


def at(f: Function, y: np.ndarray, sigma: float = SIGMA) -> np.ndarray:
    """A denoiser at numbers."""
    out: np.ndarray = (
        f(torch.from_numpy(np.ascontiguousarray(y)).reshape(-1, 1, 1, 1), sigma).detach().numpy().reshape(y.shape)
    )
    return out


def slope(function: Callable[[Tensor], Tensor], y: np.ndarray, order: int = 1) -> np.ndarray:
    """A derivative at numbers, by automatic differentiation; `function` takes images of one pixel, returns numbers."""
    z = torch.from_numpy(np.ascontiguousarray(y)).reshape(-1, 1, 1, 1).requires_grad_(True)
    with torch.enable_grad():
        out = function(z).sum()
        for k in range(order):
            (outcome,) = torch.autograd.grad(out, z, create_graph=k + 1 < order)
            out = outcome.sum()
    result: np.ndarray = outcome.detach().numpy().reshape(y.shape)
    return result


def _normal(u: np.ndarray, variance: float) -> np.ndarray:
    result: np.ndarray = np.exp(-(u**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
    return result


def first() -> Line:
    """The mixture on which the identities are tried."""
    return Line((0.3, 0.7), (-0.6, 0.5), (0.04, 0.09))


def second() -> Line:
    """Another one, as a model of the first."""
    return Line((0.5, 0.5), (-0.5, 0.6), (0.06, 0.08))
