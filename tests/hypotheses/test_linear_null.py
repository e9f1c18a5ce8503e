"""What theory gives for Wiener filters of few images is what is measured of them, on a Gaussian class."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.hypotheses import Plan, catalogue
from gahb_theory.hypotheses.linear_null import filter_distance, filter_sample_cosine
from gahb_theory.hypotheses.output_measures import Memory
from gahb_theory.metrics import mean_estimate

X = gt.GaussianField(size=16)
OTHERS = X.sample(3000, seed=1)
TEST = X.sample(200, seed=2)


@pytest.mark.parametrize("n", [60, 400])
def test_memory_of_a_wiener_filter_is_as_predicted(n):
    """Training and test sets drawn anew each time: of one set, repeated images make the interval over images too short."""
    found, sigma = [], 0.1
    for k in range(8):
        train, images = X.sample(n, seed=10 + k), X.sample(100, seed=30 + k)
        measure = Memory(train, OTHERS)
        found.append(measure(gt.GaussianDenoiser.fit(train), images, sigma, k).mean().item())
    estimate = mean_estimate(np.array(found), 0.99)
    assert estimate.low < measure.linear_null(sigma) < estimate.high, (estimate, measure.linear_null(sigma))
    assert measure.linear_null(sigma) > (0.3 if n == 60 else 0.03)


def test_the_prediction_stands_beside_the_measured_value():
    h = catalogue.memorises(X.sample(60, seed=3), OTHERS, Plan(images=50, sigmas=(0.05, 0.2)))
    result = gt.assess(h, gt.GaussianDenoiser.fit(h.measure.train), images=TEST[:50], train=OTHERS)
    assert result.linear_null == pytest.approx(np.mean([h.measure.linear_null(s) for s in (0.05, 0.2)]))
    assert f"would give {result.linear_null:.4g} dB" in repr(result)


def test_agreement_of_two_wiener_filters_is_as_predicted():
    a, b = (gt.GaussianDenoiser.fit(X.sample(80, seed=k)) for k in (4, 5))
    h = catalogue.agrees_with_twin(b, OTHERS, Plan(images=200, sigmas=(0.1,)), train_images=80)
    result = gt.assess(h, a, images=TEST, train=OTHERS[:100])
    assert result.linear_null == pytest.approx(result.estimate.value, abs=0.05), repr(result)


@pytest.mark.parametrize("n", [40, 200])
def test_distance_and_samples_of_two_wiener_filters_are_as_predicted(n):
    """White images of 64 numbers: the flows end at the root of the fitted covariance, around the fitted mean."""
    sigma, generator = 0.5, torch.Generator().manual_seed(n)
    eye, sums = torch.eye(64, dtype=torch.float64), torch.zeros(5, dtype=torch.float64)
    for _ in range(40):
        means, filters, roots = [], [], []
        for _ in range(2):
            x = torch.randn(n, 64, generator=generator, dtype=torch.float64)
            means.append(x.mean(dim=0))
            values, vectors = torch.linalg.eigh(torch.cov(x.mT))
            filters.append((vectors * (values / (values + sigma**2))) @ vectors.mT)
            roots.append((vectors * values.clamp(min=0).sqrt()) @ vectors.mT)
        (a, b), (m, k), (r, q) = filters, means, roots
        shift = (eye - a) @ m - (eye - b) @ k
        distance = (1 + sigma**2) * (a - b).square().sum() + shift @ shift
        risk = (eye - a).square().sum() + ((eye - a) @ m).square().sum() + sigma**2 * a.square().sum()
        powers = [root.square().sum() + mean @ mean for root, mean in ((r, m), (q, k))]
        sums += torch.stack([distance, risk, (r * q).sum() + m @ k, *powers])
    distance, risk, product, *powers = sums.tolist()
    assert filter_distance(torch.ones(64), n, sigma) == pytest.approx(distance / risk, rel=0.03)
    found = filter_sample_cosine(torch.ones(64), n)
    assert found == pytest.approx(product / (powers[0] * powers[1]) ** 0.5, abs=0.01)
    assert 0.4 < found < 0.95  # neither of the trivial ends


def test_no_prediction_without_the_number_of_training_images():
    h = catalogue.agrees_with_twin(gt.GaussianDenoiser.fit(TEST), OTHERS, Plan(images=16, sigmas=(0.1,)))
    assert gt.assess(h, lambda y, sigma: 0.5 * y, images=TEST[:16], train=OTHERS[:100]).linear_null is None
