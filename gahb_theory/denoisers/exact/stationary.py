"""The exact denoiser of a stationary Gaussian distribution: the Wiener filter, diagonal in the Fourier basis.

    f(y) = m + F^-1 diag( S(w) / (S(w) + sigma^2) ) F (y - m),        E ||f(y) - x||^2 = sum_w S sigma^2 / (S + sigma^2),

S the power spectrum on the periodic grid: the eigenvalues of the covariance (Wiener 1949). It costs two Fourier
transforms, where the dense `GaussianDenoiser` costs d^2 operations and d^2 numbers.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import gain, precise, risk, single, squared
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["StationaryGaussianDenoiser"]


class StationaryGaussianDenoiser(DenoiserModule):
    """The posterior mean of a Gaussian distribution that does not change under translation of the periodic grid.

    Parameters
    ----------
    mean
        Mean image, shape (1, channels, height, width).
    spectrum
        S(w) for each channel, shape (channels, height, width) in the order of `torch.fft.fft2`, not below 0 and even:
        the variance of the orthonormal Fourier coefficients. Channels are independent.

    Examples
    --------
    >>> import torch
    >>> f = StationaryGaussianDenoiser(torch.zeros(1, 1, 4, 4), torch.ones(1, 4, 4))
    >>> f.mse(1.0).item()
    8.0
    """

    takes_zero = True
    mean: Tensor
    spectrum: Tensor

    @takes_arrays
    def __init__(self, mean: Float[Tensor, "1 c h w"], spectrum: Float[Tensor, "c h w"]) -> None:
        super().__init__()
        validate.one_image(mean, "mean")
        validate.tensor(spectrum, "spectrum", mean.shape[1:], "that of mean")
        validate.same_device(spectrum, mean, "spectrum")
        if bool((spectrum < 0).any()):
            raise ValueError(f"spectrum must not be below 0, got {float(spectrum.min()):g}")
        mirrored = spectrum.flip((1, 2)).roll((1, 1), (1, 2))
        if not torch.allclose(mirrored, spectrum, rtol=1e-4, atol=1e-6 * float(spectrum.max())):
            raise ValueError(
                "spectrum must be even, S(-w) = S(w), as that of real images is; average it with its mirror"
            )
        self.register_buffer("mean", mean.detach().clone())
        self.register_buffer("spectrum", spectrum.detach().clone())
        self.eval()

    @classmethod
    def fit(cls, images: Float[Tensor, "N c h w"]) -> "StationaryGaussianDenoiser":
        """The denoiser of the distribution with the mean intensity and the mean periodogram of a set of images."""
        images = validate.images(images).to(single(images.dtype))
        mean = images.detach().mean(dim=(0, 2, 3), keepdim=True).expand(-1, -1, *images.shape[2:])
        spectrum = torch.fft.fft2(images.detach() - mean, norm="ortho").abs().square().mean(dim=0)
        return cls(mean, spectrum)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        fitting(y, self.mean)
        dtype = single(y.dtype)
        mean, spectrum = self.mean.to(dtype), self.spectrum.to(dtype)
        gains = gain(spectrum, sigma.to(dtype))[..., : y.shape[3] // 2 + 1]
        filtered = torch.fft.irfft2(gains * torch.fft.rfft2(y - mean), s=y.shape[2:])
        return (mean + filtered).to(y.dtype)

    def gains(self, sigma: float) -> Float[Tensor, "c h w"]:
        """S / (S + sigma^2): the eigenvalues of the Jacobian, whose eigenvectors are sinusoids."""
        return gain(self.spectrum, validate.sigma_level(sigma, zero=True))

    def mse(self, sigma: float) -> Float[Tensor, ""]:
        """Risk sum_w S sigma^2 / (S + sigma^2), summed over pixels."""
        return risk(self.spectrum, validate.sigma_level(sigma, zero=True)).sum().to(self.spectrum.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J, the circulant matrix of the filter; the same at every noisy image."""
        fitting(validate.one_image(y, "y"), self.mean)
        d = self.mean.numel()
        impulses = torch.eye(d, dtype=y.dtype, device=y.device).reshape(d, *self.mean.shape[1:])
        return (self(impulses + self.mean, sigma) - self.mean).flatten(1).mT

    def log_density(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """Log p_sigma(y), the density of the noisy images."""
        fitting(validate.images(y, "y"), self.mean)
        total = precise(self.spectrum) + squared(validate.batch_sigma(sigma, y))
        energy = torch.fft.fft2(precise(y) - precise(self.mean), norm="ortho").abs().square()
        log_density = -(energy / total + total.log() + math.log(2 * math.pi)).sum(dim=(1, 2, 3)) / 2
        return log_density.to(y.dtype)
