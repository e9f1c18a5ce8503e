"""Linear measurements: adjoints, orthonormal rows, and the pseudo-inverse that is found for any object."""

import math

import pytest
import torch

from gahb_theory.sampling.measurements import BlockMeans, CircularBlur, Inpainting, Projections, pseudo_inverse

C, H, W = 2, 6, 9


def mask():
    return torch.arange(C * H * W).reshape(1, C, H, W) % 3 > 0


def lopsided():
    """A kernel without any symmetry, whose gain is 0 nowhere."""
    return torch.tensor([[0.1, 0.2, 0.0], [0.0, 1.0, 0.3]], dtype=torch.float64)


MEASUREMENTS = {
    "inpainting": Inpainting(mask()),
    "means": BlockMeans(3),
    "blur": CircularBlur(lopsided()),
    "gaussian blur": CircularBlur.gaussian(0.5),
    "projections": Projections.random((C, H, W), 20, seed=3),
}
ORTHONORMAL = ("inpainting", "projections")


def images(n, generator):
    return torch.randn(n, C, H, W, generator=generator, dtype=torch.float64)


def matrix(function, like):
    """The matrix of a linear function of images or measurements of the shape of `like`."""
    units = torch.eye(like[0].numel(), dtype=torch.float64).reshape(-1, *like.shape[1:])
    return function(units).flatten(1).mT


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_adjoint_is_the_transpose(name, generator):
    measurement, x = MEASUREMENTS[name], images(1, generator)
    a, adjoint = matrix(measurement.A, x), matrix(measurement.A_adjoint, measurement.A(x))
    torch.testing.assert_close(adjoint, a.mT, rtol=0, atol=1e-12)
    assert float(a.norm()) > 1


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_the_pseudo_inverse_is_that_of_moore_and_penrose(name, generator):
    measurement, x = MEASUREMENTS[name], images(1, generator)
    inverse = pseudo_inverse(measurement, x)
    expected = torch.linalg.pinv(matrix(measurement.A, x), rtol=1e-2)
    torch.testing.assert_close(matrix(inverse, measurement.A(x)), expected, rtol=0, atol=1e-10)
    assert (inverse == measurement.A_adjoint) == (name in ORTHONORMAL)
    single = x.float()
    found = pseudo_inverse(measurement, single)(measurement.A(single))
    torch.testing.assert_close(found.double(), inverse(measurement.A(x)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ORTHONORMAL)
def test_the_rows_are_orthonormal(name, generator):
    a = matrix(MEASUREMENTS[name].A, images(1, generator))
    torch.testing.assert_close(a @ a.mT, torch.eye(len(a), dtype=torch.float64), rtol=0, atol=1e-12)


def test_the_blur_is_a_convolution_with_the_kernel_at_its_centre(generator):
    x, kernel = images(1, generator), lopsided()
    blurred = sum(
        kernel[i, j] * x.roll((i - 1, j - 1), dims=(-2, -1)) for i in range(2) for j in range(3)
    )  # the centre is the pixel (1, 1) of 2 x 3
    torch.testing.assert_close(CircularBlur(kernel).A(x), blurred, rtol=0, atol=1e-12)


def test_frequencies_below_the_floor_do_not_count():
    n, width, floors, ranks = 20, 1.5, (0.05, 0.5), []
    x = torch.zeros(1, 1, n, n, dtype=torch.float64)
    for floor in floors:
        blur = CircularBlur.gaussian(width, floor=floor)
        inverse = pseudo_inverse(blur, x)
        p = matrix(inverse, x) @ matrix(blur.A, x)
        torch.testing.assert_close(p @ p, p, rtol=0, atol=1e-9)
        torch.testing.assert_close(p, p.mT, rtol=0, atol=1e-9)
        ranks.append(round(float(p.trace())))
    # the gain is exp(-(2 pi width f)^2 / 2) at the frequency f in cycles per pixel
    f = torch.fft.fftfreq(n, dtype=torch.float64)
    radius = (f[:, None].square() + f.square()).sqrt()
    within = [int((radius < math.sqrt(-2 * math.log(floor)) / (2 * math.pi * width)).sum()) for floor in floors]
    assert ranks == within
    assert within[0] > within[1] > 10


class Matrix:
    """Somebody else's operator: two methods and no pseudo-inverse."""

    def __init__(self, a, adjoint=None):
        self.a, self.adjoint = a, a.mT if adjoint is None else adjoint

    def A(self, x):
        return x.flatten(1) @ self.a.mT

    def A_adjoint(self, m):
        return (m @ self.adjoint.mT).reshape(len(m), C, H, W)


class WithDagger(Matrix):
    """The same with an A_dagger, right or not."""

    def __init__(self, a, dagger):
        super().__init__(a)
        self.dagger = dagger

    def A_dagger(self, m):
        return (m @ self.dagger.mT).reshape(len(m), C, H, W)


def rows(k, generator):
    return torch.randn(k, C * H * W, generator=generator, dtype=torch.float64)


def test_conjugate_gradients_find_the_pseudo_inverse_of_others(generator):
    a = rows(20, generator)
    deficient = torch.cat([a, a[:5] + a[5:10]])  # 5 rows that add nothing
    for matrix_of in (a, deficient):
        measurement = Matrix(matrix_of)
        inverse = pseudo_inverse(measurement, images(1, generator))
        m = measurement.A(images(3, generator))
        torch.testing.assert_close(inverse(m).flatten(1), m @ torch.linalg.pinv(matrix_of).mT, rtol=1e-8, atol=1e-8)


def test_a_wrong_dagger_is_not_taken(generator):
    a = rows(20, generator)
    right = torch.linalg.pinv(a)
    kernel = torch.linalg.svd(a).Vh[20:].mT
    oblique = right + 0.2 * kernel[:, :20] @ torch.eye(20, dtype=torch.float64)  # A A_dagger = Id, and yet not A^+
    for dagger, taken in ((right, True), (oblique, False), (right / 2, False), (a.mT, False), (0 * right, False)):
        measurement = WithDagger(a, dagger)
        inverse = pseudo_inverse(measurement, images(1, generator))
        assert (inverse == measurement.A_dagger) == taken
        m = measurement.A(images(2, generator))
        torch.testing.assert_close(inverse(m).flatten(1), m @ right.mT, rtol=1e-8, atol=1e-8)


def test_what_has_no_pseudo_inverse_is_refused(generator, unchecked):
    x = images(1, generator)
    a = rows(20, generator)
    with pytest.raises(ValueError, match="A_adjoint is not the adjoint"):
        pseudo_inverse(Matrix(a, adjoint=rows(20, generator).mT), x)
    steep = torch.linalg.qr(a.mT).Q.mT * torch.logspace(0, -12, 20, dtype=torch.float64)[:, None]
    with pytest.raises(ValueError, match="small singular values"):
        pseudo_inverse(Matrix(steep), x.double())
    with pytest.raises(ValueError, match="no pseudo-inverse"):
        pseudo_inverse(Matrix(0 * a), x)
    with pytest.raises(TypeError, match="must have methods A and A_adjoint, got int"):
        pseudo_inverse(3, x)


def test_what_a_measurement_refuses(generator, unchecked):
    for bad in (mask().float(), mask()[0], "mask"):
        with pytest.raises(ValueError, match="tensor of booleans"):
            Inpainting(bad)
    with pytest.raises(ValueError, match="nothing is measured"):
        Inpainting(torch.zeros(1, 1, 2, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"of images of shape \(2, 6, 9\), got \(1, 6, 9\)"):
        Inpainting(mask()).A(torch.ones(1, 1, H, W))
    with pytest.raises(ValueError, match="multiples of factor = 4"):
        BlockMeans(4).A(torch.ones(1, 1, 8, 9))
    with pytest.raises(ValueError, match="factor"):
        BlockMeans(0)
    with pytest.raises(ValueError, match="fit into the images, got 13 x 13"):
        CircularBlur.gaussian(1.5).A(torch.ones(1, 1, 9, 9))
    with pytest.raises(ValueError, match="floor is a share"):
        CircularBlur.gaussian(1.5, floor=1.0)
    with pytest.raises(ValueError, match="kernel must not be 0"):
        CircularBlur(torch.zeros(3, 3))
    with pytest.raises(ValueError, match="orthonormal images"):
        Projections(torch.ones(2, 1, 3, 3))
    with pytest.raises(ValueError, match="count"):
        Projections.random((1, 2, 2), 5)


def test_random_projections_are_a_function_of_the_seed():
    a, b, c = (Projections.random((1, 4, 4), 3, seed=seed).rows for seed in (0, 0, 1))
    assert torch.equal(a, b)
    assert float((a - c).norm()) > 1
    # one direction in 16: the first coordinate of a uniform unit vector has mean 0 and variance 1/16
    first = torch.stack([Projections.random((1, 4, 4), 1, seed=seed).rows.flatten()[0] for seed in range(400)])
    assert abs(float(first.mean())) < 4.5 / math.sqrt(400 * 16)
    assert abs(float(first.square().mean()) * 16 - 1) < 4.5 * math.sqrt(2 / 400)
