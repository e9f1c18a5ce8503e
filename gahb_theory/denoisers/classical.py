"""Denoisers of other packages that are no networks: functions on arrays, and non-local means.

    f_i(y) = sum_j w_ij y_j ,        w_ij ~ exp( -max( |y_P(i) - y_P(j)|^2 - 2 sigma^2, 0 ) / h^2 ),

|.|^2 a mean over the patch, weighted by a Gaussian, and j in a window around i: what looks alike is averaged (Buades,
Coll and Morel 2005). The weights come from the noisy image itself; the local machines of `equivariant` have the same
form, with the patches of a training set instead. torch cannot differentiate functions of other packages:
`gahb_theory.difference_jacobian` computes their Jacobians.

BM3D (Dabov et al. 2007) is not among the extras of this library: the packages of its authors, `bm3d` and `bm4d`, are for
non-commercial use only, which an MIT library should not draw in. Where it is installed,
``adapt_arrays(lambda y, sigma: bm3d.bm3d(y, sigma))`` is the denoiser.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import single

__all__ = ["AdaptedArrays", "NonLocalMeans", "adapt_arrays"]


class AdaptedArrays(DenoiserModule):
    """A function on numpy images as a denoiser of ours; build it with `adapt_arrays`."""

    takes_zero = True

    def __init__(self, function: Callable[[Any, float], Any]) -> None:
        super().__init__()
        self.function = validate.function(function, "function", "function(image, sigma)")
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean images, one after the other, on the CPU; without a gradient."""
        arrays = y.detach().to(single(y.dtype)).permute(0, 2, 3, 1).cpu().numpy()
        grey = y.shape[1] == 1
        levels = sigma.detach().flatten().expand(len(y)).tolist()
        parts = []
        for array, level in zip(arrays, levels, strict=True):
            image = array[:, :, 0] if grey else array
            returned = self.function(image.copy(), level)
            if getattr(returned, "dtype", None) is not None and not str(returned.dtype).removeprefix(
                "torch."
            ).startswith(("float", "bfloat")):
                raise TypeError(
                    f"the function must return floating-point intensities in [0, 1], as it is given, got {returned.dtype}"
                )
            estimate = validate.real_array(returned, "what the function returned")
            if estimate.shape != image.shape:
                raise ValueError(
                    f"the function must return an image of the shape that it is given, {image.shape}, got {estimate.shape}"
                )
            parts.append(torch.from_numpy(estimate).reshape(array.shape))
        return torch.stack(parts).permute(0, 3, 1, 2).contiguous().to(y)


def adapt_arrays(function: Callable[[Any, float], Any]) -> AdaptedArrays:
    """A denoiser of ours from a function of one numpy image, as classical image processing has them.

    Parameters
    ----------
    function
        Called with one image and its noise level as a float, and returns an image of the same shape: (height, width) for
        grey images, (height, width, channels) for others, intensities in [0, 1].

    Examples
    --------
    >>> import torch
    >>> from scipy.ndimage import median_filter
    >>> f = adapt_arrays(lambda image, sigma: median_filter(image, 3))
    >>> f(torch.rand(2, 1, 8, 8), 0.1).shape
    torch.Size([2, 1, 8, 8])
    """
    return AdaptedArrays(function)


class NonLocalMeans(DenoiserModule):
    """Non-local means, as scikit-image computes them; the package is needed when an image is denoised.

    Parameters
    ----------
    patch
        Odd side of the patches that are compared.
    window
        Largest distance of the places that are averaged, in pixels along each axis.
    strength
        h / sigma: the larger, the more is averaged. The defaults do best on photographs at sigma = .05 to .4 among a few.

    Raises
    ------
    ImportError
        When called, if scikit-image is not installed.

    Notes
    -----
    The weights depend on y, so that f is no linear function and no torch function; `difference_jacobian` works on it.
    scikit-image computes in the precision of y.

    References
    ----------
    A. Buades, B. Coll, J.-M. Morel, A non-local algorithm for image denoising, CVPR 2005.

    Examples
    --------
    >>> NonLocalMeans(patch=5).strength
    1.0
    """

    def __init__(self, patch: int = 7, window: int = 6, strength: float = 1.0) -> None:
        super().__init__()
        self.patch = validate.odd(patch, "patch")
        self.window = validate.integer(window, "window", 1)
        self.strength = validate.positive(strength, "strength")
        self._each = AdaptedArrays(self._one)
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The weighted means of each image; without a gradient."""
        return self._each.estimate(y, sigma)

    def _one(self, image: Any, sigma: float) -> Any:
        try:
            from skimage.restoration import denoise_nl_means
        except ImportError as error:
            raise ImportError(
                "NonLocalMeans needs the package scikit-image: pip install 'gahb-theory[classical]'"
            ) from error
        return denoise_nl_means(
            image,
            patch_size=self.patch,
            patch_distance=self.window,
            h=self.strength * sigma,
            sigma=sigma,
            fast_mode=False,
            preserve_range=True,
            channel_axis=-1 if image.ndim == 3 else None,
        )
