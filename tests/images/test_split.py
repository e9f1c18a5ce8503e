"""Disjoint halves without near-duplicates: against the definition, at block borders, with many duplicates."""

import importlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gahb_theory as gt
from gahb_theory.images.halves import distinct, split

module = importlib.import_module("gahb_theory.images.halves")  # the function of the same name hides it


def uniform(*shape, seed=0, dtype=torch.float32):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_definition(images, threshold):
    """An image stays if none that stays before it is too similar."""
    similarity = torch.corrcoef(images.flatten(1).double())
    kept = []
    for i in range(len(images)):
        if not any(similarity[i, j] > threshold for j in kept):
            kept.append(i)
    return kept


def families(n, seed, size=6):
    """Images of a few families, whose members differ more or less."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.rand(7, 1, size, size, generator=generator)
    which = torch.randint(7, (n,), generator=generator)
    spread = 0.15 * torch.rand(n, 1, 1, 1, generator=generator)
    return centres[which] + spread * torch.randn(n, 1, size, size, generator=generator)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 1000), rows=st.sampled_from([3, 16, 1024]), columns=st.sampled_from([2, 64]))
def test_the_distinct_images_are_those_of_the_definition(seed, rows, columns):
    x = families(60, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS", rows)
        patch.setattr(module, "COLUMNS", columns)
        patch.setattr(module, "RANK", 4)
        patch.setattr(module, "FITTED", 10)
        patch.setattr(module, "PAIR_NUMBERS", 36 * 5)
        for crowded in (0.0, 0.3):  # by one product of matrices, and pair by pair
            patch.setattr(module, "CROWDED", crowded)
            keep = distinct(x, 0.9)
            assert keep.nonzero()[:, 0].tolist() == by_definition(x, 0.9)


def test_the_bound_is_a_bound_and_is_of_use():
    x = gt.CAlpha(size=32).sample(300, seed=0)
    sketches = module._sketches(x, gt.centred_unit_vectors)
    assert sketches.shape == (300, 65)
    exact = gt.centred_unit_vectors(x) @ gt.centred_unit_vectors(x).mT
    bounds = sketches @ sketches.mT
    assert float((exact - bounds).max()) < module.ROUNDING
    off = ~torch.eye(300, dtype=torch.bool)
    assert float((bounds > 0.95)[off].float().mean()) < 0.02 + float((exact > 0.95)[off].float().mean())


@pytest.mark.parametrize("crowded", [-1.0, 1.0])  # by one product of matrices, and pair by pair
def test_similarities_on_both_sides_of_the_threshold(monkeypatch, crowded):
    monkeypatch.setattr(module, "CROWDED", crowded)
    u, v = gt.centred_unit_vectors(uniform(2, 1, 8, 8, dtype=torch.float64))
    v = v - (u @ v) * u
    v = v / v.norm()
    near, far = (0.5 + (c * u + (1 - c**2) ** 0.5 * v) for c in (0.951, 0.949))  # two directions: the bound is tight
    x = torch.stack([0.5 + u, near, far]).reshape(3, 1, 8, 8)
    assert distinct(x, 0.95).tolist() == [True, False, True]


def test_copies_are_removed_and_the_halves_are_disjoint():
    x = uniform(60, 1, 8, 8)
    doubled = torch.cat([x, 0.5 * x + 0.1, x + 0.01 * uniform(60, 1, 8, 8, seed=1)])
    halves = split(doubled)
    assert halves.removed.tolist() == list(range(60, 180))
    assert halves.first_indices.tolist() == list(range(30))
    assert halves.second_indices.tolist() == list(range(30, 60))
    assert torch.equal(halves.first, doubled[:30])
    assert float(gt.closest(halves.first, halves.second).similarity.max()) < 0.95


def test_one_image_many_times():
    x = uniform(1, 1, 4, 4).expand(3000, 1, 4, 4)
    assert distinct(x).nonzero().tolist() == [[0]]


def test_smaller_halves_are_the_beginnings_and_the_ends():
    x = uniform(40, 1, 8, 8)
    small, large = split(x, n=5), split(x, n=20)
    assert torch.equal(small.first, large.first[:5])
    assert torch.equal(small.second, large.second[-5:])
    odd = split(x[:39])
    assert len(odd.first) == len(odd.second) == 19


def test_hashes_name_the_contents():
    x = uniform(20, 1, 8, 8)
    a, b = split(x, n=8), split(x, n=8)
    assert a.hashes == b.hashes
    assert a.hashes[0] != a.hashes[1]
    x[0, 0, 0, 0] += 1e-6
    assert split(x, n=8).hashes[0] != a.hashes[0]
    assert split(x, n=8).hashes[1] == a.hashes[1]
    assert len(a.hashes[0]) == 64


def test_the_convention_and_the_threshold_matter():
    x = 0.5 + 0.05 * uniform(20, 1, 8, 8, dtype=torch.float64)
    assert int(distinct(x).sum()) == 20
    assert int(distinct(x, vectors=gt.unit_vectors).sum()) == 1
    assert int(distinct(x, threshold=0.05).sum()) < 20


def test_refusals(unchecked):
    x = uniform(6, 1, 4, 4)
    with pytest.raises(
        ValueError, match="two disjoint halves of 4 images need 8 distinct ones, got 6: 0 of 6 are near"
    ):
        split(x, n=4)
    with pytest.raises(ValueError, match=r"got 1: 5 of 6 are near-duplicates at the threshold 0\.95; lower n or bring"):
        split(x[:1].expand(6, 1, 4, 4))
    with pytest.raises(ValueError, match=r"threshold must lie in \(0, 1\), got 95"):
        split(x, threshold=95.0)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        split(x, n=0)
    with pytest.raises(TypeError, match="images must be floating point"):
        split((255 * x).byte())
