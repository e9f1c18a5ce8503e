"""Run directories: files whole or absent, configurations that must agree, results that come back as they were."""

import csv
import errno
import json
import os
import random
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from gahb_theory import runs, stored_results
from gahb_theory.bases import DCT, Wavelet
from gahb_theory.comparison import Method, Performance, compare
from gahb_theory.images import CAlpha, Disks, Photographs, Shuffled
from gahb_theory.metrics import Estimate
from gahb_theory.theory import SlopeFit


def names(folder):
    return sorted(path.name for path in folder.iterdir())


WRITERS = {
    "bytes": lambda path: runs.write_bytes(path, b"new"),
    "json": lambda path: runs.write_json(path, {"new": 1}),
    "csv": lambda path: runs.write_csv(path, [{"new": 1}]),
    "arrays": lambda path: stored_results.write_arrays(path, {"new": np.zeros(3)}),
}
WRITES = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS.keys())


@pytest.mark.fault("full disk", "stored results")
@WRITES
def test_a_full_disk_leaves_the_version_before(write, tmp_path, full_disk):
    path = tmp_path / "result"
    path.write_bytes(b"former")
    with pytest.raises(
        OSError, match=r"the disk is full: .*result needs [\d,]+ bytes; the version before is intact"
    ) as e:
        write(path)
    assert e.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"former"
    assert names(tmp_path) == ["result"]
    full_disk()
    assert write(path) == path
    assert path.read_bytes() != b"former"
    assert names(tmp_path) == ["result"]


@pytest.mark.fault("full disk", "stored results")
@WRITES
def test_a_full_disk_leaves_nothing_where_there_was_nothing(write, tmp_path, full_disk):
    with pytest.raises(OSError, match="the disk is full"):
        write(tmp_path / "result")
    assert names(tmp_path) == []


@pytest.mark.fault("killed in the middle", "stored results")
@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt(), SystemExit(143)], ids=repr
)
def test_any_other_end_leaves_the_version_before(error, tmp_path, monkeypatch):
    path = tmp_path / "result"
    path.write_bytes(b"former")

    def fsync(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(type(error)) as caught:
        runs.write_bytes(path, b"new")
    assert caught.value is error
    assert path.read_bytes() == b"former"
    assert names(tmp_path) == ["result"]


@pytest.mark.fault("power cut", "stored results")
def test_the_new_version_appears_only_when_it_is_on_disk(tmp_path, monkeypatch):
    path, seen, fsync = tmp_path / "result", [], os.fsync
    path.write_bytes(b"former")

    def look(descriptor):
        seen.append((path.read_bytes(), os.fstat(descriptor).st_size))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    runs.write_bytes(path, b"new content")
    assert seen == [(b"former", 11)]
    assert path.read_bytes() == b"new content"


def test_a_missing_or_impossible_folder(tmp_path):
    with pytest.raises(FileNotFoundError):
        runs.write_bytes(tmp_path / "none" / "result", b"new")
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        runs.write_bytes(tmp_path / "file" / "result", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        runs.write_bytes(tmp_path / "folder", b"new")
    assert names(tmp_path) == ["file", "folder"]


def test_json_and_csv(tmp_path):
    content = {"a": np.float32(0.5), "b": torch.arange(3), "c": np.arange(2.0), "d": Path("x/y"), "e": {"f": [1, None]}}
    path = runs.write_json(tmp_path / "a.json", content)
    assert json.loads(path.read_text()) == {"a": 0.5, "b": [0, 1, 2], "c": [0, 1], "d": "x/y", "e": {"f": [1, None]}}
    rows = [{"method": 'sym4, "oracle"', "value": 1.5}, {"method": "Hölder", "value": 1e-30}]
    path = runs.write_csv(tmp_path / "a.csv", rows)
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.DictReader(file)) == [{k: str(v) for k, v in row.items()} for row in rows]


CONFIG = {
    "command": "tour",
    "settings": {"sigma": 0.15, "seed": 1},
    "sizes": (64, 32),
    "path": Path("a/b"),
    "versions": {"torch": "1"},
}


def test_a_run_is_reopened_by_the_same_configuration(tmp_path):
    path = runs.open_run(tmp_path / "deep" / "run", CONFIG)
    assert path == tmp_path / "deep" / "run"
    before = (path / "config.json").read_bytes()
    assert json.loads(before)["settings"] == {"sigma": 0.15, "seed": 1}
    (path / "arrays.npz").write_bytes(b"kept")
    assert runs.open_run(str(path), dict(reversed(CONFIG.items()))) == path
    assert names(path) == ["arrays.npz", "config.json"]
    assert (path / "config.json").read_bytes() == before


def test_other_versions_are_no_other_configuration(tmp_path):
    runs.open_run(tmp_path, CONFIG)
    runs.open_run(tmp_path, CONFIG | {"versions": {"torch": "2"}})
    assert json.loads((tmp_path / "config.json").read_text())["versions"] == {"torch": "1"}


def test_another_configuration_is_refused_by_its_differing_entries(tmp_path):
    runs.open_run(tmp_path, CONFIG)
    other = CONFIG | {"command": "analyze", "settings": {"sigma": 0.2, "seed": 1}, "extra": 3}
    with pytest.raises(FileExistsError) as caught:
        runs.open_run(tmp_path, other)
    message = caught.value.strerror
    assert "holds a run of another configuration" in message
    assert message.endswith("choose another directory")
    assert "command: 'tour' there, 'analyze' now" in message
    assert "extra: None there, 3 now" in message
    assert "settings.sigma: 0.15 there, 0.2 now" in message
    assert "seed" not in message, "only what differs"
    assert "sizes" not in message and "path" not in message and "versions" not in message
    assert json.loads((tmp_path / "config.json").read_text())["command"] == "tour"


@pytest.mark.fault("corrupted file", "stored results")
@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", b"[1, 2]", b"null"], ids=repr)
def test_a_damaged_configuration_is_named(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"config.json is not valid JSON \(.*\); remove the directory or choose another"
    ):
        runs.open_run(tmp_path, CONFIG)
    assert (tmp_path / "config.json").read_bytes() == content


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "run", tmp_path / "file"):
        with pytest.raises(OSError, match=r"cannot create the run directory .*file.*: .*; choose another"):
            runs.open_run(path, CONFIG)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # whoever runs the tests may be root
    with pytest.raises(PermissionError, match=r"the run directory .*run is not writable; choose another"):
        runs.open_run(tmp_path / "run", CONFIG)


def test_a_full_disk_at_the_start_of_a_run(tmp_path, full_disk):
    with pytest.raises(OSError, match="the disk is full"):
        runs.open_run(tmp_path / "run", CONFIG)
    assert names(tmp_path / "run") == []
    full_disk()
    runs.open_run(tmp_path / "run", CONFIG)


def equal(a, b):
    if is_dataclass(a):
        return type(a) is type(b) and all(equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    return type(a) is type(b) and (a == b or (a != a and b != b))  # NaN where there is no interval


def comparison():
    """With results inside, and with None where no noise level was given."""
    x = CAlpha(size=16).sample(1, seed=1)
    return compare(Wavelet("db2"), DCT(), x)


def performance():
    rng = np.random.default_rng(1)

    def method(kind, basis):
        estimate = Estimate(rng.random(2), rng.random(2), rng.random(2), np.array([np.nan, 0.1]), 0.95, "bootstrap")
        return Method(kind, basis, estimate, SlopeFit(0.6, 0.5, 0.7, 0.05, 0.95, "bootstrap", 1.0, (0.05, 0.5), 2))

    return Performance(
        sigmas=np.array([0.1, 0.2]),
        window=(0.05, 0.5),
        images=64,
        methods={"denoiser": method("denoiser", None), "a/b%2F_oracle": method("oracle", "a/b%2F")},
    )


@dataclass(frozen=True)
class Simple:
    """Every kind of field a result may have."""

    number: float
    count: int
    flag: bool
    name: str
    nothing: dict
    array: np.ndarray
    array_more: np.ndarray
    table: dict
    table_more: dict


RESULTS = {
    "comparison": comparison,
    "performance": performance,
    "simple": lambda: Simple(
        0.5,
        3,
        True,
        "sym4",
        {},
        np.arange(6).reshape(2, 3),
        np.zeros((0, 2), dtype=np.float32),
        {},
        {"a/b": 1.5, "": 2},
    ),
}


@pytest.mark.parametrize("make", RESULTS.values(), ids=RESULTS.keys())
def test_results_come_back_as_they_were(make, tmp_path):
    result = make()
    stored = stored_results.to_arrays(result, "photographs/reading") | stored_results.to_arrays(
        result, "photographs/reading2"
    )
    stored = stored_results.read_arrays(stored_results.write_arrays(tmp_path / "arrays.npz", stored))
    for prefix in ("photographs/reading", "photographs/reading2"):
        back = stored_results.from_arrays(type(result), stored, prefix)
        for field in fields(result):
            a, b = getattr(result, field.name), getattr(back, field.name)
            if isinstance(a, dict) and any(isinstance(v, float) for v in a.values()):
                assert list(a) == list(b)
                np.testing.assert_equal(list(b.values()), list(a.values()))
            else:
                assert equal(a, b), field.name


def test_tensors_and_lists_are_stored_as_arrays(tmp_path):
    given = {"a": torch.ones(2, requires_grad=True), "b": [1, 2], "c": 3.5}
    back = stored_results.read_arrays(stored_results.write_arrays(tmp_path / "x.npz", given))
    assert back["a"].tolist() == [1, 1] and back["b"].tolist() == [1, 2] and back["c"] == 3.5
    with pytest.raises(ValueError, match="pickle"):  # nothing is ever pickled
        stored_results.write_arrays(tmp_path / "y.npz", {"a": np.array([None])})
    assert names(tmp_path) == ["x.npz"]


def test_no_arrays_where_there_is_no_file(tmp_path):
    assert stored_results.read_arrays(tmp_path / "none.npz") == {}


@pytest.mark.fault("corrupted file", "stored results")
def test_damaged_arrays_are_named(tmp_path):
    """Cut anywhere, or with any bytes changed: the values, or a message that names the file; never other values."""
    path = tmp_path / "arrays.npz"
    arrays = {"x/y": np.random.default_rng(0).random(40), "z": np.array(3)}
    good = stored_results.write_arrays(path, arrays).read_bytes()
    draw, refused = random.Random(0), 0
    damaged = [good[:cut] for cut in range(0, len(good), 15)] + [b"text", b"\x93NUMPY"]
    for _ in range(250):
        content = bytearray(good)
        content[draw.randrange(len(good))] ^= draw.randrange(1, 256)
        damaged.append(bytes(content))
    np.save(path.with_suffix(".npy"), np.arange(3))
    damaged.append(path.with_suffix(".npy").read_bytes())
    for content in damaged:
        path.write_bytes(content)
        try:
            found = stored_results.read_arrays(path)
        except ValueError as error:
            assert "arrays.npz is damaged" in str(error) and "remove it and run the same command again" in str(error)
            refused += 1
        else:
            assert all(np.array_equal(found[name], arrays[name]) for name in found)
    assert refused > 0.6 * len(damaged)


def test_fingerprints_see_values_dtype_and_shape():
    x = torch.arange(6.0).reshape(2, 3)
    distinct = [x, x + 1e-6 * torch.eye(2, 3), x.double(), x.reshape(3, 2), x.flatten(), x.mT.contiguous(), x[:1], -x]
    distinct += [x.half(), x.int(), torch.tensor(1.0), torch.tensor([1.0]), torch.tensor([[1.0]]), torch.tensor([-0.0])]
    distinct += [torch.tensor([0.0]), torch.zeros(0), torch.zeros(0, 1), torch.tensor([0], dtype=torch.int32)]
    prints = [runs.fingerprint(t) for t in distinct]
    assert len(set(prints)) == len(distinct)
    assert all(len(p) == 64 for p in prints)


def test_fingerprints_do_not_see_memory():
    x = torch.arange(6.0).reshape(2, 3)
    same = [x.clone(), x.mT.contiguous().mT, torch.arange(12.0)[::2].div(2).reshape(2, 3), x.clone().requires_grad_()]
    assert {runs.fingerprint(t) for t in same} == {runs.fingerprint(x)}
    assert runs.fingerprint(x.numpy()) == runs.fingerprint(x)


def test_descriptions_of_nested_dataclasses():
    image_class = Shuffled(CAlpha(1.5, size=16), seed=2)
    assert runs.describe(image_class) == {
        "class": "Shuffled",
        "image_class": {"class": "CAlpha"} | vars(CAlpha(1.5, size=16)),
        "seed": 2,
    }
    assert runs.describe(Photographs(folder=Path("a/b")))["folder"] == str(Path("a/b").resolve())
    x = torch.zeros(2, 3)
    described = runs.describe({"x": [x, (1, "a")], 5: None, "size": torch.Size([3])})
    assert described == {"x": [{"tensor": [2, 3], "sha256": runs.fingerprint(x)}, [1, "a"]], "5": None, "size": [3]}
    json.dumps(described)


def test_descriptions_tell_configurations_apart(unchecked):
    """Also where a number came from numpy, or an array stands in a field."""
    things = [
        Disks(size=16),
        Disks(size=32),
        np.float32(0.5),
        np.float32(0.25),
        np.int64(3),
        np.zeros(3),
        np.ones(3),
        torch.zeros(3),
        torch.float32,
        torch.float64,
        torch.device("meta"),
        [1, 2],
        [[1, 2]],
        {"a": 1},
        True,
        "True",
    ]
    texts = [json.dumps(runs.describe(thing)) for thing in things]
    assert len(set(texts)) == len(things)
    assert runs.describe(Disks(size=np.int64(16))) == runs.describe(Disks(size=16))


def test_descriptions_of_anything_else():
    class Anything:
        def __len__(self):
            return 7

    assert runs.describe(Anything()) == {"class": "Anything", "length": 7}
    assert runs.describe(lambda: 0) == {"class": "function"}


def test_versions():
    versions = runs.versions()
    assert versions["torch"] == torch.__version__
    assert versions["numpy"] == np.__version__
    assert set(versions) == {"gahb_theory", "torch", "numpy", "python", "machine"}
