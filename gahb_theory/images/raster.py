"""Exact area coverage of pixels by regions: below a graph, inside a polygon, inside an ellipse.

For a contour y = C(x), rows counted downwards, the coverage of pixel (i, j) is the area of {y > C(x)} inside it,

    m_ij = 1 - integral over the column j of clamp(C(x) - i, 0, 1) dx .

C is taken piecewise linear between sub-column ends, and the integral of each piece is exact. Inside a closed curve, by
the theorem of Green,

    m_ij = integral over the curve, within the row i, of clamp(x - j, 0, 1) dy :

the curve is cut where it meets a grid line, and each piece adds its integral of x - j to its own pixel and that of 1 to
all pixels on its left.
"""

import math

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "area_below",
    "area_inside",
    "area_of_ellipses",
    "blurred",
    "ellipse_arcs",
    "own_pixels",
    "polygon_pieces",
    "subdivided",
]


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
    column = torch.arange(points, device=contour.device).div(per, rounding_mode="floor")
    place = torch.arange(n, device=contour.device)[:, None] * (size + 1) * size + column
    flat, position = rows.view(-1), (first.long() * size).add_(place)
    inverse_width = (high - low).clamp_(min=torch.finfo(low.dtype).tiny).reciprocal_()
    upper = _mean_excess(low, high, inverse_width, first)
    spans = int((high.clamp(0, size) - first).max().ceil())
    for offset in range(spans):
        lower = _mean_excess(low, high, inverse_width, first + (offset + 1))
        # a piece that has left the image at the bottom adds to the last row, which is cut off
        bottom = place + size * size
        flat.scatter_add_(0, torch.minimum(position + offset * size, bottom).view(-1), (upper - lower).view(-1))
        upper = lower
    # rows wholly above a piece are covered by it: add each piece to all rows before its first, all but those that began
    starts = torch.zeros_like(rows)
    starts.view(-1).scatter_add_(0, position.view(-1), torch.ones_like(low).view(-1))
    above = rows[:, :size].add_(starts.cumsum_(1)[:, :size].neg_().add_(per)).div_(per)
    return (1 - above).clamp_(0, 1)


def _mean_excess(low: Tensor, high: Tensor, inverse_width: Tensor, level: Tensor) -> Tensor:
    """Mean of (C - level)_+ over a piece where C runs linearly from low to high."""
    a, b = (low - level).clamp_(min=0), (high - level).clamp_(min=0)
    # the part of the piece above the level has the share min(1, b / (high - low)), and the mean (a + b) / 2
    return a.add_(b).mul_((b * inverse_width).clamp_(max=1)).mul_(0.5)


def area_inside(vertices: Float[Tensor, "n v 2"], size: int) -> Float[Tensor, "n size size"]:
    """Coverage of each pixel by the inside of closed polygons, in [0, 1].

    Parameters
    ----------
    vertices
        Row and column of the corners in pixels, from the top left corner of the image; they may lie outside of it. Exact
        for edges up to one pixel in each direction: divide longer ones, with `subdivided`.
    size
        Height and width of the image in pixels.

    Examples
    --------
    >>> import torch
    >>> square = torch.tensor([[[0.5, 0.5], [0.5, 1.5], [1.5, 1.5], [1.5, 0.5]]])
    >>> area_inside(square, 2)[0]
    tensor([[0.2500, 0.2500],
            [0.2500, 0.2500]])
    """
    row, column, rise, _, _ = polygon_pieces(vertices)
    return _accumulate(row, column, rise, rise * column, size).abs_().clamp_(max=1)


def polygon_pieces(vertices: Float[Tensor, "n v 2"]) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Cut the edges of polygons where they meet the grid: row and column of the middle, rise, run, place on the edge.

    Each of shape (n, 3 v); the place of the middle on its edge runs from 0 to 1.
    """
    start, end = vertices, vertices.roll(-1, dims=1)
    step = end - start
    line = torch.maximum(start.floor(), end.floor())  # the grid line an edge meets, if its ends lie in different cells
    meets = start.floor() != end.floor()
    at = torch.where(meets, (line - start) / torch.where(meets, step, 1.0), 1.0).clamp_(0, 1)
    low, high = at.amin(dim=2, keepdim=True), at.amax(dim=2, keepdim=True)
    cuts = torch.cat([torch.zeros_like(low), low, high, torch.ones_like(low)], dim=2)
    middle = (cuts[:, :, 1:] + cuts[:, :, :-1]) / 2
    share = cuts[:, :, 1:] - cuts[:, :, :-1]
    row, column = (torch.addcmul(start[:, :, d : d + 1], middle, step[:, :, d : d + 1]).flatten(1) for d in (0, 1))
    rise, run = ((share * step[:, :, d : d + 1]).flatten(1) for d in (0, 1))
    return row, column, rise, run, middle.flatten(1)


def subdivided(vertices: Float[Tensor, "n v 2"], pieces: int) -> Float[Tensor, "n m 2"]:
    """The same polygons with each edge divided into equal pieces."""
    t = torch.arange(pieces, dtype=vertices.dtype, device=vertices.device)[:, None] / pieces
    ends = vertices.roll(-1, dims=1)
    return torch.lerp(vertices[:, :, None], ends[:, :, None], t).flatten(1, 2)


def ellipse_arcs(
    parameters: Float[Tensor, "n 5"], size: int
) -> tuple[Float[Tensor, "n a"], Float[Tensor, "n a"], Float[Tensor, "n a"], Float[Tensor, "n a"]]:
    """Cut ellipses where they meet the lines of the pixel grid: first and last angle of each arc, its row and column.

    Parameters
    ----------
    parameters
        Row and column of the centre, the half-axes p and q in pixels, and the angle f from the row axis to the first:
        the points (row, column) = centre + p cos t (cos f, sin f) + q sin t (-sin f, cos f).
    size
        Height and width of the image in pixels.

    Returns
    -------
    Each of shape (n, 4 size + 5). Rows and columns are those of the middle of the arc, in pixels.
    """
    centre, axes = parameters[:, :2], parameters[:, 2:4]
    cosine, sine = parameters[:, 4].cos(), parameters[:, 4].sin()
    # row - c_0 = P_0 cos(t - T_0) and column - c_1 = P_1 cos(t - T_1)
    x = torch.stack([axes[:, 0] * cosine, axes[:, 0] * sine], dim=1)
    y = torch.stack([-axes[:, 1] * sine, axes[:, 1] * cosine], dim=1)
    amplitude, phase = torch.hypot(x, y), torch.atan2(y, x)
    lines = torch.arange(size + 1, dtype=parameters.dtype, device=parameters.device)
    # lines that do not meet the ellipse give arcs of no length
    half = ((lines - centre[:, :, None]) / amplitude[:, :, None]).clamp_(-1, 1).acos_()
    met = torch.cat([phase[:, :, None] - half, phase[:, :, None] + half], dim=2).flatten(1)
    met = torch.from_numpy(np.sort(met.remainder_(2 * math.pi).numpy(), axis=1))
    first = torch.cat([met[:, -1:] - 2 * math.pi, met], dim=1)
    last = torch.cat([met, met[:, -1:]], dim=1)
    middle = (first + last) / 2
    row, column = (centre[:, d, None] + amplitude[:, d, None] * torch.cos(middle - phase[:, d, None]) for d in (0, 1))
    return first, last, row, column


def area_of_ellipses(parameters: Float[Tensor, "n 5"], size: int) -> Float[Tensor, "n size size"]:
    """Coverage of each pixel by ellipses, in [0, 1]; the parameters are those of `ellipse_arcs`.

    Examples
    --------
    >>> import torch
    >>> area = area_of_ellipses(torch.tensor([[2.0, 2.0, 1.5, 1.0, 0.0]]), 4)
    >>> round(float(area.sum()), 4)  # pi p q
    4.7124
    """
    first, last, row, column = ellipse_arcs(parameters, size)
    p, q, f = parameters[:, 2:3], parameters[:, 3:4], parameters[:, 4:5]
    a, b = p * f.cos(), -q * f.sin()  # row = c_0 + a cos t + b sin t
    e, g = p * f.sin(), q * f.cos()  # column = c_1 + e cos t + g sin t
    c_1, s_1, c_2, s_2 = first.cos(), first.sin(), last.cos(), last.sin()
    rise = a * (c_2 - c_1) + b * (s_2 - s_1)
    # integral of (e cos t + g sin t) d(a cos t + b sin t)
    squares, mixed = s_2**2 - s_1**2, s_2 * c_2 - s_1 * c_1
    turn = last - first
    swept = (b * g - a * e) * squares / 2 + b * e * (turn + mixed) / 2 - a * g * (turn - mixed) / 2
    return _accumulate(row, column, -rise, -(parameters[:, 1:2] * rise + swept), size).clamp_(0, 1)


def own_pixels(
    row: Float[Tensor, "n a"], column: Float[Tensor, "n a"], values: Float[Tensor, "n k a"], size: int
) -> Float[Tensor, "n k size size"]:
    """Add each value to the pixel its piece of a curve lies in; pieces outside of the image are left out."""
    n, k, pieces = values.shape
    i, j = row.floor(), column.floor()
    inside = (i >= 0) & (i < size) & (j >= 0) & (j < size)
    place = torch.where(inside, i * size + j, size**2).long()
    out = torch.zeros(n, k, size**2 + 1, dtype=values.dtype, device=values.device)
    out.scatter_add_(2, place[:, None].expand(n, k, pieces), values)
    return out[:, :, :-1].reshape(n, k, size, size)


def _accumulate(row: Tensor, column: Tensor, rise: Tensor, swept: Tensor, size: int) -> Tensor:
    """Signed coverage from pieces of a curve that lie each in one pixel: integral of dy and of x dy along each."""
    n, width = row.shape[0], size + 3
    i, j = row.floor().clamp_(-1, size), column.floor().clamp_(-1, size)
    # on the left of the image a piece covers nothing, on its right it covers the whole row
    share = torch.where(j < 0, 0.0, torch.where(j >= size, rise, swept - j * rise))
    # the rises in a row sum to 0, so that those on the right of a pixel are minus those on its left and in it: running
    # sums of own - rise at the pixel itself, and of -own at the next, give own plus all rises on the right
    cells = torch.zeros(n, size + 2, width, dtype=row.dtype, device=row.device)
    image = torch.arange(n, device=row.device)[:, None] * ((size + 2) * width)
    place = i.add_(1).mul_(width).add_(j).add_(1).long().add_(image).view(-1)
    flat = cells.view(-1)
    flat.scatter_add_(0, place, (share - rise).view(-1))
    flat.scatter_add_(0, place.add_(1), share.neg_().view(-1))
    return cells.cumsum_(dim=2)[:, 1:-1, 1 : size + 1]


def blurred(x: Float[Tensor, "n c h w"], deviation: float) -> Float[Tensor, "n c h w"]:
    """Images blurred by a Gaussian of the given standard deviation in pixels, continued by reflection."""
    from scipy.ndimage import gaussian_filter

    reach = max(1, math.ceil(4 * deviation))
    return torch.from_numpy(gaussian_filter(x.numpy(), deviation, mode="reflect", radius=reach, axes=(2, 3)))
