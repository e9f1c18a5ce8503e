"""Sampling with linear measurements: the published algorithm to the letter, and exact posteriors it is compared with."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.sampling import (
    BlockMeans,
    CircularBlur,
    Inpainting,
    Projections,
    generate,
    growing_step,
    reconstruct,
    scheduled_level,
)
from gahb_theory.sampling.coarse_to_fine import sample_normals
from gahb_theory.sampling.exact_moments import Moments, ascent_moments, posterior_moments
from gahb_theory.sampling.samples import Status

SHAPE = (1, 2, 4)
D = 8
MEASUREMENTS = {
    "inpainting": Inpainting(torch.arange(D).reshape(1, *SHAPE) % 3 == 0),
    "means": BlockMeans(2),
    "projections": Projections.random(SHAPE, 4, seed=2),
}


def blind(y, sigma):
    """Blind, and not linear."""
    return 0.5 + 0.6 * torch.tanh(0.8 * (y - 0.5)) + 0.1 * (y - 0.5).roll(1, -1)


def gaussian(generator):
    """A correlated Gaussian prior and its optimal denoiser."""
    rotation = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64)).Q
    covariance = (rotation * torch.logspace(-1, -2.5, D, dtype=torch.float64)) @ rotation.mT
    mean = torch.linspace(0.3, 0.7, D, dtype=torch.float64)
    covariance = (covariance + covariance.mT) / 2
    return gt.GaussianDenoiser(mean.reshape(1, *SHAPE), covariance), Moments(mean, covariance)


def matrix(measurement):
    return measurement.A(torch.eye(D, dtype=torch.float64).reshape(D, *SHAPE)).flatten(1).mT


def test_the_published_algorithm_to_the_letter():
    """Kadkhodaie and Simoncelli 2021, algorithm 2, with random orthonormal M and its constants."""
    rows = Projections.random(SHAPE, 3, seed=1)
    m_t = matrix(rows)  # M^T of the paper, (3, 8)
    x_c = torch.tensor([[0.4, -0.2, 0.9]], dtype=torch.float64)
    samples = reconstruct(blind, x_c, rows, seed=3, start=5)

    sigma_0, sigma_l, h_0, beta = 1.0, 0.01, 0.01, 0.01
    noise = torch.empty(1, 256, *SHAPE)
    start = torch.empty(1, *SHAPE)
    sample_normals(start, torch.tensor([5]), 3, 0)
    e = torch.ones(D, dtype=torch.float64)
    y = 0.5 * (e - m_t.mT @ m_t @ e) + m_t.mT @ x_c[0] + sigma_0 * start.double().flatten()
    for t in range(1, 5000):
        if (t - 1) % 256 == 0:
            sample_normals(noise, torch.tensor([5]), 3, 1 + (t - 1) // 256)
        f = blind(y.reshape(1, *SHAPE), None).flatten() - y
        d = f - m_t.mT @ m_t @ f + m_t.mT @ (x_c[0] - m_t @ y)
        sigma = float(d.norm()) / math.sqrt(D)
        if sigma < sigma_l:
            break
        h = h_0 * t / (1 + h_0 * (t - 1))
        gamma = math.sqrt((1 - beta * h) ** 2 - (1 - h) ** 2) * sigma
        y = y + h * d + gamma * noise[0, (t - 1) % 256].double().flatten()
    assert int(samples.steps) == t - 1 > 40
    torch.testing.assert_close(samples.noisy.flatten(), y, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(samples.images.flatten(), y + d, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(rows.A(samples.images), x_c, rtol=1e-12, atol=1e-12)


def differences(found, expected, a):
    """Mean and covariance less the expected ones, in units of the expected spread of the directions not measured."""
    free = torch.linalg.svd(a).Vh[len(a) :]
    white = torch.linalg.cholesky(free @ expected.covariance @ free.mT).inverse() @ free
    eye = torch.eye(len(white), dtype=white.dtype)
    return (white @ (found.mean - expected.mean)).abs().max(), white @ found.covariance @ white.mT - eye


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_samples_have_the_moments_of_the_linear_recursion(name, generator):
    """The code draws what the exact recursion says, and the recursion tends to the posterior as step and beta do to 0."""
    f, prior = gaussian(generator)
    measurement = MEASUREMENTS[name]
    a = matrix(measurement)
    x = prior.mean + torch.linalg.cholesky(prior.covariance) @ torch.randn(D, generator=generator, dtype=torch.float64)
    m = measurement.A(x.reshape(1, *SHAPE))
    n, h, beta = 800, 0.1, 0.1
    many = m.expand(n, *m.shape[1:])
    samples = reconstruct(f, many, measurement, step=h, beta=beta, batch_size=n, seed=1)
    assert bool(samples.converged.all())
    drawn = samples.images.flatten(1)
    torch.testing.assert_close(drawn @ a.mT, (a @ x).expand(n, -1), rtol=0, atol=1e-10)
    exact = ascent_moments(prior, m, measurement, shape=SHAPE, step=lambda t: h, beta=beta)
    away, spread = differences(Moments(drawn.mean(0), drawn.mT.cov()), exact, a)
    assert float(away) < 4.5 / math.sqrt(n)
    assert float(spread.abs().max()) < 4.5 * math.sqrt(2 / n)

    posterior = posterior_moments(prior, a, a @ x)
    errors = []
    for k in (1, 2, 4):
        limit = ascent_moments(
            prior, m, measurement, shape=SHAPE, step=lambda t, k=k: h / k, beta=beta / k, sigma_inf=0.001
        )
        away, spread = differences(limit, posterior, a)
        errors.append(max(float(away), float(spread.abs().max())))
    assert errors[2] < 0.1
    assert errors[0] > 1.4 * errors[1] > 1.4**2 * errors[2]
    ignoring, _ = differences(prior, posterior, a)
    assert float(ignoring) > 0.3  # what a sampler that does not look at the measurements is off by


def test_the_published_growing_step_leaves_half_of_the_variance(generator):
    """Where h has grown to 1 before a direction cools, y' = f(y) + (1 - beta) sigma z, of variance s / 2."""
    _, prior = gaussian(generator)
    known = MEASUREMENTS["inpainting"]
    a = matrix(known)
    m = (a @ prior.mean)[None]
    posterior = posterior_moments(prior, a, m[0])
    published = ascent_moments(prior, m, known, shape=SHAPE, step=growing_step(0.01), beta=0.01)
    small = ascent_moments(prior, m, known, shape=SHAPE, step=lambda t: 0.02, beta=0.1)
    ratio = [float(found.covariance.trace() / posterior.covariance.trace()) for found in (published, small)]
    assert 0.5 < ratio[0] < 0.6
    assert 0.97 < ratio[1] < 1.03


def test_every_image_has_its_measurements():
    measurement = BlockMeans(2)
    m = torch.rand(5, 1, 1, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    arguments = {"seed": 2, "step": growing_step(0.05), "beta": 0.3}
    whole = reconstruct(blind, m, measurement, **arguments)
    assert len(set(whole.steps.tolist())) > 1  # samples leave the batch at different times
    torch.testing.assert_close(measurement.A(whole.images), m, rtol=0, atol=1e-12)
    parts = reconstruct(blind, m, measurement, batch_size=2, **arguments)
    later = reconstruct(blind, m[3:], measurement, start=3, **arguments)
    torch.testing.assert_close(parts.images, whole.images, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(later.images, whole.images[3:], rtol=1e-9, atol=1e-9)


def test_the_blur_is_undone_where_it_counts():
    blur = CircularBlur(torch.tensor([[0.25, 0.5, 0.25]], dtype=torch.float64))  # gain 0 at the largest frequency
    x = torch.rand(1, *SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    samples = reconstruct(blind, blur.A(x), blur, step=0.2, beta=0.5)
    torch.testing.assert_close(blur.A(samples.images), blur.A(x), rtol=0, atol=1e-10)
    assert float((samples.images - x).abs().max()) > 1e-3  # the rest is the denoiser's


def test_the_denoiser_sees_the_schedule_and_free_sampling_is_the_same_code(generator):
    f, _ = gaussian(generator)
    everything = Projections(torch.eye(D, dtype=torch.float64).reshape(D, *SHAPE)[:1])
    arguments = {"step": 0.1, "beta": 0.5, "sigma_inf": 0.05, "every": 1}
    m = torch.full((2, 1), 0.4, dtype=torch.float64)
    samples = reconstruct(f, m, everything, **arguments)
    free = generate(f, (2, *SHAPE), **arguments)
    torch.testing.assert_close(samples.trajectory.sigma, free.trajectory.sigma)
    given = reconstruct(f, m, everything, level=scheduled_level, **arguments)
    assert torch.equal(given.images, samples.images)
    way = samples.trajectory
    assert bool((way.denoised[..., 0, 0] == 0.4).all())


def test_statuses_and_refusals(unchecked):
    half = Inpainting(torch.arange(D).reshape(1, *SHAPE) < 4)
    m = torch.full((2, 4), 0.5)
    short = reconstruct(blind, m, half, max_steps=3)
    assert short.status.tolist() == [Status.OUT_OF_STEPS] * 2
    away = reconstruct(lambda y, sigma: 3 * y, m, half, step=0.5)
    assert away.status.tolist() == [Status.DIVERGED] * 2
    for change, error, message in (
        ({"f": 3}, TypeError, "denoiser that can be called"),
        ({"f": gt.UNet(channels=4, blocks=1)}, RuntimeError, "train mode"),
        ({"measured": m.long()}, TypeError, "measured must be a floating-point tensor"),
        ({"measured": m[0]}, TypeError, "n first"),
        ({"measured": m * float("nan")}, ValueError, "measured must be finite"),
        ({"measured": m[:, :3]}, ValueError, "4 known pixels, got 3"),
        ({"measurement": blind}, TypeError, "must have methods A and A_adjoint"),
        ({"mean": float("inf")}, ValueError, "mean must be finite"),
        ({"sigma_inf": 2.0}, ValueError, "sigma_inf must lie below"),
        ({"step": 2.0}, ValueError, "step must lie"),
    ):
        with pytest.raises(error, match=message):
            reconstruct(**({"f": blind, "measured": m, "measurement": half} | change))


def test_operators_of_deepinv_are_measurements(generator):
    """As they come: a mask that keeps the shape, orthonormal rows, a blur, a decimation."""
    physics = pytest.importorskip("deepinv.physics")
    shape = (1, 16, 16)
    x = torch.rand(2, *shape, generator=generator)
    mask = (torch.rand(1, *shape, generator=generator) > 0.5).float()
    kernel = torch.tensor([[[[0.0, 0.1, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.0]]]])
    for operator in (
        physics.Inpainting(img_size=shape, mask=mask),
        physics.CompressedSensing(m=60, img_size=shape),
        physics.BlurFFT(img_size=shape, filter=kernel),
        physics.Downsampling(img_size=shape, factor=2, filter=None),
    ):
        m = operator.A(x)
        samples = reconstruct(blind, m, operator, step=0.2, beta=0.5)
        torch.testing.assert_close(operator.A(samples.images), m, rtol=0, atol=1e-4)
