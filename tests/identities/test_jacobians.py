"""What the theory says about Jacobians, on denoisers whose answers are known."""

import pytest
import torch
from torch import nn

from gahb_theory.bases import DCT, Pixels, Wavelet
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.jacobians import jacobian
from gahb_theory.shrinkage import FixedGains, Soft

SIGMA = 0.2


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def network(channels, *, bias=False, seed=0, dtype=torch.float64):
    layers, inputs = [], channels
    for outputs in (6, 6, channels):
        conv = nn.utils.skip_init(nn.Conv2d, inputs, outputs, 3, padding=1, bias=bias)
        for i, parameter in enumerate(conv.parameters()):
            parameter.data = normal(*parameter.shape, seed=10 * seed + i + len(layers), dtype=dtype) / 3
        layers += [conv, nn.ReLU(inplace=True)]
        inputs = outputs
    stack = nn.Sequential(*layers[:-1]).eval().requires_grad_(False)
    return lambda y, sigma: y - stack(y)


def projector(atoms):
    return atoms.mT @ atoms


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
def test_products_are_adjoint(channels, bias):
    f = network(channels, bias=bias, dtype=torch.float32)
    J = jacobian(f, normal(1, channels, 8, 7, dtype=torch.float32), SIGMA)
    v, u = normal(J.shape[1], 5, seed=1).float(), normal(J.shape[0], 5, seed=2).float()
    forward, backward = (u * J.matvec(v)).sum(dim=0), (J.rmatvec(u) * v).sum(dim=0)
    sizes = u.norm(dim=0) * J.matvec(v).norm(dim=0)
    assert float(((forward - backward).abs() / sizes).max()) < 1e-6


@pytest.mark.parametrize("channels", [1, 3])
def test_network_without_bias_is_its_jacobian(channels):
    """f(y) = J y and f(s y) = s f(y), and the Jacobian is the same along the ray."""
    f, y = network(channels), normal(1, channels, 6, 6, seed=3)
    J = jacobian(f, y, SIGMA)
    torch.testing.assert_close(J.matvec(y.flatten()), f(y, SIGMA).flatten(), rtol=1e-11, atol=1e-12)
    assert J.homogeneity_error() < 1e-13
    torch.testing.assert_close(f(2.5 * y, SIGMA), 2.5 * f(y, SIGMA), rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(jacobian(f, 2.5 * y, SIGMA).matrix(), J.matrix(), rtol=1e-10, atol=1e-12)


def test_bias_breaks_homogeneity():
    assert jacobian(network(1, bias=True), normal(1, 1, 6, 6, seed=3), SIGMA).homogeneity_error() > 0.01


def test_shrinkage_in_the_eigenbasis_is_the_symmetric_denoiser():
    """With all pairs, sum_k lambda_k <y, e_k> e_k = S y; it is f(y) but for the antisymmetric part."""
    f, y = network(1), normal(1, 1, 6, 6, seed=3)
    J = jacobian(f, y, SIGMA)
    E, matrix = J.eigenbasis(), J.matrix()
    shrunk = ShrinkageDenoiser(E, FixedGains(E.eigenvalues))(y, SIGMA)
    symmetric = (matrix + matrix.mT) / 2
    torch.testing.assert_close(shrunk.flatten(), symmetric @ y.flatten(), rtol=1e-10, atol=1e-11)
    gap = float((f(y, SIGMA) - shrunk).norm())
    assert gap == pytest.approx(float(((matrix - matrix.mT) / 2 @ y.flatten()).norm()), rel=1e-8)
    assert E.asymmetry > 0.1


def test_trace_is_the_sum_of_the_eigenvalues():
    J = jacobian(network(3), normal(1, 3, 4, 5), SIGMA)
    assert J.trace() == pytest.approx(float(J.eigenbasis().eigenvalues.sum()), rel=1e-10)
    assert float(J.matrix().norm()) == pytest.approx(float(J.svd().values.norm()), rel=1e-10)


@pytest.mark.parametrize("basis", [Pixels(), DCT(), Wavelet("db2", levels=1)])
@pytest.mark.parametrize("shape", [(1, 6, 6), (2, 4, 6)])
def test_fixed_gains_come_back(basis, shape):
    y = normal(1, *shape)
    d = y.numel()
    gains = torch.linspace(1, -0.2, d, dtype=torch.float64)[
        torch.randperm(d, generator=torch.Generator().manual_seed(0))
    ]
    E = jacobian(ShrinkageDenoiser(basis, FixedGains(gains)), y, SIGMA).eigenbasis()
    order = gains.argsort(descending=True)
    torch.testing.assert_close(E.eigenvalues, gains[order], rtol=0, atol=1e-10)
    atoms = basis.atom_images(order.tolist(), shape, dtype=torch.float64).flatten(1)
    torch.testing.assert_close((E.atoms @ atoms.mT).abs(), torch.eye(d, dtype=torch.float64), rtol=0, atol=1e-9)
    assert E.asymmetry < 1e-9


@pytest.mark.parametrize("k", [12, None])
def test_repeated_gains_come_back_as_subspaces(k):
    basis, shape = DCT(), (1, 18, 18)
    gains = torch.zeros(324, dtype=torch.float64)
    gains[:4], gains[4:10], gains[10:12] = 1.0, 0.5, 0.25
    E = jacobian(ShrinkageDenoiser(basis, FixedGains(gains)), normal(1, *shape), SIGMA).eigenbasis(k)
    torch.testing.assert_close(E.eigenvalues[:12], gains[:12], rtol=0, atol=1e-8)
    for part in (slice(0, 4), slice(4, 10), slice(10, 12)):
        atoms = basis.atom_images(range(324)[part], shape, dtype=torch.float64).flatten(1)
        torch.testing.assert_close(projector(E.atoms[part]), projector(atoms), rtol=0, atol=1e-6)


def test_eigenbasis_of_a_shrinkage_in_an_eigenbasis():
    """The two arrows are inverse: Jacobian to basis and gains, and back to the same Jacobian."""
    E = jacobian(network(3), normal(1, 3, 4, 4, seed=3), SIGMA).eigenbasis(7)
    J = jacobian(ShrinkageDenoiser(E, FixedGains(E.eigenvalues)), normal(1, 3, 4, 4, seed=4), SIGMA)
    torch.testing.assert_close(J.matrix(), (E.atoms.mT * E.eigenvalues) @ E.atoms, rtol=0, atol=1e-11)
    F = J.eigenbasis(7)
    torch.testing.assert_close(F.eigenvalues, E.eigenvalues, rtol=0, atol=1e-11)
    torch.testing.assert_close(F.atoms, E.atoms, rtol=0, atol=1e-9)


def test_soft_thresholding_counts_the_coefficients_it_keeps():
    """tr J is the number of coefficients above the threshold, the divergence in the risk estimate of Stein (1981)."""
    basis, y = DCT(), normal(1, 1, 6, 6)
    J = jacobian(ShrinkageDenoiser(basis, Soft(2.0)), y, 0.4)
    kept = int((basis.analysis(y).abs() > 0.8).sum())
    assert 0 < kept < 36
    assert J.trace() == pytest.approx(kept, abs=1e-9)


def test_posterior_mean_of_a_gaussian():
    """J = Cov[x | y] / sigma^2 at every y: the eigenvectors of the covariance, and the gains."""
    vectors = torch.linalg.qr(normal(30, 30, seed=1)).Q
    variances = torch.linspace(1, 0.01, 30, dtype=torch.float64)
    covariance = (vectors * variances) @ vectors.mT
    f = GaussianDenoiser(normal(1, 1, 5, 6, seed=2), covariance)
    posterior = covariance - covariance @ torch.linalg.solve(
        covariance + SIGMA**2 * torch.eye(30, dtype=torch.float64), covariance
    )
    for seed in (3, 4):
        J = jacobian(f, normal(1, 1, 5, 6, seed=seed), SIGMA)
        torch.testing.assert_close(SIGMA**2 * J.matrix(), posterior, rtol=1e-9, atol=1e-12)
        E = J.eigenbasis()
        torch.testing.assert_close(E.eigenvalues, f.gains(SIGMA), rtol=1e-10, atol=0)
        torch.testing.assert_close(E.atoms, f.atoms, rtol=0, atol=1e-8)
        assert SIGMA**2 * J.trace() == pytest.approx(float(f.mse(SIGMA)), rel=1e-10)
