"""Streams of random numbers: pure functions of (seed, index, component), with the right distributions."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb_theory.randomness import (
    Component,
    add_noise,
    array_generator,
    normals,
    step_generator,
    uniforms,
)

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
DRAWS = pytest.mark.parametrize("draw", [uniforms, normals])
SEEDS = st.integers(0, 2**128 - 1)
STARTS = st.integers(0, 2**62)


def philox4x64(counter, key):
    """Ten rounds of Philox4x64 (Salmon, Moraes, Dror and Shaw 2011) on plain integers: four words of 64 bits."""
    mask = 2**64 - 1
    x, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * x[0], 0xCA5A826395121157 * x[2]
        x = [(b >> 64) ^ x[1] ^ k[0], b & mask, (a >> 64) ^ x[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return x


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, start=STARTS, component=st.sampled_from(list(Component)))
def test_the_numbers_are_those_of_the_formula(seed, start, component):
    """The counter of a stream is (block, 0, index, component), the blocks count from 1, each gives four words."""
    key = (seed % 2**64, seed // 2**64)
    words = [w for block in (1, 2) for w in philox4x64((block, 0, start, int(component)), key)]
    double = uniforms(1, 8, seed=seed, start=start, component=component, dtype=torch.float64)
    assert double[0].tolist() == [(w >> 11) * 2.0**-53 for w in words]
    single = uniforms(1, 16, seed=seed, start=start, component=component)
    halves = [h for w in words for h in (w & 0xFFFFFFFF, w >> 32)]  # the lower half first
    assert single[0].tolist() == [(h >> 8) * 2.0**-24 for h in halves]


@DRAWS
@BOTH
@settings(max_examples=25, deadline=None)
@given(
    seed=SEEDS,
    start=STARTS,
    parts=st.lists(st.integers(1, 4), min_size=1, max_size=5),
    count=st.integers(0, 9),
    component=st.sampled_from(list(Component)),
)
def test_any_split_into_batches_gives_the_same_numbers(draw, dtype, seed, start, parts, count, component):
    n = sum(parts)
    whole = draw(n, count, seed=seed, start=start, component=component, dtype=dtype)
    assert whole.shape == (n, count)
    assert whole.dtype == dtype
    pieces, first = [], start
    for part in parts:
        pieces.append(draw(part, count, seed=seed, start=first, component=component, dtype=dtype))
        first += part
    assert torch.equal(torch.cat(pieces), whole)


@DRAWS
@BOTH
@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, start=STARTS, count=st.integers(0, 12), more=st.integers(0, 12))
def test_more_numbers_keep_the_beginning(draw, dtype, seed, start, count, more):
    few = draw(2, count, seed=seed, start=start, component=0, dtype=dtype)
    many = draw(2, count + more, seed=seed, start=start, component=0, dtype=dtype)
    assert torch.equal(many[:, :count], few)


@BOTH
def test_streams_differ_by_seed_index_and_component(dtype):
    """No two of 992 streams share a first number: with 24 bits a clash by chance has probability 2.6%."""
    seeds = [0, 1, 2**32, 2**64, 2**64 + 1, 2**127, 2**128 - 1, 12345]
    starts = [0, 1, 10**9, 2**32]
    firsts = [
        float(uniforms(1, 1, seed=seed, start=start, component=component, dtype=dtype))
        for seed in seeds
        for start in starts
        for component in Component
    ]
    assert len(set(firsts)) == len(seeds) * len(starts) * len(Component) == 992


def test_the_last_index_and_the_largest_seed_exist():
    u = uniforms(2, 3, seed=2**128 - 1, start=2**63 - 3, component=0)
    assert torch.equal(u[1:], uniforms(1, 3, seed=2**128 - 1, start=2**63 - 2, component=0))


@BOTH
def test_uniforms_are_uniform(dtype):
    """400 streams of 500 numbers against the distribution function, at 5 standard errors, across and along streams."""
    u = uniforms(400, 500, seed=7, component=0, dtype=dtype).double().numpy()
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    bins = np.bincount((u.ravel() * 64).astype(int), minlength=64)
    expected = u.size / 64
    chi = float(((bins - expected) ** 2 / expected).sum())
    assert abs(chi - 63) < 5 * (2 * 63) ** 0.5
    for a, b in ((u[:, :-1], u[:, 1:]), (u[:-1], u[1:])):  # neighbours in a stream, and neighbouring streams
        correlation = float(((a - 0.5) * (b - 0.5)).mean() * 12)
        assert abs(correlation) < 5 / a.size**0.5


@BOTH
def test_normals_are_normal(dtype):
    """Mean, variance and kurtosis of 200,000 numbers within 4 standard errors, 1, sqrt(2) and sqrt(96) over sqrt(n)."""
    z = normals(400, 500, seed=11, component=3, dtype=dtype).double()
    root = z.numel() ** 0.5
    assert abs(float(z.mean())) < 4 / root
    assert abs(float(z.square().mean()) - 1) < 4 * 2**0.5 / root
    assert abs(float(z.pow(4).mean()) - 3) < 4 * 96**0.5 / root
    assert abs(float(z.pow(3).mean())) < 4 * 15**0.5 / root
    # the two numbers of one Box-Muller pair are independent, and so are their squares
    a, b = z[:, 0::2], z[:, 1::2]
    pairs = a.numel() ** 0.5
    assert abs(float((a * b).mean())) < 4 / pairs
    assert abs(float(((a**2 - 1) * (b**2 - 1)).mean())) < 4 * 2 / pairs
    # the distribution function at four points
    for point in (-2.0, -0.5, 0.5, 2.0):
        p = float(torch.special.ndtr(torch.tensor(point, dtype=torch.float64)))
        assert abs(float((z < point).double().mean()) - p) < 4 * (p * (1 - p)) ** 0.5 / root


def test_an_odd_count_of_normals():
    assert torch.equal(normals(2, 3, seed=1, component=0), normals(2, 4, seed=1, component=0)[:, :3])


def test_bad_streams_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"seed must be between 0 and 340282366920938463463374607431768211455, got -1"):
        uniforms(1, 1, seed=-1, component=0)
    with pytest.raises(ValueError, match="seed must be between 0 and"):
        uniforms(1, 1, seed=2**128, component=0)
    with pytest.raises(ValueError, match="n must be at least 0, got -1"):
        uniforms(-1, 1, seed=0, component=0)
    with pytest.raises(ValueError, match="count must be at least 0, got -2"):
        uniforms(1, -2, seed=0, component=0)
    with pytest.raises(ValueError, match="start must be between 0 and 9223372036854775797, got 9223372036854775798"):
        uniforms(10, 1, seed=0, start=2**63 - 10, component=0)
    with pytest.raises(ValueError, match="start must be between 0 and"):
        normals(1, 1, seed=0, start=-1, component=0)
    with pytest.raises(TypeError, match="seed must be an integer, got float"):
        uniforms(1, 1, seed=1.0, component=0)
    with pytest.raises(ValueError, match=r"dtype must be torch.float32 or torch.float64, got torch.float16"):
        uniforms(1, 1, seed=0, component=0, dtype=torch.float16)


def test_step_generators_are_functions_of_their_words(unchecked):
    words = [(0,), (1,), (0, 0), (0, 1), (1, 0), (0, -1), (10, 1), (1, 1), (11,), (2**70, 3)]
    uses = [(c, *w) for w in words for c in (Component.TRAINING, Component.KRYLOV, Component.CHECKS)]
    draws = [torch.rand(2, generator=step_generator("cpu", *w), dtype=torch.float64) for w in uses]
    again = [torch.rand(2, generator=step_generator("cpu", *w), dtype=torch.float64) for w in uses]
    assert all(torch.equal(a, b) for a, b in zip(draws, again, strict=True))
    assert len({float(d[0]) for d in draws}) == len(uses)
    with pytest.raises(TypeError, match="component must be a Component, which names the use, got int"):
        step_generator("cpu", 0, 1)


def test_runs_begun_earlier_go_on_with_the_same_numbers():
    """Noise of `train` and `generate`, the order of a fixed set and the bootstrap: the words without a name, hashed."""

    def plain(*words):
        digest = hashlib.blake2b(",".join(map(str, words)).encode(), digest_size=8).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1).initial_seed()

    assert step_generator("cpu", Component.TRAINING, 3, 17).initial_seed() == plain(3, 17)
    assert step_generator("cpu", Component.ORDER, 3, 17).initial_seed() == plain(3, -1, 17)
    assert step_generator("cpu", Component.SAMPLING, 3, 17, 2).initial_seed() == plain(3, 17, 2)
    assert array_generator(Component.BOOTSTRAP, 3).random() == np.random.default_rng(3).random()


def clean(n=4, c=1, side=6, dtype=torch.float32):
    return torch.rand(n, c, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


@BOTH
def test_noise_is_paired_over_noise_levels(dtype):
    """(y - x) / sigma is the same z at every level, to the rounding of y."""
    x = clean(dtype=dtype)
    z = normals(4, 36, seed=3, component=Component.NOISE, dtype=dtype).reshape(x.shape)
    for sigma in (0.01, 0.3, 2.0):
        y = add_noise(x, sigma, seed=3)
        assert y.dtype == dtype
        rounding = torch.finfo(dtype).eps * 8 / sigma + torch.finfo(dtype).eps * 8
        torch.testing.assert_close((y - x) / sigma, z, rtol=0, atol=rounding)


@settings(max_examples=20, deadline=None)
@given(first=st.integers(0, 5), count=st.integers(1, 6), start=st.integers(0, 10**12), seed=SEEDS)
def test_noise_of_an_image_does_not_depend_on_its_place_in_the_batch(first, count, start, seed):
    x = clean(6, c=2)
    part = add_noise(x[first : first + count], 0.3, seed=seed, start=start + first)
    assert torch.equal(part, add_noise(x, 0.3, seed=seed, start=start)[first : first + count])


def test_each_image_its_own_noise_level():
    x = clean(3)
    sigma = torch.tensor([0.1, 0.5, 2.0])
    together = add_noise(x, sigma, seed=2)
    for i, level in enumerate(sigma.tolist()):
        torch.testing.assert_close(
            together[i : i + 1], add_noise(x[i : i + 1], level, seed=2, start=i), rtol=0, atol=1e-6
        )
    assert torch.equal(add_noise(x, torch.tensor(0.5), seed=2), add_noise(x, 0.5, seed=2))
    assert torch.equal(add_noise(x, torch.tensor([0.5]), seed=2), add_noise(x, 0.5, seed=2))


def test_noise_depends_on_the_seed_and_the_index():
    x = torch.zeros(2, 1, 8, 8)
    y = add_noise(x, 1.0, seed=0)
    assert not torch.equal(y[0], y[1])
    assert not torch.equal(y, add_noise(x, 1.0, seed=1))
    assert torch.equal(y[1:], add_noise(x[:1], 1.0, seed=0, start=1))
    for component in Component:  # image and noise of the same (seed, index) share no numbers
        drawn = normals(2, 64, seed=0, component=component).reshape(y.shape)
        assert torch.equal(y, drawn) == (component is Component.NOISE)


def test_half_precision_images_keep_their_dtype():
    x = clean(dtype=torch.float64)
    y = add_noise(x.to(torch.bfloat16), 0.3, seed=1)
    assert y.dtype == torch.bfloat16
    assert float((y.double() - add_noise(x.float(), 0.3, seed=1)).abs().max()) < 0.05  # 8 bits of a number below 2


def test_the_argument_is_not_changed():
    x = clean()
    kept = x.clone()
    add_noise(x, 0.5)
    assert torch.equal(x, kept)


def test_bad_noise_is_refused(unchecked):
    x = clean()
    for sigma in (0.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"sigma is the standard deviation of the noise, .* finite and above 0"):
            add_noise(x, sigma)
    with pytest.raises(ValueError, match=r"sigma must be a number or a tensor of shape \(batch,\) = \(4,\)"):
        add_noise(x, torch.tensor([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"add the missing axes: x\[None, None\]"):
        add_noise(x[0, 0], 0.1)
    with pytest.raises(TypeError, match=r"for 8-bit images use x.float\(\) / 255"):
        add_noise((255 * x).byte(), 0.1)
    with pytest.raises(ValueError, match="seed must be between 0 and"):
        add_noise(x, 0.1, seed=-1)
