"""Schur form, polar decomposition, paths, dimensions, posteriors and black boxes, on cases with known answers."""

import math

import pytest
import torch

from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.jacobians import (
    difference_jacobian,
    dimension_by_flipd,
    dimension_by_gap,
    dimension_by_normal_bundle,
    eigenbasis,
    eigenbasis_path,
    jacobian,
    posterior_components,
    posterior_deviation,
    posterior_moments,
    subspace_dimension,
)
from gahb_theory.jacobians import lanczos as krylov

SIGMA = 0.1
D = 324


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def operator(linear, image):
    def make(matrix):
        return jacobian(linear(matrix), image(1, 1, matrix.shape[1], dtype=matrix.dtype), SIGMA)

    return make


# Matrices that are not symmetric


def test_planted_complex_eigenvalues(operator):
    """Blocks [[a, b], [-b, a]] have the eigenvalues a + ib and a - ib; the mass is the share of their squares."""
    matrix = torch.block_diag(
        torch.tensor([[0.9, 0.4], [-0.4, 0.9]]), torch.tensor([[0.2, 0.1], [-0.1, 0.2]]), torch.tensor([[0.5]])
    ).double()
    basis = normal(5, 5) + 3 * torch.eye(5, dtype=torch.float64)
    turned = basis @ matrix @ torch.linalg.inv(basis)
    S = operator(turned).eig()
    expected = torch.tensor([0.9 + 0.4j, 0.9 - 0.4j, 0.5, 0.2 + 0.1j, 0.2 - 0.1j])
    order = lambda z: sorted(z.tolist(), key=lambda x: (-round(x.real, 9), x.imag))  # noqa: E731
    assert order(S.values) == pytest.approx(order(expected.to(torch.complex128)), abs=1e-7)
    assert S.complex_mass == pytest.approx(2 * (0.97 + 0.05) / (2 * (0.97 + 0.05) + 0.25))
    assert float(S.residuals.max()) < 1e-12
    energy = float(expected.abs().square().sum())
    assert S.departure == pytest.approx((1 - energy / float(turned.square().sum())) ** 0.5, rel=1e-6)


def test_symmetric_matrix_is_normal(operator, orthogonal):
    Q = orthogonal(12)
    J = operator((Q * torch.linspace(1, -0.2, 12, dtype=torch.float64)) @ Q.mT)
    S = J.eig()
    assert (S.complex_mass, S.departure) == (0, pytest.approx(0, abs=1e-7))
    torch.testing.assert_close(S.conditions, torch.ones(12, dtype=torch.float64))
    torch.testing.assert_close(S.values.real, J.eigenbasis().eigenvalues)


def test_conditions_are_the_derivatives_of_the_eigenvalues(operator):
    """[[1, c], [0, 0]] has right vectors (1, 0), (c, -1) and left ones (1, c), (0, 1): conditions sqrt(1 + c^2)."""
    S = operator(torch.tensor([[1.0, 7.0], [0.0, 0.0]], dtype=torch.float64)).eig()
    torch.testing.assert_close(S.conditions, torch.full((2,), 50.0, dtype=torch.float64).sqrt())


@pytest.mark.parametrize("c", [0.0, 3.0, 50.0])
def test_pseudospectrum_of_a_jordan_block(operator, c):
    """The smallest singular value s of [[z, -c], [0, z]]: s S = |z|^2 and s^2 + S^2 = 2 |z|^2 + c^2."""
    T = operator(torch.tensor([[0.0, c], [0.0, 0.0]], dtype=torch.float64)).schur()
    points = torch.tensor([0.3, 0.2j, -0.5 + 0.1j], dtype=torch.complex128)
    r = points.abs()
    smallest = ((4 * r**2 + c**2).sqrt() - c) / 2
    torch.testing.assert_close(T.resolvent_norm(points), 1 / smallest, rtol=1e-9, atol=0)
    assert T.residual < 1e-14


def test_schur_and_polar_put_the_matrix_together(operator):
    matrix = normal(15, 15)
    J = operator(matrix)
    T, P = J.schur(), J.polar()
    torch.testing.assert_close(T.vectors.mT @ T.form @ T.vectors, matrix)
    assert float(T.form.tril(-2).abs().max()) == 0
    identity = torch.eye(15, dtype=torch.float64)
    torch.testing.assert_close(T.vectors @ T.vectors.mT, identity)
    torch.testing.assert_close(P.rotation @ P.rotation.mT, identity)
    torch.testing.assert_close(P.rotation @ P.stretch, matrix)
    torch.testing.assert_close(P.stretch @ P.stretch, matrix.mT @ matrix)
    assert float(torch.linalg.eigvalsh(P.stretch)[0]) > 0
    assert max(T.residual, P.residual) < 1e-13


def test_polar_of_a_positive_matrix_is_the_matrix(operator):
    half = normal(8, 8)
    matrix = half @ half.mT
    torch.testing.assert_close(operator(matrix).polar().stretch, matrix)


@pytest.mark.parametrize("name", ["eig", "schur", "polar"])
def test_refuse_a_rectangle(operator, name):
    with pytest.raises(ValueError, match=r"need a square Jacobian, got shape \(3, 5\); use svd"):
        getattr(operator(normal(3, 5)), name)()


# Eigenpairs: clusters, starts, interruptions


def test_clusters(operator, orthogonal):
    Q, values = orthogonal(6), torch.tensor([1.0, 1.0, 0.7, 0.70001, 0.2, 0.0], dtype=torch.float64)
    E = operator((Q * values) @ Q.mT).eigenbasis()
    assert E.clusters() == (range(0, 2), range(2, 3), range(3, 4), range(4, 5), range(5, 6))
    assert E.clusters(gap=1e-3) == (range(0, 2), range(2, 4), range(4, 5), range(5, 6))
    assert E.clusters(gap=1.0) == (range(6),)
    torch.testing.assert_close(E.atoms @ E.atoms.mT, torch.eye(6, dtype=torch.float64), atol=1e-13, rtol=0)
    with pytest.raises(ValueError, match="gap must be finite and above 0"):
        E.clusters(gap=-1.0)


def decaying():
    return 1.3 * torch.exp(-torch.arange(D, dtype=torch.float64) / 40)


def test_start_from_the_neighbour_saves_products(operator, orthogonal):
    Q = orthogonal(D)
    matrix = (Q * decaying()) @ Q.mT
    noise = normal(D, D, seed=5) * 1e-7
    before = eigenbasis(operator(matrix), 8)
    near = operator(matrix + noise + noise.mT)
    cold, warm = eigenbasis(near, 8), eigenbasis(near, 8, start=before)
    torch.testing.assert_close(warm.eigenvalues, cold.eigenvalues, rtol=0, atol=1e-8)
    assert bool(warm.converged.all())
    assert warm.matvecs < cold.matvecs / 2
    with pytest.raises(ValueError, match="start holds atoms of 324 numbers, but the Jacobian has 300"):
        eigenbasis(operator(torch.eye(300, dtype=torch.float64)), 3, start=before)


def test_a_wrong_start_misses_nothing(orthogonal):
    """The ten smallest eigenvectors span an invariant subspace, in which every residual vanishes."""
    Q, values = orthogonal(D), decaying()
    matrix = (Q * values) @ Q.mT
    pairs = krylov.top_eigenpairs(lambda v: matrix @ v, D, 5, tol=1e-5, start=Q[:, -10:])
    torch.testing.assert_close(pairs.values, values[:5], rtol=0, atol=1e-8)


class Interrupted(Exception):
    pass


def test_interrupted_iteration_goes_on(orthogonal, tmp_path, monkeypatch):
    monkeypatch.setattr(krylov, "SAVE_SECONDS", 0.0)
    Q = orthogonal(D)
    values = torch.linspace(1, 0.5, D, dtype=torch.float64)
    matrix, path, calls = (Q * values) @ Q.mT, tmp_path / "pairs.npz", []

    def apply(v, stop=10**9):
        calls.append(v.shape[1])
        if len(calls) > stop:
            raise Interrupted
        return matrix @ v

    whole = krylov.top_eigenpairs(apply, D, 6, tol=1e-7)
    total = len(calls)
    calls.clear()
    with pytest.raises(Interrupted):
        krylov.top_eigenpairs(lambda v: apply(v, total - 20), D, 6, tol=1e-7, checkpoint=path)
    assert path.exists()
    with pytest.raises(ValueError, match=r"pairs\.npz belongs to another Jacobian; remove it"):
        krylov.top_eigenpairs(lambda v: 2 * matrix @ v, D, 6, tol=1e-7, checkpoint=path)
    calls.clear()
    resumed = krylov.top_eigenpairs(apply, D, 6, tol=1e-7, checkpoint=path)
    assert len(calls) < total / 2
    assert not path.exists()
    torch.testing.assert_close(resumed.values, whole.values, rtol=0, atol=1e-12)
    assert bool((resumed.residuals <= 1e-7).all())


@pytest.mark.parametrize("block", [3, 16])
def test_blocks_of_directions_give_the_same_pairs(orthogonal, block):
    Q, values = orthogonal(D), decaying()
    matrix, widths = (Q * values) @ Q.mT, []

    def apply(v):
        widths.append(v.shape[1])
        return matrix @ v

    pairs = krylov.top_eigenpairs(apply, D, 6, tol=1e-7, block=block)
    torch.testing.assert_close(pairs.values, values[:6], rtol=0, atol=1e-10)
    assert max(widths) == block


# Paths and dimensions


def test_path_of_a_gaussian():
    """The eigenvectors of a Gaussian do not turn, and its gains are variance / (variance + sigma^2)."""
    variances = torch.linspace(4, 0.1, 25, dtype=torch.float64)
    Q = torch.linalg.qr(normal(25, 25)).Q
    f = GaussianDenoiser(torch.zeros(1, 1, 5, 5, dtype=torch.float64), (Q * variances) @ Q.mT)
    P = eigenbasis_path(f, normal(1, 1, 5, 5, seed=1), [1.0, 0.5, 0.2], k=4)
    expected = variances[:4] / (variances[:4] + P.sigmas.double()[:, None] ** 2)
    torch.testing.assert_close(P.eigenvalues, expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(P.overlaps, torch.ones(2, dtype=torch.float64), rtol=0, atol=1e-8)
    assert P.matvecs == sum(E.matvecs for E in P.bases)
    with pytest.raises(ValueError, match="at least two noise levels, got 1"):
        eigenbasis_path(f, normal(1, 1, 5, 5), [1.0], k=4)


def test_subspace_dimension_of_a_projection():
    S = subspace_dimension(torch.tensor([1.0] * 7 + [0.0] * 20))
    values = (S.trace, S.above_half, S.energy, S.participation, S.entropy)
    assert values == pytest.approx((7,) * 5, rel=1e-6)
    assert subspace_dimension(torch.zeros(4)).participation == 0


@pytest.fixture
def plane():
    """A Gaussian on a plane of dimension 3 in 36, wide beside sigma, with a mean off the origin."""
    Q = torch.linalg.qr(normal(36, 36, seed=2)).Q[:, :3]
    f = GaussianDenoiser(normal(1, 1, 6, 6, seed=3), 4 * Q @ Q.mT)
    x = f.mean + (2 * Q @ normal(3, seed=4)).reshape(1, 1, 6, 6)
    return f, x


def test_four_estimates_of_the_dimension_of_a_plane(plane):
    f, x = plane
    sigma = 0.05
    J = jacobian(f, x, sigma)
    gain = 4 / (4 + sigma**2)
    assert J.trace() == pytest.approx(3 * gain, rel=1e-9)
    inside = float((x - f.mean).square().sum()) * (1 - gain) ** 2 / sigma**2
    assert dimension_by_flipd(J, x, sigma) == pytest.approx(3 * gain + inside, rel=1e-9)
    assert dimension_by_flipd(J, x, sigma) == pytest.approx(3, abs=0.02)
    G = dimension_by_gap(J.eigenbasis().eigenvalues)
    assert (G.dimension, G.gap) == (3, pytest.approx(gain, rel=1e-6))
    assert G.next_gap < 1e-6
    N = dimension_by_normal_bundle(f, x, sigma, seed=1, batch_size=50)
    assert N.dimension == 3
    assert N.gap > 3 * N.next_gap


def test_dimension_by_gap_refuses_what_is_not_sorted():
    with pytest.raises(ValueError, match="at least 3 and descending"):
        dimension_by_gap(torch.tensor([0.1, 0.5, 0.2]))
    assert dimension_by_gap(torch.tensor([1.0, 0.9, 0.1, 0.05]), largest=2).dimension == 2


# Posteriors


def two_points(y, sigma):
    """The posterior mean of pixels that are -1 or 1."""
    return torch.tanh(y / sigma**2)


@pytest.mark.parametrize("at", [0.05, -0.2, 0.4])
def test_moments_of_two_points(at):
    """A pixel that is 1 with probability (1 + m) / 2: variance 1 - m^2, third -2 m (1 - m^2), fourth (1 - m^2)(1 + 3 m^2)."""
    sigma, y = 0.6, torch.full((1, 1, 2, 2), at, dtype=torch.float64)
    m = math.tanh(at / sigma**2)
    direction = torch.tensor([0.0, 2.0, 0.0, 0.0], dtype=torch.float64)
    M = posterior_moments(two_points, y, sigma, direction, step=0.01)
    assert M.mean == pytest.approx(m)
    assert M.variance == pytest.approx(1 - m**2, rel=1e-6)
    assert M.third == pytest.approx(-2 * m * (1 - m**2), abs=1e-5)
    assert M.fourth == pytest.approx((1 - m**2) * (1 + 3 * m**2), rel=1e-3)
    assert abs(M.third + 2 * m * (1 - m**2)) <= M.third_error + 1e-9
    assert abs(M.fourth - (1 - m**2) * (1 + 3 * m**2)) <= M.fourth_error + 1e-6
    assert M.kurtosis == pytest.approx((1 + 3 * m**2) / (1 - m**2), rel=1e-3)
    assert M.skewness == pytest.approx(-2 * m / (1 - m**2) ** 0.5, rel=1e-3)


def test_posterior_of_a_gaussian():
    Q, variances = torch.linalg.qr(normal(9, 9)).Q, torch.linspace(1, 0.1, 9, dtype=torch.float64)
    covariance, sigma = (Q * variances) @ Q.mT, 0.3
    f = GaussianDenoiser(torch.zeros(1, 1, 3, 3, dtype=torch.float64), covariance)
    y = normal(1, 1, 3, 3, seed=1)
    J = jacobian(f, y, sigma)
    posterior = torch.linalg.inv(torch.linalg.inv(covariance) + torch.eye(9, dtype=torch.float64) / sigma**2)
    C = posterior_components(J, sigma, 3)
    torch.testing.assert_close(C.variances, torch.linalg.eigvalsh(posterior).flip(0)[:3])
    deviation = posterior_deviation(J, sigma)
    torch.testing.assert_close(deviation.flatten(), posterior.diagonal().sqrt())
    walk = C.walk(0, torch.tensor([-1.0, 0.0, 2.0]))
    torch.testing.assert_close(walk[1], C.mean[0])
    assert float((walk[2] - C.mean[0]).norm()) == pytest.approx(2 * float(C.variances[0]) ** 0.5)
    M = posterior_moments(f, y, sigma, C.basis.atoms[0])
    assert M.variance == pytest.approx(float(C.variances[0]), rel=1e-9)
    assert M.third == pytest.approx(0, abs=1e-9)
    assert M.kurtosis == pytest.approx(3, rel=1e-6)


def test_negative_variance_is_not_hidden(image):
    J = jacobian(lambda y, sigma: -y, image(1, 2, 2), SIGMA)
    assert bool(posterior_deviation(J, SIGMA).isnan().all())


def test_posterior_moments_refuse_other_directions(image):
    with pytest.raises(ValueError, match="direction must hold 4 numbers, not all 0"):
        posterior_moments(two_points, image(1, 2, 2), SIGMA, torch.zeros(4, dtype=torch.float64))


# Black boxes


def test_differences_of_a_black_box(network, image):
    f, y = network(4, 3, smooth=True, bias=True), image(4, 3, 4)

    def black_box(x, sigma):
        return torch.from_numpy(f(x, sigma).detach().numpy().copy())

    J = difference_jacobian(black_box, y, SIGMA)
    dense = torch.autograd.functional.jacobian(lambda x: f(x, SIGMA), y).reshape(36, 48)
    v, u = normal(48, 3), normal(36, 3)
    assert "central differences" in J.engine
    torch.testing.assert_close(J.matvec(v), dense @ v, rtol=0, atol=1e-8)
    torch.testing.assert_close(J.rmatvec(u), dense.mT @ u, rtol=0, atol=1e-8)
    torch.testing.assert_close(J.matrix(), dense, rtol=0, atol=1e-8)


@pytest.mark.parametrize("step", [0.02, 0.2])
def test_error_of_the_differences_is_estimated(image, step):
    """f = y^3 has the error h^2 in the slope 3 y^2 of each pixel."""
    y = image(1, 1, 1)
    J = difference_jacobian(lambda x, sigma: x**3, y, SIGMA, step=step)
    slope = float(J.matvec(torch.ones(1, dtype=torch.float64)))
    true = 3 * float(y) ** 2
    assert slope - true == pytest.approx(step**2, rel=1e-6)
    assert J._products.error == pytest.approx(step**2 / slope, rel=1e-6)
