import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from gahb_theory.bases import DCT, PCA, Basis, Fourier, Pixels, Wavelet
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import Hard, oracle_gains, projection_gains
from gahb_theory.theory.exact_risks import gaussian_mse, oracle_mse, projection_mse, shrinkage_mse
from gahb_theory.theory.rates import power_law_oracle_risk

BASES = pytest.mark.parametrize("basis", [Pixels(), Fourier(), DCT(), Wavelet()], ids=repr)


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


@BASES
@pytest.mark.parametrize("sigma", [0.03, 0.3, 3.0])
def test_the_risks_are_those_of_their_gains(basis: Basis, sigma: float) -> None:
    x = uniform(3, 2, 8, 8)
    c = basis.analysis(x)
    torch.testing.assert_close(oracle_mse(basis, x, sigma), shrinkage_mse(oracle_gains(c, sigma), c, sigma))
    torch.testing.assert_close(projection_mse(basis, x, sigma), shrinkage_mse(projection_gains(c, sigma), c, sigma))


@BASES
def test_the_oracle_risk_is_the_mean_error_of_the_oracle_denoiser(basis: Basis) -> None:
    x, sigma, draws = uniform(1, 1, 16, 16) ** 4, 0.2, 400
    y = add_noise(x.expand(draws, 1, 16, 16).contiguous(), sigma, seed=5)
    gains = oracle_gains(basis.analysis(x), sigma)
    errors = (basis.synthesis(gains * basis.analysis(y)) - x).square().sum(dim=(1, 2, 3))
    standard_error = float(errors.std()) / math.sqrt(draws)
    assert abs(float(errors.mean()) - float(oracle_mse(basis, x, sigma))) < 4 * standard_error
    assert standard_error < 0.02 * float(errors.mean())
    hard = (basis.synthesis(Hard(3.0)(basis.analysis(y), sigma) * basis.analysis(y)) - x).square().sum(dim=(1, 2, 3))
    assert float(hard.mean()) > float(errors.mean())


@settings(max_examples=50, deadline=None)
@given(
    x=arrays(np.float64, (2, 1, 4, 4), elements=st.floats(0, 1)),
    gains=arrays(np.float64, (2, 16), elements=st.floats(0, 1)),
    sigma=st.floats(0.01, 5),
)
def test_the_oracle_is_below_every_shrinkage_and_within_a_factor_2_of_the_projection(
    x: np.ndarray, gains: np.ndarray, sigma: float
) -> None:
    images, slack = torch.from_numpy(x), 1 + 1e-12
    for basis in (Pixels(), Fourier(), DCT(), Wavelet("haar")):
        oracle, projection = oracle_mse(basis, images, sigma), projection_mse(basis, images, sigma)
        assert bool((projection / 2 <= oracle * slack).all())
        assert bool((oracle <= projection * slack).all())
        other = shrinkage_mse(torch.from_numpy(gains), basis.analysis(images), sigma)
        assert bool((oracle <= other * slack).all())
        assert bool((oracle <= 16 * sigma**2 * slack).all())
        assert bool((oracle <= images.square().sum(dim=(1, 2, 3)) * slack + 1e-12).all())


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_the_oracle_risk_of_a_power_law_has_its_exact_constant(alpha: float) -> None:
    k = torch.arange(1, 10**6 + 1, dtype=torch.float64)
    x = (0.5 * k ** -(alpha + 1)).sqrt().reshape(1, 1, 1000, 1000)
    tail = 0.5 * 1e6**-alpha / alpha
    expected = power_law_oracle_risk(0.5, alpha, 0.02)
    assert math.isclose(float(oracle_mse(Pixels(), x, 0.02)) + tail, expected, rel_tol=1e-5)


@BASES
def test_each_image_may_have_its_own_noise_level(basis: Basis) -> None:
    x = uniform(3, 1, 8, 8)
    sigma = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)
    for risk in (oracle_mse, projection_mse):
        rows = [risk(basis, x[i : i + 1], float(sigma[i])) for i in range(3)]
        torch.testing.assert_close(risk(basis, x, sigma), torch.cat(rows))
    c = basis.analysis(x)
    rows = [shrinkage_mse(torch.full((64,), 0.5).double(), c[i : i + 1], float(sigma[i])) for i in range(3)]
    torch.testing.assert_close(shrinkage_mse(torch.full((64,), 0.5).double(), c, sigma), torch.cat(rows))


@pytest.mark.parametrize("risk", [oracle_mse, projection_mse])
def test_a_partial_basis_loses_the_energy_outside_its_span(risk: type) -> None:
    whole = PCA.fit(uniform(50, 1, 4, 4))
    part = PCA(whole.atoms[:5], whole.variances[:5], whole.mean)
    x = uniform(3, 1, 4, 4, seed=1)
    outside = (x - part.synthesis(part.analysis(x))).square().sum(dim=(1, 2, 3))
    vanishing = risk(part, x, 1e-6)
    torch.testing.assert_close(vanishing, outside, rtol=1e-9, atol=1e-9)
    assert bool((risk(part, x, 0.1) > outside).all())
    assert bool((risk(part, x, 0.1) >= risk(whole, x, 0.1) - 16 * 0.1**2).all())


def test_an_image_inside_the_span_of_a_partial_basis_has_no_negative_risk() -> None:
    basis = PCA.fit(uniform(50, 1, 8, 8, dtype=torch.float32), components=7)
    x = basis.synthesis(uniform(20, 7, dtype=torch.float32))
    assert bool((oracle_mse(basis, x, 1e-4) >= 0).all())


def test_shrinkage_mse_by_hand() -> None:
    c = torch.tensor([[1.0, 2.0], [0.0, 3.0]], dtype=torch.float64)
    gains = torch.tensor([0.5, 0.9], dtype=torch.float64)
    expected = torch.tensor([0.25 + 0.04 + 1.06 * 0.01, 0.09 + 1.06 * 0.01], dtype=torch.float64)
    torch.testing.assert_close(shrinkage_mse(gains, c, 0.1), expected)
    torch.testing.assert_close(shrinkage_mse(gains.expand(2, 2), c, 0.1), expected)


def test_gaussian_mse_is_the_trace_of_the_posterior_covariance() -> None:
    factor = uniform(6, 6) - 0.5
    covariance = factor @ factor.mT
    sigmas = torch.tensor([0.1, 0.7], dtype=torch.float64)
    expected = []
    for sigma in sigmas:
        noisy = covariance + sigma**2 * torch.eye(6, dtype=torch.float64)
        expected.append((covariance - covariance @ torch.linalg.solve(noisy, covariance)).trace())
    variances = torch.linalg.eigvalsh(covariance).clamp(min=0)
    torch.testing.assert_close(gaussian_mse(variances, sigmas), torch.stack(expected))
    one = gaussian_mse(variances, 0.7)
    assert one.shape == ()
    torch.testing.assert_close(one, expected[1])


def test_gaussian_mse_is_the_least_mean_risk_of_fixed_gains() -> None:
    variances = torch.tensor([1.0, 0.1, 0.0], dtype=torch.float64)
    gains = variances / (variances + 0.25)
    mean_risk = shrinkage_mse(gains, variances.sqrt()[None], 0.5)  # linear in the squares, so their mean will do
    torch.testing.assert_close(gaussian_mse(variances, 0.5), mean_risk[0])


@BASES
def test_gradients_flow(basis: Basis) -> None:
    x = uniform(2, 1, 8, 8).requires_grad_()
    for risk in (oracle_mse, projection_mse):
        (gradient,) = torch.autograd.grad(risk(basis, x, 0.3).sum(), x)
        assert bool(gradient.isfinite().all())
        assert float(gradient.abs().max()) > 0
    assert torch.autograd.gradcheck(lambda y: oracle_mse(basis, y, 0.3), (uniform(1, 1, 2, 4).requires_grad_(),))


def test_dtype_follows_the_images() -> None:
    x = uniform(2, 1, 4, 4, dtype=torch.float32)
    assert oracle_mse(Pixels(), x, 0.1).dtype == projection_mse(DCT(), x, 0.1).dtype == torch.float32
    assert gaussian_mse(torch.ones(3), 0.1).dtype == torch.float32


class Twice(Pixels):
    """Every pixel twice, scaled to a Parseval frame."""

    is_orthonormal = False

    def analysis(self, x: Tensor) -> Tensor:
        return x.flatten(1).repeat(1, 2) / math.sqrt(2)


@pytest.mark.parametrize("risk", [oracle_mse, projection_mse])
def test_redundant_frames_are_refused(risk: type, unchecked: None) -> None:
    with pytest.raises(
        ValueError, match=r"Twice is a redundant frame, .* use an orthonormal basis, or measure the risk"
    ):
        risk(Twice(), uniform(1, 1, 4, 4), 0.1)


def test_bad_input_is_refused(unchecked: None) -> None:
    x = uniform(2, 1, 4, 4)
    for risk in (oracle_mse, projection_mse):
        with pytest.raises(ValueError, match=r"sigma is the standard deviation of the noise.* got -0.1"):
            risk(Pixels(), x, -0.1)
        with pytest.raises(ValueError, match="x must have shape"):
            risk(Pixels(), x[0], 0.1)
    with pytest.raises(ValueError, match=r"gains of shape \(4,\) do not fit coefficients of shape \(2, 16\)"):
        shrinkage_mse(torch.ones(4), x.flatten(1), 0.1)
    with pytest.raises(ValueError, match=r"variances must not be below 0, got -1; .* variances.clamp"):
        gaussian_mse(torch.tensor([1.0, -1.0]), 0.1)
    with pytest.raises(ValueError, match=r"variances must have shape \(k,\), got \(1, 2\)"):
        gaussian_mse(torch.ones(1, 2), 0.1)
    with pytest.raises(ValueError, match="variances must be finite"):
        gaussian_mse(torch.tensor([math.nan]), 0.1)
    with pytest.raises(ValueError, match="sigma is the standard deviation of the noise"):
        gaussian_mse(torch.ones(2), torch.tensor([0.1, -0.1]))
