"""Equations 6, 7, 9, 10, 17, 19, 21, 22 and 25 to 27: Jacobians, Stein's estimate, homogeneity.

17, 19 and 21 lead to (9), which is (22) in another form; 25 to 27 are the steps from a squared error to Stein's estimate, in
their order.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from gahb_theory.denoisers.exact.empirical import EmpiricalBayes
from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.initialisation import building
from gahb_theory.jacobians import jacobian
from gahb_theory.jacobians.traces import Hutchinson, exact_trace
from gahb_theory.metrics.errors import mse
from gahb_theory.theory.identities.line import SIGMA, first, slope
from gahb_theory.theory.identities.statements import Identity
from gahb_theory.theory.identities.two_pixels import (
    BETWEEN,
    POINTS,
    Pairs,
    Plane,
    hessian,
    in_one_number,
    smooth,
    trace_of_smooth,
)
from gahb_theory.theory.stein import sure

__all__ = ["identities"]

Y = np.linspace(-1.2, 1.3, 11)
WEIGHTS = np.linspace(1, 2, len(Y))
EYE = np.eye(2)
CLEAN = torch.tensor([0.2, -0.3], dtype=torch.float64).reshape(1, 1, 1, 2)
Function: TypeAlias = Callable[[Tensor, float | Tensor], Tensor]


def identities() -> list[Identity]:
    """The statements about derivatives of denoisers."""
    p = first()
    f = p.denoiser()
    plane = Plane()
    h = plane.denoiser()
    spread = p.posterior((p.x - p.posterior(p.x, Y, SIGMA)[:, None]) ** 2, Y, SIGMA)
    curvature = slope(lambda y: f.log_density(y, SIGMA), Y, order=2)
    pairs = Pairs(SIGMA)
    x, y = pairs.x, pairs.y

    def total(values: np.ndarray) -> float:
        return float(values @ WEIGHTS)

    def hard(y: Tensor, sigma: float | Tensor) -> Tensor:
        return torch.where(y.abs() > 0.5, y, 0.0 * y)

    def risk(g: Function) -> float:
        """MSE(g), not by the library."""
        return pairs.average((x - g(y, SIGMA)).square())

    def stein(share: float) -> tuple[float, float]:
        """SURE, and with a share of its trace."""
        missing = 2 * SIGMA**2 * (1 - share) * pairs.average(trace_of_smooth(y))
        return risk(smooth), pairs.average(sure(smooth, y, SIGMA)) - missing

    def split(cross: float) -> tuple[float, float]:
        """SURE with what its trace stands for, <y - x, f(y)> / sigma^2."""

        def product(g: Function, y: Tensor, sigma: float | Tensor) -> Tensor:
            return cross * ((y - x) * g(y, sigma)).flatten(1).sum(1) / SIGMA**2

        return risk(smooth), pairs.average(sure(smooth, y, SIGMA, trace=product))

    def by_parts(g: Function) -> tuple[float, float]:
        return pairs.average((y - x) * g(y, SIGMA)), SIGMA**2 * pairs.average(exact_trace(g, y, SIGMA))

    def residual(sign: float) -> tuple[float, float]:
        """With the trace of y - f(y), or of y + f(y)."""

        def rest(y: Tensor, sigma: float | Tensor) -> Tensor:
            return y - sign * smooth(y, sigma)

        traced = pairs.average(Hutchinson(probes=2)(rest, y, SIGMA))
        return pairs.average((y - x) * (y - smooth(y, SIGMA))), SIGMA**2 * traced

    def trace(power: int) -> tuple[float, float]:
        def traced(at: np.ndarray) -> np.ndarray:
            return np.asarray(exact_trace(f, torch.from_numpy(at).reshape(-1, 1, 1, 1), SIGMA).numpy() ** power)

        return p.risk(f, SIGMA), SIGMA**2 * p.average(traced)

    def trace_of_scaling(factor: float) -> tuple[float, float]:
        def g(y: Tensor, sigma: float | Tensor) -> Tensor:
            return factor * y

        return pairs.average(mse(x, g(y, SIGMA))), SIGMA**2 * pairs.average(exact_trace(g, y, SIGMA))

    covariances = [plane.covariance(y, SIGMA) for y in POINTS]
    jacobians = [jacobian(h, torch.tensor(y, dtype=torch.float64).reshape(1, 1, 1, 2), SIGMA).matrix() for y in POINTS]
    closed = h.jacobian_matrix(torch.tensor(BETWEEN, dtype=torch.float64).reshape(1, 1, 1, 2), SIGMA)
    hessians = [hessian(h.log_density, y, SIGMA) for y in POINTS]
    noise = [
        hessian(EmpiricalBayes(CLEAN).log_density, y, SIGMA) for y in POINTS
    ]  # the density of one image is p(y | x)

    def entries(matrices: Iterable[np.ndarray | Tensor]) -> float:
        return in_one_number([np.asarray(matrix) for matrix in matrices])

    def largest(matrix: np.ndarray | Tensor) -> float:
        return float(np.linalg.eigvalsh(np.asarray(matrix))[-1])

    mixture = "a mixture of two Gaussians on a line"
    turning = "y / 2 + sin(2 y) / 4 and a turn, three images of two pixels"
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
            turning,
            1e-9,
            lambda: stein(1.0),
            "sigma^2 tr J once",
            lambda: stein(0.5),
        ),
        Identity(
            "9",
            "J(y) = Cov[x | y] / sigma^2",
            correlated,
            1e-9,
            lambda: (entries(jacobians), entries(c / SIGMA**2 for c in covariances)),
            "divided by sigma",
            lambda: (entries(jacobians), entries(c / SIGMA for c in covariances)),
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
            "three images of two pixels",
            1e-9,
            lambda: trace_of_scaling(1.0),
            "for every multiple of y",
            lambda: trace_of_scaling(0.9),
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
            "one image of two pixels as a finite set, all entries at three points",
            1e-9,
            lambda: (entries(noise), entries(-EYE / SIGMA**2 for _ in POINTS)),
            "-Id / sigma",
            lambda: (entries(noise), entries(-EYE / SIGMA for _ in POINTS)),
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
            "MSE(f) = E [||y - f||^2 + 2 <x - y, y - f>] + sigma^2 d: SURE with <y - x, f> / sigma^2 for tr J",
            turning,
            1e-9,
            lambda: split(1.0),
            "without the product",
            lambda: split(0.0),
        ),
        Identity(
            "26",
            "E <y - x, f(y)> = sigma^2 E tr J for f with a weak derivative",
            turning,
            1e-9,
            lambda: by_parts(smooth),
            "a hard threshold, whose jumps autograd does not see",
            lambda: by_parts(hard),
        ),
        Identity(
            "27",
            "E <y - x, y - f(y)> = sigma^2 E [d - tr J], with random probes",
            turning,
            1e-9,
            lambda: residual(1.0),
            "the other sign of the trace",
            lambda: residual(-1.0),
        ),
    ]


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
