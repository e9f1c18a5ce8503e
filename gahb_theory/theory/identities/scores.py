"""Equations 1 to 5, 8, 15, 16, 18, 20, 23 and 24: densities, scores, posterior means, divergence.

The appendix of the paper derives the numbered equations in steps; 15, 16, 18 and 20 are those that lead to Miyasawa's
equation (8), in their order.
"""

from functools import cache
from typing import Any

import numpy as np
import torch

from gahb_theory.metrics.errors import mse
from gahb_theory.randomness import add_noise
from gahb_theory.theory.divergence import kl_bound
from gahb_theory.theory.identities.line import SIGMA, Line, at, first, second, slope
from gahb_theory.theory.identities.statements import Identity

__all__ = ["identities"]

Y = np.linspace(-1.2, 1.3, 11)
"""Where functions are compared; the sum over these points stands in the table."""


def identities() -> list[Identity]:
    """The statements about densities and scores."""
    p, q = first(), second()
    f, g = p.denoiser(), q.denoiser()
    score = slope(lambda y: f.log_density(y, SIGMA), Y)
    mean = p.posterior(p.x, Y, SIGMA)
    likelihood = (p.x - Y[:, None]) / SIGMA**2
    weights = np.linspace(1, 2, len(Y))  # so that errors do not cancel

    def total(values: np.ndarray) -> float:
        return float(values @ weights)

    def noisy(wrong: float = 1.0) -> tuple[float, float]:
        x = torch.zeros(4000, 1, 4, 4, dtype=torch.float64)
        return float(mse(x, add_noise(x, SIGMA)).mean()) / wrong, 16 * SIGMA**2

    sigmas = np.geomspace(2e-3, 300, 120)

    @cache
    def excess() -> np.ndarray:
        return np.array([p.average(lambda y, s=s: (at(f, y, s) - at(g, y, s)) ** 2, s) for s in sigmas.tolist()])

    def divergence(power: float) -> tuple[float, float]:
        return float(np.trapezoid(excess() * sigmas ** (power + 1), np.log(sigmas))), _divergence(p, q)

    def bound() -> tuple[float, float]:
        return kl_bound(sigmas, excess(), 0.0), _divergence(p, q)

    def distance(power: float) -> tuple[float, float]:
        def errors(y: np.ndarray) -> np.ndarray:
            return (slope(lambda z: f.log_density(z, SIGMA), y) - slope(lambda z: g.log_density(z, SIGMA), y)) ** 2

        return p.average(errors), SIGMA**power * p.average(lambda y: (at(f, y) - at(g, y)) ** 2)

    def decomposition(best: float) -> tuple[float, float]:
        def denoise(y: np.ndarray) -> np.ndarray:
            return np.tanh(y)

        def reference(y: np.ndarray) -> np.ndarray:
            return at(f, y) if best else np.asarray(0.6 * y)

        risk = p.joint(lambda x, y: (x - denoise(y)) ** 2)
        least = p.joint(lambda x, y: (x - reference(y)) ** 2)
        return risk, least + p.average(lambda y: (reference(y) - denoise(y)) ** 2)

    mixture = "a mixture of two Gaussians on a line"
    density = np.exp(f.log_density(torch.from_numpy(Y).reshape(-1, 1, 1, 1), SIGMA).numpy())
    return [
        Identity(
            "1",
            "p_sigma = p * g_sigma",
            mixture,
            1e-9,
            lambda: (total(density), total(p.density(Y, SIGMA))),
            "noise of variance sigma",
            lambda: (total(density), total(p.density(Y, SIGMA**0.5))),
        ),
        Identity(
            "2",
            "KL(p, p_theta) = int E (score - s_theta)^2 sigma d sigma for the score of a density, a bound for others",
            "two mixtures on a line",
            3e-3,
            lambda: divergence(-3.0),
            "without the factor sigma",
            lambda: divergence(-4.0),
        ),
        Identity(
            "3",
            "grad log p_sigma(y) = (E[x | y] - y) / sigma^2",
            mixture,
            1e-9,
            lambda: (total(score), total((mean - Y) / SIGMA**2)),
            "divided by sigma",
            lambda: (total(score), total((mean - Y) / SIGMA)),
        ),
        Identity(
            "4",
            "MSE(f) = E ||x - f(y)||^2, summed over pixels: d sigma^2 for the identity",
            "4000 images of 16 pixels",
            0.02,
            noisy,
            "a mean over pixels",
            lambda: noisy(16.0),
        ),
        Identity(
            "5",
            "KL(p, p_theta) <= int (MSE(f_theta) - MSE(f*)) sigma^-3 d sigma, equal for two posterior means",
            "two mixtures on a line",
            3e-3,
            bound,
            "sigma^-2 in place of sigma^-3",
            lambda: divergence(-2.0),
        ),
        Identity(
            "8",
            "f*(y) = E[x | y] = y + sigma^2 grad log p_sigma(y)",
            mixture,
            1e-9,
            lambda: (total(at(f, Y)), total(Y + SIGMA**2 * score)),
            "a step down the gradient",
            lambda: (total(at(f, Y)), total(Y - SIGMA**2 * score)),
        ),
        Identity(
            "15",
            "grad p_sigma(y) = int grad_y p(y | x) p(x) dx",
            mixture,
            1e-9,
            lambda: (total(score * density), total(p.posterior(likelihood, Y, SIGMA) * p.density(Y, SIGMA))),
            "the gradient in x",
            lambda: (total(score * density), -total(p.posterior(likelihood, Y, SIGMA) * p.density(Y, SIGMA))),
        ),
        Identity(
            "16",
            "grad log p_sigma(y) = E[grad_y log p(y | x) | y]",
            mixture,
            1e-9,
            lambda: (total(score), total(p.posterior(likelihood, Y, SIGMA))),
            "averaged over the prior",
            lambda: (total(score), total(likelihood @ p.prior * p.step)),
        ),
        Identity(
            "18",
            "grad_y log p(y | x) = (x - y) / sigma^2",
            "one pixel, x = 0.2",
            1e-9,
            lambda: (_slope_of_noise(0.2), total((0.2 - Y) / SIGMA**2)),
            "the other sign",
            lambda: (_slope_of_noise(0.2), total((Y - 0.2) / SIGMA**2)),
        ),
        Identity(
            "20",
            "E[(x - y) / sigma^2 | y] = (f*(y) - y) / sigma^2",
            mixture,
            1e-9,
            lambda: (total(p.posterior(likelihood, Y, SIGMA)), total((at(f, Y) - Y) / SIGMA**2)),
            "the most likely x in place of the mean",
            lambda: (total(p.posterior(likelihood, Y, SIGMA)), total((_mode(p) - Y) / SIGMA**2)),
        ),
        Identity(
            "23",
            "E (score of p - score of q)^2 = sigma^-4 E (f_p - f_q)^2",
            "two mixtures on a line",
            1e-9,
            lambda: distance(-4.0),
            "sigma^-2",
            lambda: distance(-2.0),
        ),
        Identity(
            "24",
            "MSE(f) = MSE(f*) + E ||f - f*||^2",
            "f = tanh, a mixture on a line",
            1e-9,
            lambda: decomposition(1.0),
            "a multiple of y in place of f*",
            lambda: decomposition(0.0),
        ),
    ]


def _divergence(p: Line, q: Line) -> float:
    return float((p.prior * np.log(np.maximum(p.prior, 1e-300) / np.maximum(q.prior, 1e-300))).sum() * p.step)


def _slope_of_noise(x: float) -> float:
    normal: Any = torch.distributions.Normal(torch.tensor(x, dtype=torch.float64), SIGMA)
    return float(slope(lambda y: normal.log_prob(y), Y) @ np.linspace(1, 2, len(Y)))


def _mode(p: Line) -> np.ndarray:
    weights = np.exp(-((Y[:, None] - p.x) ** 2) / (2 * SIGMA**2)) * p.prior
    return np.asarray(p.x[weights.argmax(axis=1)])
