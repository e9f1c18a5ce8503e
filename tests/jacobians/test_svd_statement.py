"""What is said above singular values: how much of f(y) they reproduce."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.jacobians import svd


def diagonal(gains):
    return lambda y, sigma: gains.reshape(1, 1, 4, 4) * y


def test_the_error_is_what_the_terms_left_out_hold():
    """J = diag(4, 3, 2, 1, 0, ...) at y = (1, ..., 1): f(y) has energy 30, and two terms leave out 2^2 + 1^2 = 5."""
    gains = torch.zeros(16, dtype=torch.float64)
    gains[:4] = torch.tensor([4.0, 3.0, 2.0, 1.0])
    J = gt.jacobian(diagonal(gains), torch.ones(1, 1, 4, 4, dtype=torch.float64), 0.1)
    found = svd(J, 2)
    assert found.error == pytest.approx((5 / 30) ** 0.5)
    assert found.statement == (
        "Singular values of J, not of its symmetric part: 2 of 16; sum s_k <y, v_k> u_k is f(y) to 4.1e-01, 7.8 dB."
    )
    assert svd(J).error < 1e-12
    assert found.plot().get_title(loc="left").replace("\n", " ") == found.statement


def test_an_additive_constant_is_not_reproduced():
    y = torch.ones(1, 1, 2, 2, dtype=torch.float64)
    assert svd(gt.jacobian(lambda y, sigma: y / 2 + 1, y, 0.1)).error == pytest.approx(2 / 3)


def test_a_denoiser_that_returns_nothing_and_a_bare_operator_have_none():
    y = torch.ones(1, 1, 2, 2)
    silent = svd(gt.jacobian(lambda y, sigma: 0 * y, y, 0.1))
    assert silent.error is None
    assert silent.statement == "Singular values of J, not of its symmetric part: 4 of 4."
