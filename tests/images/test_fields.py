"""Gaussian fields: variance, covariance, spectrum, regularity, and the same scene at any size."""

import math
from functools import lru_cache

import numpy as np
import pytest
import pywt
import torch

from gahb_theory.images.fields import gaussian_fields, gaussian_series
from gahb_theory.randomness import Component, normals

DOUBLE = torch.float64


@lru_cache
def total_power(alpha):
    """Sum of |k|^-2(alpha + 1) over the plane by plain loops over a quarter of a disk, with the tail as an integral."""
    quarter = (i * i + j * j for i in range(1, 301) for j in range(301) if i * i + j * j <= 300**2)
    return 4 * sum(s ** -(alpha + 1.0) for s in quarter) + math.pi * 300 ** (-2 * alpha) / alpha


@lru_cache
def field_covariance(size, alpha, lag):
    """Closed form C(r) = s^2 sum_k |k|^-2(alpha + 1) cos(pi k.r)."""
    inside = sum(
        (i * i + j * j) ** -(alpha + 1.0) * math.cos(math.pi * (i * lag[0] + j * lag[1]))
        for i in range(1 - size, size)
        for j in range(1 - size, size)
        if (i, j) != (0, 0)
    )
    return inside / total_power(alpha)


def series_covariance(size, alpha, lag):
    total = sum(k ** -(2 * alpha + 1.0) for k in range(1, 100_000)) + 100_000 ** (-2 * alpha) / (2 * alpha)
    return sum(k ** -(2 * alpha + 1.0) * math.cos(math.pi * k * lag) for k in range(1, size)) / total


def within(values, expected, errors=4.0):
    """The mean lies within some standard errors of what is expected, over independent images (first axis)."""
    per_image = values.reshape(len(values), -1).mean(1)
    standard_error = float(per_image.std() / len(values) ** 0.5)
    assert abs(float(per_image.mean()) - expected) < errors * standard_error
    return standard_error


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_variance_of_the_fields_is_one(alpha):
    """Within 4 standard errors of what the frequencies below the size hold: 1, less for small alpha (2% at 1/2)."""
    fields = gaussian_fields(1500, 16, alpha, seed=5, start=0, dtype=DOUBLE)
    expected = field_covariance(16, alpha, (0, 0))
    assert 1 - 2 * 16 ** (-2 * alpha) - 1e-4 < expected <= 1 + 1e-4
    assert within(fields.square(), expected) < 0.025
    assert within(fields, 0.0) < 0.02


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0, 5.0])
def test_variance_of_the_series_is_one(alpha):
    series = gaussian_series(4000, 32, 64, alpha, seed=6, start=0, dtype=DOUBLE)
    expected = series_covariance(32, alpha, 0.0)
    assert 1 - 32 ** (-2 * alpha) - 1e-4 < expected <= 1 + 1e-4
    assert within(series.square(), expected) < 0.025
    assert within(series, 0.0) < 0.02


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_covariance_of_the_fields(alpha):
    """Products of pixels at a lag, within 4 standard errors of the closed form: nothing wraps around."""
    b = gaussian_fields(1500, 16, alpha, seed=7, start=0, dtype=DOUBLE)
    for down, right in ((0, 1), (3, 0), (2, -5), (11, 7)):
        a, c = b[:, :, : 16 - down], b[:, :, down:]
        a, c = (a[..., -right:], c[..., :right]) if right < 0 else (a[..., : 16 - right], c[..., right:])
        within(a * c, field_covariance(16, alpha, (down / 16, right / 16)))
        # increments cancel the coarse frequencies and see the fine ones: twice C(0) - C(r)
        expected = 2 * (field_covariance(16, alpha, (0, 0)) - field_covariance(16, alpha, (down / 16, right / 16)))
        assert within((a - c).square(), expected) < 0.05 * expected


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_covariance_of_the_series(alpha):
    b = gaussian_series(4000, 32, 64, alpha, seed=8, start=0, dtype=DOUBLE)
    for lag in (1, 4, 40):
        expected = 2 * (series_covariance(32, alpha, 0.0) - series_covariance(32, alpha, lag / 64))
        assert within((b[:, lag:] - b[:, :-lag]).square(), expected) < 0.05 * expected


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_spectra_are_power_laws(alpha):
    """Log power against log frequency: exponents -2 (alpha + 1) and -(2 alpha + 1).

    A squared Hann window keeps the borders out; over frequencies 6 to 90 (45) of 128 (64) its width bends the line by
    less than 0.1, and so does the spread of 200 series (80 fields).
    """
    n = 256
    window = torch.hann_window(n, periodic=True, dtype=DOUBLE).square()
    series = gaussian_series(200, n, n, alpha, seed=9, start=0, dtype=DOUBLE)
    power = torch.fft.rfft(series * window).abs().square().mean(0).numpy()
    k = np.arange(6, 91)
    slope = np.polyfit(np.log(k), np.log(power[k]), 1)[0]
    assert slope == pytest.approx(-(2 * alpha + 1), abs=0.12)

    n = 128
    window = torch.hann_window(n, periodic=True, dtype=DOUBLE).square()
    fields = gaussian_fields(40, n, alpha, seed=9, start=0, dtype=DOUBLE)
    power = torch.fft.fft2(fields * window[:, None] * window).abs().square().mean((0, 1)).numpy()
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(n, 1 / n), np.fft.fftfreq(n, 1 / n)))
    ring = (radius >= 6) & (radius < 45)
    slope = np.polyfit(np.log(radius[ring]), np.log(power[ring]), 1)[0]
    assert slope == pytest.approx(-2 * (alpha + 1), abs=0.12)


@pytest.mark.parametrize("alpha", [1.0, 2.0])
def test_regularity_shows_in_the_decay_of_wavelets(alpha):
    """The standard deviation of db6 coefficients falls by 2^-(alpha + d/2) per scale, here within 0.1.

    db6 has 6 vanishing moments, more than alpha needs. Coefficients that touch the border are left out, and so is the
    finest scale, which lacks the frequencies beyond Nyquist.
    """
    x, logs = gaussian_series(100, 512, 512, alpha, seed=7, start=0, dtype=DOUBLE).numpy(), []
    for _ in range(4):
        x, details = pywt.dwt(x, "db6", mode="periodization", axis=-1)
        logs.append(np.log2(details[:, 12:-12].std()))
    assert np.polyfit(range(2, 5), logs[1:], 1)[0] == pytest.approx(alpha + 1 / 2, abs=0.1)

    x, logs = gaussian_fields(10, 256, alpha, seed=7, start=0, dtype=DOUBLE).numpy(), []
    for scale in range(1, 5):
        x, details = pywt.dwt2(x, "db6", mode="periodization")
        border = 6 if scale == 4 else 10
        inner = [d[..., border:-border, border:-border] for d in details]
        logs.append(np.log2(np.sqrt(np.mean([np.square(d).mean() for d in inner]))))
    assert np.polyfit(range(2, 5), logs[1:], 1)[0] == pytest.approx(alpha + 1, abs=0.1)


def test_the_two_fields_are_independent():
    """Products of any two pixels of the two fields average to 0, also under a sign of the frequency; 4 standard errors."""
    b = gaussian_fields(3000, 12, 1.0, seed=10, start=0, dtype=DOUBLE)
    first, second = b[:, 0], b[:, 1]
    for moved in (second, second.roll((2, 3), (1, 2)), second.flip(1), second.flip(2), second.mT):
        assert within(first * moved, 0.0) < 0.02
    assert within((first.square() - 1) * (second.square() - 1), 0.0) < 0.2
    assert float((first.square().mean() / second.square().mean()).log().abs()) < 0.15  # the same distribution


@pytest.mark.parametrize(("alpha", "tolerance"), [(1.0, 0.02), (2.0, 1.5e-3), (4.0, 5e-4)])
def test_the_same_scene_at_any_size(alpha, tolerance):
    """The mean over 2x2 pixels of the larger field is the smaller one, but for the frequencies between the two.

    Root mean square measured at 32 from 64 pixels: 0.0115, 0.00073, 0.0003, for fields of variance 1; the tolerance is
    about twice that. Less from 64 to 128.
    """
    fields = {n: gaussian_fields(10, n, alpha, seed=3, start=4, dtype=DOUBLE) for n in (32, 64, 128)}
    for small, large in ((32, 64), (64, 128)):
        gap = torch.nn.functional.avg_pool2d(fields[large], 2) - fields[small]
        assert float(gap.square().mean().sqrt()) < tolerance
        tolerance *= 2 / 3
    series = {n: gaussian_series(10, n, 4 * n, 2.0, seed=3, start=4, dtype=DOUBLE) for n in (32, 64, 128)}
    for small, large in ((32, 64), (64, 128)):
        gap = series[large].reshape(10, -1, 2).mean(2) - series[small]
        assert float(gap.abs().max()) < 2e-3


def test_fields_are_the_sum_over_frequencies_at_the_pixel_centres():
    """A slow sum, from the same normal numbers, shell by shell; alpha is small, so that the tail of s counts."""
    size, alpha = 4, 0.5
    frequencies = [
        (i, j)
        for shell in range(1, size)
        for i in range(-shell, shell + 1)
        for j in range(-shell, shell + 1)
        if max(abs(i), abs(j)) == shell
    ]
    g = normals(1, 2 * len(frequencies), seed=1, start=2, component=Component.FIELDS, dtype=DOUBLE)[0].tolist()
    b = gaussian_fields(1, size, alpha, seed=1, start=2, dtype=DOUBLE)[0]
    scale = total_power(alpha) ** -0.5
    for row in range(size):
        for column in range(size):
            value = 0j
            for n, (i, j) in enumerate(frequencies):
                phase = math.pi * (i * (row + 0.5) + j * (column + 0.5)) / size
                wave = complex(math.cos(phase), math.sin(phase))
                value += scale * (i * i + j * j) ** (-(alpha + 1) / 2) * complex(g[2 * n], g[2 * n + 1]) * wave
            # s is cut at other radii here and there, where the tail becomes an integral: 2e-7 apart
            assert float(b[0, row, column]) == pytest.approx(value.real, rel=1e-5, abs=1e-5)
            assert float(b[1, row, column]) == pytest.approx(value.imag, rel=1e-5, abs=1e-5)


def test_series_are_the_sum_over_frequencies_at_the_cell_centres():
    """sum_k k^-(alpha + 1/2) (g_2k cos(pi k u) + g_2k+1 sin(pi k u)) over the root of zeta(2 alpha + 1)."""
    size, points, zeta = 5, 15, 2.6123753486854883  # zeta(3/2)
    g = normals(1, 2 * (size - 1), seed=1, start=2, component=Component.CONTOUR, dtype=DOUBLE)[0].tolist()
    b = gaussian_series(1, size, points, 0.25, seed=1, start=2, dtype=DOUBLE)[0]
    for cell in range(points):
        phases = [math.pi * k * (cell + 0.5) / points for k in range(1, size)]
        waves = [g[2 * i] * math.cos(phase) + g[2 * i + 1] * math.sin(phase) for i, phase in enumerate(phases)]
        value = sum((i + 1) ** -0.75 * wave for i, wave in enumerate(waves)) / zeta**0.5
        assert float(b[cell]) == pytest.approx(value, rel=1e-8, abs=1e-8)  # the tail beyond 2^20, as an integral


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_single_precision_is_the_same_distribution(alpha):
    b = gaussian_fields(1000, 12, alpha, seed=5, start=0, dtype=torch.float32)
    assert b.dtype == torch.float32
    within(b.square(), field_covariance(12, alpha, (0, 0)))
    s = gaussian_series(2000, 12, 24, alpha, seed=5, start=0, dtype=torch.float32)
    assert s.dtype == torch.float32
    within(s.square(), series_covariance(12, alpha, 0.0))


def test_fields_depend_on_seed_and_index_alone():
    whole = gaussian_fields(5, 8, 1.0, seed=2, start=10**10, dtype=torch.float32)
    assert torch.equal(gaussian_fields(2, 8, 1.0, seed=2, start=10**10 + 3, dtype=torch.float32), whole[3:])
    assert not torch.equal(gaussian_fields(5, 8, 1.0, seed=3, start=10**10, dtype=torch.float32), whole)
