"""The image class: one of the four nouns.

An image class is a law p(x) one can sample, together with the truth about it: what theory says of its optimal denoising
(`optimal_slope`, the asymptotic slope of output against input PSNR; `dimension`, where it is a manifold) and, through
`scene`, the ground truth of each image. Image i is a pure function of (class, seed, i).
"""

from typing import Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor

__all__ = ["ImageClass", "Scene"]


@runtime_checkable
class Scene(Protocol):
    """Images together with the truth about them; every class adds fields of its own."""

    images: Tensor


@runtime_checkable
class ImageClass(Protocol):
    """What the library asks of an image class.

    Only `sample` is indispensable: any object that has it can be trained and tested on. `dimension` and
    `optimal_slope` are None where unknown. `gahb_theory.testing.check_image_class` tells whether an object keeps the
    promises.
    """

    def sample(self, n: int, seed: int = 0, start: int = 0) -> Float[Tensor, "n c h w"]:
        """Images start .. start + n - 1 of the stream named by `seed`, float32, intensities about [0, 1]."""
        ...
