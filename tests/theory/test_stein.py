"""SURE and the trace identity, on distributions whose risk is known."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.randomness import add_noise
from gahb_theory.theory.exact_risks import gaussian_mse
from gahb_theory.theory.stein import sure, sure_risk, trace_identity

SHAPE, D = (1, 3, 4), 12


def normal(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def power_law():
    """A Gaussian distribution with variances k^-2 in a random basis, and many of its images."""
    rotation = torch.linalg.qr(normal(D, D, seed=0)).Q
    variances = torch.arange(1, D + 1, dtype=torch.float64) ** -2.0
    covariance = (rotation * variances) @ rotation.mT
    x = (normal(2000, D, seed=1) * variances.sqrt()) @ rotation.mT
    f = gt.GaussianDenoiser(torch.zeros(1, *SHAPE, dtype=torch.float64), (covariance + covariance.mT) / 2)
    return f, variances, x.reshape(-1, *SHAPE)


class Mixture(torch.nn.Module):
    """The posterior mean of two Gaussians of variance s Id with means +-m and weights 1/4 and 3/4."""

    s, weights = 0.01, (0.25, 0.75)

    def __init__(self):
        super().__init__()
        m = torch.zeros(D, dtype=torch.float64)
        m[0] = 0.2
        self.register_buffer("means", torch.stack([-m, m]))
        self.eval()

    def sample(self, n):
        which = (torch.rand(n, generator=torch.Generator().manual_seed(4), dtype=torch.float64) > 0.25).long()
        return (self.means[which] + math.sqrt(self.s) * normal(n, D, seed=5)).reshape(n, *SHAPE)

    def forward(self, y, sigma):
        v = self.s + torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1, 1) ** 2
        away = y.flatten(1)[:, None] - self.means
        logs = torch.tensor(self.weights, dtype=y.dtype).log() - away.square().sum(-1) / (2 * v[..., 0])
        return (torch.softmax(logs, dim=1)[..., None] * (self.means + self.s / v * away)).sum(1).reshape(y.shape)

    def mse(self, sigma, points=20001):
        """Its risk, by quadrature along the one direction in which the distribution is not Gaussian."""
        v = self.s + sigma**2
        t = torch.linspace(-4, 4, points, dtype=torch.float64)
        y = torch.zeros(points, D, dtype=torch.float64)
        y[:, 0] = t
        density = sum(
            w * torch.exp(-((t - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
            for w, m in zip(self.weights, (-0.2, 0.2), strict=True)
        )
        estimate = self(y.reshape(points, *SHAPE), sigma).flatten(1)[:, 0]
        second = self.s + 0.04  # E x^2 along this direction; E f^2 is what is known of it
        along = second - torch.trapezoid(density * estimate**2, t)
        return float(along) + (D - 1) * self.s * sigma**2 / v


@pytest.mark.parametrize("sigma", [0.1, 0.6])
def test_sure_is_the_risk_on_average(sigma):
    f, variances, x = power_law()
    y = add_noise(x, sigma, seed=3)
    for g in (f, lambda y, s: torch.tanh(y) * 0.7, gt.ShrinkageDenoiser(gt.Pixels(), gt.Soft(1.0))):
        estimate, error = sure(g, y, sigma), gt.mse(x, g(y, sigma))
        deviation = float((estimate - error).std()) / math.sqrt(len(x))
        assert abs(float((estimate - error).mean())) < 4 * deviation
        assert deviation < 0.06 * float(error.mean())
    risk = sure_risk(f, y, sigma)
    assert risk.low < float(gaussian_mse(variances, sigma)) < risk.high
    assert risk.high - risk.low < 0.21 * risk.value


def test_sure_of_a_linear_denoiser_by_hand():
    f, variances, x = power_law()
    y, sigma = add_noise(x[:3], 0.4, seed=3), 0.4
    gains = variances / (variances + sigma**2)
    c = y.flatten(1) @ f.atoms.mT
    expected = 2 * sigma**2 * gains.sum() + ((1 - gains) ** 2 * c**2).sum(1) - sigma**2 * D
    torch.testing.assert_close(sure(f, y, sigma), expected)
    levels = torch.tensor([0.1, 0.4, 0.9], dtype=torch.float64)
    together = sure(f, y, levels)
    torch.testing.assert_close(together[1:2], expected[1:2])
    torch.testing.assert_close(together[2:], sure(f, y[2:], 0.9))


def test_sure_with_random_traces_agrees_within_its_error():
    f, _, x = power_law()
    y = add_noise(x[:50], 0.3, seed=3)
    trace = gt.Hutchinson(probes=64)
    error = 2 * 0.3**2 * trace.estimate(f, y, 0.3).standard_error
    gap = (sure(f, y, 0.3, trace) - sure(f, y, 0.3)) / error
    assert float(gap.abs().max()) < 4.5
    assert float(gap.square().mean()) == pytest.approx(1, abs=0.5)


def test_sure_needs_the_true_noise_level():
    f, variances, x = power_law()
    y = add_noise(x, 0.3, seed=3)
    assert sure_risk(f, y, 0.6).high < 0.5 * float(gaussian_mse(variances, 0.3))


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.8])
def test_the_trace_identity_holds_for_posterior_means(sigma):
    f, variances, images = power_law()
    mixture = Mixture()
    for g, x, risk in (
        (f, images, float(gaussian_mse(variances, sigma))),
        (mixture, mixture.sample(2000), mixture.mse(sigma)),
    ):
        result = trace_identity(g, x, sigma, confidence=0.999)
        assert result.gap.low < 0 < result.gap.high
        assert result.mse.low < risk < result.mse.high
        assert result.trace.low - 1e-9 <= risk <= result.trace.high + 1e-9
        assert result.gap.high - result.gap.low < 0.3 * risk
        assert result.gap.value == pytest.approx(result.mse.value - result.trace.value)


def test_the_eigenvalues_between_two_modes_exceed_1():
    y = torch.zeros(1, *SHAPE, dtype=torch.float64)
    y[..., 0, 0] = -0.02 * math.log(3) / 0.4  # where both modes are as likely, at sigma = 0.1
    E = gt.jacobian(Mixture(), y, 0.1).eigenbasis()
    # Cov[x | y] / sigma^2 along the line of the two: s / (s + sigma^2), and the square of half the distance of the estimates
    assert float(E.eigenvalues[0]) == pytest.approx(0.5 + 0.1**2 / 0.1**2)
    assert float(E.eigenvalues[1]) == pytest.approx(0.5)


def test_the_trace_identity_fails_for_others():
    f, _, x = power_law()
    wrong = gt.GaussianDenoiser(f.mean, 4 * f.atoms.mT @ f.variances.diag() @ f.atoms)
    result = trace_identity(wrong, x, 0.3)
    assert result.gap.high < 0
    smooth = trace_identity(lambda y, sigma: 0.2 * y, x, 0.3)
    assert smooth.gap.low > 0
    probed = trace_identity(wrong, x[:200], 0.3, trace=gt.Hutchinson(probes=8))
    assert probed.gap.high < 0


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.8])
def test_the_trace_identity_holds_for_denoisers_that_are_not_optimal(sigma):
    f, variances, x = power_law()
    gains = variances / (variances + sigma**2)
    uniform = float(variances.sum() / (variances + sigma**2).sum())
    factor = float(variances.sum() / (gains * variances).sum())
    assert factor > 1.001
    best = float(gaussian_mse(variances, sigma))
    for g, risk in (
        (lambda y, s: y, D * sigma**2),
        (lambda y, s: uniform * y, float(((1 - uniform) ** 2 * variances + (uniform * sigma) ** 2).sum())),
        (
            lambda y, s: factor * f(y, s),
            float(((1 - factor * gains) ** 2 * variances + (factor * gains * sigma) ** 2).sum()),
        ),
    ):
        result = trace_identity(g, x, sigma, confidence=0.999)
        assert risk > best * 1.001
        assert result.mse.low < risk < result.mse.high
        assert result.gap.low < 0 < result.gap.high
        assert result.gap.high - result.gap.low < 0.3 * risk


def test_the_gap_is_the_product_of_residual_and_distance_to_the_posterior_mean():
    f, _, x = power_law()
    sigma = 0.3
    y = add_noise(x, sigma, seed=0)
    result = trace_identity(lambda y, s: 0.2 * y, x, sigma, confidence=0.999)
    products = ((0.2 * y - y) * (0.2 * y - f(y, sigma))).sum((1, 2, 3))
    assert result.gap.low < float(products.mean()) < result.gap.high


def test_refusals(unchecked):
    f, _, x = power_law()
    with pytest.raises(ValueError, match="sigma is the standard deviation of the noise"):
        sure(f, x[:1], 0.0)
    with pytest.raises(ValueError, match="y must have shape"):
        sure(f, x[0], 0.1)
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        trace_identity(f, x[:1], 0.1)
    with pytest.raises(TypeError, match=r"trace must be callable, got int 3; it is called as trace\(f, y, sigma\)"):
        sure(f, x[:1], 0.1, trace=3)
    with pytest.raises(TypeError, match=r"trace must return one floating-point number for each of 2 images, got shape"):
        sure(f, x[:2], 0.1, trace=lambda f, y, sigma: y)
    with pytest.raises(ValueError, match="what trace returned must be finite"):
        sure(f, x[:2], 0.1, trace=lambda f, y, sigma: torch.full((2,), math.nan))
