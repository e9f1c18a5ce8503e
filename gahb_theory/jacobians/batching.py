"""Products of an engine with many directions, in batches, and what is put together from them.

A row of J is J^T e_i with the i-th unit vector. No more than one batch of unit vectors exists at a time, so that the
memory is that of the matrix asked for, and of one batch in the engine.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gahb_theory.jacobians.engines.autograd import NOT_FINITE
from gahb_theory.jacobians.engines.linear_maps import Window

__all__ = ["lacks_memory", "on_columns", "scipy_operator", "sparse_rows", "whole_rows", "window_columns"]

NO_MEMORY = ("out of memory", "can't allocate memory")
Group = tuple[Tensor, Tensor, Window]


def on_columns(product: Callable[[Tensor], Tensor], v: Tensor, shape: tuple[int, ...], chunk: int) -> Tensor:
    """Apply a batched product to the columns of `v`; the last batch is filled up with zeros."""
    vectors = v.reshape(v.shape[0], -1).mT
    size = _even(len(vectors), chunk)
    results = []
    for part in torch.split(vectors, size):
        padded = functional.pad(part, (0, 0, 0, size - len(part)))
        results.append(product(padded.reshape(size, *shape)).reshape(size, -1)[: len(part)])
    columns = torch.cat(results).mT
    if not bool(torch.isfinite(columns).all()):
        raise RuntimeError(NOT_FINITE)
    return columns if v.ndim == 2 else columns[:, 0]


def whole_rows(
    pull: Callable[[Tensor], Tensor], indices: Tensor, shape: tuple[int, ...], chunk: int, y: Tensor
) -> Iterator[Group]:
    """Rows number `indices` in batches of one size, on the whole input: positions, values, window."""
    size, count = _even(len(indices), chunk), torch.Size(shape).numel()
    whole = ((0, y.shape[2]), (0, y.shape[3]))
    for positions in torch.split(torch.arange(len(indices), device=y.device), size):
        cotangents = y.new_zeros(size, count)
        cotangents[torch.arange(len(positions), device=y.device), indices[positions]] = 1
        yield positions, pull(cotangents.reshape(size, *shape))[: len(positions)], whole


def window_columns(window: Window, shape: tuple[int, int, int], device: torch.device) -> Tensor:
    """Numbers of the input pixels in a window, in all channels, ascending."""
    channels, height, width = shape
    (top, bottom), (left, right) = window
    channel = torch.arange(channels, device=device)[:, None, None] * (height * width)
    row = torch.arange(top, bottom, device=device)[:, None] * width
    return (channel + row + torch.arange(left, right, device=device)).flatten()


def sparse_rows(groups: Iterable[Group], entries: Tensor, shape: tuple[int, int], image: Tensor) -> Any:
    """All rows as a `scipy.sparse.csr_array`, from groups of them; `entries` holds the number of entries of each row."""
    from scipy.sparse import csr_array

    starts = functional.pad(entries.cumsum(0), (1, 0))
    total = int(starts[-1])
    integers = torch.int32 if max(total, *shape) < 2**31 else torch.int64
    values = torch.empty(total, dtype=image.dtype, device=image.device)
    columns = torch.empty(total, dtype=integers, device=image.device)
    _, channels, height, width = image.shape
    for positions, part, window in groups:
        numbers = window_columns(window, (channels, height, width), image.device)
        places = starts[positions][:, None] + torch.arange(len(numbers), device=image.device)
        values[places] = part.flatten(1)
        columns[places] = numbers.to(integers)
    parts = (values.cpu().numpy(), columns.cpu().numpy(), starts.to(integers).cpu().numpy())
    return csr_array(parts, shape=shape)


def scipy_operator(
    matvec: Callable[[Tensor], Tensor], rmatvec: Callable[[Tensor], Tensor], shape: tuple[int, int], like: Tensor
) -> Any:
    """The two products as a `scipy.sparse.linalg.LinearOperator` on numpy arrays in single or double precision."""
    import numpy as np
    from scipy.sparse.linalg import LinearOperator

    precision = torch.float64 if like.dtype == torch.float64 else torch.float32

    def on_arrays(product: Callable[[Tensor], Tensor]) -> Callable[[Any], Any]:
        return lambda v: product(torch.tensor(np.ascontiguousarray(v)).to(like)).cpu().to(precision).numpy()

    forward, backward = on_arrays(matvec), on_arrays(rmatvec)
    dtype = np.float64 if precision == torch.float64 else np.float32
    return LinearOperator(shape, dtype=dtype, matvec=forward, rmatvec=backward, matmat=forward, rmatmat=backward)


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice."""
    return isinstance(error, MemoryError) or any(text in str(error) for text in NO_MEMORY)


def _even(count: int, chunk: int) -> int:
    """Size of the equal batches into which `count` directions split, so that one graph serves them all."""
    return -(-count // -(-count // chunk))
