"""The probability flow: closed solution on Gaussians, order of convergence, mode weights, cost, refusals."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import mixture_of_gaussians
from gahb_theory.sampling import generate, karras_levels, probability_flow
from gahb_theory.sampling.samples import Status

SHAPE = (1, 2, 2)
VARIANCES = torch.tensor([0.3, 0.04, 0.01, 0.0025], dtype=torch.float64)
MEAN = torch.tensor([0.2, 0.5, 0.7, 0.4], dtype=torch.float64).reshape(1, *SHAPE)


def gaussian():
    return gt.GaussianDenoiser(MEAN, VARIANCES.diag())


def transported(y, sigma_0, sigma):
    """The closed solution of the flow of a Gaussian."""
    factor = ((VARIANCES + sigma**2) / (VARIANCES + sigma_0**2)).sqrt()
    return MEAN + factor.reshape(1, *SHAPE) * (y - MEAN)


def slope(errors):
    """Order of convergence over halved steps, by least squares in the logarithms."""
    x = torch.arange(len(errors), dtype=torch.float64) * math.log(2)
    y = -torch.tensor(errors, dtype=torch.float64).log()
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def test_the_levels_of_karras():
    """Equation 5 with their own constants: from 80 to .002, here its third of 5 levels by hand."""
    levels = karras_levels(5, sigma_0=80.0, sigma_inf=0.002)
    assert levels[0] == 80.0
    assert levels[-1] == 0.002
    assert levels[2] == pytest.approx(((80 ** (1 / 7) + 0.002 ** (1 / 7)) / 2) ** 7, rel=1e-12)
    assert levels[2] == pytest.approx(2.515, abs=0.01)
    assert karras_levels(3, sigma_0=1.0, sigma_inf=0.5, rho=1.0) == pytest.approx((1.0, 0.75, 0.5))


def test_heun_has_order_two_and_the_deterministic_ascent_order_one():
    """Against the closed solution from the same noise; beta = 1 is Euler's method on levels of equal ratio."""
    f, arguments = gaussian(), {"dtype": torch.float64, "every": 10**6}
    heun, euler = [], []
    for k in (16, 32, 64, 128):
        samples = probability_flow(f, (4, *SHAPE), sigmas=karras_levels(k + 1, sigma_0=2.0), **arguments)
        exact = transported(samples.trajectory.noisy[0], 2.0, 0.01)
        heun.append(float((samples.noisy - exact).abs().max()))
        h = 1 - (0.1 / 2.0) ** (1 / k)
        ascent = generate(f, (4, *SHAPE), sigma_0=2.0, sigma_inf=0.1001, beta=1.0, step=h, **arguments)
        assert int(ascent.steps[0]) == k
        assert torch.equal(ascent.trajectory.noisy[0], samples.trajectory.noisy[0])
        exact = transported(samples.trajectory.noisy[0], 2.0, float(ascent.sigma[0]))
        euler.append(float((ascent.noisy - exact).abs().max()))
    assert slope(heun) == pytest.approx(2, abs=0.15)
    assert slope(euler) == pytest.approx(1, abs=0.15)
    assert heun[-1] < 3e-4


def test_samples_of_a_gaussian_have_its_covariance_less_what_the_start_lacks():
    n, f = 4000, gaussian()
    for sigma_0 in (1.0, 20.0):
        samples = probability_flow(f, (n, *SHAPE), sigmas=karras_levels(40, sigma_0=sigma_0), batch_size=n)
        assert bool(samples.converged.all())
        gain = VARIANCES / (VARIANCES + 0.01**2)
        expected = gain**2 * (VARIANCES + 0.01**2) * sigma_0**2 / (VARIANCES + sigma_0**2)
        variance = samples.images.double().flatten(1).var(dim=0)
        torch.testing.assert_close(variance / expected, torch.ones(4).double(), rtol=0, atol=4.5 * math.sqrt(2 / n))
    assert float((variance / VARIANCES)[0]) == pytest.approx(1, abs=0.1)  # at 1, the start lacks 0.3 / 1.3 of it


def test_the_flow_has_the_mode_weights_of_a_mixture():
    means = torch.tensor([[0.2, 0.2, 0.3, 0.5], [0.8, 0.6, 0.9, 0.5]], dtype=torch.float64).reshape(2, *SHAPE)
    f = mixture_of_gaussians(
        means, (0.01 * torch.eye(4, dtype=torch.float64)).expand(2, 4, 4), torch.tensor([0.3, 0.7]).double()
    )
    n = 3000
    samples = probability_flow(f, (n, *SHAPE), sigmas=karras_levels(60, sigma_0=20.0), batch_size=n)
    second = torch.cdist(samples.images.flatten(1), means.flatten(1)).argmin(1) == 1
    assert abs(float(second.double().mean()) - 0.7) < 4.5 * math.sqrt(0.21 / n)
    for k, mode in enumerate((~second, second)):
        within = samples.images.flatten(1)[mode] - means[k].flatten()
        assert float((within.var(dim=0) / 0.01 - 1).abs().max()) < 0.15


def test_calls_batches_and_trajectory():
    calls = []
    f = gaussian()

    def counted(y, sigma):
        calls.append(float(sigma))
        return f(y, sigma)

    levels = (1.0, 0.5, 0.2)
    whole = probability_flow(counted, (3, *SHAPE), sigmas=levels, every=1, dtype=torch.float64, seed=4)
    assert calls == [1.0, 0.5, 0.5, 0.2, 0.2]
    way = whole.trajectory
    assert way.steps.tolist() == [0, 1, 2]
    assert way.sigma[:, 0].tolist() == list(levels)
    torch.testing.assert_close(way.denoised[1], f(way.noisy[1], 0.5))
    assert torch.equal(way.noisy[-1], whole.noisy)
    assert torch.equal(whole.images, f(whole.noisy, 0.2))
    parts = probability_flow(f, (2, *SHAPE), sigmas=levels, start=1, batch_size=1, dtype=torch.float64, seed=4)
    torch.testing.assert_close(parts.images, whole.images[1:], rtol=1e-12, atol=1e-12)
    ascent = generate(f, (3, *SHAPE), seed=4, every=1, max_steps=1)
    assert torch.equal(ascent.trajectory.noisy[0], way.noisy[0])  # the same start


def test_statuses_and_refusals(unchecked):
    def breaks(y, sigma):
        return torch.where((y[:, :1, :1, :1] > 0.5) & (sigma < 0.1), float("nan"), 0.5 * y)

    samples = probability_flow(breaks, (12, *SHAPE))
    away = samples.status == Status.DIVERGED
    assert 0 < int(away.sum()) < 12
    assert torch.equal(away, ~samples.images.isfinite().flatten(1).all(dim=1))
    for change, error, message in (
        ({"f": 3}, TypeError, "denoiser that can be called"),
        ({"f": gt.UNet(channels=4, blocks=1)}, RuntimeError, "train mode"),
        ({"f": lambda y, sigma: y * float("nan")}, ValueError, "what f returned must be finite"),
        ({"sigmas": (0.1, 1.0)}, ValueError, "sigmas must descend"),
        ({"sigmas": (1.0,)}, ValueError, "at least two levels"),
        ({"sigmas": (1.0, 0.0)}, ValueError, "above 0"),
        ({"shape": (2, 2, 2)}, ValueError, "shape must be"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"mean": float("nan")}, ValueError, "mean must be finite"),
    ):
        with pytest.raises(error, match=message):
            probability_flow(**({"f": breaks, "shape": (2, *SHAPE)} | change))
    for change, message in (({"count": 1}, "count"), ({"rho": 0.0}, "rho"), ({"sigma_inf": 2.0}, "must lie below")):
        with pytest.raises(ValueError, match=message):
            karras_levels(**change)
