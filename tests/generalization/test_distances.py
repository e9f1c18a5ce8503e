"""The measures of generalisation on denoisers whose answer is known: the exact memoriser, and exact Gaussian denoisers."""

import math

import numpy as np
import pytest
import torch

import gahb_theory as gt

SIZE, D = 8, 64
SIGMAS = [0.05, 0.2, 0.5]


def image_class(seed=0):
    """Mean and covariance of a Gaussian distribution of 8x8 images, with a power-law spectrum."""
    generator = torch.Generator().manual_seed(seed)
    rotation = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64)).Q
    covariance = (rotation * (0.2 * torch.arange(1, D + 1, dtype=torch.float64) ** -0.7)) @ rotation.mT
    return torch.full((1, 1, SIZE, SIZE), 0.5, dtype=torch.float64), (covariance + covariance.mT) / 2


def draw(n, seed):
    mean, covariance = image_class()
    z = torch.randn(n, D, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return mean + (z @ torch.linalg.cholesky(covariance).mT).reshape(n, 1, SIZE, SIZE)


class Memoriser(torch.nn.Module):
    """The posterior mean of a finite set of images."""

    def __init__(self, images):
        super().__init__()
        self.register_buffer("images", images)
        self.eval()

    def forward(self, y, sigma):
        away = torch.cdist(y.flatten(1), self.images.flatten(1)).square()
        return (torch.softmax(-away / (2 * sigma**2), dim=1) @ self.images.flatten(1)).reshape(y.shape)


class HomogeneousMemoriser(Memoriser):
    """The most a bias-free network can memorise: the projection of y on the ray of the training image nearest to it."""

    def forward(self, y, sigma):
        u = gt.unit_vectors(self.images)
        along = y.flatten(1) @ u.mT
        best = along.argmax(dim=1, keepdim=True)
        return (along.gather(1, best).clamp(min=0) * u[best[:, 0]]).reshape(y.shape)


@pytest.fixture(scope="module")
def halves():
    return gt.split(draw(80, seed=1), n=32)


@pytest.fixture(scope="module")
def fresh():
    return draw(60, seed=2)


def test_the_memoriser_has_a_gap_and_the_gaussian_denoiser_none(halves, fresh):
    gaussian = gt.psnr_gap(gt.GaussianDenoiser(*image_class()), halves.first, fresh, SIGMAS)
    assert bool(((gaussian.gap.low < 0) & (gaussian.gap.high > 0)).all())
    assert gaussian.mean_gap.low < 0 < gaussian.mean_gap.high < 1
    memoriser = gt.psnr_gap(Memoriser(halves.first), halves.first, fresh, SIGMAS)
    assert bool((memoriser.gap.low > 3).all())
    assert memoriser.gap.value[0] == memoriser.gap.low[0] == math.inf  # it returns its images to the last bit
    np.testing.assert_allclose(memoriser.gap.value[2], memoriser.train.psnr[2] - memoriser.test.psnr[2])
    ray = gt.psnr_gap(HomogeneousMemoriser(halves.first), halves.first, fresh, [0.01, 0.03, 0.1])
    fit = gt.fit_slope(ray.sigmas, ray.train.mse_per_image)
    assert abs(fit.slope - 1) < 0.01  # on its own images it leaves sigma^2: the intensity is not known
    assert abs(ray.train.mse_per_image[0].mean() / 1e-4 - 1) < 0.6


def test_the_gap_covers_as_often_as_it_says():
    f, misses = gt.GaussianDenoiser(*image_class()), 0
    for trial in range(60):
        gap = gt.psnr_gap(f, draw(20, 1000 + trial), draw(30, 3000 + trial), [0.2], seed=trial, confidence=0.9).gap
        misses += not gap.low[0] <= 0 <= gap.high[0]
    assert 1 <= misses <= 15  # 6 are due, with a deviation of 2.3


def test_the_distance_of_two_linear_denoisers_is_known(fresh):
    mean, covariance = image_class()
    f, g = gt.GaussianDenoiser(mean, covariance), gt.GaussianDenoiser(mean, 2 * covariance)
    result = gt.function_distance(f, g, fresh.repeat(4, 1, 1, 1), SIGMAS)
    for k, sigma in enumerate(SIGMAS):
        a, b = f.gains(sigma), g.gains(sigma)
        noisy = f.variances + sigma**2
        expected = float(((a - b).square() * noisy).sum())
        # 60 images of 64 pixels: the distance is known to some 5 %, the interval holds it
        assert result.distance.low[k] * 0.9 < expected < result.distance.high[k] * 1.1
        risk = float(f.mse(sigma) + ((1 - b).square() * f.variances + b.square() * sigma**2).sum()) / 2
        assert result.reference.value[k] == pytest.approx(risk, rel=0.2)
        assert result.ratio.value[k] == pytest.approx(expected / risk, rel=0.25)
    assert result.per_image.shape == (3, 240)
    np.testing.assert_allclose(result.ratio.value, result.distance.value / result.reference.value)


def test_the_distance_is_that_of_the_definition(fresh):
    f, g = gt.GaussianDenoiser(*image_class()), Memoriser(draw(3, 9))
    result = gt.function_distance(f, g, fresh, [0.3], seed=4, batch_size=7)
    y = gt.add_noise(fresh, 0.3, seed=4)
    np.testing.assert_allclose(result.per_image[0], gt.mse(f(y, 0.3), g(y, 0.3)).numpy())
    risks = (gt.mse(fresh, f(y, 0.3)) + gt.mse(fresh, g(y, 0.3))) / 2
    np.testing.assert_allclose(result.reference.value[0], float(risks.mean()))


def test_the_same_function_is_at_distance_zero_and_memorisers_far_apart(halves, fresh):
    f = gt.GaussianDenoiser(*image_class())
    assert bool((gt.function_distance(f, f, fresh, SIGMAS).ratio.high == 0).all())
    apart = gt.function_distance(Memoriser(halves.first), Memoriser(halves.second), fresh, [0.05])
    assert apart.ratio.low[0] > 0.5
    assert apart.ratio.high[0] < 2


def test_half_the_distance_is_the_variance_over_training_sets(fresh):
    # denoisers g y with g random: E (g_a - g_b)^2 = 2 var g
    gains = 0.8 + 0.1 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sigma, distances = 0.2, []
    for a, b in gains.tolist():
        result = gt.function_distance(lambda y, s, a=a: a * y, lambda y, s, b=b: b * y, fresh[:2], [sigma])
        distances.append(result.distance.value[0])
    energy = float(gt.add_noise(fresh[:2], sigma).square().sum((1, 2, 3)).mean())
    assert np.mean(distances) / 2 == pytest.approx(0.01 * energy, rel=0.5)


def test_the_distance_from_the_memoriser(halves, fresh):
    memoriser, f = Memoriser(halves.first), gt.GaussianDenoiser(*image_class())
    itself = gt.memoriser_distance(memoriser, memoriser, fresh, SIGMAS)
    assert bool((itself.ratio.value == 0).all())
    learned = gt.memoriser_distance(f, memoriser, fresh, SIGMAS)
    assert learned.ratio.low[0] > 0.8
    # f_N is a function of y, and f = E[x | y] is orthogonal to such: ||x - f_N||^2 = ||x - f||^2 + ||f - f_N||^2 on average
    risk = np.array([float(f.mse(sigma)) for sigma in SIGMAS])
    np.testing.assert_allclose(learned.reference.value, learned.distance.value + risk, rtol=0.15)
    ray = gt.memoriser_distance(HomogeneousMemoriser(halves.first), memoriser, fresh, [0.05])
    assert 0 < ray.ratio.value[0] < learned.ratio.value[0]


def test_samples_of_memorisers_are_copies_and_their_pairs_are_like_chance(halves):
    samples = [
        gt.generate(Memoriser(half), (24, 1, SIZE, SIZE), seed=3, step=0.1, beta=0.5, batch_size=24)
        for half in (halves.first, halves.second)
    ]
    assert all(bool(s.converged.all()) for s in samples)
    found = gt.copies(samples[0].images, halves.first)
    assert found.share.value == found.share.high == 1
    assert found.share.low > 0.8
    assert found.mean.value > 0.999
    torch.testing.assert_close(samples[0].images, halves.first[found.indices], rtol=0, atol=0.02)
    assert gt.copies(samples[0].images, halves.second).share.value == 0
    pairs = gt.paired_similarity(samples[0].images, samples[1].images)
    assert pairs.mean.value < 0.6


def test_samples_of_gaussian_denoisers_are_no_copies_and_their_pairs_are_the_same(halves):
    mean, covariance = image_class()
    samples = [
        gt.generate(gt.GaussianDenoiser(mean, c), (24, 1, SIZE, SIZE), seed=3, step=0.1, beta=0.5, batch_size=24)
        for c in (covariance, 1.02 * covariance)
    ]
    found = gt.copies(samples[0].images, halves.first)
    assert found.share.value == found.share.low == 0
    assert found.mean.value < 0.8
    pairs = gt.paired_similarity(samples[0].images, samples[1].images)
    assert pairs.mean.low > 0.99
    assert pairs.excess.low > 0.7
    assert pairs.null_mean.low < 0.1 < 0.3 + pairs.null_mean.low


def test_the_null_of_pairs_is_that_of_all_other_pairs():
    a, b = draw(12, 0), draw(12, 1)
    result = gt.paired_similarity(a, b, gt.unit_vectors)
    others = [
        float(gt.cosine_similarity(a[i : i + 1], b[j : j + 1], gt.unit_vectors))
        for i in range(12)
        for j in range(12)
        if i != j
    ]
    np.testing.assert_allclose(result.null, others)
    np.testing.assert_allclose(result.pairs, gt.cosine_similarity(a, b, gt.unit_vectors).numpy())
    assert result.null_mean.value == pytest.approx(np.mean(others))
    assert result.null_mean.low < result.null_mean.value < result.null_mean.high
    assert result.excess.value == pytest.approx(result.mean.value - result.null_mean.value)


def test_the_interval_of_the_null_covers_as_often_as_it_says():
    misses = excess = 0
    for trial in range(200):
        generator = torch.Generator().manual_seed(trial)
        x = torch.randn(2, 30, 1, 2, 3, generator=generator, dtype=torch.float64)
        x[..., 0, 0] += 1  # every image has the same tendency: the null is not 0, and the pairs are like it
        result = gt.paired_similarity(x[0], x[1], confidence=0.9)
        misses += not result.null_mean.low <= NULL <= result.null_mean.high
        excess += not result.excess.low <= 0 <= result.excess.high
    # 20 are due, with a deviation of 4
    assert 8 <= misses <= 36
    assert 8 <= excess <= 36


def _true_null():
    x = torch.randn(2, 200_000, 1, 2, 3, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    x[..., 0, 0] += 1
    return float(gt.cosine_similarity(x[0], x[1]).mean())


NULL = _true_null()


def test_refusals(halves, fresh, unchecked):
    f = gt.GaussianDenoiser(*image_class())
    network = gt.UNet(channels=4, blocks=1)
    for measure in (
        lambda g: gt.psnr_gap(g, fresh, fresh, [0.1]),
        lambda g: gt.function_distance(f, g, fresh, [0.1]),
        lambda g: gt.memoriser_distance(g, f, fresh, [0.1]),
    ):
        with pytest.raises(RuntimeError, match="train mode"):
            measure(network)
    with pytest.raises(ValueError, match="sigmas must hold at least one noise level"):
        gt.function_distance(f, f, fresh, [])
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        gt.function_distance(f, f, fresh[:1], [0.1])
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        gt.psnr_gap(f, fresh[:1], fresh, [0.1])
    with pytest.raises(ValueError, match=r"b must hold images of the same shape, \(60, 1, 8, 8\), got \(59, 1, 8, 8\)"):
        gt.paired_similarity(fresh, fresh[1:])
    with pytest.raises(ValueError, match=r"threshold must lie in \(-1, 1\), got 1.5"):
        gt.copies(fresh, fresh, threshold=1.5)
