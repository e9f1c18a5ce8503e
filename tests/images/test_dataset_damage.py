"""Datasets on hard days: cut and damaged files, full and read-only disks, two writers, classes that violate the interface."""

import errno
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.images import unfinished, write_dataset
from gahb_theory.images.dataset import BLOCK

IMAGE_CLASS = gt.Disks(size=16)
N = 3 * BLOCK + 7


def files(folder):
    return sorted(path.name for path in folder.iterdir())


class Stop(BaseException):
    """As a kill."""


class Stopping(gt.Disks):
    def sample(self, n, *, seed=0, start=0, dtype=torch.float32):
        if start >= 2 * BLOCK:
            raise Stop
        return super().sample(n, seed=seed, start=start, dtype=dtype)


Stopping.__name__, Stopping.__module__ = "Disks", gt.Disks.__module__  # to the library it is the class itself


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("whole") / "x.npy", IMAGE_CLASS, N).read_bytes()


@pytest.fixture
def begun(tmp_path):
    """A dataset of which two blocks of four are done."""
    path = tmp_path / "x.npy"
    with pytest.raises(Stop):
        write_dataset(path, Stopping(size=16), N)
    return path


def cut(data, record):
    os.truncate(data, 1000)


def cut_within_a_block(data, record):
    os.truncate(data, 128 + BLOCK * 1024 + 5000)


def empty(data, record):
    os.truncate(data, 0)


def longer(data, record):
    os.truncate(data, data.stat().st_size + 4096)


def hole(data, record):
    with data.open("r+b") as file:
        file.seek(128 + 77 * 1024)
        file.write(bytes(4096))


def header(data, record):
    with data.open("r+b") as file:
        file.write(b"\0" * 60)


def gone(data, record):
    data.unlink()


def no_record(data, record):
    record.unlink()


@pytest.mark.parametrize("damage", [cut, cut_within_a_block, empty, longer, hole, header, gone, no_record])
def test_damaged_data_is_drawn_again(damage, begun, whole):
    damage(begun.with_name(".x.npy.partial"), begun.with_name(".x.npy.partial.json"))
    write_dataset(begun, IMAGE_CLASS, N)
    assert begun.read_bytes() == whole
    assert files(begun.parent) == ["x.json", "x.npy"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "\0\0\0", '{"plan": {}}', '{"plan": {}, "done": [0]}', '{"plan": 3, "done": {}}'],
)
def test_a_damaged_record_is_set_aside(text, begun, whole):
    begun.with_name(".x.npy.partial.json").write_text(text)
    with pytest.warns(UserWarning, match=r"\.x\.npy\.partial\.json is damaged .* the images are drawn anew"):
        write_dataset(begun, IMAGE_CLASS, N)
    assert begun.read_bytes() == whole
    assert files(begun.parent) == ["x.json", "x.npy"]


@pytest.mark.parametrize("text", ["", "{", "[1]", None])
def test_the_record_of_a_finished_file_is_written_again(text, tmp_path):
    data = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 100, seed=3)
    record = tmp_path / "x.json"
    before = record.read_text()
    record.unlink() if text is None else record.write_text(text)
    with pytest.raises(ValueError, match=r"x\.json is (damaged|missing)"):
        _ = data.about
    assert len(gt.dataset(tmp_path / "x.npy")) == 100  # nothing is in the way of the images
    with pytest.raises(FileExistsError, match="holds other images than those asked for"):
        gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 100, seed=4)
    if text is None:
        gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 100, seed=3)
    else:
        with pytest.warns(UserWarning, match=r"x\.json is damaged .* the record is written anew"):
            gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 100, seed=3)
    assert record.read_text() == before


def test_what_killed_writers_left_is_collected(begun):
    stale = [".x.json.123.partial", "..x.npy.partial.json.77-host.partial"]
    for name in (*stale, ".y.json.123.partial"):
        begun.with_name(name).write_bytes(b"half")
    write_dataset(begun, IMAGE_CLASS, N)
    assert files(begun.parent) == [".y.json.123.partial", "x.json", "x.npy"]


def test_two_writers_at_once(tmp_path):
    """Both ask for the same images: one writes them, the other waits and opens them."""
    drawn, opened = [], []
    inside = threading.Barrier(2, timeout=30)

    class Watched(gt.Disks):
        def sample(self, n, *, seed=0, start=0, dtype=torch.float32):
            drawn.append((start, n))
            return super().sample(n, seed=seed, start=start, dtype=dtype)

    def work():
        inside.wait()
        opened.append(gt.dataset(tmp_path / "x.npy", Watched(size=16), 2 * BLOCK))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [len(data) for data in opened] == [2 * BLOCK] * 2
    assert sorted(block for block in drawn if block[1] == BLOCK) == [(0, BLOCK), (BLOCK, BLOCK)]
    assert files(tmp_path) == ["x.json", "x.npy"]


def test_a_lock_is_let_go(tmp_path):
    path = tmp_path / "x.npy"
    path.with_name(".x.npy.lock").write_text("")  # as a killed writer leaves it
    with unfinished.locked(path):
        assert path.with_name(".x.npy.lock").exists()
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EDQUOT])
def test_a_failing_disk_names_its_file_and_keeps_what_is_done(number, tmp_path, monkeypatch):
    path = tmp_path / "x.npy"
    fsync, calls = os.fsync, []

    def failing(descriptor):
        calls.append(descriptor)
        if len(calls) == 4:  # the record, the first block, its note, then the second block
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match=r"cannot write .*\.x\.npy\.partial") as caught:
            write_dataset(path, IMAGE_CLASS, N)
    assert caught.value.errno == number
    assert caught.value.__notes__ == [f"1 of 4 blocks of {path} are kept; the same call goes on from here"]
    write_dataset(path, IMAGE_CLASS, N)
    assert torch.equal(gt.dataset(path).images(), IMAGE_CLASS.sample(N))


LIMITED = """
import resource, sys
import gahb_theory as gt
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
try:
    gt.dataset(sys.argv[1], gt.Disks(16), 1543)
except OSError as error:
    print(error.errno, error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(gt.dataset(sys.argv[1], gt.Disks(16), 1543).sha256 == gt.dataset(sys.argv[1]).about["sha256"])
"""


def test_a_limit_of_the_system_names_its_file_and_is_no_obstacle_later(tmp_path):
    path = tmp_path / "x.npy"
    printed = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    ).stdout
    assert printed == f"{errno.EFBIG} cannot write {path.with_name('.x.npy.partial')}: File too large\nTrue\n"


def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    opened = os.open

    def read_only(path, *arguments):
        if str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments)

    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(PermissionError, match=f"cannot write into {tmp_path}: Permission denied; choose another place"):
        write_dataset(tmp_path / "x.npy", IMAGE_CLASS, 2)
    assert files(tmp_path) == []


def test_a_folder_that_disappears_is_named(tmp_path):
    class Removing(gt.Disks):
        def sample(self, n, *, seed=0, start=0, dtype=torch.float32):
            if n > 1:
                (tmp_path / "d").rename(tmp_path / "e")
            return super().sample(n, seed=seed, start=start, dtype=dtype)

    Removing.__module__ = gt.Disks.__module__  # its fields say what it is, and no image is drawn for that
    with pytest.raises(OSError, match=r"cannot write .*/d/\.x\.npy\.partial: No such file"):
        write_dataset(tmp_path / "d" / "x.npy", Removing(size=16), 5)


class Given:
    """A class that returns what it is asked for."""

    def __init__(self, first, later):
        self.first, self.later = first, later

    def sample(self, n, seed=0, start=0):
        make = self.later if start >= BLOCK else self.first
        return make(n)


def zeros(*shape, dtype=torch.float32):
    return lambda n: torch.zeros(n, *shape, dtype=dtype)


@pytest.mark.parametrize(
    ("image_class", "error", "message"),
    [
        (Given(zeros(1, 4, 4), lambda n: torch.full((n, 1, 4, 4), torch.nan)), ValueError, "must be finite"),
        (Given(zeros(1, 4, 4), lambda n: torch.zeros(n - 1, 1, 4, 4)), ValueError, r"must return 100 images, got 99"),
        (Given(zeros(1, 4, 4), lambda n: torch.zeros(n + 1, 1, 4, 4)), ValueError, r"must return 100 images, got 101"),
        (Given(zeros(1, 4, 4), zeros(1, 4, 5)), ValueError, "images of one shape and type"),
        (Given(zeros(1, 4, 4), zeros(1, 4, 4, dtype=torch.float64)), ValueError, "images of one shape and type"),
        (Given(zeros(1, 4, 4), zeros(1, 4, 4, dtype=torch.uint8)), TypeError, "must be floating point"),
        (Given(zeros(1, 4, 4), lambda n: None), TypeError, "must be a torch tensor"),
        (Given(*2 * [lambda n: torch.full((n, 1, 4, 4), torch.inf)]), ValueError, "must be finite"),
        (Given(*2 * [lambda n: torch.full((n, 1, 4, 4), 1e60, dtype=torch.float64)]), ValueError, "rounded to float32"),
        (Given(*2 * [lambda n: torch.zeros(n + 1, 1, 4, 4)]), ValueError, "must return 1 images, got 2"),
        (Given(*2 * [lambda n: torch.zeros(n, 4, 4)]), ValueError, r"must have shape \(batch, channels"),
    ],
)
def test_broken_promises_of_a_class_are_never_written(image_class, error, message, tmp_path, unchecked):
    path = tmp_path / "x.npy"
    with pytest.raises(error, match=message):
        write_dataset(path, image_class, BLOCK + 100)
    assert not path.exists()
    record = path.with_name(".x.npy.partial.json")
    assert not record.exists() or list(json.loads(record.read_text())["done"]) == ["0"]


def test_intensities_up_to_255_do_not_become_white(tmp_path):
    bright = Given(*2 * [lambda n: torch.full((n, 1, 4, 4), 200.0)])
    with pytest.raises(ValueError, match=r"must lie about \[0, 1\] to be stored as uint8, got 200"):
        write_dataset(tmp_path / "x.npy", bright, 3, dtype="uint8")
    assert files(tmp_path) == []


def test_numpy_numbers(tmp_path, unchecked):
    data = gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, np.int64(5), seed=np.int32(2), start=np.uint8(3))
    assert torch.equal(data.images(), IMAGE_CLASS.sample(5, seed=2, start=3))
    assert data.about["seed"] == 2


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((6, 1, 8, 8)), "must hold float32 or uint8, got float64; convert"),
        (np.zeros((6, 1, 8, 8), np.uint16), "must hold float32 or uint8, got uint16; convert"),
        (np.zeros((6, 1, 8, 8), np.float16), "must hold float32 or uint8, got float16; convert"),
        (np.zeros((6, 1, 8, 8), ">f4"), "must hold float32 or uint8, got >f4; convert"),
        (np.zeros((6, 16, 16, 3), np.uint8), r"seems to be \(n, height, width, channels\); np.save"),
        (np.zeros((6, 16, 16), np.uint8), r"must have shape \(n, channels, height, width\)"),
        (np.zeros((0, 1, 8, 8), np.float32), r"must have shape \(n, channels, height, width\)"),
        (np.full((6, 1, 8, 8), np.nan, np.float32), "must be finite"),
        (np.full((6, 1, 8, 8), 200, np.float32), r"must lie about \[0, 1\], got 200 to 200"),
        (np.array([{"a": 1}], dtype=object), "damaged or no array of numbers"),
    ],
)
def test_arrays_of_others_that_are_no_images_are_refused(array, message, tmp_path):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ValueError, match=message):
        gt.dataset(tmp_path / "x.npy")


def test_arrays_of_others_that_are_images_are_opened(tmp_path, monkeypatch):
    x = IMAGE_CLASS.sample(4).numpy()
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", np.asfortranarray((255 * x).astype(np.uint8)))
    monkeypatch.chdir(tmp_path)
    data, bytes_ = gt.dataset("x.npy"), gt.dataset("y.npy")
    monkeypatch.chdir("/")  # a relative path is that of the call
    assert np.array_equal(data.images().numpy(), x)
    assert np.abs(bytes_.images().numpy() - x).max() <= 1 / 255


def test_a_cut_finished_file_is_named(tmp_path):
    gt.dataset(tmp_path / "x.npy", IMAGE_CLASS, 5)
    os.truncate(tmp_path / "x.npy", 3000)
    with pytest.raises(ValueError, match=r"x\.npy is damaged or no array of numbers"):
        len(gt.dataset(tmp_path / "x.npy"))


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError, match=r"no dataset at .*x\.npy"):
        gt.dataset(tmp_path / "x.npy")
    gt.dataset(tmp_path / "y.npy", IMAGE_CLASS, 5)
    (tmp_path / "y.json").unlink()
    os.mkfifo(tmp_path / "y.json")
    with pytest.raises(ValueError, match="missing or no regular file"):
        _ = gt.dataset(tmp_path / "y.npy").about


def test_a_pipe_among_photographs_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image \(it is no regular file\)"):
        gt.read_image(tmp_path / "a.png")
    with pytest.raises(ValueError, match="no image found in"):
        _ = gt.Photographs(tmp_path, size=8).names


@pytest.mark.parametrize("name", ["a" * 240 + ".npy", "é" * 100 + ".npy"])
def test_names_that_are_too_long_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="must have at most 180 bytes; choose a shorter one"):
        write_dataset(tmp_path / name, IMAGE_CLASS, 2)
    assert files(tmp_path) == []


@pytest.mark.parametrize("name", ["a'b\"c", "<b>x</b>", "{x}{{y}}%s", "two\nlines", "Größe é 圖", "a b"])
def test_any_other_name_is_taken(name, tmp_path):
    data = gt.dataset(tmp_path / name / f"{name.replace('/', '')}.npy", IMAGE_CLASS, 3)
    assert torch.equal(data.images(), IMAGE_CLASS.sample(3))
