"""Thresholds against closed forms, other libraries and Monte Carlo."""

import math

import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from gahb_theory.bases import Wavelet
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
    stein_risk,
    universal_threshold,
)
from gahb_theory.shrinkage.adaptive import CAI


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("rule", [Soft, Garrote, Hard], ids=lambda r: r.__name__)
def test_the_limits_of_thresholds(rule: type) -> None:
    c = torch.tensor([[1e-6, 1.9, 2.1, 1e6]], dtype=torch.float64)
    gains = rule(2.0)(c, 1.0)[0]
    assert gains[0] == gains[1] == 0
    assert 0 < float(gains[2]) <= 1
    assert float(gains[3]) == pytest.approx(1, abs=1e-5)


def test_firm_equals_pywavelets_and_lies_between_hard_and_soft() -> None:
    c = normal(4, 50)
    expected = torch.from_numpy(pywt.threshold_firm(c.numpy(), 1.0, 2.5))
    torch.testing.assert_close(Firm(2.0, 5.0)(c, 0.5) * c, expected, rtol=0, atol=1e-14)
    torch.testing.assert_close(Firm(2.0, 1e9)(c, 0.5), Soft(2.0)(c, 0.5), rtol=0, atol=1e-8)
    torch.testing.assert_close(Firm(2.0, 2.0 + 1e-9)(c, 0.5), Hard(2.0)(c, 0.5), rtol=0, atol=1e-6)


def test_the_universal_threshold_removes_noise() -> None:
    assert universal_threshold(1024) == pytest.approx(math.sqrt(2 * math.log(1024)))
    noise = normal(200, 1024)
    assert float(((noise.abs() <= universal_threshold(1024)).all(dim=1)).double().mean()) > 0.6
    assert torch.equal(Universal(Hard)(noise, 0.7), Hard(universal_threshold(1024))(noise, 0.7))


@pytest.mark.parametrize(
    "shrinkage",
    [
        Soft(1.5),
        Garrote(1.5),
        Firm(1.0, 3.0),
        Universal(),
        BayesShrink(),
        BlockJamesStein(torch.arange(60) // 6),
        FixedGains(torch.linspace(0, 1, 60, dtype=torch.float64)),
        oracle_gains,
    ],
    ids=lambda s: getattr(s, "__name__", type(s).__name__),
)
def test_steins_estimate_is_unbiased(shrinkage: Shrinkage) -> None:
    clean, sigma = 2 * normal(1, 60, seed=1) * torch.linspace(0, 1, 60, dtype=torch.float64), 0.5
    noisy = clean + sigma * normal(4000, 60, seed=2)
    difference = stein_risk(shrinkage, noisy, sigma) - (shrinkage(noisy, sigma) * noisy - clean).square().sum(dim=1)
    spread = float(difference.std()) / math.sqrt(len(noisy))
    allowed = 4 * spread
    if isinstance(shrinkage, SureShrink):
        allowed += (
            0.02 * 60 * sigma**2
        )  # the threshold jumps from one coefficient to another: not weakly differentiable
    assert abs(float(difference.mean())) < allowed


@pytest.mark.parametrize("shrinkage", [Hard(2.0), SureShrink()], ids=["hard", "sure"])
def test_steins_estimate_is_too_low_for_what_jumps(shrinkage: Shrinkage) -> None:
    noisy = normal(4000, 60)
    risk = (shrinkage(noisy, 1.0) * noisy).square().sum(dim=1)
    difference = stein_risk(shrinkage, noisy, 1.0) - risk
    assert float(difference.mean()) < -10 * float(difference.std()) / math.sqrt(4000)


def test_the_sure_threshold_minimises_the_estimate() -> None:
    c, sigma = torch.cat([normal(3, 40), 5 * normal(3, 4, seed=1)], dim=1) * 0.2, 0.2
    for row in c:
        thresholds = [t for t in (row.abs() / sigma).tolist() if 0 < t <= universal_threshold(44)]
        estimates = [float(stein_risk(Soft(t), row[None], sigma)) for t in thresholds]
        own = float((SureShrink()(row[None], sigma) * row - row).square().sum())
        best = thresholds[int(np.argmin(estimates))]
        assert own == pytest.approx(float((Soft(best)(row[None], sigma) * row - row).square().sum()), rel=1e-9)


def test_bands_choose_for_themselves() -> None:
    c = torch.cat([normal(2, 30), 4 * normal(2, 20, seed=1)], dim=1)
    bands = torch.tensor([3] * 30 + [0] * 20)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    for kind in (SureShrink, BayesShrink):
        each = torch.cat([kind()(c[:, :30], 1.0), kind()(c[:, 30:], 1.0)], dim=1)
        torch.testing.assert_close(kind(bands)(c, 1.0), each)
        torch.testing.assert_close(kind(bands[order])(c[:, order], 1.0), each[:, order])
        assert not torch.allclose(kind()(c, 1.0), each)


def test_bayes_shrink_equals_scikit_image() -> None:
    restoration = pytest.importorskip("skimage.restoration")
    x = 0.5 + 0.1 * torch.cos(torch.arange(64.0, dtype=torch.float64) / 5)[:, None] * torch.ones(1, 64)
    y = (x + 0.05 * normal(64, 64)).clamp(0, 1)
    expected = restoration.denoise_wavelet(
        y.numpy(), sigma=0.05, wavelet="haar", mode="soft", wavelet_levels=2, method="BayesShrink"
    )
    basis = Wavelet("haar", levels=2)
    bands = basis.bands((1, 64, 64)).reshape(64, 64)
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    side = 64 >> (3 - bands.clamp(min=1))
    names = torch.where(bands > 0, 4 * bands + 2 * (rows >= side) + (columns >= side), 0).flatten()
    c = basis.analysis(y[None, None])
    gains = torch.where(names == 0, 1, BayesShrink(names)(c, 0.05))  # scikit-image leaves the coarse image alone
    torch.testing.assert_close(basis.synthesis(gains * c)[0, 0], torch.from_numpy(expected), rtol=0, atol=1e-10)


def test_james_stein_beats_the_observation_in_every_block() -> None:
    clean = torch.cat([torch.zeros(12), torch.ones(12), 3 * torch.ones(12)]).double()
    noisy = clean + normal(20_000, 36)
    blocks = torch.arange(36) // 12
    shrunk = BlockJamesStein(blocks, factor=10 / 12)(noisy, 1.0) * noisy  # L - 2 is Stein's choice
    errors = (shrunk - clean).square().reshape(-1, 3, 12).sum(dim=2).mean(dim=0)
    assert bool((errors < 12).all())
    assert float(errors[0]) < 1.5  # the positive part at zero
    assert math.isclose(CAI - math.log(CAI), 3, abs_tol=1e-5)


def test_default_blocks_are_runs_of_log_k() -> None:
    c = normal(1, 60)
    assert torch.equal(BlockJamesStein()(c, 1.0), BlockJamesStein(torch.arange(60) // 4)(c, 1.0))


def test_gradients_pass_through_adaptive_shrinkages() -> None:
    c = 2 * normal(2, 12)
    for shrinkage in (
        SureShrink(),
        BayesShrink(),
        BlockJamesStein(torch.arange(12) // 4),
        Garrote(1.0),
        Firm(1.0, 2.0),
    ):
        assert torch.autograd.gradcheck(lambda x, s=shrinkage: s(x, 0.7) * x, (c.clone().requires_grad_(),))


def test_silence_is_shrunk_to_silence() -> None:
    c = torch.zeros(2, 12, dtype=torch.float64, requires_grad=True)
    for shrinkage in (SureShrink(), BayesShrink(), BlockJamesStein(), Garrote(1.0), Firm(1.0, 2.0)):
        (gradient,) = torch.autograd.grad((shrinkage(c, 0.5) * c).sum(), c)
        assert bool(gradient.isfinite().all())


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"upper must be above threshold = 2.0, got 1.0"):
        Firm(2.0, 1.0)
    with pytest.raises(TypeError, match="bands must be a tensor of integers"):
        SureShrink([0, 1])
    with pytest.raises(ValueError, match="bands must hold a number of at least 0"):
        BayesShrink(torch.tensor([-1, 0]))
    with pytest.raises(ValueError, match="bands must name each of the 3 coefficients, got 2 names"):
        SureShrink(torch.tensor([0, 1]))(torch.zeros(1, 3), 0.1)
    with pytest.raises(ValueError, match="blocks must name each of the 3 coefficients, got 2 names"):
        BlockJamesStein(torch.tensor([0, 1]))(torch.zeros(1, 3), 0.1)
    with pytest.raises(ValueError, match="count must be at least 2, got 1"):
        universal_threshold(1)
