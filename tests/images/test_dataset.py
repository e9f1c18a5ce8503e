"""Datasets on disk: what the two files hold, and what is never overwritten or left behind."""

import errno
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import runs
from gahb_theory.images import CAlpha, Disks, Photographs, write_dataset
from gahb_theory.images.dataset import BLOCK

N = BLOCK + 100
IMAGE_CLASS = Disks(size=16)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_two_files(tmp_path):
    path = write_dataset(tmp_path / "new" / "disks.npy", IMAGE_CLASS, N, seed=2**70, start=11)
    assert path == tmp_path / "new" / "disks.npy"
    assert files(path.parent) == ["disks.json", "disks.npy"]
    x = np.load(path, mmap_mode="r")
    assert x.dtype == np.float32
    assert x.shape == (N, 1, 16, 16)
    assert np.array_equal(x, IMAGE_CLASS.sample(N, seed=2**70, start=11).numpy())  # across the border of two blocks

    about = json.loads((path.parent / "disks.json").read_text())
    assert about["class"] == {"class": "Disks", "size": 16, "edge": 1.0, "jump": 0.2}
    assert (about["n"], about["seed"], about["start"], about["shape"]) == (N, 2**70, 11, [N, 1, 16, 16])
    assert about["sha256"] == hashlib.sha256(np.load(path).tobytes()).hexdigest()
    assert about["versions"] == runs.versions()


def test_parts_fit_together(tmp_path):
    whole = np.load(write_dataset(tmp_path / "whole.npy", IMAGE_CLASS, 6, seed=1))
    first = np.load(write_dataset(tmp_path / "first.npy", IMAGE_CLASS, 4, seed=1))
    rest = np.load(write_dataset(tmp_path / "rest.npy", IMAGE_CLASS, 2, seed=1, start=4))
    assert np.array_equal(np.concatenate([first, rest]), whole)


@pytest.mark.parametrize(
    "image_class", [CAlpha(1.5, size=8), Photographs(size=8, channels=3)], ids=["c_alpha", "colour"]
)
def test_other_classes(image_class, tmp_path):
    path = write_dataset(str(tmp_path / "x.npy"), image_class, 3)
    assert np.array_equal(np.load(path), image_class.sample(3).numpy())
    assert json.loads((tmp_path / "x.json").read_text())["class"] == runs.describe(image_class)


@pytest.mark.parametrize("there", ["disks.npy", "disks.json"])
def test_nothing_is_overwritten(there, tmp_path):
    (tmp_path / there).write_text("precious")
    with pytest.raises(
        FileExistsError, match=f"{there} exists and is not overwritten; remove it or choose another name"
    ):
        write_dataset(tmp_path / "disks.npy", IMAGE_CLASS, 2)
    assert files(tmp_path) == [there]
    assert (tmp_path / there).read_text() == "precious"


@pytest.mark.parametrize("name", ["disks.npz", "disks", "disks.npy.gz", "npy"])
def test_other_endings_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match=r"path must name a .npy file, got"):
        write_dataset(tmp_path / name, IMAGE_CLASS, 2)
    assert files(tmp_path) == []


def test_bad_numbers_are_refused(tmp_path, unchecked):
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 0)
    with pytest.raises(ValueError, match="seed must be between 0 and"):
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 2, seed=-1)
    with pytest.raises(ValueError, match="start must be between 0 and"):
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 2, start=-1)
    assert files(tmp_path) == []


class Fragile:
    """Fails after the first block."""

    def sample(self, n, seed=0, start=0):
        if start >= BLOCK:
            raise RuntimeError("the generator broke")
        return torch.zeros(n, 1, 2, 2)


def test_an_error_in_the_first_block_leaves_nothing(tmp_path):
    class Broken:
        def sample(self, n, seed=0, start=0):
            if n > 1:
                raise RuntimeError("the generator broke")
            return torch.zeros(n, 1, 2, 2)

    with pytest.raises(RuntimeError, match="the generator broke"):
        write_dataset(tmp_path / "new" / "deep" / "x.npy", Broken(), 5)
    assert files(tmp_path) == []


def test_an_error_keeps_the_finished_blocks(tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    with pytest.raises(RuntimeError, match="the generator broke") as caught:
        write_dataset(path, Fragile(), 2 * BLOCK)
    assert caught.value.__notes__ == [f"1 of 2 blocks of {path} are kept; the same call goes on from here"]
    assert files(tmp_path) == [".x.npy.partial", ".x.npy.partial.json"]
    drawn = []

    def sample(self, n, seed=0, start=0):
        if seed == 0:  # other seeds are looks at what the class is
            drawn.append((start, n))
        return torch.full((n, 1, 2, 2), float(start >= BLOCK))

    monkeypatch.setattr(Fragile, "sample", sample)  # mended
    write_dataset(path, Fragile(), 2 * BLOCK)
    assert drawn == [(0, 1), (BLOCK, BLOCK)]
    assert np.load(path).sum(axis=(1, 2, 3)).tolist() == [0] * BLOCK + [4] * BLOCK
    assert files(tmp_path) == ["x.json", "x.npy"]


class Grey:
    def __init__(self, value):
        self.value = value

    def sample(self, n, *, seed=0, start=0):
        return torch.full((n, 1, 4, 4), self.value)


@pytest.mark.parametrize("wrap", [lambda image_class: image_class, gt.Shuffled], ids=["bare", "shuffled"])
def test_own_classes_of_one_name_are_not_each_other(wrap, tmp_path):
    path = tmp_path / "x.npy"
    assert float(gt.dataset(path, wrap(Grey(0.25)), 3).images().mean()) == 0.25
    with pytest.raises(FileExistsError, match=r"holds other images \(class"):
        gt.dataset(path, wrap(Grey(0.75)), 3)
    assert float(gt.dataset(path, wrap(Grey(0.25)), 3).images().mean()) == 0.25


def test_photographs_of_a_changed_folder_are_other_images(tmp_path):
    from PIL import Image

    (tmp_path / "photographs").mkdir()
    for value in (51, 204):
        Image.fromarray(np.full((32, 32), value, dtype=np.uint8)).save(tmp_path / "photographs" / "a.png")
        images = gt.Photographs(tmp_path / "photographs", size=16)
        if value == 51:
            assert float(gt.dataset(tmp_path / "x.npy", images, 3).images().mean()) == pytest.approx(0.2)
        else:
            with pytest.raises(FileExistsError, match=r"holds other images \(class"):
                gt.dataset(tmp_path / "x.npy", images, 3)


def test_a_failing_write_leaves_no_file(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(OSError, match="the disk is full"):
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 2)
    assert files(tmp_path) == []


def test_too_little_space_is_seen_before_the_work(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=2047))
    with pytest.raises(
        OSError, match=r"2 images of shape \(1, 16, 16\) need 2,048 bytes, and .* has 2,047 left"
    ) as caught:
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 2)
    assert caught.value.errno == errno.ENOSPC
    assert files(tmp_path) == []


def test_unwritable_places_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot create .*file/deep: Not a directory; choose another place"):
        write_dataset(tmp_path / "file" / "deep" / "x.npy", IMAGE_CLASS, 2)
