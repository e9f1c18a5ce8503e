"""Denoisers of other packages: the border to arrays, non-local means, and their Jacobians by differences."""

import subprocess
import sys

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import AdaptedArrays


def noisy(n=2, channels=1, height=10, width=12, dtype=torch.float64):
    x = torch.rand(n, channels, height, width, generator=torch.Generator().manual_seed(0), dtype=dtype)
    return torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)


@pytest.mark.parametrize(("channels", "shape"), [(1, (10, 12)), (3, (10, 12, 3))])
def test_function_sees_each_image_as_an_array_with_its_own_level(channels, shape):
    seen = []

    def function(image, sigma):
        seen.append((image.shape, image.dtype, round(sigma, 6)))
        image *= 1 - sigma  # in place: y must not change
        return image

    y, sigma = noisy(channels=channels), torch.tensor([0.1, 0.3], dtype=torch.float64)
    kept = y.clone()
    out = gt.adapt_arrays(function)(y, sigma)
    torch.testing.assert_close(out, y * (1 - sigma)[:, None, None, None], rtol=1e-12, atol=0)
    assert seen == [(shape, np.float64, 0.1), (shape, np.float64, 0.3)] and torch.equal(y, kept)
    assert gt.adapt_arrays(lambda image, s: image.astype("float64"))(y.float(), 0.1).dtype == torch.float32


def test_jacobian_of_a_function_on_arrays():
    """A linear filter, and its matrix."""
    weights = np.random.default_rng(0).normal(size=(12, 12))
    f = gt.adapt_arrays(lambda image, sigma: image @ weights)
    J = gt.difference_jacobian(f, noisy(1), 0.1)
    expected = torch.kron(torch.eye(10).double(), torch.from_numpy(weights.T.copy()))
    torch.testing.assert_close(J.matrix(), expected, rtol=0, atol=1e-8)


def test_black_boxes_keep_all_of_the_contract_but_the_gradient():
    f = gt.adapt_arrays(lambda image, sigma: image / 2)
    assert isinstance(f, AdaptedArrays) and isinstance(f, gt.Denoiser)
    with pytest.raises(AssertionError, match=r"AdaptedArrays must be differentiable.*difference_jacobian computes"):
        gt.testing.check_denoiser(f, (1, 8, 8))


def written_out(y, sigma, patch, window, strength):
    """Non-local means with mirrored borders and Gaussian weights inside the patch, one pixel after the other."""
    r = patch // 2
    _, height, width = y.shape
    padded = torch.from_numpy(np.pad(y.numpy(), [(0, 0), (r, r), (r, r)], mode="reflect"))
    u = torch.arange(-r, r + 1, dtype=y.dtype)
    inner = torch.exp(-(u[:, None] ** 2 + u**2) / (2 * ((patch - 1) / 4) ** 2))
    inner /= inner.sum()
    out = torch.zeros_like(y)
    for i in range(height):
        for j in range(width):
            total, mean = 0.0, torch.zeros(len(y), dtype=y.dtype)
            here = padded[:, i : i + patch, j : j + patch]
            for a in range(max(0, i - window), min(height, i + window + 1)):
                for b in range(max(0, j - window), min(width, j + window + 1)):
                    there = padded[:, a : a + patch, b : b + patch]
                    distance = float((inner * ((here - there).square() - 2 * sigma**2)).sum()) / len(y)
                    weight = np.exp(-max(distance, 0) / (strength * sigma) ** 2)
                    total, mean = total + weight, mean + weight * y[:, a, b]
            out[:, i, j] = mean / total
    return out


def test_non_local_means_is_the_formula():
    pytest.importorskip("skimage")
    y = noisy(1)
    expected = written_out(y[0], 0.1, 3, 2, 1.3)
    torch.testing.assert_close(
        gt.NonLocalMeans(3, 2, 1.3)(y, 0.1)[0], expected, rtol=0, atol=5e-3
    )  # weights below e^-5 are dropped there


@pytest.mark.parametrize("channels", [1, 3])
def test_non_local_means_denoises_and_keeps_the_contract(channels):
    pytest.importorskip("skimage")
    x = gt.Photographs(size=32, channels=channels).sample(2)
    f = gt.NonLocalMeans()
    y = gt.add_noise(x, 0.2)
    assert float((gt.psnr_per_image(x, f(y, 0.2)) - gt.psnr_per_image(x, y)).min()) > 6
    torch.testing.assert_close(f(y, torch.tensor([0.2, 0.1]))[1:], f(y[1:], 0.1))
    assert f(y, 0.2).dtype == torch.float32
    with pytest.raises(AssertionError, match="difference_jacobian computes the Jacobian of a black box"):
        gt.testing.check_denoiser(f, (channels, 16, 16))


def test_jacobian_of_non_local_means():
    """Where all patches are alike it is a moving average; at a noisy image its trace is that of SURE."""
    pytest.importorskip("skimage")
    f, flat = gt.NonLocalMeans(3, 1), torch.full((1, 1, 6, 6), 0.5, dtype=torch.float64)
    J = gt.difference_jacobian(f, flat, 0.2)
    assert J.engine.startswith("central differences")
    row = J.rows([14]).reshape(6, 6)
    expected = torch.zeros(6, 6, dtype=torch.float64)
    expected[1:4, 1:4] = 1 / 9
    torch.testing.assert_close(row, expected, rtol=0, atol=1e-8)
    x = gt.CAlpha(size=16).sample(1).double()
    y = gt.add_noise(x, 0.2)
    J = gt.difference_jacobian(f, y, 0.2)
    direction = torch.randn(256, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(J.matrix() @ direction, J.matvec(direction), rtol=0, atol=1e-6)
    assert 0 < J.trace() < 256


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.raises(ImportError, match=r"needs the package scikit-image.*gahb-theory\[classical\]"):
        gt.NonLocalMeans()(noisy(), 0.1)


def test_the_package_is_imported_late():
    code = "import sys, gahb_theory as gt; gt.NonLocalMeans(); assert 'skimage' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_refusals(unchecked):
    with pytest.raises(TypeError, match="function must be callable"):
        gt.adapt_arrays(3)
    with pytest.raises(ValueError, match=r"an image of the shape that it is given, \(10, 12\), got \(5, 12\)"):
        gt.adapt_arrays(lambda image, sigma: image[:5])(noisy(), 0.1)
    with pytest.raises(ValueError, match="patch must be odd"):
        gt.NonLocalMeans(4)
    with pytest.raises(ValueError, match="strength must be finite and above 0"):
        gt.NonLocalMeans(strength=0.0)


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        (lambda image, sigma: None, TypeError, "what the function returned must hold real numbers, got NoneType"),
        (lambda image, sigma: image * np.nan, ValueError, "what the function returned must be finite"),
        (lambda image, sigma: (255 * image).astype(np.uint8), TypeError, "floating-point intensities .* got uint8"),
        (lambda image, sigma: image > 0.5, TypeError, "floating-point intensities .* got bool"),
        (lambda image, sigma: image + 0j, TypeError, "floating-point intensities .* got complex64"),
        (lambda image, sigma: image.T, ValueError, r"shape that it is given, \(4, 6\), got \(6, 4\)"),
        (lambda image, sigma: image.mean(), ValueError, r"shape that it is given, \(4, 6\), got \(\)"),
    ],
)
def test_what_functions_on_arrays_must_not_return(function, error, message):
    with pytest.raises(error, match=message):
        gt.adapt_arrays(function)(torch.full((2, 1, 4, 6), 0.25), 0.1)


def test_functions_on_arrays_are_given_single_precision_at_least():
    f = gt.adapt_arrays(lambda image, sigma: image * 2 if image.dtype == np.float32 else None)
    out = f(torch.full((1, 1, 4, 4), 0.25, dtype=torch.bfloat16), 0.0)
    assert out.dtype == torch.bfloat16 and bool((out == 0.5).all())
