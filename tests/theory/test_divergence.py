"""The bound on the divergence, where the divergence is known: Gaussian, power-law and mixture distributions."""

import math

import numpy as np
import pytest
import torch

from gahb_theory.theory.divergence import kl_bound, kl_bound_estimate

SIGMAS = np.geomspace(1e-3, 1e3, 600)


def linear_errors(variances, used, sigmas=SIGMAS):
    """Errors (s,) of the denoiser for variances `used`, and of the best one, on a Gaussian distribution."""
    noise = sigmas[:, None] ** 2
    gains, best = used / (used + noise), variances / (variances + noise)
    return ((1 - gains) ** 2 * variances + gains**2 * noise).sum(1), (best * noise).sum(1)


def gaussian_divergence(variances, used):
    return float((variances / used - 1 - np.log(variances / used)).sum()) / 2


@pytest.mark.parametrize("ratio", [0.2, 0.9, 3.0])
def test_it_is_the_divergence_of_two_gaussians(ratio):
    variances = np.array([0.3])
    error, best = linear_errors(variances, ratio * variances)
    assert kl_bound(SIGMAS, error, best) == pytest.approx(gaussian_divergence(variances, ratio * variances), rel=1e-4)


def test_it_is_the_divergence_of_two_power_laws():
    k = np.arange(1, 65.0)
    variances, used = k**-2, 0.7 * k**-2.2
    error, best = linear_errors(variances, used, np.geomspace(1e-4, 1e2, 800))
    bound = kl_bound(np.geomspace(1e-4, 1e2, 800), error, best)
    assert bound == pytest.approx(gaussian_divergence(variances, used), rel=1e-3)


def mixture(weights, means, s):
    """Density and posterior mean of a mixture in one dimension after noise of level sigma."""

    def at(y, sigma):
        v = s + sigma**2
        parts = [
            w * np.exp(-((y - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
            for w, m in zip(weights, means, strict=True)
        ]
        density = sum(parts)
        estimate = sum(p * (m + s / v * (y - m)) for p, m in zip(parts, means, strict=True))
        return density, estimate / np.maximum(density, 1e-300)

    return at


def test_it_is_the_divergence_of_two_mixtures():
    p, q = mixture((0.3, 0.7), (-0.5, 0.5), 0.04), mixture((0.5, 0.5), (-0.4, 0.6), 0.06)
    sigmas = np.geomspace(1e-3, 300, 500)
    excess = []
    for sigma in sigmas:
        y = np.linspace(-3 - 9 * sigma, 3 + 9 * sigma, 20001)
        (density, best), (_, used) = p(y, sigma), q(y, sigma)
        excess.append(np.trapezoid(density * (used - best) ** 2, y))
    y = np.linspace(-3, 3, 20001)
    a, b = p(y, 0.0)[0], q(y, 0.0)[0]
    divergence = np.trapezoid(a * np.log(np.maximum(a, 1e-300) / b), y)
    assert kl_bound(sigmas, np.array(excess), 0.0) == pytest.approx(float(divergence), rel=2e-3)


def test_a_dimension_too_many_costs_the_same_at_every_octave():
    sigmas = np.geomspace(1e-6, 1e-2, 100)
    m, d = 5, 20
    octaves = [
        kl_bound(sigmas[i : i + 2], (m + 1) * sigmas[i : i + 2] ** 2, m * sigmas[i : i + 2] ** 2) for i in (0, 50)
    ]
    assert octaves == pytest.approx([math.log(sigmas[1] / sigmas[0])] * 2)
    assert kl_bound(sigmas, (m + 1) * sigmas**2, m * sigmas**2) == pytest.approx(math.log(1e4))
    assert kl_bound(sigmas, d * sigmas**2, d * sigmas**2) == 0


def test_the_order_of_the_levels_and_the_kind_of_input_do_not_matter():
    error, best = linear_errors(np.array([0.3]), np.array([0.5]))
    bound = kl_bound(SIGMAS, error, best)
    order = np.random.default_rng(0).permutation(len(SIGMAS))
    assert kl_bound(SIGMAS[order], error[order], best[order]) == pytest.approx(bound)
    assert kl_bound(torch.tensor(SIGMAS), torch.tensor(error), torch.tensor(best)) == pytest.approx(bound)
    assert kl_bound(SIGMAS.tolist(), error.tolist(), best.tolist()) == pytest.approx(bound)
    assert kl_bound(SIGMAS, np.stack([error, error], 1), best) == pytest.approx(bound)
    assert kl_bound(SIGMAS, np.stack([error, error], 1), np.stack([best, best], 1)) == pytest.approx(bound)


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    sigmas = np.geomspace(0.1, 1, 7)
    misses = 0
    for _trial in range(300):
        excess = sigmas[:, None] ** 3 * rng.uniform(0, 2, (1, 40)) * rng.uniform(0.5, 1.5, (7, 40))
        estimate = kl_bound_estimate(sigmas, excess + 1, np.ones_like(excess), confidence=0.9)
        assert estimate.value == pytest.approx(kl_bound(sigmas, excess + 1, 1.0))
        misses += not estimate.low <= kl_bound(sigmas, sigmas**3, 0.0) <= estimate.high
    assert 15 <= misses <= 55  # 30 are due, with a deviation of 5


def test_refusals(unchecked):
    with pytest.raises(ValueError, match=r"mse must have shape \(s,\) or \(s, n\) with s = 2 .* is it transposed"):
        kl_bound([0.1, 0.2], np.ones((3, 2)), 0.0)
    with pytest.raises(ValueError, match=r"mse_optimal must be a number or have shape \(2,\)"):
        kl_bound([0.1, 0.2], [1.0, 1.0], [1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match="sigmas must be finite and above 0, got values from 0"):
        kl_bound([0.0, 0.2], [1.0, 1.0], 0.0)
    with pytest.raises(ValueError, match="at least 2 noise levels"):
        kl_bound([0.1], [1.0], 0.0)
    with pytest.raises(ValueError, match="sigmas must all be different"):
        kl_bound([0.1, 0.1], [1.0, 1.0], 0.0)
    with pytest.raises(ValueError, match="mse must be finite, got 1 of 2"):
        kl_bound([0.1, 0.2], [1.0, math.nan], 0.0)
    with pytest.raises(ValueError, match="mse_optimal must be finite and not below 0, got values from -1"):
        kl_bound([0.1, 0.2], [1.0, 1.0], -1.0)
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        kl_bound_estimate([0.1, 0.2], [1.0, 1.0], 0.0)
