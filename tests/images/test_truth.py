"""The truth that comes with an image, against the image and against the distribution."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.images import ClosedContours, GraphContours
from gahb_theory.images.raster import area_inside, area_of_ellipses, blurred, subdivided

F64 = torch.float64
MANIFOLDS = {
    "disks": gt.Disks(size=24),
    "disks, area": gt.Disks(size=24, edge="area"),
    "ellipses": gt.Ellipses(size=24),
    "polygons": gt.Polygons(size=24, corners=4),
    "sine cone": gt.SineCone(size=12, frequency=(1.0, 2.0)),
    "ray": gt.Ray(torch.linspace(0, 1, 36).reshape(1, 1, 6, 6)),
}


def painted(image_class, parameters):
    """Images at given parameters."""
    if isinstance(image_class, gt.Ray):
        return parameters[:, :, None, None] * image_class.image.to(parameters)
    return image_class._paint(parameters)


@pytest.mark.parametrize("image_class", MANIFOLDS.values(), ids=MANIFOLDS.keys())
def test_the_tangent_space_holds_the_derivatives(image_class):
    scene = image_class.scene(4, seed=5, dtype=F64)
    k = image_class.dimension
    assert scene.tangent.shape == (4, k, scene.images[0].numel())
    gram = scene.tangent @ scene.tangent.mT
    torch.testing.assert_close(gram, torch.eye(k, dtype=F64).expand(4, k, k), rtol=0, atol=1e-12)
    for i in range(k):
        step = torch.zeros(k, dtype=F64)
        step[i] = 1e-5
        moved = (painted(image_class, scene.parameters + step) - painted(image_class, scene.parameters - step)).flatten(
            1
        ) / 2e-5
        outside = moved - torch.einsum("nk,nkd->nd", torch.einsum("nkd,nd->nk", scene.tangent, moved), scene.tangent)
        # the area coverage has a second derivative that jumps, so central differences err by about 1e-5
        assert float(outside.norm() / moved.norm()) < 1e-4, i
    assert torch.equal(painted(image_class, scene.parameters), scene.images)


def test_sampled_disks_move_with_their_intensities_alone():
    image_class = gt.Disks(size=24, edge="sampled")
    scene = image_class.scene(3, dtype=F64)
    assert image_class.dimension == 2
    assert scene.tangent.shape == (3, 2, 576)
    for image, tangent in zip(scene.images, scene.tangent, strict=True):
        assert len(image.unique()) == 2
        x = image.flatten()
        torch.testing.assert_close(tangent.mT @ (tangent @ x), x, rtol=0, atol=1e-12)


def test_coverage_of_disks_and_ellipses_is_exact():
    ellipses = torch.tensor(
        [[7.3, 8.1, 5.2, 3.1, 0.7], [8.0, 8.0, 4.0, 4.0, 0.0], [8.25, 7.0, 0.2, 0.1, 2.0]], dtype=F64
    )
    area = area_of_ellipses(ellipses, 16)
    torch.testing.assert_close(area.sum((1, 2)), math.pi * ellipses[:, 2] * ellipses[:, 3], rtol=1e-12, atol=0)
    fine = (torch.arange(16 * 100, dtype=F64) + 0.5) / 100
    for parameters, coverage in zip(ellipses, area, strict=True):
        down, across = fine[:, None] - parameters[0], fine[None, :] - parameters[1]
        f = parameters[4]
        u, v = down * f.cos() + across * f.sin(), across * f.cos() - down * f.sin()
        counted = ((u / parameters[2]) ** 2 + (v / parameters[3]) ** 2 <= 1).double().reshape(16, 100, 16, 100)
        # 100 x 100 samples per pixel miss at most about one row of them along the contour
        torch.testing.assert_close(coverage, counted.mean((1, 3)), rtol=0, atol=5e-3)


def test_coverage_goes_on_where_the_shape_leaves_the_image():
    ellipse = torch.tensor([[1.0, 14.0, 5.0, 4.0, 0.3]], dtype=F64)
    moved = ellipse + torch.tensor([8.0, 8.0, 0.0, 0.0, 0.0], dtype=F64)
    torch.testing.assert_close(area_of_ellipses(ellipse, 16), area_of_ellipses(moved, 32)[:, 8:24, 8:24])
    corners = torch.tensor([[[-4.0, 3.0], [9.0, 20.0], [12.5, -5.0]]], dtype=F64)
    inside = area_inside(subdivided(corners, 32), 16)
    larger = area_inside(subdivided(corners + 8, 64), 32)
    torch.testing.assert_close(inside, larger[:, 8:24, 8:24])
    shoelace = torch.linalg.det(corners[:, 1:] - corners[:, :1]).abs() / 2
    torch.testing.assert_close(area_inside(subdivided(corners + 8, 64), 40).sum((1, 2)), shoelace)


def test_polygons_are_convex_and_touch_their_corners():
    image_class = gt.Polygons(size=32, corners=6)
    corners = image_class.scene(50, dtype=F64).parameters[:, :-2].reshape(50, 6, 2)
    assert bool(((corners >= 0) & (corners <= 32)).all())
    one, two = corners.roll(-1, 1) - corners, corners.roll(-2, 1) - corners.roll(-1, 1)
    turns = one[..., 0] * two[..., 1] - one[..., 1] * two[..., 0]
    assert bool((turns * turns.sign()[:, :1] > 0).all())


def test_the_curvature_radius_of_disks():
    """Against the second derivative along one line of the manifold: no direction bends more than the estimate."""
    image_class = gt.Disks(size=24)
    scene = image_class.scene(2, seed=1, dtype=F64)
    radius = image_class.curvature_radius(scene.parameters)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        u = torch.randn(2, 5, generator=generator, dtype=F64) * torch.tensor([1, 1, 1, 0.02, 0.02], dtype=F64)
        h = 1e-3
        ahead, here, behind = (painted(image_class, scene.parameters + s * h * u).flatten(1) for s in (1, 0, -1))
        first, second = (ahead - behind) / (2 * h), (ahead - 2 * here + behind) / h**2
        across = second - torch.einsum("nkd,nk->nd", scene.tangent, torch.einsum("nkd,nd->nk", scene.tangent, second))
        assert bool((across.norm(dim=1) / first.norm(dim=1) ** 2 <= 1.001 / radius).all())
    larger = gt.Disks(size=24, jump=0.9)
    contrast = scene.parameters.clone()
    contrast[:, 3:] *= 2  # intensities scaled by 2: so are all lengths
    torch.testing.assert_close(larger.curvature_radius(contrast), 2 * radius, rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match='edge="area" has none'):
        gt.Disks(size=24, edge="area").curvature_radius(scene.parameters)


@pytest.mark.parametrize("kind", ["graph", "closed"])
def test_contours_as_functions(kind):
    image_class = gt.CAlpha(alpha=3.0, size=32, contour=kind, contours=2)
    scene = image_class.scene(3, dtype=F64)
    assert isinstance(scene.contours, GraphContours if kind == "graph" else ClosedContours)
    t = torch.linspace(0.01, 0.99, 41, dtype=F64)
    h = 1e-5
    p, ahead, behind = (scene.contours.points(t + s * h) for s in (0, 1, -1))
    first, second = (ahead - behind) / (2 * h), (ahead - 2 * p + behind) / h**2
    speed = first.norm(dim=-1)
    normal = scene.contours.normals(t)
    torch.testing.assert_close(normal.norm(dim=-1), torch.ones_like(speed))
    assert float((normal * first).sum(dim=-1).abs().max()) < 1e-6  # across the contour
    bend = (second * normal).sum(dim=-1) / speed**2
    expected = scene.contours.curvature(t) * (1 if kind == "graph" else -1)
    torch.testing.assert_close(bend, expected, rtol=1e-3, atol=1e-3)
    # a step along the normal leads below the graph, out of the closed contour: where fewer, or more, contours lie around
    if kind == "closed":
        assert bool((((p - scene.contours.centre[:, :, None]) * normal).sum(-1) > 0).all())


def test_the_contour_is_where_the_coverage_changes():
    scene = gt.CAlpha(alpha=2.0, size=32).scene(6, dtype=F64)
    centres = (torch.arange(32, dtype=F64) + 0.5) / 32
    rows = scene.contours.points(centres)[:, 0, :, 0]
    # the stored heights are means of two points beside the centre: their distance is 1/32 of a pixel
    torch.testing.assert_close(rows, scene.contour, rtol=0, atol=2e-4)
    above = 1 - scene.coverage[:, 0].mean(dim=1)  # by column: mean height of the contour
    torch.testing.assert_close(above, scene.contour.clamp(0, 1), rtol=0, atol=4e-3)


def test_closed_contours_have_the_area_of_their_functions():
    scene = gt.CAlpha(alpha=2.0, size=64, contour="closed").scene(8, seed=2, dtype=F64)
    t = (torch.arange(4096, dtype=F64) + 0.5) / 4096
    points = scene.contours.points(t)[:, 0]
    inside = (points.amin((1, 2)) > 0) & (points.amax((1, 2)) < 1)
    ahead = points.roll(-1, 1)
    area = ((points[..., 0] * ahead[..., 1] - points[..., 1] * ahead[..., 0]).sum(1) / 2).abs()
    measured = scene.coverage.mean((1, 2, 3))
    assert int(inside.sum()) >= 4
    torch.testing.assert_close(measured[inside], area[inside], rtol=1e-4, atol=0)


def test_several_contours_cross():
    scene = gt.CAlpha(alpha=3.0, size=48, contours=2).scene(40, dtype=F64)
    torch.testing.assert_close(scene.weights.sum(dim=1), torch.ones(40, 48, 48, dtype=F64))
    assert float(scene.weights.min()) > -1e-12
    mixed = (scene.weights * scene.backgrounds).sum(dim=1, keepdim=True)
    torch.testing.assert_close(mixed, scene.images, rtol=0, atol=1e-12)
    difference = scene.contour[:, 0] - scene.contour[:, 1]
    crossings = (difference[:, 1:] * difference[:, :-1] < 0).sum(dim=1)
    assert int((crossings >= 1).sum()) >= 38  # the tilts make neighbours cross but for rare large waves
    height = scene.contours.points((torch.arange(48, dtype=F64) + 0.5) / 48)[..., 0]
    first, last = height.amin(dim=1), height.amax(dim=1)
    torch.testing.assert_close(1 - scene.coverage[:, 0].mean(1), first.clamp(0, 1), rtol=0, atol=0.02)
    torch.testing.assert_close(1 - scene.coverage[:, 1].mean(1), last.clamp(0, 1), rtol=0, atol=0.02)


def test_neighbouring_means_differ(monkeypatch):
    monkeypatch.setattr("gahb_theory.images.c_alpha.BACKGROUND_STD", 0.0)
    scene = gt.CAlpha(size=4, contours=3, jump=0.1).scene(3000, dtype=F64)
    means = scene.backgrounds[:, :, 0, 0]
    assert float((scene.backgrounds - means[:, :, None, None]).abs().max()) == 0
    gaps = (means[:, 1:] - means[:, :-1]).abs()
    assert float(gaps.min()) >= 0.1 - 1e-12
    assert float(gaps.max()) <= 0.5
    c = torch.cov(means.mT)
    # bounded variables of variance about 0.03: five standard errors
    torch.testing.assert_close(c, scene.covariance.means[0], rtol=0, atol=5 * 0.03 * math.sqrt(2 / 3000))


def test_blur_is_a_blur_of_the_coverage():
    sharp, soft = (gt.CAlpha(size=24, blur=b).scene(3, dtype=F64) for b in (0.0, 0.7))
    assert torch.equal(sharp.backgrounds, soft.backgrounds)
    torch.testing.assert_close(soft.coverage, blurred(sharp.coverage, 0.7))
    point = torch.zeros(1, 1, 15, 15, dtype=F64)
    point[0, 0, 7, 7] = 1
    spread = blurred(point, 0.7)[0, 0]
    torch.testing.assert_close(spread.sum(), torch.tensor(1.0, dtype=F64))
    offset = torch.arange(15, dtype=F64) - 7
    assert abs(float((spread.sum(1) * offset**2).sum()) - 0.49) < 2e-3  # cut off at four deviations
    torch.testing.assert_close(blurred(torch.ones(1, 1, 4, 4, dtype=F64), 2.0), torch.ones(1, 1, 4, 4, dtype=F64))


# --- covariances -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "image_class",
    [
        gt.GaussianField(1.0, size=8),
        gt.GaussianField(2.0, size=8, spectrum="matern", correlation_length=0.1),
        gt.GaussianField(1.5, size=8, period=1),
        gt.Texture(size=8, frequency=2.0, bandwidth=0.5),
    ],
    ids=["power", "matern", "periodic", "texture"],
)
def test_covariance_of_fields(image_class):
    n = 10_000
    x = image_class.sample(n, seed=1, dtype=F64).flatten(1)
    c = image_class.covariance.matrix()
    scale = float(c[0, 0])
    # entries of a sample covariance have a deviation of at most sqrt(2 / n) times the variance: 6 of them
    empirical = (x - image_class.mean).mT @ (x - image_class.mean) / n
    assert float((empirical - c).abs().max()) < 6 * scale * math.sqrt(2 / n)
    v = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=F64)
    torch.testing.assert_close(image_class.covariance.apply(v).flatten(1), v.flatten(1) @ c)
    torch.testing.assert_close(image_class.covariance.correlation().flatten(), c[0])
    if isinstance(image_class, gt.GaussianField):
        assert scale <= image_class.std**2 * (1 + 1e-6)  # what lies beyond the resolution is left out


@pytest.mark.parametrize(("alpha", "contours", "n"), [(2.0, 1, 8000), (1.0, 3, 4000)])
def test_covariance_given_the_contours(alpha, contours, n):
    """The backgrounds are independent of the contours: those of all images stand for redraws with the contours of one."""
    image_class = gt.CAlpha(alpha=alpha, size=6, contours=contours)
    scene = image_class.scene(n, seed=3, dtype=F64)
    weights = scene.weights[:1]  # the contours of image 0; contours and backgrounds are independent
    x = (weights * scene.backgrounds).sum(dim=1).flatten(1)
    covariance = type(scene.covariance)(weights, scene.covariance.field, scene.covariance.means[:1])
    c = covariance.matrix()[0]
    empirical = torch.cov(x.mT)
    # six deviations sqrt((c_ii c_jj + c_ij^2) / n); the means are not Gaussian but bounded, which only helps
    bound = 6 * torch.sqrt((c.diag()[:, None] * c.diag() + c**2) / n)
    assert bool(((empirical - c).abs() < bound).all())
    v = torch.randn(1, 1, 6, 6, generator=torch.Generator().manual_seed(0), dtype=F64)
    torch.testing.assert_close(covariance.apply(v).flatten(), c @ v.flatten())
    assert float(torch.linalg.eigvalsh(c).min()) > -1e-12


def test_the_formula_of_one_contour():
    scene = gt.CAlpha(size=8).scene(2, dtype=F64)
    m = scene.coverage.flatten(1)
    field = scene.covariance.field.matrix()
    both = m[:, :, None] * m[:, None, :] + (1 - m)[:, :, None] * (1 - m)[:, None, :]
    pair = torch.stack([m, 1 - m], dim=1)
    expected = both * field + pair.mT @ scene.covariance.means @ pair
    torch.testing.assert_close(scene.covariance.matrix(), expected)


def test_dead_leaves_have_their_covariance():
    image_class = gt.DeadLeaves(size=32, smallest=0.15, largest=0.4)
    x = image_class.sample(300, seed=1, dtype=F64)[:, 0] - 0.5
    for distance in (4, 8, 16):
        measured = (x[:, :, distance:] * x[:, :, :-distance]).mean((1, 2))
        expected = float(image_class.covariance(torch.tensor([distance / 32], dtype=F64)))
        # five standard errors, and 2 % of the variance for the mean over a pixel
        assert abs(float(measured.mean()) - expected) < 5 * float(measured.std()) / 300**0.5 + 0.02 / 12
    assert abs(float(image_class.covariance(torch.zeros(1, dtype=F64))) - 1 / 12) < 1e-12
    assert float(image_class.covariance(torch.tensor([0.81], dtype=F64))) == 0


def test_dead_leaves_are_opaque():
    image_class = gt.DeadLeaves(size=24, smallest=0.2, largest=0.4)
    scene = image_class.scene(3)
    assert scene.leaves.shape == (3, image_class.leaves, 4)
    assert bool(torch.isin(scene.images[:, 0, 12, 12], scene.leaves[:, :, 3]).any())
    flat = image_class.sample(20)[:, 0]
    level = flat[:, 1:-1, 1:-1]
    still = (level == flat[:, 1:-1, :-2]) & (level == flat[:, :-2, 1:-1])
    assert float(still.float().mean()) > 0.5  # large leaves: most pixels lie inside one


def test_cones():
    image = torch.linspace(-0.2, 0.7, 16).reshape(1, 1, 4, 4)
    scene = gt.Ray(image).scene(50)
    assert bool((scene.parameters > 0).all() and (scene.parameters <= 1).all())
    torch.testing.assert_close(scene.images, scene.parameters[:, :, None, None] * image)
    waves = gt.SineCone(size=16, frequency=(0.0, 3.0)).scene(20, dtype=F64)
    spectrum = torch.fft.fft2(waves.images[:, 0]).abs()
    spectrum[:, 0, 3] = spectrum[:, 0, 13] = 0
    assert float(spectrum.max()) < 1e-12
    torch.testing.assert_close(waves.images.square().mean((1, 2, 3)), waves.parameters[:, 0] ** 2 / 2)
