"""Endless streams: fresh images of a class, or pass after pass over a set, as a pure function of the start."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, TensorDataset

from gahb_theory.images import Disks
from gahb_theory.images.stream import image_stream


def numbered(n):
    """Image i is the constant i."""
    return torch.arange(float(n)).reshape(n, 1, 1, 1).expand(n, 1, 2, 2).clone()


class Bare(Dataset):
    """Items are images."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index]


class Labelled(Bare):
    """Items are lists of an image and a label."""

    def __getitem__(self, index):
        return [self.images[index], index]


KINDS = {"tensor": lambda x: x, "bare": Bare, "labelled": Labelled, "torch": TensorDataset}
SETS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


def indices(stream, start, count):
    images = stream(start, count)
    assert images.shape == (count, 1, 2, 2)
    return images[:, 0, 0, 0].long().tolist()


@SETS
@pytest.mark.parametrize("n", [1, 5, 8])
def test_every_pass_is_a_permutation(kind, n):
    stream = image_stream(kind(numbered(n)), seed=3)
    order = indices(stream, 0, 6 * n)
    passes = [order[i : i + n] for i in range(0, 6 * n, n)]
    assert all(sorted(p) == list(range(n)) for p in passes)
    if n > 1:
        assert len({tuple(p) for p in passes}) > 1  # each in an order of its own


@SETS
@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 7), start=st.integers(0, 10**9), parts=st.lists(st.integers(1, 9), min_size=1, max_size=4))
def test_a_stream_goes_on_anywhere(kind, n, start, parts):
    data = kind(numbered(n))
    whole = indices(image_stream(data, seed=1), start, sum(parts))
    pieces, stream = [], image_stream(data, seed=1)
    for part in parts:
        pieces += indices(stream, start + len(pieces), part)
    assert pieces == whole


@SETS
def test_streams_differ_by_their_seed(kind):
    data = kind(numbered(20))
    orders = {tuple(indices(image_stream(data, seed), 0, 20)) for seed in range(5)}
    assert len(orders) == 5


def test_all_kinds_of_sets_give_the_same_order():
    orders = {tuple(indices(image_stream(kind(numbered(9)), 2), 4, 30)) for kind in KINDS.values()}
    assert len(orders) == 1


def test_positions_are_uniform():
    """Each of 4 images stands at each place of 600 passes as often, within 4 standard errors."""
    order = torch.tensor(indices(image_stream(numbered(4), 0), 0, 2400)).reshape(600, 4)
    for image in range(4):
        share = (order == image).double().mean(0)
        assert float((share - 0.25).abs().max()) < 4 * (0.25 * 0.75 / 600) ** 0.5


def test_a_class_gives_fresh_images():
    law = Disks(size=16)
    stream = image_stream(law, seed=2**70)
    assert torch.equal(stream(10**10, 3), law.sample(3, seed=2**70, start=10**10))
    assert torch.equal(torch.cat([stream(0, 2), stream(2, 3)]), stream(0, 5))


def test_bad_data_is_refused(unchecked):
    for bad in (3, iter([1]), None):
        with pytest.raises(TypeError, match=r"data must be an image class .* or a torch Dataset with a length, got"):
            image_stream(bad, 0)
    with pytest.raises(ValueError, match=r"data must have shape .*add the missing axes"):
        image_stream(torch.zeros(3, 4, 4), 0)
    with pytest.raises(TypeError, match=r"data must be floating point .* for 8-bit images use x.float\(\) / 255"):
        image_stream(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), 0)
    with pytest.raises(ValueError, match="data must hold at least one pixel"):
        image_stream(torch.zeros(0, 1, 4, 4), 0)
    with pytest.raises(ValueError, match="data must hold at least one image, got an empty Bare"):
        image_stream(Bare(torch.zeros(0, 1, 4, 4)), 0)


@pytest.mark.parametrize(
    ("items", "found"),
    [
        (numbered(3).byte(), r"torch.uint8 of shape \(1, 2, 2\)"),
        (numbered(3)[:, 0], r"torch.float32 of shape \(2, 2\)"),
        (["a", "b"], "str"),
    ],
)
def test_items_that_are_no_images_are_refused(items, found):
    stream = image_stream(Bare(items), 0)
    with pytest.raises(TypeError, match=rf"must be a floating-point tensor \(channels, height, width\).* got {found}"):
        stream(0, 1)
