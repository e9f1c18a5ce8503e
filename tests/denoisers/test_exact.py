import copy

import numpy as np
import pytest
import torch

from gahb_theory.denoisers.exact import gaussian_denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.jacobians import jacobian


def image_class(c=1, h=3, w=4, dtype=torch.float64, seed=0):
    """A mean and a covariance with power-law eigenvalues."""
    generator = torch.Generator().manual_seed(seed)
    d = c * h * w
    vectors = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    variances = torch.arange(1, d + 1, dtype=torch.float64) ** -2.0
    mean = torch.rand(1, c, h, w, generator=generator, dtype=torch.float64)
    return mean.to(dtype), ((vectors * variances) @ vectors.mT).to(dtype), variances, vectors


def noise(*shape, seed=5, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize("shape", [(1, 3, 4), (3, 2, 2)])
def test_is_the_formula(shape):
    mean, covariance, *_ = image_class(*shape)
    f, y, sigma = GaussianDenoiser(mean, covariance), noise(5, *shape), 0.3
    d = covariance.shape[0]
    wiener = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(d, dtype=torch.float64))
    expected = mean + ((y - mean).flatten(1) @ wiener.mT).reshape(y.shape)
    torch.testing.assert_close(f(y, sigma), expected, rtol=1e-11, atol=1e-12)


def test_attributes():
    mean, covariance, variances, vectors = image_class()
    f = GaussianDenoiser(mean, covariance)
    torch.testing.assert_close(f.variances, variances)
    torch.testing.assert_close((f.atoms @ vectors).abs(), torch.eye(12, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(f.gains(0.5), variances / (variances + 0.25))
    assert f.gains(torch.tensor([0.5, 0.1, 0.2], dtype=torch.float64)).shape == (3, 12)
    assert not f.training
    assert set(f.state_dict()) == {"mean", "variances", "atoms"}


@pytest.mark.parametrize("rows", [1, 7, 400])
def test_fit_block_by_block(rows, monkeypatch):
    """The mean and the covariance with n - 1 of numpy, whatever the blocks; only blocks are in double precision."""
    x = torch.rand(30, 2, 3, 4, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(gaussian_denoiser, "BLOCK", rows * 8 * 24)
    sizes, double = [], torch.Tensor.double
    monkeypatch.setattr(torch.Tensor, "double", lambda t: sizes.append(t.shape) or double(t))
    f = GaussianDenoiser.fit(x)
    assert max(shape[0] for shape in sizes if len(shape) == 4) == min(rows, 30)
    expected = np.cov(x.flatten(1).numpy().astype(float).T)
    np.testing.assert_allclose((f.atoms.mT * f.variances) @ f.atoms, expected, atol=1e-14)
    np.testing.assert_allclose(f.mean[0], x.numpy().astype(float).mean(axis=0), atol=1e-15)


@pytest.mark.parametrize("count", [2, 9, 31, 32, 40])
def test_fit_of_few_images_is_that_of_their_covariance(count):
    """Singular vectors of the images, completed to a basis, against the eigenvectors of the covariance."""
    x = torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(count))
    x[-1] = x[0]  # of lower rank than images
    f = GaussianDenoiser.fit(x)
    rows = x.double().flatten(1)
    expected = GaussianDenoiser(rows.mean(dim=0).reshape(1, 1, 8, 8), torch.cov(rows.mT))
    torch.testing.assert_close(f.variances, expected.variances, atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(f.atoms @ f.atoms.mT, torch.eye(64, dtype=torch.float64))
    y = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(f(y, 0.1), expected(y, 0.1))


def test_fit_of_one_image_is_that_image():
    x = torch.rand(1, 1, 3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(GaussianDenoiser.fit(x)(torch.zeros_like(x), 0.2), x)


def test_each_image_has_its_own_sigma():
    mean, covariance, *_ = image_class()
    f, y = GaussianDenoiser(mean, covariance), noise(3, 1, 3, 4)
    sigmas = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    together = f(y, sigmas)
    for i, sigma in enumerate(sigmas.tolist()):
        torch.testing.assert_close(together[i : i + 1], f(y[i : i + 1], sigma))


def test_jacobian_is_the_wiener_filter():
    mean, covariance, *_ = image_class()
    sigma = 0.4
    J = jacobian(GaussianDenoiser(mean, covariance), noise(1, 1, 3, 4), sigma)
    wiener = covariance @ torch.linalg.inv(covariance + sigma**2 * torch.eye(12, dtype=torch.float64))
    torch.testing.assert_close(J.matrix(), wiener, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_risk_is_the_closed_form(sigma):
    """The mean of 4,000 squared errors lies within 4 standard errors of mse(sigma)."""
    mean, covariance, variances, vectors = image_class()
    f, n = GaussianDenoiser(mean, covariance), 4000
    x = mean + ((noise(n, 12, seed=1) * variances.sqrt()) @ vectors.mT).reshape(n, 1, 3, 4)
    errors = (f(x + sigma * noise(n, 1, 3, 4, seed=2), sigma) - x).square().sum(dim=(1, 2, 3))
    standard_error = float(errors.std() / n**0.5)
    assert abs(float(errors.mean() - f.mse(sigma))) < 4 * standard_error
    assert 4 * standard_error < 0.05 * float(f.mse(sigma))  # the test could tell a risk that is 5 percent off


def test_risk_is_sigma_squared_times_the_trace():
    mean, covariance, *_ = image_class()
    f, sigma = GaussianDenoiser(mean, covariance), 0.3
    J = jacobian(f, noise(1, 1, 3, 4), sigma)
    assert sigma**2 * J.trace() == pytest.approx(float(f.mse(sigma)), rel=1e-12)


def test_risk_curve():
    mean, covariance, *_ = image_class()
    f = GaussianDenoiser(mean, covariance)
    sigmas = torch.tensor([0.1, 1.0], dtype=torch.float64)
    curve = f.mse(sigmas)
    assert curve.shape == (2,)
    assert f.mse(0.1).shape == ()
    torch.testing.assert_close(curve, torch.stack([f.mse(0.1), f.mse(1.0)]))


def test_singular_covariance():
    """Variance in one direction alone: the denoiser projects the noise on it."""
    direction = torch.tensor([0.6, 0.8])
    f = GaussianDenoiser(torch.zeros(1, 1, 1, 2), torch.outer(direction, direction))
    y = torch.tensor([[[[1.0, 0.0]]]])
    torch.testing.assert_close(f(y, 0.5).flatten(), 0.6 * direction / 1.25, rtol=0, atol=1e-6)
    assert 0 <= float(f.variances.min()) < 1e-7


def test_follows_the_dtype_of_the_images():
    mean, covariance, *_ = image_class(dtype=torch.float32)
    f, y = GaussianDenoiser(mean, covariance), noise(2, 1, 3, 4)
    assert f(y.float(), 0.2).dtype == torch.float32
    assert f(y, 0.2).dtype == torch.float64
    torch.testing.assert_close(f(y, 0.2).float(), f(y.float(), 0.2), rtol=0, atol=1e-5)


def test_arguments_are_not_shared():
    mean, covariance, *_ = image_class()
    f, y = GaussianDenoiser(mean, covariance), noise(1, 1, 3, 4)
    before = f(y, 0.2)
    mean.zero_()
    covariance.zero_()
    assert torch.equal(f(y, 0.2), before)


def test_refuses_covariances_that_are_none(unchecked):
    mean, covariance, *_ = image_class()
    with pytest.raises(TypeError, match=r"covariance must be a torch tensor of shape \(12, 12\), got list"):
        GaussianDenoiser(mean, np.eye(12).tolist())
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        GaussianDenoiser(mean, torch.eye(12).long())
    with pytest.raises(ValueError, match=r"covariance must have shape \(12, 12\).*\(1, 1, 3, 4\), got \(12, 11\)"):
        GaussianDenoiser(mean, covariance[:, :11])
    with pytest.raises(ValueError, match=r"covariance must have shape \(12, 12\).*got \(11, 11\)"):
        GaussianDenoiser(mean, covariance[:11, :11])
    with pytest.raises(TypeError, match=r"covariance is torch\.float32, but mean is torch\.float64"):
        GaussianDenoiser(mean, covariance.float())
    with pytest.raises(ValueError, match="covariance must be finite"):
        GaussianDenoiser(mean, covariance * float("nan"))
    with pytest.raises(ValueError, match=r"mean must be one image .*\(2, 1, 3, 4\)"):
        GaussianDenoiser(mean.expand(2, -1, -1, -1), covariance)


def test_refuses_asymmetric_covariance():
    mean, covariance, *_ = image_class()
    covariance[0, 1] += 0.01
    with pytest.raises(ValueError, match=r"covariance must be symmetric, got entries that differ by 0\.01"):
        GaussianDenoiser(mean, covariance)


def test_refuses_negative_covariance_but_not_rounding():
    mean, covariance, *_ = image_class()
    identity = torch.eye(12, dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"no negative eigenvalues, got -0\.093.* where the largest in magnitude is 0\.9"
    ):
        GaussianDenoiser(mean, covariance - 0.1 * identity)
    smallest = 1 / 144
    rounded = GaussianDenoiser(mean, covariance - (smallest + 1e-10) * identity)
    assert float(rounded.variances.min()) == 0


def test_refuses_other_images(unchecked):
    mean, covariance, *_ = image_class()
    f = GaussianDenoiser(mean, covariance)
    with pytest.raises(
        ValueError, match=r"this denoiser knows images of shape \(1, 3, 4\), got images of shape \(1, 4, 3\)"
    ):
        f(noise(1, 1, 4, 3), 0.1)
    with pytest.raises(ValueError, match="y must be finite"):
        f(noise(1, 1, 3, 4) * float("nan"), 0.1)
    for method in (lambda s: f(noise(2, 1, 3, 4), s), f.gains, f.mse):
        with pytest.raises(ValueError, match=r"sigma .* must be finite and at least 0, got -1"):
            method(-1.0)
        with pytest.raises(ValueError, match=r"sigma .*(NaN or infinite|finite.*got inf)"):
            method(torch.tensor([0.1, torch.inf], dtype=torch.float64))
    with pytest.raises(ValueError, match="what this denoiser knows is on meta, but the images are on cpu"):
        copy.deepcopy(f).to("meta")(noise(1, 1, 3, 4), 0.1)


@pytest.mark.gpu
def test_accelerator():
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("no CUDA or MPS device")
    device = "cuda" if torch.cuda.is_available() else "mps"
    mean, covariance, *_ = image_class(dtype=torch.float32)
    y = noise(3, 1, 3, 4, dtype=torch.float32)
    here, there = GaussianDenoiser(mean, covariance), GaussianDenoiser(mean.to(device), covariance.to(device))
    torch.testing.assert_close(there(y.to(device), 0.2).cpu(), here(y, 0.2), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(there.mse(0.2).cpu(), here.mse(0.2), rtol=1e-4, atol=1e-5)
