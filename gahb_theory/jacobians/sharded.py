"""The dense Jacobian of a large image, its rows computed by many processes or machines, none of them twice.

Row i of J is J^T e_i, so that J is cut into pieces of consecutive rows,

    J = [ J_0 ; J_1 ; ... ],        J_p = rows first_p to last_p,

each of which a worker computes on the Jacobian that it makes itself from (f, y, sigma). What is known of the pieces is what
`gahb_theory.many_images` says: their order, and what a killed worker, a failing piece or the end of the program costs.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.construction import jacobian
from gahb_theory.jacobians.operator import Jacobian
from gahb_theory.many_images import each_piece
from gahb_theory.precision import takes_arrays
from gahb_theory.sweeps import Executor

__all__ = ["ShardedJacobian", "sharded_jacobian"]

LINES = 8
"""Lines of the output in a piece: fewer would cut the blocks of pixels whose rows are computed together."""
BYTES = 128e6
"""The most that one piece holds."""

Rows = tuple[int, int]


@dataclass(frozen=True, eq=False)
class ShardedJacobian:
    """The rows of J that were computed, and what went wrong with the others.

    Parameters
    ----------
    matrix
        J, shape (d_out, d_in), on the CPU; rows that failed are NaN.
    failures
        What went wrong, by (first row, row behind the last).
    operator
        The Jacobian whose rows these are.

    See Also
    --------
    gahb_theory.jacobians.sharded_jacobian
    """

    matrix: Float[Tensor, "d_out d_in"]
    failures: Mapping[Rows, str]
    operator: Jacobian

    def jacobian(self) -> Jacobian:
        """The Jacobian, which holds its matrix: eigenbasis, singular vectors and the rest start from it.

        Raises
        ------
        ValueError
            If rows are missing.
        """
        if self.failures:
            raise ValueError(f"{_said(self.failures)}. Mend it and call sharded_jacobian again")
        self.operator._hold(self.matrix.to(self.operator.device))
        return self.operator

    def __repr__(self) -> str:
        missing = sum(stop - first for first, stop in self.failures)
        return f"ShardedJacobian of shape {tuple(self.matrix.shape)}, {missing} rows missing"


@takes_arrays
def sharded_jacobian(
    f: Denoiser,
    y: Float[Tensor, "1 c h w"],
    sigma: float | Tensor,
    executor: Executor | int | None = None,
    *,
    folder: str | Path | None = None,
    rows: int | None = None,
    chunk: int | None = None,
    budget: float = 1e9,
) -> ShardedJacobian:
    """The matrix of `jacobian(f, y, sigma)`, its rows spread over processes or machines.

    Parameters
    ----------
    f, y, sigma, chunk, budget
        As in `jacobian`, which each piece calls; f and y are sent to the workers, and must be on a device that they have.
    executor
        As in `map_images`: None, a number of worker processes, or anything with `submit`, such as a Dask client.
    folder
        Where pieces are stored as they come, under the hash of f, y, sigma and their rows, so that the same call goes on
        after any end. Workers must see it.
    rows
        Rows in a piece. By default eight lines of the output, and no more than 128 MB.

    Returns
    -------
    All rows in their order. In memory there is the matrix and, beside it, one piece for each worker. It is the matrix of
    `jacobian` up to rounding: where rows are computed in other batches, sums are added in another order. The same pieces
    give the same bits, whatever the executor, where workers compute with equally many threads on equal processors.

    Raises
    ------
    TypeError, ValueError, RuntimeError
        As `jacobian`, at once, before any piece is begun; as `map_images` for what concerns `executor` and `folder`.

    Warns
    -----
    UserWarning
        If pieces have failed: which rows, and why.

    See Also
    --------
    gahb_theory.jacobian, gahb_theory.map_images

    Examples
    --------
    >>> import torch
    >>> f = lambda y, sigma: y.flip(-1) / 2
    >>> J = sharded_jacobian(f, torch.rand(1, 1, 4, 4), 0.1, rows=6)
    >>> J
    ShardedJacobian of shape (16, 16), 0 rows missing
    >>> J.jacobian().eigenbasis().eigenvalues.sum() == J.matrix.trace()
    tensor(True)
    """
    J = jacobian(f, y, sigma, chunk=chunk, budget=budget)
    d_out, d_in = J.shape
    if rows is None:
        row = d_in * torch.finfo(J.dtype).bits // 8
        rows = max(1, min(LINES * J.output_shape[-1], int(BYTES / row)))
    size = validate.integer(rows, "rows", 1)
    pieces = [(first, min(d_out, first + size)) for first in range(0, d_out, size)]
    measure = partial(_piece, y=y.detach(), sigma=validate.sigma_level(sigma), chunk=chunk, budget=float(budget))
    matrix = torch.full((d_out, d_in), float("nan"), dtype=J.dtype, device="cpu")
    failures: dict[Rows, str] = {}
    for i, outcome in each_piece(measure, f, pieces, executor, folder=folder, unit="piece of rows"):
        if isinstance(outcome, str):
            failures[pieces[i]] = outcome
        else:
            matrix[slice(*pieces[i])] = torch.from_numpy(outcome["value"]).to(J.dtype)
    failures = dict(sorted(failures.items()))
    if failures:
        warnings.warn(_said(failures), stacklevel=2)
    return ShardedJacobian(matrix, failures, J)


def _piece(f: Any, rows: Rows, *, y: Tensor, sigma: float, chunk: int | None, budget: float) -> Tensor:
    """Rows `rows[0]` to `rows[1]` of the Jacobian."""
    part = jacobian(f, y, sigma, chunk=chunk, budget=budget).rows(range(*rows))
    return part if part.dtype in (torch.float32, torch.float64) else part.float()  # which numpy has, exactly


def _said(failures: Mapping[Rows, str]) -> str:
    (first, stop), message = next(iter(failures.items()))
    more = "" if len(failures) == 1 else f" ({len(failures)} pieces failed)"
    return f"rows {first} to {stop - 1} failed: {message}{more}"
