"""Composites of patches, and the smoothed memoriser: sums written out, limits, closed Jacobians, potentials."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import PatchBayes, PatchComposite, PatchSchedule, SmoothedEmpiricalBayes
from gahb_theory.testing import check_denoiser


def images(n, channels=1, height=5, width=6, seed=0):
    return torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def windows(height, width, size, boundary):
    """Rows and columns of each window."""
    last = (height, width) if boundary == "circular" else (height - size + 1, width - size + 1)
    for i in range(last[0]):
        for j in range(last[1]):
            yield [(i + a) % height for a in range(size)], [(j + b) % width for b in range(size)]


def written_out(train, y, sigma, size, boundary):
    """Each window denoised on its own, and averaged."""
    total, count = torch.zeros_like(y), torch.zeros_like(y)
    for rows, columns in windows(*y.shape[1:], size, boundary):
        cut = train[:, :, rows][..., columns]
        distances = (y[:, rows][..., columns] - cut).square().sum((1, 2, 3))
        mean = torch.einsum("n,nchw->chw", torch.softmax(-distances / (2 * sigma**2), 0), cut)
        for a, i in enumerate(rows):
            for b, j in enumerate(columns):
                total[:, i, j] += mean[:, a, b]
                count[:, i, j] += 1
    return total / count


@pytest.mark.parametrize("boundary", ["zero", "circular"])
@pytest.mark.parametrize(("size", "channels"), [(1, 1), (3, 2), (5, 1)])
def test_is_the_mean_over_windows_written_out(boundary, size, channels):
    train, y = images(7, channels), images(2, channels, seed=1)
    sigmas = torch.tensor([0.1, 0.4], dtype=torch.float64)
    f = PatchComposite(train, size, boundary, budget=2**12)  # in chunks
    for k in range(2):
        expected = written_out(train, y[k], float(sigmas[k]), size, boundary)
        torch.testing.assert_close(f(y, sigmas)[k], expected, rtol=1e-9, atol=1e-11)
        whole = PatchComposite(train, size, boundary)
        torch.testing.assert_close(whole(y[k : k + 1], float(sigmas[k]))[0], expected)


def test_limits():
    """One window is the memoriser; windows of one pixel are what `PatchBayes` does; a schedule takes either."""
    train, y = images(6, height=5, width=5), images(2, height=5, width=5, seed=1)
    torch.testing.assert_close(PatchComposite(train, 5)(y, 0.2), gt.EmpiricalBayes(train)(y, 0.2))
    torch.testing.assert_close(PatchComposite(train, 1)(y, 0.2), PatchBayes(train, 1)(y, 0.2))
    both = PatchComposite(train, PatchSchedule((0.01, 1.0), (1, 5)))
    torch.testing.assert_close(both(y, 0.02), PatchBayes(train, 1)(y, 0.02))
    torch.testing.assert_close(both(y, 0.9), gt.EmpiricalBayes(train)(y, 0.9))
    assert not torch.allclose(PatchComposite(train, 3)(y, 0.2), PatchBayes(train, 3)(y, 0.2), atol=1e-2)


@pytest.mark.parametrize("boundary", ["zero", "circular"])
@pytest.mark.parametrize(("size", "channels", "sigma"), [(3, 1, 0.05), (3, 2, 0.3), (5, 1, 2.0)])
def test_closed_jacobian_is_that_of_autograd(boundary, size, channels, sigma):
    f, y = PatchComposite(images(8, channels), size, boundary), images(1, channels, seed=1)
    closed = f.jacobian_matrix(y, sigma)
    dense = torch.autograd.functional.jacobian(lambda x: f(x, sigma), y).reshape(closed.shape)
    torch.testing.assert_close(closed, dense, rtol=1e-8, atol=1e-10 / sigma**2)


def test_on_the_torus_it_is_the_gradient_of_the_patch_log_likelihood():
    train, y, sigma = images(8), images(1, seed=1).requires_grad_(), 0.2
    f = PatchComposite(train, 3, "circular")
    likelihood = torch.zeros(())
    for rows, columns in windows(5, 6, 3, "circular"):
        distances = (y[:, :, rows][..., columns] - train[:, :, rows][..., columns]).square().sum((1, 2, 3))
        likelihood = likelihood + torch.logsumexp(-distances / (2 * sigma**2), 0)
    (gradient,) = torch.autograd.grad(likelihood, y)
    torch.testing.assert_close(f(y.detach(), sigma) - y.detach(), sigma**2 / 9 * gradient)
    J = f.jacobian_matrix(y.detach(), sigma)
    torch.testing.assert_close(J, J.mT, rtol=0, atol=1e-12)
    inside = PatchComposite(train, 3).jacobian_matrix(y.detach(), sigma)
    assert float((inside - inside.mT).norm() / inside.norm()) > 0.05, "the border has fewer windows"


def test_it_makes_images_that_it_has_never_seen():
    """Two halves of training images, next to each other: the memoriser returns either, the composite both."""
    train = images(6, height=8, width=12)
    mixed = torch.cat([train[:1, ..., :6], train[1:2, ..., 6:]], dim=3)
    y = gt.add_noise(mixed, 0.05, seed=3)
    near = (PatchComposite(train, 3)(y, 0.05) - mixed).norm() / mixed.norm()
    far = (gt.EmpiricalBayes(train)(y, 0.05) - mixed).norm() / mixed.norm()
    assert near < 0.15 < 0.3 < far


def test_composite_refuses(unchecked):
    with pytest.raises(ValueError, match="at most 5"):
        PatchComposite(images(3), 7)
    with pytest.raises(ValueError, match="must be odd"):
        PatchComposite(images(3), 4)
    with pytest.raises(ValueError, match="knows images of shape"):
        PatchComposite(images(3), 3).jacobian_matrix(images(1, 1, 6, 5), 0.2)


def test_smoothed_memoriser_of_two_images_by_quadrature():
    """w = 1 / (1 + exp(-(y + eta - 1/2) / sigma^2)) for images 0 and 1; its mean over eta by Gauss and Hermite."""
    import numpy as np

    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    y, sigma, smoothing = 0.55, 0.3, 0.2
    expected = float((weights / weights.sum() / (1 + np.exp(-(y + smoothing * nodes - 0.5) / sigma**2))).sum())
    two = torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(2, 1, 1, 1)
    point = torch.full((1, 1, 1, 1), y, dtype=torch.float64)
    assert float(SmoothedEmpiricalBayes(two, smoothing, 4096)(point, sigma)) == pytest.approx(expected, abs=4e-3)
    assert float(gt.EmpiricalBayes(two)(point, sigma)) == pytest.approx(1 / (1 + np.exp(-0.05 / 0.09)))


def test_without_smoothing_it_is_the_memoriser_and_with_it_a_barycentre():
    train = images(5)
    y = gt.add_noise(train.mean(0, keepdim=True), 0.01, seed=1)
    memoriser = gt.EmpiricalBayes(train)
    torch.testing.assert_close(SmoothedEmpiricalBayes(train, 0.0, 2)(y, 0.05), memoriser(y, 0.05))
    assert float(memoriser.weights(y, 0.05).max()) > 0.99
    smooth = SmoothedEmpiricalBayes(train, 1.0, 64)(y, 0.05)
    assert float((smooth - train).flatten(1).norm(dim=1).min()) > 0.5, "no training image"
    assert float((smooth - y).norm()) < float((memoriser(y, 0.05) - y).norm())


def test_smoothed_jacobian_is_that_of_autograd_symmetric_and_positive():
    f, y, sigma = SmoothedEmpiricalBayes(images(6, 2), 0.3, 8, seed=4), images(1, 2, seed=1), 0.3
    J = f.jacobian_matrix(y, sigma)
    dense = torch.autograd.functional.jacobian(lambda x: f(x, sigma), y).reshape(J.shape)
    torch.testing.assert_close(J, dense, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(J, J.mT, rtol=0, atol=1e-12)
    assert float(torch.linalg.eigvalsh(J).min()) > -1e-10


def test_smoothed_memoriser_is_a_function_of_its_seed():
    train, y = images(6), images(2, seed=1)
    a, b, c = (SmoothedEmpiricalBayes(train, 0.3, 8, seed=s)(y, 0.1) for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.allclose(a, c, rtol=0, atol=1e-6)
    f = SmoothedEmpiricalBayes(train, 0.3, 8)
    torch.testing.assert_close(f.displacements.sum(0), torch.zeros(30, dtype=torch.float64))
    assert float(f.displacements.std()) == pytest.approx(0.3, rel=0.2)
    assert SmoothedEmpiricalBayes(train.float(), 0.3, 8)(y.float(), 0.1).dtype == torch.float32


def test_smoothed_refuses(unchecked):
    with pytest.raises(ValueError, match="must be even"):
        SmoothedEmpiricalBayes(images(3), 0.1, 5)
    with pytest.raises(ValueError, match="smoothing"):
        SmoothedEmpiricalBayes(images(3), -0.1)
    with pytest.raises(ValueError, match="knows images of shape"):
        SmoothedEmpiricalBayes(images(3), 0.1)(images(1, 1, 6, 5), 0.2)


@pytest.mark.parametrize(
    "make", [lambda x: PatchComposite(x, 3), lambda x: SmoothedEmpiricalBayes(x, 0.1)], ids=["composite", "smoothed"]
)
def test_they_follow_the_interface(make):
    check_denoiser(make(images(4).float()), (1, 5, 6))
