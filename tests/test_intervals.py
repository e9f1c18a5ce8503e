"""Confidence intervals: do they cover as often as they say, and what do they do at the edges?"""

import math

import numpy as np
import pytest

import gahb_theory as gt
from gahb_theory.metrics.intervals import bootstrap_means, draw_counts, mean_estimate, percentiles, share_estimate


def test_the_interval_of_a_mean_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    below = above = 0
    for trial in range(600):
        estimate = mean_estimate(rng.normal(size=50), confidence=0.9, resamples=200, seed=trial)
        below += estimate.high < 0
        above += estimate.low > 0
    # 30 misses are due on each side, with a deviation of 5, and a few more: percentiles are a little short at n = 50
    assert 15 <= below <= 50
    assert 15 <= above <= 50


def test_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=400)
    estimate = mean_estimate(values, resamples=4000)
    assert math.isclose(estimate.standard_error, values.std(ddof=1) / 20, rel_tol=0.05)
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
    assert np.isfinite(estimate.low[1])  # some draws leave the infinite image out
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
        str(percentiles(0.5, np.linspace(0, 1, 1001), 0.9, "bootstrap"))
        == "0.5 [0.05, 0.95] (90 % interval, bootstrap)"
    )
    assert str(mean_estimate(np.ones((2, 3)))) == "1 [1, 1], 1 [1, 1] (95 % interval, bootstrap over 3 images)"


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        mean_estimate(np.ones(1))
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1, got 95"):
        mean_estimate(np.ones(3), confidence=95)
    with pytest.raises(ValueError, match="resamples must be between 100 and 1000000"):
        mean_estimate(np.ones(3), resamples=10)
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
    assert (line.high - line.slope) / line.standard_error == pytest.approx(2.3646, abs=1e-3), "t with 7 degrees"
