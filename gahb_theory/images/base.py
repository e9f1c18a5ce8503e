"""What an image class is.

An image class is a distribution p(x) one can sample, together with the truth about it: what theory says of its optimal
denoising (`optimal_slope`, the asymptotic minimax slope of output against input PSNR; `dimension`, where it is a manifold)
and, through `scene`, the ground truth of each image. Image i is a pure function of (class, seed, i).
"""

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.images.batches import admit, block_length, draw_images, draw_scene, fill_images
from gahb_theory.randomness import Component, uniforms
from gahb_theory.scalars import kind_of
from gahb_theory.stored_results import Result

__all__ = [
    "Drawn",
    "ImageClass",
    "Manifold",
    "ManifoldScene",
    "Scene",
    "checked_class",
    "keep",
    "orthonormal_rows",
    "two_intensities",
]


@runtime_checkable
class Scene(Protocol):
    """Images together with the truth about them; every class adds fields of its own."""

    @property
    def images(self) -> Tensor:
        """Shape (n, channels, height, width)."""
        ...


@runtime_checkable
class ImageClass(Protocol):
    """What the library asks of an image class.

    Only `sample` is indispensable: any object that has it can be trained and tested on. `dimension` and
    `optimal_slope` are None where unknown. `gahb_theory.testing.check_image_class` tells whether an object follows
    this interface.

    See Also
    --------
    gahb_theory.CAlpha, gahb_theory.testing.check_image_class, gahb_theory.train

    Examples
    --------
    >>> import gahb_theory as gt
    >>> isinstance(gt.Disks(), ImageClass), gt.Disks(size=16).sample(2, seed=1).shape
    (True, torch.Size([2, 1, 16, 16]))
    """

    def sample(self, n: int, *, seed: int = 0, start: int = 0) -> Float[Tensor, "n c h w"]:
        """Images start .. start + n - 1 of the stream named by `seed`, float32, intensities about [0, 1]."""
        ...


AnyScene = TypeVar("AnyScene", bound=Scene)


class Drawn(Generic[AnyScene]):
    """Images that are drawn in blocks together with their truth: what most classes share.

    A subclass has a `size` and draws scenes; it says how many images make a block, and what the memory must hold.
    """

    size: int

    @property
    def dimension(self) -> int | None:
        """None: not a manifold of finite, known dimension."""
        return None

    @property
    def optimal_slope(self) -> float | None:
        """None: unknown."""
        return None

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        shape = (1, self.size, self.size)
        return draw_images(
            lambda count, first: self._draw(count, seed, first, dtype).images, n, start, self._block, shape, dtype
        )

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> AnyScene:
        """Images together with the truth about them."""
        return draw_scene(
            lambda count, first: self._draw(count, seed, first, dtype), n, start, self._block, self._scene_shape, dtype
        )

    @property
    def _block(self) -> int:
        return block_length(self.size**2)

    @property
    def _scene_shape(self) -> tuple[int, ...]:
        return (2, self.size, self.size)

    def _draw(self, n: int, seed: int, start: int, dtype: torch.dtype) -> AnyScene:
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class ManifoldScene(Result):
    """Images of a manifold, their p parameters, and the tangent space at each, of dimension k."""

    images: Float[Tensor, "n c h w"]
    parameters: Float[Tensor, "n p"]
    """What they mean stands in the class."""
    tangent: Float[Tensor, "n k d"]
    """Orthonormal rows that span the derivatives of the image by its parameters."""


def checked_class(image_class: Any) -> Any:
    """Return `image_class` if one can draw from it."""
    if not callable(getattr(image_class, "sample", None)):
        raise TypeError(f"image_class must have a method sample(n, seed=0, start=0), got {kind_of(image_class)}")
    return image_class


def keep(image_class: Any, name: str, value: Any) -> Any:
    """Put a value that was checked and converted into a field of a frozen dataclass, and return it."""
    object.__setattr__(image_class, name, value)
    return value


class Manifold:
    """Images painted from a few parameters: what the classes of this kind share.

    A subclass has a `size` and a `dimension`, makes parameters of uniform numbers, paints images from them, and knows the
    derivatives.
    """

    size: int
    uniform_count: int
    """Uniform numbers that one image is made of."""

    @property
    def dimension(self) -> int:
        """Dimension of the manifold."""
        raise NotImplementedError

    @property
    def optimal_slope(self) -> float:
        """PSNR slope of the optimal denoiser on a manifold, at small noise."""
        return 1.0

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n 1 size size"]:
        """Images start .. start + n - 1, shape (n, 1, size, size)."""
        shape = (1, self.size, self.size)
        n, start = admit(n, start, shape, dtype)
        parameters = self._parameters(n, seed, start, dtype)  # few numbers: those of all images at once

        def fill(out: Tensor, first: int) -> None:
            self._paint_into(out, parameters[first - start : first - start + len(out)])

        return fill_images(fill, n, start, self._block, shape, dtype)

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> ManifoldScene:
        """Images with their parameters and orthonormal tangent spaces."""

        def draw(count: int, first: int) -> ManifoldScene:
            parameters = self._parameters(count, seed, first, dtype)
            return ManifoldScene(self._paint(parameters), parameters, orthonormal_rows(self._derivatives(parameters)))

        shape = (2 * self.dimension + 1, self.size, self.size)
        return draw_scene(draw, n, start, block_length(self.size**2, self.dimension), shape, dtype)

    def numbers(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n u"]:
        """The independent uniform numbers of which images start .. start + n - 1 are made."""
        count = self.uniform_count
        return uniforms(n, count, seed=seed, start=start, component=Component.PARAMETERS, dtype=dtype)

    def paint(self, parameters: Float[Tensor, "n p"]) -> Float[Tensor, "n 1 size size"]:
        """The images of given parameters, whose meaning stands in the class."""
        return self._paint(parameters)

    def placed(self, u: Float[Tensor, "n u"]) -> Float[Tensor, "n p"]:
        """Parameters as a function of independent uniform numbers."""
        raise NotImplementedError

    @property
    def _block(self) -> int:
        return block_length(self.size**2)

    def _parameters(self, n: int, seed: int, start: int, dtype: torch.dtype) -> Float[Tensor, "n p"]:
        return self.placed(self.numbers(n, seed=seed, start=start, dtype=dtype))

    def _paint(self, parameters: Tensor) -> Tensor:
        """Images (n, 1, size, size)."""
        raise NotImplementedError

    def _paint_into(self, images: Tensor, parameters: Tensor) -> None:
        """Fill `images` (n, 1, size, size)."""
        images[:] = self._paint(parameters)

    def _derivatives(self, parameters: Tensor) -> Tensor:
        """Derivatives of the images by the parameters, (n, k, size, size)."""
        raise NotImplementedError


def orthonormal_rows(derivatives: Float[Tensor, "n k *pixels"]) -> Float[Tensor, "n k d"]:
    """Orthonormalise the derivatives of each image by its k parameters.

    By the method of Gram and Schmidt, twice, which is enough (Giraud, Langou, Rozloznik, van den Eshof 2005), with sums
    that round the rows of one image alike in any batch; LAPACK's do not.
    """
    rows = derivatives.flatten(2).numpy().copy()
    for i in range(rows.shape[1]):
        row = rows[:, i]
        for _ in range(2):
            row /= np.sqrt((row * row).sum(axis=1, keepdims=True)).clip(min=np.finfo(row.dtype).tiny)
            for j in range(i):
                row -= (row * rows[:, j]).sum(axis=1, keepdims=True) * rows[:, j]
        row /= np.sqrt((row * row).sum(axis=1, keepdims=True)).clip(min=np.finfo(row.dtype).tiny)
    return torch.from_numpy(rows)


def two_intensities(u: Float[Tensor, "n 3"], jump: float) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Two intensities, uniform on the part of the unit square where they differ by at least `jump`."""
    gap = jump + (1 - jump) * (1 - torch.sqrt(1 - u[:, 0]))
    low = (1 - gap) * u[:, 1]
    return torch.where(u[:, 2] < 0.5, low, low + gap), torch.where(u[:, 2] < 0.5, low + gap, low)
