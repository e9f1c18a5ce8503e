"""`map_images` in this process, in worker processes, and by executors of other libraries."""

import os
import pickle
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.many_images import ImageResults, map_images, map_pieces
from gahb_theory.metrics import Estimate

IMAGES = gt.Disks(size=16).sample(6, seed=3)
MEANS = IMAGES.double().mean(dim=(1, 2, 3)).numpy()


def brightness(f, image):
    return {"mean": float(image.double().mean()), "half": f(image, 0.1)}


def half(y, sigma):
    return y / 2


def logged(folder, f, image):
    """The mean of an image; each call leaves a file, so that calls can be counted."""
    name = f"{image.sum():.6f}-{time.monotonic_ns()}"
    (Path(folder) / name).touch()
    return image.double().mean().item()


def deadly(mark, f, image):
    """The mean of an image, but a bright one kills its process, the first time or always."""
    if image.max() > 1.5 and not mark.exists():
        mark.with_name("calls").open("a").write("x")
        if mark.name == "once":
            mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return image.double().mean().item()


def particular(f, image):
    if image.max() > 1.5:
        raise ArithmeticError("too bright")
    return image.double().mean().item()


@contextmanager
def loky():
    executor = pytest.importorskip("joblib.externals.loky").get_reusable_executor(max_workers=2)
    yield executor
    executor.shutdown(wait=True, kill_workers=True)


@contextmanager
def spawned():
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        yield processes


@contextmanager
def number():
    yield 2


EXECUTORS = {"number": number, "spawned": spawned, "loky": loky}


@pytest.fixture(params=[*EXECUTORS, "dask"])
def executor(request):
    """Two processes, of each kind."""
    if request.param == "dask":
        yield request.getfixturevalue("dask_client")
    else:
        with EXECUTORS[request.param]() as chosen:
            yield chosen


FOREIGN = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


def test_results_come_in_the_order_of_the_images():
    results = map_images(brightness, half, IMAGES)
    np.testing.assert_array_equal(results.stack("mean"), MEANS)
    np.testing.assert_array_equal(results.stack("half")[:, 0], IMAGES.numpy() / 2)
    assert isinstance(results[0]["mean"], float) and not results.failures
    assert repr(results) == "ImageResults of 6 images, 0 failed: half, mean"
    np.testing.assert_array_equal(map_images(brightness, half, IMAGES.numpy()).stack("mean"), MEANS)


@FOREIGN
def test_any_executor_gives_the_same_and_a_failing_image_costs_itself_alone(executor):
    images = IMAGES.clone()
    images[2] = 2.0
    with pytest.warns(UserWarning, match=r"1 of 6 images failed; image 2: ArithmeticError: too b"):
        results = map_images(particular, half, images, executor)
    assert results.failures == {2: "ArithmeticError: too bright"}
    assert [r and r["value"] for r in results] == [None if i == 2 else MEANS[i] for i in range(6)]
    with pytest.raises(ValueError, match="1 of 6 images have no result; image 2: ArithmeticError"):
        results.stack("value")


def test_a_second_call_computes_nothing_and_a_third_only_what_is_new(tmp_path):
    calls, store = tmp_path / "calls", tmp_path / "store"
    calls.mkdir()
    measure = partial(logged, str(calls))
    first = map_images(measure, half, IMAGES[:4], folder=store)
    again = map_images(measure, half, IMAGES[:4], folder=store)
    np.testing.assert_array_equal(first.stack("value"), again.stack("value"))
    assert len(list(calls.iterdir())) == 4
    more = map_images(measure, half, IMAGES.flip(0), folder=store)
    np.testing.assert_array_equal(more.stack("value"), MEANS[::-1])
    assert len(list(calls.iterdir())) == 6


def test_another_denoiser_or_measure_is_computed_anew(tmp_path):
    a, b = (gt.UNet(4, 1, seed=seed).eval() for seed in (0, 1))
    first, second = (map_images(brightness, f, IMAGES[:2], folder=tmp_path).stack("half") for f in (a, b))
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(map_images(brightness, a, IMAGES[:2], folder=tmp_path).stack("half"), first)
    assert len(list(tmp_path.glob("*.npz"))) == 4
    map_images(particular, a, IMAGES[:2], folder=tmp_path)
    assert len(list(tmp_path.glob("*.npz"))) == 6


@pytest.mark.fault("corrupted file", "many images")
def test_a_damaged_file_is_set_aside_and_computed_again(tmp_path):
    map_images(brightness, half, IMAGES[:2], folder=tmp_path)
    file = next(tmp_path.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:40])
    np.testing.assert_array_equal(map_images(brightness, half, IMAGES[:2], folder=tmp_path).stack("mean"), MEANS[:2])


@pytest.mark.fault("lost worker", "many images")
@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_worker_costs_only_its_image(tmp_path):
    images = IMAGES.clone()
    images[3] = 2.0
    results = map_images(partial(deadly, tmp_path / "once"), half, images, 2)
    assert not results.failures
    np.testing.assert_array_equal(np.delete(results.stack("value"), 3), np.delete(MEANS, 3))
    with pytest.warns(UserWarning, match="image 3: its worker process died, killed or out of memory"):
        results = map_images(partial(deadly, tmp_path / "always"), half, images, 2)
    assert list(results.failures) == [3] and [r and r["value"] for r in results][:3] == list(MEANS[:3])


@pytest.mark.fault("lost worker", "many images")
@FOREIGN
@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_dask_restarts_a_killed_worker(dask_client, tmp_path):
    images = IMAGES.clone()
    images[3] = 2.0
    results = map_images(partial(deadly, tmp_path / "once"), half, images, dask_client)
    assert not results.failures
    np.testing.assert_array_equal(np.delete(results.stack("value"), 3), np.delete(MEANS, 3))


def test_many_images_share_submissions():
    class Counting(ThreadPoolExecutor):
        submissions = 0

        def submit(self, *arguments):
            self.submissions += 1
            return super().submit(*arguments)

    with Counting(2) as executor:
        values = map_pieces(max, 0, range(500), executor).stack("value")
    assert values.tolist() == list(range(500)) and executor.submissions <= 32


def test_a_submission_carries_its_own_images_alone():
    class Weighing(ThreadPoolExecutor):
        def submit(self, *arguments):
            sent.append(len(pickle.dumps(arguments)))
            return super().submit(*arguments)

    sent = []
    with Weighing(1) as executor:
        map_images(brightness, half, torch.zeros(64, 1, 16, 16), executor)
    assert len(sent) == 32 and max(sent) < 2 * 2 * 1024 + 2000


def test_images_of_different_sizes_and_result_dataclasses():
    def measure(f, image):
        return Estimate(float(image.mean()), 0.0, float(image.shape[-1]), 0.1, 0.95, "none")

    results = map_images(measure, half, [torch.ones(1, 1, 4, 4), torch.zeros(1, 3, 6, 5)])
    assert results.stack("high").tolist() == [4.0, 5.0] and results.stack("value").tolist() == [1.0, 0.0]
    table = results.to_dict()
    assert table["image"] == [0, 1] and table["value"] == [1.0, 0.0] and table["failure"] == [None, None]


@dataclass
class Unclear:
    """Holds what no array can."""

    thing: object


def test_refusals(unchecked):
    with pytest.raises(ValueError, match=r"images\[1\] must be one image"):
        map_images(brightness, half, [torch.ones(1, 1, 4, 4), torch.ones(2, 1, 4, 4)])
    with pytest.raises(ValueError, match="executor must be"):
        map_images(brightness, half, IMAGES, 0)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as forks, pytest.raises(ValueError, match="forks this"):
        map_images(brightness, half, IMAGES, forks)
    with pytest.warns(UserWarning, match="an object as 'thing'"):
        assert map_images(lambda f, image: Unclear(object()), half, IMAGES[:1]).failures
    with pytest.raises(ValueError, match="name must be an entry of all results, got 'psnr'; there are value"):
        ImageResults(({"value": 1.0},), {}).stack("psnr")
