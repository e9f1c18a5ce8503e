"""How far an estimate is from the clean image.

    mse(x, x_hat)  = ||x_hat - x||^2                            summed over the d pixels, in the units of the theory,
    psnr(x, x_hat) = mean over images of -10 log10(mse / d)     in decibels, for a peak intensity of 1, nothing clipped.

A curve of output PSNR against input PSNR -20 log10 sigma has the slope of log mse against log sigma^2. On it the
optimal denoiser of C^alpha images has slope alpha / (alpha + 1) (Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024,
section 3).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays, wide
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PSNRCurve", "Repeat", "mse", "psnr", "psnr_curve", "psnr_per_image"]


@takes_arrays
def mse(x: Float[Tensor, "n c h w"], x_hat: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Squared error ||x_hat - x||^2 of each image, summed over channels and pixels.

    Parameters
    ----------
    x, x_hat
        Clean images and their estimates, shape (batch, channels, height, width).

    Returns
    -------
    Shape (batch,), in squared units of intensity, in float32 or float64. Divide by the number of pixels for the error of
    one pixel.

    See Also
    --------
    gahb_theory.psnr, gahb_theory.oracle_mse

    Examples
    --------
    >>> import torch
    >>> mse(torch.zeros(2, 1, 3, 3), torch.ones(2, 1, 3, 3))
    tensor([9., 9.])
    """
    validate.images(x, "x")
    validate.images(x_hat, "x_hat")
    if x.shape != x_hat.shape:
        raise ValueError(
            f"x_hat must have the shape of x, {tuple(x.shape)}, got {tuple(x_hat.shape)}; nothing is broadcast here"
        )
    validate.same_device(x_hat, x, "x_hat")
    return (wide(x_hat) - wide(x)).square().sum(dim=(1, 2, 3))


@takes_arrays
def psnr_per_image(x: Float[Tensor, "n c h w"], x_hat: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Peak signal-to-noise ratio -10 log10(||x_hat - x||^2 / d) of each image, for a peak intensity of 1.

    Parameters
    ----------
    x, x_hat
        Clean images and their estimates, shape (batch, channels, height, width). Neither is clipped.

    Returns
    -------
    Shape (batch,), in decibels; infinite for a perfect estimate.

    Examples
    --------
    >>> import torch
    >>> psnr_per_image(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.1)).round(decimals=3)
    tensor([20.])
    """
    return -10 * torch.log10(mse(x, x_hat) / x[0].numel())


@takes_arrays
def psnr(x: Float[Tensor, "n c h w"], x_hat: Float[Tensor, "n c h w"]) -> Float[Tensor, ""]:
    """Mean over images of `psnr_per_image`, in decibels; infinite as soon as one estimate is perfect.

    It is not the PSNR of the mean error: by Jensen's inequality that one is never larger.

    Parameters
    ----------
    x, x_hat
        Clean images and their estimates, shape (batch, channels, height, width).

    See Also
    --------
    gahb_theory.mse, gahb_theory.psnr_curve

    Examples
    --------
    >>> import torch
    >>> round(float(psnr(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), 0.1))), 3)
    20.0
    """
    return psnr_per_image(x, x_hat).mean()


class Repeat:
    """A denoiser, called with checks, and asked at the end whether it still gives what it gave first.

    Parameters
    ----------
    f
        The denoiser.
    name
        What to call it in errors.
    """

    def __init__(self, f: Callable[[Tensor, float], Tensor], name: str = "f") -> None:
        self.f, self.name = f, name
        self.first: tuple[Tensor, float, Tensor] | None = None

    def __call__(self, y: Tensor, sigma: float) -> Tensor:
        """Return f(y, sigma)."""
        before = y.clone() if self.first is None else y  # f may write into its input, and into its output later on
        out = validate.denoised(self.f, y, sigma, self.name)
        if self.first is None:
            self.first = before, sigma, out.clone()
        return out

    def check(self) -> None:
        """Refuse a denoiser that gives another result now than at its first call."""
        if self.first is None:
            return
        y, sigma, before = self.first
        now = validate.denoised(self.f, y.clone(), sigma, self.name)
        apart = float((wide(now) - wide(before)).abs().max())
        if apart > torch.finfo(y.dtype).eps ** 0.5 * float(wide(before).abs().max().clamp(min=1)):
            raise RuntimeError(
                f"{self.name} gives another result for the same images now than at its first call, by {apart:.2g}: it "
                "remembers its last call, or draws at random; give one that is a function of (y, sigma) alone"
            )


@dataclass(frozen=True, eq=False, repr=False)
class PSNRCurve(Result):
    """Error of a denoiser at each noise level, as numpy arrays for s levels and n images.

    Parameters
    ----------
    sigmas
        Noise levels, shape (s,), in the order in which they were given.
    psnr
        Mean over images of the PSNR in decibels, shape (s,).
    standard_error
        Standard error of that mean over images, shape (s,); NaN if there is one image.
    mse_per_image
        Squared error summed over pixels, shape (s, n). `gahb_theory.theory.rates.fit_slope` takes it as it is.
    psnr_per_image
        PSNR in decibels, shape (s, n).
    """

    sigmas: Float[np.ndarray, " s"]
    psnr: Float[np.ndarray, " s"]
    standard_error: Float[np.ndarray, " s"]
    mse_per_image: Float[np.ndarray, "s n"]
    psnr_per_image: Float[np.ndarray, "s n"]

    @property
    def input_psnr(self) -> Float[np.ndarray, " s"]:
        """PSNR of the noisy images, -20 log10 sigma, in decibels, shape (s,)."""
        return -20 * np.log10(self.sigmas)

    def rows(self) -> list[dict[str, float]]:
        """One row for each noise level, for a table or `pandas.DataFrame`."""
        columns = {name: getattr(self, name).tolist() for name in ("sigmas", "input_psnr", "psnr", "standard_error")}
        columns["sigma"] = columns.pop("sigmas")
        columns["mse"] = self.mse_per_image.mean(axis=1).tolist()
        names = ("sigma", "input_psnr", "psnr", "standard_error", "mse")
        return [dict(zip(names, values, strict=True)) for values in zip(*(columns[n] for n in names), strict=True)]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the PSNR over the noise level, and return the axes."""
        from gahb_theory.report.draw_results import draw_over_noise

        return draw_over_noise(self.sigmas, {"PSNR": self.psnr}, ax, "PSNR (dB)")


@takes_arrays
def psnr_curve(
    f: Callable[[Tensor, float], Tensor],
    x: Float[Tensor, "n c h w"],
    sigmas: float | Sequence[float] | Float[np.ndarray, " s"] | Float[Tensor, " s"],
    *,
    seed: int = 0,
    batch_size: int = 64,
) -> PSNRCurve:
    """Denoise x + sigma z at every noise level and measure the error.

    The noise is paired: z of image i depends on (seed, i) alone, so it is the same at every level, for every denoiser
    and for every `batch_size`. Differences between two curves are then far less noisy than either curve.

    Parameters
    ----------
    f
        Denoiser, called as f(y, sigma) with a number sigma, without gradients. A network must be in evaluation mode.
    x
        Clean images, shape (n, channels, height, width).
    sigmas
        Noise levels above 0, in the units of x; a number is one level.
    seed
        Seed of the noise.
    batch_size
        Number of images that are denoised at once.

    Raises
    ------
    RuntimeError
        If `f` is a network in train mode, or gives another result when the first images are denoised again at the end:
        a denoiser that remembers its last call, or draws at random, has no curve.
    ValueError, TypeError
        If a level is out of range, or if `f` does not return finite images of the shape and type that it was given.

    See Also
    --------
    gahb_theory.fit_slope, gahb_theory.plots.psnr_curves

    Examples
    --------
    The denoiser that does nothing gains nothing:

    >>> import torch
    >>> curve = psnr_curve(lambda y, sigma: y, torch.zeros(8, 1, 32, 32), [0.1, 0.2])
    >>> bool(abs(curve.psnr - curve.input_psnr).max() < 0.2)
    True
    """
    validate.images(x, "x")
    batch_size, seed = validate.integer(batch_size, "batch_size", 1), validate.seed(seed)
    levels = validate.levels(sigmas)
    validate.warn_of_units(max(levels), x)
    repeat = Repeat(f)
    rows = []
    with torch.no_grad():
        for sigma in levels:
            errors = []
            for start in range(0, x.shape[0], batch_size):
                clean = x[start : start + batch_size]
                errors.append(mse(clean, repeat(add_noise(clean, sigma, seed=seed, start=start), sigma)))
            rows.append(torch.cat(errors))
        repeat.check()
        errors_per_image = torch.stack(rows).cpu().to(torch.float64)
        ratios = -10 * torch.log10(errors_per_image / x[0].numel())
        n = x.shape[0]
        spread = ratios.std(dim=1) if n > 1 else torch.full((len(levels),), torch.nan, dtype=torch.float64)
    return PSNRCurve(
        sigmas=np.array(levels),
        psnr=ratios.mean(dim=1).numpy(),
        standard_error=(spread / n**0.5).numpy(),
        mse_per_image=errors_per_image.numpy(),
        psnr_per_image=ratios.numpy(),
    )
