"""Shuffled images: one fixed permutation of the pixels destroys the geometry and nothing else (paper, figure 21).

The optimal denoiser is equivariant to a permutation Pi, f_Pi(y) = Pi f(Pi^T y), so its risk is the same; a network
whose inductive bias is geometric does worse.
"""

import inspect
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import ImageClass, checked_class, keep
from gahb_theory.randomness import Component, uniforms
from gahb_theory.stored_results import Result

__all__ = ["Shuffled", "ShuffledScene"]

MOST_PIXELS = 2**28


@dataclass(frozen=True, repr=False)
class ShuffledScene(Result):
    """Shuffled images, and the images before."""

    images: Float[Tensor, "n c h w"]
    originals: Float[Tensor, "n c h w"]


@dataclass(frozen=True)
class Shuffled:
    """An image class with the pixels of every image permuted in the same way.

    Parameters
    ----------
    image_class
        Any object with `sample`.
    seed
        Names the permutation.

    See Also
    --------
    gahb_theory.CAlpha, gahb_theory.PCA

    Examples
    --------
    >>> from gahb_theory.images.disks import Disks
    >>> disks, shuffled = Disks(size=16), Shuffled(Disks(size=16), seed=3)
    >>> bool((shuffled.unshuffle(shuffled.sample(2)) == disks.sample(2)).all())
    True
    """

    image_class: ImageClass
    seed: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        checked_class(self.image_class)
        keep(self, "seed", validate.seed(self.seed))

    @property
    def dimension(self) -> int | None:
        """Dimension of the class before."""
        return getattr(self.image_class, "dimension", None)

    @property
    def optimal_slope(self) -> float | None:
        """Slope of the optimal denoiser: that of the class before."""
        return getattr(self.image_class, "optimal_slope", None)

    def permutation(self, pixels: int) -> Int[Tensor, " pixels"]:
        """Order of the pixels: pixel k of a shuffled image is pixel permutation[k] of the original."""
        pixels = validate.integer(pixels, "pixels", 1, MOST_PIXELS)
        u = uniforms(1, pixels, seed=self.seed, component=Component.PERMUTATION, dtype=torch.float64)
        return torch.argsort(u[0])

    def shuffle(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Permute the pixels of each image, all channels alike."""
        validate.images(x, "x")
        order = self.permutation(x.shape[2] * x.shape[3]).to(x.device)
        return x.flatten(2)[:, :, order].reshape(x.shape)

    def unshuffle(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Undo `shuffle`."""
        validate.images(x, "x")
        order = torch.argsort(self.permutation(x.shape[2] * x.shape[3])).to(x.device)
        return x.flatten(2)[:, :, order].reshape(x.shape)

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "n c h w"]:
        """Shuffled images start .. start + n - 1; a `dtype` is asked of the class before, which must know it."""
        return self.shuffle(self._originals(n, seed, start, dtype))

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype | None = None) -> ShuffledScene:
        """Shuffled images together with the originals."""
        originals = self._originals(n, seed, start, dtype)
        return ShuffledScene(self.shuffle(originals), originals)

    def _originals(self, n: int, seed: int, start: int, dtype: torch.dtype | None) -> Tensor:
        n = validate.integer(n, "n", 1)
        seed, start = validate.seed(seed), validate.integer(start, "start", 0)
        if dtype is None:
            return validate.sampled(self.image_class, n, seed=seed, start=start, name="image_class")
        sample: Any = self.image_class.sample
        name = type(self.image_class).__name__
        if "dtype" not in inspect.signature(sample).parameters:
            raise TypeError(f"{name}.sample takes no dtype: leave it out, and convert the images")
        x = validate.images(sample(n, seed=seed, start=start, dtype=dtype), f"what {name}.sample({n}) returned")
        if len(x) != n:
            raise ValueError(f"{name}.sample({n}) must return {n} images, got {len(x)}")
        return x
