"""The benchmark: 0 dB for the optimum, the right gap for the identity, and places on a leaderboard."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pytest

from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses import benchmark as module
from gahb_theory.hypotheses.benchmark import LEVELS, benchmark, leaderboard, standard_classes
from gahb_theory.images import GaussianField
from gahb_theory.theory.optimum import bayes_risk


def optimum():
    X = GaussianField(size=16)
    return GaussianDenoiser(X.covariance.mean, X.covariance.matrix()) if hasattr(X.covariance, "matrix") else None


def test_the_identity_has_the_gap_that_its_risk_says():
    result = benchmark({"gaussian": lambda y, sigma: y}, name="identity")
    X = GaussianField(size=16)
    expected = [10 * np.log10(256 * s**2 / bayes_risk(X, s).lower.value) for s in LEVELS]
    np.testing.assert_allclose(result.classes["gaussian"].gap.lower.value, expected, atol=0.2)  # 32 images of noise
    assert result.scores["gaussian"].low <= np.mean(expected) <= result.scores["gaussian"].high
    assert result.total.value == result.scores["gaussian"].value
    assert [row["class"] for row in result.table()] == ["gaussian"] * len(LEVELS)


def test_no_denoiser_is_better_than_the_optimum_of_a_class():
    X = standard_classes()["holder_ball"]
    from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes

    result = benchmark({"holder_ball": HolderBallBayes(X)}, name="optimum")
    assert abs(result.scores["holder_ball"].value) < 0.02


def test_places(monkeypatch):
    table = {"good": {"gaussian": {"value": 1.0}}, "bad": {"gaussian": {"value": 40.0}}, "other": {"disks": {"value": 0.0}}}
    monkeypatch.setattr(module, "leaderboard", lambda: table)
    result = benchmark({"gaussian": lambda y, sigma: y}, name="identity")
    assert result.place() == (2, 3) and "place 2 of 3" in repr(result)


def test_the_committed_leaderboard_is_of_this_version_and_in_order():
    board = leaderboard()
    assert {"identity", "Wiener", "UNet"} <= set(board)
    for scores in board.values():
        assert set(scores) == set(standard_classes())
        assert all(s["low"] <= s["value"] <= s["high"] for s in scores.values())
    means = [np.mean([s["value"] for s in scores.values()]) for scores in board.values()]
    assert means == sorted(means) and min(means) > 0


def test_a_result_is_saved_and_drawn(tmp_path):
    result = benchmark({"gaussian": lambda y, sigma: y / 2}, name="half")
    stored = json.loads(result.save(tmp_path / "half.json").read_text())
    assert stored["name"] == "half" and list(stored["scores"]) == ["gaussian"]
    ax = result.plot()
    assert ax.get_legend_handles_labels()[1] == ["optimum", "gaussian"]
    plt.close(ax.figure)


def test_refusals():
    with pytest.raises(ValueError, match="f must name classes of the benchmark, gaussian, .*; got faces"):
        benchmark({"faces": lambda y, sigma: y})
    with pytest.raises(ValueError, match="got none"):
        benchmark({})
