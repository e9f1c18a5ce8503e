import itertools

import pytest
import torch

import gahb_theory as gt

DISKS = gt.Disks(size=20)


def fine_grid(disks, y, sigma, centre, halfwidth, steps=13):
    """The posterior mean over a grid of all five parameters around a point, prior and all."""
    axes = [c + h * torch.linspace(-1, 1, steps, dtype=torch.float64) for c, h in zip(centre, halfwidth, strict=True)]
    geometry = torch.tensor(list(itertools.product(*(axis.tolist() for axis in axes[:3]))), dtype=torch.float64)
    f = gt.DiskBayes(disks, samples=16)
    log_prior = f._log_prior(geometry)
    inside = f._coverage(geometry[None])[0]
    q = y.flatten()
    total, top, mean = 0.0, -float("inf"), torch.zeros_like(q)
    for a, b in itertools.product(axes[3].tolist(), axes[4].tolist()):
        if not (0 <= a <= 1 and 0 <= b <= 1 and abs(a - b) >= disks.jump):
            continue
        x = b + (a - b) * inside
        logits = log_prior - (q - x).square().sum(1) / (2 * sigma**2)
        new = max(top, float(logits.max()))
        w = (logits - new).exp()
        scale = torch.tensor(top - new).exp() if total else 0.0
        mean, total, top = mean * scale + w @ x, total * scale + float(w.sum()), new
    return mean / total


@pytest.mark.parametrize("sigma", [0.05, 0.15])
def test_posterior_mean_is_that_of_a_fine_grid(sigma):
    """The grid spans 3.5 posterior deviations in every direction, both sides."""
    scene = DISKS.scene(1, seed=3, dtype=torch.float64)
    y = gt.add_noise(scene.images, sigma, seed=1)
    f = gt.DiskBayes(DISKS, samples=2048)
    found = f.posterior(y, sigma)
    centre = found.weights[0] @ found.parameters[0]
    deviation = (found.weights[0] @ (found.parameters[0] - centre).square()).sqrt()
    exact = fine_grid(DISKS, y, sigma, centre.tolist(), (3.5 * deviation).tolist())
    error = float((f(y, sigma).flatten() - exact).norm())
    assert error < 4 * float(found.standard_error) + 0.01 * float((exact - scene.images.flatten()).norm())


def test_the_law_is_that_of_the_image_class():
    """The prior draws have the moments of the parameters that Disks draws, and the painter paints the same images."""
    scene = DISKS.scene(4000, dtype=torch.float64)
    f = gt.DiskBayes(DISKS, samples=4096)
    drawn, true = f.prior_draws, scene.parameters[:, :3]
    torch.testing.assert_close(drawn.mean(0), true.mean(0), rtol=0, atol=0.1)
    torch.testing.assert_close(drawn.std(0), true.std(0), rtol=0, atol=0.05)
    assert bool(torch.isfinite(f._log_prior(true)).all())
    torch.testing.assert_close(f._paint(scene.parameters[None, :5])[0], scene.images[:5].flatten(1), rtol=0, atol=1e-12)
    a, b = scene.parameters[:, 3], scene.parameters[:, 4]
    assert float((a - b).abs().min()) >= DISKS.jump
    # uniform where |a - b| >= jump: E|a - b| = jump + (1 - jump) / 3
    assert float((a - b).abs().mean()) == pytest.approx(0.2 + 0.8 / 3, abs=0.015)


@pytest.mark.parametrize("size", [16, 20])
def test_prior_density_integrates_to_one(size):
    f = gt.DiskBayes(gt.Disks(size=size), samples=16)
    u = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mass = f._log_prior(size * u).exp() * size**3
    assert float(mass.mean()) == pytest.approx(1, abs=4 * float(mass.std()) / 200_000**0.5)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 1.0])
def test_samples_are_worth_something_at_every_noise_level(sigma):
    x = DISKS.sample(8, seed=1)
    found = gt.DiskBayes(DISKS, samples=1024).posterior(gt.add_noise(x, sigma), sigma)
    assert float(found.effective_samples.median()) > 100
    assert bool((found.standard_error < 0.5 * sigma).all())  # against the posterior's own deviation of sqrt(5) sigma


def test_monte_carlo_error_is_what_it_says():
    """Other random numbers give estimates that differ by about the stated error."""
    y = gt.add_noise(DISKS.sample(4, seed=1, dtype=torch.float64), 0.2)
    found = [gt.DiskBayes(DISKS, samples=512, seed=seed).posterior(y, 0.2) for seed in range(5)]
    means = torch.stack([gt.DiskBayes(DISKS, samples=512, seed=seed)(y, 0.2) for seed in range(5)]).flatten(2)
    spread = (means - means.mean(0)).square().sum(2).sum(0).div(4).sqrt()
    stated = torch.stack([p.standard_error for p in found]).square().mean(0).sqrt()
    assert bool((spread < 2 * stated).all()) and bool((spread > stated / 4).all())


def test_risk_is_five_sigma_squared_at_small_noise_and_sigma_squared_trace():
    sigma, n = 0.02, 20
    x = DISKS.sample(n, seed=2, dtype=torch.float64)
    y = gt.add_noise(x, sigma)
    f = gt.DiskBayes(DISKS, samples=256)
    error = (f(y, sigma) - x).square().sum((1, 2, 3))
    assert float(error.mean()) == pytest.approx(5 * sigma**2, rel=0.57)  # 4 standard errors of a chi-square with 5
    trace = torch.stack([f.jacobian_matrix(y[i : i + 1], sigma).trace() for i in range(n)])
    assert float(trace.mean()) == pytest.approx(5, rel=0.1)


def test_jacobian_is_the_posterior_covariance():
    disks = gt.Disks(size=16)
    y, f = gt.add_noise(disks.sample(1, seed=4, dtype=torch.float64), 0.03), gt.DiskBayes(disks, samples=64)
    closed = f.jacobian_matrix(y, 0.03)
    torch.testing.assert_close(gt.jacobian(f, y, 0.03).matrix(), closed, rtol=1e-7, atol=1e-9)


def test_five_eigenvalues_are_one():
    """At a disk well inside the prior; where the prior cuts the posterior off, an eigenvalue is smaller."""
    y = gt.add_noise(DISKS.sample(1, seed=5, dtype=torch.float64), 0.02)
    values = torch.linalg.eigvalsh(gt.DiskBayes(DISKS, samples=1024).jacobian_matrix(y, 0.02)).flip(0)
    assert bool((values[:5] > 0.7).all()) and bool((values[:5] < 1.4).all()) and float(values[5]) < 0.1


def test_conformance():
    f = gt.DiskBayes(gt.Disks(size=16), samples=64)
    y = gt.add_noise(gt.Disks(size=16).sample(3), 0.2)
    together = f(y, torch.tensor([0.2, 0.2, 0.3]))
    torch.testing.assert_close(together[:2], f(y[:2], 0.2), rtol=0, atol=1e-5)
    assert torch.equal(f(y, 0.2), f(y, 0.2))
    with pytest.raises(ValueError, match=r"knows images of shape \(1, 16, 16\), got images of shape \(1, 20, 20\)"):
        f(DISKS.sample(1), 0.1)


def test_disks_without_a_smooth_edge_are_refused(unchecked):
    with pytest.raises(ValueError, match=r"smooth edge.*'area'.*edge=1\.0"):
        gt.DiskBayes(gt.Disks(size=16, edge="area"))
