"""Endless streams: fresh images of a class, or pass after pass over a set, as a pure function of the start."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset, TensorDataset

from gahb_theory.images import Disks, distinct, near_duplicates, split
from gahb_theory.images.stream import as_images, batches, image_stream, steps_together


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
    orders = {tuple(indices(image_stream(data, seed=seed), 0, 20)) for seed in range(5)}
    assert len(orders) == 5


def test_all_kinds_of_sets_give_the_same_order():
    orders = {tuple(indices(image_stream(kind(numbered(9)), seed=2), 4, 30)) for kind in KINDS.values()}
    assert len(orders) == 1


def test_positions_are_uniform():
    """Each of 4 images stands at each place of 600 passes as often, within 4 standard errors."""
    order = torch.tensor(indices(image_stream(numbered(4), seed=0), 0, 2400)).reshape(600, 4)
    for image in range(4):
        share = (order == image).double().mean(0)
        assert float((share - 0.25).abs().max()) < 4 * (0.25 * 0.75 / 600) ** 0.5


def test_a_class_gives_fresh_images():
    image_class = Disks(size=16)
    stream = image_stream(image_class, seed=2**70)
    assert torch.equal(stream(10**10, 3), image_class.sample(3, seed=2**70, start=10**10))
    assert torch.equal(torch.cat([stream(0, 2), stream(2, 3)]), stream(0, 5))


def test_bad_data_is_refused(unchecked):
    for bad in (3, iter([1]), None):
        with pytest.raises(TypeError, match=r"data must be an image class .* or a Dataset with a length, got"):
            image_stream(bad, seed=0)
    with pytest.raises(ValueError, match=r"data must have shape .*add the missing axes"):
        image_stream(torch.zeros(3, 4, 4), seed=0)
    with pytest.raises(TypeError, match=r"data must be floating point .* for 8-bit images use x.float\(\) / 255"):
        image_stream(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), seed=0)
    with pytest.raises(ValueError, match="data must hold at least one pixel"):
        image_stream(torch.zeros(0, 1, 4, 4), seed=0)
    with pytest.raises(ValueError, match="data must hold at least one image, got an empty Bare"):
        image_stream(Bare(torch.zeros(0, 1, 4, 4)), seed=0)


@pytest.mark.parametrize(
    ("items", "found"),
    [
        (numbered(3).byte(), r"torch.uint8 of shape \(1, 2, 2\)"),
        (numbered(3)[:, 0], r"torch.float32 of shape \(2, 2\)"),
        (["a", "b"], "str"),
    ],
)
def test_items_that_are_no_images_are_refused(items, found):
    stream = image_stream(Bare(items), seed=0)
    with pytest.raises(TypeError, match=rf"must be a floating-point tensor \(channels, height, width\).* got {found}"):
        stream(0, 1)


@SETS
def test_sets_are_read_alike_everywhere(kind):
    """Items with labels too: the first image comes again as the last but one."""
    x = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x[4] = 0.5 * x[0] + 0.1
    assert torch.equal(as_images(kind(x)), x)
    assert near_duplicates(kind(x)).pairs.tolist() == [[0, 4]]
    assert distinct(kind(x)).tolist() == [True] * 4 + [False, True]
    halves = split(kind(x), n=2)
    assert halves.first_indices.tolist() == [0, 1]
    assert halves.second_indices.tolist() == [3, 5]
    assert torch.equal(halves.second, x[[3, 5]])


def test_images_of_several_shapes_or_types_or_with_nan_are_refused():
    several = [torch.zeros(1, 4, 4), torch.zeros(1, 5, 4)]
    with pytest.raises(
        ValueError, match=r"all images of images must have one shape and type, got \(1, 5, 4\) of torch"
    ):
        near_duplicates(Bare(several))
    with pytest.raises(ValueError, match=r"got .* of torch.float64 at 1"):
        as_images(Bare([several[0], several[0].double()]))
    with pytest.raises(ValueError, match=r"data\[0\] must be finite, got 16 of 16"):
        image_stream(Bare([several[0] * torch.nan]), seed=0)(0, 1)


def test_what_is_no_set_of_images_is_refused(unchecked):
    for bad in ({"image": 1}, "photographs", 3, iter([1])):
        with pytest.raises(TypeError, match=r"images must be a tensor \(n, c, h, w\) or a Dataset with a length, got"):
            near_duplicates(bad)


def test_a_class_that_breaks_its_promise_is_seen_in_training():
    class Fewer:
        def sample(self, n, seed=0, start=0):
            return torch.zeros(n - 1, 1, 4, 4)

    with pytest.raises(ValueError, match=r"Fewer.sample\(3\) must return 3 images, got 2"):
        image_stream(Fewer(), seed=0)(0, 3)


@pytest.mark.parametrize("together", [1, 2, 3, 8])
@pytest.mark.parametrize("steps", [range(5), range(3, 7), range(4, 4)])
def test_batches_are_those_of_single_steps_wherever_one_begins(together, steps):
    """And the draws begin at multiples, so that a run that goes on draws the blocks that it would have drawn."""
    stream, starts = image_stream(numbered(11), seed=1), []

    def draw(start, count):
        starts.append(start)
        return stream(start, count)

    drawn = list(batches(draw, steps, 4, together=together))
    assert len(drawn) == len(steps)
    assert all(torch.equal(x, stream(4 * step, 4)) for step, x in zip(steps, drawn, strict=True))
    assert all(start % (4 * together) == 0 for start in starts)


def test_small_batches_are_drawn_together():
    assert steps_together(torch.zeros(32, 1, 16, 16)) == 8
    assert steps_together(torch.zeros(32, 1, 32, 32)) == 2
    assert steps_together(torch.zeros(32, 3, 64, 64)) == 1
    assert steps_together(torch.zeros(1, 1, 4, 4)) == 256
