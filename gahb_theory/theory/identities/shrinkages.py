"""Equations 11 to 13 and 28 to 34: shrinkage in a fixed basis, the oracle, and what decay and regularity make of it.

32 and 33 are the two halves of (13): how many coefficients are above the noise, and what the others hold.
"""

import numpy as np
import torch
from torch import Tensor

from gahb_theory.bases import DCT, Pixels
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.shrinkage import FixedGains, oracle_gains
from gahb_theory.theory.decay import approximation_error
from gahb_theory.theory.exact_risks import oracle_mse, projection_mse, shrinkage_mse
from gahb_theory.theory.finite_grid import terms_above
from gahb_theory.theory.identities.statements import Identity
from gahb_theory.theory.rates import fit_slope, optimal_slope
from gahb_theory.theory.regularity import estimate_regularity

__all__ = ["identities"]

SIGMA, ALPHA, SINGLE, WEIERSTRASS = 0.3, 2.0, 0.37, 1.5
SIGMAS = np.geomspace(3e-5, 3e-3, 9)


def identities() -> list[Identity]:
    """The statements about shrinkage in a basis."""
    basis = DCT()
    x = torch.linspace(-1, 2, 64, dtype=torch.float64).sin().reshape(1, 1, 8, 8)
    c = basis.analysis(x)
    gains = torch.linspace(1, 0, 64, dtype=torch.float64)
    powers = torch.arange(1, 128**2 + 1, dtype=torch.float64)

    def decaying(alpha: float) -> Tensor:
        return (powers ** (-(alpha + 1) / 2)).reshape(1, 1, 128, 128)

    def measured(by: Tensor) -> float:
        """Error of a denoiser with these gains: E over noise of +-sigma in each coefficient, which is exact for a square."""
        f = ShrinkageDenoiser(basis, FixedGains(by))
        kick = SIGMA * basis.synthesis(torch.eye(64, dtype=torch.float64), (1, 8, 8))
        middle = f(x, SIGMA)
        along = [(f(x + kick, SIGMA) - middle).square().sum(), (middle - x).square().sum()]
        return float(along[0] + along[1])

    def ratios() -> Tensor:
        """Oracle over projection, for single coefficients from far below the noise level to far above it."""
        single = (SIGMA * torch.logspace(-4, 4, 1601, dtype=torch.float64)).reshape(-1, 1, 1, 1)
        return oracle_mse(Pixels(), single, SIGMA) / projection_mse(Pixels(), single, SIGMA)

    def best_gain() -> float:
        tried = torch.linspace(0, 1, 100_001, dtype=torch.float64)
        return float(tried[((1 - tried) ** 2 * SINGLE**2 + tried**2 * SIGMA**2).argmin()])

    def library_gain() -> float:
        return float(oracle_gains(torch.tensor([[SINGLE]], dtype=torch.float64), SIGMA))

    def terms_and_rest(level: float) -> tuple[float, float]:
        count = int(terms_above(basis, x, [level])[0, 0])
        remainder = float(approximation_error(basis, x, count))
        return float(projection_mse(basis, x, SIGMA)), count * SIGMA**2 + remainder

    def slope_of_oracle(alpha: float) -> tuple[float, float]:
        risks = [float(oracle_mse(Pixels(), decaying(alpha), float(s))) for s in SIGMAS]
        return fit_slope(SIGMAS, risks).slope, optimal_slope(ALPHA)

    def count_slope(exponent: float) -> tuple[float, float]:
        counts = terms_above(Pixels(), decaying(ALPHA), SIGMAS)[:, 0]
        return 2 * fit_slope(SIGMAS, counts).slope, exponent

    def rest_constant(alpha: float) -> tuple[float, float]:
        remainder = float(approximation_error(Pixels(), decaying(ALPHA), 400))
        beyond = float(powers[-1]) ** -ALPHA / ALPHA  # of the terms after the last pixel
        return (remainder + beyond) * 400.5**ALPHA, 1 / alpha

    cosines = "cosines, 64 pixels"
    decay = "c_k^2 = k^-3, 16384 coefficients"
    coefficients = "single coefficients, c / sigma from 1e-4 to 1e4"
    exact = float(shrinkage_mse(gains, c, SIGMA))
    oracle = oracle_gains(c, SIGMA)[0]
    return [
        Identity(
            "11",
            "E ||x - sum_k lambda_k <y, e_k> e_k||^2 = sum_k (1 - lambda_k)^2 <x, e_k>^2 + lambda_k^2 sigma^2",
            cosines,
            1e-9,
            lambda: (measured(gains), exact),
            "without what is lost of x",
            lambda: (measured(gains), float((gains.square() * SIGMA**2).sum())),
        ),
        Identity(
            "12",
            "1/2 min(c^2, sigma^2) <= c^2 sigma^2 / (c^2 + sigma^2): the smallest ratio, at c = sigma",
            coefficients,
            1e-9,
            lambda: (float(ratios().min()), 1 / 2),
            "2/3 in place of 1/2",
            lambda: (float(ratios().min()), 2 / 3),
        ),
        Identity(
            "12",
            "c^2 sigma^2 / (c^2 + sigma^2) <= min(c^2, sigma^2): the largest ratio, far from sigma",
            coefficients,
            1e-7,
            lambda: (float(ratios().max()), 1.0),
            "twice the risk of the oracle",
            lambda: (float(2 * ratios().max()), 1.0),
        ),
        Identity(
            "13",
            "MSE ~ (sigma^2)^(alpha / (alpha + 1)) for c_k^2 ~ k^-(alpha + 1): the slope",
            decay,
            0.01,
            lambda: slope_of_oracle(ALPHA),
            "c_k^2 ~ k^-alpha",
            lambda: slope_of_oracle(ALPHA - 1),
        ),
        Identity(
            "28",
            "the error of fixed gains is the sum over coefficients of bias and noise",
            cosines,
            1e-9,
            lambda: (exact, float(((1 - gains) ** 2 * c**2 + gains**2 * SIGMA**2).sum())),
            "the gain of the noise not squared",
            lambda: (exact, float(((1 - gains) ** 2 * c**2 + gains * SIGMA**2).sum())),
        ),
        Identity(
            "29",
            "the best gains are c_k^2 / (c_k^2 + sigma^2)",
            "one coefficient, by search",
            2e-5,
            lambda: (best_gain(), library_gain()),
            "|c_k| / (|c_k| + sigma)",
            lambda: (best_gain(), SINGLE / (SINGLE + SIGMA)),
        ),
        Identity(
            "30",
            "the risk of the oracle is sigma^2 sum_k lambda_k: the error of a denoiser with these gains",
            cosines,
            1e-9,
            lambda: (measured(oracle), SIGMA**2 * float(oracle.sum())),
            "the gains squared",
            lambda: (measured(oracle), SIGMA**2 * float(oracle.square().sum())),
        ),
        Identity(
            "30",
            "sigma^2 sum_k lambda_k = sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2)",
            cosines,
            1e-9,
            lambda: (float(oracle_mse(basis, x, SIGMA)), _oracle_risk(c.numpy(), SIGMA)),
            "sigma in place of sigma^2",
            lambda: (float(oracle_mse(basis, x, SIGMA)), _oracle_risk(c.numpy(), SIGMA**0.5)),
        ),
        Identity(
            "31",
            "sum_k min(c_k^2, sigma^2) = M sigma^2 + ||x - x_M||^2, M coefficients above sigma",
            cosines,
            1e-9,
            lambda: terms_and_rest(SIGMA),
            "M coefficients above 2 sigma",
            lambda: terms_and_rest(2 * SIGMA),
        ),
        Identity(
            "32",
            "M ~ sigma^(-2 / (alpha + 1)): the exponent",
            decay,
            0.01,
            lambda: count_slope(-2 / (ALPHA + 1)),
            "-2 / alpha",
            lambda: count_slope(-2 / ALPHA),
        ),
        Identity(
            "33",
            "||x - x_M||^2 ~ (1 / alpha) M^-alpha for c_k^2 = k^-(alpha + 1): the constant",
            decay,
            1e-4,
            lambda: rest_constant(ALPHA),
            "1 / (alpha + 1)",
            lambda: rest_constant(ALPHA + 1),
        ),
        Identity(
            "34",
            "|f(y) - q_x(y)| <= C |x - y|^alpha, q_x of degree floor(alpha): the exponent, by wavelets and by q_x",
            "sum_n 2^(-1.5 n) cos(2^n t), the worst place",
            0.01,
            lambda: (_wavelets(), _taylor(1)),
            "a constant in place of q_x",
            lambda: (_wavelets(), _taylor(0)),
        ),
    ]


def _oracle_risk(c: np.ndarray, sigma: float) -> float:
    return float((c**2 * sigma**2 / (c**2 + sigma**2)).sum())


def _wavelets() -> float:
    """The exponent of the same function by the library, on 64 circles that start at different places.

    From one place alone all coefficients of an octave have the phase of their frequency, a power of 2 as their spacing is.
    """
    turns = np.arange(2**12) / 2**12 + (np.arange(64)[:, None] * 0.6180339887 % 1)
    samples = sum(2.0 ** (-WEIERSTRASS * n) * np.cos(2**n * 2 * np.pi * turns) for n in range(12))
    return estimate_regularity(torch.as_tensor(samples), octaves=(4, 7)).uniform


def _taylor(degree: int) -> float:
    """Exponent of the largest error of the Taylor polynomial of Weierstrass' function, over scales 2^-14 to 2^-22.

    The function is differentiable once, and its derivative, of regularity 1/2, nowhere.
    """
    n, t = 2.0 ** np.arange(45)[:, None], 2 * np.pi * (np.arange(4000) * 0.6180339887 % 1)
    scales = 2.0 ** -np.arange(14, 23)

    def f(at: np.ndarray) -> np.ndarray:
        return np.asarray((n**-WEIERSTRASS * np.cos(n * at)).sum(axis=0))

    slope = -(n ** (1 - WEIERSTRASS) * np.sin(n * t)).sum(axis=0) if degree else np.zeros_like(t)
    errors = [np.abs(f(t + h) - f(t) - h * slope).max() for h in scales]
    return 2 * fit_slope(scales, errors).slope
