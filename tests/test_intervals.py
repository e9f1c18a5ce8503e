"""Confidence intervals: do they cover as often as they say, and what do they do at the edges?"""

import math

import numpy as np
import pytest

import gahb_theory as gt
from gahb_theory.metrics.intervals import (
    bootstrap_means,
    difference_estimate,
    draw_counts,
    linear_estimate,
    mean_estimate,
    percentiles,
    share_estimate,
)


def test_the_interval_of_a_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    below = above = 0
    for _trial in range(600):
        estimate = mean_estimate(rng.normal(size=50), confidence=0.9)
        below += estimate.high < 0
        above += estimate.low > 0
    # 30 misses are due on each side, with a deviation of 5
    assert 13 <= below <= 45
    assert 13 <= above <= 45


@pytest.mark.parametrize(
    ("deviation", "n", "coverage"),
    [
        (0, 6, 0.968),
        (0, 12, 0.962),
        (0, 64, 0.953),
        (0.5, 6, 0.953),
        (0.5, 12, 0.954),
        (0.5, 64, 0.960),
        (1, 6, 0.919),  # what is not drawn is not known: no method reaches .95
        (1, 12, 0.937),
        (1, 64, 0.952),
    ],
)
def test_few_images_are_covered_as_the_table_says(deviation, n, coverage):
    """10,000 samples each; percentiles of the bootstrap hold the mean .74 to .85 times for 6 images."""
    rng = np.random.default_rng(n)
    values = rng.lognormal(-(deviation**2) / 2, deviation, (10_000, n)) if deviation else rng.normal(1, 1, (10_000, n))
    estimate = mean_estimate(values)
    assert ((estimate.low <= 1) & (estimate.high >= 1)).mean() == pytest.approx(coverage, abs=0.01)


def test_differences_and_ratios_of_few_images_are_covered():
    rng = np.random.default_rng(0)
    a, b = rng.lognormal(0, 0.5, (10_000, 6)), rng.lognormal(0, 0.5, (10_000, 12))
    gap = difference_estimate(a, b)
    assert 0.945 <= ((gap.low <= 0) & (gap.high >= 0)).mean() <= 0.97
    w = a * rng.lognormal(0, 0.3, a.shape)
    ratio = a.mean(axis=1) / w.mean(axis=1)
    fit = linear_estimate(ratio, [(a - ratio[:, None] * w) / w.mean(axis=1, keepdims=True)])
    truth = math.exp(-0.045)
    assert 0.93 <= ((fit.low <= truth) & (fit.high >= truth)).mean() <= 0.97


def test_the_ends_are_those_of_student_for_symmetric_values_and_lean_to_the_long_tail():
    from scipy import stats

    values = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    estimate = mean_estimate(values, 0.9)
    expected = stats.t.interval(0.9, 4, 0.0, values.std(ddof=1) / 5**0.5)
    np.testing.assert_allclose([estimate.low, estimate.high], expected)
    skewed = mean_estimate(np.array([1.0, 1.0, 1.0, 1.0, 6.0]))
    assert skewed.low == pytest.approx(2 - 2.7764, abs=1e-3), "t with four degrees"
    assert skewed.high - 2 > 1.7 * (2 - skewed.low)
    mirrored = mean_estimate(-np.array([1.0, 1.0, 1.0, 1.0, 6.0]))
    np.testing.assert_allclose([mirrored.low, mirrored.high], [-skewed.high, -skewed.low])
    two = mean_estimate(np.array([0.0, 2.0]))
    assert two.high == pytest.approx(1 + 12.7062, abs=1e-3), "t with one degree"


def test_percentiles_of_few_images_are_moved_outwards():
    """For the mean of 8 normal numbers they hold it .94 times; the plain ones hold it .89 times."""
    rng, hits = np.random.default_rng(0), 0
    for trial in range(400):
        values = rng.normal(size=8)
        means = bootstrap_means(values, draw_counts(8, 400, seed=trial))
        fit = percentiles(values.mean(), means, 0.95, "bootstrap", images=8)
        hits += fit.low <= 0 <= fit.high
    assert 0.92 <= hits / 400 <= 0.97


def test_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    estimate = mean_estimate(values)
    assert math.isclose(estimate.standard_error, values.std(ddof=1) / 20, rel_tol=1e-12)
    assert math.isclose(share_estimate(3, 20).standard_error, math.sqrt(0.15 * 0.85 / 20))
    assert np.isnan(mean_estimate(np.array([[1.0, np.inf]])).standard_error).all()


def test_rows_share_the_images_they_draw():
    values = np.random.default_rng(0).normal(size=40)
    estimate = mean_estimate(np.stack([values, 2 * values + 1]))
    np.testing.assert_allclose(estimate.value[1], 2 * estimate.value[0] + 1)
    np.testing.assert_allclose(estimate.low[1], 2 * estimate.low[0] + 1)
    counts = draw_counts(40, seed=3)
    assert counts.shape == (1000, 40)
    assert bool((counts.sum(axis=1) == 40).all())
    np.testing.assert_allclose(bootstrap_means(values, counts), counts @ values / 40)


def test_infinite_values_stay_infinite():
    values = np.array([[1.0, 2.0, 3.0], [1.0, np.inf, 2.0], [np.inf, np.inf, np.inf]])
    estimate = mean_estimate(values)
    assert np.isfinite([estimate.low[0], estimate.high[0]]).all()
    assert estimate.low[1] == mean_estimate(np.array([1.0, 2.0, 2.0])).low  # the infinite image is at least as large
    assert estimate.value[1] == estimate.high[1] == np.inf
    assert estimate.low[2] == np.inf


def test_the_interval_of_a_share_is_that_of_wilson():
    # p solves (share - p)^2 = z^2 p (1 - p) / n at both ends
    z = 1.959963984540054
    for hits, total in ((3, 20), (19, 20), (50, 100)):
        estimate = share_estimate(hits, total)
        assert estimate.value == hits / total
        for p in (estimate.low, estimate.high):
            assert math.isclose((hits / total - p) ** 2, z**2 * p * (1 - p) / total, rel_tol=1e-9)
    none, every = share_estimate(0, 30), share_estimate(30, 30)
    assert (none.low, every.high) == (0.0, 1.0)
    assert math.isclose(none.high, 1 - every.low)
    assert 0.05 < none.high < 0.15


def test_an_estimate_reads_like_a_sentence():
    assert (
        str(percentiles(0.5, np.linspace(0, 1, 1001), 0.9, "bootstrap", images=10**6))
        == "0.5 [0.05, 0.95] (90 % interval, bootstrap)"
    )
    assert str(mean_estimate(np.ones((2, 3)))) == "1 [1, 1], 1 [1, 1] (95 % interval, t and skewness of 3 images)"


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        mean_estimate(np.ones(1))
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1, got 95"):
        mean_estimate(np.ones(3), confidence=95)
    with pytest.raises(ValueError, match="resamples must be between 100 and 1000000"):
        draw_counts(3, 10)
    with pytest.raises(ValueError, match=r"as many rows, got shapes \(3,\) and \(2, 3\)"):
        difference_estimate(np.ones(3), np.ones((2, 3)))
    with pytest.raises(ValueError, match="hits must be between 0 and 5, got 6"):
        share_estimate(6, 5)


def test_fits_are_estimates():
    levels = np.geomspace(0.01, 1, 9)
    amplitudes = np.random.default_rng(0).uniform(1, 2, 50)
    slopes = levels[:, None] ** (1.5 + 0.01 * amplitudes)
    fit = gt.fit_slope(levels, slopes)
    assert isinstance(fit, gt.Estimate)
    assert fit.value == fit.slope
    assert fit.low < fit.slope < fit.high
    # for independent draws the interval is about 1.96 standard errors wide on both sides
    assert (fit.high - fit.low) / (2 * 1.96 * fit.standard_error) == pytest.approx(1, abs=0.15)
    line = gt.fit_slope(levels, slopes.mean(axis=1))
    assert line.slope == fit.slope
    assert np.isnan([line.low, line.high, line.standard_error]).all()
