import copy
import json
import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory import Convention, adapt, adapt_diffusion, probe

VARIANCE = 0.04
MEAN = 0.5


@pytest.fixture
def layers_of_torch():
    """A test that makes layers as a user does, which draws from the global generator of torch; it is put back."""
    state = torch.random.get_rng_state()
    yield
    torch.random.set_rng_state(state)


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
    for wrap in (lambda x: (x,), lambda x: SimpleNamespace(sample=x), lambda x: [x, None], lambda x: {"sample": x}):
        assert torch.equal(adapt(lambda u, wrap=wrap: wrap(u))(y, 0.1), y)
    with pytest.raises(
        TypeError, match="must return a tensor, or one named sample, got a mapping of out, loss; wrap it"
    ):
        adapt(lambda u: {"out": u, "loss": 0})(y, 0.1)
    with pytest.raises(TypeError, match="must return a tensor, or something that holds one, got float"):
        adapt(lambda u: 0.5)(y, 0.1)
    with pytest.raises(ValueError, match=r"its channels are last, wrap it to return out.permute\(0, 3, 1, 2\)"):
        adapt(lambda u: u.permute(0, 2, 3, 1))(y, 0.1)


@pytest.mark.parametrize("prediction", ["clean", "noise", "velocity"])
@pytest.mark.parametrize("times", ["continuous", "nearest"])
def test_variance_preserving_networks(prediction, times):
    """The optimal network of a Gaussian distribution, in its own variables, amounts to the Wiener filter."""
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


@pytest.mark.parametrize("conditioning", ["column", "number", "map", "second map"])
def test_every_way_to_tell_the_noise_level(conditioning, unchecked):
    """Each is the truth, with levels of their own for each image and one for all."""
    y = images()
    calls = {
        "column": lambda u, s: wiener(u, s.flatten()) if s.shape == (3, 1, 1, 1) else None,
        "number": lambda u, s: wiener(u, s) if type(s) is float else None,
        "map": lambda u: wiener(u[:, :1], u[:, 1, 0, 0]) if u.shape == (3, 2, 8, 8) else None,
        "second map": lambda u, m: wiener(u, m[:, 0, 0, 0]) if m.shape == (3, 1, 8, 8) else None,
    }
    f = adapt(calls[conditioning], Convention(conditioning=conditioning))
    for sigma in (
        0.1,
        sigmas(),
        sigmas().reshape(3, 1, 1, 1),
        sigmas().numpy(),
        torch.tensor(0.1, dtype=torch.float64),
    ):
        expected = wiener(y, torch.as_tensor(sigma, dtype=torch.float64).flatten())
        torch.testing.assert_close(f(y, sigma), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("prediction", ["clean", "residual", "noise", "score"])
def test_what_a_network_does_to_its_input_does_not_show(prediction):
    """A first layer that works in place overwrites the image from which the noise is taken."""
    y = images() - 0.5
    f, g = (adapt(nn.ReLU(inplace=inplace).eval(), Convention(prediction)) for inplace in (True, False))
    assert torch.equal(f(y, 0.1), g(y, 0.1))


def test_shapes_that_broadcast_are_refused(layers_of_torch):
    y = torch.rand(2, 1, 8, 6)
    variance = lambda u: torch.cat([u, u], dim=1)  # noqa: E731
    for net, got in (
        (variance, r"\(2, 2, 8, 6\); twice the channels are a mean and a learned variance, .* out\[:, :1\]"),
        (lambda u: u[:, 0], r"\(2, 8, 6\)"),
        (lambda u: u.mT, r"\(2, 1, 6, 8\)"),
        (lambda u: u[:1], r"\(1, 1, 8, 6\)"),
        (lambda u: u.mean(), r"\(\)"),
    ):
        for prediction in ("clean", "residual", "noise", "score"):
            with pytest.raises(ValueError, match="must return batch, channels, height and width of its input.*" + got):
                adapt(net, Convention(prediction))(y, 0.1)
        with pytest.raises(ValueError, match="batch, channels, height and width of its input.*" + got):
            adapt_diffusion(lambda z, t, net=net: net(z), torch.linspace(0.9999, 0.01, 100))(y, 0.1)
    for bad in (lambda u: u > 0, lambda u: u + 0j, lambda u: u.long()):
        with pytest.raises(TypeError, match="must return floating-point images, got torch"):
            adapt(bad)(y, 0.1)


def test_images_of_another_type_than_the_weights_are_refused_plainly(layers_of_torch):
    y = torch.rand(1, 1, 8, 8).double()
    message = r"weights of this network are torch.float32, but the images are torch.float64; .*\.to\(torch.float32\)"
    for f in (adapt(nn.Conv2d(1, 1, 3, padding=1).eval()), gt.BFCNN(2, 3).eval(), gt.BFCNN(2, 3)):
        with pytest.raises(TypeError, match=message):
            f(y, 0.1)
    converts = nn.Sequential(Cast(), nn.Conv2d(1, 1, 3, padding=1, bias=False)).eval()
    assert adapt(converts)(y, 0.1).dtype == torch.float64
    with pytest.raises(RuntimeError, match="own words"):
        adapt(Fails().eval())(y.float(), 0.1)
    away = gt.BFCNN(2, 3).eval().to("meta")
    with pytest.raises(ValueError, match="weights of this network are on meta, but the images are on cpu"):
        away(y.float(), 0.1)


class Cast(nn.Module):
    def forward(self, y):
        return y.float()


class Fails(nn.Module):
    def forward(self, y):
        raise RuntimeError("own words")


@pytest.mark.parametrize("prediction", ["clean", "residual", "noise", "score"])
def test_no_noise_is_a_noise_level(prediction, unchecked):
    y = images()
    f = adapt(lambda u: 0.5 * u, Convention(prediction))
    expected = {"clean": y / 2, "residual": y / 2, "noise": y, "score": y}[prediction]
    assert torch.equal(f(y, 0.0), expected)
    assert torch.equal(gt.BFCNN(2, 3).double().eval()(y, 0), gt.BFCNN(2, 3).double().eval()(y, 0.1))


def test_large_levels_are_computed_and_remarked_on():
    f = adapt_diffusion(lambda z, t: torch.zeros_like(z), torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0))
    y = 40 * torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert torch.equal(f(y, 39.0), f(y, 2.0))  # no warning: the image varies as much
    with pytest.warns(UserWarning, match="is sigma in units of 0 to 255"):
        f(y / 400, 39.0)


def test_schedulers_of_diffusers(layers_of_torch):
    alphas = torch.linspace(0.999, 0.01, 100)
    y = torch.rand(2, 1, 4, 4)
    for name_of_prediction, prediction in (("epsilon", "noise"), ("sample", "clean"), ("v_prediction", "velocity")):
        for config in (SimpleNamespace(prediction_type=name_of_prediction), {"prediction_type": name_of_prediction}):
            scheduler = SimpleNamespace(alphas_cumprod=alphas, config=config, timesteps=torch.arange(99, -1, -1))
            f = adapt_diffusion(lambda z, t: z.tanh(), scheduler)
            g = adapt_diffusion(lambda z, t: z.tanh(), alphas, prediction)
            assert f.convention == g.convention and f.convention.prediction == prediction
            assert torch.equal(f(y, 0.3), g(y, 0.3))
    scheduler = SimpleNamespace(alphas_cumprod=alphas.numpy(), config=SimpleNamespace(prediction_type="epsilon"))
    assert adapt_diffusion(lambda z, t: z, scheduler, "clean").convention.prediction == "clean"
    bare = SimpleNamespace(alphas_cumprod=alphas.tolist())
    assert adapt_diffusion(lambda z, t: z, bare).convention.prediction == "noise"
    with pytest.raises(ValueError, match=r"prediction_type must be one of .*, got 'flow'; say .* prediction="):
        adapt_diffusion(lambda z, t: z, SimpleNamespace(alphas_cumprod=alphas, config={"prediction_type": "flow"}))
    with pytest.raises(
        TypeError, match=r"or a scheduler that has one, got SimpleNamespace; .* not variance preserving"
    ):
        adapt_diffusion(lambda z, t: z, SimpleNamespace(sigmas=alphas))


def test_a_schedule_that_ends_in_pure_noise_is_mended_as_the_message_says():
    alphas = torch.cat([torch.linspace(0.99, 0.1, 9), torch.zeros(1)])
    with pytest.raises(
        ValueError, match=r"alphas_cumprod\[9\] is 0 \(zero terminal .*; leave .* out, alphas_cumprod\[:9\]"
    ):
        adapt_diffusion(lambda z, t: z, alphas)
    assert adapt_diffusion(lambda z, t: z, alphas[:9]).sigma_range[1] == pytest.approx(1.5)
    for bad in ([0.9, math.nan], [True, False], ["a", "b"]):
        with pytest.raises((ValueError, TypeError), match="alphas_cumprod must"):
            adapt_diffusion(lambda z, t: z, bad)


def test_the_time_of_a_diffusion_has_its_derivative_by_the_noise_level():
    f = adapt_diffusion(lambda z, t: z * t[:, None, None, None], torch.linspace(0.9995, 0.1, 50).double())
    y, s, step = images(), sigmas().requires_grad_(), 1e-6
    (slope,) = torch.autograd.grad(f(y, s).sum(), s)
    ends = [f(y, s.detach() + change).sum(dim=(1, 2, 3)) for change in (step, -step)]
    torch.testing.assert_close(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-5, atol=0)


TRANSFORMED = {
    "UNet": lambda: gt.UNet(4, 1),
    "BFCNN": lambda: gt.BFCNN(4, 3),
    "DnCNN": lambda: gt.DnCNN(4, 3),
    "ConditionedUNet": lambda: gt.ConditionedUNet(4, 1),
    "DiT": lambda: gt.denoisers.DiT(8, 4, 16, 2, 2, window=1),
    "adapted": lambda: adapt(gt.UNet(4, 1).eval(), Convention("noise", "sigma", -1)),
    "diffusion": lambda: diffusion(),
}


class Timed(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, z, t):
        return self.layer(z) * t[:, None, None, None] / 100


def diffusion():
    return adapt_diffusion(Timed(), torch.linspace(0.9999, 0.01, 100))


@pytest.mark.filterwarnings("ignore:.*get_attr.*:UserWarning")  # torch 2.6 of its own export
@pytest.mark.parametrize("build", TRANSFORMED.values(), ids=TRANSFORMED.keys())
def test_transforms_of_torch_pass_the_checks(build, layers_of_torch, unchecked):
    torch._dynamo.reset()
    f = build().eval().requires_grad_(False)
    y, s = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, 0.2])
    expected = f(y, s)
    mapped = torch.func.vmap(lambda v, t: f(v[None], t)[0])(y, s)
    torch.testing.assert_close(mapped, expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(torch.compile(f, backend="eager", fullgraph=True)(y, s), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(
        torch.compile(f, backend="eager", fullgraph=True)(y, 0.1)[:1], expected[:1], rtol=0, atol=1e-5
    )
    torch.testing.assert_close(torch.export.export(f, (y, s)).module()(y, s), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("build", [lambda: adapt(gt.BFCNN(2, 3).layers), diffusion], ids=["adapted", "diffusion"])
def test_a_wrapped_network_is_a_module_as_any_other(build, layers_of_torch):
    f = build()
    assert f.training and f.net.training and all(n.startswith("net.") for n in f.state_dict())
    assert not f.eval().net.training and f.train().net.training
    copied = copy.deepcopy(f)
    assert copied.convention == f.convention and copied.configuration == f.configuration
    first, other = (next(g.parameters()) for g in (f, copied))
    assert first is not other and torch.equal(first, other)
    assert json.loads(json.dumps(f.configuration))["net"].endswith(type(f.net).__qualname__)
    y = torch.rand(2, 1, 8, 8)
    f(y, torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1)).sum().backward()
    assert first.grad is not None and other.grad is None
    copied.load_state_dict(f.state_dict())
    assert torch.equal(copied.eval()(y, 0.1), f.eval()(y, 0.1))


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


def test_probe_finds_how_sigma_is_told():
    """The network of KAIR takes shape (n, 1, 1, 1); others a number, or a map as their second argument."""
    inner = smoothing("residual", 0, 1)
    nets = {
        "column": lambda u, s: inner(u, s.repeat(1, 1, *u.shape[2:])[:, :, 0, 0].reshape(len(u))),
        "number": lambda u, s: inner(u, torch.tensor([s]) if isinstance(s, float) else s.no_number),
        "second map": lambda u, m: inner(u, (m.reshape(u.shape))[:, 0, 0, 0]),
        "map": lambda u: inner(u[:, :1], u[:, 1, 0, 0]),
    }
    for conditioning, net in nets.items():
        found = probe(net, (1, 32, 32))
        assert (found.convention.conditioning, found.convention.prediction) == (conditioning, "residual")
        assert found.uses_sigma


def test_probe_takes_the_precision_of_the_weights_and_says_what_it_cannot_do(unchecked):
    found = probe(gt.shipped_denoiser("unet_c_alpha").double(), (1, 32, 32))
    assert found.convention.prediction == "clean"
    with pytest.raises(TypeError, match="net must be callable, got str"):
        probe("net")
    with pytest.raises(TypeError, match=r"shape must be \(channels, height, width\), got int 3"):
        probe(lambda u: u, 3)
    with pytest.raises(ValueError, match=r"could not be called as any of .*values that are not finite"):
        probe(lambda u, s=None: u * torch.nan, (1, 16, 16))


def test_probe_of_a_denoiser_of_ours():
    found = probe(gt.shipped_denoiser("blind_photographs"), (1, 64, 64))
    assert found.convention == Convention("clean", "sigma")
    assert found.sure and not found.uses_sigma and found.homogeneity_error < 1e-5


@pytest.mark.data
def test_probe_of_published_networks(optional_data):
    f = gt.load_denoiser(optional_data / "weights" / "localprob_celeba160_bfcnn_rf43.pt")
    found = probe(lambda u: f.layers(u), (1, 16, 16))
    assert found.convention == Convention("residual")
    assert found.sure and math.isfinite(found.margin)
