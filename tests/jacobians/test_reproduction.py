"""Which matrix a spectrum is of, and what the shrinkage with it reproduces."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import SmoothUNet
from gahb_theory.jacobians.reproduction import shrunk


def test_a_linear_denoiser_with_a_known_antisymmetric_part():
    """J = [[1, a], [-a, 1]] / 2: S = Id / 2, f(y) - S y = (a/2) R y with R a rotation by a right angle."""
    a = 0.75
    turn = torch.tensor([[1.0, a], [-a, 1.0]], dtype=torch.float64) / 2

    def f(y, sigma):
        return (y.flatten(1) @ turn.mT).reshape(y.shape)

    x = torch.tensor([[[[0.6, 0.8]]]], dtype=torch.float64)
    y = torch.tensor([[[[0.3, 0.4]]]], dtype=torch.float64)
    found = gt.jacobian(f, y, 0.1).reproduction(x)
    # ||J - J'|| / ||J|| = (a sqrt 2) / (sqrt(2 (1 + a^2)) / 2) = 2 a / sqrt(1 + a^2) = 1.2
    assert found.asymmetry == pytest.approx(1.2)
    assert found.error == pytest.approx(a / (1 + a**2) ** 0.5)
    assert found.psnr_shrinkage == pytest.approx(float(gt.psnr(x, y / 2)))
    assert found.psnr == pytest.approx(float(gt.psnr(x, f(y, 0.1))))
    assert not found.exact
    lost = found.psnr - found.psnr_shrinkage
    assert str(found) == (
        "Spectrum of S = (J + J')/2, where ||J - J'|| / ||J|| = 1.2; S y is f(y) to 6.0e-01: "
        f"{found.psnr_shrinkage:.2f} dB beside {found.psnr:.2f} dB of f(y), {lost:.2f} dB lost."
    )


def test_the_shrinkage_is_that_of_the_eigenbasis():
    f = gt.UNet(4, 1, seed=0).double().eval()
    x = gt.CAlpha(size=16).sample(1, seed=0, dtype=torch.float64)
    y = gt.add_noise(x, 0.1, seed=0)
    J = gt.jacobian(f, y, 0.1)
    E, found = J.eigenbasis(), J.reproduction(x)
    shrunk = E.synthesis(E.eigenvalues * E.analysis(y))
    assert found.psnr_shrinkage == pytest.approx(float(gt.psnr(x, shrunk)))
    assert found.error == pytest.approx(float((shrunk - J.output).norm() / J.output.norm()))


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 5e-6), (torch.float64, 1e-12)])
def test_the_equation_is_exact_for_conservative_networks(dtype, allowed):
    f = gt.Conservative(SmoothUNet(4, 1, seed=0)).to(dtype).eval()
    y = gt.add_noise(gt.CAlpha(size=16).sample(1, seed=0, dtype=dtype), 0.1, seed=0)
    found = gt.jacobian(f, y, 0.1).reproduction()
    assert found.error < allowed
    assert found.exact
    assert str(found).startswith("Spectrum of J, which is symmetric; S y is f(y) to ")
    assert found.psnr is None


def test_a_symmetric_affine_denoiser_is_not_a_shrinkage():
    y = torch.ones(1, 1, 2, 2)
    found = gt.jacobian(lambda y, sigma: y / 2 + 1, y, 0.1).reproduction()
    assert found.asymmetry == 0
    assert found.error == pytest.approx(2 / 3)
    assert not found.exact


def test_a_clean_image_of_another_shape_is_refused():
    J = gt.jacobian(lambda y, sigma: y / 2, torch.ones(1, 1, 2, 2), 0.1)
    with pytest.raises(ValueError, match="x must have the shape of y"):
        J.reproduction(torch.ones(1, 1, 2, 3))


def test_the_shrinkage_of_a_batch_is_that_of_each_image():
    f = gt.UNet(4, 1, seed=2).double().eval()
    y = torch.rand(3, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for one, found in zip(y.split(1), shrunk(f, y, 0.1), strict=True):
        J = gt.jacobian(f, one, 0.1).matrix()
        torch.testing.assert_close(found.flatten(), (J + J.mT) @ one.flatten() / 2)
        assert not torch.allclose(found.flatten(), J @ one.flatten()), "J is not symmetric"
