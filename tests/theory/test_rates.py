import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb_theory.theory.exact_risks import gaussian_mse
from gahb_theory.theory.rates import (
    decay_to_slope,
    fit_slope,
    local_slopes,
    optimal_slope,
    power_law_oracle_risk,
)

GRID = np.geomspace(0.01, 1.0, 9)


@pytest.mark.parametrize(("alpha", "slope"), [(0.5, 1 / 3), (1.0, 1 / 2), (2.0, 2 / 3), (3.0, 3 / 4), (4.0, 4 / 5)])
def test_optimal_slopes(alpha: float, slope: float) -> None:
    assert math.isclose(optimal_slope(alpha), slope)
    assert math.isclose(decay_to_slope(alpha + 1), slope)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("amplitude", [0.2, 5.0])
def test_the_exact_constant_of_a_power_law(alpha: float, amplitude: float) -> None:
    k = np.arange(1, 10**6 + 1, dtype=np.float64)
    energy = amplitude * k ** -(alpha + 1)
    sigmas = np.array([0.003, 0.01, 0.03])
    noise = sigmas[:, None] ** 2
    inside = (energy * noise / (energy + noise)).sum(axis=1)
    p = alpha + 1  # beyond 10^6 the energy is small against the noise: two terms of the expansion, integrated
    rest = amplitude * (1e6 + 0.5) ** (1 - p) / (p - 1) - amplitude**2 / sigmas**2 * 1e6 ** (1 - 2 * p) / (2 * p - 1)
    expected = power_law_oracle_risk(amplitude, alpha, sigmas)
    # the expansion goes on with terms of the order sigma^4 / A; without its last term it would miss by sigma^2 / 2
    assert bool((np.abs(inside + rest - expected) < 1e-3 * sigmas**2).all())


def test_power_law_risk_takes_numbers_and_arrays() -> None:
    curve = power_law_oracle_risk(1.0, 1.0, np.array([0.01, 0.02]))
    assert isinstance(curve, np.ndarray)
    assert math.isclose(power_law_oracle_risk(1.0, 1.0, 0.02), curve[1])


@settings(max_examples=30, deadline=None)
@given(slope=st.floats(-1, 2), scale=st.floats(1e-3, 1e3), order=st.permutations(range(9)))
def test_slopes_of_an_exact_power_law(slope: float, scale: float, order: list[int]) -> None:
    sigmas = GRID[order]
    errors = scale * sigmas ** (2 * slope)
    np.testing.assert_allclose(local_slopes(sigmas, errors), slope, atol=1e-10)
    fit = fit_slope(sigmas, errors)
    assert math.isclose(fit.slope, slope, abs_tol=1e-10)
    assert math.isclose(fit.intercept, math.log(scale), abs_tol=1e-9)


def test_local_slopes_of_a_parabola_in_logarithms() -> None:
    sigmas = np.array([0.01, 0.02, 0.1, 0.3, 0.5])  # not evenly spaced
    abscissa = 2 * np.log(sigmas)
    slopes = local_slopes(sigmas, np.exp(0.1 * abscissa**2 + abscissa))
    np.testing.assert_allclose(slopes[1:-1], 0.2 * abscissa[1:-1] + 1)
    shuffled = [3, 0, 4, 1, 2]
    np.testing.assert_allclose(
        local_slopes(sigmas[shuffled], np.exp(0.1 * abscissa**2 + abscissa)[shuffled]), slopes[shuffled]
    )


@pytest.mark.parametrize("convert", [list, np.asarray, torch.as_tensor])
def test_input_may_be_lists_arrays_or_tensors(convert: type) -> None:
    errors = np.sqrt(GRID)
    assert math.isclose(fit_slope(convert(GRID), convert(errors)).slope, 0.25)
    np.testing.assert_allclose(local_slopes(convert(GRID), convert(errors)), 0.25)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_the_slope_of_a_gaussian_with_a_power_law_spectrum(alpha: float) -> None:
    variances = torch.arange(1, 10**6 + 1, dtype=torch.float64) ** -(alpha + 1)
    sigmas = torch.logspace(-3.5, -2.5, 6, dtype=torch.float64)
    assert abs(fit_slope(sigmas, gaussian_mse(variances, sigmas)).slope - optimal_slope(alpha)) < 0.01


def wiener_errors(alpha: float, sigmas: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Squared errors (s, n) of the Wiener filter on n draws of a Gaussian with variances k^-(alpha + 1)."""
    variances = np.arange(1, 10001.0) ** -(alpha + 1)
    x = np.sqrt(variances) * rng.standard_normal((n, 10000))
    z = rng.standard_normal((n, 10000))
    gains = [variances / (variances + sigma**2) for sigma in sigmas]
    return np.stack([((g * (x + s * z) - x) ** 2).sum(axis=1) for g, s in zip(gains, sigmas, strict=True)])


def test_the_optimal_slope_lies_in_the_bootstrap_interval_of_a_measured_curve() -> None:
    sigmas = np.geomspace(0.0003, 0.005, 6)
    fit = fit_slope(sigmas, wiener_errors(2.0, sigmas, 64, np.random.default_rng(0)), confidence=0.99)
    assert fit.low < optimal_slope(2.0) < fit.high
    assert fit.high - fit.low < 0.05
    assert fit.method == "bootstrap over 64 images"


def test_the_bootstrap_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    sigmas = np.geomspace(0.1, 1, 5)
    below = above = 0
    for trial in range(600):  # mean over images exactly sigma^1.5: slope 0.75
        errors = sigmas[:, None] ** 1.5 * rng.uniform(0.2, 1.8, (5, 40)) * rng.uniform(0.5, 1.5, 40)
        fit = fit_slope(sigmas, errors, confidence=0.9, resamples=200, seed=trial)
        below += fit.high < 0.75
        above += fit.low > 0.75
    # 30 misses are due on each side, with a deviation of 5, and a few more: percentiles are a little short at n = 40
    assert 15 <= below <= 50
    assert 15 <= above <= 50


def test_the_bootstrap_resamples_images_not_points() -> None:
    # every image follows the same law with its own amplitude: the slope does not depend on the draw at all
    amplitudes = np.random.default_rng(0).uniform(0.1, 10, 30)
    fit = fit_slope(GRID, amplitudes * GRID[:, None])
    assert math.isclose(fit.low, 0.5, abs_tol=1e-12)
    assert math.isclose(fit.high, 0.5, abs_tol=1e-12)


def test_the_seed_decides_the_bootstrap() -> None:
    errors = GRID[:, None] * np.random.default_rng(0).uniform(0.5, 1.5, (9, 20))
    assert fit_slope(GRID, errors, seed=1) == fit_slope(GRID, errors, seed=1)
    assert fit_slope(GRID, errors, seed=1).low != fit_slope(GRID, errors, seed=2).low


def test_averaged_errors_have_a_slope_and_no_interval() -> None:
    """The residuals of a curve are correlated: Student's t held the slope .60 times, see benchmarks/interval_coverage."""
    from scipy import stats

    errors = GRID**1.4 * np.random.default_rng(0).uniform(0.8, 1.2, 9)
    expected = stats.linregress(2 * np.log(GRID), np.log(errors))
    fit = fit_slope(GRID, errors)
    np.testing.assert_allclose([fit.slope, fit.intercept], [expected.slope, expected.intercept])
    assert np.isnan([fit.low, fit.high, fit.standard_error]).all()
    assert str(fit).startswith(f"slope {fit.slope:.3f} (no interval for one curve; give the errors of each image; ")


def test_images_that_are_the_same_at_all_levels_are_drawn_together() -> None:
    """Neighbouring levels with a correlation of .9; the residuals of the curve alone would cover .60."""
    root = np.linalg.cholesky(0.9 ** np.abs(np.subtract.outer(range(8), range(8))))
    sigmas, hits = np.geomspace(0.03, 1, 8), 0
    for trial in range(300):
        draw = np.random.default_rng(trial).normal(size=(8, 12))
        fit = fit_slope(sigmas, sigmas[:, None] ** 1.5 * np.exp(0.3 * root @ draw), resamples=400, seed=trial)
        hits += fit.low <= 0.75 <= fit.high
    assert 0.92 <= hits / 300 <= 0.98


def test_images_are_averaged_before_the_logarithm() -> None:
    errors = GRID[:, None] * np.random.default_rng(0).uniform(0.1, 2, (9, 20))
    assert math.isclose(fit_slope(GRID, errors).slope, fit_slope(GRID, errors.mean(axis=1)).slope)
    np.testing.assert_allclose(local_slopes(GRID, errors), local_slopes(GRID, errors.mean(axis=1)))


def test_only_the_window_counts() -> None:
    sigmas = np.array([0.01, 0.1, 0.2, 0.3, 1.0])
    errors = np.where((sigmas > 0.05) & (sigmas < 0.5), sigmas**1.5, 7.0)
    fit = fit_slope(sigmas, errors, window=(0.1, 0.3))  # both ends belong to it
    assert math.isclose(fit.slope, 0.75)
    assert fit.points == 3
    assert fit.window == (0.1, 0.3)
    assert not math.isclose(fit_slope(sigmas, errors).slope, 0.75, abs_tol=0.1)


def test_a_fit_reads_like_a_sentence() -> None:
    fit = fit_slope(GRID, GRID[:, None] * np.ones(3))
    assert str(fit) == (
        "slope 0.500, 95 % interval [0.500, 0.500] (bootstrap over 3 images; 9 noise levels in [0.01, 1])"
    )


def test_bad_exponents_are_refused(unchecked: None) -> None:
    for alpha in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="alpha must be finite and above 0"):
            optimal_slope(alpha)
        with pytest.raises(ValueError, match="alpha must be finite and above 0"):
            power_law_oracle_risk(1.0, alpha, 0.1)
    with pytest.raises(ValueError, match="s must be above 1, where the energy"):
        decay_to_slope(1.0)
    with pytest.raises(ValueError, match="amplitude must be finite and above 0"):
        power_law_oracle_risk(0.0, 1.0, 0.1)
    with pytest.raises(ValueError, match="sigma must be finite and above 0"):
        power_law_oracle_risk(1.0, 1.0, np.array([0.1, 0.0]))


@pytest.mark.parametrize("slopes", [local_slopes, fit_slope])
def test_bad_curves_are_refused(slopes: type, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"mse must have shape .* s = 9 noise levels, got \(20, 9\); is it transposed"):
        slopes(GRID, np.ones((20, 9)))
    with pytest.raises(ValueError, match="mse must be finite and above 0 to have a logarithm, got values from 0"):
        slopes(GRID, np.zeros(9))
    with pytest.raises(ValueError, match="sigmas must be finite and above 0"):
        slopes(GRID - 0.01, GRID)
    with pytest.raises(ValueError, match="at least 2 noise levels in one row"):
        slopes(GRID[:1], GRID[:1])


def test_bad_fits_are_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="sigmas must all be different"):
        local_slopes([0.1, 0.1, 0.2], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="needs at least 2 different noise levels, got 1 in the window"):
        fit_slope(GRID, GRID, window=(0.7, 1.0))
    with pytest.raises(ValueError, match="needs at least 2 different noise levels, got 1 in the window"):
        fit_slope(GRID, np.ones((9, 4)), window=(0.9, 1.0))
    with pytest.raises(ValueError, match=r"window must be \(smallest, largest\)"):
        fit_slope(GRID, GRID, window=(1.0, 0.1))
    with pytest.raises(ValueError, match="needs at least 2 images, got 1; give mse of shape"):
        fit_slope(GRID, np.ones((9, 1)))
    with pytest.raises(ValueError, match="confidence must lie between 0 and 1, got 95"):
        fit_slope(GRID, GRID, confidence=95.0)
    with pytest.raises(ValueError, match="resamples must be at least 100, got 10"):
        fit_slope(GRID, GRID, resamples=10)


def test_the_interval_of_a_slope_holds_it_also_for_few_images() -> None:
    """10 images of log-normal errors; the quantiles of the slopes themselves hold the slope in 91 % of the trials."""
    sigmas, trials, hits = np.geomspace(0.05, 0.5, 6), 300, 0
    for trial in range(trials):
        draw = np.random.default_rng(trial).normal(0, 0.5, (7, 10))
        errors = np.exp(draw[:1] + draw[1:]) * sigmas[:, None] ** 1.5
        fit = fit_slope(sigmas, errors, resamples=200, seed=trial)
        hits += fit.low <= 0.75 <= fit.high
    assert 0.93 <= hits / trials <= 0.97


@pytest.mark.parametrize("seed", [None, True, 2**128, -1])
def test_seeds_that_are_none_are_refused(seed, unchecked: None) -> None:
    errors = np.random.default_rng(0).uniform(1, 2, (3, 8))
    with pytest.raises((TypeError, ValueError), match="seed must be"):
        fit_slope([0.05, 0.1, 0.2], errors, seed=seed)
