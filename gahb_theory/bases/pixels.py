"""The canonical basis: one atom for each pixel.

    e_k(u) = 1 if u = k, else 0,        c_k = <x, e_k> = x(k) .

Nothing is sparse here but an image of few bright points. It is the reference that shows what the other bases gain: the
oracle in this basis knows the squared intensity of every pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis

__all__ = ["Pixels"]


@dataclass(frozen=True)
class Pixels(Basis):
    """The canonical basis of images of any size and number of channels.

    Coefficients are the intensities in row-major order, one channel after the other.

    See Also
    --------
    gahb_theory.DCT, gahb_theory.DenseBasis

    Examples
    --------
    >>> import torch
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> Pixels().analysis(x)
    tensor([[0., 1., 2., 3.]])
    """

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Intensities of each image as one row, shape (batch, channels * height * width)."""
        return validate.images(x, "x").flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images with the intensities `c`; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        return c.reshape(-1, *validate.square_shape(c.shape[1], shape))
