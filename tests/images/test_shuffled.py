"""One fixed permutation of the pixels: a bijection, and nothing else changes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb_theory.images import CAlpha, Disks, Photographs, Shuffled


@settings(max_examples=20, deadline=None)
@given(pixels=st.integers(1, 5000), seed=st.integers(0, 2**128 - 1))
def test_the_permutation_is_a_bijection(pixels, seed):
    order = Shuffled(Disks(), seed=seed).permutation(pixels)
    assert torch.equal(order.sort().values, torch.arange(pixels))
    assert torch.equal(order, Shuffled(CAlpha(), seed=seed).permutation(pixels))  # it depends on the seed alone


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 3), c=st.integers(1, 3), h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 99))
def test_unshuffle_is_the_inverse(n, c, h, w, seed):
    x = torch.arange(float(n * c * h * w)).reshape(n, c, h, w)
    image_class = Shuffled(Disks(), seed=seed)
    assert torch.equal(image_class.unshuffle(image_class.shuffle(x)), x)
    assert torch.equal(image_class.shuffle(image_class.unshuffle(x)), x)
    assert torch.equal(image_class.shuffle(x).flatten(2), x.flatten(2)[:, :, image_class.permutation(h * w)])


def test_the_histogram_is_kept_and_the_geometry_is_not():
    image_class = Shuffled(CAlpha(2.0, size=16), seed=1)
    scene = image_class.scene(4, seed=2, start=3)
    assert torch.equal(scene.images.flatten(1).sort(1).values, scene.originals.flatten(1).sort(1).values)
    rough = scene.images.diff(dim=3).abs().mean() / scene.originals.diff(dim=3).abs().mean()
    assert float(rough) > 3


def test_the_scene_holds_the_images_before():
    image_class = Shuffled(Disks(size=16), seed=1)
    scene = image_class.scene(3, seed=5, start=7)
    assert torch.equal(scene.originals, Disks(size=16).sample(3, seed=5, start=7))
    assert torch.equal(scene.images, image_class.sample(3, seed=5, start=7))
    assert torch.equal(image_class.unshuffle(scene.images), scene.originals)


def test_every_image_and_every_channel_is_permuted_alike():
    image_class = Shuffled(Photographs(size=16, channels=3), seed=4)
    scene = image_class.scene(3, seed=0)
    order = image_class.permutation(256)
    for image, original in zip(scene.images, scene.originals, strict=True):
        for channel in range(3):
            assert torch.equal(image[channel].flatten(), original[channel].flatten()[order])


def test_permutations_differ_by_their_seed():
    orders = [Shuffled(Disks(), seed=seed).permutation(64) for seed in (0, 1, 2**64, 2**100)]
    assert len({tuple(order.tolist()) for order in orders}) == 4


def test_what_theory_says_is_what_it_says_of_the_class_before():
    assert Shuffled(Disks()).dimension == 5
    assert Shuffled(CAlpha(2.0)).optimal_slope == pytest.approx(2 / 3)
    assert Shuffled(Photographs()).optimal_slope is None
    assert Shuffled(Photographs()).dimension is None

    class Bare:
        def sample(self, n, seed=0, start=0):
            return torch.zeros(n, 1, 2, 2)

    assert Shuffled(Bare()).optimal_slope is None
    assert Shuffled(Bare()).dimension is None


def test_bad_parameters_are_refused(unchecked):
    with pytest.raises(TypeError, match=r"image_class must have a method sample\(n, seed=0, start=0\), got int 3"):
        Shuffled(3)
    for seed in (-1, 2**128):
        with pytest.raises(ValueError, match="seed must be between 0 and"):
            Shuffled(Disks(), seed=seed)


def test_the_dtype_is_that_of_the_class_before():
    image_class = Shuffled(CAlpha(2.0, size=16), seed=1)
    assert image_class.sample(2).dtype == torch.float32
    scene = image_class.scene(2, dtype=torch.float64)
    assert torch.equal(scene.originals, CAlpha(2.0, size=16).sample(2, dtype=torch.float64))
    assert torch.equal(image_class.sample(2, dtype=torch.float64), scene.images)

    class Bare:
        def sample(self, n, seed=0, start=0):
            return torch.zeros(n, 1, 2, 2)

    assert Shuffled(Bare()).sample(2).shape == (2, 1, 2, 2)
    with pytest.raises(TypeError, match=r"Bare\.sample takes no dtype: leave it out"):
        Shuffled(Bare()).sample(2, dtype=torch.float64)
