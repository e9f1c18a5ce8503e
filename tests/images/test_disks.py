"""Disks: their distribution, and the tangent space against finite differences of an image painted anew."""

import math

import numpy as np
import pytest
import torch

from gahb_theory.images import Disks

DOUBLE = torch.float64
CLASSES = pytest.mark.parametrize(
    "image_class", [Disks(size=16), Disks(size=32), Disks(size=24, edge=1.5, jump=0.5)], ids=repr
)


def painted(image_class, parameters):
    """The image of five parameters, pixel by pixel: b + (a - b) Phi((r - rho) / w)."""
    row, column, radius, a, b = (float(p) for p in parameters)
    image = np.empty((image_class.size, image_class.size))
    for i in range(image_class.size):
        for j in range(image_class.size):
            rho = math.hypot(i + 0.5 - row, j + 0.5 - column)
            image[i, j] = b + (a - b) * 0.5 * math.erfc((rho - radius) / image_class.edge / math.sqrt(2))
    return image


@CLASSES
def test_an_image_is_the_formula(image_class):
    scene = image_class.scene(3, seed=1, start=5, dtype=DOUBLE)
    for image, parameters in zip(scene.images, scene.parameters, strict=True):
        np.testing.assert_allclose(image[0].numpy(), painted(image_class, parameters), rtol=0, atol=1e-14)
    single = image_class.scene(3, seed=1, start=5)
    for image, parameters in zip(single.images, single.parameters, strict=True):  # float32: slope 0.4 times 1e-6 pixels
        np.testing.assert_allclose(image[0].numpy(), painted(image_class, parameters), rtol=0, atol=2e-6)


@CLASSES
def test_the_tangent_rows_are_orthonormal(image_class):
    for dtype, tolerance in ((DOUBLE, 1e-13), (torch.float32, 2e-6)):
        tangent = image_class.scene(4, seed=2, dtype=dtype).tangent
        assert tangent.shape == (4, 5, image_class.size**2)
        assert tangent.dtype == dtype
        identity = torch.eye(5, dtype=dtype).expand(4, 5, 5)
        torch.testing.assert_close(tangent @ tangent.mT, identity, rtol=0, atol=tolerance)


@CLASSES
def test_the_tangent_rows_span_the_derivatives(image_class):
    """Central differences by h = 1e-4 err by h^2; of each derivative at most 1e-7 of its norm lies outside the rows."""
    scene = image_class.scene(3, seed=3, dtype=DOUBLE)
    for parameters, tangent in zip(scene.parameters, scene.tangent.numpy(), strict=True):
        derivatives = []
        for which in range(5):
            moved = []
            for step in (1e-4, -1e-4):
                there = parameters.clone()
                there[which] += step
                moved.append(painted(image_class, there))
            derivative = ((moved[0] - moved[1]) / 2e-4).ravel()
            derivatives.append(derivative / np.linalg.norm(derivative))
        inside = np.array(derivatives) @ tangent.T  # (5, 5)
        outside = np.array(derivatives) - inside @ tangent
        assert np.linalg.norm(outside, axis=1).max() < 1e-7
        # and all five: the derivatives are independent, so the rows are no larger than their span
        assert np.linalg.svd(inside, compute_uv=False).min() > 0.1


@CLASSES
def test_parameters_lie_in_their_ranges(image_class):
    p = image_class.scene(1000, seed=4, dtype=DOUBLE).parameters
    row, column, radius, inside, outside = p.mT
    assert 0.1 * image_class.size <= float(radius.min()) and float(radius.max()) <= 0.35 * image_class.size
    assert float(radius.max() - radius.min()) > 0.24 * image_class.size
    for centre in (row, column):
        assert (
            float((centre - radius).min()) > image_class.edge
            and float((centre + radius).max()) < image_class.size - image_class.edge
        )
    assert float(p[:, 3:].min()) >= 0 and float(p[:, 3:].max()) <= 1
    contrast = (inside - outside).abs()
    assert image_class.jump - 1e-12 <= float(contrast.min()) < image_class.jump + 0.02
    assert float(contrast.max()) > image_class.jump + 0.8 * (1 - image_class.jump)
    single = image_class.scene(1000, seed=4).parameters
    assert float((single[:, 3] - single[:, 4]).abs().min()) >= image_class.jump - 1e-6


def test_the_whole_edge_lies_in_the_image():
    """Where there is room for it, three widths of the edge stay between the disk and the border."""
    n = 1500
    row, column, radius, *_ = Disks(size=32).scene(n, seed=5, dtype=DOUBLE).parameters.mT
    for centre in (row, column):
        assert float((centre - radius).min()) >= 3 - 1e-12
        assert float((centre + radius).max()) <= 29 + 1e-12
        # the centre is uniform on what is left: Kolmogorov's distance below 1.95 / sqrt(n), exceeded with odds 1:1000
        u = ((centre - radius - 3) / (32 - 2 * radius - 6)).sort().values
        assert float((u - (torch.arange(n) + 0.5) / n).abs().max()) < 1.95 / n**0.5
    u = ((radius / 32 - 0.1) / 0.25).sort().values
    assert float((u - (torch.arange(n) + 0.5) / n).abs().max()) < 1.95 / n**0.5


@pytest.mark.parametrize("jump", [0.2, 0.6])
def test_intensities_are_uniform_where_they_differ_enough(jump):
    """The share of pairs in squares that lie within {|a - b| >= jump} is their area over that of the set."""
    n = 4000
    a, b = Disks(size=16, jump=jump).scene(n, seed=6, dtype=DOUBLE).parameters[:, 3:].mT
    area = (1 - jump) ** 2
    side = (1 - jump) / 2
    for left, bottom in ((1 - side, 0.0), (0.0, 1 - side)):
        share = float(((a >= left) & (a < left + side) & (b >= bottom) & (b < bottom + side)).double().mean())
        p = side**2 / area
        assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5
    assert abs(float((a > b).double().mean()) - 0.5) < 4 * 0.5 / n**0.5


def test_images_are_functions_of_seed_and_index():
    image_class = Disks(size=16)
    x = image_class.sample(5, seed=2**90, start=10**11)
    assert torch.equal(image_class.scene(5, seed=2**90, start=10**11).images, x)
    assert torch.equal(image_class.sample(1, seed=2**90, start=10**11 + 4), x[4:])
    assert not torch.equal(image_class.sample(5, seed=0, start=10**11), x)


def test_what_theory_says():
    assert Disks().dimension == 5
    assert Disks().optimal_slope == 1.0


def test_bad_parameters_are_refused(unchecked):
    with pytest.raises(ValueError, match="size must be between 16 and 4096, got 8"):
        Disks(size=8)
    for edge in (0.4, 2.5):
        with pytest.raises(ValueError, match=r"edge must lie in \[0.5, size / 16\] = \[0.5, 2\] pixels, got"):
            Disks(size=32, edge=edge)
    for jump in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"jump must lie in \(0, 1\), got"):
            Disks(jump=jump)
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        Disks().sample(0)


@pytest.mark.parametrize("size", [16, 33, 300])
def test_sampled_disks_hold_the_pixel_centres_inside(size):
    """Pixel by pixel; in double precision no centre lies on a contour."""
    scene = Disks(size=size, edge="sampled").scene(20, seed=8, dtype=DOUBLE)
    centre = torch.arange(size, dtype=DOUBLE) + 0.5
    row, column, radius, a, b = scene.parameters.mT[:, :, None, None]
    inside = (centre[:, None] - row) ** 2 + (centre - column) ** 2 <= radius**2
    assert torch.equal(scene.images[:, 0], torch.where(inside, a, b))


def test_the_published_law_of_disks():
    """Areas and contrasts at their 5th, 50th and 95th percentile, against the formula, and against what is usual."""
    image_class = Disks(size=80, edge="published")
    row, column, radius, a, b = image_class._parameters(20000, 1, 0, DOUBLE).unbind(dim=1)
    share = torch.tensor([0.05, 0.5, 0.95], dtype=DOUBLE)
    area = math.pi * (radius / 80) ** 2
    expected = math.pi * ((3 + 35 * share) / 80) ** 2
    torch.testing.assert_close(torch.quantile(area, share), expected, rtol=0.02, atol=0)
    assert expected.tolist() == pytest.approx([0.0111, 0.206, 0.645], rel=0.01)
    # of two independent uniform numbers |a - b| has the quantiles 1 - sqrt(1 - p)
    torch.testing.assert_close(torch.quantile((a - b).abs(), share), 1 - (1 - share).sqrt(), rtol=0, atol=0.01)
    for place in (row, column):
        free = (place - radius) / (80 - 2 * radius)
        assert float(free.min()) >= 0
        assert float(free.max()) <= 1
        assert abs(float(free.mean()) - 0.5) < 4 * 12**-0.5 / 20000**0.5
    usual = Disks(size=80)._parameters(20000, 1, 0, DOUBLE)
    quantiles = torch.quantile(math.pi * (usual[:, 2] / 80) ** 2, share)
    assert quantiles.tolist() == pytest.approx([0.0398, 0.159, 0.358], rel=0.03)


def test_published_disks_are_sampled_at_the_pixel_centres():
    image_class = Disks(size=16, edge="published")
    assert image_class.dimension == 2
    scene = image_class.scene(3, seed=2, dtype=DOUBLE)
    centre = torch.arange(16, dtype=DOUBLE) + 0.5
    for image, (row, column, radius, a, b) in zip(scene.images, scene.parameters, strict=True):
        inside = (centre[:, None] - row) ** 2 + (centre[None, :] - column) ** 2 <= radius**2
        torch.testing.assert_close(image[0], torch.where(inside, a, b), rtol=0, atol=0)
    with pytest.raises(ValueError, match="nothing bounds their difference; leave jump at its default"):
        Disks(edge="published", jump=0.3)


def test_the_gradient_of_painting_is_that_of_differences():
    X = Disks(size=16)
    parameters = X.scene(1, seed=3, dtype=torch.float64).parameters.clone().requires_grad_()
    weight = torch.randn(1, 1, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda p: (X.paint(p) * weight).sum(), (parameters,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("size", "edge"), [(64, 1.0), (96, 0.5), (32, 2.0), (80, 5.0)])
def test_what_is_left_out_of_smooth_disks_does_not_show(size, edge, dtype):
    images, scene = Disks(size=size, edge=edge), Disks(size=size, edge=edge).scene(40, seed=3, dtype=dtype)
    u = scene.parameters
    centre = torch.arange(size, dtype=dtype) + 0.5
    scale = 1 / (edge * 2**0.5)
    down, right = scale * centre[:, None] - scale * u[:, 0, None, None], scale * centre - scale * u[:, 1, None, None]
    t = scale * u[:, 2, None, None] - (down.square() + right.square()).sqrt()
    a, b = u[:, 3, None, None], u[:, 4, None, None]
    expected = torch.erf(t) * ((a - b) / 2) + (a + b) / 2  # every pixel, by the formula
    assert float((images.sample(40, seed=3, dtype=dtype)[:, 0] - expected).abs().max()) <= 8 * torch.finfo(dtype).eps
    one_by_one = torch.cat([images.sample(1, seed=3, start=i, dtype=dtype) for i in range(40)])
    assert torch.equal(images.sample(40, seed=3, dtype=dtype), one_by_one)
    assert torch.equal(images.paint(u), one_by_one)


def test_smooth_disks_beyond_the_image_and_without_a_place():
    u = torch.tensor(
        [
            [-20.0, 30.0, 10.0, 0.9, 0.1],
            [90.0, 64.0, 12.0, 0.2, 0.8],
            [30.0, 30.0, -10.0, 0.9, 0.1],
            [30.5, 30.5, 5.0, 0.9, 0.1],
        ]
    )
    centre = torch.arange(64) + 0.5
    rho = ((centre[:, None] - u[:, 0, None, None]) ** 2 + (centre - u[:, 1, None, None]) ** 2).sqrt()
    a, b = u[:, 3, None, None], u[:, 4, None, None]
    expected = b + (a - b) * torch.special.ndtr(u[:, 2, None, None] - rho)
    assert torch.allclose(Disks().paint(u)[:, 0], expected, atol=1e-6)
    nowhere = u.clone()
    nowhere[1, 0] = float("nan")
    x = Disks().paint(nowhere)
    assert bool(x[1].isnan().all())
    assert torch.allclose(x[[0, 2, 3], 0], expected[[0, 2, 3]], atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_no_disks_and_those_of_any_precision_are_painted(dtype):
    u = Disks().scene(2, seed=3).parameters.to(dtype)
    x = Disks().paint(u)
    assert (x.dtype, x.shape, Disks().paint(u[:0]).shape) == (dtype, (2, 1, 64, 64), (0, 1, 64, 64))
    assert float((x - Disks().paint(u.double())).abs().max()) < 64 * torch.finfo(dtype).eps  # of coordinates up to 64
