"""Wavelet packets with the best basis (Coifman and Wickerhauser 1992).

A level of a wavelet transform splits an image into four of half the side. Splitting all four again, and so on, gives a
tree; the leaves of any subtree with the same root are an orthonormal basis. At a threshold T the best one minimises

    sum_m min(c_m^2, T^2),

which is additive over the tree and so found exactly from the leaves up (`quadtree`). Splitting only the coarse image is
the wavelet basis, splitting nothing the pixels; textures of one frequency ask for more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.bases.quadtree import best_quadtree
from gahb_theory.bases.squares import cut, paste
from gahb_theory.bases.wavelet import Wavelet, level_matrix

__all__ = ["WaveletPackets"]


@dataclass(frozen=True, eq=False)
class WaveletPackets(Basis):
    """Wavelet packets: a dictionary of bases, and after `at`, the best basis of each image of a batch.

    The coefficients of a packet stand where the wavelet layout would put them: each split leaves the coarse part at the
    top left of the rectangle of its parent. Each channel of each image has a tree of its own.

    Parameters
    ----------
    name
        An orthogonal wavelet, see `Wavelet`.
    levels
        Depth of the tree; 2^levels divides both sides of the image.
    splits
        For each level, which rectangles are split, shape (n, channels, 2^level, 2^level); None before `at`.

    References
    ----------
    R. R. Coifman, M. V. Wickerhauser, Entropy-based algorithms for best basis selection, IEEE Trans. Information Theory,
    1992.

    Examples
    --------
    >>> import torch
    >>> x = torch.cos(torch.arange(32.0) * 2.6).expand(1, 1, 32, 32).contiguous()
    >>> packets, wavelets = WaveletPackets(levels=3).at(x, threshold=0.1), Wavelet("db4", levels=3)
    >>> int((packets.analysis(x).abs() > 0.1).sum()) < int((wavelets.analysis(x).abs() > 0.1).sum())
    True
    """

    name: str = "db4"
    levels: int = 3
    splits: tuple[Bool[Tensor, "n c _ _"], ...] | None = None

    def __post_init__(self) -> None:
        levels = Wavelet(self.name, validate.integer(self.levels, "levels", 1, 30)).levels
        object.__setattr__(self, "levels", levels)
        splits = self.splits
        if splits is not None and not (isinstance(splits, tuple) and len(splits) == levels):
            raise TypeError("splits must be what at(x, threshold=T) found: one tensor of booleans for each level")
        if splits is not None and not all(isinstance(s, Tensor) and s.dtype == torch.bool for s in splits):
            raise TypeError("splits must be what at(x, threshold=T) found: one tensor of booleans for each level")

    @property
    def is_adapted(self) -> bool:
        """Whether the trees are known."""
        return self.splits is not None

    def at(self, x: Float[Tensor, "n c h w"], threshold: float | Tensor | None = None) -> "WaveletPackets":
        """Return the best basis of each image at the threshold T, a number or a tensor of shape (batch,)."""
        validate.images(x, "x")
        if threshold is None:
            raise ValueError("wavelet packets are adapted for a threshold T: give at(x, threshold=sigma)")
        Wavelet(self.name, self.levels).levels_for(x.shape[-2], x.shape[-1])
        with torch.no_grad():
            ceiling = validate.batch_threshold(threshold, x).square()
            layout, costs = x, {}
            for level in range(self.levels + 1):
                blocks = self._cut(layout, level)
                costs[2 ** (self.levels - level)] = torch.minimum(blocks.square(), ceiling[..., None, None]).sum(
                    (-2, -1)
                )
                if level < self.levels:
                    layout = self._split(layout, level)
            _, leaves = best_quadtree(costs, 0.0)
            splits = []
            reached = torch.ones_like(leaves[2**self.levels])
            for level in range(self.levels):
                split = reached & ~leaves[2 ** (self.levels - level)]
                splits.append(split)
                reached = split.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)
        return replace(self, splits=tuple(splits))

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Packet coefficients of each image, shape (batch, channels * height * width)."""
        validate.images(x, "x")
        for level, split in enumerate(self._splits_for(x)):
            x = self._choose(split, self._split(x, level), x, level)
        return x.flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        x = c.reshape(-1, *validate.square_shape(c.shape[1], shape))
        for level, split in reversed(list(enumerate(self._splits_for(x)))):
            x = self._choose(split, self._join(x, level), x, level)
        return x

    def _splits_for(self, x: Tensor) -> list[Tensor]:
        if self.splits is None:
            raise RuntimeError(
                "these wavelet packets have no best basis yet; adapt them to images with at(x, threshold=T)"
            )
        n, channels = self.splits[0].shape[:2]
        if n not in (1, x.shape[0]) or channels != x.shape[1]:
            raise ValueError(
                f"these wavelet packets are adapted to {n} images of {channels} channels, got {x.shape[0]} images of "
                f"{x.shape[1]}; give a batch of the same length, or adapt them to one image"
            )
        Wavelet(self.name, self.levels).levels_for(x.shape[-2], x.shape[-1])
        return [split.to(x.device) for split in self.splits]

    def _cut(self, x: Tensor, level: int) -> Tensor:
        return cut(x, x.shape[-2] >> level, x.shape[-1] >> level)

    def _matrices(self, x: Tensor, level: int) -> tuple[Tensor, Tensor]:
        rows, columns = (level_matrix(self.name, side >> level, x.dtype, x.device) for side in x.shape[-2:])
        return rows, columns

    def _split(self, x: Tensor, level: int) -> Tensor:
        rows, columns = self._matrices(x, level)
        return paste(rows @ self._cut(x, level) @ columns.mT)

    def _join(self, x: Tensor, level: int) -> Tensor:
        rows, columns = self._matrices(x, level)
        return paste(rows.mT @ self._cut(x, level) @ columns)

    def _choose(self, split: Tensor, changed: Tensor, x: Tensor, level: int) -> Tensor:
        mask = split[..., None, None].expand(*split.shape, x.shape[-2] >> level, x.shape[-1] >> level)
        return torch.where(paste(mask), changed, x)
