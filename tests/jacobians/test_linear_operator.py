"""A linear operator that is known by its products alone, and the decompositions that work on it."""

import pytest
import torch

from gahb_theory.jacobians import LinearOperator, eig, eigenbasis, polar, posterior_deviation, schur, svd

D = 300
GAINS = torch.linspace(1, 0, D, dtype=torch.float64) ** 8


class Diagonal:
    """Multiplies pixel k by `GAINS[k]`, and counts the directions."""

    count = 0

    def push(self, v):
        self.count += len(v)
        return v * GAINS.reshape(1, 1, 15, 20)

    pull = push


class Shift:
    """Moves pixels by one along the rows, which is no symmetric map."""

    def push(self, v):
        return v.roll(1, dims=3)

    def pull(self, u):
        return u.roll(-1, dims=3)


def operator(products, height=15, width=20):
    y = torch.zeros(1, 1, height, width, dtype=torch.float64)
    return LinearOperator(products, y, (1, height, width), chunk=4)


def test_products_rows_and_the_trace():
    S = operator(Shift(), 2, 3)
    expected = torch.block_diag(*[torch.eye(3, dtype=torch.float64).roll(1, dims=0)] * 2)
    v = torch.arange(6, dtype=torch.float64)
    assert torch.equal(S.matvec(v), expected @ v)
    assert torch.equal(S.rmatvec(v), expected.mT @ v)
    assert torch.equal(S.rows([1, 4]), expected[[1, 4]])
    assert torch.equal(S.columns([0]), expected[:, :1])
    assert S.trace() == 0
    assert S.asymmetry() == pytest.approx(2**0.5 * 3**0.5 / 3**0.5)
    assert torch.equal(S.matrix(), expected)
    assert repr(S).startswith("LinearOperator(shape=(6, 6)")


def test_the_largest_pairs_need_products_alone():
    products = Diagonal()
    S = operator(products)
    E, U = eigenbasis(S, 3), svd(S, 3)
    assert torch.allclose(E.eigenvalues, GAINS[:3], atol=1e-6)
    assert torch.allclose(U.values, GAINS[:3], atol=1e-6)
    assert products.count < 2 * D
    assert S._products is products  # the matrix was not formed


def test_decompositions_of_a_shift():
    S = operator(Shift(), 1, 4)
    assert sorted(eig(S).values.tolist(), key=lambda z: (round(z.real, 6), z.imag)) == [
        pytest.approx(z) for z in (-1, -1j, 1j, 1)
    ]
    assert schur(S).residual < 1e-14
    assert torch.allclose(polar(S).stretch, torch.eye(4, dtype=torch.float64))


@pytest.mark.parametrize("function", [eigenbasis, svd, eig, schur, polar, lambda J: posterior_deviation(J, 0.1)])
def test_what_is_no_operator_is_refused(function, unchecked):
    with pytest.raises(TypeError, match=r"J must be a Jacobian, got Tensor.*jacobian\(f, y, sigma\) makes one"):
        function(torch.eye(3))


def test_a_start_must_be_an_eigenbasis(unchecked):
    with pytest.raises(TypeError, match="start must be an Eigenbasis, got int 0"):
        eigenbasis(operator(Diagonal()), 3, start=0)
