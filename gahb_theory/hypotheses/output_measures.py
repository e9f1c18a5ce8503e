"""Measures of what a denoiser returns, one number for each image.

inhomogeneity    ||f(2 y, 2 sigma) / 2 - f(y, sigma)|| / ||f(y, sigma)||
shift_error      ||f(T y) - T f(y)|| / ||f(y) - y|| on the inner half, T a shift by two rows and columns
knows_noise      decibels that f would lose by acting as at half, or twice, the noise level
Memory           PSNR on training images less PSNR on test images, less the same for a Wiener filter of others
TwinAgreement    <a, b> / (||a|| ||b||), a = f(y) - W(y), b = g(y) - W(y), g the twin and W a Wiener filter
RiskRatio        ||f(y) - x||^2 over the Bayes risk
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.hypotheses.linear_null import filter_agreement, filter_memory
from gahb_theory.identity import IDENTITY_NAME
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics.errors import mse, psnr_per_image
from gahb_theory.precision import wide
from gahb_theory.randomness import add_noise

__all__ = ["Memory", "RiskRatio", "TwinAgreement", "inhomogeneity", "knows_noise", "shift_error"]

SHIFT = 2
BATCH = 64
TINY = 1e-12


def _denoise(f: Denoiser, y: Tensor, sigma: float) -> Tensor:
    """f(y, sigma) in parts, without gradients."""
    with torch.no_grad():
        return wide(torch.cat([validate.denoised(f, part, sigma) for part in torch.split(y, BATCH)]))


def _norms(x: Tensor) -> Tensor:
    return x.flatten(1).double().norm(dim=1)


def inhomogeneity(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """||f(2 y, 2 sigma) / 2 - f(y, sigma)|| / ||f(y, sigma)||: 0 for a homogeneous denoiser."""
    y = add_noise(images, sigma, seed=seed)
    out = _denoise(f, y, sigma)
    return _norms(_denoise(f, 2 * y, 2 * sigma) / 2 - out) / _norms(out).clamp(min=TINY)


def shift_error(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """||f(T y) - T f(y)|| / ||f(y) - y|| on the inner half of the image: 0 if f commutes with shifts.

    The shift is by two rows and two columns, cyclic, and the border is left out, where padding breaks it.
    """
    y = add_noise(images, sigma, seed=seed)
    out = _denoise(f, y, sigma)
    height, width = y.shape[2:]
    inner = (..., slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    turned = (SHIFT, SHIFT), (2, 3)
    apart = _denoise(f, y.roll(*turned), sigma) - out.roll(*turned)
    return _norms(apart[inner]) / _norms((out - y).roll(*turned)[inner]).clamp(min=TINY)


def knows_noise(f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
    """Decibels that f would lose if it took the noise for half, or twice, of what it is; the mean of the two losses.

    At y_s = x + s z the denoiser is affine, f(y_s) + J(y_s) (y - y_s). With s = sigma that is f(y); with s = sigma / 2 or
    2 sigma it is what f does where it sees another noise level around the same image. A filter that is one for all levels
    loses nothing. Of a denoiser that takes sigma this says little.
    """
    y = add_noise(images, sigma, seed=seed)
    own = mse(images, _denoise(f, y, sigma).to(images))
    losses = []
    for other in (sigma / 2, 2 * sigma):
        z = add_noise(images, other, seed=seed)
        affine = []
        for i in range(len(z)):
            J = jacobian(f, z[i : i + 1], other)
            affine.append(J.output + J.matvec((y - z)[i].flatten()).reshape(J.output.shape))
        losses.append(10 * ((mse(images, torch.cat(affine).detach().to(images)) + TINY) / (own + TINY)).log10())
    return (losses[0] + losses[1]) / 2


@dataclass(frozen=True, eq=False)
class Memory:
    """PSNR on a training image less that on a test image, less the same for a Wiener filter that has seen neither, in dB.

    Some images are harder than others; what a filter of other images sees of that is subtracted, image by image.

    Parameters
    ----------
    train
        Training images; fewer than test images are repeated, with other noise.
    others
        Images of the same distribution, neither trained on nor tested on.
    """

    train: Tensor
    others: Tensor
    name: str = "PSNR on training images less that on others"

    @cached_property
    def _linear(self) -> GaussianDenoiser:
        return GaussianDenoiser.fit(self.others)

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        seen = self.train[torch.arange(len(images)) % len(self.train)].to(images)
        linear = self._linear.to(images.device)
        gains = []
        for x in (seen, images):
            y = add_noise(x, sigma, seed=seed)
            own, theirs = (psnr_per_image(x, _denoise(g, y, sigma).to(x)).clamp(max=100) for g in (f, linear))
            gains.append(own - theirs)
        return gains[0] - gains[1]

    def linear_null(self, sigma: float) -> float | None:
        """What theory gives for a Wiener filter of the training images; None for a single one, which has no covariance."""
        if len(self.train) < 2:
            return None
        return filter_memory(self._linear.variances, len(self.train), sigma)


@dataclass(frozen=True, eq=False)
class TwinAgreement:
    """Cosine of what a denoiser and its twin do beyond a Wiener filter.

    Parameters
    ----------
    twin
        A denoiser trained on other images of the same distribution, with other weights and noise.
    others
        Images of the same distribution. The filters of f and of the twin are made of disjoint thirds of them: with one
        filter for both, its errors would be common to a and b, and two linear filters would agree.
    train_images
        Number of training images of each, if it is known: for the linear null.
    """

    twin: Denoiser
    others: Tensor
    train_images: int | None = None
    name: str = "agreement with the twin beyond a Wiener filter"

    @cached_property
    def _filters(self) -> tuple[GaussianDenoiser, GaussianDenoiser]:
        return GaussianDenoiser.fit(self.others[::3]), GaussianDenoiser.fit(self.others[1::3])

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image, between -1 and 1; 0 where one does nothing beyond the filter."""
        y = add_noise(images, sigma, seed=seed)
        a, b = (
            _denoise(g, y, sigma) - _denoise(linear.to(y.device), y, sigma)
            for g, linear in zip((f, self.twin), self._filters, strict=True)
        )
        least = 1e-4 * _norms(y)  # what is smaller is rounding
        return (a * b).flatten(1).double().sum(dim=1) / ((_norms(a) + least) * (_norms(b) + least))

    def linear_null(self, sigma: float) -> float | None:
        """What theory gives for two Wiener filters of the training images; None where their number is not known."""
        if self.train_images is None:
            return None
        spectrum = GaussianDenoiser.fit(self.others).variances
        return filter_agreement(spectrum, self.train_images, len(self.others[::3]), sigma)


@dataclass(frozen=True, eq=False)
class RiskRatio:
    """Squared error over the lower end of the Bayes risk of an image class; 1 on average for the best denoiser.

    Parameters
    ----------
    image_class
        An image class that `gahb_theory.bayes_risk` knows.
    images
        Number of images from which the Bayes risk is estimated, where it is not exact.
    """

    image_class: Any = field(metadata={IDENTITY_NAME: "law"})
    images: int = 32
    name: str = "squared error over the Bayes risk"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        from gahb_theory.theory.optimum import bayes_risk

        best = float(bayes_risk(self.image_class, sigma, images=self.images, seed=0).lower.value)
        return mse(images, _denoise(f, add_noise(images, sigma, seed=seed), sigma).to(images)).double() / best
