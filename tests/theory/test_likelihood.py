"""Likelihoods and divergences where they are known: Gaussians, mixtures, bounded wavelet coefficients."""

import math

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import mixture_of_gaussians
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes
from gahb_theory.theory.likelihood import kl_divergence, log_likelihood

SIDE = 3
D = SIDE**2
VARIANCES = torch.arange(1, D + 1, dtype=torch.float64) ** -1.0


def gaussian(variances, mean=0.0):
    return gt.GaussianDenoiser(torch.full((1, 1, SIDE, SIDE), mean, dtype=torch.float64), torch.diag(variances))


def normal(n, seed=0):
    z = torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (z * VARIANCES.sqrt()).reshape(n, 1, SIDE, SIDE)


def log_density(x):
    return -(x.flatten(1).square() / VARIANCES + VARIANCES.log() + math.log(2 * math.pi)).sum(1).numpy() / 2


def covered(found, truth):
    return float(((found.nats.low <= truth) & (truth <= found.nats.high)).mean())


def test_it_is_the_density_of_a_gaussian_and_the_intervals_cover():
    x = normal(200)
    found = log_likelihood(gaussian(VARIANCES), x, (0.02, 30.0), strata=24, draws=10)
    truth = log_density(x)
    assert np.abs(found.nats.value - truth).max() < 1.5
    assert found.mean.low <= truth.mean() + 4 * truth.std() / 200**0.5
    assert abs(found.mean.value - truth.mean()) < 0.05
    assert covered(found, truth) > 0.92
    assert found.bits_per_dimension == pytest.approx(-found.nats.value / (D * math.log(2)))


def test_without_its_ends_it_would_be_wrong_and_says_so():
    """A short range: the ends hold what is missing, and their error is as large as what they add."""
    x = normal(100)
    found = log_likelihood(gaussian(VARIANCES), x, (0.2, 2.0), strata=8, draws=10)
    assert found.truncation.sum(axis=0).mean() > 0.1
    assert covered(found, log_density(x)) > 0.9


def test_the_reference_does_not_matter():
    x = normal(4)
    wide = log_likelihood(gaussian(VARIANCES), x, (0.01, 30.0), reference=gaussian(2 * VARIANCES, 0.1), draws=6)
    assert wide.nats.value == pytest.approx(log_density(x), abs=0.4)
    same = log_likelihood(gaussian(VARIANCES), x, (0.1, 3.0), reference=gaussian(VARIANCES), draws=2)
    assert same.nats.value == pytest.approx(log_density(x), abs=1e-9)  # nothing is left to integrate


def test_it_is_the_density_of_a_mixture_at_every_image():
    means = torch.stack([torch.full((1, 2, 2), m, dtype=torch.float64) for m in (-0.6, 0.9)])
    covariances = torch.stack([s * torch.eye(4, dtype=torch.float64) for s in (0.05, 0.2)])
    f = mixture_of_gaussians(means, covariances, torch.tensor([0.3, 0.7]).double())
    x = torch.cat([means, torch.full((1, 1, 2, 2), 0.1, dtype=torch.float64), means + 0.2])
    found = log_likelihood(f, x, (0.01, 30.0), strata=40, draws=20)
    d2 = (x.flatten(1)[:, None] - means.flatten(1)).square().sum(2)
    s = torch.tensor([0.05, 0.2]).double()
    parts = torch.tensor([0.3, 0.7]).double().log() - d2 / (2 * s) - 2 * (2 * math.pi * s).log()
    truth = torch.logsumexp(parts, 1).numpy()
    assert np.all(np.abs(found.nats.value - truth) < 4 * found.nats.standard_error + found.truncation.sum(0))
    assert found.nats.standard_error.max() < 0.5


def test_it_is_the_density_of_a_holder_ball():
    """Uniform coefficients in boxes: the product of 1 / sides, averaged over the shifts."""
    ball = gt.HolderBall(size=16)
    f = HolderBallBayes(ball)
    x = ball.sample(2).double()
    too_high = log_likelihood(f, x, (0.05, 10.0), strata=16, draws=2)  # the finest coefficients are far below .05
    assert np.all(np.isinf(too_high.truncation[0]))
    assert np.all(np.isfinite(too_high.truncation[1]))
    assert too_high.mean.low == -np.inf
    found = log_likelihood(f, x, (1e-3, 10.0), strata=12, draws=3)
    truth = holder_log_density(f, x)
    assert np.all(np.isfinite(truth))
    assert np.all(np.abs(found.nats.value - truth) < 0.05 * np.abs(truth))


def holder_log_density(f, x):
    """log of the mean over shifts of the product of uniform densities, zero where a coefficient is out of its bounds."""
    from gahb_theory.denoisers.exact.holder_posterior import analysis

    found = []
    for image in x[:, 0]:
        back = torch.stack([image.roll((-i, -j), (0, 1)) for i, j in f._places()]) - 0.5
        c = torch.from_numpy(analysis(back.numpy(), f.images.wavelet, f.images.size // f.period))
        inside = (c.abs() <= f.bounds * (1 + 1e-5) + 1e-7).flatten(1).all(dim=1).double().mean()
        found.append(float(inside.log() - (2 * f.bounds.double()).log().sum()))
    return np.array(found)


def test_the_divergence_of_two_mixtures_and_of_one_from_itself():
    """Against the mean of exact log densities over the images themselves, which has most of the noise in common."""

    def mixture(weights, means, spreads):
        m = torch.tensor(means).double()[:, None].expand(2, 4)
        w, s = torch.tensor(weights).double(), torch.tensor(spreads).double()

        def log_density(x):
            away = (x.flatten(1)[:, None] - m).square().sum(2)
            return torch.logsumexp(w.log() - away / (2 * s) - 2 * (2 * math.pi * s).log(), 1)

        covariances = s[:, None, None] * torch.eye(4, dtype=torch.float64)
        return mixture_of_gaussians(m.reshape(2, 1, 2, 2), covariances, w), log_density, (w, m, s)

    (f, log_p, (w, m, s)), (g, log_q, _) = (
        mixture([0.3, 0.7], [-0.6, 0.9], [0.05, 0.2]),
        mixture([0.5, 0.5], [-0.45, 1.05], [0.07, 0.15]),
    )
    draw = torch.Generator().manual_seed(4)
    which = (torch.rand(100_000, generator=draw, dtype=torch.float64) > w[0]).long()
    x = m[which] + s[which, None].sqrt() * torch.randn(100_000, 4, generator=draw, dtype=torch.float64)
    x = x.reshape(-1, 1, 2, 2)
    truth = float((log_p(x) - log_q(x)).mean())
    found = kl_divergence(f, g, x[:1000], (0.01, 30.0), draws=3)
    assert found.nats.low <= truth <= found.nats.high
    assert found.nats.value == pytest.approx(truth, rel=0.12)
    back = kl_divergence(g, f, x[:1000], (0.01, 30.0), draws=3)  # symmetric in the denoisers: the images decide
    assert back.nats.value == pytest.approx(found.nats.value, rel=1e-9)
    assert kl_divergence(f, f, x[:4], (0.1, 3.0), draws=2).nats.value == 0


def test_a_divergence_is_never_below_0_and_an_open_range_is_said():
    """Two images and two draws, whose interval by t would begin far below 0; a multiple of y keeps noise at every level."""
    x = torch.rand(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    found = kl_divergence(lambda y, s: 0.9 * y, lambda y, s: 0 * y, x, (0.1, 1.0), strata=4, draws=2)
    assert found.nats.low == found.within.low == 0 < found.within.value < found.within.high
    open_range = log_likelihood(lambda y, s: 0.9 * y, x, strata=16).mean
    assert math.isinf(open_range.high)
    assert "and an unknown truncation, widen the range" in open_range.method


def test_the_divergence_of_two_gaussians():
    used = 0.7 * VARIANCES**1.2
    truth = float((VARIANCES / used - 1 - (VARIANCES / used).log()).sum()) / 2
    x = normal(1000, seed=1)
    found = kl_divergence(gaussian(VARIANCES), gaussian(used), x, (0.01, 50.0), draws=3)
    assert found.nats.value == pytest.approx(truth, rel=0.03)
    assert found.nats.low <= truth <= found.nats.high
    assert sum(found.truncation) < 0.02 * truth
    octaves = math.log2(50 / 0.01) / len(found.sigmas)
    assert found.nats_per_octave.sum() * octaves == pytest.approx(found.within.value)


def test_the_difference_of_likelihoods_is_the_divergence():
    """Equation 5 as a code length: E log p - E log p_g = KL(p || p_g)."""
    x, used = normal(500, seed=2), gaussian(2 * VARIANCES)
    a, b = (log_likelihood(f, x, (0.02, 30.0), draws=3) for f in (gaussian(VARIANCES), used))
    truth = D * (0.5 - 1 + math.log(2)) / 2
    on_these = (D * math.log(2) - x.flatten(1).square().div(VARIANCES).sum(1).numpy() / 2) / 2
    assert a.mean.value - b.mean.value == pytest.approx(on_these.mean(), abs=0.06)
    assert kl_divergence(gaussian(VARIANCES), used, x, (0.02, 30.0), draws=2).nats.value == pytest.approx(
        truth, rel=0.06
    )


def test_a_denoiser_that_is_no_posterior_mean_is_never_above_the_truth():
    x = normal(500, seed=3)
    worse = log_likelihood(lambda y, sigma: 0.9 * gaussian(VARIANCES)(y, sigma), x, (0.05, 20.0), draws=2)
    assert worse.mean.value < log_density(x).mean() - 0.5


def test_results_are_functions_of_seed_and_image():
    x = normal(5)
    reference = gaussian(2 * VARIANCES)
    a = log_likelihood(gaussian(VARIANCES), x, reference=reference, strata=4, draws=2)
    b = log_likelihood(gaussian(VARIANCES), x[:2], reference=reference, strata=4, draws=2)
    assert a.nats.value[:2] == pytest.approx(b.nats.value, rel=1e-12)
    c = log_likelihood(gaussian(VARIANCES), x, reference=reference, strata=4, draws=2, seed=1)
    assert np.all(a.nats.value != c.nats.value)


def test_refusals(unchecked):
    x, f = normal(2), gaussian(VARIANCES)
    with pytest.raises(ValueError, match="the smallest and the largest noise level"):
        log_likelihood(f, x, (1.0, 0.1))
    with pytest.raises(ValueError, match="reference must have a density"):
        log_likelihood(f, x, reference=gt.GaussianDenoiser.fit(normal(4)))
    with pytest.raises(TypeError, match="reference must be a GaussianDenoiser"):
        log_likelihood(f, x, reference=f.estimate)
    with pytest.raises(ValueError, match="draws must be"):
        kl_divergence(f, f, x, draws=1)
