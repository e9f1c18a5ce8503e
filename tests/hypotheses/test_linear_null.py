"""What theory gives for Wiener filters of few images is what is measured of them, on a Gaussian class."""

import pytest

import gahb_theory as gt
from gahb_theory.hypotheses import Plan, catalogue

X = gt.GaussianField(size=16)
OTHERS = X.sample(3000, seed=1)
TEST = X.sample(200, seed=2)


@pytest.mark.parametrize("n", [60, 400])
def test_memory_of_a_wiener_filter_is_as_predicted(n):
    train = X.sample(n, seed=3)
    h = catalogue.memorises(train, OTHERS, Plan(images=200, sigmas=(0.05, 0.2)))
    result = gt.assess(h, gt.GaussianDenoiser.fit(train), images=TEST, train=OTHERS)
    assert result.estimate.low < result.linear_null < result.estimate.high, repr(result)
    assert f"would give {result.linear_null:.4g} dB" in repr(result)


def test_agreement_of_two_wiener_filters_is_as_predicted():
    a, b = (gt.GaussianDenoiser.fit(X.sample(80, seed=k)) for k in (4, 5))
    h = catalogue.agrees_with_twin(b, OTHERS, Plan(images=200, sigmas=(0.1,)), train_images=80)
    result = gt.assess(h, a, images=TEST, train=OTHERS[:100])
    assert result.linear_null == pytest.approx(result.estimate.value, abs=0.05), repr(result)


def test_no_prediction_without_the_number_of_training_images():
    h = catalogue.agrees_with_twin(gt.GaussianDenoiser.fit(TEST), OTHERS, Plan(images=16, sigmas=(0.1,)))
    assert gt.assess(h, lambda y, sigma: 0.5 * y, images=TEST[:16], train=OTHERS[:100]).linear_null is None
