"""Smooth UNets: homogeneous, with a continuous derivative; the gradient of their energy, blind or given sigma."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import SmoothConditionedUNet, SmoothUNet
from gahb_theory.jacobians.symmetric import HessianJacobian

BOTH = pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def relative(a, b):
    return float(((a - b).norm() / b.norm()).detach())


def stirred(channels=1, kind=SmoothUNet):
    """A network whose noise prediction is as large as its input."""
    f = kind(4, 2, channels, seed=1)
    with torch.no_grad():
        f.exit.weight.mul_(20)
    return f.double().eval()


def by_autograd(f, y):
    return torch.autograd.functional.jacobian(lambda x: f(x, 0.1), y).reshape(y.numel(), y.numel())


@pytest.mark.parametrize("channels", [1, 3])
def test_homogeneous_and_equivariant_to_brightness(channels):
    f, y = stirred(channels), noise(2, channels, 8, 8)
    assert relative(f(y, 0.1), y) > 0.1, "the prediction is not small"
    torch.testing.assert_close(f(1e-3 * y, 0.1), 1e-3 * f(y, 0.1))
    assert relative(f(-y, 0.1), -f(y, 0.1)) > 0.01, "homogeneous for positive factors alone"
    shift = noise(2, channels, 1, 1, seed=3)
    torch.testing.assert_close(f(y + shift, 0.1), f(y, 0.1) + shift)
    flat = torch.full((1, channels, 8, 8), 0.3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(f(flat, 0.1), flat)
    assert torch.equal(f(0 * flat, 0.1), 0 * flat)
    (gradient,) = torch.autograd.grad(f(flat, 0.1).sum(), flat)
    assert bool(torch.isfinite(gradient).all())


def test_features_of_white_noise_have_mean_square_1_at_any_width():
    for channels in (4, 32):
        f = SmoothUNet(channels, 2, seed=2)
        z = noise(32, 1, 32, 32, dtype=torch.float32)
        with torch.no_grad():
            for _ in range(1):
                z = f.encoder[0](z)
        assert float(z.square().mean()) == pytest.approx(1, abs=0.35)


def test_the_conservative_denoiser_is_continuous_and_that_of_a_relu_network_is_not():
    """Along a line, the largest step of f over a small distance: in proportion to it, or not."""

    def largest(f, parts):
        a, b = noise(1, 1, 8, 8), noise(1, 1, 8, 8, seed=1)
        t = torch.linspace(0, 0.05, parts + 1, dtype=torch.float64)[:, None, None, None]
        with torch.no_grad():
            return float(f(a + t * (b - a), 0.1).diff(dim=0).flatten(1).norm(dim=1).max())

    smooth = gt.Conservative(stirred())
    network = gt.UNet(4, 2, seed=1).double().eval()
    with torch.no_grad():
        for norm in (m for m in network.modules() if isinstance(m, gt.BiasFreeNorm)):
            norm.gamma.fill_(1.0)
    assert largest(smooth, 8000) < 0.2 * largest(smooth, 800)
    assert largest(gt.Conservative(network), 8000) > 0.8 * largest(gt.Conservative(network), 800)
    assert largest(network, 8000) < 0.2 * largest(network, 800), "the network itself is continuous"


@BOTH
def test_equation_6_is_exact(dtype, allowed):
    f = gt.Conservative(stirred()).to(dtype)
    y = noise(1, 1, 16, 16, dtype=dtype)
    matrix = by_autograd(f, y)
    assert relative(matrix, matrix.mT) < allowed
    J = gt.jacobian(f, y, 0.1)
    assert isinstance(J, HessianJacobian)
    assert J.engine == "frozen" and J.check.startswith("agrees")
    assert J.homogeneity_error() < allowed
    assert J.asymmetry() == 0
    assert relative(J.matrix(), matrix) < allowed
    assert relative(f(3 * y, 0.1), 3 * f(y, 0.1)) < allowed
    E = J.eigenbasis()
    shrunk = E.atoms.mT @ (E.eigenvalues * (E.atoms @ y.flatten()))
    assert relative(shrunk, f(y, 0.1).flatten()) < 10 * allowed


def test_the_jacobian_is_the_hessian_of_the_energy_and_not_the_symmetric_part_of_that_of_the_network():
    network = stirred()
    f, y = gt.Conservative(network), noise(1, 1, 8, 8)
    hessian = torch.autograd.functional.hessian(lambda x: f.energy(x).sum(), y).reshape(64, 64)
    J = gt.jacobian(f, y, 0.1)
    v = noise(64, 3, seed=1)
    torch.testing.assert_close(J.matvec(v), hessian @ v)
    torch.testing.assert_close(J.rmatvec(v), hessian @ v)
    torch.testing.assert_close(J.rows([5]), hessian[[5]])
    torch.testing.assert_close(J.diagonal(), hessian.diagonal())
    torch.testing.assert_close(J.matrix(), hessian)
    part = by_autograd(network, y)
    part = (part + part.mT) / 2
    torch.testing.assert_close(part @ y.flatten(), f(y, 0.1).flatten())  # by Euler's theorem for N and for f
    assert relative(part, hessian) > 0.05
    ones = torch.ones(64, dtype=torch.float64)
    torch.testing.assert_close(hessian @ ones, ones)  # brightness is left alone


def test_few_eigenpairs_take_one_product_each(monkeypatch):
    f, y = gt.Conservative(stirred()), noise(1, 1, 24, 24)
    J = gt.jacobian(f, y, 0.1)
    monkeypatch.setattr(J, "rmatvec", None)
    E = J.eigenbasis(4)
    assert E.asymmetry == 0.0
    torch.testing.assert_close(E.eigenvalues, gt.jacobian(f, y, 0.1).eigenbasis().eigenvalues[:4], rtol=1e-5, atol=0)


def test_the_score_is_the_gradient_of_the_log_density():
    f, sigma = gt.Conservative(stirred()), torch.tensor([0.3, 0.7], dtype=torch.float64)
    y = noise(2, 1, 16, 16).requires_grad_()
    (gradient,) = torch.autograd.grad(f.log_density(y, sigma).sum(), y)
    torch.testing.assert_close(gradient, (f(y, sigma) - y) / sigma[:, None, None, None] ** 2)


def test_gradients_of_the_weights_are_those_of_differences():
    f = gt.Conservative(stirred()).train()
    y, x = noise(2, 1, 8, 8), noise(2, 1, 8, 8, seed=1)

    def loss():
        return (f(y, 0.1) - x).square().sum()

    loss().backward()
    for name, p in f.named_parameters():
        direction = noise(*p.shape, seed=2)
        expected = float((p.grad * direction).sum())
        with torch.no_grad():
            ends = []
            for h in (1e-6, -1e-6):
                p.add_(direction, alpha=h)
                ends.append(float(loss()))
                p.sub_(direction, alpha=h)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-4), name


def test_images_of_a_batch_are_apart_and_training_is_use():
    f, y = gt.Conservative(stirred()), noise(3, 1, 8, 8)
    together = f.train()(y, 0.1)
    torch.testing.assert_close(together[:1], f(y[:1], 0.1))
    torch.testing.assert_close(together, f.eval()(y, 0.1))


def test_trained_it_denoises_and_is_exact(tmp_path):
    X = gt.Disks(size=16)
    g = gt.train(gt.Conservative(SmoothUNet(4, 2)), X, images_seen=1600, batch_size=16, run=tmp_path / "run")
    x = X.sample(64, seed=99)
    y = gt.add_noise(x, 0.3, seed=5)
    with torch.no_grad():
        assert gt.psnr(x, g(y, 0.3)) > gt.psnr(x, y) + 2
    J = gt.jacobian(g, y[:1], 0.3)
    assert J.asymmetry() == 0 and J.homogeneity_error() < 1e-5
    h = gt.load_denoiser(tmp_path / "run")
    assert type(h.network) is SmoothUNet and h.configuration == g.configuration
    torch.testing.assert_close(h(y, 0.3), g(y, 0.3), rtol=0, atol=1e-5)


def test_refused_shapes(unchecked):
    with pytest.raises(ValueError, match=r"2\^blocks"):
        SmoothUNet(4, 2)(noise(1, 1, 10, 8, dtype=torch.float32), 0.1)
    with pytest.raises(ValueError, match="channel"):
        SmoothUNet(4, 2)(noise(1, 3, 8, 8, dtype=torch.float32), 0.1)


@pytest.mark.parametrize("channels", [1, 3])
def test_given_sigma_it_is_homogeneous_in_the_image_and_its_noise_together(channels):
    f, y = stirred(channels, SmoothConditionedUNet), noise(2, channels, 8, 8)
    torch.testing.assert_close(f(1e-3 * y, 1e-4), 1e-3 * f(y, 0.1))
    assert relative(f(2 * y, 0.1), 2 * f(y, 0.1)) > 0.001, "and not in the image alone"
    shift = noise(2, channels, 1, 1, seed=3)
    torch.testing.assert_close(f(y + shift, 0.1), f(y, 0.1) + shift)
    each = torch.tensor([0.1, 0.7], dtype=torch.float64)
    torch.testing.assert_close(f(y, each), torch.cat([f(y[:1], 0.1), f(y[1:], 0.7)]))
    flat = torch.full((1, channels, 8, 8), 0.3, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(f(flat, 0.1), flat)
    (gradient,) = torch.autograd.grad(f(flat, 0.1).sum() + f(y, 0.0).sum(), flat)
    assert bool(torch.isfinite(gradient).all())


@BOTH
def test_a_gradient_that_is_given_sigma_is_symmetric_and_equation_6_has_the_remainder_of_euler(dtype, allowed):
    """f(y, sigma) = S y + sigma df/dsigma: the derivative of f(s y, s sigma) = s f(y, sigma) at s = 1."""
    f = gt.Conservative(stirred(kind=SmoothConditionedUNet)).to(dtype).eval()
    y, sigma = noise(1, 1, 8, 8).to(dtype), torch.tensor(0.4, dtype=dtype)
    J = gt.jacobian(f, y, float(sigma))
    assert isinstance(J, HessianJacobian) and J.asymmetry() < allowed
    value, remainder = torch.func.jvp(lambda s: f.estimate(y, s.reshape(1, 1, 1, 1)), (sigma,), (sigma,))
    product = J.matvec(y.flatten()).reshape(y.shape)
    assert relative(product + remainder, value) < allowed
    assert relative(product, value) > 0.001, "equation (6) itself does not hold"


def test_the_energy_of_a_network_that_is_given_sigma():
    f = gt.Conservative(stirred(kind=SmoothConditionedUNet)).eval()
    y, sigma = noise(2, 1, 8, 8).requires_grad_(), torch.tensor([0.3, 0.7], dtype=torch.float64)
    (gradient,) = torch.autograd.grad(f.energy(y, sigma).sum(), y)
    torch.testing.assert_close(gradient, f(y, sigma))
    (score,) = torch.autograd.grad(f.log_density(y, sigma).sum(), y)
    torch.testing.assert_close(score, (f(y, sigma) - y) / sigma[:, None, None, None] ** 2)
    torch.testing.assert_close(f.energy(2 * y, 2 * sigma), 4 * f.energy(y, sigma))
    with pytest.raises(TypeError, match=r"SmoothConditionedUNet is given sigma.*energy\(y, sigma\)"):
        f.energy(y)


def test_a_residual_unet_that_is_given_sigma_has_an_energy_too():
    f, y = gt.Conservative(gt.DRUNet(4, 1)).double().eval(), noise(1, 1, 8, 8)
    J = gt.jacobian(f, y, 0.3)
    assert J.asymmetry() < 1e-12
    torch.testing.assert_close(f(3 * y, 0.9), 3 * f(y, 0.3))
