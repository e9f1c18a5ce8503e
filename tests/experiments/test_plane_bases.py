"""What networks of the plane share of their eigenvectors: planted bases, pairs, gates, and verdicts."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses.paper import plane_bases, questions_bases, questions_plane
from gahb_theory.hypotheses.paper.memorisation_plane import SCALES, Settings
from gahb_theory.hypotheses.paper.plane_bases import first_vectors, shared, shared_by_repetition
from gahb_theory.hypotheses.paper.questions_plane import beats_filter, last_doubling

RESULTS = Path(__file__).parents[2] / "experiments" / "results"
FEW = Settings(test_images=8)


def orthonormal(seed, images=6, rank=4, d=32):
    """Vectors of their own for each image."""
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(images, d, rank, generator=generator)).Q.mT


def test_bases_of_their_own_share_all_and_one_basis_for_all_images_nothing():
    U = orthonormal(0)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1))).Q
    assert shared(U, rotation @ U) == pytest.approx(
        1, abs=0.15
    )  # other images share 4 / 32 by chance, which is taken away
    assert shared(U, orthonormal(2)) == pytest.approx(0, abs=0.1)
    one = U[:1].expand(6, -1, -1)
    assert shared(one, one) == pytest.approx(0, abs=1e-6)
    assert shared(one, orthonormal(3)[:1].expand(6, -1, -1)) == pytest.approx(0, abs=1e-6)


def test_wiener_filters_share_nothing():
    """However near their bases are: they do not depend on the image."""
    filters = [GaussianDenoiser.fit(FEW.part(1000, half).images()) for half in "AB"]
    assert abs(shared(*(first_vectors(f, FEW) for f in filters))) < 1e-6


def test_pairs_of_a_set_and_of_disjoint_sets():
    """Networks that know their set: those of the same set share all, those of disjoint sets nothing."""
    vectors = {(half, r): orthonormal("AB".index(half)) for half in "AB" for r in range(3)}
    found = shared_by_repetition(vectors, range(3))
    assert found["same"] == pytest.approx([shared(orthonormal(0), orthonormal(0))] * 3, abs=0.1)
    assert max(map(abs, found["disjoint"])) < 0.1
    alike = shared_by_repetition(dict.fromkeys(vectors, orthonormal(5)), range(3))
    assert alike["same"] == pytest.approx(alike["disjoint"])


def test_planes_whose_networks_are_not_all_measured_are_left_out():
    assert plane_bases.collect(SCALES["smoke"], {}) == {}
    assert len(plane_bases.tasks(SCALES["smoke"])) == 8


def rows(tmp_path, at_end):
    """Verdicts of a plane that shares so much, by N, on disjoint sets and on the same set."""
    numbers = json.loads((RESULTS / "memorisation_plane" / "results.json").read_text())
    for row in numbers["rows"]:
        for kind, value in zip(("disjoint", "same"), at_end[row["n"]], strict=True):
            row[f"shared_{kind}"] = [[value + 0.001 * r] * len(numbers["snapshots"]) for r in range(3)]
    (tmp_path / "plane_of_disks").mkdir()
    (tmp_path / "plane_of_disks" / "results.json").write_text(json.dumps(numbers))
    return questions_bases.rows(tmp_path, tmp_path)["shared eigenvectors, disks"]


APART = {1: (0.0, 0.2), 10: (0.01, 0.2), 100: (0.02, 0.2), 1000: (0.18, 0.2)}


@pytest.mark.parametrize(
    ("at_end", "verdict"),
    [
        (APART | {10_000: (0.2, 0.2)}, "supported"),
        (APART | {10_000: (0.1, 0.2)}, "refuted"),
        (APART | {10_000: (0.01, 0.012)}, "not converged"),  # nothing is shared that depends on the image
        (APART | {100: (0.2, 0.2), 10_000: (0.2, 0.2)}, "not discriminating"),
    ],
)
def test_verdicts_on_planted_planes(at_end, verdict, tmp_path):
    """Networks that memorise N = 1, 10 and 100 images are the null models."""
    row = rows(tmp_path, at_end)
    assert row["verdict"] == verdict
    assert list(row["nulls"]) == ["networks, N = 1", "networks, N = 10", "networks, N = 100"]
    assert row["gates"]["twice the budget changes nothing"][0]


def test_the_gate_on_the_budget_is_about_the_judged_values():
    """Half the interval of these three repetitions is .497, at a first look and at a second one."""
    seen, found = [1, 2, 4], {"value": 1.0, "low": 0.5, "high": 1.5}

    def change(by):
        return np.array([[0.0, 0.0, by + apart] for apart in (-0.2, 0.0, 0.2)])

    inside, away = last_doubling(seen, change(0.25), found, 0.0), last_doubling(seen, change(1.0), found, 0.0)
    assert inside.passed
    assert away.passed
    assert "away from the threshold" not in inside.detail
    assert "away from the threshold" in away.detail
    assert not last_doubling(seen, change(-1.0), found, 0.0).passed
    assert not last_doubling(seen, change(1.0), found, 1.0).passed  # the interval holds the threshold
    assert not last_doubling(seen, change(1.0), {"low": -1.0, "high": 3.0}, 0.0).passed


def test_planes_that_were_trained_twice_have_second_looks():
    """Their intervals are those of Student at .975."""
    found = questions_plane.rows(RESULTS)
    gap = np.array(json.loads((RESULTS / "plane_of_disks" / "results.json").read_text())["rows"][2]["gap"])
    last = gap.mean(axis=2)[:, -1]
    half = 6.2053 * last.std(ddof=1) / 3**0.5
    row = found["gap, N = 100, disks"]
    assert row["confidence"] == 0.975
    assert row["estimate"][1:] == pytest.approx([last.mean() - half, last.mean() + half], rel=1e-3)
    assert found["gap, N = 100"]["confidence"] == 0.95


def test_networks_have_to_beat_the_filter_at_each_noise_level():
    """However much they gain elsewhere; the level of the least gain is named."""
    row = {"psnr_test": [[[30.0, 20.0]], [[30.1, 20.1]], [[29.9, 19.9]]], "linear": {"psnr_wiener": [20.0, 21.0]}}
    gate = beats_filter(row, [0.1, 0.5])
    assert not gate.passed
    assert gate.detail == "least gain -1.00 dB [-1.25, -0.75] at sigma = 0.5"
    assert beats_filter(row | {"linear": {"psnr_wiener": [20.0, 19.0]}}, [0.1, 0.5]).passed
