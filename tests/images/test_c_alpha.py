"""C^alpha images: the mix of two fields by exact coverage, and the published generator to the letter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb_theory.images import CAlpha
from gahb_theory.images.c_alpha import BACKGROUND_STD, CONTOUR_STD
from gahb_theory.images.fields import gaussian_fields
from gahb_theory.randomness import Component, symmetric_uniforms, uniforms

DOUBLE = torch.float64
CONVENTIONS = pytest.mark.parametrize("convention", ["holder", "paper"])


def published(alpha, beta, size, index, seed):
    """One image of the published generator, written again from its description, in plain numpy.

    Contour and backgrounds are uniform white noise in [-1, 1] times |k|^-alpha, |k|^-beta, the mean kept; the contour
    is rounded to rows; the mask is blurred by a 2x2 box over its reflection; each background is stretched between its
    extremes, one to [u_0, 1] and the other to [0, u_1]. Rows outside the image are clamped, which mends the wrap-around.
    """

    def drawn(count, component):
        return symmetric_uniforms(1, count, seed=seed, start=index, component=component, dtype=DOUBLE)[0].numpy()

    frequency = np.abs(np.round(np.fft.fftfreq(size) * size))
    frequency[0] = 1.0  # the gain of the mean is that of frequency 1
    white = drawn(size, Component.CONTOUR)
    contour = np.real(np.fft.ifft(np.fft.fft(white) * frequency**-alpha))
    mask = np.ones((size, size))
    rows = []
    for j in range(size):
        row = round(float(contour[j]) * size) + size // 2
        rows.append(min(max(row, 0), size))
        mask[: rows[-1], j] = 0
    padded = np.pad(mask, 1, mode="reflect")
    blurred = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            blurred[i, j] = padded[i : i + 2, j : j + 2].mean()

    noise = drawn(2 * size * size, Component.FIELDS)
    full = np.round(np.fft.fftfreq(size) * size)
    radius = np.sqrt(full[:, None] ** 2 + full[None, :] ** 2)
    radius[0, 0] = 1.0
    u0, u1, coin = (drawn(3, Component.PARAMETERS) + 1) / 2
    fields = []
    for which, white in enumerate(np.moveaxis(noise.reshape(size, size, 2), 2, 0)):
        field = np.real(np.fft.ifft2(np.fft.fft2(white) * radius**-beta))
        unit = (field - field.min()) / (field.max() - field.min())
        bright = which == (1 if coin >= 0.5 else 0)
        fields.append(u0 + (1 - u0) * unit if bright else u1 * unit)
    image = blurred * fields[0] + (1 - blurred) * fields[1]
    return image, np.array(rows) / size, blurred, np.stack(fields)


@pytest.mark.parametrize(
    ("alpha", "beta", "size"), [(1.0, None, 16), (2.0, 2.0, 16), (3.0, 8.0, 12), (0.4, 1.0, 8), (2.0, 0.5, 9)]
)
def test_the_paper_convention_is_the_published_generator(alpha, beta, size):
    """Equal to 1e-12 in float64, the rounding of two FFTs."""
    scene = CAlpha(alpha, beta, size, convention="paper").scene(5, seed=11, start=7, dtype=DOUBLE)
    for i in range(5):
        image, rows, mask, fields = published(alpha, alpha if beta is None else beta, size, 7 + i, 11)
        np.testing.assert_allclose(scene.contour[i].numpy(), rows, rtol=0, atol=1e-12)
        np.testing.assert_allclose(scene.coverage[i, 0].numpy(), mask, rtol=0, atol=1e-12)
        np.testing.assert_allclose(scene.backgrounds[i].numpy(), fields, rtol=0, atol=1e-12)
        np.testing.assert_allclose(scene.images[i, 0].numpy(), image, rtol=0, atol=1e-12)


def test_the_paper_convention_keeps_its_ranges():
    """One background fills [u, 1], the other [0, v], and either may be the lower region."""
    scene = CAlpha(1.0, size=16, convention="paper").scene(200, seed=1, dtype=DOUBLE)
    low, high = scene.backgrounds.amin((2, 3)), scene.backgrounds.amax((2, 3))
    bright, dark = (high - 1).abs() < 1e-12, low.abs() < 1e-12
    assert bool((bright.sum(1) == 1).all()) and bool((dark.sum(1) == 1).all())
    assert bool((bright != dark).all())
    share = float(bright[:, 0].double().mean())
    assert abs(share - 0.5) < 4 * 0.5 / 200**0.5
    assert float(scene.images.min()) >= 0 and float(scene.images.max()) <= 1
    assert set(np.unique(scene.coverage.numpy())) == {0.0, 0.25, 0.5, 0.75, 1.0}


@CONVENTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_image_is_the_mix_of_its_backgrounds(convention, dtype):
    scene = CAlpha(1.5, size=16, convention=convention).scene(20, seed=2, dtype=dtype)
    assert scene.images.shape == (20, 1, 16, 16)
    assert scene.coverage.shape == (20, 1, 16, 16)
    assert scene.backgrounds.shape == (20, 2, 16, 16)
    assert scene.contour.shape == (20, 16)
    assert {t.dtype for t in (scene.images, scene.coverage, scene.backgrounds, scene.contour)} == {dtype}
    first, second = scene.backgrounds[:, :1], scene.backgrounds[:, 1:]
    assert torch.equal(scene.images, second + scene.coverage * (first - second))
    mixed = scene.coverage * first + (1 - scene.coverage) * second
    torch.testing.assert_close(scene.images, mixed, rtol=0, atol=4 * torch.finfo(dtype).eps)
    below, above = scene.coverage == 1, scene.coverage == 0
    torch.testing.assert_close(scene.images[below], first[below], rtol=0, atol=4 * torch.finfo(dtype).eps)
    assert torch.equal(scene.images[above], second[above])


@CONVENTIONS
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_the_mask_is_never_inverted(convention, alpha):
    """Coverage grows down every column, and is all or nothing where the contour has left the image."""
    scene = CAlpha(alpha, size=8, convention=convention).scene(3000, seed=3, dtype=DOUBLE)
    coverage, contour = scene.coverage[:, 0], scene.contour
    assert float(coverage.diff(dim=1).min()) >= -1e-12
    assert float(coverage.min()) >= 0 and float(coverage.max()) <= 1
    if convention == "paper":  # the box reads the column before, and the second column before the first
        neighbour = torch.cat([contour[:, 1:2], contour[:, :-1]], dim=1)
        gone_above, gone_below = (contour <= 0) & (neighbour <= 0), (contour >= 1) & (neighbour >= 1)
        nearest = 0
    else:  # the contour is known at the column centres, and may come back within the column, but by less than 3 rows
        gone_above, gone_below = contour < 0, contour > 1
        nearest = 3
    columns = coverage.mT
    assert int(gone_above.sum()) > 2 and int(gone_below.sum()) > 2  # it does happen
    assert float(columns[gone_above][:, nearest:].min()) > 1 - 1e-12
    assert float(columns[gone_below][:, : 8 - nearest].max()) < 1e-12


@pytest.mark.parametrize(("alpha", "tolerance"), [(1.0, 0.008), (2.0, 8e-4), (4.0, 4e-4)])
def test_the_contour_is_the_sum_down_the_columns(alpha, tolerance):
    """Where it stays inside, the uncovered part of a column is the mean height of the contour over that column.

    It differs from the height at the centre by the curvature within a column; measured 0.0038, 0.0004, 0.0002 of the
    height at worst in 200 images of 32 pixels, and the tolerance is twice that.
    """
    scene = CAlpha(alpha, size=32).scene(100, dtype=DOUBLE)
    inside = ((scene.contour > 1.5 / 32) & (scene.contour < 30.5 / 32)).all(dim=1)
    assert int(inside.sum()) > 90
    height = 1 - scene.coverage[:, 0].mean(dim=1)
    torch.testing.assert_close(height[inside], scene.contour[inside], rtol=0, atol=tolerance)


def test_the_contour_of_the_paper_is_a_row_of_the_mask():
    """Before the box, shifted by half a pixel: the uncovered part is the mean of two neighbours, less half a row."""
    scene = CAlpha(3.0, size=32, convention="paper").scene(60, seed=4, dtype=DOUBLE)
    inside = ((scene.contour > 2 / 32) & (scene.contour < 1)).all(dim=1)
    assert int(inside.sum()) > 40
    height = (1 - scene.coverage[:, 0].mean(dim=1))[inside]
    contour = scene.contour[inside]
    expected = (contour[:, 1:] + contour[:, :-1]) / 2 + 0.5 / 32
    torch.testing.assert_close(height[:, 1:], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("jump", [0.05, 0.2, 0.5])
def test_the_means_of_the_regions_differ(jump):
    """The backgrounds without their fields are constants, apart by `jump` to 0.5, the lower one in [0.15, 0.6]."""
    image_class = CAlpha(2.0, size=8, jump=jump)
    backgrounds = image_class.scene(500, seed=5, dtype=DOUBLE).backgrounds
    flat = backgrounds - BACKGROUND_STD * gaussian_fields(500, 8, 2.0, seed=5, start=0, dtype=DOUBLE)
    means = flat.mean((2, 3))
    assert float((flat - means[:, :, None, None]).abs().max()) < 1e-12
    gap = means[:, 0] - means[:, 1]
    assert jump - 1e-12 <= float(gap.abs().min()) and float(gap.abs().max()) <= 0.5 + 1e-12
    assert abs(float((gap > 0).double().mean()) - 0.5) < 4 * 0.5 / 500**0.5
    if jump < 0.5:  # uniform between the two ends
        assert abs(float(gap.abs().mean()) - (jump + 0.5) / 2) < 4 * (0.5 - jump) / 12**0.5 / 500**0.5
    centre = means.mean(1)
    assert float(centre.min()) >= 0.4 and float(centre.max()) <= 0.6
    assert float(means.min()) >= 0.15 and float(means.max()) <= 0.85


def test_the_contour_has_its_distribution():
    """Mean height 0.3 to 0.7, standard deviation about it CONTOUR_STD, within 4 standard errors."""
    image_class = CAlpha(2.0, size=8)
    contour = image_class.scene(4000, seed=6, dtype=DOUBLE).contour
    height = 0.3 + 0.4 * uniforms(4000, 1, seed=6, component=Component.PARAMETERS, dtype=DOUBLE)
    squares = (contour - height).square().mean(1)
    assert abs(float(squares.mean()) - CONTOUR_STD**2) < 4 * float(squares.std()) / 4000**0.5
    assert 4 * float(squares.std()) / 4000**0.5 < 0.1 * CONTOUR_STD**2


@pytest.mark.parametrize(("alpha", "tolerance"), [(1.0, 0.005), (2.0, 4e-4), (4.0, 3e-4)])
def test_the_same_scene_at_any_size(alpha, tolerance):
    """The mean over 2x2 pixels of the image of twice the size is the smaller image.

    Root mean square difference measured at 32 from 64 pixels: 0.0025, 0.00018, 0.00015; the tolerance is twice that.
    Two images of different seeds are 0.29 apart.
    """
    scenes = {size: CAlpha(alpha, size=size).scene(12, seed=3, dtype=DOUBLE) for size in (32, 64, 128)}
    for small, large in ((32, 64), (64, 128)):
        gap = torch.nn.functional.avg_pool2d(scenes[large].images, 2) - scenes[small].images
        assert float(gap.square().mean().sqrt()) < tolerance
        means = scenes[large].contour.reshape(12, small, 2).mean(2)
        assert float((means - scenes[small].contour).abs().max()) < 30 * tolerance / alpha**2
    other = CAlpha(alpha, size=32).sample(12, seed=4, dtype=DOUBLE)
    assert float((other - scenes[32].images).square().mean().sqrt()) > 0.2


def test_single_and_double_precision_are_each_a_law_of_their_own():
    """Different numbers of the same distribution: mean and standard deviation of pixels agree within 4 standard errors."""
    means = []
    for dtype in (torch.float32, torch.float64):
        x = CAlpha(2.0, size=8).sample(2000, seed=1, dtype=dtype).double().mean((1, 2, 3))
        means.append((float(x.mean()), float(x.std() / 2000**0.5)))
    (a, error_a), (b, error_b) = means
    assert abs(a - b) < 4 * (error_a**2 + error_b**2) ** 0.5
    assert a != b


@CONVENTIONS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@settings(max_examples=8, deadline=None)
@given(
    size=st.integers(4, 24),
    n=st.integers(1, 9),
    part=st.tuples(st.integers(0, 8), st.integers(1, 9)),
    start=st.integers(0, 10**12),
    seed=st.integers(0, 2**128 - 1),
)
def test_an_image_depends_on_seed_and_index_alone(convention, dtype, size, n, part, start, seed):
    """To the last bit, in any batch: no product of matrices and no transform may round by the batch."""
    image_class = CAlpha(1.0, size=size, convention=convention)
    x = image_class.sample(n, seed=seed, start=start, dtype=dtype)
    first = min(part[0], n - 1)
    count = min(part[1], n - first)
    assert torch.equal(image_class.sample(count, seed=seed, start=start + first, dtype=dtype), x[first : first + count])
    assert torch.equal(image_class.scene(n, seed=seed, start=start, dtype=dtype).images, x)
    assert not torch.equal(image_class.sample(n, seed=seed ^ 1, start=start, dtype=dtype), x)


@CONVENTIONS
def test_whole_numbers_are_exponents_too(convention, unchecked):
    x = CAlpha(2, 1, size=8, convention=convention).sample(2)  # a type checker is stricter than need be
    assert x.dtype == torch.float32
    assert torch.equal(x, CAlpha(2.0, 1.0, size=8, convention=convention).sample(2))


def test_a_rough_contour_is_rougher():
    """Total variation of the contour grows as alpha falls, whatever the backgrounds."""
    variation = [float(CAlpha(a, 2.0, 32).scene(50).contour.diff(dim=1).abs().mean()) for a in (0.5, 1.0, 2.0, 4.0)]
    assert variation == sorted(variation, reverse=True)
    assert variation[0] > 2 * variation[-1]
    assert torch.equal(CAlpha(0.5, 2.0, 32).scene(5).backgrounds, CAlpha(4.0, 2.0, 32).scene(5).backgrounds)
    assert torch.equal(CAlpha(2.0, 0.5, 32).scene(5).contour, CAlpha(2.0, 4.0, 32).scene(5).contour)


def test_what_theory_says():
    assert CAlpha(2.0).optimal_slope == pytest.approx(2 / 3)
    assert CAlpha(1.0).optimal_slope == pytest.approx(1 / 2)
    assert CAlpha(4.0, beta=1.0).optimal_slope == CAlpha(1.0, beta=4.0).optimal_slope == pytest.approx(1 / 2)
    assert CAlpha(3.0, beta=2.0).nominal_slope == CAlpha(3.0, beta=2.0).optimal_slope == pytest.approx(2 / 3)
    for alpha, beta, slope in ((5.0, 5.0, 4 / 5), (2.0, 2.0, 1 / 2), (1.0, 3.0, 1 / 3), (2.0, 4.0, 3 / 5)):
        image_class = CAlpha(alpha, beta, convention="paper")  # a = min(alpha - 1/2, beta - 1)
        assert image_class.optimal_slope == pytest.approx(slope)
        assert image_class.nominal_slope == pytest.approx(min(alpha, beta) / (min(alpha, beta) + 1))
    assert CAlpha(1.0, convention="paper").optimal_slope is None
    assert CAlpha(0.5, 3.0, convention="paper").optimal_slope is None
    assert CAlpha().dimension is None
    assert CAlpha(3.0).background_regularity == 3.0
    assert CAlpha(3.0, beta=0.5).background_regularity == 0.5


def test_bad_parameters_are_refused(unchecked):
    with pytest.raises(ValueError, match="alpha must be finite and above 0, got -1"):
        CAlpha(alpha=-1.0)
    with pytest.raises(ValueError, match="beta must be finite and above 0, got 0"):
        CAlpha(beta=0.0)
    with pytest.raises(TypeError, match="alpha must be a number, got str"):
        CAlpha(alpha="2")
    with pytest.raises(ValueError, match="size must be between 4 and 4096, got 3"):
        CAlpha(size=3)
    with pytest.raises(TypeError, match="size must be an integer, got float"):
        CAlpha(size=16.0)
    with pytest.raises(ValueError, match='convention must be "holder" or "paper", got \'official\''):
        CAlpha(convention="official")
    for jump in (0.0, 0.6):
        with pytest.raises(ValueError, match=r"jump must lie in \(0, 0.5\], got"):
            CAlpha(jump=jump)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        CAlpha(size=8).sample(0)
    with pytest.raises(ValueError, match="seed must be between 0 and"):
        CAlpha(size=8).sample(1, seed=-1)
    with pytest.raises(ValueError, match=r"dtype must be torch.float32 or torch.float64, got torch.float16"):
        CAlpha(size=8).sample(1, dtype=torch.float16)
