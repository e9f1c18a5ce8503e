"""Verdicts on planted answers, and what is refused."""

import json

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.hypotheses import (
    AnotherSeed,
    BeatsSimple,
    BudgetDoubled,
    ConstantMean,
    Criterion,
    FixedBasisOracle,
    Given,
    Identity,
    LessTrained,
    Memoriser,
    NullResult,
    OtherGeometry,
    PerSeed,
    Plan,
    Setting,
    ShuffledClass,
    Spread,
    Trained,
    Untrained,
    Wiener,
    decide,
    power,
    two_level,
)
from gahb_theory.hypotheses.crossed import confidence_of
from gahb_theory.hypotheses.subjects import as_subject
from gahb_theory.hypotheses.verdicts import detectable

X = gt.Disks(size=16)
PLAN = Plan(seeds=3, images=8, sigmas=(0.2,))


def gain(f, images, sigma, seed):
    """Decibels gained over the noisy image."""
    y = gt.add_noise(images, sigma, seed=seed)
    return 10 * (gt.mse(images, y) / gt.mse(images, f(y, sigma))).log10()


def shrink(factor):
    return lambda y, sigma: factor * y


def claim(**changes):
    given = {
        "statement": "It gains.",
        "measure": gain,
        "criterion": Criterion(1.0),
        "nulls": [Identity()],
        "plan": PLAN,
    }
    return gt.Hypothesis(**(given | changes))


class TestVerdicts:
    wiener = PerSeed(lambda seed: gt.GaussianDenoiser(*_moments(X.sample(500, seed=seed))), "Wiener filters")

    def test_a_true_statement_is_supported(self):
        result = gt.assess(claim(), self.wiener, images=X)
        assert result.verdict == "supported"
        assert result.nulls[0].estimate.value == pytest.approx(0, abs=1e-6)
        assert result.about.startswith("Wiener filters, 3 seeds and 8 images")
        assert result.values.shape == (3, 1, 8)

    def test_a_false_one_is_refuted(self):
        assert gt.assess(claim(criterion=Criterion(40.0)), self.wiener, images=X).verdict == "refuted"

    def test_the_same_statement_with_the_other_side(self):
        result = gt.assess(claim(criterion=Criterion(1.0, "<"), nulls=[Wiener()]), shrink(0.99), images=X)
        assert result.verdict == "supported"

    def test_a_threshold_inside_the_interval_is_undecided_and_says_what_it_takes(self):
        value = gt.assess(claim(), self.wiener, images=X).estimate.value
        result = gt.assess(claim(criterion=Criterion(value - 0.05)), self.wiener, images=X)
        assert result.verdict == "undecided"
        assert "images" in result.power.needed
        assert result.power.smallest_effect > 0.05

    def test_a_null_that_passes_is_named_whatever_the_subject_does(self):
        for subject in (self.wiener, shrink(1.5)):
            result = gt.assess(claim(nulls=[Identity(), shrink(0.5)], criterion=Criterion(-20.0)), subject, images=X)
            assert result.verdict == "not discriminating"
            assert "identity" in result.reason

    def test_a_gate_that_is_not_passed_is_named(self):
        worse = PerSeed(lambda seed: shrink(0.9 + 0.01 * seed))
        result = gt.assess(
            claim(criterion=Criterion(-9.0, ">"), nulls=[shrink(9.0)], gates=[BeatsSimple()]), worse, images=X
        )
        assert result.verdict == "not converged"
        assert "Wiener" in result.reason

    def test_one_denoiser_is_judged_alone(self):
        result = gt.assess(claim(), self.wiener.denoiser(0), images=X)
        assert "this one denoiser" in result.about
        assert "says nothing about others" in result.about

    def test_a_rival_is_subtracted_pair_by_pair(self):
        weak = PerSeed(lambda seed: shrink(0.95 - 0.001 * seed), "weak")
        result = gt.assess(claim(nulls=[AnotherSeed()]), self.wiener, weak, images=X)
        own = gt.assess(claim(), self.wiener, images=X).values
        theirs = gt.assess(claim(), weak, images=X).values
        np.testing.assert_allclose(result.values, own - theirs, rtol=1e-6)
        assert result.verdict == "supported"  # and another seed of the weak one is no better than the weak one

    def test_the_result_is_written_whole(self, tmp_path):
        result = gt.assess(claim(nulls=[Identity(), LessTrained()]), self.wiener, images=X)
        assert result.nulls[1].passes == "not run"
        stored = json.loads(result.save(tmp_path / "verdict.json").read_text())
        assert stored["verdict"] == "supported"
        assert stored["nulls"][1]["detail"].startswith("the subject cannot be trained anew")
        for words in ("SUPPORTED", "identity", "passes: not run", "smallest effect"):
            assert words in repr(result)
        ax = result.plot()
        assert ax.get_title() == "supported"
        ax.figure.clear()

    def test_an_unclear_null_forbids_support_but_not_refutation(self):
        unclear = [NullResult("n", None, "cannot be told")]
        above, below = (two_level(np.arange(12.0).reshape(3, 4) + shift)[0] for shift in (1e3, -1e3))
        assert decide(above, Criterion(0.0), unclear, [])[0] == "not discriminating"
        assert decide(below, Criterion(0.0), unclear, [])[0] == "refuted"


def _moments(x):
    flat = x.flatten(1).double()
    return flat.mean(0).reshape(1, *x.shape[1:]), torch.cov(flat.mT)


def test_error_rates_of_verdicts():
    """Nothing is supported, or refuted, at the threshold in more than 5 % of all cases; far from it, all is decided."""
    generator = np.random.default_rng(0)
    found = {"supported": 0, "refuted": 0, "undecided": 0}
    for _ in range(1000):
        values = 0.3 * generator.exponential(size=(4, 1)) + generator.exponential(size=(4, 16)) - 1.3
        verdict, _ = decide(two_level(values)[0], Criterion(0.0), [], [])
        found[verdict] += 1
    assert found["supported"] <= 70
    assert found["refuted"] <= 70
    values = values + 3
    assert decide(two_level(values)[0], Criterion(0.0), [], [])[0] == "supported"


def test_two_looks_support_what_is_false_as_rarely_as_one():
    """Seeds added because three were undecided: with two intervals of .95 a true threshold is missed too often, not at .975."""
    generator = np.random.default_rng(0)
    wrong = {0.95: 0, confidence_of(2): 0}
    for _ in range(4000):
        values = generator.standard_normal((6, 1)) + 0.1 * generator.standard_normal((6, 8))
        for confidence in wrong:
            looks = (decide(two_level(values[:k], confidence)[0], Criterion(0.0), [], [])[0] for k in (3, 6))
            wrong[confidence] += next((found for found in looks if found != "undecided"), "undecided") != "undecided"
    once = sum(
        decide(two_level(generator.standard_normal((3, 1)) + np.zeros((3, 8)))[0], Criterion(0.0), [], [])[0]
        != "undecided"
        for _ in range(4000)
    )
    assert wrong[0.95] > 1.3 * once
    assert wrong[confidence_of(2)] <= 0.05 * 4000
    assert Plan(looks=2).confidence == confidence_of(2)
    with pytest.raises(ValueError, match="looks"):
        Plan(looks=0)


def test_the_smallest_effect_is_decided_in_four_of_five_cases():
    generator = np.random.default_rng(0)
    effect, decided = detectable(Spread(0.25, 0.0, 1.0), 5, 16), 0
    for _ in range(1000):
        values = generator.standard_normal((5, 1)) * 0.5 + generator.standard_normal((5, 16)) + effect
        decided += decide(two_level(values)[0], Criterion(0.0), [], [])[0] == "supported"
    assert 0.72 < decided / 1000 < 0.86
    result = power(two_level(values)[0], Spread(0.25, 0.0, 1.0), Criterion(0.0), 5, 16)
    assert result.smallest_effect == effect
    assert result.needed == ""


class TestNulls:
    x = X.sample(16)
    subject = Trained(lambda seed: gt.UNet(2, 1, seed=seed), X, gt.Recipe(images_seen=320), n=64)

    def setting(self, subject=None, f=None):
        subject = as_subject(shrink(0.5)) if subject is None else subject
        return Setting(subject, f or subject.denoiser(0), 0, self.x, X.sample(200, seed=5))

    def test_the_wiener_filter_is_that_of_the_training_images(self):
        y = gt.add_noise(self.x, 0.2)
        expected = gt.GaussianDenoiser(*_moments(X.sample(200, seed=5)))(y, 0.2)
        torch.testing.assert_close(Wiener().model(self.setting())(y, 0.2), expected)

    def test_the_constant_mean(self):
        y = gt.add_noise(self.x, 0.2)
        torch.testing.assert_close(ConstantMean().model(self.setting())(y, 0.2)[3], X.sample(200, seed=5).mean(0))

    def test_the_memoriser_returns_its_images(self):
        train = X.sample(200, seed=5)
        torch.testing.assert_close(Memoriser().model(self.setting())(train[:4], 0.001), train[:4])

    def test_the_oracle_has_the_risk_of_its_basis(self):
        f = FixedBasisOracle(gt.DCT()).model(self.setting())
        y = gt.add_noise(self.x, 0.2)
        gains = gt.oracle_gains(gt.DCT().analysis(self.x), 0.2)
        torch.testing.assert_close(f(y, 0.2).flatten(1), gt.DCT().synthesis(gains * gt.DCT().analysis(y)).flatten(1))

    def test_the_geometry_of_another_image_is_linear(self):
        f = gt.EmpiricalBayes(X.sample(20, seed=9))
        g = OtherGeometry().model(self.setting(as_subject(f), f))
        y = gt.add_noise(self.x, 0.2)
        torch.testing.assert_close(g(2 * y, 0.2), 2 * g(y, 0.2))
        other = gt.add_noise(X.sample(1, seed=5), 0.2, seed=0)
        torch.testing.assert_close(
            g(y[:1], 0.2).flatten(), f.jacobian_matrix(other, 0.2) @ y[0].flatten(), rtol=1e-3, atol=1e-4
        )

    def test_variants_of_a_trained_network(self):
        s = self.setting(self.subject)
        y = gt.add_noise(self.x, 0.2)
        outputs = {
            null.name: null.model(s)(y, 0.2) for null in (Untrained(), LessTrained(), AnotherSeed(), ShuffledClass())
        }
        outputs["itself"] = s.f(y, 0.2)
        names = list(outputs)
        for i, a in enumerate(names):
            for b in names[:i]:
                assert not torch.allclose(outputs[a], outputs[b]), (a, b)
        torch.testing.assert_close(outputs["untrained network"], gt.UNet(2, 1, seed=0).eval()(y, 0.2))

    def test_the_kernels_of_a_checkpoint_are_drawn_anew(self):
        f = self.subject.denoiser(0)
        g = Untrained().model(self.setting(as_subject(f), f))
        for (name, before), after in zip(f.named_parameters(), g.parameters(), strict=True):
            assert torch.equal(before, after) == (before.ndim < 2), name
        kernels = torch.cat([p.flatten() / (2 / p[0].numel()) ** 0.5 for p in g.parameters() if p.ndim > 1])
        assert kernels.var().item() == pytest.approx(1, rel=0.3)

    def test_the_budget_is_doubled(self):
        h = claim(gates=[BudgetDoubled()], criterion=Criterion(-100.0), nulls=[shrink(1e6)])
        result = gt.assess(h, self.subject)
        assert result.gates[0].passed is not None
        assert "changes the measure by" in result.gates[0].detail

    def test_a_trained_network_is_found_again(self, tmp_path):
        subject = Trained(lambda seed: gt.UNet(2, 1, seed=seed), X, gt.Recipe(images_seen=320), folder=tmp_path)
        a, b = subject.denoiser(1), subject.denoiser(1)
        assert len(list(tmp_path.iterdir())) == 1
        y = gt.add_noise(self.x, 0.2)
        assert torch.equal(a(y, 0.2), b(y, 0.2))


class TestRefused:
    def test_a_hypothesis_without_nulls(self):
        with pytest.raises(ValueError, match=r"at least one null model.*for example"):
            claim(nulls=[])

    @pytest.mark.parametrize("criterion", [lambda r: r > 0, 0.5, ">"])
    def test_a_criterion_that_is_none(self, criterion, unchecked):
        with pytest.raises(TypeError, match="fixed beforehand"):
            claim(criterion=criterion)

    def test_a_threshold_that_depends_on_results(self, unchecked):
        estimate = gt.assess(claim(), shrink(0.9), images=X).estimate
        for threshold in (estimate, lambda: 0.1):
            with pytest.raises(TypeError, match="depends on results; write the number down"):
                Criterion(threshold)

    def test_one_seed(self):
        with pytest.raises(ValueError, match="at least 3, got 1: one network says nothing about others"):
            Plan(seeds=1)
        with pytest.raises(ValueError, match="at least 3 that differ in their seeds, got 2"):
            gt.assess(claim(), [shrink(0.9), shrink(0.8)], images=X)
        with pytest.raises(ValueError, match="at least 3 seeds, and it is compared with one denoiser"):
            gt.assess(claim(), PerSeed(lambda seed: shrink(0.9)), shrink(0.8), images=X)

    def test_repetitions_that_are_the_same(self):
        f = shrink(0.9)
        with pytest.raises(ValueError, match="repetitions must be independent"):
            gt.assess(claim(), [f, shrink(0.8), f], images=X)
        net = gt.UNet(2, 1, seed=0)
        with pytest.raises(ValueError, match="repetitions must be independent"):
            gt.assess(claim(), [net, gt.UNet(2, 1, seed=1), gt.UNet(2, 1, seed=0)], images=X)

    def test_a_null_that_is_the_subject(self):
        with pytest.raises(ValueError, match="null 'identity' is the subject: both return the same images"):
            gt.assess(claim(), lambda y, sigma: y, images=X)

    def test_nan(self):
        def undefined(f, images, sigma, seed):
            return torch.tensor([float("nan")] + [0.0] * (len(images) - 1))

        with pytest.raises(ValueError, match=r"returned nan for 1 of 8 images, the first is image 0; make it finite"):
            gt.assess(claim(measure=undefined), shrink(0.9), images=X)

    @pytest.mark.parametrize("measure", [lambda f, x, sigma, seed: 1.0, lambda f, x, sigma, seed: [1.0, 2.0]])
    def test_another_number_of_values(self, measure):
        with pytest.raises(ValueError, match="one number for each of the 8 images"):
            gt.assess(claim(measure=measure), shrink(0.9), images=X)

    def test_a_measure_that_draws(self):
        generator = np.random.default_rng(0)
        with pytest.raises(
            ValueError, match=r"differs by .* between two calls with the same seed; draw its random numbers"
        ):
            gt.assess(claim(measure=lambda f, x, sigma, seed: generator.random(len(x))), shrink(0.9), images=X)

    def test_nulls_none_of_which_can_be_run(self):
        with pytest.raises(ValueError, match=r"no null model could be run: .*give another null"):
            gt.assess(claim(nulls=[LessTrained(), Untrained()]), shrink(0.9), images=X)

    def test_no_images(self):
        with pytest.raises(ValueError, match="no test images: give images="):
            gt.assess(claim(), shrink(0.9))
        with pytest.raises(ValueError, match="give train=images"):
            gt.assess(claim(nulls=[Wiener()]), shrink(0.9), images=X.sample(8))

    def test_a_subject_that_is_none(self):
        with pytest.raises(TypeError, match="the subject must be a denoiser"):
            gt.assess(claim(), 3, images=X)

    def test_given_denoisers_go_by_number(self):
        given = Given([shrink(0.9), shrink(0.8), shrink(0.7)])
        assert [float(given.denoiser(k)(torch.ones(1, 1, 1, 1), 1.0)) for k in range(3)] == pytest.approx(
            [0.9, 0.8, 0.7]
        )
