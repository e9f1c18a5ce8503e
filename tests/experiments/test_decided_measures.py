"""Measures of the decided claims whose answer is known: limits over budgets, contours, what a linear filter leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses import BeatsSimple, Criterion, Hypothesis, Identity, Plan
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.gates import Measured
from gahb_theory.hypotheses.linear_null import filter_agreement
from gahb_theory.hypotheses.paper import questions_budget, questions_plane
from gahb_theory.hypotheses.paper.budget_limit import limit_values, limits
from gahb_theory.hypotheses.paper.contour_share import ContourShare, gradients
from gahb_theory.hypotheses.paper.judged_measures import Spectra
from gahb_theory.hypotheses.paper.questions_function import _cosine
from gahb_theory.hypotheses.paper.questions_samples import beyond_filter
from gahb_theory.hypotheses.subjects import Given, Setting
from gahb_theory.metrics.intervals import Estimate

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
BUDGETS = np.array([8.0, 32.0, 64.0, 128.0, 256.0])


def test_limit_of_a_power_is_its_constant():
    """Whatever the power and the seeds; a measure that does not change has itself as limit."""
    for p in (0.4, 1.0, 1.7):
        found = limits(np.stack([c + a * BUDGETS**-p for c, a in ((0, 5), (3, 40), (-1, -2))], axis=1), BUDGETS)
        assert found == pytest.approx([0, 3, -1], abs=0.05)
    assert limits(np.full((5, 2), 7.0), BUDGETS) == pytest.approx(7)


def test_interval_of_a_limit_holds_it():
    """With noise of seeds and images the interval holds the limit, and a limit of 0 is not above a threshold far from it."""
    generator = np.random.default_rng(1)
    noise = generator.normal(size=(5, 3, 16)) + generator.normal(size=(1, 1, 16))
    e, _ = two_level(limit_values(2 + 30 * (BUDGETS / 8)[:, None, None] ** -0.5 + noise, BUDGETS))
    assert e.low < 2 < e.high < 20


def test_limit_waits_for_the_largest_budget():
    """Where the largest budget moves the limit by more than its interval, the gate is not passed."""
    steady = 5 + np.linspace(0, 0.1, 48).reshape(1, 3, 16) + np.zeros((5, 1, 1))
    moved = steady.copy()
    moved[-1] -= 4
    e = Estimate(5.0, 4.5, 5.5, 0.25, 0.95, "given")
    for table, passed in ((steady, True), (moved, False)):
        assert questions_budget._gate(table, [int(b) for b in BUDGETS], e).passed is passed


def test_intermediate_directions_at_the_own_contour():
    """Above .3 for a denoiser that halves what lies at the contour and removes the rest; 0 for one basis for all images."""
    x = gt.Disks(size=16).sample(8, seed=3)
    slopes = gradients(x)
    edges = slopes > 0.5 * slopes.amax(dim=1, keepdim=True)

    class Shrinks(torch.nn.Module):
        def __init__(self, masks):
            super().__init__()
            self.masks = masks

        def jacobian_matrix(self, y, sigma):
            distance = (y.flatten(1) - x.flatten(1)).square().sum(dim=1)
            return torch.diag(torch.where(self.masks[int(distance.argmin())], 0.5, 0.0))

    own = ContourShare(Spectra())(Shrinks(edges), x, 0.01, 0)
    assert float(own.mean()) > 0.3
    assert float(own.min()) > 0.02
    assert ContourShare(Spectra())(Shrinks(edges[:1].expand(8, -1)), x, 0.01, 0).abs().max() < 1e-9
    assert ContourShare(Spectra())(Shrinks(torch.zeros_like(edges)), x, 0.01, 0).abs().max() < 1e-9


def test_what_a_filter_leaves_of_two_samples():
    """Two samples that differ from those of the filter by independent noise have nothing in common beyond it."""
    generator = np.random.default_rng(0)
    c, a, b, shared = generator.normal(size=(4, 200, 1, 16, 16))
    common = beyond_filter(c + a, c + b, c, c)
    assert abs(float(common.mean())) < 0.02
    assert float(beyond_filter(c + shared + 0.1 * a, c + shared + 0.1 * b, c, c).mean()) > 0.95
    assert float(np.mean((c + a) * (c + b)) / np.mean((c + a) ** 2)) == pytest.approx(0.5, abs=0.05)


def test_wiener_filters_beyond_others_are_as_theory_says():
    """The cosine of what two filters of disjoint sets do beyond two others is that of the linear null."""
    X = gt.images.GaussianField(size=8)
    spectrum = torch.linalg.eigvalsh(X.covariance.matrix().double())
    fits = [GaussianDenoiser.fit(X.sample(n, seed=10 + i)) for i, n in enumerate((256, 256, 2048, 2048))]
    found = _cosine([(fits[0], fits[2]), (fits[1], fits[3])], X.sample(400, seed=5), 0.2)
    assert float(found.mean()) == pytest.approx(filter_agreement(spectrum, 256, 2048, 0.2), abs=0.08)


def test_gate_looks_at_its_images():
    """A denoiser that is the identity on the test images and good elsewhere passes where the gate looks elsewhere."""
    many = gt.Disks(size=16).sample(64, seed=1)

    def f(y, sigma):
        return y if len(y) == 4 else y.mean(dim=(2, 3), keepdim=True).expand_as(y)

    def error(g, images, sigma, seed):
        return torch.zeros(len(images))

    h = Hypothesis("h", error, Criterion(0.5), nulls=[Identity()], plan=Plan(images=4, sigmas=(1.0,)))
    setting = Setting(Given([f], "f"), f, 0, many[:4], None)
    run = Measured(h, (setting,), (), np.zeros((1, 4)), Estimate(0.0, 0.0, 0.0, 0.0, 0.95, "given"))
    assert not BeatsSimple("b", (Identity(),)).check(run).passed
    assert BeatsSimple("b", (Identity(),), many).check(run).passed


def test_linear_null_of_generalisation():
    """A Wiener filter has a small gap as well, so that a gap alone tells nothing; where it is better, nothing is decided."""
    rows = questions_plane.rows(RESULTS)
    theory = "Wiener filters of as many images, by theory"
    assert rows["gap, N = 10,000"]["nulls"][theory][0] == "yes"
    assert rows["gap, N = 10,000"]["verdict"] == "not discriminating"
    row = rows["generalise, N = 10,000"]
    assert row["verdict"] == "not converged"
    assert row["gates"]["beats the Wiener filter on fresh images"][1].endswith("at sigma = 0.5")
    assert {passes[0] for passes in row["nulls"].values()} == {"no"}
    (name,) = rows["gap, N = 100"]["reference"]
    assert 1 < rows["gap, N = 100"]["reference"][name] < rows["gap, N = 100"]["estimate"][0]
