"""Measures, gates, verdicts and pages of the decided claims: right values, and models that must fail do."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import runs
from gahb_theory.bases import DCT, Wavelet
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.hypotheses import Criterion, Hypothesis, Identity, Laboratory, Plan
from gahb_theory.hypotheses.crossed import confidence_of, two_level
from gahb_theory.hypotheses.gates import BeatsSimple, Measured
from gahb_theory.hypotheses.paper import (
    judged_measures,
    questions_manifolds,
    questions_optimum,
    questions_plane,
    workshop,
)
from gahb_theory.hypotheses.paper.judged_atoms import BestOf, posterior_matrices
from gahb_theory.hypotheses.paper.judged_measures import (
    AboveOptimum,
    BetweenCount,
    LargestAngle,
    OverlapOfOwn,
    OwnGeometry,
    SlopeApart,
    Spectra,
    jackknife,
    own_energy,
    own_less_expected,
)
from gahb_theory.hypotheses.paper.judged_networks import FIRST_SEED, MANY_SEEDS, Judged, Settings, plan
from gahb_theory.hypotheses.paper.workshop import (
    NotTrained,
    Question,
    TwiceTrained,
    Workshop,
    decide_all,
    doubling,
    row_of_values,
)
from gahb_theory.hypotheses.publishing import publish
from gahb_theory.hypotheses.subjects import Given, Setting
from gahb_theory.images import GaussianField, Shuffled, SineCone
from gahb_theory.report import draw_claims, verdict_page
from gahb_theory.theory.optimum.enclosure import Enclosed, enclosure
from gahb_theory.training import Recipe

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
TINY = Settings(
    networks={"plain": (4, 1), "small": (4, 1), "conservative": (4, 1), "bfcnn": (4, 3)},
    recipe=Recipe(images_seen=64, batch_size=16, sigma_max=3.0),
    snapshots=(32,),
)


def test_slope_of_a_power():
    """The slope of sigma^(2 s) is s for each image alike, and the mean of the jackknife values is that of the mean risk."""
    window = (0.1, 0.2, 0.4)
    risks = np.array(window)[:, None] ** 1.2 * np.array([1.0, 2.0, 5.0])
    assert jackknife(risks, window) == pytest.approx(0.6)
    mixed = np.stack([np.array(window) ** 2, np.array(window)], axis=1)
    x, y = np.log(window), np.log(mixed.mean(axis=1))
    assert jackknife(np.repeat(mixed, 500, axis=1), window).mean() == pytest.approx(
        np.polyfit(x, y, 1)[0] / 2, abs=1e-4
    )


def test_a_verdict_against_the_optimum_is_of_its_bayes_intervals():
    """More steps of chains give other intervals, and another verdict; a slope looks at all levels of its window."""

    def interval(*lower):
        x, ends = torch.zeros(2, 1, 16, 16), (torch.tensor(end, dtype=torch.float64) for end in (lower, (0.2, 0.3)))
        known = Enclosed(x, x, torch.zeros(2), *ends)
        return enclosure(known, 0.1, "given", {}, exact=False)

    measure = AboveOptimum(gt.CAlpha(alpha=2.0, size=16))
    measure.found.update({0.1: interval(0.1, 0.2), 0.2: interval(0.1, 0.2)})

    def contents():
        return [
            workshop._content(
                Hypothesis("it is near", m, Criterion(0.3, "<"), nulls=[Identity()], plan=Plan(sigmas=(sigma,))),
                ["key"],
            )
            for m in (measure, SlopeApart(measure, (0.1, 0.2)))
            for sigma in (0.1, 0.2)
        ]

    before = contents()
    assert contents() == before
    measure.found[0.1] = interval(0.1, 0.25)
    assert [a == b for a, b in zip(contents(), before, strict=True)] == [False, True, False, False]


def test_a_verdict_is_of_its_gates_and_null_models():
    """Other gates, images or levels of a gate, and other networks behind a null model make it another verdict."""

    def content(*gates, keys=("key",), count=None):
        return workshop._content(Hypothesis("h", own_energy, Criterion(0.3), [Identity()], gates), keys, count)

    x = torch.zeros(4, 1, 4, 4)
    gates = [
        (),
        (BeatsSimple(),),
        (BeatsSimple(images=x),),
        (BeatsSimple(images=x + 1),),
        (BeatsSimple(sigmas=(0.1,)),),
    ]
    found = [content(*each) for each in gates] + [content(count=27), content(keys=("key", "network of 2,000 images"))]
    assert len(set(found)) == len(found)
    assert content(BeatsSimple(images=x)) == found[2]


def test_excess_over_the_optimum():
    """0 for the optimum, exact for another gain; and the slope beyond is 0 for the optimum alone."""
    X = GaussianField(size=16)
    measure, window = AboveOptimum(X, 64), (0.1, 0.2)
    best = GaussianDenoiser(torch.full((1, 1, 16, 16), X.mean), X.covariance.matrix().float())

    def nothing(y, sigma):
        return y

    assert float(measure(best, X.sample(2), 0.1, 0).abs().max()) < 1e-3
    exact = 256 * 0.01 / float(measure.bayes(0.1).upper.value) - 1
    assert float(measure(nothing, X.sample(2), 0.1, 0).mean()) == pytest.approx(exact, rel=0.1)
    slope = SlopeApart(measure, window)
    assert float(slope(best, X.sample(2), 0.1, 0).mean()) == pytest.approx(0, abs=1e-3)
    assert float(slope(nothing, X.sample(2), 0.1, 0).mean()) > 0.2  # the identity has slope 1


def test_what_is_additive_is_not_adapted():
    """Own less foreign is 0 for a table a_i + b_j, and the jump on the diagonal otherwise."""
    a, b = torch.rand(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a = a[:, None]
    assert own_less_expected(a + b).abs().max() < 1e-12
    assert own_less_expected(a + b + 0.3 * torch.eye(6)).numpy() == pytest.approx(0.3)


def test_one_basis_for_all_images_has_no_own_geometry():
    """A Wiener filter has 0; bases of the images themselves have not, and neither have their best wavelets."""
    X = gt.CAlpha(alpha=2.0, size=16)
    x, spectra = X.sample(5, seed=3), Spectra()
    f = GaussianDenoiser.fit(X.sample(600, seed=4))
    assert OwnGeometry(spectra)(f, x, 0.1, 0).abs().max() < 1e-6
    assert OverlapOfOwn(BestOf(Wavelet("sym4")), spectra, 8)(f, x, 0.1, 0).abs().max() < 0.2
    assert OverlapOfOwn(lambda y, s, r: spectra.at(f, y, s)[1][:, :r], spectra, 8)(f, x, 0.1, 0).abs().max() < 1e-6
    z = torch.rand(5, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    own = torch.zeros(5, 8, 256)
    own[:, 0] = torch.nn.functional.normalize((z - z.mean((1, 2, 3), keepdim=True)).flatten(1), dim=1)
    assert float(own_energy(z, own).min()) > 0.9
    same = DCT().analysis(torch.eye(256).reshape(256, 1, 16, 16)).T
    assert own_energy(x, same.expand(5, -1, -1)).abs().max() < 1e-6


def test_spectra_are_kept(tmp_path, monkeypatch):
    """A network's eigenvectors are computed once, and read from the folder by another process."""
    f, x = gt.UNet(4, 1).eval(), gt.Disks(size=16).sample(2)
    first = Spectra(folder=tmp_path).at(f, x, 0.1)
    monkeypatch.setattr(judged_measures, "jacobian", None)
    again = Spectra(folder=tmp_path).at(f, x, 0.1)
    assert torch.equal(first[0], again[0])
    assert float((first[1] - again[1]).abs().max()) < 1e-3


def test_tangent_space_of_a_cone():
    """The optimum has the tangent space and no extra directions; a Wiener filter of another class has neither."""
    X = SineCone(16)
    scene = X.scene(4, seed=9)
    angle = LargestAngle(lambda images: scene.tangent)
    extra = BetweenCount(optimum=ConeBayes(X))
    wiener = GaussianDenoiser.fit(gt.CAlpha(alpha=2.0, size=16).sample(600))
    assert float(angle(ConeBayes(X), scene.images, 0.02, 0).max()) < 15
    assert float(angle(wiener, scene.images, 0.02, 0).min()) > 20
    assert extra(ConeBayes(X), scene.images, 0.02, 0).tolist() == [0.0] * 4
    assert float(extra(wiener, scene.images, 0.02, 0).min()) > 10


def test_posterior_at_many_images():
    """The trace of the posterior covariance is the Bayes risk of the table; matrices are symmetric and positive."""
    X = gt.CAlpha(alpha=2.0, size=16)
    known = gt.bayes_risk(X, 0.3, 32, seed=0)
    with torch.no_grad():
        J = posterior_matrices(X, known.images.noisy[:4].float(), 0.3, steps=200, chains=4)
    assert float((J - J.mT).abs().max()) < 1e-8
    assert float(torch.linalg.eigvalsh(J).min()) > -1e-8
    traces = J.diagonal(dim1=1, dim2=2).sum(dim=1) * 0.09
    assert float(traces.mean()) == pytest.approx(float(known.images.upper[:4].mean()), rel=0.25)


def test_shuffled_network_is_judged_on_the_images_before():
    """P' f(P y) of the shuffled optimum is the optimum."""
    X = GaussianField(size=16)
    P, y = Shuffled(X), X.sample(3)
    f = questions_optimum.Unshuffled(lambda z, sigma: z.cumsum(dim=3), P)
    assert torch.allclose(P.shuffle(f(y, 0.1)), P.shuffle(y).cumsum(dim=3))


def test_plan_of_the_networks():
    """Each network once, none with the seed of test images; a seed has weights, noise and images of its own."""
    found = plan(Settings())
    assert len({t.key for t in found}) == len(found) == len({t.name for t in found})
    judged = [t for t in found if t.recipe.images_seen >= Settings().recipe.images_seen]
    twice = {
        FIRST_SEED + k for k in range(6)
    }  # pairs of networks on disjoint sets, and a gain that three seeds do not tell
    assert {t.recipe.seed for t in judged} == twice
    more = {t.name[:-2] for t in judged if t.recipe.seed >= FIRST_SEED + 3}
    assert more == {"plain_c_alpha_2_x4", *Settings().more_seeds}
    assert {t.recipe.seed for t in found} == {FIRST_SEED + k for k in range(3 * MANY_SEEDS)}
    assert all(t.network.keywords["seed"] == t.recipe.seed for t in found)
    assert {t.recipe.sigma_max for t in found} == {3.0}


def _question(calls):
    def make(w):
        judged, X = Judged("plain", "disks"), gt.Disks(size=16)

        def error(f, images, sigma, seed):
            calls.append(seed)
            y = gt.add_noise(images, sigma, seed=seed)
            return gt.mse(images, f(y, sigma)).detach() / sigma**2

        h = Hypothesis("It denoises.", error, Criterion(0.9, "<"), nulls=[Identity()], gates=[w.twice(judged)],
                       plan=Plan(images=4, sigmas=(0.5,)))  # fmt: skip
        return h, w.given(judged), None, X.sample(4, seed=1), X.sample(32, seed=2)

    return Question("denoises", "5", (Judged("plain", "disks"), Judged("plain", "disks", 2)), make)


def test_question_waits_for_its_networks_and_is_decided_once(tmp_path, capsys):
    """Without networks it is left for later; with them it is decided, kept, and not computed again."""
    calls, file = [], tmp_path / "verdicts.json"
    laboratory = Laboratory(tmp_path / "runs")
    question = _question(calls)
    assert decide_all([question], Workshop(laboratory, TINY), file) == {}
    assert "later" in capsys.readouterr().out
    for budget in (1, 2):
        laboratory.train(Judged("plain", "disks", budget).trainings(TINY, None if budget == 1 else [0]))
    rows = decide_all([question], Workshop(laboratory, TINY), file)
    assert rows["denoises"]["seeds"] == 3
    assert rows["denoises"]["gates"]["twice the budget changes nothing"][0] in (True, False)
    assert rows["denoises"]["nulls"]["identity"][1] == pytest.approx(256, rel=0.2)
    count = len(calls)
    assert decide_all([question], Workshop(laboratory, TINY), file) == rows
    assert len(calls) == count


def test_longest_training_of_the_plan_is_judged(tmp_path):
    """Whatever has been trained so far: a question waits, so that shorter training takes no verdict's place."""
    laboratory = Laboratory(tmp_path)
    w = Workshop(laboratory, TINY)
    for budget in (1, 2):
        laboratory.train(Judged("plain", "disks", budget).trainings(TINY))
    assert [j.budget for j in doubling(w.longest("plain", "disks"))] == [8, 16]
    assert w.longest("plain", "shuffled").budget == 1  # one seed alone has twice as much
    assert w.longest("plain", "c_alpha_9") == Judged("plain", "c_alpha_9")
    assert [j.budget for j in doubling(Judged("plain", "disks"))] == [1, 2]
    with pytest.raises(NotTrained):
        w.networks(w.longest("plain", "disks"))


def test_published_networks_serve_without_snapshots(tmp_path):
    """They are kept as they are at the end; whoever needs them earlier finds none."""
    laboratory, settings = Laboratory(tmp_path / "runs"), replace(TINY, snapshots=(16,))
    (training,) = Judged("plain", "disks").trainings(settings, [0])
    laboratory.train([training])
    publish(laboratory, training, tmp_path / "shelf")
    w = Workshop(Laboratory(tmp_path / "elsewhere", (tmp_path / "shelf",)), settings)
    assert len(w.networks(Judged("plain", "disks"), [0])) == 1
    with pytest.raises(NotTrained):
        w.networks(Judged("plain", "disks"), [0], images_seen=16)


def test_seeds_that_were_added_make_a_second_look():
    """Their intervals have confidence .975, so that both looks together miss as rarely as one."""
    s = Settings()
    assert Judged("conservative", "c_alpha_2", 4).looks(s) == 2
    assert Judged("plain", "c_alpha_2", 4).looks(s) == 1
    generator = np.random.default_rng(3)
    values = generator.standard_normal((6, 16))
    once, twice = (row_of_values("s", values, Criterion(9.0), {}, looks=k) for k in (1, 2))
    assert (once["confidence"], twice["confidence"]) == (0.95, 0.975)
    assert twice["estimate"][1] < once["estimate"][1] < once["estimate"][2] < twice["estimate"][2]


def test_gate_sees_a_measure_that_still_changes():
    """A measure that doubling changes by more than its interval is not converged."""

    h = Hypothesis("h", lambda f, x, s, seed: torch.full((4,), f), Criterion(0.0), nulls=[Identity()],
                   plan=Plan(images=4, sigmas=(0.1,)))  # fmt: skip
    f, x = torch.zeros_like, torch.zeros(4, 1, 4, 4)
    setting = Setting(Given([f], "zero"), f, 0, x, None)

    def between(low, high, confidence=0.95):
        """Values at four images whose interval of one look has these ends."""
        values = np.array([[-1.0, 1.0, -1.0, 1.0]])
        values = (low + high) / 2 + values * (high - low) / 2 / float(two_level(values)[0].high)
        return Measured(h, (setting,), (), values, two_level(values, confidence)[0])

    run = between(-0.1, 0.9)
    assert TwiceTrained(((1.0, 1.4),)).check(run).passed
    assert (
        not TwiceTrained(((1.0, 1.6),)).check(between(-0.1, 0.9, confidence_of(2))).passed
    )  # no easier at a second look
    assert not TwiceTrained(((1.0, 1.6),)).check(run).passed
    assert TwiceTrained(((1.0, 1.6), (2.0, 2.5))).check(run).passed  # the difference of both changes by .1
    for low, high, change, passed in ((0.2, 0.4, 0.5, True), (0.2, 0.4, -0.5, False), (-0.4, -0.2, -0.5, True),
                                      (-0.4, -0.2, 0.5, False), (-0.1, 0.1, 0.5, False)):  # fmt: skip
        assert TwiceTrained(((0.0, change),)).check(between(low, high)).passed is passed, (low, change)


def test_null_that_passes_is_not_hidden():
    """Values of a null beyond the threshold make the verdict not discriminating."""
    values, generator = np.full((3, 8), 1.0), np.random.default_rng(0)
    values = values + 0.01 * generator.normal(size=values.shape)
    good = row_of_values("s", values, Criterion(0.5, ">"), {"zero": 0 * values})
    bad = row_of_values("s", values, Criterion(0.5, ">"), {"zero": 0 * values, "same": values})
    assert (good["verdict"], bad["verdict"]) == ("supported", "not discriminating")


def test_plane_in_five_verdicts():
    """The committed plane: memorised at N = 100, not at 10,000; the distance of functions also holds for Wiener filters."""
    rows = questions_plane.rows(RESULTS)
    assert rows["gap, N = 100"]["verdict"] == "supported"
    assert rows["gap, N = 10,000"]["estimate"][2] < 1
    assert rows["same function"]["verdict"] == "not discriminating"


def test_page_of_verdicts(tmp_path):
    """Failures come first, excesses are in decibels, every figure has its line, and a marked page gets the table."""
    good = row_of_values(
        "Good.", np.full((3, 4), 0.2589), Criterion(0.1, ">"), {"none": np.zeros((3, 4))}, unit="of the Bayes risk"
    )
    bad = replace_row(good, verdict="refuted", statement="Bad.")
    rows = {"a": good | {"figures": "4"}, "b": bad | {"figures": "4, 21"}}
    table = verdict_page.table(rows)
    assert table.index("Bad.") < table.index("Good.")
    assert "+1.00 [1.00, 1.00] dB" in table
    text = verdict_page.coverage(rows, {"15": "It takes a day."})
    assert len(text.splitlines()) == 2 + 21
    assert "| 21 | shuffled pixels | b: **refuted** |" in text
    assert "It takes a day." in text
    page = tmp_path / "README.md"
    page.write_text(f"before\n{verdict_page.START}\nold\n{verdict_page.END}\nafter\n")
    assert verdict_page.into(page, rows)
    assert "old" not in page.read_text()
    assert "Bad." in page.read_text()
    assert page.read_text().endswith("after\n")
    page.write_text("no marks")
    assert not verdict_page.into(page, rows)


def replace_row(row, **changes):
    return {**row, **changes}


def test_committed_verdicts_are_drawn(tmp_path):
    """All that is kept is drawn, from the numbers alone."""
    rows = runs.read_json(RESULTS / "claims" / "verdicts.json")
    assert {row["verdict"] for row in rows.values()} <= set(verdict_page.ORDER)
    for row in rows.values():
        assert row["nulls"], row["statement"]
        assert row["figures"]
    found = draw_claims.draw({k: r for k, r in rows.items() if k.startswith(("near", "slope"))}, tmp_path)
    assert "optimum.png" in found
    assert (tmp_path / "optimum.png").stat().st_size > 10_000


def test_manifold_images_are_those_of_the_tangents():
    """Other images are refused."""
    with pytest.raises(ValueError, match="test images"):
        questions_manifolds._tangents(SineCone(16), SineCone(16).sample(16))
