"""Equations 1 to 5, 8, 15, 16, 18, 20, 23 and 24: densities, scores, posterior means, divergence.

The appendix of the paper derives the numbered equations in steps; 15, 16, 18 and 20 are those that lead to Miyasawa's
equation (8), in their order.
"""

import math
from functools import cache

import numpy as np
import torch

from gahb_theory.denoisers.exact.empirical import EmpiricalBayes
from gahb_theory.metrics.errors import mse
from gahb_theory.randomness import add_noise
from gahb_theory.theory.divergence import kl_bound
from gahb_theory.theory.identities.line import SIGMA, Line, at, first, second, slope
from gahb_theory.theory.identities.statements import Identity
from gahb_theory.theory.identities.two_pixels import POINTS, Plane, gradient, in_one_number

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

    plane = Plane()
    h = plane.denoiser()

    def densities(sigma: float) -> tuple[float, float]:
        places = torch.tensor(POINTS, dtype=torch.float64).reshape(-1, 1, 1, 2)
        return entries(h.log_density(places, SIGMA).exp()), entries(np.array([plane.density(y, sigma) for y in POINTS]))

    def noisy(variance: float) -> tuple[float, float]:
        z = add_noise(torch.zeros(128_000, 1, 1, 2, dtype=torch.float64), SIGMA).flatten(1)
        return entries(z.mT @ z / len(z)), entries(variance * np.eye(2))

    def entries(values: np.ndarray | torch.Tensor) -> float:
        return in_one_number([np.asarray(values)])

    sigmas = np.geomspace(2e-3, 300, 60)

    @cache
    def scores_apart() -> np.ndarray:
        """E (score of p - score of q)^2 at each noise level, from the densities."""

        def at_level(s: float) -> float:
            def squared(y: np.ndarray) -> np.ndarray:
                return (slope(lambda z: f.log_density(z, s), y) - slope(lambda z: g.log_density(z, s), y)) ** 2

            return p.average(squared, s)

        return np.array([at_level(s) for s in sigmas.tolist()])

    def divergence(power: float) -> tuple[float, float]:
        return float(np.trapezoid(scores_apart() * sigmas ** (power + 1), np.log(sigmas))), _divergence(p, q)

    @cache
    def risks() -> tuple[np.ndarray, np.ndarray]:
        """MSE of the posterior means of q and of p, on p."""
        return np.array([p.risk(g, s) for s in sigmas.tolist()]), np.array([p.risk(f, s) for s in sigmas.tolist()])

    def bound(power: float) -> tuple[float, float]:
        ours, best = risks()
        other = sigmas ** (power + 3)  # 1 for the power -3 of the equation
        return kl_bound(sigmas, ours * other, best * other), _divergence(p, q)

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
            "a mixture of two correlated Gaussians, two pixels, three points",
            1e-9,
            lambda: densities(SIGMA),
            "noise of variance sigma",
            lambda: densities(SIGMA**0.5),
        ),
        Identity(
            "1",
            "y = x + z, z ~ N(0, sigma^2 Id): the covariance of two pixels",
            "128,000 images of noise",
            0.008,
            lambda: noisy(SIGMA**2),
            "noise of variance sigma",
            lambda: noisy(SIGMA),
        ),
        Identity(
            "2",
            "KL(p, p_theta) = int E (score - s_theta)^2 sigma d sigma for the score of a density, a bound for others",
            "two mixtures on a line, scores by differentiation",
            1e-4,
            lambda: divergence(1.0),
            "without the factor sigma",
            lambda: divergence(0.0),
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
            "MSE(f) = E ||x - f(y)||^2, summed over pixels: d variance / 4 + d sigma^2 / 4 for f(y) = y / 2",
            "images of 2 x 8 pixels, noise of +-sigma",
            1e-9,
            lambda: _risk_of_half(1.0),
            "a mean over pixels",
            lambda: _risk_of_half(16.0),
        ),
        Identity(
            "5",
            "KL(p, p_theta) <= int (MSE(f_theta) - MSE(f*)) sigma^-3 d sigma, equal for two posterior means",
            "two mixtures on a line, both errors by quadrature",
            1e-4,
            lambda: bound(-3.0),
            "sigma^-2 in place of sigma^-3",
            lambda: bound(-2.0),
        ),
        Identity(
            "5",
            "KL(p, p_theta) <= int (MSE(f_theta) - MSE(f*)) sigma^-3 d sigma for no posterior mean: how far below the bound",
            "a pixel, gain a + a (1 - a) / 2 in place of a = s / (s + sigma^2), the sampler by quadrature",
            1e-4,
            lambda: _below_the_bound(1.0),
            "half of the bound",
            lambda: _below_the_bound(0.5),
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
            "one image of two pixels as a finite set, three points",
            1e-9,
            lambda: _slopes_of_noise(1.0),
            "the other sign",
            lambda: _slopes_of_noise(-1.0),
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


def _risk_of_half(wrong: float) -> tuple[float, float]:
    """Two images of variance 1 / 4 in all pixels, and noise of +-sigma in all: averages of squares are exact."""
    x = 0.5 + torch.tensor([-0.5, 0.5], dtype=torch.float64).reshape(2, 1, 1, 1).expand(2, 1, 2, 8)
    kicks = torch.tensor([-SIGMA, SIGMA], dtype=torch.float64)
    risk = float(torch.stack([mse(x - 0.5, (x - 0.5 + kick) / 2).mean() for kick in kicks]).mean())
    return risk / wrong, 16 * (0.25 + SIGMA**2) / 4


def _below_the_bound(share: float) -> tuple[float, float]:
    """How far the divergence is below a share of its bound, for a score that belongs to no density p_theta * g_sigma.

    With t = sigma^2 the reverse diffusion of the score (f(y) - y) / t, f(y) = (a + a (1 - a) / 2) y, changes the variance v of
    Gaussian samples by dv / dt = 2 (1 - f) v / t - 1, and ends at v(0) = s (e - 1), which is computed here as the integral that
    solves the equation. The bound is 1 / 16 in closed form.
    """
    s = 0.7
    levels = np.geomspace(1e-4, 1e4, 400)
    a = s / (s + levels**2)
    gain = a + a * (1 - a) / 2
    error, best = (1 - gain) ** 2 * s + gain**2 * levels**2, a * levels**2
    t = np.geomspace(1e-8, 1e8, 4000)
    rates = 2 * (1 - s / (s + t) - s * t / (2 * (s + t) ** 2))  # 2 (1 - f)
    steps = np.diff(np.log(t))
    shrunk = np.exp(-np.append(0, np.cumsum((rates[1:] + rates[:-1]) / 2 * steps)))
    v = float(np.trapezoid(shrunk * t, np.log(t)))
    divergence = (s / v - 1 + math.log(v / s)) / 2
    exact = (1 / math.expm1(1) - 1 + math.log(math.expm1(1))) / 2
    return share * kl_bound(levels, error, best) - divergence, 1 / 16 - exact


def _divergence(p: Line, q: Line) -> float:
    return float((p.prior * np.log(np.maximum(p.prior, 1e-300) / np.maximum(q.prior, 1e-300))).sum() * p.step)


def _slopes_of_noise(sign: float) -> tuple[float, float]:
    """The density of a finite set of one image x is p(y | x)."""
    x = np.array([0.2, -0.3])
    f = EmpiricalBayes(torch.from_numpy(x).reshape(1, 1, 1, 2))
    slopes, expected = (
        [gradient(f.log_density, y, SIGMA) for y in POINTS],
        [sign * (x - np.array(y)) / SIGMA**2 for y in POINTS],
    )
    return in_one_number(slopes), in_one_number(expected)


def _mode(p: Line) -> np.ndarray:
    weights = np.exp(-((Y[:, None] - p.x) ** 2) / (2 * SIGMA**2)) * p.prior
    return np.asarray(p.x[weights.argmax(axis=1)])
