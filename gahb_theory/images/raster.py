"""Exact area coverage of pixels by the region below a contour.

For a contour y = C(x), rows counted downwards, the coverage of pixel (i, j) is the area of {y > C(x)} inside it,

    m_ij = 1 - integral over the column j of clamp(C(x) - i, 0, 1) dx .

C is taken piecewise linear between sub-column ends, and the integral of each piece is exact.
"""

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["area_below"]


def area_below(contour: Float[Tensor, "n points"], size: int) -> Float[Tensor, "n size size"]:
    """Coverage of each pixel by the region below a contour, in [0, 1].

    Parameters
    ----------
    contour
        Heights in pixels from the top, at the centres of equal sub-columns; the number of points is a multiple of
        `size`. Heights above the image (negative) or below it (larger than `size`) are allowed: the region fills the
        column or leaves it empty.
    size
        Height and width of the image in pixels.

    Examples
    --------
    >>> import torch
    >>> area_below(torch.full((1, 4), 0.25), 2)[0]
    tensor([[0.7500, 0.7500],
            [1.0000, 1.0000]])
    """
    n, points = contour.shape
    per = points // size
    # ends of the linear pieces: mid-points between sub-column centres, reflected at the border
    inner = (contour[:, 1:] + contour[:, :-1]) / 2
    ends = torch.cat([2 * contour[:, :1] - inner[:, :1], inner, 2 * contour[:, -1:] - inner[:, -1:]], dim=1)
    low = torch.minimum(ends[:, 1:], ends[:, :-1])
    high = torch.maximum(ends[:, 1:], ends[:, :-1])
    first = low.floor().clamp(0, size)
    # area above the contour: row r of a piece holds E(r) - E(r + 1), where E(r) is the mean of (C - r)_+ over the piece
    rows = torch.zeros(n, size + 1, size, dtype=contour.dtype, device=contour.device)
    column = torch.arange(points, device=contour.device).div(per, rounding_mode="floor").expand(n, points)
    image = torch.arange(n, device=contour.device)[:, None].expand(n, points)
    upper = _mean_excess(low, high, first)
    spans = int((high.clamp(0, size) - first).max().ceil())
    for offset in range(spans):
        row = first + offset
        lower = _mean_excess(low, high, row + 1)
        rows.index_put_((image, row.long().clamp(max=size), column), (upper - lower) / per, accumulate=True)
        upper = lower
    rows = rows[:, :size]
    # rows wholly above a piece are covered by it: add each piece to all rows before its first
    starts = torch.zeros(n, size + 1, size, dtype=contour.dtype, device=contour.device)
    starts.index_put_((image, first.long(), column), torch.ones_like(low) / per, accumulate=True)
    above = rows + starts.flip(1).cumsum(1).flip(1)[:, 1:]
    return (1 - above).clamp(0, 1)


def _mean_excess(low: Tensor, high: Tensor, level: Tensor) -> Tensor:
    """Mean of (C - level)_+ over a piece where C runs linearly from low to high."""
    middle = (low + high) / 2 - level
    width = (high - low).clamp(min=torch.finfo(low.dtype).tiny)
    crossing = (high - level).clamp(min=0) ** 2 / (2 * width)
    return torch.where(low >= level, middle, torch.where(high <= level, torch.zeros_like(low), crossing))
