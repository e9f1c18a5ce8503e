"""Each experiment runs from end to end at its smallest scale, computes nothing twice, and judges by its numbers."""

import html
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gahb_theory import UNet
from gahb_theory.hypotheses import Laboratory
from gahb_theory.hypotheses import laboratory as laboratory_module
from gahb_theory.hypotheses.paper import running
from gahb_theory.images import Photographs
from gahb_theory.report.paper_page import measured, paper_report, verdicts
from gahb_theory.training import Recipe

SOURCE = Path(__file__).parents[2] / "experiments"
NAMES = tuple(running.EXPERIMENTS)
PLANES = ("memorisation_plane", "plane_of_disks", "plane_of_photographs")
UNPUBLISHED = PLANES[1:]
"""Whose networks do not come with the source."""


def smallest(name):
    settings = running.EXPERIMENTS[name].SCALES["smoke"]
    if name in PLANES:
        return replace(settings, recipe=Recipe(images_seen=32, batch_size=8), first_snapshot=16, step=1.0)
    return replace(settings, recipe=Recipe(images_seen=64, batch_size=16)) if hasattr(settings, "recipe") else settings


@pytest.mark.parametrize("name", NAMES)
def test_runs_and_is_drawn(name, tmp_path, monkeypatch):
    """Numbers, claims, pictures and page; a second call finds everything done."""
    experiment, settings = running.EXPERIMENTS[name], smallest(name)
    where = running.Place(tmp_path / "runs", tmp_path / "results", tmp_path / "checkpoints")
    results = running.run(experiment, settings, "smoke", where, Laboratory(where.runs))
    assert results["scale"] == "smoke"
    found = experiment.claims(results)
    assert found
    page = html.unescape(paper_report(where.results).read_text())
    assert all(c.claim in page for c in found)
    assert page.count("<figure") == page.count('class="reading"') == page.count('<p class="data">')
    if name in UNPUBLISHED:
        assert not where.checkpoints.exists()
    for training in experiment.trainings(settings) if name not in UNPUBLISHED else ():
        card = json.loads((where.checkpoints / training.name / "config.json").read_text())["card"]
        assert card["key"] == training.key

    def refuse(*_, **__):
        raise AssertionError("computed twice")

    before = (where.results / name / "results.json").read_bytes()
    monkeypatch.setattr(laboratory_module, "train", refuse)
    monkeypatch.setattr(laboratory_module, "Bench", refuse)
    running.run(experiment, settings, "smoke", where, Laboratory(where.runs))
    assert (where.results / name / "results.json").read_bytes() == before


@pytest.mark.parametrize("name", NAMES)
def test_every_scale_has_its_networks(name):
    """The settings of all scales are complete; the largest networks are those of the paper."""
    experiment = running.EXPERIMENTS[name]
    assert set(experiment.SCALES) == {"smoke", "laptop", "paper"}
    plans = {scale: experiment.trainings(settings) for scale, settings in experiment.SCALES.items()}
    for trainings in plans.values():
        assert len({t.name for t in trainings}) == len({t.key for t in trainings}) == len(trainings)
    for training in plans["paper"][:1]:
        assert sum(p.numel() for p in training.build().parameters()) == 7_659_264
    if name not in PLANES:  # whose budget is another
        recipes = {t.recipe for t in plans["paper"]}
        assert recipes <= {replace(Recipe.published(), images_seen=250_000_000, batch_size=512)}


def test_twins_share_nothing():
    """Neither weights, nor noise, nor images: each network of the plane has a seed of its own, used for both."""
    plane = running.EXPERIMENTS["memorisation_plane"]
    trainings = plane.trainings(plane.SCALES["laptop"])
    seeds = [t.recipe.seed for t in trainings]
    assert len(trainings) == 30
    assert len(set(seeds)) == 30
    assert [t.network.keywords["seed"] for t in trainings] == seeds
    parts = {t.data.part for t in trainings}
    assert parts == {0, 1}  # and the test images are part 2


@pytest.mark.parametrize("repetition", [0, 1])
def test_seen_images_have_been_seen(repetition, tmp_path):
    """The images of which the train PSNR is taken are those that a network has been given before its first snapshot."""
    plane = running.EXPERIMENTS["memorisation_plane"]
    s = plane.SCALES["smoke"]
    given = []

    class Watched(UNet):
        def estimate(self, y, sigma):
            given.append(y)
            return super().estimate(y, sigma)

    training = plane.training(s, 64, "B", repetition)
    f, images = Watched(4, 1, seed=training.recipe.seed), training.images()
    from gahb_theory.training.loop import train

    seen = plane.seen_by(s, 64, "B", repetition)
    assert len(seen) == s.seen_images <= s.first_snapshot
    given.clear()
    train(
        f, images, recipe=replace(training.recipe, sigma_min=1e-7, sigma_max=2e-7, input_scale="unit", images_seen=16)
    )
    shown = [x for y in given for x in y.detach()]
    for x in seen:
        assert min(float((x - y).abs().max()) for y in shown) < 1e-5


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("memorisation", *PLANES)])
def test_the_networks_that_come_with_the_source_are_known(name, tmp_path):
    """Else all of them would be trained again."""
    experiment = running.EXPERIMENTS[name]
    lab = Laboratory(tmp_path, (SOURCE / "checkpoints",))
    for training in experiment.trainings(experiment.SCALES["laptop"]):
        assert lab.find(training).load().channels == training.build().channels


@pytest.mark.data
def test_the_networks_of_photographs_are_known(tmp_path):
    """Where their photographs are, whatever the folder is called."""
    import os

    folder = Path(os.environ.get("GAHB_TEST_DATA", "/nowhere")) / "photographs" / "train400"
    if not folder.exists():
        pytest.skip("needs the folder photographs/train400 of GAHB_TEST_DATA")
    (tmp_path / "elsewhere").symlink_to(folder)
    experiment = running.EXPERIMENTS["memorisation"]
    settings = running.settings(experiment, "laptop", tmp_path / "elsewhere")
    lab = Laboratory(tmp_path / "runs", (SOURCE / "checkpoints",))
    assert all(lab.find(training) for training in experiment.trainings(settings))


def test_photographs_given_go_where_photographs_are():
    experiment = running.EXPERIMENTS["memorisation"]
    assert running.settings(experiment, "smoke").of == Photographs(size=16)
    assert running.settings(experiment, "smoke", SOURCE).of == Photographs(SOURCE, size=16)
    plane = running.EXPERIMENTS["plane_of_photographs"]
    assert running.settings(plane, "laptop", SOURCE).of == Photographs(SOURCE, size=16)
    for name in running.EXPERIMENTS.keys() - {"memorisation", "plane_of_photographs"}:
        with pytest.raises(ValueError, match="has no photographs"):
            running.settings(running.EXPERIMENTS[name], "smoke", SOURCE)


def test_where_results_are(tmp_path, monkeypatch):
    """The committed ones in a clone; without one, and at other scales, in the current folder."""
    assert running.place("laptop").results.resolve() == SOURCE / "results"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "__file__", str(tmp_path / "lib" / "a" / "b" / "c" / "running.py"))
    assert running.place("laptop") == running.Place(Path("runs/paper/laptop"), Path("runs/paper/laptop/results"), None)
    assert running.place("smoke").checkpoints is None


def test_kept_results_are_read_and_verdicts_come_first():
    """Every committed experiment has claims, and the page of the committed results begins with the verdicts."""
    results = SOURCE / "results"
    assert [len(found) > 0 for *_, found in measured(results)] == [True] * len(NAMES)
    section = verdicts(results)
    assert section is not None
    assert len(section.parts[0].rows) == len(json.loads((results / "claims" / "verdicts.json").read_text()))
