"""The basis: one of the four nouns.

An orthonormal basis {e_k} of images with d = channels * height * width pixels turns an image into coefficients and
back,

    analysis:  c_k = <x, e_k>            synthesis:  x = sum_k c_k e_k            Parseval:  ||x||^2 = sum_k c_k^2 .

A *partial* basis holds k < d orthonormal atoms: synthesis(analysis(x)) is then the orthogonal projection on their span.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate

__all__ = ["Basis"]


class Basis(ABC):
    """An orthonormal set of images.

    A new basis writes `analysis` and `synthesis`, batched, following the dtype and the device of their input, and
    differentiable. `gahb_theory.testing.check_basis` tells whether it keeps the promises.
    """

    is_orthonormal: ClassVar[bool] = True
    """False for redundant frames: the formulas that rest on Parseval refuse them."""

    @abstractmethod
    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients <x, e_k> of each image."""

    @abstractmethod
    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width) where they are not square and grey."""

    @property
    def is_adapted(self) -> bool:
        """False for a dictionary of bases that `at` has not yet adapted to images."""
        return True

    def at(self, x: Float[Tensor, "n c h w"], threshold: float | Tensor | None = None) -> "Basis":
        """The basis adapted to each of the images `x`; a fixed basis returns itself.

        `threshold`, a number or a tensor of shape (batch,), is the level above which coefficients count, in the units
        of the intensities; some adaptive bases need it.
        """
        return self

    def atom_images(
        self, indices: Sequence[int], shape: Sequence[int], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "k c h w"]:
        """The atoms e_k, k in `indices`, as images of the given (channels, height, width)."""
        channels, height, width = shape
        count = self.analysis(torch.zeros(1, channels, height, width, dtype=dtype)).shape[1]
        chosen = torch.as_tensor([validate.integer(i, "atom index", 0, count - 1) for i in indices])
        return self.synthesis(torch.nn.functional.one_hot(chosen, count).to(dtype), shape)
