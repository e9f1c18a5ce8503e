"""Each experiment runs from end to end at its smallest scale, computes nothing twice, and judges by its numbers."""

import importlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt

SOURCE = Path(__file__).parents[2] / "experiments"
NAMES = ("memorisation", "shrinkage", "near_optimal", "manifolds", "shuffling")


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(SOURCE))
    monkeypatch.delenv("GAHB_PHOTOGRAPHS", raising=False)


@pytest.fixture
def laboratory():
    return importlib.import_module("laboratory")


def room(name, folder):
    module = importlib.import_module("laboratory")
    return module.Laboratory(name, "smoke", folder, folder / "checkpoints", folder / "results")


def tiny(law, n=None, half="A"):
    module = importlib.import_module("laboratory")
    recipe = gt.Recipe(images_seen=64, batch_size=16)
    return module.Job("tiny", module.TrainingSet(law, n, half), recipe, 8, 1)


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_is_drawn(name, tmp_path, monkeypatch):
    """Numbers, claims, pictures and page; a second call finds everything done."""
    experiment, report = importlib.import_module(name), importlib.import_module("report")
    settings = experiment.SCALES["smoke"]
    if hasattr(settings, "recipe"):
        settings = replace(settings, recipe=gt.Recipe(images_seen=64, batch_size=16))
    lab = room(name, tmp_path)
    experiment.measure(lab, settings)
    results, _ = lab.kept
    assert results["scale"] == "smoke"
    found = experiment.claims(results)
    assert found
    assert {c.verdict for c in found} <= {"holds", "holds in part", "does not hold at this scale"}
    page = report.report(tmp_path / "results").read_text()
    assert all(c.verdict in page for c in found)

    def refuse(*_, **__):
        raise AssertionError("computed twice")

    before = (tmp_path / "results" / name / "results.json").read_bytes()
    monkeypatch.setattr(gt, "train", refuse)
    monkeypatch.setattr(gt, "jacobian", refuse)
    experiment.measure(room(name, tmp_path), settings)
    assert (tmp_path / "results" / name / "results.json").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_every_scale_has_its_networks(name, laboratory):
    """The settings of all scales are complete; the largest networks are those of the paper."""
    experiment = importlib.import_module(name)
    assert set(experiment.SCALES) == {"smoke", "laptop", "paper"}
    jobs = {scale: experiment.jobs(settings) for scale, settings in experiment.SCALES.items()}
    assert len({job.name for job in jobs["laptop"]}) == len(jobs["laptop"])
    for job in jobs["paper"]:
        assert sum(p.numel() for p in job.network().parameters()) == 7_659_264
        assert job.recipe == replace(gt.Recipe.published(), images_seen=250_000_000, batch_size=512)


def test_a_dry_run_counts(laboratory):
    """A UNet of one scale and 8 channels, by hand: the hours are those of its operations."""
    job = tiny(gt.Disks(size=16))
    table = laboratory.dry_run("smoke", [job])
    parameters = sum(p.numel() for p in job.network().parameters())
    assert f"{parameters:,}" in table
    c, pixels = 8, 256
    products = 9 * pixels * (c + c * c) + 9 * pixels // 4 * (2 * c * c + 4 * c * c) + pixels * 2 * c * c
    products += 9 * pixels * (2 * c * c + c)
    flops = 3 * 2 * products * job.recipe.images_seen
    assert f"{flops / 1e15:.3g}" in table


def test_a_trained_network_is_known_again(laboratory, tmp_path):
    """The stored network is the trained one to half precision, and its card names what made it."""
    job = tiny(gt.Disks(size=16))
    f = room("x", tmp_path).networks([job])["tiny"]
    card = json.loads((tmp_path / "checkpoints" / "tiny" / "config.json").read_text())["card"]
    assert card["key"] == job.key
    anew = gt.train(job.network(), job.images.law, recipe=job.recipe)
    y = gt.add_noise(gt.Disks(size=16).sample(4), 0.1)
    with torch.no_grad():
        torch.testing.assert_close(f(y, 0.1), anew(y, 0.1), rtol=0, atol=1e-2)
    assert tiny(gt.Disks(size=32)).key != job.key


def test_what_a_killed_run_trained_is_stored_by_the_next(laboratory, tmp_path, monkeypatch):
    job = tiny(gt.Disks(size=16))
    lab = room("x", tmp_path)
    gt.sweep([job], laboratory.train_network, folder=lab.folder / "training")
    monkeypatch.setattr(gt, "train", lambda *_, **__: pytest.fail("trained twice"))
    assert list(lab.networks([job])) == ["tiny"]


def test_halves_are_disjoint_and_nested(laboratory):
    law = laboratory.Patches(16)
    a, b = (laboratory.TrainingSet(law, 40, half).images() for half in ("A", "B"))
    test = laboratory.TrainingSet(law, 40).test(20)
    for one, other in ((a, b), (a, test), (b, test)):
        assert gt.closest(one, other).similarity.max() < 0.9999
    torch.testing.assert_close(laboratory.TrainingSet(law, 10, "A").images(), a[:10])


def test_photographs_are_named_by_what_they_are(laboratory, tmp_path, monkeypatch):
    """The same files in another folder make the same key, other files another."""
    from PIL import Image

    keys = []
    for place, side in (("here", 40), ("there", 40), ("other", 48)):
        (tmp_path / place).mkdir()
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 255, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / place / f"{i}.bmp")
        monkeypatch.setenv("GAHB_PHOTOGRAPHS", str(tmp_path / place))
        keys.append(tiny(laboratory.Patches.here(16), 4).key)
        assert laboratory.Patches.here(16).sample(2).shape == (2, 1, 16, 16)
    assert keys[0] == keys[1] != keys[2]
    monkeypatch.setenv("GAHB_PHOTOGRAPHS", str(tmp_path / "there"))
    file = tmp_path / "there" / "0.bmp"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    assert tiny(laboratory.Patches.here(16), 4).key != keys[0], "a file of the same name and size, with other pixels"


def test_measurements_are_known_on_another_machine(laboratory, tmp_path):
    """Where the source and the networks lie, and the device, are no part of what is measured."""
    from functools import partial

    from gahb_theory.sweeps import key

    run = partial(laboratory._measured, laboratory.estimate)
    places = ({"checkpoints": tmp_path, "device": "cpu"}, {"checkpoints": Path("/elsewhere"), "device": "cuda"})
    keys = [key(run, laboratory.Measurement({"a": 1}, "x", "abc", place)) for place in places]
    assert keys[0] == keys[1]
    assert keys[0] != key(run, laboratory.Measurement({"a": 1}, "x", "abd", places[0]))
    assert keys[0] != key(
        partial(laboratory._measured, laboratory.slope), laboratory.Measurement({"a": 1}, "x", "abc", {})
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_that_come_with_the_source_are_known(name, laboratory):
    """Else all of them would be trained again."""
    experiment = importlib.import_module(name)
    for job in experiment.jobs(experiment.SCALES["laptop"]):
        card = json.loads((SOURCE / "checkpoints" / job.name / "config.json").read_text())["card"]
        if isinstance(job.images.law, laboratory.Patches):  # of photographs that are not here
            law = replace(job.images.law, digest=card["data"]["law"]["digest"])
            job = replace(job, images=replace(job.images, law=law))
        assert card["key"] == job.key, job.name


def test_verdicts(laboratory):
    assert laboratory.judge([True, True]) == "holds"
    assert laboratory.judge([True, False]) == "holds in part"
    assert laboratory.judge([False]) == "does not hold at this scale"


def test_workers_share_the_networks(laboratory, tmp_path):
    """Two processes, which find the modules of the experiments by themselves."""
    jobs = [replace(tiny(gt.Disks(size=16)), name=name) for name in ("one", "two")]
    lab = replace(room("x", tmp_path), workers=2)
    assert set(lab.networks(jobs)) == {"one", "two"}


def test_the_kept_results_make_the_kept_claims():
    """The committed table is what the code makes of the committed numbers."""
    report = importlib.import_module("report")
    results = SOURCE / "results"
    claims = [claim for *_, found in report.judged(results) for claim in found]
    assert report.claims_table(claims) == (results / "claims.md").read_text()
