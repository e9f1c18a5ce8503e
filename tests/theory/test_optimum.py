"""The Bayes risk against closed forms and brute force; `optimality` against gaps known beforehand."""

import math

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import GaussianMixture, StationaryGaussianDenoiser, mixture_of_gaussians
from gahb_theory.denoisers.exact.contour_target import ContourTarget
from gahb_theory.denoisers.exact.posterior_chain import Search
from gahb_theory.images import Ray, SineCone, Texture
from gahb_theory.theory import gaussian_mse
from gahb_theory.theory.optimum import BayesRisk, dispatch, suboptimality
from gahb_theory.theory.optimum.enclosure import Enclosed, enclosure, ordered
from gahb_theory.theory.optimum.standard_table import stored_table
from gahb_theory.theory.optimum.suboptimality import log_mean_parts

QUICK = Search(chains=3, draws=50, rounds=12, steps=40)


def brute_force(target: ContourTarget, n: int, draws: int) -> torch.Tensor:
    """Tr Cov[x | y] by importance sampling from the prior of the contours."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(draws, target.dimension, generator=generator, dtype=torch.float64)
    risks = []
    for i in range(n):
        found = target.exact(z, torch.full((draws,), i))
        w = torch.softmax(found.log_evidence, dim=0)
        assert 1 / w.square().sum() > 50
        mean = w @ found.mean
        risks.append(w @ (target.trace(z, torch.full((draws,), i)) + (found.mean - mean).square().sum(dim=1)))
    return torch.stack(risks)


def test_bounds_enclose_the_brute_force_value() -> None:
    X, sigma, n = gt.CAlpha(alpha=2.0, size=8), 0.4, 8
    b = gt.bayes_risk(X, sigma, n, steps=1500, search=QUICK)
    target = ContourTarget(X, b.images.noisy.flatten(1), sigma)
    exact = brute_force(target, n, 2000)
    assert abs(float(b.images.lower.mean() / exact.mean()) - 1) < 0.05
    assert abs(float(b.images.upper.mean() / exact.mean()) - 1) < 0.05
    assert b.width < 0.3
    assert b.lower.value <= b.upper.value


def test_chains_that_have_not_moved_give_a_wide_interval_not_a_wrong_one() -> None:
    X, sigma = gt.CAlpha(alpha=2.0, size=8), 0.05
    long = gt.bayes_risk(X, sigma, 8, steps=1000, search=QUICK)
    poor = Search(chains=2, draws=1, rounds=1, steps=1)
    short = gt.bayes_risk(X, sigma, 8, steps=50, search=poor)
    assert not short.converged
    assert short.width > max(2 * long.width, 0.3)
    assert short.lower.low < long.upper.value
    assert short.upper.high > long.lower.value


def test_upper_is_not_below_lower_on_a_hundred_problems() -> None:
    b = gt.bayes_risk(
        gt.CAlpha(alpha=1.0, size=8), 0.2, 100, steps=100, search=Search(chains=2, draws=20, rounds=4, steps=30)
    )
    difference = (b.images.upper - b.images.lower).numpy()
    assert difference.mean() > -3 * difference.std() / 10
    assert b.lower.value <= b.upper.value


def chains_of(lower: np.ndarray, upper: np.ndarray) -> BayesRisk:
    images = torch.zeros(len(lower), 1, 2, 2)
    bounds = torch.from_numpy(lower), torch.from_numpy(upper)
    return enclosure(Enclosed(images, images, *bounds[:1], *bounds), 0.1, "chains", {}, exact=False)


def test_bounds_that_cross_are_pooled_and_keep_their_outer_ends() -> None:
    lower, upper = np.array([1.1, 1.2, 1.3]), np.array([0.9, 1.0, 1.1])
    b = chains_of(lower, upper)
    assert b.lower.value == b.upper.value == pytest.approx(1.1)
    assert (b.lower.low, b.upper.high) == (gt.metrics.mean_estimate(upper).low, gt.metrics.mean_estimate(lower).high)
    assert b.lower.high == b.upper.high > 1.2 > 1.0 > b.upper.low


def test_only_the_levels_that_cross_are_pooled() -> None:
    def ends(value: list[float]) -> gt.Estimate:
        v = np.array(value)
        return gt.Estimate(v, v - 0.1, v + 0.2, np.full(2, 0.1), 0.95, "t")

    lower, upper = ordered(ends([1.0, 3.0]), ends([2.0, 2.0]))
    np.testing.assert_allclose([lower.value, upper.value], [[1.0, 2.5], [2.0, 2.5]])
    np.testing.assert_allclose([lower.low, upper.high], [[0.9, 1.9], [2.2, 3.2]])


def test_no_width_is_zero_for_bounds_that_noise_made_cross() -> None:
    """Differences of mean -1 and standard error 1: as if their mean were 0, and Student's quantile above it."""
    difference = -1 + 2 * np.array([-1.0, 1.0, -1.0, 1.0]) * math.sqrt(3 / 4)
    b = chains_of(np.full(4, 100.0), 100 + difference)
    assert b.width == pytest.approx(10 * math.log10(1 + 3.182 / b.lower.value), rel=1e-3)
    assert chains_of(np.full(4, 5.0), np.full(4, 5.0)).width == 0


def test_the_interval_and_the_width_hold_what_they_say() -> None:
    """Bounds .02 apart around a risk of 1, of 32 images that differ by .3, and each with noise of its own of .1."""
    g = np.random.default_rng(0)
    images = 1 + 0.3 * g.normal(size=(1000, 32))
    noise = 0.1 * g.normal(size=(2, 1000, 32))
    found = [chains_of(x + a - 0.01, x + b + 0.01) for x, a, b in zip(images, *noise, strict=True)]
    assert np.mean([b.lower.value == b.upper.value for b in found]) > 0.1  # they cross now and then
    for risk in (0.99, 1.0, 1.01):
        assert np.mean([b.lower.low <= risk <= b.upper.high for b in found]) > 0.95
    assert np.mean([b.width >= 10 * math.log10(1 + 0.02 / b.lower.value) for b in found]) > 0.96
    lowered = np.mean(images + noise[0] - 0.01) - np.mean([b.lower.value for b in found])
    assert 0 < lowered < 0.2 * 0.1 * math.sqrt(2 / 32)  # the bias that `ordered` states


@pytest.mark.parametrize("X", [gt.GaussianField(exponent=1.5, size=8), Texture(size=8, frequency=2.0)])
def test_gaussian_classes_are_a_closed_form(X: gt.ImageClass) -> None:
    b = gt.bayes_risk(X, 0.1, 4)
    value = float(gaussian_mse(torch.linalg.eigvalsh(X.covariance.matrix()).clamp(min=0), 0.1))
    assert b.exact
    assert b.lower.low == b.upper.high == pytest.approx(value, rel=1e-10)


def test_two_points_are_a_one_dimensional_integral() -> None:
    """x = +-a: tr Cov = a^2 (1 - tanh^2), an integral over the projection of y."""
    sigma, points = 0.7, torch.tensor([1.0, -1.0], dtype=torch.float64).reshape(2, 1, 1, 1).expand(2, 1, 1, 2) / 2
    a2 = float(points[0].square().sum())
    t = np.linspace(-12, 12, 20001)
    noisy = math.sqrt(a2) + sigma * t
    density = np.exp(-(t**2) / 2) / math.sqrt(2 * math.pi)
    expected = np.trapezoid(density * a2 / np.cosh(math.sqrt(a2) * noisy / sigma**2) ** 2, t)
    b = gt.bayes_risk(gt.EmpiricalBayes(points.contiguous()), sigma, 2000)
    assert b.exact
    assert b.lower.low < expected < b.lower.high
    mixture = gt.bayes_risk(
        mixture_of_gaussians(points.contiguous(), 1e-12 * torch.eye(2).double().expand(2, 2, 2)), sigma, 2000
    )
    assert mixture.lower.low < expected < mixture.lower.high


def test_exact_denoisers_stand_for_their_distribution() -> None:
    spectrum = torch.tensor([[[4.0, 1.0], [1.0, 0.5]]], dtype=torch.float64)
    f = StationaryGaussianDenoiser(torch.zeros(1, 1, 2, 2, dtype=torch.float64), spectrum)
    b = gt.bayes_risk(f, 1.0, 4000)
    assert b.lower.value == pytest.approx(4 / 5 + 1 / 2 + 1 / 2 + 0.5 / 1.5)
    assert float(b.score(f).mean()) == pytest.approx(b.lower.value, rel=1e-5)
    dense = gt.GaussianDenoiser(
        torch.zeros(1, 1, 1, 2, dtype=torch.float64), torch.diag(torch.tensor([3.0, 1.0])).double()
    )
    assert gt.bayes_risk(dense, 1.0, 2).lower.value == pytest.approx(0.75 + 0.5)
    one = mixture_of_gaussians(torch.zeros(1, 1, 1, 2).double(), torch.diag(torch.tensor([3.0, 1.0])).double()[None])
    assert isinstance(one, GaussianMixture)
    assert gt.bayes_risk(one, 1.0, 3).lower.value == pytest.approx(0.75 + 0.5)


def test_cones_at_small_and_at_large_noise() -> None:
    assert gt.bayes_risk(SineCone(size=16), 0.01, 32).lower.value / 1e-4 == pytest.approx(2, rel=0.03)
    ray = Ray(torch.ones(1, 1, 2, 2))
    assert gt.bayes_risk(ray, 0.003, 32).lower.value / 0.003**2 == pytest.approx(1, rel=0.03)
    assert gt.bayes_risk(ray, 100.0, 8).lower.value == pytest.approx(4 / 12, rel=1e-3)  # the variance of the class


def test_holder_ball_at_large_noise_has_the_variance_of_the_class() -> None:
    X = gt.HolderBall(alpha=1.0, size=16)
    x = X.sample(4000, dtype=torch.float64)
    assert gt.bayes_risk(X, 30.0, 2).lower.value == pytest.approx(float(x.var(dim=0).sum()), rel=0.05)


def test_holder_ball_beats_its_wiener_filter() -> None:
    X, sigma = gt.HolderBall(alpha=1.0, size=16), 0.05
    o = gt.optimality(StationaryGaussianDenoiser.fit(X.sample(500, seed=9)), X, [sigma], images=16)
    assert o.bayes[0].exact
    assert o.gap.lower.value[0] == o.gap.upper.value[0] > 0.05


def test_shuffling_changes_nothing_but_the_order() -> None:
    X = gt.HolderBall(size=16)
    plain, shuffled = gt.bayes_risk(X, 0.1, 3), gt.bayes_risk(gt.Shuffled(X, seed=4), 0.1, 3)
    assert shuffled.lower.value == plain.lower.value
    assert torch.equal(gt.Shuffled(X, seed=4).unshuffle(shuffled.images.noisy), plain.images.noisy)


@pytest.mark.parametrize("X", [gt.CAlpha(size=8, convention="paper"), gt.Photographs(size=16)])
def test_unknown_is_said(X: gt.ImageClass) -> None:
    b = gt.bayes_risk(X, 0.2, 4)
    assert b.method.startswith("unknown")
    assert (b.lower.value, b.width, b.converged, b.exact) == (0, math.inf, False, False)
    assert 0 < b.upper.value < X.size**2 * 0.04
    o = gt.optimality(lambda y, sigma: y, X, [0.1, 0.2], images=4)
    assert o.slope_gap is None
    assert np.isinf(o.gap.upper.value).all()
    assert (o.gap.lower.value > 0).all()


def test_a_run_that_is_taken_up_again_is_the_uninterrupted_one(tmp_path) -> None:
    X = gt.CAlpha(alpha=2.0, size=8)
    arguments = {"sigma": 0.3, "images": 4, "search": Search(chains=2, draws=20, rounds=4, steps=20)}
    whole = gt.bayes_risk(X, steps=500, directory=tmp_path / "whole", **arguments)
    gt.bayes_risk(X, steps=200, directory=tmp_path / "parts", **arguments)
    parts = gt.bayes_risk(X, steps=500, directory=tmp_path / "parts", **arguments)
    assert parts.work["steps"] == 500
    for name in ("lower", "upper", "trace", "centre"):
        assert torch.equal(getattr(whole.images, name), getattr(parts.images, name))
    with pytest.raises(FileExistsError, match="sigma"):
        gt.bayes_risk(X, steps=500, directory=tmp_path / "parts", **(arguments | {"sigma": 0.4}))


def test_the_optimum_has_no_gap_and_the_identity_a_known_one() -> None:
    X, sigmas = gt.GaussianField(size=8), [0.05, 0.1, 0.4]
    f = gt.GaussianDenoiser(torch.full((1, 1, 8, 8), 0.5, dtype=torch.float64), X.covariance.matrix())
    o = gt.optimality(f, X, sigmas)
    assert np.abs(o.gap.lower.value).max() < 1e-4
    assert abs(o.slope_gap.value) < 1e-4
    identity = gt.optimality(lambda y, sigma: y, X, sigmas, images=2000)
    expected = [10 * math.log10(64 * s**2 / b.lower.value) for s, b in zip(sigmas, o.bayes, strict=True)]
    np.testing.assert_allclose(identity.gap.upper.value, expected, atol=0.1)
    assert identity.to_dict()["gap"]["lower"]["value"] == identity.gap.lower.value.tolist()
    assert len(identity.table()) == 3
    assert "dB above the optimum" in repr(identity)


def test_a_wrong_denoiser_is_refused_before_chains_run(monkeypatch, unchecked) -> None:
    monkeypatch.setattr(suboptimality, "bayes_risks", lambda *_, **__: pytest.fail("chains would run"))
    X = gt.Disks(size=16)
    with pytest.raises(ValueError, match=r"shape of its input, \(1, 1, 16, 16\), got \(1, 1, 16, 15\)"):
        gt.optimality(lambda y, s: y[..., 1:], X, 0.1)
    with pytest.raises(RuntimeError, match="train mode"):
        gt.optimality(gt.UNet(2, 1).train(), X, 0.1)
    with pytest.raises(TypeError, match=r"or the network with \.to\(torch\.float32\)"):
        gt.optimality(gt.UNet(2, 1).double().eval(), X, 0.1)
    with pytest.raises(TypeError, match=r"must be made first, as in Disks\(size=16\)"):
        gt.optimality(lambda y, s: y, gt.Disks, 0.1)


def test_a_denoiser_that_draws_at_random_has_no_gap() -> None:
    draws = torch.Generator().manual_seed(0)
    with pytest.raises(RuntimeError, match="draws at random"):
        gt.optimality(
            lambda y, s: y + 0.01 * torch.randn(y.shape, generator=draws), gt.GaussianField(size=8), 0.1, images=4
        )


def test_one_level_twice_has_no_slope() -> None:
    o = gt.optimality(lambda y, s: y, gt.GaussianField(size=8), [0.1, 0.1], images=4)
    assert o.slope_gap is None
    assert o.gap.lower.value[0] == o.gap.lower.value[1]


def test_levels_in_units_of_255_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="divide it by 255"):
        gt.optimality(lambda y, s: y, gt.GaussianField(size=8), 25.0, images=4)


def test_images_of_an_unknown_optimum_are_drawn_once() -> None:
    """Colour, an odd size, and a class that has nothing but `sample`; the same numbers as one level after the other."""
    drawn = []

    class Mine:
        def sample(self, n, *, seed=0, start=0):
            drawn.append(n)
            return torch.rand(n, 3, 7, 5, generator=torch.Generator().manual_seed(seed))

    both = gt.optimality(lambda y, s: 0.9 * y, Mine(), [0.1, 0.3], images=4)
    assert drawn == [1, 4 + dispatch.FITTED]
    for k, sigma in enumerate((0.1, 0.3)):
        assert both.bayes[k].upper.value == gt.bayes_risk(Mine(), sigma, 4).upper.value


def test_the_interval_of_the_gap_holds_it() -> None:
    """120 samples of 8 images; the risk of .9 y is a closed form, E|f - x|^2 = .01 E|x|^2 + .81 d sigma^2."""
    X, sigma = gt.GaussianField(size=8), 0.1
    covariance = X.covariance.matrix()
    risk = 0.01 * (float(covariance.trace()) + 64 * X.mean**2) + 0.81 * 64 * sigma**2
    best = float(gaussian_mse(torch.linalg.eigvalsh(covariance).clamp(min=0), sigma))
    gaps = [gt.optimality(lambda y, s: 0.9 * y, X, sigma, images=8, seed=k).gap.lower for k in range(120)]
    low, value, high = (np.array([float(getattr(g, end)[0]) for g in gaps]) for end in ("low", "value", "high"))
    exact = 10 * math.log10(risk / best)
    assert ((low < exact) & (exact < high)).mean() > 0.9
    assert (high - low).mean() < 6 * value.std()  # Student's 4.7, and a little for skewness


def test_what_an_image_adds_to_a_logarithm_is_the_jackknife() -> None:
    values = np.array([[1.0, 2.0, 6.0]])
    found = log_mean_parts(values)
    np.testing.assert_allclose(found - found[:, :1], -2 * (np.log([[4.0, 3.5, 1.5]]) - np.log(4.0)))
    assert not log_mean_parts(np.zeros((1, 3))).any()


def test_oracles_are_drawn_and_not_called_bounds() -> None:
    X, sigmas = gt.CAlpha(alpha=2.0, size=16), [0.3, 0.1]
    o = gt.optimality(lambda y, sigma: y, X, sigmas)
    found = o.oracles()
    assert list(found) == ["wavelet", "bandlet", "given contour"]
    x = X.sample(32).double()
    np.testing.assert_allclose(found["wavelet"][1], float(gt.oracle_mse(gt.Wavelet("sym4"), x, 0.1).mean()))
    # who knows the contour has less to find, though it is linear; 0.113 at sigma = .1 by an earlier, independent program
    assert found["given contour"][1] == pytest.approx(0.113, rel=0.15)
    assert found["given contour"][1] < o.bayes[1].lower.value < found["bandlet"][1]
    labels = [line.get_label() for line in o.plot().lines]
    assert labels[:2] == ["optimum, between its bounds", "denoiser"]
    assert labels[2:] == [f"{name}: oracle, not a bound" for name in found]
    assert o.to_dict()["images"]["alpha"] == 2.0
    assert gt.theory.optimum.oracle_curves(gt.EmpiricalBayes(x), sigmas) == {}


def test_the_standard_table_is_looked_up() -> None:
    b = gt.bayes_risk(gt.CAlpha(alpha=2.0, size=16), 0.1)
    assert isinstance(b, BayesRisk)
    assert "standard table" in b.method
    assert 0.14 < b.lower.value <= b.upper.value < 0.18  # 0.156 to 0.159 by an earlier, independent program
    assert b.width < 0.15
    score = b.score(lambda y, sigma: b.images.centre.to(y))  # that of an optimal denoiser, which saw the truth
    assert float(score.mean()) < b.upper.value
    x = gt.CAlpha(alpha=2.0, size=16).sample(4000, seed=5, dtype=torch.float64)
    wiener = gt.GaussianDenoiser(x.mean(dim=0, keepdim=True), torch.cov(x.flatten(1).mT))
    assert 3 < 10 * math.log10(float(b.score(wiener).mean()) / b.upper.value) < 4.5


def test_every_entry_of_the_standard_table_has_ordered_bounds() -> None:
    entries = list(stored_table().values())
    assert len(entries) >= 12
    for entry in entries:
        difference = np.array(entry["upper"]) - np.array(entry["lower"])
        assert difference.mean() > -3 * difference.std() / len(difference) ** 0.5, entry["name"]
        assert min(entry["trace"]) > 0


def test_blind_chains_have_a_mean_of_their_own() -> None:
    """Of few steps the chains from the truth and the others differ; the product of their errors is below either's square."""
    X = gt.Disks(size=16)
    known, long = (gt.bayes_risk(X, 0.3, 16, steps=n, search=QUICK).images for n in (50, 4000))
    a, b, m = known.centre, known.blind, (long.centre + long.blind) / 2
    assert a.shape == b.shape == known.noisy.shape
    errors = [((u - m) * (v - m)).sum(dim=(1, 2, 3)).mean() for u, v in ((a, a), (b, b), (a, b))]
    assert abs(errors[2]) < 0.5 * min(errors[:2])
    P = gt.Shuffled(X, seed=4)
    plain, shuffled = (gt.bayes_risk(c, 0.3, 2, steps=50, search=QUICK).images for c in (X, P))
    assert torch.equal(P.unshuffle(shuffled.blind), plain.blind)
