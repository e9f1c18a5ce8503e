"""Certificates are below the exact excess, near it, and nothing where there is none."""

import numpy as np
import pytest
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.theory.certificates import excess_risk
from gahb_theory.theory.correctors import LinearCorrector, NetworkCorrector, Pairs

LINEAR = (LinearCorrector(),)


def field(n: int, seed: int) -> Tensor:
    return gt.GaussianField(size=16).sample(n, seed=seed, dtype=torch.float64)[:, :, :8, :8]


def best() -> gt.GaussianDenoiser:
    image_class = gt.GaussianField(size=16)
    rows = torch.arange(256).reshape(16, 16)[:8, :8].flatten()
    mean = torch.full((1, 1, 8, 8), image_class.mean, dtype=torch.float64)
    return gt.GaussianDenoiser(mean, image_class.covariance.matrix()[rows][:, rows])


def half(y: Tensor, sigma: float) -> Tensor:
    return 0.5 * y


def exact_excess(f, sigma: float) -> float:
    y = gt.add_noise(field(4000, 999), sigma, seed=999)
    return float((f(y, sigma) - best()(y, sigma)).square().sum((1, 2, 3)).mean())


@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_a_certificate_is_below_the_exact_excess_and_near_it(sigma: float) -> None:
    f = gt.ShrinkageDenoiser(gt.Wavelet("haar"), gt.Soft(1.5))
    exact = exact_excess(f, sigma)
    found = [excess_risk(f, field(128, seed), sigma, seed=seed, correctors=LINEAR) for seed in range(20)]
    assert sum(e.low > exact for e in found) <= 2  # .5 are due
    assert 0.7 < np.mean([e.value for e in found]) / exact < 1.01


def test_nothing_is_certified_of_the_posterior_mean() -> None:
    found = [excess_risk(best(), field(64, seed), 0.2, seed=seed, correctors=LINEAR) for seed in range(20)]
    assert sum(e.low > 0 for e in found) <= 2  # .5 are due
    # fitted and evaluated on the same images, the same regression would certify the noise that it has learned
    x = field(64, 0)
    y = gt.add_noise(x, 0.2)
    pairs = Pairs(y, best()(y, 0.2), best()(y, 0.2) - x)
    g = LinearCorrector()(pairs, pairs, seed=0)(pairs.noisy, pairs.denoised)
    assert float((2 * (g * pairs.residual) - g.square()).sum((1, 2, 3)).mean()) > 0.1


def test_the_posterior_mean_as_a_rival_certifies_all_of_the_excess() -> None:
    found = excess_risk(half, field(256, 1), 0.2, [best()], correctors=())
    assert found.low < exact_excess(half, 0.2) < found.high
    assert found.high - found.low < 0.25 * found.value
    assert found.method.startswith("certificate of 1 rivals and 0 regressions")


def test_a_rival_that_is_worse_helps_where_it_differs_in_the_right_direction() -> None:
    def shifted(y: Tensor, sigma: float) -> Tensor:
        return 3 * best()(y, sigma) - 2 * half(y, sigma)  # two steps too far beyond the posterior mean

    found = excess_risk(half, field(256, 1), 0.2, [shifted], correctors=())
    assert found.value == pytest.approx(exact_excess(half, 0.2), rel=0.15)


def test_the_network_learns_what_is_not_linear() -> None:
    """Points +-1/2 under noise: the best linear denoiser loses to tanh, which no linear regression of y shows."""
    signs = torch.rand(2000, 1, 6, 6, generator=torch.Generator().manual_seed(0)).round() - 0.5
    sigma = 0.4

    def wiener(y: Tensor, level: float) -> Tensor:
        return 0.25 / (0.25 + level**2) * y

    y = gt.add_noise(signs, sigma, seed=5)
    exact = float((wiener(y, sigma) - torch.tanh(y / (2 * sigma**2)) / 2).square().sum((1, 2, 3)).mean())
    linear = excess_risk(wiener, signs, sigma, correctors=LINEAR, draws=1)
    network = excess_risk(wiener, signs, sigma, draws=1, correctors=(NetworkCorrector(steps=480, rate=0.01),))
    assert linear.low == 0
    assert 0.1 * exact < network.low < exact


def test_a_certificate_is_a_pure_function_of_the_seed() -> None:
    a, b, c = (excess_risk(half, field(32, 0), 0.2, seed=s, correctors=LINEAR) for s in (0, 0, 1))
    assert a.value == b.value != c.value


def test_the_shipped_network_is_certified_suboptimal_on_photographs() -> None:
    x = gt.Photographs(size=16).sample(64, seed=3)
    f = gt.shipped_denoiser("photographs")
    found = excess_risk(
        f, x, 0.7, [gt.GaussianDenoiser(*moments(gt.Photographs(size=16).sample(2000, seed=4)))], correctors=()
    )
    assert found.low > 0


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    flat = x.double().flatten(1)
    return x.double().mean(dim=0, keepdim=True), torch.cov(flat.mT)


@pytest.mark.data
def test_a_published_network_is_certified(optional_data) -> None:
    """The UNet of Mohan et al. 2020: what is certified is a part of its error; nine tenths of it are certified worse."""
    f = gt.load_denoiser(optional_data / "weights" / "bfdenoising_unet_biasfree_0-100.pt")
    x, sigma = gt.Photographs(size=32).sample(32, seed=3), 0.2
    wiener = gt.GaussianDenoiser(*moments(gt.Photographs(size=32).sample(2000, seed=4)))
    found = excess_risk(f, x, sigma, [wiener], correctors=(), draws=1)
    assert 0 <= found.low <= found.value < float(gt.mse(x, f(gt.add_noise(x, sigma), sigma)).mean())
    worse = excess_risk(lambda y, s: 0.9 * f(y, s), x, sigma, [f], correctors=(), draws=1)
    assert worse.low > found.value


def test_arrays_of_small_colour_images() -> None:
    x = torch.rand(24, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    arguments = {"draws": 1, "correctors": (NetworkCorrector(channels=2, steps=20),)}
    found = excess_risk(lambda y, s: 0.9 * y, x.numpy(), 0.3, **arguments)
    assert found.value == excess_risk(lambda y, s: 0.9 * y, x, 0.3, **arguments).value > 0


def test_refusals(unchecked: None) -> None:
    x = field(64, 0)
    with pytest.raises(TypeError, match=r"got Disks; draw images with \.sample\(n\)"):
        excess_risk(half, gt.Disks(size=16), 0.2)
    with pytest.warns(UserWarning, match="divide it by 255"):
        excess_risk(half, x, 25.0, [lambda y, s: y], correctors=(), draws=1)
    with pytest.raises(ValueError, match="images must hold at least 16 images"):
        excess_risk(half, x[:15], 0.2)
    with pytest.raises(
        TypeError, match=r"rivals must be a sequence of denoisers, got function; for one give \[rival\]"
    ):
        excess_risk(half, x, 0.2, half)
    with pytest.raises(ValueError, match="must not both be empty"):
        excess_risk(half, x, 0.2, correctors=())
    calls = iter(range(100))
    with pytest.raises(RuntimeError, match=r"rivals\[0\] gives another result"):
        excess_risk(half, x, 0.2, [lambda y, s: y + next(calls)])


def test_a_regression_of_double_images_is_in_single_precision() -> None:
    """A direction need not be exact, and double precision takes seven times as long."""
    x = gt.Disks(size=16).sample(32, seed=1, dtype=torch.float64)
    y = gt.add_noise(x, 0.2, seed=1)
    found = {}
    for kind in (torch.float32, torch.float64):
        pairs = Pairs(y.to(kind), 0.5 * y.to(kind), (0.5 * y - x).to(kind))
        found[kind] = NetworkCorrector(channels=4, steps=40)(pairs, pairs, seed=0)(pairs.noisy, pairs.denoised)
        assert found[kind].dtype == kind
    torch.testing.assert_close(found[torch.float64].float(), found[torch.float32], rtol=1e-3, atol=1e-4)
