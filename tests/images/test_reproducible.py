"""Image i is a pure function of (class, seed, i), to the last bit."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import gahb_theory as gt
from gahb_theory import randomness
from gahb_theory.images import c_alpha, fields, gaussian, holder_ball, photographs
from gahb_theory.images import published_c_alpha as paper_images
from gahb_theory.images.fields import power_law
from gahb_theory.testing import check_image_class

MODULES = (c_alpha, fields, gaussian, holder_ball, paper_images, photographs)
CLASSES = {
    "graph": gt.CAlpha(alpha=1.5, size=9),
    "graphs": gt.CAlpha(alpha=1.0, size=16, contours=3, blur=0.6),
    "closed": gt.CAlpha(alpha=2.0, size=12, contour="closed"),
    "several closed": gt.CAlpha(alpha=2.0, size=12, contour="closed", contours=2),
    "paper": gt.CAlpha(alpha=2.0, size=13, convention="paper"),
    "disks": gt.Disks(size=17),
    "disks, area": gt.Disks(size=17, edge="area"),
    "disks, sampled": gt.Disks(size=17, edge="sampled"),
    "ellipses": gt.Ellipses(size=19),
    "polygons": gt.Polygons(size=16, corners=5),
    "sine cone": gt.SineCone(size=7),
    "ray": gt.Ray(torch.linspace(0, 1, 15).reshape(1, 1, 3, 5)),
    "field": gt.GaussianField(1.0, size=9),
    "matern": gt.GaussianField(2.0, size=8, spectrum="matern"),
    "periodic field": gt.GaussianField(2.0, size=9, period=1),
    "texture": gt.Texture(size=10, frequency=2.0),
    "ball": gt.HolderBall(1.0, size=16),
    "leaves": gt.DeadLeaves(size=16, smallest=0.2),
    "photographs": gt.Photographs(size=16),
    "shuffled": gt.Shuffled(gt.Polygons(size=16), seed=2),
}


@pytest.mark.parametrize("image_class", CLASSES.values(), ids=CLASSES.keys())
def test_conformance(image_class):
    check_image_class(image_class)


@pytest.mark.parametrize("image_class", CLASSES.values(), ids=CLASSES.keys())
@settings(max_examples=8, deadline=None)
@given(
    n=st.integers(2, 7),
    cut=st.integers(1, 6),
    start=st.one_of(st.integers(0, 5), st.integers(10**9, 2**62)),
    seed=st.one_of(st.integers(0, 5), st.integers(2**32, 2**128 - 1)),
    double=st.booleans(),
)
def test_any_batch_and_start_give_the_same_bits(image_class, n, cut, start, seed, double):
    options = {"dtype": torch.float64 if double else torch.float32}
    x = image_class.sample(n, seed=seed, start=start, **options)
    cut = min(cut, n - 1)
    assert torch.equal(x[:cut], image_class.sample(cut, seed=seed, start=start, **options))
    assert torch.equal(x[cut:], image_class.sample(n - cut, seed=seed, start=start + cut, **options))
    scene = image_class.scene(n, seed=seed, start=start, **options)
    assert torch.equal(x, scene.images)
    last = image_class.scene(n - cut, seed=seed, start=start + cut, **options)
    for name in {"parameters", "tangent"} & set(vars(scene)):
        assert torch.equal(getattr(scene, name)[cut:], getattr(last, name)), name
    assert x.dtype == options["dtype"]


@pytest.mark.parametrize(
    "image_class", [CLASSES[name] for name in ("graph", "paper", "field", "disks, area", "disks, sampled")]
)
def test_blocks_change_nothing(image_class, monkeypatch):
    whole = image_class.sample(21, seed=1, start=3)
    scene = image_class.scene(21, seed=1, start=3)
    monkeypatch.setattr("gahb_theory.images.batches.BLOCK_PIXELS", 1)  # one image at a time, or two
    assert torch.equal(image_class.sample(21, seed=1, start=3), whole)
    for name, value in vars(image_class.scene(21, seed=1, start=3)).items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, getattr(scene, name)), name


def test_threads_change_nothing(monkeypatch):
    monkeypatch.setattr("gahb_theory.images.batches.BLOCK_PIXELS", 2**12)  # many blocks
    threads = torch.get_num_threads()
    image_classes = gt.CAlpha(size=64), gt.CAlpha(size=40, convention="paper"), gt.Disks(size=40, edge="sampled")
    one = {}
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            one[count] = [image_class.sample(9, seed=1, start=4) for image_class in image_classes]
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(one[1], one[2], strict=True))


def test_double_precision_is_the_same_distribution():
    """Not the same numbers, but the same moments: within five standard errors of 2000 images."""
    single, double = (
        gt.CAlpha(size=8).sample(2000, dtype=d).double().flatten(1) for d in (torch.float32, torch.float64)
    )
    error = (single.std(0) ** 2 / 2000 + double.std(0) ** 2 / 2000).sqrt()
    assert bool(((single.mean(0) - double.mean(0)).abs() < 5 * error).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 3, 16, 32, 33])
def test_short_rows_are_the_words_of_philox(count, dtype):
    """The vectorised rounds for short rows give what numpy's generator gives, which one row at a time uses."""
    seed, start = 2**100 + 17, 2**40
    many = randomness.uniforms(70, count, seed=seed, start=start, component=3, part=2, dtype=dtype)
    for i in (0, 41, 69):
        philox = np.random.Philox(
            counter=np.array([0, 2, start + i, 3], dtype=np.uint64),
            key=np.array([seed & (2**64 - 1), seed >> 64], dtype=np.uint64),
        )
        kind = np.float32 if dtype == torch.float32 else np.float64
        expected = np.random.Generator(philox).random(count, dtype=kind)
        assert np.array_equal(many[i].numpy(), expected)


def test_parts_are_independent_streams():
    a, b = (randomness.uniforms(200, 50, seed=0, component=1, part=p).flatten() for p in (0, 1))
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 5 / math.sqrt(10_000)


def test_the_order_of_complex_normals():
    order = np.array([3, 0, 2])
    r, a = randomness.polar_normals(2, 4, seed=1, component=2)
    for d in (torch.float32, torch.float64):
        r, a = randomness.polar_normals(2, 4, seed=1, component=2, dtype=d)
        s, b = randomness.polar_normals(2, 4, seed=1, component=2, dtype=d, order=order)
        assert torch.equal(s, r[:, order])
        assert torch.equal(b, a[:, order])
        z = randomness.normals(2, 8, seed=1, component=2, dtype=d).reshape(2, 4, 2)
        torch.testing.assert_close(torch.polar(r, a), torch.view_as_complex(z))


@pytest.mark.parametrize(("alpha", "tolerance"), [(1.0, 0.03), (2.0, 0.004), (3.0, 0.003)])
def test_the_same_scene_at_any_size(alpha, tolerance):
    """Reduced by means over 2 x 2 pixels the larger image is the smaller one but for frequencies beyond its resolution."""
    for options in ({}, {"contours": 2}, {"contour": "closed"}):
        sizes = [
            gt.CAlpha(alpha=alpha, size=s, **options).scene(10, seed=4, dtype=torch.float64) for s in (32, 64, 128)
        ]
        for small, large in itertools.pairwise(sizes):
            reduced = torch.nn.functional.avg_pool2d(large.images, 2)
            assert float((reduced - small.images).square().mean().sqrt()) < tolerance
            assert float((torch.nn.functional.avg_pool2d(large.coverage, 2) - small.coverage).abs().mean()) < tolerance


def test_fields_are_the_same_at_any_size():
    for image_class in (gt.GaussianField, lambda e, size: gt.GaussianField(e, size=size, spectrum="matern")):
        small, large = (image_class(3.0, size=s).sample(4, dtype=torch.float64) for s in (32, 64))
        assert float((torch.nn.functional.avg_pool2d(large, 2) - small).abs().max()) < 2e-3


def test_the_amplitude_is_shared():
    assert power_law(2.0) is power_law(2.0)  # layouts of frequencies are kept by amplitude


def test_too_many_images_are_refused():
    with pytest.raises(ValueError, match=r"need 4[\d,]+ GiB, and this machine has [\d,]+ GiB; draw fewer at a time"):
        gt.CAlpha(size=64).sample(2 * 10**12 // 8 // 8)


def test_bad_parameters_are_refused(unchecked):
    for image_class, message in (
        (lambda: gt.CAlpha(contours=0), "contours must be between 1 and 8"),
        (lambda: gt.CAlpha(contour="line"), 'contour must be "graph" or "closed"'),
        (lambda: gt.CAlpha(size=16, blur=3.0), r"blur must lie in \[0, size / 8\] = \[0, 2\] pixels, got 3"),
        (lambda: gt.CAlpha(convention="paper", contours=2), 'the "paper" convention has one contour'),
        (lambda: gt.Disks(edge="sharp"), 'edge must be a width in pixels, "area" or "sampled"'),
        (lambda: gt.Ellipses(size=8), "size must be between 16 and 4096"),
        (lambda: gt.Ellipses(jump=1.0), r"jump must lie in \(0, 1\)"),
        (lambda: gt.Polygons(corners=2), "corners must be between 3 and 12"),
        (lambda: gt.Polygons(jump=0.0), r"jump must lie in \(0, 1\)"),
        (lambda: gt.SineCone(frequency=(0.0, 0.0)), "frequency must be two numbers, not both 0"),
        (lambda: gt.SineCone(size=8, frequency=(4.0, 0.0)), "below size / 2 = 4"),
        (lambda: gt.Ray(torch.zeros(1, 1, 4, 4)), "image must not be zero everywhere"),
        (lambda: gt.Ray(torch.ones(2, 1, 4, 4)), "image must be one image"),
        (lambda: gt.GaussianField(0.0), "exponent must be finite and above 0"),
        (lambda: gt.GaussianField(spectrum="white"), 'spectrum must be "power" or "matern"'),
        (lambda: gt.GaussianField(period=3), "period must be 1"),
        (lambda: gt.GaussianField(std=0.0), r"std must lie in \(0, 1\]"),
        (lambda: gt.GaussianField(mean=2.0), r"mean must lie in \[0, 1\]"),
        (lambda: gt.Texture(size=16, frequency=8.0), "frequency must lie below size / 2 = 8"),
        (lambda: gt.Texture(bandwidth=0.1), "bandwidth must be at least 0.25"),
        (lambda: gt.HolderBall(size=48), "size must be a power of two"),
        (lambda: gt.HolderBall(alpha=9.0), "alpha must be at most 8"),
        (lambda: gt.DeadLeaves(smallest=0.5, largest=0.2), "radii must satisfy"),
        (lambda: gt.GaussianField(size=128).covariance.matrix(), "use apply, or a side up to 96"),
        (lambda: gt.GaussianField(size=8).covariance.apply(torch.ones(1, 1, 4, 4)), "v must hold images of 8 x 8"),
    ):
        with pytest.raises(ValueError, match=message):
            image_class()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [1, 9, 5000])
def test_symmetric_uniforms_are_the_words_of_philox(count, dtype):
    """Row i begins at word i w of one stream, w the multiple of 4 that holds a row, also where the counter carries."""
    seed, start = 2**100 + 17, 2**62
    x = randomness.symmetric_uniforms(3, count, seed=seed, start=start, component=2, dtype=dtype)
    double = dtype == torch.float64
    blocks = -(-count // (4 if double else 8))
    for i in range(3):
        first = (start + i) * blocks
        philox = np.random.Philox(
            counter=np.array([first % 2**64, first // 2**64, 2**63 + blocks, 2], dtype=np.uint64),
            key=np.array([seed % 2**64, seed >> 64], dtype=np.uint64),
        )
        words = philox.random_raw(4 * blocks).view(np.int64 if double else np.int32)[:count]
        np.testing.assert_array_equal(x[i].numpy(), words.astype(x.numpy().dtype) / 2 ** (63 if double else 31))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_symmetric_uniforms_are_uniform(dtype):
    x = randomness.symmetric_uniforms(100, 203, seed=3, component=2, dtype=dtype).double()
    assert float(x.abs().max()) <= 1
    u = ((x.flatten() + 1) / 2).sort().values
    distance = float((u - (torch.arange(len(u)) + 0.5) / len(u)).abs().max())
    assert distance < 1.95 / len(u) ** 0.5  # Kolmogorov's distance, exceeded with odds 1:1000
    assert abs(float(torch.corrcoef(torch.stack([x[:50].flatten(), x[50:].flatten()]))[0, 1])) < 5 / 10_150**0.5


def bits(image_class):
    return [image_class.sample(3, seed=5, start=2), image_class.sample(2, seed=5, dtype=torch.float64)]


@pytest.mark.parametrize("image_class", CLASSES.values(), ids=CLASSES.keys())
def test_images_are_the_same_wherever_they_are_asked_for(image_class):
    """Another default device, default precision, autocast and no_grad; caches that are filled there hold nothing of it."""

    def anew():
        for cached in (getattr(module, name) for module in MODULES for name in dir(module)):
            if hasattr(cached, "cache_clear"):
                cached.cache_clear()
        return bits(image_class)

    expected = anew()
    with torch.device("meta"):
        elsewhere = anew()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rounded = anew()
    torch.set_default_dtype(torch.float64)
    try:
        wide = anew()
    finally:
        torch.set_default_dtype(torch.float32)
    for found in (elsewhere, rounded, wide, bits(image_class)):
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == y.dtype
            assert x.device.type == "cpu"
            assert torch.equal(x, y)


def test_scenes_noise_and_bases_are_the_same_wherever_they_are_asked_for():
    x = gt.CAlpha(size=16).sample(2)

    def results():
        scene = gt.CAlpha(size=16, contours=2).scene(2)
        t = torch.linspace(0, 1, 5, device="cpu", dtype=torch.float32)
        yield scene.contours.points(t)
        yield scene.covariance.apply(x)
        yield scene.covariance.matrix()
        yield gt.Disks(size=16).scene(2).tangent
        yield gt.Disks(size=16).curvature_radius(gt.Disks(size=16).scene(1).parameters)
        yield gt.DeadLeaves(size=32).covariance(t)
        yield gt.add_noise(x, 0.1, seed=3)
        yield gt.RandomBasis.draw((1, 4, 4), 3, seed=2).atoms
        yield gt.near_duplicates(x, 0.1).similarity
        yield gt.distinct(x.repeat(20, 1, 1, 1))

    expected = list(results())
    with torch.device("meta"):
        elsewhere = list(results())
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        rounded = list(results())
    torch.set_default_dtype(torch.float64)
    try:
        wide = list(results())
    finally:
        torch.set_default_dtype(torch.float32)
    for found in (elsewhere, rounded, wide):
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype
            assert torch.equal(a, b)


def test_numbers_of_every_library_give_the_same_images(unchecked):
    image_class = gt.Disks(size=np.int64(16), edge=np.float32(1), jump=torch.tensor(0.5))
    assert image_class == gt.Disks(size=16, edge=1.0, jump=0.5)
    assert [type(v) for v in vars(image_class).values()] == [int, float, float]
    assert gt.CAlpha(alpha=np.float32(2), beta=np.float64(3), size=np.uint8(16)) == gt.CAlpha(2.0, 3.0, size=16)
    assert gt.SineCone(16, np.array([1, 2])) == gt.SineCone(16, (1.0, 2.0))
    for kind in (np.int64, np.int32, torch.tensor):
        for shown in (
            image_class,
            gt.CAlpha(size=16),
            gt.GaussianField(size=16),
            gt.Shuffled(image_class, seed=np.int64(1)),
        ):
            x = shown.sample(kind(3), seed=kind(7), start=kind(2))
            assert torch.equal(x, shown.sample(3, seed=7, start=2))
    for bad in (True, np.True_, 1.0, "1"):
        with pytest.raises(TypeError, match="n must be an integer"):
            image_class.sample(bad)
        with pytest.raises(TypeError, match="seed must be an integer"):
            image_class.sample(1, seed=bad)
        with pytest.raises(TypeError, match="start must be an integer"):
            image_class.sample(1, start=bad)
    with pytest.raises(TypeError, match="seed must be an integer, got None"):
        image_class.sample(1, seed=None)
    for bad in (True, np.nan, "0.3", None, 1j):
        with pytest.raises((TypeError, ValueError), match="jump must"):
            gt.Disks(jump=bad)


def test_what_does_not_fit_is_refused_before_it_is_made():
    for ask in (
        lambda: gt.CAlpha(size=16).sample(2**40),
        lambda: gt.Ray(torch.ones(1, 1, 4, 4)).sample(2**44),
        lambda: randomness.normals(2**31, 2**31, seed=0, component=0),
    ):
        with pytest.raises(ValueError, match=r"need [\d,]+ GiB, and this machine has \d+ GiB; draw fewer"):
            ask()
    with pytest.raises(ValueError, match=r"pixels must be between 1 and \d+, got 17592186044416"):
        gt.Shuffled(gt.Disks(size=16)).permutation(2**44)
    with pytest.raises(ValueError, match="would make a matrix of 16777216 x 16777216 numbers"):
        gt.RandomBasis.draw((1, 4096, 4096))
    with pytest.raises(ValueError, match="size must be between 16 and 4096, got 2147483648"):
        gt.Disks(size=2**31)
