"""Equations 6, 7, 9, 10, 17, 19, 21, 22 and 25 to 27: Jacobians, Stein's estimate, homogeneity.

17, 19 and 21 lead to (9), which is (22) in another form; 25 to 27 are the steps from a squared error to Stein's estimate, in
their order.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.initialisation import building
from gahb_theory.jacobians import jacobian
from gahb_theory.theory.identities.line import SIGMA, at, first, slope
from gahb_theory.theory.identities.statements import Identity
from gahb_theory.theory.identities.two_pixels import BETWEEN, POINTS, Plane, hessian, in_one_number
from gahb_theory.theory.stein import sure

__all__ = ["identities"]

Y = np.linspace(-1.2, 1.3, 11)
WEIGHTS = np.linspace(1, 2, len(Y))
EYE = np.eye(2)


def identities() -> list[Identity]:
    """The statements about derivatives of denoisers."""
    p = first()
    f = p.denoiser()
    plane = Plane()
    h = plane.denoiser()
    spread = p.posterior((p.x - p.posterior(p.x, Y, SIGMA)[:, None]) ** 2, Y, SIGMA)
    curvature = slope(lambda y: f.log_density(y, SIGMA), Y, order=2)
    derivative = np.array([jacobian(f, _pixel(y), SIGMA).trace() for y in Y])

    def total(values: np.ndarray) -> float:
        return float(values @ WEIGHTS)

    def smooth(y: Tensor, sigma: float | Tensor) -> Tensor:
        return torch.tanh(2 * y) / 2

    def hard(y: Tensor, sigma: float | Tensor) -> Tensor:
        return torch.where(y.abs() > 0.5, y, 0.0 * y)

    def risk(g: object) -> float:
        return p.joint(lambda x, y: (x - at(g, y)) ** 2)  # type: ignore[arg-type]

    def stein(y: np.ndarray) -> np.ndarray:
        return np.asarray(sure(smooth, torch.from_numpy(y).reshape(-1, 1, 1, 1), SIGMA).numpy())

    def once(y: np.ndarray) -> np.ndarray:
        return stein(y) - SIGMA**2 * slope(lambda z: smooth(z, SIGMA).flatten(), y)

    def by_parts(g: object, sign: float = 1.0) -> tuple[float, float]:
        traced = p.average(lambda y: slope(lambda z: g(z, SIGMA).flatten(), y))  # type: ignore[operator]
        return p.joint(lambda x, y: (y - x) * at(g, y)), sign * SIGMA**2 * traced  # type: ignore[arg-type]

    def split(cross: float) -> tuple[float, float]:
        parts = p.joint(lambda x, y: (y - at(smooth, y)) ** 2 + 2 * cross * (x - y) * (y - at(smooth, y)))
        return risk(smooth), parts + SIGMA**2

    def residual(sign: float) -> tuple[float, float]:
        left = p.joint(lambda x, y: (y - x) * (y - at(smooth, y)))
        traced = p.average(lambda y: slope(lambda z: smooth(z, SIGMA).flatten(), y))
        return left, SIGMA**2 * (1 - sign * traced)

    def trace(power: int) -> tuple[float, float]:
        return risk(f), SIGMA**2 * p.average(lambda y: slope(lambda z: f(z, SIGMA).flatten(), y) ** power)

    def gap_of_scaling(factor: float) -> tuple[float, float]:
        return p.joint(lambda x, y: (x - factor * y) ** 2), SIGMA**2 * factor

    covariances = [plane.covariance(y, SIGMA) for y in POINTS]
    jacobians = [jacobian(h, torch.tensor(y, dtype=torch.float64).reshape(1, 1, 1, 2), SIGMA).matrix() for y in POINTS]
    closed = h.jacobian_matrix(torch.tensor(BETWEEN, dtype=torch.float64).reshape(1, 1, 1, 2), SIGMA)
    hessians = [hessian(h, y, SIGMA) for y in POINTS]

    def entries(matrices: Iterable[np.ndarray | Tensor]) -> float:
        return in_one_number([np.asarray(matrix) for matrix in matrices])

    def largest(matrix: np.ndarray | Tensor) -> float:
        return float(np.linalg.eigvalsh(np.asarray(matrix))[-1])

    mixture = "a mixture of two Gaussians on a line"
    correlated = "a mixture of two correlated Gaussians, two pixels, all entries at three points"
    return [
        Identity(
            "6",
            "f(y) = J(y) y without additive constants: relative error",
            "a UNet without constants, 16 pixels",
            1e-9,
            lambda: (_homogeneity(bias=False), 0.0),
            "a constant in a convolution",
            lambda: (_homogeneity(bias=True), 0.0),
        ),
        Identity(
            "6",
            "f(y) = sum_k lambda_k <y, e_k> e_k if J is symmetric as well: relative error",
            "a conservative UNet, 16 pixels",
            1e-9,
            lambda: (_spectral_error(conservative=True), 0.0),
            "the symmetric part of a network that is not conservative",
            lambda: (_spectral_error(conservative=False), 0.0),
        ),
        Identity(
            "7",
            "MSE(f) = E [2 sigma^2 tr J + ||y - f||^2 - sigma^2 d]",
            "tanh(2 y) / 2, a mixture on a line",
            1e-7,
            lambda: (risk(smooth), p.average(stein)),
            "sigma^2 tr J once",
            lambda: (risk(smooth), p.average(once)),
        ),
        Identity(
            "9",
            "J(y) = Cov[x | y] / sigma^2",
            mixture,
            1e-9,
            lambda: (total(derivative), total(spread / SIGMA**2)),
            "divided by sigma",
            lambda: (total(derivative), total(spread / SIGMA)),
        ),
        Identity(
            "9",
            "J(y) = Cov[x | y] / sigma^2: a symmetric matrix, with an eigenvalue above 1 between two modes",
            "two pixels, between the modes of a mixture, J in closed form",
            1e-9,
            lambda: (largest(closed), largest(covariances[0] / SIGMA**2)),
            "cut off at 1, as the gains of a shrinkage are",
            lambda: (min(1.0, largest(closed)), largest(covariances[0] / SIGMA**2)),
        ),
        Identity(
            "10",
            "MSE(f*) = sigma^2 E tr J",
            mixture,
            1e-7,
            lambda: trace(1),
            "E ||J||^2 in place of the trace",
            lambda: trace(2),
        ),
        Identity(
            "10",
            "MSE(f) = sigma^2 E tr J also for the identity map, which is not optimal",
            mixture,
            1e-7,
            lambda: gap_of_scaling(1.0),
            "for every multiple of y",
            lambda: gap_of_scaling(0.9),
        ),
        Identity(
            "17",
            "grad^2 log p_sigma = Cov[grad log p(y | x) | y] + E[grad^2 log p(y | x) | y]",
            mixture,
            1e-9,
            lambda: (total(curvature), total(spread / SIGMA**4 - 1 / SIGMA**2)),
            "without the covariance",
            lambda: (total(curvature), total(-np.ones(len(Y)) / SIGMA**2)),
        ),
        Identity(
            "19",
            "grad_y^2 log p(y | x) = -Id / sigma^2",
            "one pixel, x = 0.2",
            1e-9,
            lambda: (_curvature_of_noise(), -float(WEIGHTS.sum()) / SIGMA**2),
            "-Id / sigma",
            lambda: (_curvature_of_noise(), -float(WEIGHTS.sum()) / SIGMA),
        ),
        Identity(
            "21",
            "grad^2 log p_sigma = Cov[x | y] / sigma^4 - Id / sigma^2",
            correlated,
            1e-9,
            lambda: (entries(hessians), entries(c / SIGMA**4 - EYE / SIGMA**2 for c in covariances)),
            "without the covariances of two pixels",
            lambda: (entries(hessians), entries(EYE * c / SIGMA**4 - EYE / SIGMA**2 for c in covariances)),
        ),
        Identity(
            "22",
            "J(y) = Id + sigma^2 grad^2 log p_sigma(y)",
            correlated,
            1e-9,
            lambda: (entries(jacobians), entries(EYE + SIGMA**2 * each for each in hessians)),
            "without Id",
            lambda: (entries(jacobians), entries(SIGMA**2 * each for each in hessians)),
        ),
        Identity(
            "25",
            "MSE(f) = E [||y - f||^2 + 2 <x - y, y - f>] + sigma^2 d",
            "tanh(2 y) / 2, a mixture on a line",
            1e-7,
            lambda: split(1.0),
            "without the product",
            lambda: split(0.0),
        ),
        Identity(
            "26",
            "E <y - x, f(y)> = sigma^2 E tr J for f with a weak derivative",
            "tanh(2 y) / 2, a mixture on a line",
            1e-7,
            lambda: by_parts(smooth),
            "a hard threshold, whose jumps autograd does not see",
            lambda: by_parts(hard),
        ),
        Identity(
            "27",
            "E <y - x, y - f(y)> = sigma^2 E [d - tr J]",
            "tanh(2 y) / 2, a mixture on a line",
            1e-7,
            lambda: residual(1.0),
            "the other sign of the trace",
            lambda: residual(-1.0),
        ),
    ]


def _pixel(y: float) -> Tensor:
    return torch.full((1, 1, 1, 1), float(y), dtype=torch.float64)


def _curvature_of_noise() -> float:
    normal: Any = torch.distributions.Normal(torch.tensor(0.2, dtype=torch.float64), SIGMA)
    return float(slope(lambda y: normal.log_prob(y), Y, order=2) @ WEIGHTS)


def _bias_free() -> UNet:
    """With its first weights the network is the identity to 1e-5, symmetric whatever it does; hence the factor."""
    net = UNet(4, 1, seed=0).double().eval().requires_grad_(False)
    for weights in net.parameters():
        if weights.ndim == 4:
            weights.mul_(20)
    return net


def _with_constants() -> nn.Module:
    with building(seed=0):
        layers = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    return layers.double().eval().requires_grad_(False)


def _image() -> Tensor:
    return torch.linspace(-1, 2, 16, dtype=torch.float64).cos().reshape(1, 1, 4, 4)


def _homogeneity(bias: bool) -> float:
    """With J by automatic differentiation: the recorded engine computes J y by the same products as f(y)."""
    net, y = _with_constants() if bias else _bias_free(), _image()

    def f(image: Tensor) -> Tensor:
        return net(image) if bias else net(image, SIGMA)

    J = torch.autograd.functional.jacobian(f, y).reshape(y.numel(), y.numel())  # type: ignore[no-untyped-call]
    out = f(y).flatten()
    return float((J @ y.flatten() - out).norm() / out.norm())


def _spectral_error(conservative: bool) -> float:
    net = _bias_free()
    f = Conservative(net).double().eval().requires_grad_(False) if conservative else net
    y = _image()
    E = jacobian(f, y, SIGMA).eigenbasis()
    shrunk, out = E.synthesis(E.eigenvalues * E.analysis(y)), f(y, SIGMA)
    return float((shrunk - out).norm() / out.norm())
