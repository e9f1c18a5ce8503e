"""Sampling: the right distribution on exact denoisers, the algorithm to the letter, purity, statuses, cost, refusals."""

import math

import pytest
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.sampling import coarse_to_fine as ascent
from gahb_theory.sampling.coarse_to_fine import sample_normals
from gahb_theory.sampling.samples import Status, generate, growing_step, residual_level, scheduled_level

SHAPE = (1, 2, 2)


def gaussian(variances=(0.09, 0.04, 0.01, 0.0025)):
    """A Gaussian distribution in a rotated basis: its denoiser, mean, covariance."""
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=generator, dtype=torch.float64)).Q
    covariance = (rotation * torch.tensor(variances, dtype=torch.float64)) @ rotation.mT
    mean = torch.tensor([0.2, 0.5, 0.7, 0.4], dtype=torch.float64).reshape(1, *SHAPE)
    return gt.GaussianDenoiser(mean, (covariance + covariance.mT) / 2), mean, covariance


class Mixture(torch.nn.Module):
    """The posterior mean of a mixture of Gaussians with covariance s Id."""

    def __init__(self, means, s, weights):
        super().__init__()
        self.register_buffer("means", means)
        self.s, self.logs = s, torch.tensor(weights, dtype=torch.float64).log()
        self.eval()

    def forward(self, y, sigma):
        v = self.s + sigma**2
        away = y.flatten(1)[:, None] - self.means
        r = torch.softmax(self.logs - away.square().sum(-1) / (2 * v), dim=1)
        return (r[..., None] * (self.means + self.s / v * away)).sum(1).reshape(y.shape)


def assert_normal(x, mean, covariance):
    """The samples have this mean and covariance, to the accuracy of so many samples, each entry within 4.5 deviations."""
    n, d = len(x), covariance.shape[0]
    values, vectors = torch.linalg.eigh(covariance)
    white = (x.flatten(1) - mean.flatten()) @ vectors / values.sqrt()
    assert float(white.mean(0).abs().max()) < 4.5 / math.sqrt(n)
    deviation = (white.mT @ white / n - torch.eye(d, dtype=x.dtype)).abs()
    assert float(deviation.diagonal().max()) < 4.5 * math.sqrt(2 / n)
    assert float((deviation - deviation.diagonal().diag()).max()) < 4.5 / math.sqrt(n)


def variance_after(s, step, beta, sigma_0, sigma_inf):
    """The variance of f(y_T) in a direction of variance s, by the exact recursion of a linear ascent."""
    v, sigma = sigma_0**2, sigma_0
    while True:
        gain = s / (s + sigma**2)
        if sigma < sigma_inf:
            return gain**2 * v
        v = (1 - step * (1 - gain)) ** 2 * v + ((1 - beta * step) ** 2 - (1 - step) ** 2) * sigma**2
        sigma *= 1 - beta * step


def test_samples_of_a_gaussian_distribution():
    f, mean, covariance = gaussian()
    samples = generate(f, (3000, *SHAPE), step=0.04, sigma_inf=0.01, batch_size=3000)
    assert bool(samples.converged.all())
    values, vectors = torch.linalg.eigh(covariance)
    after = torch.tensor([variance_after(float(s), 0.04, 0.1, 1.0, 0.01) for s in values], dtype=torch.float64)
    assert_normal(samples.images, mean, (vectors * after) @ vectors.mT)
    # the distribution itself, but for what the step h and the end at sigma_inf leave
    torch.testing.assert_close(after / values, 1 - 0.04 / 2 - 1e-4 / (values + 1e-4), rtol=0, atol=3e-3)
    assert_normal(samples.images[:500], mean, covariance)


def test_the_noisy_samples_carry_the_noise_of_the_end():
    f, mean, covariance = gaussian()
    samples = generate(f, (1000, *SHAPE), step=0.04, sigma_inf=0.1, batch_size=1000)
    level = float(samples.sigma[0])
    assert 0.098 < level < 0.1
    assert_normal(samples.noisy, mean, covariance + level**2 * torch.eye(4, dtype=torch.float64))


def test_samples_of_a_mixture_have_its_modes_and_weights():
    means = torch.tensor([[0.2, 0.2, 0.3, 0.5], [0.8, 0.6, 0.9, 0.5]], dtype=torch.float64)
    f = Mixture(means, 0.01, (0.3, 0.7))
    n = 2000
    samples = generate(f, (n, *SHAPE), step=0.04, sigma_inf=0.01, batch_size=n)
    assert bool(samples.converged.all())
    x = samples.images.flatten(1)
    mode = torch.cdist(x, means).argmin(1)
    assert abs(int((mode == 1).sum()) - 0.7 * n) < 4 * math.sqrt(n * 0.3 * 0.7)
    for k in (0, 1):
        assert_normal(x[mode == k][:500], means[k], 0.01 * torch.eye(4, dtype=torch.float64))


def test_a_blind_denoiser_follows_the_paper_to_the_letter():
    def f(y, sigma):  # blind, and not linear
        return 0.9 * torch.tanh(0.8 * y)

    h, beta, d = 0.05, 0.3, 4
    noise = torch.empty(1, 256, *SHAPE)
    y = torch.empty(1, *SHAPE)
    sample_normals(y, torch.tensor([5]), 3, 0)
    sample_normals(noise, torch.tensor([5]), 3, 1)
    y = y.double() + 0.25
    for t in range(1000):
        s = f(y, None) - y
        sigma = float(s.norm()) / math.sqrt(d)
        if sigma < 0.1:
            break
        gamma = math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma
        y = y + h * s + gamma * noise[:, t].double()
    samples = generate(
        f, (1, *SHAPE), seed=3, step=h, beta=beta, start=5, mean=0.25, sigma_inf=0.1, dtype=torch.float64
    )
    assert int(samples.steps) == t > 10
    torch.testing.assert_close(samples.noisy, y, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(samples.images, f(y, None), rtol=1e-12, atol=1e-12)
    assert math.isclose(float(samples.sigma), sigma, rel_tol=1e-9)


def test_a_denoiser_that_sees_sigma_is_told_the_schedule():
    given_levels = []

    def f(y, sigma):
        given_levels.append(sigma)
        return y * (1 - sigma / 2)

    samples = generate(f, (2, *SHAPE), step=0.1, beta=0.5, sigma_inf=0.5)
    assert given_levels[:2] == [1.0, 0.5]  # is it blind?
    assert given_levels[2:] == pytest.approx([0.95**t for t in range(15)])
    assert samples.steps.tolist() == [14, 14]  # 0.95^13 = 0.513, 0.95^14 = 0.488


def test_the_rule_for_the_level_may_be_given():
    f, *_ = gaussian()
    arguments = {"step": 0.1, "sigma_inf": 0.2}
    seen = generate(f, (3, *SHAPE), **arguments)
    torch.testing.assert_close(generate(f, (3, *SHAPE), level=scheduled_level, **arguments).images, seen.images)
    implied = generate(f, (3, *SHAPE), level=residual_level, **arguments)
    assert int(implied.steps.max()) < int(seen.steps.min())  # the residual of a posterior mean underrates the noise


@pytest.mark.parametrize("make", [lambda: gaussian()[0], lambda: gt.UNet(channels=4, blocks=1).eval()])
def test_a_sample_is_a_function_of_seed_and_index(make):
    f = make().double()
    arguments = {"seed": 2, "step": growing_step(0.05), "sigma_inf": 0.3, "max_steps": 40}
    whole = generate(f, (7, *SHAPE), **arguments)
    for size in (1, 3):
        parts = generate(f, (7, *SHAPE), batch_size=size, **arguments)
        # rounding inside f may differ with the size of the batch; 40 steps do not let it grow beyond this
        torch.testing.assert_close(parts.images, whole.images, rtol=1e-9, atol=1e-9)
        assert torch.equal(parts.status, whole.status)
    later = generate(f, (2, *SHAPE), start=5, **arguments)
    torch.testing.assert_close(later.images, whole.images[5:], rtol=1e-9, atol=1e-9)
    assert torch.equal(generate(f, (7, *SHAPE), **arguments).images, whole.images)
    other = generate(f, (7, *SHAPE), **(arguments | {"seed": 3}))
    assert float((other.noisy - whole.noisy).flatten(1).norm(dim=1).min()) > 1e-3
    assert len({tuple(x.flatten().tolist()) for x in whole.images}) == 7


def test_a_sample_keeps_its_noise_when_others_end(monkeypatch):
    monkeypatch.setattr(ascent, "LONGEST_BLOCK", 4)  # noise is drawn again and again

    def f(y, sigma):
        return 0.5 + (0.2 + 0.1 * torch.tanh(y)) * (y - 0.5)

    arguments = {"beta": 0.5, "step": 0.1, "dtype": torch.float64}
    whole = generate(f, (8, *SHAPE), **arguments)
    assert len(set((whole.steps // 4).tolist())) > 2
    alone = generate(f, (8, *SHAPE), batch_size=1, **arguments)
    assert torch.equal(alone.steps, whole.steps)
    torch.testing.assert_close(alone.noisy, whole.noisy, rtol=1e-12, atol=1e-12)


def test_two_denoisers_take_the_same_noise():
    f, mean, covariance = gaussian()
    near = gt.GaussianDenoiser(mean, covariance * (1 + 1e-9))
    arguments = {"step": 0.05, "every": 1}
    a, b = (generate(g, (3, *SHAPE), seed=4, **arguments) for g in (f, near))
    assert torch.equal(a.trajectory.noisy[0], b.trajectory.noisy[0])
    torch.testing.assert_close(a.trajectory.noisy, b.trajectory.noisy, rtol=0, atol=1e-7)


def test_single_and_double_precision_take_the_same_noise():
    f, *_ = gaussian()
    double = generate(f, (3, *SHAPE), step=0.05)
    single = generate(f, (3, *SHAPE), step=0.05, dtype=torch.float32)
    assert double.images.dtype == torch.float64
    assert single.images.dtype == torch.float32
    torch.testing.assert_close(single.images.double(), double.images, rtol=0, atol=1e-5)


def test_beta_1_is_deterministic():
    f, *_ = gaussian()
    samples = generate(f, (2, *SHAPE), step=0.1, beta=1.0, every=1)
    y, way = samples.trajectory.noisy, samples.trajectory
    torch.testing.assert_close(y[1:], y[:-1].lerp(way.denoised[:-1], 0.1), rtol=1e-12, atol=1e-12)
    assert samples.steps.tolist() == [29, 29]  # 0.9^28 = 0.0523, 0.9^29 = 0.0471


def test_the_growing_step():
    h = growing_step(0.01)
    assert h(1) == 0.01
    assert h(2) == pytest.approx(0.02 / 1.01)
    assert h(10**6) == pytest.approx(1, abs=1e-3)
    f, *_ = gaussian()
    growing = generate(f, (2, *SHAPE), step=h)
    assert 80 < int(growing.steps.max()) < 120  # 2995 with the constant step of 0.01


def test_a_step_costs_one_forward():
    """Images that pass through f, for each step of a sample: below 1.05 with the paper's constants, whatever ends when."""
    passed = 0

    def f(y, sigma):
        nonlocal passed
        passed += len(y)
        return 0.5 + (0.2 + 0.1 * torch.tanh(y)) * (y - 0.5)  # blind; samples end at different times

    samples = generate(f, (20, *SHAPE), beta=0.5, batch_size=8, sigma_inf=0.02)
    assert len(set(samples.steps.tolist())) > 5
    assert bool(samples.converged.all())
    assert passed <= int(samples.steps.sum()) + 20 + 2  # the last look at each sample, and one pair to see f is blind
    assert passed <= 1.05 * int(samples.steps.sum())


def test_the_trajectory():
    f, *_ = gaussian()
    samples = generate(f, (5, *SHAPE), step=0.1, every=50, batch_size=2)
    way = samples.trajectory
    steps = int(samples.steps[0])
    assert way.steps.tolist() == [*range(0, steps, 50), steps]
    assert way.noisy.shape == way.denoised.shape == (len(way.steps), 5, *SHAPE)
    assert torch.equal(way.noisy[-1], samples.noisy)
    assert torch.equal(way.denoised[-1], samples.images)
    torch.testing.assert_close(way.sigma[1], torch.full((5,), 0.99**50, dtype=torch.float64))
    torch.testing.assert_close(way.denoised[1], f(way.noisy[1], 0.99**50))
    assert generate(f, (1, *SHAPE), step=0.1).trajectory is None


def test_in_the_trajectory_a_sample_that_has_ended_stays():
    def f(y, sigma):
        return 0.5 + (0.2 + 0.1 * torch.tanh(y)) * (y - 0.5)

    for size in (1, 8):
        samples = generate(f, (8, *SHAPE), beta=0.5, step=0.1, every=1, batch_size=size)
        assert len(set(samples.steps.tolist())) > 2
        for i, t in enumerate(samples.steps.tolist()):
            way = samples.trajectory.noisy[:, i]
            assert torch.equal(way[t:], samples.noisy[i].expand_as(way[t:]))
            assert not torch.equal(way[t - 1], samples.noisy[i])


def test_each_sample_has_its_status():
    def f(y, sigma):  # the sign of the first pixel decides what becomes of a sample
        sign = y[:, :1, :1, :1]
        return torch.where(sign > 0.5, 3 * y, y * 0.5)

    samples = generate(f, (12, *SHAPE), mean=0.0, beta=1.0, step=0.2, max_steps=500)
    grows = samples.status == Status.DIVERGED
    assert 0 < int(grows.sum()) < 12
    assert bool((samples.noisy[grows].flatten(1).norm(dim=1) > 2).all())
    assert bool((samples.converged == ~grows).all())
    assert str(samples).startswith(
        f"12 samples: {int((~grows).sum())} converged, 0 out of steps, {int(grows.sum())} div"
    )
    short = generate(lambda y, sigma: y * 0.5, (2, *SHAPE), max_steps=3)
    assert short.status.tolist() == [Status.OUT_OF_STEPS] * 2
    assert short.steps.tolist() == [3, 3]
    with pytest.raises(ValueError, match="what f returned must be finite"):
        generate(lambda y, sigma: y * float("nan"), (2, *SHAPE))
    calls = []

    def breaks(y: Tensor, sigma: float | Tensor) -> Tensor:
        calls.append(len(y))
        return y * (float("nan") if len(calls) > 4 else 0.9)

    broken = generate(breaks, (2, *SHAPE), level=residual_level)
    assert broken.status.tolist() == [Status.DIVERGED] * 2
    assert broken.steps.tolist() == [4, 4]


def test_a_shipped_denoiser_draws_images():
    f = gt.shipped_denoiser("c_alpha").requires_grad_(True)
    samples = generate(f, (2, 1, 32, 32), step=growing_step(0.02))
    assert bool(samples.converged.all())
    assert 30 < int(samples.steps.max()) < 200
    assert bool((samples.images.abs() < 3).all())
    assert not samples.images.requires_grad
    assert next(f.parameters()).requires_grad


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shape": (2, 2, 2)}, ValueError, r"shape must be \(n, channels, height, width\), got \(2, 2, 2\)"),
        ({"shape": (0, 1, 2, 2)}, ValueError, "each of shape must be at least 1, got 0"),
        ({"step": 1.5}, ValueError, r"step must lie in \(0, 1\], got 1.5"),
        ({"step": lambda t: 2.0}, ValueError, r"step\(1\) must lie in \(0, 1\], got 2"),
        ({"beta": 0.0}, ValueError, r"beta must lie in \(0, 1\], got 0"),
        ({"sigma_inf": 1.0}, ValueError, "sigma_inf must lie below sigma_0 = 1, got 1"),
        ({"sigma_0": -1.0}, ValueError, "sigma_0 is the standard deviation of the noise"),
        (
            {"level": lambda residual, given_levels: residual[:1]},
            ValueError,
            "level must return a number or a floating-point",
        ),
        ({"level": lambda residual, given_levels: float("nan")}, ValueError, "what level returned must be finite"),
        ({"seed": None}, TypeError, "seed must be an integer, got None"),
        ({"dtype": torch.int64}, TypeError, "dtype must be a floating-point type"),
        ({"shape": (2, 1, 2**31, 2**31)}, ValueError, "shape must hold at most"),
        ({"mean": torch.zeros(1, 1, 3, 3)}, ValueError, r"mean must be a number or one image \(1, 1, 2, 2\)"),
        ({"mean": float("nan")}, ValueError, "mean must be finite"),
        ({"max_steps": 0}, ValueError, "max_steps must be at least 1"),
        ({"every": 0}, ValueError, "every must be at least 1"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"f": 3}, TypeError, "f must be a denoiser that can be called"),
        ({"f": lambda y, sigma: y[:, :, :1]}, ValueError, "f must return images of the shape of its input"),
        ({"f": gt.UNet(channels=4, blocks=1)}, RuntimeError, "train mode"),
    ],
)
def test_refusals(change, error, message, unchecked):
    arguments = {"f": lambda y, sigma: y * 0.5, "shape": (2, *SHAPE)} | change
    with pytest.raises(error, match=message):
        generate(**arguments)


@pytest.mark.gpu
def test_on_an_accelerator(accelerator):
    f = gt.UNet(channels=4, blocks=1).eval().to(accelerator)
    samples = generate(f, (3, 1, 8, 8), step=growing_step(0.05), every=10)
    assert samples.images.device.type == samples.status.device.type == accelerator.type


def test_the_published_loop_makes_one_more_update() -> None:
    """While sigma_t >= sigma_inf: the level is that of the image before the update (Kadkhodaie et al., algorithm 1)."""

    def f(y: Tensor, sigma: float | Tensor) -> Tensor:
        return 0.3 * y

    ours = generate(f, (1, *SHAPE), mean=0.0, beta=1.0, step=0.1, sigma_inf=0.1, dtype=torch.float64)
    start = generate(f, (1, *SHAPE), mean=0.0, beta=1.0, step=0.1, sigma_inf=0.1, dtype=torch.float64, every=1)
    assert start.trajectory is not None
    y, sigma, updates = start.trajectory.noisy[0], float("inf"), 0
    while sigma >= 0.1:
        s = f(y, 1.0) - y
        sigma = float(s.square().mean().sqrt())
        last, y, updates = y, y + 0.1 * s, updates + 1
    assert updates == int(ours.steps) + 1
    torch.testing.assert_close(last, ours.noisy)
