"""A mixture of two correlated Gaussians on two pixels: the smallest problem on which a Jacobian is a matrix.

Posterior moments are by quadrature over the plane, so that they share nothing with the denoiser that they are compared with.
"""

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.exact.mixtures import GaussianMixture, mixture_of_gaussians

__all__ = ["BETWEEN", "POINTS", "Plane", "hessian", "in_one_number"]

WEIGHTS, MEANS = (0.4, 0.6), ((-0.5, 0.2), (0.6, -0.1))
COVARIANCES = (((0.06, 0.03), (0.03, 0.05)), ((0.08, -0.02), (-0.02, 0.04)))
BETWEEN = (0.05, 0.05)
"""Between the modes, where J has an eigenvalue above 1."""
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

    def covariance(self, y: tuple[float, float], sigma: float) -> np.ndarray:
        """Cov[x | y], shape (2, 2)."""
        weights = np.exp(-((self.x - np.array(y)) ** 2).sum(1) / (2 * sigma**2)) * self.prior
        weights = weights / weights.sum()
        centred = self.x - weights @ self.x
        return (centred.T * weights) @ centred


def hessian(f: GaussianMixture, y: tuple[float, float], sigma: float) -> np.ndarray:
    """The second derivatives of log p_sigma at y by automatic differentiation, shape (2, 2)."""

    def log_density(z: Tensor) -> Tensor:
        return f.log_density(z.reshape(1, 1, 1, 2), sigma).sum()

    found: np.ndarray = torch.autograd.functional.hessian(log_density, torch.tensor(y, dtype=torch.float64)).numpy()  # type: ignore[no-untyped-call]
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
