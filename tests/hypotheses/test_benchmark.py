"""The benchmark: 0 dB for the optimum, the right gap for others, and places on a leaderboard."""

import json
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import cli
from gahb_theory.denoisers.exact.holder_posterior import HolderBallBayes
from gahb_theory.hypotheses import benchmark as module
from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, IMAGES, LEVELS, Entry, leaderboard, standard_classes
from gahb_theory.report.draw_benchmark import draw_leaderboard
from gahb_theory.theory.optimum.dispatch import chained
from gahb_theory.theory.optimum.standard_table import entry_name, stored_table

X = standard_classes()
TABLE = Path(__file__).parents[2] / "experiments" / "results" / "leaderboard.md"


def identity(y, sigma):
    return y


def entry(name, kind="fixed", **scores):
    found = {label: {"value": v, "low": v, "high": v} for label, v in scores.items()}
    return Entry(name, "", kind, float(np.mean(list(scores.values()))), found)


def gaussian_optimum(c):
    return gt.GaussianDenoiser(torch.full((1, 1, 16, 16), c.mean, dtype=torch.float64), c.covariance.matrix()).float()


@pytest.mark.parametrize(
    ("name", "make"),
    [("gaussian", lambda: gaussian_optimum(X["gaussian"])), ("holder_ball", lambda: HolderBallBayes(X["holder_ball"]))],
)
def test_the_optimum_scores_nothing(name, make):
    score = gt.benchmark({name: make()}).scores[name]
    assert abs(score.value) < 1e-3  # f sees float32
    assert score.low - 1e-3 <= 0 <= score.high + 1e-3


def test_the_linear_optimum_is_not_that_of_disks():
    result = gt.benchmark({"disks": gt.GaussianDenoiser.fit(X["disks"].sample(2048, seed=1))})
    gap = result.classes["disks"].gap.lower
    assert (gap.low > 0).all()  # surely worse, at every noise level
    assert (np.diff(gap.value) < 0).all()  # strong noise hides the geometry
    assert 2 < result.scores["disks"].low < result.scores["disks"].high < 5


def test_the_identity_has_the_gap_that_its_risk_says():
    result = gt.benchmark({"gaussian": identity}, name="identity")
    expected = [10 * np.log10(256 * s**2 / gt.bayes_risk(X["gaussian"], s).lower.value) for s in LEVELS]
    np.testing.assert_allclose(result.classes["gaussian"].gap.lower.value, expected, atol=0.4)  # 32 images of noise
    score = result.scores["gaussian"]
    assert score.low <= np.mean(expected) <= score.high
    assert score.value == result.total.value
    assert [row["class"] for row in result.table()] == ["gaussian"] * len(LEVELS)


def test_the_total_is_the_mean_of_the_scores():
    result = gt.benchmark({"gaussian": identity, "disks": identity})
    assert result.total.value == pytest.approx(np.mean([s.value for s in result.scores.values()]))
    assert result.total.low < result.total.value < result.total.high


def test_fresh_images_need_no_table():
    a, b = (gt.benchmark({"gaussian": identity}, seed=seed) for seed in (5, BENCHMARK_SEED))
    assert (a.seed, b.seed) == (5, BENCHMARK_SEED)
    assert 0 < abs(a.total.value - b.total.value) < 1


def test_the_held_out_images_are_those_of_no_training():
    assert gt.Recipe().seed != BENCHMARK_SEED
    for c in X.values():
        held_out = c.sample(4, seed=BENCHMARK_SEED)
        # as they would be, if a seed were cut to 32 bits
        assert all(not torch.equal(held_out, c.sample(4, seed=seed)) for seed in (0, 1, BENCHMARK_SEED % 2**32))


def test_the_bayes_risks_of_the_held_out_images_come_with_the_package():
    for c in X.values():
        for sigma in LEVELS if chained(c) else ():
            assert stored_table()[entry_name(c, sigma, IMAGES, BENCHMARK_SEED)]["table"] == "benchmark"
            b = gt.bayes_risk(c, sigma, IMAGES, seed=BENCHMARK_SEED)
            assert 10 * math.log10(b.upper.value / b.lower.value) < 0.15 and b.width < 0.3


def test_places(monkeypatch):
    table = (
        entry("good", gaussian=1.0),
        entry("bad", gaussian=40.0),
        entry("nothing learned", "null", gaussian=2.0),
        entry("of another class", disks=0.0),
    )
    monkeypatch.setattr(module, "leaderboard", lambda: table)
    result = gt.benchmark({"gaussian": identity}, name="identity")
    assert result.place() == (2, 3) and "place 2 of 3" in repr(result)


def test_the_committed_leaderboard_is_in_order():
    board = leaderboard()
    names = [e.name for e in board]
    assert {"UNet", "conservative", "DiT", "DnCNN", "BF-CNN", "ELS machine", "patch machine", "Wiener"} <= set(names)
    assert {"soft wavelets", "bandlets", "BayesShrink"} <= set(names)
    assert {"cycle spinning", "non-local means", "noisy image", "untrained UNet"} <= set(names)
    for e in board:
        assert set(e.scores) == set(X)
        assert all(s["low"] <= s["value"] <= s["high"] for s in e.scores.values())
        assert e.total == pytest.approx(np.mean([s["value"] for s in e.scores.values()]), abs=1e-3)
    assert [e.total for e in board] == sorted(e.total for e in board)
    # below 0 only by what finite chains leave
    assert min(s["low"] for e in board for s in e.scores.values()) > -0.1


def test_a_line_of_the_leaderboard_is_measured_again():
    stored = next(e for e in leaderboard() if e.name == "noisy image")
    result = gt.benchmark(identity)
    for label, score in result.scores.items():
        assert stored.scores[label]["value"] == pytest.approx(score.value, abs=2e-3)


def test_the_table_of_the_documentation_is_the_leaderboard():
    table = TABLE.read_text()
    for e in leaderboard():
        numbers = " | ".join(f"{e.scores[label]['value']:.2f}" for label in X)
        assert f"| {e.name} | {e.what} | {e.total:.2f} | {numbers} |\n" in table


def test_a_result_is_saved_and_drawn(tmp_path):
    result = gt.benchmark({"gaussian": lambda y, sigma: y / 2}, name="half")
    stored = json.loads(result.save(tmp_path / "half.json").read_text())
    assert stored["name"] == "half" and list(stored["scores"]) == ["gaussian"]
    ax = result.plot()
    assert set(ax.get_legend_handles_labels()[1]) == {"optimum", "gaussian"}
    plt.close(ax.figure)


def test_the_leaderboard_is_drawn_with_its_nulls_in_grey():
    ax = draw_leaderboard((entry("good", gaussian=1.0, disks=2.0), entry("identity", "null", gaussian=9.0, disks=9.0)))
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["good", "identity"]
    assert [tick.get_color() for tick in ax.get_yticklabels()] == ["black", "#7F7F7F"]
    plt.close(ax.figure)


def test_the_command(tmp_path, capsys):
    cli.main(["benchmark", "c_alpha", "--classes", "gaussian", "disks", "--run", str(tmp_path / "run")])
    out = capsys.readouterr().out
    assert "c_alpha:" in out and "dB above the optimum; place" in out and "report.html" in out
    stored = json.loads((tmp_path / "run" / "benchmark.json").read_text())
    assert set(stored["scores"]) == {"gaussian", "disks"} and stored["seed"] == BENCHMARK_SEED
    assert "Leaderboard" in (tmp_path / "run" / "report.html").read_text()


def test_two_checkpoints_of_one_name_are_two_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("a", 0), ("b", 1), ("b", 1)):
        gt.save_denoiser(gt.UNet(4, 1, seed=seed).eval(), f"{folder}/mine")
        cli.main(["benchmark", f"{folder}/mine", "--classes", "gaussian"])
    found = sorted(path.parent.name for path in tmp_path.glob("runs/*/benchmark.json"))
    assert len(found) == 2 and all(name.startswith("benchmark-mine-classes-gaussian") for name in found)


def test_refusals():
    with pytest.raises(ValueError, match=r"f must name classes of the benchmark, gaussian, .*; got faces"):
        gt.benchmark({"faces": identity})
    with pytest.raises(ValueError, match="got none"):
        gt.benchmark({})
    with pytest.raises(RuntimeError, match="train mode"):
        gt.benchmark(gt.UNet(2, 1).train())
    with pytest.raises(TypeError, match="must be a denoiser"):
        gt.benchmark({"disks": 3}, seed=1)
    draws = torch.Generator().manual_seed(0)
    with pytest.raises(RuntimeError, match="draws at random"):
        gt.benchmark({"disks": lambda y, s: y + 0.01 * torch.randn(y.shape, generator=draws)})
