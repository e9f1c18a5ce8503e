"""Contours of other roughness than the background: images differ in their contours alone, and measures have known values."""

import numpy as np
import pytest
import torch

from gahb_theory import runs
from gahb_theory.hypotheses.paper import questions_contours as q
from gahb_theory.hypotheses.paper.judged_measures import AboveOptimum
from gahb_theory.hypotheses.paper.judged_networks import CONTOURS, SMOOTH, Settings
from gahb_theory.hypotheses.paper.questions_training import near_contours
from gahb_theory.images import CAlpha
from gahb_theory.randomness import add_noise
from gahb_theory.report import draw_claims
from gahb_theory.theory.optimum import bayes_risk
from gahb_theory.theory.optimum.enclosure import Enclosed, enclosure

COUNT = 4


def class_of(alpha):
    return Settings().images(f"contour_{alpha:g}")


@pytest.fixture
def measures():
    """Bayes intervals whose posterior mean is .1 off everywhere, without chains."""
    found = {}
    for alpha in (CONTOURS[0], CONTOURS[-1]):
        X = class_of(alpha)
        x = X.sample(COUNT, seed=0, dtype=torch.float64)
        zero = torch.zeros(COUNT, dtype=torch.float64)
        bayes = {}
        for sigma in q.LEVELS:
            known = Enclosed(add_noise(x, sigma, seed=0), x + 0.1, zero, zero + 2.5, zero + 2.6)
            bayes[sigma] = enclosure(known, sigma, "given", {}, exact=False)
        found[alpha] = AboveOptimum(X, COUNT, found=bayes)
    return found


def test_classes_differ_in_their_contours_alone():
    """Backgrounds are the same and regular; contours are not, and the rougher one bends more."""
    scenes = [class_of(alpha).scene(COUNT, seed=0) for alpha in CONTOURS]
    assert {class_of(alpha).beta for alpha in CONTOURS} == {SMOOTH}
    assert all(torch.equal(scenes[0].backgrounds, other.backgrounds) for other in scenes[1:])
    steps = [float(s.contour.diff(n=2).square().mean()) for s in scenes]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] > 2 * steps[-1]


def test_masks_are_those_of_the_images_of_a_bayes_interval():
    """They lie at the jumps of the clean images behind the noisy ones of the table, of which single precision draws others."""
    X = CAlpha(alpha=2.0, size=16)
    known = bayes_risk(X, 0.1, 32, seed=0)._known()
    mask = near_contours(X, 32, 1)[:, :, :-1]
    jumps = X.sample(32, seed=0, dtype=torch.float64).diff(dim=2).abs()
    assert float((known.noisy - X.sample(32, seed=0, dtype=torch.float64)).std()) == pytest.approx(0.1, rel=0.03)
    assert float(jumps[mask].mean()) > 3 * float(jumps[~mask].mean())
    assert float(mask.double().mean()) < 0.4


def test_roughness_counts_what_is_added_at_contours(measures):
    """Twice the error near rough contours is 6.02 dB, twice the error everywhere none; a Wiener-like constant error has 0."""

    def model(alpha, near, away):
        X = measures[alpha].X
        mask = near_contours(X, COUNT, q.DISTANCE)
        clean = X.sample(COUNT, seed=0, dtype=torch.float64)
        return lambda y, sigma: clean + torch.where(mask, near, away)

    rough, regular = measures
    at = q.contrast({rough: model(rough, 0.2, 0.1), regular: model(regular, 0.1, 0.1)}, measures)
    everywhere = q.contrast({rough: model(rough, 0.2, 0.2), regular: model(regular, 0.1, 0.1)}, measures)
    assert at == pytest.approx(20 * np.log10(2))
    assert everywhere == pytest.approx(0)
    unchanged = q.contrast(dict.fromkeys(measures, lambda y, sigma: y), measures)
    assert abs(unchanged.mean()) < 0.5  # the noise is as large at contours as elsewhere


def test_excess_near_contours(measures):
    """0 for the posterior mean; a quarter of the optimum's error where f is half of its deviation away, whatever is far off."""
    measure = measures[CONTOURS[0]]
    X, centre = measure.X, measure.bayes(0.1)._known().centre
    mask = near_contours(X, COUNT, q.DISTANCE)
    excess = q.ContourExcess(measure)
    x = X.sample(COUNT, seed=0)
    assert float(excess(lambda y, s: centre, x, 0.1, 0).abs().max()) == 0
    away = torch.where(mask, 0.05, 7.0)
    assert excess(lambda y, s: centre + away, x, 0.1, 0).numpy() == pytest.approx(0.25)


def test_figure_of_roughness(tmp_path):
    """A panel for each level and place, of one height, null models in grey; nothing is drawn without the row."""
    errors = {f"{a:g}": [[[0.01, 0.001]] * 2] for a in CONTOURS}
    names = ("networks", "exact optimum", "Wiener filter")
    reference = {"levels": list(q.LEVELS), "mean squared error near and away": dict.fromkeys(names, errors)}
    assert draw_claims._contours({}, tmp_path) is None
    figure = draw_claims._contours({"roughness of contours": {"reference": reference}}, tmp_path)
    assert len(figure.axes) == 2 * len(q.LEVELS)
    assert len({ax.get_ylim() for ax in figure.axes}) == 1
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx(20)
    assert figure.axes[1].lines[0].get_ydata() == pytest.approx(30)


def test_verdicts_are_about_what_was_measured():
    """Each row names the figure, both noise levels, its null models, and how far the optimum itself goes."""
    from tests.experiments.test_decided import RESULTS

    rows = runs.read_json(RESULTS / "claims" / "verdicts.json")
    row = rows["roughness of contours"]
    assert row["figures"] == "17"
    assert set(row["nulls"]) == {"linear Wiener filter", "untrained network"}
    errors = row["reference"]["mean squared error near and away"]
    assert set(errors["networks"]) == {f"{a:g}" for a in CONTOURS}
    near, away = (np.array([e[k] for e in errors["exact optimum"]["1.5"][0]]) for k in (0, 1))
    assert (near > away).all()
