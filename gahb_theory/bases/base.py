"""What a basis is.

An orthonormal basis {e_k} of images with d = channels * height * width pixels turns an image into coefficients and
back,

    analysis:  c_k = <x, e_k>            synthesis:  x = sum_k c_k e_k            Parseval:  ||x||^2 = sum_k c_k^2 .

A *partial* basis holds k < d orthonormal atoms: synthesis(analysis(x)) is then the orthogonal projection on their span.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import as_tensor, full_precision, takes_arrays, wide

__all__ = ["Basis", "MatrixBasis", "check_basis"]


class Basis(ABC):
    """An orthonormal set of images.

    A new basis writes `analysis` and `synthesis`, batched, following the dtype and the device of their input, and
    differentiable. `gahb_theory.testing.check_basis` tells whether it follows this interface.

    See Also
    --------
    gahb_theory.DenseBasis, gahb_theory.Eigenbasis, gahb_theory.testing.check_basis

    Examples
    --------
    >>> import torch
    >>> import gahb_theory as gt
    >>> basis, x = gt.DCT(), gt.Disks(size=16).sample(1)
    >>> torch.allclose(basis.synthesis(basis.analysis(x), x.shape[1:]), x, atol=1e-5)
    True
    """

    is_orthonormal: ClassVar[bool] = True
    """False for redundant frames: the formulas that rest on Parseval refuse them."""

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("analysis", "synthesis", "at"):  # the dtype of the input, also inside torch.autocast
            if name in vars(cls):
                setattr(cls, name, takes_arrays(full_precision(vars(cls)[name])))

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
        validate.images(x, "x")
        if threshold is not None:
            validate.batch_threshold(threshold, x)
        return self

    def atom_images(
        self, indices: Sequence[int], shape: Sequence[int], *, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "k c h w"]:
        """The atoms e_k, k in `indices`, as images of the given (channels, height, width)."""
        target = validate.sizes(shape, 3)
        black = torch.zeros(1, *target, dtype=validate.floating(dtype), device="cpu")
        count = self.analysis(black).shape[1]
        chosen = atom_indices(indices, count)
        rows = torch.zeros(len(chosen), count, dtype=dtype, device="cpu")
        rows[range(len(chosen)), chosen] = 1
        return self.synthesis(rows, target)


class MatrixBasis(Basis):
    """Orthonormal images that are given as the rows of a matrix, shape (k, d), and their (channels, height, width)."""

    atoms: Float[Tensor, "k d"]
    image_shape: tuple[int, int, int]

    def __repr__(self) -> str:
        return f"{type(self).__name__} of {len(self.atoms)} atoms of shape {tuple(self.image_shape)}"

    def _check_shape(self) -> None:
        object.__setattr__(self, "atoms", as_tensor(self.atoms))
        validate.coefficients(self.atoms, name="atoms")
        shape = validate.square_shape(self.atoms.shape[1], validate.sizes(self.image_shape, 3, "image_shape"))
        object.__setattr__(self, "image_shape", shape)

    def analysis(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Coefficients <x, e_k> of each image, shape (batch, k); no mean is subtracted."""
        validate.images(x, "x")
        if tuple(x.shape[1:]) != tuple(self.image_shape):
            raise ValueError(
                f"the atoms of this basis are images of shape {tuple(self.image_shape)}, got images of shape "
                f"{tuple(x.shape[1:])}; take the basis of images of the same size"
            )
        return x.flatten(1) @ self.atoms.to(x).mT

    def synthesis(self, c: Float[Tensor, "n k"], shape: Sequence[int] | None = None) -> Float[Tensor, "n c h w"]:
        """Images sum_k c_k e_k; `shape` = (channels, height, width) is that of the atoms if None."""
        validate.coefficients(c, self.atoms.shape[0])
        target = validate.square_shape(self.atoms.shape[1], self.image_shape if shape is None else shape)
        return (c @ self.atoms.to(c)).reshape(-1, *target)

    def atom_images(
        self, indices: Sequence[int], shape: Sequence[int] | None = None, *, dtype: torch.dtype | None = None
    ) -> Float[Tensor, "k c h w"]:
        """The atoms e_k, k in `indices`, as images; their own shape and dtype if None."""
        target = validate.square_shape(self.atoms.shape[1], self.image_shape if shape is None else shape)
        chosen = atom_indices(indices, len(self.atoms))
        kind = self.atoms.dtype if dtype is None else validate.floating(dtype)
        return self.atoms[chosen].reshape(-1, *target).to(kind)


def check_basis(basis: object, name: str = "basis") -> None:
    """Refuse what is no basis."""
    if not isinstance(basis, Basis):
        raise TypeError(f"{name} must be a Basis such as Wavelet('db4'), got {type(basis).__name__}")


def atom_indices(indices: object, count: int) -> list[int]:
    """The numbers of atoms, each between 0 and `count` - 1, at least one."""
    if isinstance(indices, Tensor | np.ndarray):
        validate.real_array(indices, "indices", 1)
    if isinstance(indices, str | bytes) or not isinstance(indices, Iterable):
        raise TypeError(f"indices must be a sequence of numbers of atoms such as [0, 1], got {type(indices).__name__}")
    chosen = [validate.integer(i, "each of indices", 0, count - 1) for i in indices]
    if not chosen:
        raise ValueError(f"indices must hold at least one number of an atom, 0 to {count - 1}, got none")
    return chosen


def check_orthonormal(atoms: Float[Tensor, "k d"], name: str = "atoms") -> None:
    """Refuse rows that are not orthonormal: A A^T w = w is tried for one vector w, which costs as much as one image."""
    exact = wide(atoms.detach())
    w = torch.arange(1, len(exact) + 1, dtype=torch.float64, device="cpu").square().cos().to(exact)
    error = float((exact @ (w @ exact) - w).abs().max())
    if not error <= max(1e-3, 30 * torch.finfo(atoms.dtype).eps):
        raise ValueError(
            f"{name} must be orthonormal rows, got an error of {error:.2g}; "
            f"make them so with torch.linalg.qr({name}.mT).Q.mT.contiguous()"
        )
