"""Two pixels, the smallest problem on which a Jacobian is a matrix: a mixture of correlated Gaussians, and pairs with noise.

Posterior moments of the mixture are by quadrature over the plane, so that they share nothing with the denoiser that they are
compared with. The pairs (x, y) are three clean images with noise at the nodes of Gauss and Hermite: an average over all pairs
is the expectation to rounding, for functions as smooth as those that are tried.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians

__all__ = [
    "BETWEEN",
    "POINTS",
    "Pairs",
    "Plane",
    "gradient",
    "hessian",
    "in_one_number",
    "smooth",
    "trace_of_smooth",
]

WEIGHTS, MEANS = (0.4, 0.6), ((-0.5, 0.2), (0.6, -0.1))
COVARIANCES = (((0.06, 0.03), (0.03, 0.05)), ((0.08, -0.02), (-0.02, 0.04)))
BETWEEN = (0.05, 0.05)
"""Between the modes, where J has an eigenvalue above 1."""
LogDensity: TypeAlias = Callable[[Tensor, float], Tensor]
POINTS = (BETWEEN, (-0.6, 0.5), (1.0, 0.3))


class Plane:
    """The mixture, its denoiser, and its posterior covariances."""

    def __init__(self) -> None:
        line = np.linspace(-3, 3, 241)
        self.x = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
        self.prior = sum(w * _normal(self.x - np.array(m), np.array(c)) for w, m, c in _parts())

    def denoiser(self) -> GaussianMixture:
        """The posterior mean of the library, for images of 1 x 2 pixels."""
        means, covariances, weights = (
            torch.tensor(part, dtype=torch.float64) for part in (MEANS, COVARIANCES, WEIGHTS)
        )
        return mixture_of_gaussians(means.reshape(2, 1, 1, 2), covariances, weights)

    def density(self, y: tuple[float, float], sigma: float) -> float:
        """p_sigma(y) as a convolution."""
        step = 6 / 240
        return float(_normal(self.x - np.array(y), sigma**2 * np.eye(2)) @ self.prior * step**2)

    def covariance(self, y: tuple[float, float], sigma: float) -> np.ndarray:
        """Cov[x | y], shape (2, 2)."""
        weights = np.exp(-((self.x - np.array(y)) ** 2).sum(1) / (2 * sigma**2)) * self.prior
        weights = weights / weights.sum()
        centred = self.x - weights @ self.x
        return (centred.T * weights) @ centred


class Pairs:
    """Clean images x and noisy images y, shape (n, 1, 1, 2), with weights (n,) over which sums are expectations.

    Parameters
    ----------
    sigma
        Noise level.
    nodes
        Of the noise of each pixel.
    """

    def __init__(self, sigma: float, nodes: int = 20) -> None:
        t, w = np.polynomial.hermite_e.hermegauss(nodes)
        z = np.stack(np.meshgrid(t, t, indexing="ij"), axis=-1).reshape(-1, 2)
        x = np.array([(-0.6, 0.4), (0.5, 0.1), (0.2, -0.7)])
        self.weights = np.outer((0.2, 0.3, 0.5), np.outer(w, w) / w.sum() ** 2).flatten()
        self.x = _images(np.repeat(x, len(z), axis=0))
        self.y = _images((x[:, None] + sigma * z).reshape(-1, 2))

    def average(self, values: np.ndarray | Tensor) -> float:
        """E of a number, or of a sum over pixels, of each pair: values of shape (n,) or (n, 1, 1, 2)."""
        return float(self.weights @ np.asarray(values).reshape(len(self.weights), -1).sum(axis=1))


def smooth(y: Tensor, sigma: float | Tensor) -> Tensor:
    """A denoiser y / 2 + sin(2 y) / 4 that also turns: its Jacobian is not symmetric, and the turn has no trace."""
    return y / 2 + torch.sin(2 * y) / 4 + 0.3 * torch.stack([-y[..., 1], y[..., 0]], dim=-1)


def trace_of_smooth(y: Tensor) -> np.ndarray:
    """The trace of the Jacobian of `smooth` in closed form, shape (n,)."""
    return np.asarray(1 + np.cos(2 * np.asarray(y))).reshape(len(y), -1).sum(axis=1) / 2


def gradient(log_density: LogDensity, y: tuple[float, float], sigma: float) -> np.ndarray:
    """The derivatives of log p_sigma at y by automatic differentiation, shape (2,)."""
    return _derivative(torch.autograd.functional.jacobian, log_density, y, sigma)


def hessian(log_density: LogDensity, y: tuple[float, float], sigma: float) -> np.ndarray:
    """The second derivatives of log p_sigma at y by automatic differentiation, shape (2, 2)."""
    return _derivative(torch.autograd.functional.hessian, log_density, y, sigma)


def _derivative(by: Callable[..., Tensor], log_density: LogDensity, y: tuple[float, float], sigma: float) -> np.ndarray:
    def of_pixels(z: Tensor) -> Tensor:
        return log_density(z.reshape(1, 1, 1, 2), sigma).sum()

    found: np.ndarray = by(of_pixels, torch.tensor(y, dtype=torch.float64)).numpy()
    return found


def in_one_number(matrices: list[np.ndarray]) -> float:
    """All entries with weights of their own, so that a transposed or a missing one shows."""
    entries = np.stack(matrices).flatten()
    return float(entries @ np.sqrt(np.arange(1, len(entries) + 1)))


def _parts() -> zip:  # type: ignore[type-arg]
    return zip(WEIGHTS, MEANS, COVARIANCES, strict=True)


def _normal(u: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    square = np.einsum("ni,ij,nj->n", u, np.linalg.inv(covariance), u)
    result: np.ndarray = np.exp(-square / 2) / (2 * np.pi * np.linalg.det(covariance) ** 0.5)
    return result


def _images(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).reshape(-1, 1, 1, 2)
