import math

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from gahb_theory.shrinkage import (
    BayesShrink,
    BlockJamesStein,
    Firm,
    FixedGains,
    Garrote,
    Hard,
    Shrinkage,
    Soft,
    SureShrink,
    Universal,
    oracle_gains,
    projection_gains,
)
from gahb_theory.theory.exact_risks import shrinkage_mse

ALL = [
    oracle_gains,
    projection_gains,
    Hard(1.5),
    Soft(1.5),
    Garrote(1.5),
    Firm(1.0, 2.0),
    Universal(),
    Universal(Hard),
    SureShrink(),
    SureShrink(torch.tensor([0, 1, 0, 1])),
    BayesShrink(),
    BayesShrink(torch.tensor([0, 1, 0, 1])),
    BlockJamesStein(),
    BlockJamesStein(torch.tensor([0, 0, 1, 1])),
    FixedGains(torch.tensor([0.0, 0.25, 0.5, 1.0])),
]
EVERY = pytest.mark.parametrize("shrinkage", ALL, ids=lambda s: getattr(s, "__name__", type(s).__name__))


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gains_have_the_shape_and_dtype_of_the_coefficients_and_shrink(
    shrinkage: Shrinkage, dtype: torch.dtype
) -> None:
    assert isinstance(shrinkage, Shrinkage)
    c = normal(3, 4, dtype=dtype)
    gains = shrinkage(c, 0.4)
    assert gains.shape == c.shape
    assert gains.dtype == dtype
    assert bool(((gains >= 0) & (gains <= 1)).all())


@EVERY
def test_each_image_may_have_its_own_noise_level(shrinkage: Shrinkage) -> None:
    c = normal(3, 4)
    sigma = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    rows = [shrinkage(c[i : i + 1], float(sigma[i])) for i in range(3)]
    torch.testing.assert_close(shrinkage(c, sigma), torch.cat(rows), rtol=0, atol=0)


@EVERY
def test_signs_do_not_matter(shrinkage: Shrinkage) -> None:
    c = normal(3, 4)
    assert torch.equal(shrinkage(c, 0.3), shrinkage(-c, 0.3))


def test_oracle_gains_by_hand() -> None:
    gains = oracle_gains(torch.tensor([[0.0, 0.1, -0.2, 1.0]], dtype=torch.float64), 0.1)
    torch.testing.assert_close(gains, torch.tensor([[0, 1 / 2, 4 / 5, 100 / 101]], dtype=torch.float64))


def test_projection_gains_by_hand() -> None:
    assert projection_gains(torch.tensor([[0.0, 0.5, -0.25, -0.75]]), 0.25).tolist() == [[0, 1, 0, 1]]


@settings(max_examples=50, deadline=None)
@given(
    c=arrays(np.float64, (2, 7), elements=st.floats(-3, 3)),
    gains=arrays(np.float64, (2, 7), elements=st.floats(-1, 2)),
    sigma=st.floats(0.01, 3),
)
def test_no_gains_do_better_than_the_oracle_and_no_choice_better_than_the_projection(
    c: np.ndarray, gains: np.ndarray, sigma: float
) -> None:
    coefficients, other = torch.from_numpy(c), torch.from_numpy(gains)

    def risk(g: Tensor) -> Tensor:
        return shrinkage_mse(g, coefficients, sigma)

    assert bool((risk(oracle_gains(coefficients, sigma)) <= risk(other) * (1 + 1e-12)).all())
    choice = (other > 0.5).double()
    assert bool((risk(projection_gains(coefficients, sigma)) <= risk(choice) * (1 + 1e-12)).all())


def test_the_oracle_is_a_stationary_point_of_the_risk() -> None:
    c = normal(2, 9)
    gains = oracle_gains(c, 0.7).requires_grad_()
    (gradient,) = torch.autograd.grad(shrinkage_mse(gains, c, 0.7).sum(), gains)
    torch.testing.assert_close(gradient, torch.zeros(2, 9, dtype=torch.float64), rtol=0, atol=1e-14)


@pytest.mark.parametrize(("shrinkage", "mode"), [(Hard(2.0), "hard"), (Soft(2.0), "soft"), (Garrote(2.0), "garrote")])
def test_thresholds_equal_pywavelets(shrinkage: Shrinkage, mode: str) -> None:
    c = normal(4, 50)
    expected = torch.from_numpy(pywt.threshold(c.numpy(), 2.0 * 0.3, mode))
    torch.testing.assert_close(shrinkage(c, 0.3) * c, expected, rtol=0, atol=1e-15)
    assert 0 < int((expected == 0).sum()) < expected.numel()


def test_a_coefficient_at_the_threshold_is_set_to_zero() -> None:
    c = torch.tensor([[0.5, -0.5]])
    assert Hard(2.0)(c, 0.25).tolist() == Soft(2.0)(c, 0.25).tolist() == [[0, 0]]


def test_three_is_the_usual_threshold() -> None:
    assert Hard() == Hard(3.0) != Hard(2.0)
    assert Soft() == Soft(3.0)


def test_gradients_flow_and_are_finite_at_zero() -> None:
    c = torch.tensor([[0.0, 1e-30, 0.2, -1.5, 2.5]], dtype=torch.float64, requires_grad=True)
    for shrinkage in (oracle_gains, Soft(2.0)):
        (gradient,) = torch.autograd.grad((shrinkage(c, 0.3) * c).sum(), c)
        assert bool(gradient.isfinite().all())
    assert gradient.tolist() == [[0, 0, 0, 1, 1]]  # soft thresholding is a translation above its threshold
    assert torch.autograd.gradcheck(lambda x: Soft(2.0)(x, 0.3), (c,))
    assert torch.autograd.gradcheck(lambda x: oracle_gains(x, 0.3), (c,))


def test_soft_thresholding_passes_the_gradient_of_a_derivative() -> None:
    # the divergence of soft thresholding counts the coefficients that are kept (Stein's estimate needs this)
    c = normal(1, 40)
    jacobian = torch.autograd.functional.jacobian(lambda x: Soft(1.0)(x[None], 0.8)[0] * x, c[0])
    assert math.isclose(float(jacobian.trace()), float((c.abs() > 0.8).sum()), abs_tol=1e-12)


def test_fixed_gains_do_not_look_at_the_coefficients() -> None:
    one = FixedGains(torch.tensor([1.0, 0.5]))
    assert one(normal(3, 2, dtype=torch.float32), 0.1).tolist() == [[1, 0.5]] * 3
    each = torch.tensor([[1.0, 0.5], [0.0, 2.0]])
    assert torch.equal(FixedGains(each)(normal(2, 2, dtype=torch.float32), 0.1), each)


@EVERY
def test_bad_noise_levels_are_refused(shrinkage: Shrinkage, unchecked: None) -> None:
    if isinstance(shrinkage, FixedGains):
        return
    for sigma in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"sigma is the standard deviation of the noise, .* finite and above 0"):
            shrinkage(normal(3, 4), sigma)
    with pytest.raises(ValueError, match=r"shape \(batch,\) = \(3,\), got shape \(2,\)"):
        shrinkage(normal(3, 4), torch.ones(2))


@EVERY
def test_bad_coefficients_are_refused(shrinkage: Shrinkage, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"c must have shape \(batch, k\)"):
        shrinkage(torch.zeros(4), 0.1)
    with pytest.raises(ValueError, match="c must be finite"):
        shrinkage(torch.full((1, 4), torch.nan), 0.1)
    with pytest.raises(TypeError, match="c must be floating point"):
        shrinkage(torch.zeros(1, 4, dtype=torch.int64), 0.1)


@pytest.mark.parametrize("kind", [Hard, Soft, Garrote, Firm])
def test_bad_thresholds_are_refused(kind: type, unchecked: None) -> None:
    for threshold in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="threshold must be finite and above 0"):
            kind(threshold)
    with pytest.raises(TypeError, match="threshold must be a number, got str"):
        kind("hard")


def test_bad_gains_are_refused(unchecked: None) -> None:
    with pytest.raises(TypeError, match="gains must be a torch tensor, got list"):
        FixedGains([1.0])
    with pytest.raises(ValueError, match=r"gains must have shape \(k,\) or \(batch, k\), got \(1, 1, 2\)"):
        FixedGains(torch.ones(1, 1, 2))
    with pytest.raises(ValueError, match="gains must be finite"):
        FixedGains(torch.tensor([math.nan]))
    with pytest.raises(ValueError, match=r"gains of shape \(3,\) do not fit coefficients of shape \(2, 4\)"):
        FixedGains(torch.ones(3))(torch.zeros(2, 4), 0.1)
    with pytest.raises(ValueError, match=r"gains of shape \(3, 4\) do not fit coefficients of shape \(2, 4\)"):
        FixedGains(torch.ones(3, 4))(torch.zeros(2, 4), 0.1)
