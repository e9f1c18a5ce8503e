import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gahb_theory.metrics.errors import PSNRCurve, mse, psnr, psnr_curve, psnr_per_image
from gahb_theory.randomness import add_noise


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def half(y: Tensor, sigma: float | Tensor) -> Tensor:
    return y / 2


def test_mse_is_summed_over_channels_and_pixels() -> None:
    x, x_hat = uniform(3, 2, 4, 5), uniform(3, 2, 4, 5, seed=1)
    torch.testing.assert_close(
        mse(x, x_hat), torch.stack([((a - b) ** 2).sum() for a, b in zip(x, x_hat, strict=True)])
    )


def test_psnr_by_hand() -> None:
    x = torch.zeros(2, 1, 4, 4, dtype=torch.float64)
    x_hat = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.01)]).double()
    torch.testing.assert_close(
        psnr_per_image(x, x_hat), torch.tensor([20.0, 40.0], dtype=torch.float64), rtol=1e-7, atol=0
    )
    assert psnr(x, x_hat).ndim == 0
    assert math.isclose(float(psnr(x, x_hat)), 30.0, rel_tol=1e-7)  # not 22.97, the PSNR of the mean error


def test_nothing_is_clipped() -> None:
    assert float(psnr(torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 2.0))) == 0.0


def test_a_perfect_estimate_is_infinite() -> None:
    x = uniform(2, 1, 3, 3)
    assert psnr_per_image(x, x).tolist() == [math.inf, math.inf]
    assert float(psnr(x, x)) == math.inf


def test_the_curve_of_a_linear_denoiser() -> None:
    x = uniform(5, 1, 8, 8, dtype=torch.float64)
    sigmas = [0.3, 0.05]
    curve = psnr_curve(half, x, sigmas, seed=3)
    for i, sigma in enumerate(sigmas):
        errors = mse(x, add_noise(x, sigma, seed=3) / 2).numpy()
        ratios = -10 * np.log10(errors / 64)
        np.testing.assert_allclose(curve.mse_per_image[i], errors)
        np.testing.assert_allclose(curve.psnr_per_image[i], ratios)
        np.testing.assert_allclose(curve.psnr[i], ratios.mean())
        np.testing.assert_allclose(curve.standard_error[i], ratios.std(ddof=1) / np.sqrt(5))
    np.testing.assert_array_equal(curve.sigmas, sigmas)
    np.testing.assert_allclose(curve.input_psnr, [-20 * math.log10(0.3), -20 * math.log10(0.05)])


def test_the_identity_keeps_the_input_psnr() -> None:
    curve = psnr_curve(lambda y, sigma: y, uniform(16, 1, 32, 32), [0.01, 0.1, 1.0])
    np.testing.assert_allclose(curve.psnr, curve.input_psnr, atol=0.1)  # 16384 samples: 0.05 dB is one deviation


def test_the_same_noise_at_every_level() -> None:
    curve = psnr_curve(lambda y, sigma: y, torch.zeros(4, 1, 8, 8, dtype=torch.float64), [0.1, 0.2, 1.0])
    scaled = curve.mse_per_image / curve.sigmas[:, None] ** 2
    np.testing.assert_allclose(scaled, np.broadcast_to(scaled[0], scaled.shape))
    assert len(set(scaled[0])) == 4  # and another one for every image


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_batches_do_not_matter(batch_size: int) -> None:
    x = uniform(7, 1, 8, 8)
    whole, split = (psnr_curve(half, x, [0.1, 0.2], batch_size=size) for size in (7, batch_size))
    np.testing.assert_allclose(split.mse_per_image, whole.mse_per_image, rtol=1e-6)


def test_the_seed_matters() -> None:
    x = uniform(2, 1, 8, 8)
    a, b, c = (psnr_curve(half, x, [0.1], seed=seed).psnr[0] for seed in (0, 0, 1))
    assert a == b != c


@pytest.mark.parametrize("sigmas", [[0.1, 0.2], np.array([0.1, 0.2]), torch.tensor([0.1, 0.2], dtype=torch.float64)])
def test_levels_may_be_lists_arrays_or_tensors(sigmas: list[float] | np.ndarray | Tensor) -> None:
    curve = psnr_curve(half, uniform(2, 1, 4, 4), sigmas)
    assert isinstance(curve, PSNRCurve)
    assert curve.sigmas.tolist() == [0.1, 0.2]


def test_one_image_has_no_standard_error() -> None:
    curve = psnr_curve(half, uniform(1, 1, 4, 4), [0.1])
    assert math.isnan(curve.standard_error[0])
    assert math.isfinite(curve.psnr[0])


def test_a_perfect_denoiser_has_an_infinite_psnr() -> None:
    x = uniform(3, 1, 4, 4)
    curve = psnr_curve(lambda y, sigma: x, x, [0.1])
    assert curve.psnr.tolist() == [math.inf]
    assert curve.mse_per_image.tolist() == [[0, 0, 0]]


def test_the_denoiser_runs_without_gradients_and_is_given_a_number() -> None:
    seen = []

    def f(y: Tensor, sigma: float) -> Tensor:
        seen.append((torch.is_grad_enabled(), type(sigma), sigma, len(y)))
        return y

    psnr_curve(f, uniform(3, 1, 4, 4), [0.1, 0.2], batch_size=2)
    again = (0.1, 2)  # at the end, the first batch once more
    assert seen == [(False, float, *call) for call in ((0.1, 2), (0.1, 1), (0.2, 2), (0.2, 1), again)]


class Scaling(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        return self.norm(y)


def test_a_network_in_train_mode_is_refused(unchecked: None) -> None:
    f = Scaling()
    with pytest.raises(RuntimeError, match=r"f is in train mode, .* call f.eval\(\) first"):
        psnr_curve(f, uniform(2, 1, 4, 4), [0.1])
    f.eval()
    assert psnr_curve(f, uniform(2, 1, 4, 4), [0.1]).psnr.shape == (1,)
    f.norm.train()  # a part of it is enough
    with pytest.raises(RuntimeError, match="train mode"):
        psnr_curve(f, uniform(2, 1, 4, 4), [0.1])


def test_different_shapes_are_refused(unchecked: None) -> None:
    for metric in (mse, psnr_per_image, psnr):
        with pytest.raises(ValueError, match=r"x_hat must have the shape of x, \(2, 1, 4, 4\), got \(1, 1, 4, 4\)"):
            metric(uniform(2, 1, 4, 4), uniform(1, 1, 4, 4))
        with pytest.raises(ValueError, match="x_hat must be finite"):
            metric(uniform(1, 1, 4, 4), torch.full((1, 1, 4, 4), torch.nan))


def test_bad_curves_are_refused(unchecked: None) -> None:
    x = uniform(2, 1, 4, 4)
    with pytest.raises(ValueError, match="at least one noise level"):
        psnr_curve(half, x, [])
    with pytest.warns(UserWarning, match=r"sigma is 25, but no intensity .* is sigma in units of 0 to 255"):
        psnr_curve(half, x, [0.1, 25.0])
    with pytest.raises(TypeError, match=r"sigmas must be a sequence of noise levels such as .*, got str '0.1'"):
        psnr_curve(half, x, "0.1")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        psnr_curve(half, x, [0.1], batch_size=0)
    with pytest.raises(ValueError, match="f must return images of the shape of its input"):
        psnr_curve(lambda y, sigma: y[:, :, 1:], x, [0.1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype: torch.dtype) -> None:
    x = torch.zeros(1, 1, 512, 512, dtype=dtype)
    estimate = torch.full_like(x, 0.5)
    assert mse(x, estimate).dtype == torch.float32
    assert float(mse(x, estimate)) == 0.25 * 512**2
    assert float(psnr(x, estimate)) == pytest.approx(20 * math.log10(2), abs=1e-4)
    curve = psnr_curve(lambda y, sigma: y, x + 0.5, [0.05, 1.0])
    assert curve.psnr[1] == pytest.approx(0, abs=0.05)


class Remembering(nn.Module):
    """The mean of its input and of its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None

    def forward(self, y: Tensor, sigma: float | Tensor) -> Tensor:
        start = y if self.last is None or self.last.shape != y.shape else self.last
        self.last = (start + y) / 2
        return self.last


def test_denoisers_that_are_no_functions_have_no_curve() -> None:
    x = uniform(2, 1, 4, 4)
    draws = torch.Generator().manual_seed(0)
    with pytest.raises(RuntimeError, match=r"f gives another result .* remembers its last call, or draws at random"):
        psnr_curve(Remembering().eval(), x, [0.1, 0.2])
    with pytest.raises(RuntimeError, match="f gives another result"):
        psnr_curve(lambda y, sigma: y + 0.01 * torch.randn(y.shape, generator=draws), x.float(), [0.1])

    def in_place(y: Tensor, sigma: float) -> Tensor:  # a function all the same
        return y.mul_(0.5)

    expected = psnr_curve(lambda y, sigma: 0.5 * y, x, [0.1]).psnr
    assert psnr_curve(in_place, x, [0.1]).psnr == pytest.approx(expected)


@pytest.mark.parametrize(
    ("out", "error", "words"),
    [
        (lambda y: y * math.nan, ValueError, "what f returned must be finite"),
        (lambda y: y[:, 0], ValueError, "f must return images of the shape of its input"),
        (lambda y: 0.5, TypeError, "f must return a torch tensor, got float"),
        (lambda y: y.to(torch.complex128), TypeError, "f must return the dtype of its input"),
        (lambda y: torch.zeros_like(y, dtype=torch.int64), TypeError, "f must return the dtype of its input"),
    ],
)
def test_what_is_no_denoiser_is_refused(out, error, words, unchecked: None) -> None:
    with pytest.raises(error, match=words):
        psnr_curve(lambda y, sigma: out(y), uniform(2, 1, 4, 4), [0.1])
