"""The laboratory: everything once, known by content, resumed after a kill, with the time left printed before."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch

from gahb_theory import Disks, Recipe, UNet, add_noise, load_denoiser, train
from gahb_theory.hypotheses import DisjointPart, Laboratory, Task, Training
from gahb_theory.hypotheses import laboratory as laboratory_module
from gahb_theory.hypotheses.forecast import forecast
from gahb_theory.hypotheses.jobs import code_identity
from gahb_theory.hypotheses.publishing import publish
from gahb_theory.images import Photographs
from gahb_theory.metrics import closest
from gahb_theory.training import geometric_snapshots
from gahb_theory.workers import pool

RECIPE = Recipe(images_seen=64, batch_size=16)
DISKS = Disks(size=16)


def small(seed=0, **changes):
    return Training(partial(UNet, 4, 1, seed=seed), **({"data": DISKS, "recipe": RECIPE} | changes))


def error_of(f, images, sigma, seed):
    return (f(add_noise(images, sigma, seed=seed), sigma) - images).square().sum((1, 2, 3))


def trace_of_task(settings, bench):
    return {"first": float(next(bench.load("f").parameters()).sum()), "times": settings["times"]}


def test_the_key_is_that_of_the_content():
    """Weights, data, recipe and snapshots count; a name, a place and the way to write arguments do not."""
    same = [small(name="other"), Training(partial(UNet, channels=4, blocks=1, seed=0), DISKS, RECIPE)]
    assert {t.key for t in same} == {small().key}
    others = [
        small(seed=1),
        small(data=Disks(size=32)),
        small(recipe=replace(RECIPE, seed=1)),
        small(snapshots=(32, 64)),
        small(data=DisjointPart(DISKS, 4, 0)),
        small(data=DisjointPart(DISKS, 4, 1)),
        small(data=DISKS.sample(4)),
    ]
    assert len({t.key for t in [*others, small()]}) == len(others) + 1


def test_photographs_count_by_their_pixels(tmp_path):
    from PIL import Image

    keys = []
    for place, side in (("here", 40), ("there", 40), ("other", 48)):
        (tmp_path / place).mkdir()
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 255, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / place / f"{i}.bmp")
        keys.append(small(data=DisjointPart(Photographs(tmp_path / place, size=16), 4)).key)
    assert keys[0] == keys[1] != keys[2]
    file = tmp_path / "there" / "0.bmp"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")
    assert small(data=DisjointPart(Photographs(tmp_path / "there", size=16), 4)).key != keys[0]


def test_the_code_of_a_network_of_ones_own_counts():
    def made(factor):
        class Mine(UNet):
            def estimate(self, y, sigma):
                return factor * super().estimate(y, sigma)

        return Mine

    keys = [Training(partial(made(factor), 4, 1), DISKS, RECIPE).key for factor in (1.0, 1.0, 2.0)]
    assert keys[0] == keys[1] != keys[2]


def test_what_is_no_builder_is_refused():
    with pytest.raises(TypeError, match="what builds a network"):
        Training(UNet(4, 1), DISKS)
    with pytest.raises(TypeError, match="cannot be built"):
        _ = Training(partial(UNet, colour=1), DISKS).key


def test_a_network_is_trained_once_and_is_what_train_returns(tmp_path, monkeypatch):
    job = small(name="one", snapshots=(32, 64))
    found = Laboratory(tmp_path).train([job])["one"]
    anew = train(job.build(), DISKS, recipe=RECIPE)
    for a, b in zip(found.load().state_dict().values(), anew.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    monkeypatch.setattr(laboratory_module, "train", lambda *_, **__: pytest.fail("trained twice"))
    assert Laboratory(tmp_path).train([replace(job, name="again")])["again"] == found


def test_a_snapshot_is_the_network_on_the_way(tmp_path):
    """Bit for bit that of the run at this step, also after a kill, and not that of a shorter run."""
    seen = {}

    class Watched(UNet):
        pass

    job = small(snapshots=(16, 32, 64))
    lab = Laboratory(tmp_path)
    found = lab.train([job])["network"]
    states = {n: replace(found, images_seen=n).load().state_dict() for n in (16, 32, 64)}
    last = found.load().state_dict()
    assert all(torch.equal(states[64][k], last[k]) for k in last)
    assert any(not torch.equal(states[16][k], states[32][k]) for k in last)
    assert not seen
    assert Watched(4, 1).channels == 4
    with pytest.raises(ValueError, match="need a directory"):
        train(UNet(4, 1), DISKS, recipe=RECIPE, snapshots=(16,))
    with pytest.raises(ValueError, match="two snapshots fall on one step"):
        train(UNet(4, 1), DISKS, recipe=RECIPE, run=tmp_path / "r", snapshots=(17, 30))
    with pytest.raises(ValueError, match="must not exceed images_seen"):
        train(UNet(4, 1), DISKS, recipe=RECIPE, run=tmp_path / "r", snapshots=(65,))


def test_geometric_snapshots():
    assert geometric_snapshots(100_000) == (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
    assert geometric_snapshots(500) == (500,)


def test_a_measure_is_computed_once(tmp_path, monkeypatch):
    """Of each network, noise level, set of images and seed; another measure, image or seed is another measurement."""
    lab, job, x = Laboratory(tmp_path), small(), DISKS.sample(5)
    first = lab.measure(error_of, {"net": job, "nothing": doing_nothing}, x, [0.1, 0.5], seed=3)
    assert first["net"].shape == (2, 5)
    expected = (add_noise(x, 0.5, seed=3) - x).square().sum((1, 2, 3)).numpy()
    np.testing.assert_allclose(first["nothing"][1], expected, rtol=1e-6)
    assert len(list((tmp_path / "tasks").iterdir())) == 4
    with monkeypatch.context() as patched:
        patched.setattr(laboratory_module, "Bench", lambda *_: pytest.fail("measured twice"))
        again = lab.measure(error_of, {"net": job}, x, [0.5], seed=3)
    np.testing.assert_array_equal(again["net"][0], first["net"][1])
    lab.measure(error_of, {"net": job}, x, [0.5], seed=4)
    lab.measure(error_of, {"net": job}, x[:4], [0.5], seed=3)
    assert len(list((tmp_path / "tasks").iterdir())) == 6


def doing_nothing(y, sigma):
    return y


def wrong(f, images, sigma, seed):
    return torch.zeros(1)


def test_a_measure_of_another_length_is_refused(tmp_path):
    with pytest.raises(RuntimeError, match="one number for each of 5 images"):
        Laboratory(tmp_path).measure(wrong, {"f": doing_nothing}, DISKS.sample(5), [0.1], seed=0)


def test_code_counts_and_comments_do_not():
    spaces = {}
    for name, text in {"a": "return y", "b": "return y  # as it is", "c": "return 2 * y"}.items():
        spaces[name] = {"__name__": "elsewhere"}
        exec(f"def f(y):\n    {text}\n", spaces[name])
    identities = [code_identity(space["f"]) for space in spaces.values()]
    assert identities[0] == identities[1] != identities[2]
    assert set(code_identity(geometric_snapshots)) == {"function", "text"}


def test_tasks_find_their_networks_and_workers_share_them(tmp_path):
    """Two processes train and measure what one would."""
    jobs = [small(seed, name=f"net{seed}") for seed in (0, 1)]
    tasks = [Task(trace_of_task, {"times": 2}, {"f": job}, job.name) for job in jobs]
    with pool(2) as processes:
        found = Laboratory(tmp_path / "two", executor=processes, workers=2).run(jobs, tasks)
    alone = Laboratory(tmp_path / "one").run(jobs, tasks)
    assert {name: r.numbers for name, r in found.items()} == {name: r.numbers for name, r in alone.items()}
    assert found["net0"].numbers["first"] != found["net1"].numbers["first"]


def test_a_published_network_is_found_on_the_shelf(tmp_path, monkeypatch):
    job = small(name="kept")
    lab = Laboratory(tmp_path / "here")
    trained = lab.train([job])["kept"].load()
    folder = publish(lab, job, tmp_path / "shelf")
    assert json.loads((folder / "config.json").read_text())["card"]["key"] == job.key
    monkeypatch.setattr(laboratory_module, "train", lambda *_, **__: pytest.fail("trained twice"))
    found = Laboratory(tmp_path / "there", (tmp_path / "shelf",)).train([job])["kept"].load()
    y = add_noise(DISKS.sample(4), 0.1)
    torch.testing.assert_close(found(y, 0.1), trained(y, 0.1), rtol=0, atol=1e-2)
    assert load_denoiser(folder).channels == 4
    assert Laboratory(tmp_path / "there", (tmp_path / "shelf",))._found(small(seed=1)) is None


def test_a_forecast_counts_what_is_left(tmp_path):
    """A UNet of one scale and 8 channels, by hand; half of it done, half of the time is left."""
    job = Training(partial(UNet, 8, 1), DISKS, RECIPE)
    lab = Laboratory(tmp_path)
    plan = forecast(lab, [job, small(seed=1)], [Task(trace_of_task, {}, {"f": job})], seconds=0)
    c, pixels = 8, 256
    products = 9 * pixels * (c + c * c) + 9 * pixels // 4 * (2 * c * c + 4 * c * c) + pixels * 2 * c * c
    products += 9 * pixels * (2 * c * c + c)
    assert plan.trainings[0].flops == 3 * 2 * products * 64
    assert plan.trainings[0].parameters == sum(p.numel() for p in job.build().parameters())
    assert (plan.trainings_left, plan.tasks_left, plan.tasks_unknown) == (2, 1, 1)
    assert plan.gpu_hours == pytest.approx(2 * 4 / 100 / 3600)  # 4 steps each, which the launches limit
    lab.run([job], [Task(trace_of_task, {"times": 1}, {"f": job})])
    after = forecast(lab, [job], [Task(trace_of_task, {"times": t}, {"f": job}) for t in (1, 2)], seconds=0)
    assert (after.trainings_left, after.tasks_left, after.tasks_unknown) == (0, 1, 0)
    assert 0 < after.seconds < 10


def test_a_trial_gives_the_time_of_this_machine(tmp_path):
    """The forecast of a training is near what it then takes."""
    job = small(recipe=Recipe(images_seen=2048, batch_size=16))
    plan = forecast(Laboratory(tmp_path), [job], seconds=1.0)
    began = time.perf_counter()
    train(job.build(), DISKS, recipe=job.recipe)
    assert 0.1 < plan.seconds / (time.perf_counter() - began) < 10


PROGRAM = """
import sys
from functools import partial
from gahb_theory import Disks, Recipe, UNet
from gahb_theory.hypotheses import Laboratory, Training
recipe = Recipe(images_seen=16 * 2000, batch_size=16)
from gahb_theory.training import log, loop
loop.SECONDS_BETWEEN_CHECKPOINTS = 0.2
Laboratory(sys.argv[1]).train([Training(partial(UNet, 4, 1), Disks(size=16), recipe, (1600, 32000))])
"""


def test_a_killed_plan_goes_on(tmp_path):
    """After SIGKILL the next call begins where the last checkpoint is, and keeps the snapshot from before."""
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    while not list(tmp_path.glob("trainings/*/training/snapshots/1600/model.safetensors")) or not list(
        tmp_path.glob("trainings/*/training/state.safetensors")
    ):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    job = Training(partial(UNet, 4, 1), DISKS, Recipe(images_seen=16 * 2000, batch_size=16), (1600, 32000))
    lab = Laboratory(tmp_path)
    assert not (lab.directory(job) / "result.json").exists()
    assert 0 < lab.progress(job) < 32000
    left = forecast(lab, [job], seconds=0).trainings[0].images
    assert left == 32000 - lab.progress(job)


def test_parts_are_disjoint_and_nested():
    for of in (DISKS, Photographs(size=16)):
        parts = [DisjointPart(of, 40, part).images() for part in range(3)]
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert closest(parts[i], parts[j]).similarity.max() < 0.9999
        assert torch.equal(DisjointPart(of, 10, 1).images(), parts[1][:10])
        assert torch.equal(DisjointPart(of, 40, 2).first(10), parts[2][:10])
    with pytest.raises(ValueError, match="part must be between 0 and 2"):
        DisjointPart(DISKS, 4, 3)


@dataclass(frozen=True)
class OwnClass:
    """An image class of a user."""

    size: int = 16
    dimension = None
    optimal_slope = None

    def sample(self, n, seed=0, start=0):
        return DISKS.sample(n, seed=seed, start=start)


def test_own_image_classes_can_be_trained_on(tmp_path):
    job = small(data=OwnClass())
    assert Laboratory(tmp_path).train([job])["network"].load().channels == 4
