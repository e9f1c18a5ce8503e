"""Datasets: parallel, restartable after a kill, read back and split."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.images import write_dataset
from gahb_theory.images.dataset import BLOCK

IMAGE_CLASS = gt.Disks(size=16)
N = 3 * BLOCK + 7


@pytest.mark.slow
def test_workers_write_the_same_bytes(tmp_path):
    one = write_dataset(tmp_path / "one.npy", IMAGE_CLASS, N, seed=2**40, start=10**10)
    two = write_dataset(tmp_path / "two.npy", IMAGE_CLASS, N, seed=2**40, start=10**10, workers=2)
    assert one.read_bytes() == two.read_bytes()
    assert json.loads((tmp_path / "one.json").read_text()) == json.loads((tmp_path / "two.json").read_text())
    assert len(list(tmp_path.iterdir())) == 4


SLOW = """
import time, sys
import gahb_theory as gt
from gahb_theory.images import write_dataset

class Slow(gt.Disks):
    def sample(self, n, *, seed=0, start=0):
        if n > 1 and start >= 512:
            time.sleep(0.5)
        return super().sample(n, seed=seed, start=start)

Slow.__name__, Slow.__module__ = "Disks", gt.Disks.__module__  # to the library it is the class itself
write_dataset(sys.argv[1], Slow(size=16), 3 * 512 + 7)
"""


def test_a_kill_loses_nothing_that_was_done(tmp_path):
    path, partial = tmp_path / "x.npy", tmp_path / ".x.npy.partial.json"
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(path)], env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        for _ in range(6000):
            if partial.exists() and json.loads(partial.read_text())["done"]:
                break
            assert process.poll() is None
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = json.loads(partial.read_text())["done"]
    assert 0 < len(done) < 4
    assert not path.exists()

    drawn = []

    class Watched(gt.Disks):
        def sample(self, n, *, seed=0, start=0, dtype=torch.float32):
            drawn.append((start, n))
            return super().sample(n, seed=seed, start=start, dtype=dtype)

    Watched.__name__, Watched.__module__ = "Disks", gt.Disks.__module__  # to the library it is the class itself
    write_dataset(path, Watched(size=16), N)
    assert len(drawn) == 1 + 4 - len(done)  # the shape, and the missing blocks alone
    write_dataset(tmp_path / "whole.npy", IMAGE_CLASS, N)
    assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["whole.json", "whole.npy", "x.json", "x.npy"]


def test_a_kill_between_the_two_files_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    with monkeypatch.context() as patch:

        def killed(self, target):
            raise KeyboardInterrupt

        replace = type(path).replace
        patch.setattr(type(path), "replace", lambda self, target: (killed if target == path else replace)(self, target))
        with pytest.raises(KeyboardInterrupt):
            write_dataset(path, IMAGE_CLASS, 5)
    assert (tmp_path / "x.json").exists()
    assert not path.exists()
    write_dataset(path, IMAGE_CLASS, 5)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.json", "x.npy"]
    assert torch.equal(gt.dataset(path).images(), IMAGE_CLASS.sample(5))


class Interrupted(gt.Disks):
    def sample(self, n, *, seed=0, start=0, dtype=torch.float32):
        if start >= BLOCK:
            raise KeyboardInterrupt
        return super().sample(n, seed=seed, start=start, dtype=dtype)


def test_an_unfinished_file_of_other_images_is_kept(tmp_path):
    path = tmp_path / "x.npy"
    with pytest.raises(KeyboardInterrupt):
        write_dataset(path, Interrupted(size=16), 2 * BLOCK)
    before = (tmp_path / ".x.npy.partial").read_bytes()
    with pytest.raises(FileExistsError, match=r"unfinished file of other images \(class, n, seed, shape differ\)"):
        write_dataset(path, IMAGE_CLASS, BLOCK, seed=1)
    assert (tmp_path / ".x.npy.partial").read_bytes() == before


def test_read_back(tmp_path):
    data = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 9, seed=3)
    x = IMAGE_CLASS.sample(9, seed=3)
    assert len(data) == 9
    assert torch.equal(data.images(), x)
    assert torch.equal(data[4], x[4])
    assert torch.equal(data[-1], x[8])
    assert data.about["sha256"] == data.sha256
    loader = torch.utils.data.DataLoader(data, batch_size=4, generator=torch.Generator())
    assert torch.equal(torch.cat(list(loader)), x)
    with pytest.raises(IndexError, match=r"index must lie in -9 .. 8, got 9"):
        data[9]
    again = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 9, seed=3)  # the same images: opened, not written
    assert torch.equal(again.images(), x)
    assert torch.equal(gt.dataset(tmp_path / "x.npy").images(), x)
    with pytest.raises(FileExistsError, match=r"holds other images \(seed: 3 there, 4 now\)"):
        gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 9, seed=4)
    with pytest.raises(FileNotFoundError, match="no dataset at"):
        gt.dataset(tmp_path / "y.npy")
    with pytest.raises(ValueError, match="n, the number of images, must be given"):
        gt.dataset(tmp_path / "y.npy", IMAGE_CLASS)


@pytest.mark.parametrize("n", [10, 11])
def test_halves_are_disjoint_and_their_hashes_recorded(n, tmp_path):
    data = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, n)
    first, second = data.split()
    x = IMAGE_CLASS.sample(n)
    assert torch.equal(first.images(), x[:5])
    assert torch.equal(second.images(), x[-5:])
    assert [first.sha256, second.sha256] == data.about["halves"]
    assert first.sha256 != second.sha256
    quarter, _ = second.split()
    assert torch.equal(quarter.images(), x[n - 5 : n - 3])


def test_bytes(tmp_path, unchecked):
    image_class = gt.CAlpha(size=16)
    data = gt.dataset(tmp_path / "x.npy", image_class, 5, dtype="uint8")
    assert data.array.dtype == np.uint8
    x = image_class.sample(5).clamp(0, 1)
    assert float((data.images() - x).abs().max()) <= 0.5 / 255 + 1e-6
    assert data[0].dtype == torch.float32
    with pytest.raises(ValueError, match='dtype must be "float32" or "uint8"'):
        write_dataset(tmp_path / "y.npy", image_class, 5, dtype="int8")  # type: ignore[arg-type]


def test_training_takes_a_dataset(tmp_path):
    data = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 6)
    from gahb_theory.images.stream import image_stream

    batch = image_stream(data, seed=0)(0, 6)
    assert torch.equal(batch.flatten(1).sort(dim=0).values, data.images().flatten(1).sort(dim=0).values)


FATAL = """
import os, signal, sys
import gahb_theory as gt
from gahb_theory.images import write_dataset

class Fatal(gt.Disks):
    def sample(self, n, *, seed=0, start=0):
        if n > 1 and __name__ != "__main__":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().sample(n, seed=seed, start=start)

if __name__ == "__main__":
    try:
        write_dataset(sys.argv[1], Fatal(size=16), 1024, workers=2)
    except RuntimeError as error:
        print(error)
"""


@pytest.mark.slow
def test_the_death_of_a_worker_is_reported(tmp_path):
    script = tmp_path / "fatal.py"
    script.write_text(FATAL)
    run = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "x.npy")], capture_output=True, text=True, timeout=120, check=True
    )
    assert "a worker process died; the same call goes on from here" in run.stdout
    assert not (tmp_path / "x.npy").exists()
    assert (tmp_path / ".x.npy.partial").exists()
