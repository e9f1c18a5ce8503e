import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory import Convention, adapt, adapt_diffusion, probe

VARIANCE = 0.04
MEAN = 0.5


def wiener(y, sigma):
    """The best denoiser of independent pixels of mean 1/2 and variance 0.04, the truth of this file."""
    sigma = torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1, 1, 1)
    return MEAN + VARIANCE / (VARIANCE + sigma**2) * (y - MEAN)


def images(channels=1, seed=0):
    return torch.rand(3, channels, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def sigmas():
    return torch.tensor([0.05, 0.2, 0.6], dtype=torch.float64)


def foreign(prediction, low, high):
    """A network that knows sigma, in another range and parametrisation, and amounts to the truth."""

    def net(u, s):
        width, s = high - low, torch.as_tensor(s, dtype=u.dtype).reshape(-1, 1, 1, 1)
        x = low + width * wiener((u - low) / width, s.flatten() / width)
        return {"clean": x, "residual": u - x, "noise": (u - x) / s, "score": (x - u) / s**2}[prediction]

    return net


@pytest.mark.parametrize("prediction", ["clean", "residual", "noise", "score"])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1), (0, 255)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_convention_is_the_same_denoiser(prediction, low, high, channels):
    f = adapt(foreign(prediction, low, high), Convention(prediction, "sigma", low, high))
    y = images(channels)
    for sigma in (0.1, sigmas()):
        torch.testing.assert_close(f(y, sigma), wiener(y, sigma), rtol=1e-10, atol=1e-12)


def test_blind_and_noise_map_networks():
    y = images(3)
    blind = adapt(lambda u: u / 2, Convention(low=-1))
    torch.testing.assert_close(blind(y, 0.1), y / 2 + 0.25)

    def net(u):
        assert u.shape[1] == 4
        return foreign("noise", 0, 255)(u[:, :3], u[:, 3, 0, 0])

    f = adapt(net, Convention("noise", "map", 0, 255))
    torch.testing.assert_close(f(y, sigmas()), wiener(y, sigmas()))


def test_what_networks_return():
    y = images()
    for wrap in (lambda x: (x,), lambda x: SimpleNamespace(sample=x), lambda x: [x, None]):
        assert torch.equal(adapt(lambda u, wrap=wrap: wrap(u))(y, 0.1), y)
    with pytest.raises(TypeError, match="must return a tensor, or something that holds one, got dict"):
        adapt(lambda u: {})(y, 0.1)


@pytest.mark.parametrize("prediction", ["clean", "noise", "velocity"])
@pytest.mark.parametrize("times", ["continuous", "nearest"])
def test_variance_preserving_networks(prediction, times):
    """The optimal network of a Gaussian law, in its own variables, amounts to the Wiener filter."""
    alphas = torch.linspace(0.9995, 0.02, 1000, dtype=torch.float64)

    def net(z, t):
        assert t.shape == (3,)
        right = (t.long() + 1).clamp(1, 999)
        level = (1 / alphas - 1).log()
        squared = 1 / (1 + torch.exp(level[right - 1] + (level[right] - level[right - 1]) * (t - (right - 1))))
        a, b = squared.sqrt()[:, None, None, None], (1 - squared).sqrt()[:, None, None, None]
        x = 2 * wiener((z / a + 1) / 2, (b / a).flatten() / 2) - 1
        noise = (z - a * x) / b
        out = {"clean": x, "noise": noise, "velocity": a * noise - b * x}[prediction]
        return SimpleNamespace(sample=out)

    f = adapt_diffusion(net, alphas, prediction, times=times)
    tolerance = 1e-10 if times == "continuous" else 2e-3  # the nearest of 1000 levels
    torch.testing.assert_close(f(images(), sigmas()), wiener(images(), sigmas()), rtol=tolerance, atol=tolerance)


def test_schedule_is_inverted_and_its_ends_are_refused():
    alphas = torch.linspace(0.99, 0.1, 50, dtype=torch.float64)
    f = adapt_diffusion(lambda z, t: z, alphas)
    levels = (1 / alphas - 1).sqrt()
    torch.testing.assert_close(f.time(levels), torch.arange(50, dtype=torch.float64), rtol=0, atol=1e-9)
    assert f.sigma_range == pytest.approx((float(levels[0]) / 2, 1.5))
    f(images(), f.sigma_range[1])
    for sigma in (0.01, 1.6):
        with pytest.raises(ValueError, match=r"knows noise levels in \[0\.05025, 1\.5\]"):
            f(images(), sigma)


def test_refusals(unchecked):
    with pytest.raises(TypeError, match="net must be callable, got str"):
        adapt("net")
    with pytest.raises(ValueError, match="prediction must be"):
        Convention("epsilon")
    with pytest.raises(ValueError, match="conditioning must be"):
        Convention("noise", "time")
    with pytest.raises(ValueError, match="low must be below high"):
        Convention(low=1, high=1)
    for bad in (torch.tensor([0.1, 0.9]), torch.tensor([0.9]), torch.tensor([1.0, 0.5])):
        with pytest.raises(ValueError, match="alphas_cumprod must hold at least two numbers"):
            adapt_diffusion(lambda z, t: z, bad)
    with pytest.raises(ValueError, match="prediction must be"):
        adapt_diffusion(lambda z, t: z, torch.tensor([0.9, 0.5]), "v")
    with pytest.raises(ValueError, match="times must be"):
        adapt_diffusion(lambda z, t: z, torch.tensor([0.9, 0.5]), times="round")


def test_mode_and_parameters_are_those_of_the_network():
    net = gt.BFCNN(2, 3).layers
    assert adapt(net).training
    f = adapt(net.eval())
    assert not f.training and dict(f.named_parameters())["net.0.weight"] is net[0].weight
    J = gt.jacobian(f, images()[:1].float(), 0.1)
    assert J.shape == (64, 64)


def blur(u):
    return nn.functional.avg_pool2d(u, 3, stride=1, padding=1, count_include_pad=False)


def smoothing(prediction, low, high):
    """A net(y, sigma) of some use on photographs: it averages the more, the larger the noise."""

    def net(u, s):
        width = high - low
        y, sigma = (u - low) / width, (s / width).reshape(-1, 1, 1, 1)
        x = y + sigma**2 / (sigma**2 + 0.03**2) * (blur(y) - y)
        x = x + sigma**2 / (sigma**2 + 0.5**2) * (y.mean((2, 3), keepdim=True) - x)
        x, s = low + width * x, s.reshape(-1, 1, 1, 1)
        return {"clean": x, "residual": u - x, "noise": (u - x) / s, "score": (x - u) / s**2}[prediction]

    return net


@pytest.mark.parametrize("prediction", ["clean", "residual", "noise", "score"])
@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (-1, 1)])
def test_probe_finds_conditioned_conventions(prediction, low, high):
    found = probe(smoothing(prediction, low, high), (1, 32, 32))
    assert found.convention.prediction == prediction
    assert found.convention.conditioning == "sigma"
    assert found.uses_sigma
    f = adapt(smoothing(prediction, low, high), found.convention)
    y = gt.add_noise(gt.Disks(size=32).sample(2), 0.2)
    torch.testing.assert_close(f(y, 0.2), smoothing("clean", 0, 1)(y, torch.tensor([0.2])), rtol=0, atol=1e-4)


def test_probe_finds_the_range_of_a_network_that_is_not_homogeneous():
    """It pulls towards 0, which costs least where that is the grey in the middle."""
    found = probe(lambda u: 0.8 * blur(u), (3, 32, 32))
    assert found.convention == Convention("clean", "none", -1.0, 1.0)
    assert not found.uses_sigma
    assert found.homogeneity_error > 0.05


def test_probe_says_which_readings_do_as_well():
    found = probe(lambda u: u - blur(u), (1, 32, 32))
    assert found.convention == Convention("residual")
    assert Convention("residual", high=255.0) in found.tied
    assert found.sure and found.homogeneity_error < 1e-6
    assert "returns the residual image in [0, 1]: sure" in str(found)
    assert [gain for _, gain in found.gains] == sorted((gain for _, gain in found.gains), reverse=True)


def test_probe_is_not_sure_of_what_does_not_denoise():
    found = probe(lambda u: 0.5 * u, (1, 32, 32))
    assert not found.sure
    assert "NOT sure" in str(found)


def test_probe_refuses_what_it_cannot_call():
    def net(a, b, c):
        return a

    with pytest.raises(ValueError, match=r"could not be called as.*none: TypeError"):
        probe(net, (1, 16, 16))
    with pytest.raises(RuntimeError, match="train mode"):
        probe(gt.BFCNN(2, 3))


def test_probe_of_a_denoiser_of_ours():
    found = probe(gt.shipped_denoiser("photographs"), (1, 64, 64))
    assert found.convention == Convention("clean", "sigma")
    assert found.sure and not found.uses_sigma and found.homogeneity_error < 1e-5


@pytest.mark.data
def test_probe_of_published_networks(optional_data):
    f = gt.load_denoiser(optional_data / "weights" / "localprob_celeba160_bfcnn_rf43.pt")
    found = probe(lambda u: f.layers(u), (1, 16, 16))
    assert found.convention == Convention("residual")
    assert found.sure and math.isfinite(found.margin)
