import dataclasses

import pytest
import torch

from gahb_theory.bases.base import Basis
from gahb_theory.bases.eigen import Eigenbasis, canonical_sign
from gahb_theory.jacobians import SVD, eigenbasis, jacobian, svd
from gahb_theory.jacobians import lanczos as krylov

SIGMA = 0.1
D = 324  # above the size up to which the dense matrix is used, so that few pairs are found matrix free


def planted(values, left, right=None):
    """The matrix sum_k values[k] left[:, k] right[:, k]^T."""
    return (left[:, : len(values)] * values) @ (left if right is None else right)[:, : len(values)].mT


def decaying(d=D):
    return 1.3 * torch.exp(-torch.arange(d, dtype=torch.float64) / 40) - 0.2


@pytest.fixture
def operator(linear, image):
    def make(matrix):
        return jacobian(linear(matrix), image(1, 1, matrix.shape[1], dtype=matrix.dtype), SIGMA)

    return make


def projector(rows):
    return rows.mT @ rows


# Eigenpairs


def test_dense_pairs_of_a_planted_matrix(operator, orthogonal):
    values, vectors = decaying(60), orthogonal(60)
    E = operator(planted(values, vectors)).eigenbasis()
    torch.testing.assert_close(E.eigenvalues, values, rtol=0, atol=1e-12)
    torch.testing.assert_close(E.atoms, (vectors * canonical_sign(vectors.mT)).mT, rtol=0, atol=1e-10)
    assert bool(E.converged.all())
    assert float(E.residuals.max()) < 1e-13
    assert E.asymmetry == pytest.approx(0, abs=1e-14)
    assert E.matvecs == 60
    assert E.image_shape == (1, 1, 60)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 2, 10, 40])
def test_matrix_free_pairs_are_the_dense_ones(operator, orthogonal, dtype, k):
    skew = torch.triu(torch.ones(D, D, dtype=torch.float64), 1) / D
    matrix = (planted(decaying(), orthogonal(D)) + skew - skew.mT).to(dtype)
    J = operator(matrix)
    E, dense = J.eigenbasis(k), operator(matrix).eigenbasis()
    assert J._matrix is None
    assert E.asymmetry is None
    assert 0 < E.matvecs < 2 * D * 4
    assert bool(E.converged.all())
    single = dtype == torch.float32
    torch.testing.assert_close(E.eigenvalues, dense.eigenvalues[:k], rtol=0, atol=2e-6 if single else 1e-8)
    # Neighbours are 0.03 to 0.01 apart: a residual r turns a vector by r / 0.01.
    torch.testing.assert_close(E.atoms, dense.atoms[:k], rtol=0, atol=5e-3)
    identity = torch.eye(k, dtype=dtype)
    torch.testing.assert_close(E.atoms @ E.atoms.mT, identity, rtol=0, atol=1e-6 if single else 1e-12)


def test_residuals_are_measured(operator, orthogonal):
    matrix = planted(decaying(), orthogonal(D), orthogonal(D, seed=1))
    E = operator(matrix).eigenbasis(12)
    symmetric = (matrix + matrix.mT) / 2
    measured = (symmetric @ E.atoms.mT - E.atoms.mT * E.eigenvalues).norm(dim=0)
    torch.testing.assert_close(E.residuals, measured, rtol=1e-3, atol=1e-12)
    assert E.tolerance == pytest.approx(1e-4 * float(torch.linalg.matrix_norm(symmetric, 2)), rel=0.2)
    assert torch.equal(E.converged, E.residuals <= E.tolerance)


@pytest.mark.parametrize("k", [3, 8, 12, 20])
def test_no_copy_of_a_repeated_eigenvalue_is_missed(operator, orthogonal, k):
    values = (1 / (1 + 0.05 * torch.arange(D // 9, dtype=torch.float64))).repeat_interleave(9)
    E = operator(planted(values, orthogonal(D))).eigenbasis(k)
    torch.testing.assert_close(E.eigenvalues, values[:k], rtol=0, atol=1e-4)
    assert bool(E.converged.all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_low_rank(operator, orthogonal, dtype):
    values = torch.tensor([1.0, 1.0, 0.9, 0.5, 0.01], dtype=torch.float64)
    E = operator(planted(values, orthogonal(D)).to(dtype)).eigenbasis(9)
    torch.testing.assert_close(E.eigenvalues.double(), torch.nn.functional.pad(values, (0, 4)), rtol=0, atol=1e-6)
    assert bool(E.converged.all())
    assert E.matvecs < 400


def test_eigenvalues_below_rounding_cost_no_more(operator, orthogonal):
    """Products in single precision cannot resolve eigenvalues near 0; the iteration must not try to."""
    values = 0.3 ** torch.arange(D, dtype=torch.float64)
    E = operator(planted(values, orthogonal(D)).float()).eigenbasis(40)
    torch.testing.assert_close(E.eigenvalues.double(), values[:40], rtol=0, atol=1e-6)
    assert bool(E.converged.all())
    assert E.matvecs < 400


def test_negative_definite(operator, orthogonal):
    values = -0.1 - decaying().flip(0).abs()
    values = values.sort(descending=True).values
    E = operator(planted(values, orthogonal(D))).eigenbasis(5)
    torch.testing.assert_close(E.eigenvalues, values[:5], rtol=0, atol=2e-4)
    assert bool(E.converged.all())


def test_zero_and_identity(operator):
    zero = operator(torch.zeros(D, D, dtype=torch.float64)).eigenbasis(4)
    assert torch.equal(zero.eigenvalues, torch.zeros(4, dtype=torch.float64))
    assert bool(zero.converged.all())
    one = operator(torch.eye(D, dtype=torch.float64)).eigenbasis(4)
    torch.testing.assert_close(one.eigenvalues, torch.ones(4, dtype=torch.float64))
    torch.testing.assert_close(one.atoms @ one.atoms.mT, torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize("k", [4, None])
def test_same_pairs_at_every_call(operator, orthogonal, k):
    matrix = planted(decaying(), orthogonal(D)).float()
    one, other = operator(matrix).eigenbasis(k), operator(matrix).eigenbasis(k)
    assert torch.equal(one.atoms, other.atoms)
    assert torch.equal(one.eigenvalues, other.eigenvalues)


def test_planted_asymmetry(operator):
    E = operator(torch.tensor([[1.0, 0.5], [0.0, 1.0]], dtype=torch.float64)).eigenbasis()
    torch.testing.assert_close(E.eigenvalues, torch.tensor([1.25, 0.75], dtype=torch.float64))
    assert E.asymmetry == pytest.approx((2 * 0.25 / 2.25) ** 0.5)


def test_iteration_that_stops_early_says_so(operator, orthogonal):
    matrix = planted(torch.linspace(1, 0.9, D, dtype=torch.float64), orthogonal(D))
    with pytest.warns(
        RuntimeWarning, match="of 30 pairs have not converged.*raise max_iterations or tol, or take k=None"
    ):
        E = eigenbasis(operator(matrix), 30, max_iterations=1)
    assert not bool(E.converged.all())
    measured = (matrix @ E.atoms.mT - E.atoms.mT * E.eigenvalues).norm(dim=0)
    torch.testing.assert_close(E.residuals, measured, rtol=1e-6, atol=1e-12)
    assert torch.equal(E.converged, measured <= E.tolerance)
    torch.testing.assert_close(E.atoms @ E.atoms.mT, torch.eye(30, dtype=torch.float64))
    assert E.matvecs < 2 * 160  # one basis of 151 vectors at most, and nothing after it
    assert bool((E.eigenvalues.diff() <= 0).all())


def test_unreachable_tolerance_is_not_claimed(operator, orthogonal):
    matrix = planted(decaying(), orthogonal(D)).float()
    with pytest.warns(RuntimeWarning, match="5 of 5 pairs have not converged"):
        E = eigenbasis(operator(matrix), 5, tol=1e-12)
    assert not bool(E.converged.any())


def test_half_precision(operator, orthogonal):
    matrix = planted(decaying(20), orthogonal(20)).bfloat16()
    E = operator(matrix).eigenbasis()
    assert E.atoms.dtype == E.eigenvalues.dtype == torch.float32
    expected = torch.linalg.eigvalsh((matrix.float() + matrix.float().mT) / 2).flip(0)
    torch.testing.assert_close(E.eigenvalues, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("k", [0, -1, 17])
def test_refuses_k_out_of_range(operator, k):
    J = operator(torch.eye(16, dtype=torch.float64))
    for decompose in (J.eigenbasis, J.svd):
        with pytest.raises(ValueError, match=f"k must be between 1 and 16, got {k}"):
            decompose(k)
    assert len(J.eigenbasis(16).eigenvalues) == len(J.svd(16).values) == 16


def test_refuses_bad_settings(operator, unchecked):
    J = operator(torch.eye(4, dtype=torch.float64))
    for decompose in (eigenbasis, svd):
        with pytest.raises(TypeError, match="k must be an integer, got float"):
            decompose(J, 2.0)
        with pytest.raises(ValueError, match="tol must be finite and above 0, got 0"):
            decompose(J, 2, tol=0.0)
        with pytest.raises(ValueError, match="max_iterations must be at least 1, got 0"):
            decompose(J, 2, max_iterations=0)


def test_pairs_refuse_a_basis_that_does_not_fit(operator, orthogonal, monkeypatch):
    """4 pairs of 324 pixels take a basis of 47 vectors twice, 51 of both rotated, and ten more: 408 kB."""
    J = operator(planted(decaying(), orthogonal(D)))
    monkeypatch.setattr("gahb_theory.memory.machine_memory", lambda: 8 * D * (2 * 47 + 51 + 10) - 1)
    with pytest.raises(ValueError, match=r"vectors of the basis need .*take fewer pairs"):
        eigenbasis(J, 4)
    monkeypatch.setattr("gahb_theory.memory.machine_memory", lambda: 8 * D * (2 * 47 + 51 + 10))
    assert eigenbasis(J, 4).eigenvalues.shape == (4,)


def test_refuses_a_rectangle(operator):
    J = operator(torch.ones(3, 5, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"an eigenbasis needs a square Jacobian, got shape \(3, 5\); use svd"):
        J.eigenbasis()


@pytest.mark.parametrize("k", [3, None])
def test_refuses_rows_that_are_not_finite(image, by_autograd, k):
    def f(y, sigma):  # finite at y, and so is the first gradient, which looks at one direction
        return OverflowingGradient.apply(y)

    y = image(1, 1, D)
    error, message = (
        (ValueError, "matrix of the Jacobian must be finite") if k is None else (RuntimeError, "not finite")
    )
    J = by_autograd(f, y, SIGMA)
    if k is not None:
        J.matvec(y.flatten())
    OverflowingGradient.broken = True
    try:
        with pytest.raises(error, match=message):
            J.eigenbasis(k)
    finally:
        OverflowingGradient.broken = False


class OverflowingGradient(torch.autograd.Function):
    broken = False

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * (float("inf") if OverflowingGradient.broken else 1)


# The basis


@pytest.fixture
def colour_basis(image, orthogonal):
    matrix = planted(torch.tensor([1.0, 0.6, 0.3], dtype=torch.float64), orthogonal(24))
    f = lambda y, sigma: (y.flatten(1) @ matrix.mT).reshape(y.shape)  # noqa: E731
    return jacobian(f, image(3, 2, 4), SIGMA).eigenbasis(3), matrix


def test_is_a_partial_basis(colour_basis, image):
    E, _ = colour_basis
    assert isinstance(E, Basis)
    x = torch.cat([image(3, 2, 4), image(3, 2, 4, seed=8)])
    c = E.analysis(x)
    torch.testing.assert_close(c, x.flatten(1) @ E.atoms.mT)
    projected = E.synthesis(c)
    assert projected.shape == x.shape
    torch.testing.assert_close(E.analysis(projected), c)
    torch.testing.assert_close(projected.flatten(1), x.flatten(1) @ projector(E.atoms))
    assert E.at(x) is E


def test_basis_follows_dtype_and_shape(colour_basis, image):
    E, _ = colour_basis
    x = image(3, 2, 4, dtype=torch.float32)
    assert E.analysis(x).dtype == torch.float32
    assert E.synthesis(E.analysis(x), (1, 4, 6)).shape == (1, 1, 4, 6)


def test_atom_images_know_their_shape(colour_basis):
    E, _ = colour_basis
    images = E.atom_images([2, 0])
    assert images.shape == (2, 3, 2, 4)
    assert torch.equal(images.flatten(1), E.atoms[[2, 0]])
    assert E.atom_images([1], (1, 4, 6), dtype=torch.float32).dtype == torch.float32
    with pytest.raises(ValueError, match="indices must be between 0 and 2, got 3"):
        E.atom_images([3])


def test_basis_refuses_other_images(colour_basis, image):
    E, _ = colour_basis
    with pytest.raises(ValueError, match=r"images of shape \(3, 2, 4\), got images of shape \(1, 4, 6\)"):
        E.analysis(image(1, 4, 6))
    with pytest.raises(ValueError, match="c must hold 3 coefficients"):
        E.synthesis(torch.zeros(1, 4))
    with pytest.raises(ValueError, match="with 24 pixels in all"):
        E.synthesis(torch.zeros(1, 3), (1, 2, 2))


def test_basis_refuses_parts_that_do_not_fit(colour_basis, unchecked):
    E, _ = colour_basis
    with pytest.raises(ValueError, match="eigenvalues must hold one value for each of the 3 atoms"):
        dataclasses.replace(E, eigenvalues=torch.zeros(2))
    with pytest.raises(ValueError, match="24 pixels in all"):
        dataclasses.replace(E, image_shape=(1, 2, 2))
    with pytest.raises(dataclasses.FrozenInstanceError):
        E.matvecs = 0


def test_sign_survives_rounding():
    wave = torch.sin(torch.arange(16, dtype=torch.float32) * torch.pi / 4)[None]
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        noisy = wave + 1e-6 * torch.randn(wave.shape, generator=generator)
        assert float(canonical_sign(noisy)) == 1
        assert float(canonical_sign(-noisy)) == -1


# Singular vectors


def test_dense_svd_of_a_planted_matrix(operator, orthogonal):
    values = torch.linspace(1.5, 0.1, 20, dtype=torch.float64)
    matrix = planted(values, orthogonal(30), orthogonal(25, seed=1))
    U = operator(matrix).svd()
    assert (U.left.shape, U.values.shape, U.right.shape) == ((25, 30), (25,), (25, 25))
    torch.testing.assert_close(U.values, torch.nn.functional.pad(values, (0, 5)), rtol=0, atol=1e-12)
    torch.testing.assert_close(planted(U.values, U.left.mT, U.right.mT), matrix, rtol=0, atol=1e-12)
    assert bool(U.converged.all())
    assert bool((U.right[:20].gather(1, U.right[:20].abs().argmax(dim=1, keepdim=True)) > 0).all())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("d_out", "d_in"), [(300, 300), (340, 290), (290, 340)])
def test_matrix_free_svd_is_the_dense_one(operator, orthogonal, dtype, d_out, d_in):
    values = 1.2 * torch.exp(-torch.arange(290, dtype=torch.float64) / 20)
    matrix = planted(values, orthogonal(d_out), orthogonal(d_in, seed=1)).to(dtype)
    J = operator(matrix)
    U, dense = J.svd(10), operator(matrix).svd()
    assert isinstance(U, SVD)
    assert J._matrix is None
    assert bool(U.converged.all())
    torch.testing.assert_close(U.values.double(), values[:10], rtol=0, atol=1e-6)
    torch.testing.assert_close(U.values, dense.values[:10], rtol=0, atol=1e-6)
    torch.testing.assert_close(U.left, dense.left[:10], rtol=0, atol=1e-3)
    torch.testing.assert_close(U.right, dense.right[:10], rtol=0, atol=1e-3)
    for vectors in (U.left, U.right):
        torch.testing.assert_close(vectors @ vectors.mT, torch.eye(10, dtype=dtype), rtol=0, atol=1e-6)
    forward = (matrix @ U.right.mT - U.left.mT * U.values).norm(dim=0)
    backward = (matrix.mT @ U.left.mT - U.right.mT * U.values).norm(dim=0)
    torch.testing.assert_close(U.residuals, torch.maximum(forward, backward), rtol=0, atol=2e-6)


def test_repeated_and_vanishing_singular_values(operator, orthogonal):
    values = torch.tensor([1.0] * 9 + [0.5] * 9, dtype=torch.float64)
    U = operator(planted(values, orthogonal(D), orthogonal(D, seed=1))).svd(22)
    torch.testing.assert_close(U.values, torch.nn.functional.pad(values, (0, 4)), rtol=0, atol=1e-6)
    torch.testing.assert_close(U.left @ U.left.mT, torch.eye(22, dtype=torch.float64))
    assert bool(U.converged.all())


def test_svd_that_stops_early_says_so(operator, orthogonal):
    matrix = planted(torch.linspace(1, 0.9, D, dtype=torch.float64), orthogonal(D), orthogonal(D, seed=1))
    with pytest.warns(RuntimeWarning, match="have not converged"):
        U = svd(operator(matrix), 30, max_iterations=1)
    assert not bool(U.converged.all())
    assert torch.equal(U.converged, U.residuals <= U.tolerance)


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(("d_out", "d_in"), [(D, D), (300, 340)])
def test_interrupted_svd_goes_on(operator, orthogonal, tmp_path, monkeypatch, d_out, d_in):
    monkeypatch.setattr(krylov, "SAVE_SECONDS", 0.0)
    values = torch.linspace(1, 0.5, min(d_out, d_in), dtype=torch.float64)
    matrix, path = planted(values, orthogonal(d_out), orthogonal(d_in, seed=1)), tmp_path / "vectors.npz"

    def counted(stop=10**9):
        J, calls = operator(matrix), []

        def matvec(v, product=J.matvec):
            calls.append(v.shape[1])
            if len(calls) > stop:
                raise Interrupted
            return product(v)

        monkeypatch.setattr(J, "matvec", matvec)
        return J, calls

    J, calls = counted()
    whole, total = svd(J, 6, tol=1e-6), len(calls)
    with pytest.raises(Interrupted):
        svd(counted(total - 20)[0], 6, tol=1e-6, checkpoint=path)
    assert path.exists()
    with pytest.raises(ValueError, match=r"vectors\.npz belongs to another Jacobian; remove it"):
        svd(operator(2 * matrix), 6, tol=1e-6, checkpoint=path)
    J, calls = counted()
    resumed = svd(J, 6, tol=1e-6, checkpoint=path)
    assert len(calls) < total / 2
    assert not path.exists()
    torch.testing.assert_close(resumed.values, whole.values, rtol=0, atol=1e-10)
    torch.testing.assert_close(projector(resumed.right), projector(whole.right), rtol=0, atol=1e-4)
    assert bool(resumed.converged.all())


def test_svd_of_a_symmetric_jacobian_is_its_eigenbasis(operator, orthogonal):
    values = torch.linspace(1, 0.05, 20, dtype=torch.float64)
    matrix = planted(values, orthogonal(20))
    E, U = operator(matrix).eigenbasis(), operator(matrix).svd()
    torch.testing.assert_close(U.values, E.eigenvalues)
    torch.testing.assert_close(U.right, E.atoms)
    torch.testing.assert_close(U.left, E.atoms)
    assert isinstance(E, Eigenbasis)
