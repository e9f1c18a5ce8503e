"""One identity: equal for what gives the same results, whatever it is called; refused for what cannot be seen."""

import datetime
import decimal
import enum
import fractions
import json
import os
import random
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

import gahb_theory as gt
from gahb_theory.identity.content import fingerprint, function_identity, identity
from gahb_theory.images import Disks, Photographs, Shuffled


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Plain:
    kind = "plain"

    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("__hidden", "value")

    def __init__(self, value, hidden=0):
        self.value, self.__hidden = value, hidden


class Words(str):
    """A string of a class of its own."""


def test_different_things_have_different_identities(unchecked):
    x = torch.arange(6.0).reshape(2, 3)
    things = [None, True, 1, 1.0, "1", -0.0, 0.0, float("nan"), float("inf"), "nan", 2**70, 1j, b"1", Words("1")]
    things += [x, x + 1, x.double(), x.reshape(3, 2), x.bfloat16(), x.half(), x.numpy(), x.int(), x.to(torch.complex64)]
    things += [[1, 2], [2, 1], [[1, 2]], {1, 2}, {"a": 1}, {1: "a"}, {"1": "a"}, {"class": 1}, range(3), slice(3)]
    things += [Colour.RED, Colour.BLUE, fractions.Fraction(1, 3), decimal.Decimal("0.1"), datetime.date(2024, 1, 2)]
    things += [torch.float32, torch.device("cpu"), np.datetime64("2024-01-02"), np.longdouble(1) / 3, np.array(["a"])]
    things += [Plain(1), Plain(2), Slotted(1), Slotted(2), Slotted(1, hidden=5), Disks(size=16), Disks(size=32)]
    things += [Shuffled(Disks(size=16)), Path("/no/such"), "/no/such", list(range(100)), list(range(1, 101))]
    things += [np.ma.MaskedArray([1.0, 2.0], [0, 1]), np.array([1.0, 2.0]), gt.Recipe(), gt.Recipe(seed=1)]
    prints = [fingerprint(thing) for thing in things]
    assert len(set(prints)) == len(things)
    for thing in things:
        json.dumps(identity(thing), allow_nan=False)


def test_equal_things_have_one_identity(unchecked):
    x = torch.arange(6.0).reshape(2, 3)
    same = [
        (x, x.clone().requires_grad_(), x.mT.contiguous().mT, torch.nn.Parameter(x)),
        (x.numpy(), np.asfortranarray(x.numpy()), x.numpy().astype(">f4")),
        (0.5, np.float32(0.5), np.float64(0.5)),
        (3, np.int64(3)),
        ([1, 2], (1, 2), torch.Size([1, 2])),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ({1: 2, "a": 3}, {"a": 3, 1: 2}),
        ({"x", "y"}, frozenset({"y", "x"})),
        (Disks(size=16), Disks(size=np.int64(16))),
        (Plain([1]), Plain((1,))),
    ]
    for group in same:
        assert len({fingerprint(thing) for thing in group}) == 1, group
    assert identity(Disks(size=16))["class"] == "Disks"
    assert identity(Plain(1)) == {"class": f"{__name__}.Plain", "kind": "plain", "value": 1}


def test_what_cannot_be_seen_is_refused_by_its_place():
    loop = [1]
    loop.append(loop)
    unseen = {
        "a function": lambda x: x,
        "a generator": (i for i in range(2)),
        "a lock": threading.Lock(),
        "a type": Plain,
        "a module": os,
    }
    for thing in unseen.values():
        with pytest.raises(TypeError, match=r"config\['f'\]\[1\]\.value is a .*whose contents a hash cannot see"):
            identity({"f": [0, Plain(thing)]}, "config")
    with pytest.raises(TypeError, match="contains itself"):
        identity(loop)
    with pytest.raises(TypeError, match="array of objects"):
        identity(np.array([object()], dtype=object))
    with pytest.raises(TypeError, match=r"sparse .* to_dense"):
        identity(torch.eye(2).to_sparse())
    with pytest.raises(TypeError, match="meta tensor"):
        identity(torch.zeros(2, device="meta"))
    with pytest.raises(TypeError, match="a BufferedWriter"), Path(os.devnull).open("wb") as file:
        identity(file)


def test_random_generators_are_known_by_their_state():
    a, b = random.Random(0), random.Random(0)
    assert fingerprint(a) == fingerprint(b)
    a.random()
    assert fingerprint(a) != fingerprint(b)


def test_what_a_dataclass_does_not_compare_does_not_count():
    @dataclass
    class Job:
        x: int
        place: str = field(default="", compare=False)

        @cached_property
        def square(self):
            return self.x**2

    one, other = Job(2, "here"), Job(2, "there")
    assert one.square == 4  # kept in the object from here on
    assert fingerprint(one) == fingerprint(other) != fingerprint(Job(3))


def defined(factor):
    @dataclass
    class Config:
        x: int

        def value(self):
            return factor * self.x

    return Config


def test_local_classes_of_one_name_are_told_apart_by_their_methods():
    assert fingerprint(defined(2)(1)) == fingerprint(defined(2)(1)) != fingerprint(defined(3)(1))


# image classes


def image_class(level, *, mirrored=False):
    class Images:
        def sample(self, n, seed=0, start=0):
            ramp = torch.linspace(0, level, 64).reshape(1, 1, 8, 8).expand(n, -1, -1, -1)
            return ramp.flip(-1) if mirrored else ramp

    return Images()


def test_image_classes_of_one_name_are_told_apart_by_their_images():
    prints = [fingerprint(X) for X in (image_class(0.5), image_class(0.51), image_class(0.5, mirrored=True))]
    assert len(set(prints)) == 3
    assert fingerprint(image_class(0.5)) == prints[0]


def test_rounding_of_another_processor_changes_no_identity():
    g = torch.Generator().manual_seed(0)
    x = torch.rand(4, 1, 32, 32, generator=g)

    class Images:
        def __init__(self, x):
            self._x = x

        def sample(self, n, seed=0, start=0):
            return self._x[:n]

    near = x * (1 + 1e-7 * torch.randn(x.shape, generator=g))
    assert not torch.equal(near, x)
    assert fingerprint(Images(near)) == fingerprint(Images(x))
    assert fingerprint(Images(x + 0.01)) != fingerprint(Images(x))


def test_attributes_of_image_classes_count_where_they_can_be_seen():
    class Images:
        def __init__(self, tail, how):
            self.tail, self.how = tail, how

        def sample(self, n, seed=0, start=0):
            return torch.full((n, 1, 8, 8), 0.5 if start < 1000 else self.tail)

    lock = threading.Lock()
    assert fingerprint(Images(0.1, lock)) != fingerprint(Images(0.2, lock)), "the sample alone does not show it"
    assert fingerprint(Images(0.1, lock)) == fingerprint(Images(0.1, print))


# datasets


class Own(Dataset):
    def __init__(self, level, n=6):
        self.level, self.n = level, n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return torch.full((1, 8, 8), self.level), index


def test_datasets_are_known_by_their_items(tmp_path):
    x = Disks(size=16).sample(12)
    whole = TensorDataset(x)
    gt.dataset(tmp_path / "a.npy", Disks(size=16), 12)
    gt.dataset(tmp_path / "b.npy", Disks(size=16), 12)
    gt.dataset(tmp_path / "c.npy", Disks(size=16), 12, seed=1)
    files = [gt.dataset(tmp_path / f"{name}.npy") for name in "abc"]
    different = [Own(0.1), Own(0.2), Own(0.1, 7), whole, Subset(whole, range(6)), Subset(whole, range(6, 12))]
    different += [TensorDataset(x, torch.zeros(12)), TensorDataset(x, torch.ones(12)), ConcatDataset([whole, whole])]
    different += [files[0], files[2], *files[0].split()]
    assert len({fingerprint(data) for data in different}) == len(different)
    assert fingerprint(files[0]) == fingerprint(files[1]), "the place does not count"
    assert fingerprint(Subset(whole, range(6))) == fingerprint(Subset(TensorDataset(x.clone()), list(range(6))))


def test_of_a_large_dataset_items_at_equal_distances_and_all_numbers_count():
    x = torch.zeros(5000, 1, 2, 2)
    before = fingerprint(TensorDataset(x))
    x[4999] = 1
    last = fingerprint(TensorDataset(x))
    x[2] = 1  # no item that is looked at
    assert len({before, last, fingerprint(TensorDataset(x))}) == 3
    assert fingerprint(Own(0.1, 3000)) != fingerprint(Own(0.1, 3001))


class Files(Dataset):
    def __init__(self, files):
        self.files = [(str(file), 0) for file in files]

    def __len__(self):
        return 3000

    def __getitem__(self, index):
        return torch.zeros(1, 2, 2)


def test_of_a_large_dataset_of_files_their_names_and_sizes_count_and_not_their_places(tmp_path):
    found = set()
    for place, names, length in (("a", "xy", 3), ("b", "xy", 3), ("c", "xz", 3), ("d", "xy", 4)):
        (tmp_path / place).mkdir()
        for name in names:
            (tmp_path / place / name).write_bytes(b"0" * length)
        found.add(fingerprint(Files(tmp_path / place / name for name in names)))
        if place == "b":
            assert len(found) == 1
    assert len(found) == 3


def test_items_that_change_from_call_to_call_are_refused():
    class Augmented(Own):
        def __getitem__(self, index):
            self.level += 1
            return super().__getitem__(index)

    with pytest.raises(TypeError, match=r"data\[0\] is another at each call.*a function of its index"):
        identity(Augmented(0.1), "data")


# networks, files, functions


def test_networks_are_known_by_class_structure_and_tensors():
    f, g = gt.UNet(4, 1), gt.UNet(4, 1)
    assert fingerprint(f) == fingerprint(g)
    buffer = next(g.buffers())
    buffer += 1
    different = [f, g, gt.UNet(4, 1, seed=1), f.double(), gt.adapt(f), gt.adapt(f, gt.Convention(high=255.0))]
    with torch.random.fork_rng():
        conv = [torch.nn.Conv2d(1, 1, 3, padding=1, padding_mode=mode, bias=False) for mode in ("zeros", "circular")]
    for c in conv:
        torch.nn.init.ones_(c.weight)
    assert len({fingerprint(thing) for thing in (*different[:1], *different[2:], *conv, g)}) == 7


def test_files_are_known_by_their_bytes_wherever_they_lie(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "x.bin").write_bytes(b"1" if name != "c" else b"2")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "b" / ".DS_Store").write_bytes(b"hidden")
    monkeypatch.chdir(tmp_path)
    paths = [tmp_path / "a", Path("a"), tmp_path / "b", tmp_path / "link", Path("b/../a")]
    assert len({fingerprint(path) for path in paths}) == 1
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "c")
    before = fingerprint(tmp_path / "a")
    (tmp_path / "a" / "deep" / "x.bin").write_bytes(b"3")
    assert fingerprint(tmp_path / "a") != before, "of the same name and size"
    (tmp_path / "a" / "deep" / "back").symlink_to(tmp_path / "a")
    fingerprint(tmp_path / "a")  # a link that leads back ends
    image_classes = [Photographs(folder) for folder in (tmp_path / "b", str(tmp_path / "b"), "b", tmp_path / "c")]
    assert len({fingerprint(photographs) for photographs in image_classes[:3]}) == 1
    assert fingerprint(image_classes[2]) != fingerprint(image_classes[3])


def test_functions_are_known_by_what_they_do():
    names = {"__name__": "notebook"}
    sources = ["return x + 1", "return x + 2", "return [i + 1 for i in x]", "return [i + 2 for i in x]"]
    sources += ["return x in {1, 2, 'a'}", "def g():\n        return 1\n    return g"]
    found = []
    for source in sources:
        exec(f"def f(x, y=1):\n    {source}", names)
        found.append(json.dumps(function_identity(names["f"])))
        exec(f"\n\ndef f(x, y=1):\n    # elsewhere\n    {source}", names)
        assert json.dumps(function_identity(names["f"])) == found[-1]
    exec("def f(x, y=2):\n    return x + 1", names)
    found.append(json.dumps(function_identity(names["f"])))
    assert len(set(found)) == len(found)
    assert function_identity(gt.psnr) == {"function": "gahb_theory.metrics.errors.psnr"}
