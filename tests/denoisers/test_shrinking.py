import pytest
import torch

from gahb_theory.bases import DCT, PCA, Pixels, Wavelet
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.jacobians import jacobian
from gahb_theory.shrinkage import FixedGains, Hard, Soft


def images(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("basis", [Pixels(), DCT(), Wavelet("db2", levels=1)])
@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (2, 3, 8, 4)])
def test_is_the_formula(basis, shape):
    y, shrinkage = images(*shape), Soft(1.0)
    c = basis.analysis(y)
    expected = basis.synthesis(shrinkage(c, 0.3) * c, shape[1:])
    f = ShrinkageDenoiser(basis, shrinkage)
    assert isinstance(f, Denoiser)
    assert not f.training
    torch.testing.assert_close(f(y, 0.3), expected)


def test_hard_thresholding_of_pixels():
    y = torch.tensor([[[[0.1, -0.5], [0.31, 0.0]]]])
    torch.testing.assert_close(ShrinkageDenoiser(Pixels(), Hard(3.0))(y, 0.1), y * (y.abs() > 0.3))


def test_each_image_has_its_own_sigma():
    f, y = ShrinkageDenoiser(DCT(), Soft(2.0)), images(3, 1, 6, 6)
    sigmas = torch.tensor([0.01, 0.1, 1.0], dtype=torch.float64)
    together = f(y, sigmas)
    for i, sigma in enumerate(sigmas.tolist()):
        torch.testing.assert_close(together[i : i + 1], f(y[i : i + 1], sigma))


@pytest.mark.parametrize(("sigma", "shape"), [(0.1, ()), (torch.tensor([0.1, 0.2]), (2,)), (torch.tensor([0.1]), ())])
def test_sigma_reaches_the_shrinkage_without_image_axes(sigma, shape):
    seen = []

    def shrinkage(c, sigma):
        seen.append(sigma)
        return torch.ones_like(c)

    y = images(2, 1, 4, 4).float()
    torch.testing.assert_close(ShrinkageDenoiser(Pixels(), shrinkage)(y, sigma), y)
    assert seen[0].shape == shape
    assert float(seen[0].max()) == pytest.approx(float(torch.as_tensor(sigma).max()))


def test_gains_may_broadcast():
    y = images(2, 1, 2, 2)
    gains = torch.tensor([1.0, 0.0, 0.5, 0.0], dtype=torch.float64)
    f = ShrinkageDenoiser(Pixels(), lambda c, sigma: gains)
    torch.testing.assert_close(f(y, 0.1), y * gains.reshape(2, 2))


def test_partial_basis_projects():
    y = images(4, 1, 4, 4)
    basis = PCA.fit(images(40, 1, 4, 4, seed=1), components=5)
    f = ShrinkageDenoiser(basis, lambda c, sigma: torch.ones_like(c))
    projected = f(y, 0.1)
    torch.testing.assert_close(f(projected, 0.1), projected)
    assert int(torch.linalg.matrix_rank(projected.flatten(1))) == 4
    assert round(jacobian(f, y[:1], 0.1).trace(), 9) == 5


def test_wiener_gains_in_principal_components_are_the_gaussian_denoiser():
    training, y = images(60, 1, 3, 3, seed=1), images(4, 1, 3, 3, seed=2)
    basis = PCA.fit(training)
    centred = (training - basis.mean).flatten(1)
    exact = GaussianDenoiser(basis.mean, centred.mT @ centred / 59)
    f = ShrinkageDenoiser(basis, FixedGains(exact.gains(0.2)))
    torch.testing.assert_close(basis.mean + f(y - basis.mean, 0.2), exact(y, 0.2), rtol=1e-8, atol=1e-10)


def test_refuses_what_is_no_basis(unchecked):
    with pytest.raises(TypeError, match=r"basis must be a Basis such as Wavelet\('db4'\), got str"):
        ShrinkageDenoiser("db4", Hard(3.0))
    with pytest.raises(TypeError, match=r"shrinkage must be callable, got float .*such as Hard\(3\.0\)"):
        ShrinkageDenoiser(Pixels(), 3.0)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 5), (1, 1, 2, 2)])
def test_refuses_gains_that_do_not_fit(shape):
    f = ShrinkageDenoiser(Pixels(), lambda c, sigma: torch.ones(shape, dtype=c.dtype))
    with pytest.raises(ValueError, match=r"gains of the shape of the coefficients, \(2, 4\), got"):
        f(images(2, 1, 2, 2), 0.1)


def test_refuses_gains_that_are_no_tensor():
    f = ShrinkageDenoiser(Pixels(), lambda c, sigma: 0.5)
    with pytest.raises(TypeError, match="shrinkage must return a tensor of gains, got float"):
        f(images(1, 1, 2, 2), 0.1)


def test_refuses_bad_images_and_sigma(unchecked):
    f = ShrinkageDenoiser(Pixels(), Hard(3.0))
    with pytest.raises(ValueError, match="y must have shape"):
        f(images(4, 4), 0.1)
    with pytest.raises(ValueError, match=r"sigma .* must be finite and at least 0, got -0\.1"):
        f(images(1, 1, 4, 4), -0.1)
