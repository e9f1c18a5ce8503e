"""Networks that see the time of a diffusion, on images of a Gaussian distribution, where their best prediction is known.

The networks here compute E[p x + q n | a x + b n], their own target given their own state, from the joint covariance; they
share no formula with the adapters. Adapted, each must be the Wiener filter.
"""

import math
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory.denoisers import EDM, DiffusionConvention, FlowMatching, adapt_diffusion, adapt_latents

SHAPE, D = (1, 3, 4), 12
SIGMAS = torch.tensor([0.02, 0.1, 0.45, 2.0], dtype=torch.float64)
DATA = 0.7  # sigma_data


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


FACTOR = 0.3 * normal(D, D) / D**0.5
COVARIANCE = FACTOR @ FACTOR.mT
MEAN = 0.5 + 0.1 * normal(D, seed=1)


def noisy():
    return (MEAN + normal(len(SIGMAS), D, seed=2)).reshape(-1, *SHAPE)


def wiener(y, sigmas):
    """E[x | y] for intensities in [0, 1]."""
    rows = [
        MEAN + COVARIANCE @ torch.linalg.solve(COVARIANCE + s**2 * torch.eye(D).double(), v.flatten() - MEAN)
        for v, s in zip(y, sigmas, strict=True)
    ]
    return torch.stack(rows).reshape(y.shape)


def best(z, a, b, p, q, low=-1.0, high=1.0):
    """E[p x + q n | z = a x + b n] of one state z, x in the range of the network."""
    mean, covariance = low + (high - low) * MEAN, (high - low) ** 2 * COVARIANCE
    gain = (p * a * covariance + q * b * torch.eye(D).double()) @ torch.linalg.inv(
        a**2 * covariance + b**2 * torch.eye(D).double()
    )
    return (p * mean + gain @ (z.flatten() - a * mean)).reshape(z.shape)


ALPHAS = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)


def of_table(t):
    """a and b at the time t, between the times of the table as well: log(b / a) is linear there."""
    levels = (1 / ALPHAS - 1).log() / 2
    k = min(int(t), 998)
    s = math.exp(levels[k] + (levels[k + 1] - levels[k]) * (float(t) - k))
    return 1 / math.sqrt(1 + s**2), s / math.sqrt(1 + s**2)


def of_flow(t):
    return 1 - float(t) / 1000, float(t) / 1000


def of_reversed_flow(t):
    return float(t), 1 - float(t)


def of_edm(t):
    s = math.exp(4 * float(t))
    c_in = 1 / math.sqrt(s**2 + DATA**2)
    return c_in, s * c_in


def edm_target(a, b):
    """F = (x - c_skip y) / c_out with y = x + s n, by the table of the paper."""
    s = b / a
    c_skip, c_out = DATA**2 / (s**2 + DATA**2), s * DATA / math.sqrt(s**2 + DATA**2)
    return (1 - c_skip) / c_out, -c_skip * s / c_out


def negative(target):
    return lambda a, b: tuple(-number for number in target(a, b))


FAMILIES = {
    "noise": (DiffusionConvention(tuple(ALPHAS.tolist()), "noise"), of_table, lambda a, b: (0, 1)),
    "clean": (DiffusionConvention(tuple(ALPHAS.tolist()), "clean"), of_table, lambda a, b: (1, 0)),
    "velocity": (DiffusionConvention(tuple(ALPHAS.tolist()), "velocity"), of_table, lambda a, b: (-b, a)),
    "flow": (FlowMatching(), of_flow, lambda a, b: (-1, 1)),
    "flow, clean": (FlowMatching("clean"), of_flow, lambda a, b: (1, 0)),
    "flow, noise": (FlowMatching("noise"), of_flow, lambda a, b: (0, 1)),
    "flow, reversed": (FlowMatching(steps=1, noise_at=0), of_reversed_flow, lambda a, b: (1, -1)),
    "edm": (EDM(DATA), of_edm, edm_target),
    "edm, velocity": (EDM(DATA, sign=-1), of_edm, negative(edm_target)),
}
CASES = pytest.mark.parametrize(("convention", "path", "target"), FAMILIES.values(), ids=FAMILIES.keys())


class Best(nn.Module):
    """The best network of a family; `scale` and `shift` make it a wrong one."""

    def __init__(self, path, target, low=-1.0, high=1.0, scale=1.0, shift=0.0):
        super().__init__()
        self.path, self.target, self.limits, self.scale, self.shift = path, target, (low, high), scale, shift

    def forward(self, z, t):
        assert t.shape == (len(z),)
        rows = []
        for state, time in zip(z, t.tolist(), strict=True):
            a, b = self.path(time + self.shift)
            rows.append(self.scale * best(state, a, b, *self.target(a, b), *self.limits))
        return torch.stack(rows)


@CASES
@pytest.mark.parametrize("low", [-1, 0])
def test_the_best_network_is_the_wiener_filter(convention, path, target, low):
    f = adapt_diffusion(Best(path, target, low), convention, low=low).eval()
    torch.testing.assert_close(f(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)
    y = noisy()[:1].expand(len(SIGMAS), -1, -1, -1)
    torch.testing.assert_close(f(y, 0.3), wiener(y, [0.3] * len(SIGMAS)), rtol=1e-9, atol=1e-11)
    g = gt.adapt(Best(path, target, convention.low).eval(), convention)
    torch.testing.assert_close(g(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)


@CASES
@pytest.mark.parametrize("wrong", [{"scale": -1.0}, {"scale": 1.1}, {"shift": 0.01}, {"high": 255.0}])
def test_a_wrong_sign_scale_time_or_range_shows(convention, path, target, wrong):
    if "shift" in wrong and path in (of_table, of_flow):
        wrong = {"shift": 10.0}
    f = adapt_diffusion(Best(path, target, **wrong), convention).eval()
    sigmas = SIGMAS[1:3]
    with pytest.raises(AssertionError, match="not close"):
        torch.testing.assert_close(f(noisy()[1:3], sigmas), wiener(noisy()[1:3], sigmas), rtol=1e-4, atol=1e-4)


def test_conventions_are_not_each_other():
    """Whoever reads a network by another convention of the same family gets another map."""
    for name, (convention, path, target) in FAMILIES.items():
        net = Best(path, target).eval()
        for other_name, (other, _, _) in FAMILIES.items():
            if other_name == name or isinstance(other, type(convention)) is False:
                continue
            if getattr(other, "steps", 0) != getattr(convention, "steps", 0):
                continue  # its times lie outside of the path
            with pytest.raises(AssertionError, match="not close"):
                torch.testing.assert_close(
                    gt.adapt(net, other)(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-3, atol=1e-3
                )


def test_no_noise():
    convention, path, target = FAMILIES["flow"]
    f = gt.adapt(Best(path, target).eval(), convention)
    torch.testing.assert_close(f(noisy(), 0.0), noisy(), rtol=1e-12, atol=1e-12)
    assert f.sigma_range == (0.0, math.inf)
    for name in ("edm", "noise"):
        convention, path, target = FAMILIES[name]
        with pytest.raises(ValueError, match="sigma"):
            gt.adapt(Best(path, target).eval(), convention)(noisy(), 0.0)


def scheduler(**config):
    return SimpleNamespace(config=SimpleNamespace(**config))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (scheduler(num_train_timesteps=1000, shift=3.0), FlowMatching()),
        (scheduler(num_train_timesteps=500, prediction_type="flow_prediction"), FlowMatching(steps=500)),
        (scheduler(sigma_data=0.7, prediction_type="epsilon"), EDM(0.7)),
        (SimpleNamespace(config={"sigma_data": 1.0, "prediction_type": "v_prediction"}), EDM(1.0, sign=-1)),
        (
            SimpleNamespace(
                alphas_cumprod=[0.9, 0.1], config={"prediction_type": "sample", "variance_type": "learned_range"}
            ),
            DiffusionConvention((0.9, 0.1), "clean", learned_variance=True),
        ),
        (
            SimpleNamespace(
                alphas_cumprod=[0.9, 0.1], config={"prediction_type": "epsilon", "variance_type": "fixed_small"}
            ),
            DiffusionConvention((0.9, 0.1), "noise"),
        ),
    ],
)
def test_schedulers_are_read(given, expected):
    assert adapt_diffusion(lambda z, t: z, given).convention == expected


def test_schedulers_of_another_kind_are_refused(unchecked):
    consistency = scheduler(sigma_data=0.5, num_train_timesteps=40)  # its c_skip is another one
    with pytest.raises(ValueError, match="must be epsilon or v_prediction for EDM, got None"):
        adapt_diffusion(lambda z, t: z, consistency)
    cosine = scheduler(sigma_data=1.0, prediction_type="v_prediction")
    cosine.precondition_noise = lambda sigma: sigma.atan() / math.pi * 2
    with pytest.raises(ValueError, match=r"time must be log\(sigma\) / 4"):
        adapt_diffusion(lambda z, t: z, cosine)
    with pytest.raises(ValueError, match="EDM has no prediction; leave it out, got 'noise'"):
        adapt_diffusion(lambda z, t: z, EDM(), "noise")
    with pytest.raises(ValueError, match="FlowMatching has no learned_variance"):
        adapt_diffusion(lambda z, t: z, FlowMatching(), learned_variance=True)
    with pytest.raises(ValueError, match="sign must be 1 or -1"):
        EDM(sign=0)
    with pytest.raises(ValueError, match="noise_at must be between 0 and 1"):
        FlowMatching(noise_at=2)
    with pytest.raises(TypeError, match="must be given, an array or a scheduler, unless net is a GaussianDiffusion"):
        adapt_diffusion(lambda z, t: z)


def test_learned_variance_is_left_out():
    _, path, target = FAMILIES["noise"]
    inner = Best(path, target).eval()

    def net(z, t):
        return SimpleNamespace(sample=torch.cat([inner(z, t), torch.full_like(z, 7.0)], dim=1))

    f = adapt_diffusion(net, ALPHAS, learned_variance=True).eval()
    torch.testing.assert_close(f(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)
    with pytest.raises(ValueError, match="must return twice the channels of its input"):
        adapt_diffusion(inner, ALPHAS, learned_variance=True).eval()(noisy(), SIGMAS)
    with pytest.raises(ValueError, match="twice the channels are a mean and a learned variance"):
        adapt_diffusion(net, ALPHAS).eval()(noisy(), SIGMAS)


@pytest.mark.parametrize("label", [3, torch.tensor(3), torch.tensor([0.0, 0.0, 0.0, 1.0])])
def test_labels(label, unchecked):
    """The network of class 3 is the best one; of any other class it is none."""
    convention, path, target = FAMILIES["flow"]
    inner, seen = Best(path, target).eval(), []

    def net(z, t, labels):
        seen.append(labels)
        classes = labels if labels.ndim == 1 else labels.argmax(1)
        return inner(z, t) * (classes == 3)[:, None, None, None]

    f = adapt_diffusion(net, convention, label=label).eval()
    torch.testing.assert_close(f(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)
    assert seen[0].shape[0] == len(SIGMAS) and seen[0].dtype in (torch.int64, torch.float64)
    other = adapt_diffusion(net, convention, label=2).eval()(noisy(), SIGMAS)
    assert (other - wiener(noisy(), SIGMAS)).abs().max() > 0.1
    assert f.configuration["label"] in (3, [0.0, 0.0, 0.0, 1.0])
    for bad in ("cat", -1, 0.5):
        with pytest.raises((TypeError, ValueError), match="label must be"):
            adapt_diffusion(net, convention, label=bad)


def orthogonal():
    return torch.linalg.qr(normal(D, D, seed=5))[0]


def test_latents_have_their_denoiser_and_their_images():
    """An orthogonal autoencoder: latents of a Gaussian are Gaussian, and the denoisers are the same, turned."""
    Q = orthogonal()
    encode = lambda x: (x.flatten(1) @ Q.mT).reshape(-1, D, 1, 1)  # noqa: E731
    decode = lambda z: (z.flatten(1) @ Q).reshape(-1, *SHAPE)  # noqa: E731
    mean, covariance = Q @ MEAN, Q @ COVARIANCE @ Q.mT

    def net(z, t):  # the best velocity of the latents, which are not scaled
        rows = []
        for state, time in zip(z, t.tolist(), strict=True):
            b = time / 1000
            gain = (-(1 - b) * covariance + b * torch.eye(D).double()) @ torch.linalg.inv(
                (1 - b) ** 2 * covariance + b**2 * torch.eye(D).double()
            )
            rows.append(-mean + gain @ (state.flatten() - (1 - b) * mean))
        return torch.stack(rows).reshape(z.shape)

    f = adapt_latents(adapt_diffusion(net, FlowMatching(), low=0, high=1).eval(), encode, decode).eval()
    expected = wiener(noisy(), SIGMAS)
    torch.testing.assert_close(f.decode(f(f.encode(noisy()), SIGMAS)), expected, rtol=1e-9, atol=1e-11)
    v = normal(D, seed=6)
    torch.testing.assert_close(f.direction(encode(noisy()[:1]), v), decode(v[None]), rtol=0, atol=1e-10)
    J = gt.difference_jacobian(f, encode(noisy()[:1]), 0.3)
    turned = Q @ COVARIANCE @ torch.linalg.inv(COVARIANCE + 0.09 * torch.eye(D).double()) @ Q.mT
    torch.testing.assert_close(J.matrix(), turned, rtol=0, atol=1e-6)


def test_latents_of_an_autoencoder_of_diffusers(unchecked):
    """Images in [-1, 1], latents (z - shift) * scaling_factor, the mode of the distribution."""
    vae = SimpleNamespace(
        config=SimpleNamespace(scaling_factor=0.2, shift_factor=0.1),
        encode=lambda x: SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: 3 * x)),
        decode=lambda z: SimpleNamespace(sample=z / 3),
    )
    f = adapt_latents(lambda z, sigma: z / 2, vae)
    x = noisy()
    torch.testing.assert_close(f.encode(x), 0.2 * (3 * (2 * x - 1) - 0.1))
    torch.testing.assert_close(f.decode(f.encode(x)), x)
    assert torch.equal(f(x, 0.1), x / 2)
    with pytest.raises(TypeError, match=r"an autoencoder that has encode, decode and config\.scaling_factor"):
        adapt_latents(lambda z, sigma: z, SimpleNamespace(encode=len))
    with pytest.raises(TypeError, match=r"encode must return a tensor \(n, channels, height, width\), got \(4, 12\)"):
        adapt_latents(lambda z, sigma: z, lambda x: x.flatten(1), lambda z: z).encode(x)


class GaussianDiffusion(nn.Module):
    """The attributes of denoising-diffusion-pytorch that are read."""

    def __init__(self, model, objective, auto_normalize=True):
        super().__init__()
        self.model, self.objective, self.channels = model, objective, 1
        self.register_buffer("alphas_cumprod", ALPHAS)
        self.normalize = (lambda x: 2 * x - 1) if auto_normalize else (lambda x: x)


@pytest.mark.parametrize(("objective", "name"), [("pred_noise", "noise"), ("pred_x0", "clean"), ("pred_v", "velocity")])
@pytest.mark.parametrize("auto_normalize", [True, False])
def test_a_gaussian_diffusion_is_read_by_its_attributes(objective, name, auto_normalize):
    _, path, target = FAMILIES[name]
    diffusion = GaussianDiffusion(Best(path, target, -1 if auto_normalize else 0), objective, auto_normalize).eval()
    f = adapt_diffusion(diffusion)
    assert not f.training
    torch.testing.assert_close(f(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)
    wrong = "pred_x0" if objective == "pred_noise" else "pred_noise"
    other = adapt_diffusion(GaussianDiffusion(diffusion.model, wrong, auto_normalize).eval())
    assert (other(noisy(), SIGMAS) - wiener(noisy(), SIGMAS)).abs().max() > 0.05
    assert torch.equal(adapt_diffusion(diffusion.model, diffusion)(noisy(), SIGMAS), f(noisy(), SIGMAS))


def test_a_gaussian_diffusion_with_learned_variance_or_an_unknown_objective(unchecked):
    _, path, target = FAMILIES["noise"]
    inner = Best(path, target).eval()

    class Twice(nn.Module):
        out_dim = 2

        def forward(self, z, t):
            return torch.cat([inner(z, t), z], dim=1)

    f = adapt_diffusion(GaussianDiffusion(Twice(), "pred_noise").eval())
    torch.testing.assert_close(f(noisy(), SIGMAS), wiener(noisy(), SIGMAS), rtol=1e-9, atol=1e-11)
    with pytest.raises(ValueError, match="objective must be one of pred_noise, pred_x0, pred_v, got 'pred_score'"):
        adapt_diffusion(GaussianDiffusion(inner, "pred_score"))


def test_a_denoiser_of_latents_follows_the_interface():
    """AdaptedLatents, as every denoiser."""
    gt.testing.check_denoiser(adapt_latents(lambda z, sigma: z / 2, lambda x: x, lambda z: z).eval(), (4, 6, 8))
