import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gahb_theory.bases import DCT, PCA, Bandlet, Basis, Pixels, Wavelet
from gahb_theory.images import CAlpha
from gahb_theory.metrics.errors import mse
from gahb_theory.randomness import add_noise
from gahb_theory.theory.exact_risks import oracle_mse, projection_mse
from gahb_theory.theory.oracles import oracle_denoise, oracle_risks

ORACLES = ("attenuation", "projection", "geometry", "empirical")
BASES = [Pixels(), DCT(), Wavelet("db4"), Bandlet()]


@pytest.fixture(scope="module")
def images() -> Tensor:
    return CAlpha(alpha=2.0, size=64).sample(4, seed=3, dtype=torch.float64)


@pytest.mark.parametrize("basis", BASES, ids=lambda b: type(b).__name__)
@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_the_four_are_ordered(basis: Basis, sigma: float, images: Tensor) -> None:
    risks = oracle_risks(basis, images, sigma, draws=2)
    assert bool((risks.attenuation <= risks.projection).all())
    assert bool((risks.projection <= 2 * risks.attenuation).all())
    assert bool((risks.projection <= risks.geometry).all())
    if isinstance(basis, Bandlet):
        assert float(risks.geometry.mean()) < float(risks.empirical.mean())
    else:
        assert torch.equal(risks.geometry, risks.empirical)


@pytest.mark.parametrize("sigma", [0.05, 0.2])
def test_bandlets_gain_over_wavelets_with_every_oracle(sigma: float, images: Tensor) -> None:
    bandlets, wavelets = (oracle_risks(basis, images, sigma, draws=2) for basis in (Bandlet(), Wavelet("db4")))
    for oracle in ORACLES:
        assert float(getattr(bandlets, oracle).mean()) < float(getattr(wavelets, oracle).mean()) * 1.005


@pytest.mark.parametrize("oracle", ["attenuation", "projection"])
def test_the_measured_risk_is_the_formula(oracle: str, images: Tensor) -> None:
    sigma, x = 0.15, images[:1].expand(200, 1, 64, 64)
    error = mse(x, oracle_denoise(Wavelet("db4"), x, add_noise(x, sigma, seed=5), sigma, oracle))
    formula = (oracle_mse if oracle == "attenuation" else projection_mse)(Wavelet("db4"), images[:1], sigma)
    spread = float(error.std()) / math.sqrt(200)
    assert abs(float(error.mean() - formula)) < 4 * spread


def test_the_risk_of_a_partial_basis_contains_what_is_outside(images: Tensor) -> None:
    basis = PCA.fit(images, components=2)
    risks = oracle_risks(basis, images, 0.1)
    outside = images.square().sum((1, 2, 3)) - basis.analysis(images).square().sum(1)
    assert bool((risks.attenuation >= outside).all())
    assert bool((risks.geometry >= outside).all())


def test_a_dictionary_is_adapted_to_the_image_that_the_oracle_sees(images: Tensor) -> None:
    sigma = 0.1
    y = add_noise(images, sigma, seed=1)
    clean, noisy = Bandlet().at(images, 3 * sigma), Bandlet().at(y, 3 * sigma)
    for oracle, basis in (("geometry", clean), ("empirical", noisy)):
        expected = oracle_denoise(basis, images, y, sigma, oracle)
        torch.testing.assert_close(oracle_denoise(Bandlet(), images, y, sigma, oracle), expected)
    one_level_for_each = torch.full((4,), sigma, dtype=torch.float64)
    each = oracle_denoise(Bandlet(), images, y, one_level_for_each, "geometry")
    torch.testing.assert_close(each, oracle_denoise(clean, images, y, sigma, "geometry"))
    adapted = Bandlet().at(images, sigma)
    torch.testing.assert_close(oracle_mse(Bandlet(), images, sigma), oracle_mse(adapted, images, sigma))


@settings(max_examples=60, deadline=None)
@given(c=st.floats(-20, 20), threshold=st.floats(1.0, 4.0))
def test_a_hard_threshold_is_never_better_than_the_projection(c: float, threshold: float) -> None:
    # E (h(c + z) - c)^2 by quadrature on a fine grid of z
    z = torch.linspace(-12, 12, 48001, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    y = c + z
    risk = float((torch.where(y.abs() > threshold, y, 0.0) - c).square().mul(density).sum() * (z[1] - z[0]))
    assert risk >= min(c**2, 1) * (1 - 1e-3) - 1e-9


def test_the_empirical_oracle_does_not_look_at_the_clean_image(images: Tensor) -> None:
    y = add_noise(images, 0.1, seed=1)
    a = oracle_denoise(Bandlet(), images, y, 0.1, "empirical")
    assert torch.equal(a, oracle_denoise(Bandlet(), torch.zeros_like(images), y, 0.1, "empirical"))


def test_bad_use_is_refused(images: Tensor, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"oracle must be .*, got 'bayes'"):
        oracle_denoise(Pixels(), images, images, 0.1, "bayes")
    with pytest.raises(ValueError, match="y must have the shape of x"):
        oracle_denoise(Pixels(), images, images[:1], 0.1)
    with pytest.raises(ValueError, match="draws must be between 1 and 1000000, got 0"):
        oracle_risks(Pixels(), images, 0.1, draws=0)
