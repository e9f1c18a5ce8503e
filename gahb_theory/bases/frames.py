"""Redundant frames: more atoms than pixels, which no formula that rests on Parseval's equation may use.

Cycle spinning (Coifman and Donoho 1995) takes the coefficients of an orthonormal basis B at several translations tau_s
of the image,

    analysis:  c_s = B tau_s x,    s = 1 .. S            synthesis:  x = 1/S sum_s tau_s^{-1} B^T c_s ,

a tight frame whose atoms have norm 1, so that the noise has level sigma in every coefficient. Thresholding in it is the
mean of the S denoisers, which has no larger risk than their mean risk (Jensen) and no visible grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis, check_basis

__all__ = ["CycleSpinning"]


@dataclass(frozen=True, eq=False)
class CycleSpinning(Basis):
    """The coefficients of a fixed basis at several cyclic translations of the image.

    Measure the risk of its denoisers with `psnr_curve`: the sum of squared errors of coefficients is not that of
    pixels. The synthesis is the pseudo-inverse of the analysis, which is its adjoint divided by the number of
    translations.

    Parameters
    ----------
    basis
        An orthonormal basis, the same for all images.
    side
        The translations are all (i, j), 0 <= i, j < side, side^2 in all.

    References
    ----------
    R. R. Coifman, D. L. Donoho, Translation-invariant de-noising, in Wavelets and Statistics, 1995.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases.wavelet import Wavelet
    >>> frame = CycleSpinning(Wavelet("haar", levels=1), side=2)
    >>> x = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> c = frame.analysis(x)
    >>> tuple(c.shape), bool(torch.allclose(frame.synthesis(c), x, atol=1e-6))
    ((1, 64), True)
    """

    basis: Basis
    side: int = 4
    is_orthonormal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "side", validate.integer(self.side, "side", 1, 64))
        check_basis(self.basis)
        if not self.basis.is_orthonormal:
            raise ValueError("basis must be orthonormal; a frame of a frame is not needed")

    @property
    def shifts(self) -> list[tuple[int, int]]:
        """The translations in rows and columns."""
        return [(i, j) for i in range(self.side) for j in range(self.side)]

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients at each translation, shape (batch, side^2 * atoms of the basis)."""
        validate.images(x, "x")
        moved = torch.cat([x.roll(shift, dims=(2, 3)) for shift in self.shifts])
        c = self.basis.analysis(moved)
        return c.reshape(self.side**2, x.shape[0], -1).transpose(0, 1).flatten(1)

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Mean of the images of the translations; `shape` = (channels, height, width), square and grey if None."""
        validate.coefficients(c)
        count = self.side**2
        if c.shape[1] % count:
            raise ValueError(f"c must hold the coefficients of {count} translations, got {c.shape[1]} in all")
        each = c.reshape(c.shape[0], count, -1).transpose(0, 1)
        moved = self.basis.synthesis(each.flatten(0, 1), shape)
        images = moved.reshape(count, c.shape[0], *moved.shape[1:])
        back = [image.roll((-i, -j), dims=(2, 3)) for image, (i, j) in zip(images, self.shifts, strict=True)]
        return torch.stack(back).mean(dim=0)
