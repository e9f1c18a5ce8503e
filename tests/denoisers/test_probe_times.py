"""`probe` on networks that see the time of a diffusion: planted conventions are recovered, what cannot be told is refused."""

import math

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory.denoisers import EDM, DiffusionConvention, FlowMatching
from gahb_theory.denoisers.schedules import SCHEDULES, cosine, linear, scaled_linear, sigmoid


def planted_denoiser(y, sigma):
    """Means over squares of a side that fits the noise; as a trained network, it is bad at noise of another level.

    The level in the image is measured from its finest differences.
    """
    sigma = sigma.reshape(-1, 1, 1, 1)
    diagonal = (y[..., 1:, 1:] - y[..., 1:, :-1] - y[..., :-1, 1:] + y[..., :-1, :-1]).abs() / 2
    measured = diagonal.flatten(1).median(dim=1).values.reshape(-1, 1, 1, 1) / 0.6745
    x = y
    for width, at in ((3, 0.08), (7, 0.3), (15, 1.5)):
        mean = nn.functional.avg_pool2d(y, width, stride=1, padding=width // 2, count_include_pad=False)
        x = x + sigma**2 / (sigma**2 + at**2) * (mean - x)
    fits = torch.exp(-(((measured / sigma).log() / 0.25) ** 2))
    return y + fits * (x.clamp(0, 1) - y)


def table(alphas):
    levels = (1 / torch.tensor(alphas, dtype=torch.float64) - 1).log() / 2

    def path(t):
        left = t.long().clamp(0, len(alphas) - 2)
        s = (levels[left] + (levels[left + 1] - levels[left]) * (t.double() - left)).exp()
        return (1 + s**2).rsqrt(), s * (1 + s**2).rsqrt()

    return path


def edm(d):
    def path(t):
        s = (4 * t).exp()
        return (s**2 + d**2).rsqrt(), s * (s**2 + d**2).rsqrt()

    def target(a, b):
        s = b / a
        c_skip, c_out = d**2 / (s**2 + d**2), s * d / (s**2 + d**2).sqrt()
        return (1 - c_skip) / c_out, -c_skip * s / c_out

    return path, target


def network(path, target, low=-1.0, high=1.0, denoiser=planted_denoiser):
    """The network net(z, t) of p x + q n, (p, q) = target(a, b), in intensities from low to high."""

    def net(z, t):
        a, b = (number.to(z.dtype)[:, None, None, None] for number in path(t))
        width = high - low
        x = low + width * denoiser((z / a - low) / width, (b / a).flatten() / width)
        p, q = target(a, b)
        return p * x + q * (z - a * x) / b

    return net


PREDICTIONS = {"noise": lambda a, b: (0, 1), "clean": lambda a, b: (1, 0), "velocity": lambda a, b: (-b, a)}
PLANTED = {
    **{
        f"{schedule}, {prediction}, {low}": (
            DiffusionConvention(SCHEDULES[schedule](), prediction, low, 1.0),
            network(table(SCHEDULES[schedule]()), PREDICTIONS[prediction], low),
        )
        for schedule, prediction, low in (
            ("linear", "noise", -1.0),
            ("linear", "velocity", 0.0),
            ("linear", "clean", -1.0),
            ("scaled linear", "noise", -1.0),
            ("scaled linear", "clean", -1.0),
            ("scaled linear", "velocity", -1.0),
        )
    },
    "flow": (FlowMatching(), network(lambda t: (1 - t / 1000, t / 1000), lambda a, b: (-1, 1))),
    "flow, to 1": (FlowMatching(low=0.0, steps=1), network(lambda t: (1 - t, t), lambda a, b: (-1, 1), 0.0)),
    "flow, data at 1": (FlowMatching(steps=1, noise_at=0), network(lambda t: (t, 1 - t), lambda a, b: (1, -1))),
    "EDM": (EDM(), network(*edm(0.5))),
    "EDM, [0, 1]": (EDM(low=0.0), network(*edm(0.5), 0.0)),
}


@pytest.mark.parametrize(("convention", "net"), PLANTED.values(), ids=PLANTED.keys())
def test_planted_conventions_are_recovered(convention, net):
    found = gt.probe(net, (1, 32, 32))
    assert found.convention == convention, found
    assert found.sure and found.uses_sigma and not found.doubt, found
    y, sigma = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)), torch.tensor([0.1, 0.3])
    torch.testing.assert_close(gt.adapt(net, found)(y, sigma), planted_denoiser(y, sigma), rtol=0, atol=1e-3)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize("name", ["cosine", "sigmoid"])
def test_cosine_and_sigmoid_are_told_apart_only_where_given(name, prediction):
    """Their noise levels differ by 1 % from s = 0.4 to 2."""
    net = network(table(SCHEDULES[name]()), PREDICTIONS[prediction])
    found = gt.probe(net, (1, 32, 32))
    assert not found.sure and found.convention.alphas_cumprod in (cosine(), sigmoid()), found
    assert found.convention.prediction == prediction
    found = gt.probe(net, (1, 32, 32), schedule=SCHEDULES[name]())
    assert found.sure and found.convention == DiffusionConvention(SCHEDULES[name](), prediction), found


def unlisted():
    """The cosine schedule with noise three times as large, as for images of larger sides (Hoogeboom et al. 2023)."""
    return [1 / (1 + 9 * (1 / a - 1)) for a in cosine()]


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_another_schedule_is_found_only_where_it_is_given(prediction):
    net = network(table(unlisted()), PREDICTIONS[prediction])
    found = gt.probe(net, (1, 32, 32))
    assert not found.sure, found
    with pytest.raises(ValueError, match=r"convention of this network was not found: .*; give adapt the right one"):
        gt.adapt(net, found)
    found = gt.probe(net, (1, 32, 32), schedule=unlisted())
    assert found.sure and found.convention == DiffusionConvention(tuple(unlisted()), prediction), found
    assert "by the schedule given returns the " + prediction in str(found)


def test_whole_times_and_learned_variance_are_found():
    """A table of times cannot be asked between its entries; a second half of channels is the variance."""
    inner = network(table(linear()), PREDICTIONS["noise"])

    def net(z, t):
        assert not t.is_floating_point()
        return torch.cat([inner(z, t), z], dim=1)

    found = gt.probe(net, (1, 32, 32))
    assert found.sure and found.convention == DiffusionConvention(
        linear(), "noise", times="nearest", learned_variance=True
    )


@pytest.mark.parametrize(
    "net",
    [
        lambda z, t: z,
        lambda z, t: z * t.reshape(-1, 1, 1, 1),
        lambda z, t: torch.zeros_like(z),
        lambda z, t: (z + t.reshape(-1, 1, 1, 1)).sin(),
    ],
)
def test_what_does_not_denoise_has_no_convention(net):
    found = gt.probe(net, (1, 32, 32))
    assert not found.sure and found.doubt
    assert "NOT sure, " + found.doubt in str(found)
    with pytest.raises(ValueError, match="was not found"):
        gt.adapt(net, found)


def test_two_readings_that_do_as_well_are_named():
    """Half of the image, and what it lacks to the whole: the network is both its own residual and its own estimate."""
    mean = lambda u: nn.functional.avg_pool2d(u, 9, stride=1, padding=4, count_include_pad=False)  # noqa: E731

    def net(u):
        pattern = (torch.arange(u.shape[-1]) % 2).to(u)
        return pattern * mean(u) + (1 - pattern) * (u - mean(u))

    found = gt.probe(net, (1, 32, 32))
    assert not found.sure
    with pytest.raises(ValueError, match="was not found"):
        gt.adapt(net, found)


def test_schedules_are_those_of_the_literature():
    a = [math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(1001)]
    assert cosine()[499] == pytest.approx(a[500] / a[0], rel=1e-9)
    betas = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    assert linear() == pytest.approx(torch.cumprod(1 - betas, 0).tolist(), rel=1e-9)
    scaled = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    assert scaled_linear() == pytest.approx(torch.cumprod(1 - scaled, 0).tolist(), rel=1e-9)
    at = lambda v: 1 / (1 + math.exp(-v))  # noqa: E731
    assert sigmoid()[249] == pytest.approx((at(3) - at(-1.5)) / (at(3) - at(-3)), rel=1e-9)
    assert all(0 < small < large < 1 for large, small in zip(sigmoid(), sigmoid()[1:], strict=False))


def test_a_schedule_of_few_levels_cannot_be_probed():
    with pytest.raises(ValueError, match="schedule must know two or more of the noise levels"):
        gt.probe(lambda z, t: z, (1, 16, 16), schedule=[0.9999, 0.999])
