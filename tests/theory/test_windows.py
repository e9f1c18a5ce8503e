"""Windows of the fit: the right slope on finite power laws, where a fit over everything is wrong."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.theory.finite_grid import effective_terms, fit_slope_in_window, slope_window, terms_above
from gahb_theory.theory.rates import local_slopes, optimal_slope

SIGMAS = np.geomspace(1e-4, 3, 40)


def power_law(alpha, d=4096, n=40, seed=0):
    """Oracle errors and numbers of terms above the noise, (s, n) each, for coefficients of variance k^-(alpha + 1)."""
    rng = np.random.default_rng(seed)
    energy = np.arange(1, d + 1.0) ** -(alpha + 1) * rng.chisquare(1, (n, d))
    noise = SIGMAS[:, None, None] ** 2
    return (energy * noise / (energy + noise)).sum(2), (energy > noise).sum(2).astype(float)


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
def test_the_slope_of_a_finite_power_law(alpha):
    errors, terms = power_law(alpha)
    fit = fit_slope_in_window(SIGMAS, errors, terms, 4096)
    # half of the largest and the smallest terms in the window are on the other side of the noise: the law is there to .02
    assert abs(fit.slope - optimal_slope(alpha)) < 0.02
    outside = (fit.window[0] > SIGMAS) | (fit.window[1] < SIGMAS)
    assert float(np.abs(local_slopes(SIGMAS, errors) - optimal_slope(alpha))[outside].max()) > 0.1
    assert fit.low < fit.slope < fit.high
    assert 8 < terms[fit.window[1] == SIGMAS].mean() < terms[fit.window[0] == SIGMAS].mean() < 512
    assert fit.method == "bootstrap over 40 images and their windows"


def test_the_number_of_terms_may_be_that_of_degrees_of_freedom():
    errors, _ = power_law(2.0)
    fit = fit_slope_in_window(SIGMAS, errors, effective_terms(SIGMAS, errors), 4096)
    assert abs(fit.slope - 2 / 3) < 0.02


def test_effective_terms_of_an_oracle_are_between_half_of_its_terms_and_a_few_more():
    x = gt.CAlpha(size=32).sample(5, seed=0)
    sigmas = [0.05, 0.2]
    risks = torch.stack([gt.oracle_mse(gt.DCT(), x, s) for s in sigmas]).numpy()
    counts = terms_above(gt.DCT(), x, sigmas)
    assert counts.shape == (2, 5)
    c = gt.DCT().analysis(x)
    assert counts[1].tolist() == [float((row.abs() > 0.2).sum()) for row in c]
    effective = effective_terms(sigmas, risks)
    assert bool((effective >= counts / 2 - 1e-6).all())
    np.testing.assert_allclose(effective[0], risks[0] / 0.0025)
    np.testing.assert_allclose(effective_terms(sigmas, risks[:, 0]), effective[:, 0])


def test_the_window():
    sigmas, terms = np.array([0.3, 0.01, 0.1, 0.03, 1.0]), np.array([9.0, 400, 30, 100, 2])
    assert slope_window(sigmas, terms, 1024) == (0.03, 0.3)
    assert slope_window(sigmas, np.stack([terms + 3, terms - 3], 1), 1024) == (0.03, 0.3)
    assert slope_window(sigmas, terms, 4096) == (0.01, 0.3)  # d / 8 = 512
    assert slope_window(sigmas, np.where(terms == 9, 8.0, terms), 1024) == (0.03, 0.1)  # 8 itself is too few


def test_each_draw_of_images_has_its_own_window():
    errors, terms = power_law(1.0, n=10)
    own = fit_slope_in_window(SIGMAS, errors, terms, 4096, seed=1)
    fixed = fit_slope_in_window(SIGMAS, errors, terms.mean(axis=1), 4096, seed=1)
    assert own.slope == fixed.slope
    assert fixed.method == "bootstrap over 10 images"
    assert (own.low, own.high) != (fixed.low, fixed.high)
    # by hand: one draw after the other
    from scipy import stats

    counts = np.random.default_rng(1).multinomial(10, np.full(10, 0.1), size=1000)
    slopes = []
    for w in counts:
        m = terms @ w / 10
        used = (m > 8 + 1e-9) & (m < 512 - 1e-9)
        slopes.append(np.polyfit(2 * np.log(SIGMAS[used]), np.log(errors @ w / 10)[used], 1)[0])
    tail = stats.norm.cdf((10 / 9) ** 0.5 * stats.t.ppf(0.025, 9))  # moved outwards for 10 images
    np.testing.assert_allclose([own.low, own.high], np.quantile(slopes, [tail, 1 - tail], method="inverted_cdf"))


def test_refusals(unchecked):
    errors, terms = power_law(2.0, n=3)
    with pytest.raises(
        ValueError, match=r"at least 2 noise levels with 8 < M\(sigma\) < d / 8 = 12.5, got 0: M runs from"
    ):
        slope_window([0.1, 0.2], [40.0, 20.0], 100)
    with pytest.raises(ValueError, match=r"M\(sigma\) leaves \(8, d / 8\) inside \[0.1, 0.3\]"):
        slope_window([0.1, 0.2, 0.3], [20.0, 2.0, 10.0], 1024)
    with pytest.raises(ValueError, match="dimension must be at least 65"):
        slope_window(SIGMAS, terms, 64)
    with pytest.raises(ValueError, match=r"terms must have shape .* is it transposed"):
        fit_slope_in_window(SIGMAS, errors, terms.T, 4096)
    with pytest.raises(ValueError, match="terms must be finite"):
        slope_window(SIGMAS, terms * np.nan, 4096)
    with pytest.raises(ValueError, match="mse must have one row for each of the 40 noise levels"):
        effective_terms(SIGMAS, errors[:5])
