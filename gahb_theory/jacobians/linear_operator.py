"""A linear map between images that is known by its products with blocks of vectors.

    matvec   J v,        rmatvec   J^T u,        row i = J^T e_i,        column j = J e_j .

The matrix need not be formed: rows, the diagonal, the trace and a sparse matrix are put together from products, each on
the window of the input that its receptive field reaches where an engine knows one.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.jacobians.batching import lacks_memory, on_columns, scipy_operator, window_columns
from gahb_theory.jacobians.engines.linear_maps import Window
from gahb_theory.jacobians.engines.rows import all_rows_sparse, row_groups
from gahb_theory.jacobians.engines.windowed_rows import WindowedProducts
from gahb_theory.memory import check_memory
from gahb_theory.precision import full_precision, plain_arithmetic
from gahb_theory.progress import progress_bar
from gahb_theory.scalars import kind_of

__all__ = ["LinearOperator", "Products", "check_operator"]

Result = TypeVar("Result")


@runtime_checkable
class Products(Protocol):
    """The two products that make a Jacobian, each on a whole batch of directions."""

    def push(self, v: Tensor, /) -> Tensor:
        """J v for directions `v` of shape (batch, *input shape); returns (batch, *output shape)."""
        ...

    def pull(self, u: Tensor, /) -> Tensor:
        """J^T u for directions `u` of shape (batch, *output shape); returns (batch, *input shape)."""
        ...


class LinearOperator:
    """A linear map from images of d_in numbers to outputs of d_out numbers.

    Vectors are flattened images, blocks of vectors are matrices of columns, as in scipy. All results are detached, with
    the dtype and the device of y. Once `matrix` has been called every product uses the matrix, and the engine is let go.

    Parameters
    ----------
    products
        The engine: anything with `push` and `pull`.
    y
        An image of the domain, shape (1, channels, height, width); vectors have its dtype and device.
    output_shape
        Shape of one output, without the batch axis.
    chunk
        Number of directions in one call of the engine, more where they live on a part of the image; halved where memory
        does not suffice.

    Attributes
    ----------
    shape
        (d_out, d_in).
    input_shape, output_shape
        Shapes of one input and of one output, without the batch axis.
    is_symmetric
        Whether the map is symmetric by construction, so that J^T u = J u needs no second product.
    """

    is_symmetric: ClassVar[bool] = False
    _asymmetry: float | None = None

    def __init__(
        self, products: Products, y: Float[Tensor, "1 c h w"], output_shape: Sequence[int], *, chunk: int
    ) -> None:
        _, channels, height, width = y.shape
        self.input_shape = (channels, height, width)
        self.output_shape = tuple(output_shape)
        self.shape = (torch.Size(self.output_shape).numel(), y.numel())
        self.dtype, self.device = y.dtype, y.device
        self.chunk = validate.integer(chunk, "chunk", 1)
        self._y = y
        self._products: Products | None = products
        self._matrix: Tensor | None = None
        self._version = 0
        self._both_ends = True

    def __repr__(self) -> str:
        kind = f"dtype={self.dtype}, device={str(self.device)!r}"
        return f"{type(self).__name__}(shape={self.shape}, {kind}, chunk={self.chunk})"

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._matrix is not None:
            self._version = self._matrix._version

    def __getstate__(self) -> dict[str, Any]:
        """What is saved: a matrix must be as it was computed."""
        if self._matrix is not None:
            self._dense()
        return self.__dict__

    @full_precision
    def matvec(self, v: Float[Tensor, "d_in ..."]) -> Float[Tensor, "d_out ..."]:
        """J v for one vector of shape (d_in,), or for a block of columns of shape (d_in, m).

        Raises
        ------
        TypeError, ValueError
            If `v` has another dtype, device or number of rows, or is not finite.
        RuntimeError
            If the parameters of f have changed since, if the derivative of f does not agree with its gradient, or if
            the result is not finite.
        """
        v = self._vectors(v, "v", self.shape[1])
        if self._products is None:
            return self._dense() @ v
        push = self._products.push
        return self._halving(lambda: on_columns(push, v, self.input_shape, self.chunk))

    @full_precision
    def rmatvec(self, u: Float[Tensor, "d_out ..."]) -> Float[Tensor, "d_in ..."]:
        """J^T u for one vector of shape (d_out,), or for a block of columns of shape (d_out, m).

        Raises
        ------
        TypeError, ValueError
            If `u` has another dtype, device or number of rows, or is not finite.
        RuntimeError
            If the parameters of f have changed since, or if the result is not finite.
        """
        u = self._vectors(u, "u", self.shape[0])
        if self._products is None:
            return self._dense().mT @ u
        pull = self._products.pull
        return self._halving(lambda: on_columns(pull, u, self.output_shape, self.chunk))

    def rows(self, indices: Sequence[int] | Tensor) -> Float[Tensor, "k d_in"]:
        """Rows of J, `indices` in [0, d_out): row i holds the weights of the pixels of y in pixel i of the output."""
        chosen = self._indices(indices, "row", self.shape[0])
        return self._rows(chosen) if self._products is not None else self._dense()[chosen]

    def columns(self, indices: Sequence[int] | Tensor) -> Float[Tensor, "d_out k"]:
        """Columns of J, `indices` in [0, d_in): column j is the response of the output to pixel j of y."""
        chosen = self._indices(indices, "column", self.shape[1])
        if self._products is None:
            return self._dense()[:, chosen]
        return self.matvec(torch.nn.functional.one_hot(chosen, self.shape[1]).mT.to(self.dtype))

    def matrix(self) -> Float[Tensor, "d_out d_in"]:
        """The dense matrix J, computed the first time and kept; shared, so clone it before changing it in place."""
        if self._matrix is None:
            count = self.shape[0] * self.shape[1] * self._y.element_size()
            check_memory(count, "the entries of the dense matrix", "take eigenbasis(k), rows, or a window of the image")
            self._hold(self._rows(torch.arange(self.shape[0], device=self.device)))
        return self._dense()

    def _hold(self, matrix: Float[Tensor, "d_out d_in"]) -> None:
        """Let every product use this matrix, which was computed elsewhere, and let the engine go."""
        self._matrix, self._version, self._products = matrix, matrix._version, None
        self._asymmetry = None

    def sparse_matrix(self) -> Any:
        """J as a `scipy.sparse.csr_array`, with the entries that the receptive field allows; not kept.

        Exact: what is left out is 0 by construction. Where no receptive field is known, the dense matrix is formed.
        """
        engine: Any = self._products
        if not isinstance(engine, WindowedProducts):
            from scipy.sparse import csr_array

            return csr_array(self.matrix().cpu().numpy())

        def fill() -> Any:
            groups, both = self._blocks(torch.arange(self.shape[0], device=self.device)), self._both_ends
            return all_rows_sparse(engine, groups, self.output_shape, self.chunk, self._y, both_ends=both)

        return self._halving(fill)

    def diagonal(self) -> Float[Tensor, " d"]:
        """The diagonal of J, exactly, without keeping J: how much each pixel of the output owes to itself."""
        check_operator(self, square="the diagonal needs")
        if self._products is None:
            return self._dense().diagonal().clone()
        return self._halving(self._diagonal)

    def trace(self) -> float:
        """Tr J, exactly. sigma^2 tr J is the expected squared error of a posterior mean, summed over pixels.

        References
        ----------
        Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equation 10.
        """
        check_operator(self, square="the trace needs")
        return float(self.diagonal().cpu().double().sum())

    def asymmetry(self) -> float:
        """||J - J^T|| / ||J|| in the Frobenius norm: 0 for a symmetric J, 2 for an antisymmetric one.

        The Jacobian of a posterior mean is symmetric. That of a trained network is not: 0.4 to 0.6 is common.
        """
        check_operator(self, square="the asymmetry needs")
        matrix = self.matrix()  # which may not change, so that one comparison serves all
        if self._asymmetry is None:
            size = _frobenius(matrix)
            self._asymmetry = _frobenius(matrix - matrix.mT) / size if size > 0 else 0.0
        return self._asymmetry

    def to_scipy(self) -> Any:
        """The same map as a `scipy.sparse.linalg.LinearOperator`, on numpy arrays in single or double precision."""
        return scipy_operator(self.matvec, self.rmatvec, self.shape, self._y)

    def _indices(self, indices: Sequence[int] | Tensor, name: str, count: int) -> Tensor:
        listed = indices.tolist() if isinstance(indices, Tensor | np.ndarray) else indices
        if not isinstance(listed, Sequence) or isinstance(listed, str | bytes):
            raise TypeError(f"indices must be a sequence of integers, got {type(indices).__name__}")
        chosen = torch.as_tensor(
            [validate.integer(i, f"indices: {name} index", 0, count - 1) for i in listed], device="cpu"
        )
        if chosen.numel() == 0:
            raise ValueError(f"indices must name at least one {name}, each in [0, {count}), got none")
        return chosen.to(self.device)

    def _rows(self, indices: Tensor) -> Tensor:
        """Rows of J by reverse mode."""

        def fill() -> Tensor:
            rows = torch.zeros(len(indices), *self.input_shape, dtype=self.dtype, device=self.device)
            for positions, part, ((top, bottom), (left, right)) in self._blocks(indices):
                rows[positions, :, top:bottom, left:right] = part
            return rows.flatten(1)

        return self._halving(fill)

    def _diagonal(self) -> Tensor:
        diagonal = torch.zeros(self.shape[0], dtype=self.dtype, device=self.device)
        for positions, part, window in self._blocks(torch.arange(self.shape[0], device=self.device)):
            columns = window_columns(window, self.input_shape, self.device)
            hit = columns == positions[:, None]
            inside = hit.any(dim=1)
            diagonal[positions[inside]] = part.flatten(1)[hit]
        return diagonal

    def _blocks(self, indices: Tensor) -> Iterator[tuple[Tensor, Tensor, Window]]:
        """Groups of rows on windows of the input; the one-hot cotangents exist for one group at a time."""
        indices = indices.to(self.device)
        with progress_bar(total=len(indices), desc="Jacobian", unit="row") as progress:
            groups = row_groups(
                self._products, indices, self.output_shape, self.chunk, self._y, both_ends=self._both_ends
            )
            for positions, part, window in groups:
                yield positions, part, window
                progress.update(len(positions))

    def _halving(self, run: Callable[[], Result]) -> Result:
        """Run; where memory does not suffice, again with half of the directions at once."""
        while True:
            try:
                with torch.inference_mode(False), plain_arithmetic():
                    return run()
            except (MemoryError, RuntimeError) as error:
                if not lacks_memory(error) or (self.chunk == 1 and not self._both_ends):
                    raise
            self.chunk, self._both_ends = max(1, self.chunk // 2), False

    def _dense(self) -> Tensor:
        assert self._matrix is not None
        if self._matrix._version != self._version:
            raise RuntimeError(
                "the matrix of this Jacobian was changed in place after it was computed; "
                "call jacobian(f, y, sigma) again, and change J.matrix().clone() instead"
            )
        return self._matrix

    def _vectors(self, v: Tensor, name: str, length: int) -> Tensor:
        if not isinstance(v, Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(v).__name__}; J.to_scipy() takes numpy arrays")
        if v.dtype != self.dtype:
            raise TypeError(f"{name} is {v.dtype}, but the Jacobian is {self.dtype}; use {name}.to({self.dtype})")
        if v.device != self.device:
            raise ValueError(f"{name} is on {v.device}, but the Jacobian is on {self.device}; use {name}.to(device)")
        if v.ndim not in (1, 2) or v.shape[0] != length or v.numel() == 0:
            raise ValueError(
                f"{name} must have shape ({length},), or ({length}, m) for a block of m columns, got {tuple(v.shape)}; "
                f"flatten an image with {name}.flatten()"
            )
        return validate.finite(v.detach(), name)


def _frobenius(matrix: Tensor) -> float:
    """Frobenius norm, summed over the rows in double precision."""
    return float(torch.linalg.vector_norm(matrix, dim=1).cpu().double().norm())


def check_operator(J: Any, name: str = "J", *, square: str = "") -> None:
    """Refuse what is no linear operator, or, where `square` says what needs it, is not square."""
    if not isinstance(J, LinearOperator):
        raise TypeError(f"{name} must be a Jacobian, got {kind_of(J)}; jacobian(f, y, sigma) makes one")
    if square and J.shape[0] != J.shape[1]:
        raise ValueError(
            f"{square} a square Jacobian, got shape {J.shape}; use svd, or a denoiser whose output has the shape of its input"
        )
