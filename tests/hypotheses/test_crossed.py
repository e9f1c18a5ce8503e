"""Intervals over seeds and images: the formula on known numbers, and how often they miss the truth."""

import numpy as np
import pytest

from gahb_theory.hypotheses.crossed import mean_squares, quantile, reach, two_level
from gahb_theory.metrics import mean_estimate

DRAWS = 2000
SHARES = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (1, 1, 1), (0.3, 1, 0.5))
"""Standard deviations of seeds, images and rest."""


def standard(kind, generator, shape):
    """Numbers of mean 0 and variance 1."""
    return generator.standard_normal(shape) if kind == "normal" else generator.exponential(size=shape) - 1


def crossed(kind, generator, seeds, n, shares):
    shapes = ((DRAWS, seeds, 1), (DRAWS, 1, n), (DRAWS, seeds, n))
    return sum(s * standard(kind, generator, shape) for s, shape in zip(shares, shapes, strict=True))


@pytest.mark.parametrize("kind", ["normal", "exponential"])
@pytest.mark.parametrize(("seeds", "n"), [(3, 8), (3, 64), (5, 16), (10, 8), (10, 64)])
def test_either_side_misses_the_truth_in_at_most_five_percent(kind, seeds, n):
    """The truth is 0: an interval above it supports what is false, one below refutes what is true."""
    generator = np.random.default_rng(1)
    allowed = 0.05 + 3 * (0.05 * 0.95 / DRAWS) ** 0.5
    for shares in SHARES:
        values = crossed(kind, generator, seeds, n, shares)
        half, _ = reach(*mean_squares(values), seeds, n)
        mean = values.mean(axis=(1, 2))
        assert (mean - half > 0).mean() <= allowed, shares
        assert (mean + half < 0).mean() <= allowed, shares


def test_an_interval_that_forgets_the_seeds_would_be_caught():
    """The same simulation, with the images alone, misses far more often: the test above can fail."""
    values = crossed("normal", np.random.default_rng(1), 3, 64, (1, 1, 1))
    images = values.mean(axis=1)
    half = quantile(64) * images.std(axis=1, ddof=1) / 8
    assert (abs(images.mean(axis=1)) > half).mean() > 0.5


def test_the_variance_components_are_those_that_were_planted():
    values = crossed("normal", np.random.default_rng(2), 10, 32, (1.0, 2.0, 0.5))
    a, b, e = (part.mean() for part in mean_squares(values))
    assert e == pytest.approx(0.25, rel=0.02)
    assert (a - e) / 32 == pytest.approx(1.0, rel=0.1)
    assert (b - e) / 10 == pytest.approx(4.0, rel=0.1)


def test_the_parts_are_added_by_hand():
    """Seeds alone: an interval of S means; images alone: of n means."""
    rows = np.array([[1.0], [2.0], [6.0]]) + np.zeros((3, 5))
    estimate, spread = two_level(rows)
    assert spread.seeds == pytest.approx(7.0)
    assert estimate.standard_error == pytest.approx((7 / 3) ** 0.5)
    assert estimate.high - estimate.value == pytest.approx(quantile(3) * (7 / 3) ** 0.5)
    columns = np.tile([1.0, 2.0, 6.0, 7.0], (3, 1))
    estimate, spread = two_level(columns)
    assert spread.images == pytest.approx(np.var([1, 2, 6, 7], ddof=1))
    assert estimate.high - estimate.value == pytest.approx(quantile(4) * (spread.images / 4) ** 0.5)


def test_the_quantile_exceeds_that_of_student_by_the_skewness():
    assert quantile(3) == pytest.approx(4.3027 + 1.5 / 3**0.5 / 6 * (1 + 2 * 4.3027**2), rel=1e-4)
    assert quantile(10_000) == pytest.approx(1.96 + 0.0025 * (1 + 2 * 1.96**2), rel=1e-3)


def test_one_denoiser_has_an_interval_over_images_alone():
    estimate, spread = two_level(np.array([[1.0, 2.0, 6.0, 7.0]]))
    assert np.isnan(spread.seeds)
    assert "one denoiser" in estimate.method
    assert estimate.value == 4


def test_the_interval_of_a_mean_would_miss_on_one_side_more_often():
    """Why one denoiser has no interval of `mean_estimate`: 4 exponential images, 40,000 times."""
    values = np.random.default_rng(0).exponential(size=(40_000, 4)) - 1
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / 2
    assert (mean + quantile(4) * error < 0).mean() == pytest.approx(0.047, abs=0.005)
    assert (mean_estimate(values).high < 0).mean() == pytest.approx(0.071, abs=0.005)


@pytest.mark.parametrize("shape", [(2, 8), (3, 3), (1, 2)])
def test_too_few_are_refused(shape):
    with pytest.raises(ValueError, match="at least 4 images, and 3 seeds or one fixed denoiser"):
        two_level(np.ones(shape))
