"""Wedgelets: piecewise-constant images on a quadtree whose squares may be cut by a line (Donoho 1999).

Each dyadic square holds one constant, or two on the sides of a line. For a threshold T the partition minimises

    ||x - x_P||^2 + T^2 (number of constants + lambda number of lines),

over all quadtrees and lines, exactly, from small squares to large ones. x_P is the orthogonal projection of x on the
functions that are constant on each piece, so a partition of m pieces has, at noise level sigma,

    E ||y_P - x||^2 = ||x - x_P||^2 + m sigma^2 .

For two constants separated by a C^alpha contour, 1 <= alpha <= 2, the best partition of m pieces has an error of the
order m^-alpha; in smooth regions it is no better than m^-1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.bandlet import doubled_sizes, price
from gahb_theory.bases.flows import FlowBank
from gahb_theory.bases.quadtree import best_quadtree
from gahb_theory.bases.squares import cut, paste

__all__ = ["WedgeletPartition", "Wedgelets"]

CHUNK = 2**19


@dataclass(frozen=True, eq=False)
class WedgeletPartition:
    """Partitions of a batch of images into pieces; it projects images on the functions constant on each piece.

    Parameters
    ----------
    labels
        Name of the piece of each pixel, shape (n, channels, height, width): 0 .. pieces - 1 in each image, with gaps.
    pieces
        Number of pieces of each image, over all channels, shape (n,).
    """

    labels: Int[Tensor, "n c h w"]
    pieces: Int[Tensor, " n"]

    def project(self, y: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Replace each pixel by the mean of its piece."""
        validate.images(y, "y")
        if y.shape != self.labels.shape:
            raise ValueError(
                f"this partition is that of images of shape {tuple(self.labels.shape)}, got {tuple(y.shape)}; "
                "find the partition of images of the same shape and number"
            )
        names = self.labels.to(y.device).flatten(1)
        flat = y.flatten(1)
        zeros = torch.zeros_like(flat)
        sums = zeros.scatter_add(1, names, flat)
        counts = zeros.scatter_add(1, names, torch.ones_like(flat))
        return (sums / counts.clamp(min=1)).gather(1, names).reshape(y.shape)

    def oracle_mse(self, x: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, " n"]:
        """Risk ||x - x_P||^2 + m sigma^2 of the projection of noisy images, for partitions that do not see the noise."""
        validate.images(x, "x")
        level = validate.batch_sigma(sigma, x).flatten()
        bias = (x - self.project(x)).square().sum(dim=(1, 2, 3))
        return bias + self.pieces.to(x) * level.square()


@dataclass(frozen=True)
class Wedgelets:
    """A dictionary of piecewise-constant partitions.

    Parameters
    ----------
    sizes
        Sides of the squares, powers of two, each the double of the one before; the largest divides both sides of the
        image.
    penalty
        lambda, the price of a line in constants: it has two parameters.

    References
    ----------
    D. L. Donoho, Wedgelets: nearly minimax estimation of edges, Annals of Statistics, 1999.

    Examples
    --------
    >>> import torch
    >>> x = (torch.arange(16.0)[:, None] > 0.4 * torch.arange(16.0) + 4.2).float()[None, None]
    >>> partition = Wedgelets(sizes=(4, 8, 16)).at(x, threshold=0.1)
    >>> partition.pieces, bool(torch.allclose(partition.project(x), x))
    (tensor([2]), True)
    """

    sizes: tuple[int, ...] = (2, 4, 8, 16)
    penalty: float = 2.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", doubled_sizes(self.sizes))
        object.__setattr__(self, "penalty", price(self.penalty))
        for size in self.sizes:
            if FlowBank(size).is_dense:
                raise ValueError(f"sizes must be powers of two, got {size}")

    def at(self, x: Float[Tensor, "n c h w"], threshold: float | Tensor) -> WedgeletPartition:
        """Return the best partition of each channel of each image at the threshold T, a number or shape (batch,)."""
        validate.images(x, "x")
        largest = self.sizes[-1]
        if x.shape[-2] % largest or x.shape[-1] % largest:
            raise ValueError(
                f"the largest square, {largest}, must divide both sides of the images, got {x.shape[-2]} x {x.shape[-1]}"
            )
        with torch.no_grad():
            unit = validate.batch_threshold(threshold, x).square()
            costs, chosen = {}, {}
            for size in self.sizes:
                squares = cut(x, size, size).flatten(-2)
                grid = squares.shape[:-1]
                energy = squares.square().sum(dim=-1)
                one = squares.sum(dim=-1).square() / size**2
                two, line = (part.reshape(grid) for part in _best_line(squares.reshape(-1, size * size)))
                with_line = energy - two + (2 + self.penalty) * unit
                constant = energy - one + unit
                chosen[size] = torch.where(with_line < constant, line + 1, 0)
                costs[size] = torch.minimum(with_line, constant)
            _, leaves = best_quadtree(costs, 0.0)
            labels, pieces = (
                torch.zeros_like(x, dtype=torch.int64),
                torch.zeros(len(x), dtype=torch.int64, device=x.device),
            )
            place = torch.arange(x[0].numel(), device=x.device).reshape(x.shape[1:])
            for size in self.sizes:
                lines = chosen[size]
                corner = cut(place, size, size)[..., 0, 0].expand_as(lines)
                # a piece is named by the first pixel of its square, the second piece by the one beside it
                second = _second_piece(lines.flatten(), size).reshape(*lines.shape, size, size)
                names = paste(corner[..., None, None] + second)
                mask = leaves[size][..., None, None].expand(*lines.shape, size, size)
                labels = torch.where(paste(mask), names, labels)
                pieces = pieces + (leaves[size] * (1 + (lines > 0))).flatten(1).sum(dim=1)
        return WedgeletPartition(labels, pieces)


def _best_line(squares: Tensor) -> tuple[Tensor, Tensor]:
    """Largest energy that two constants on the sides of a line keep, and the line: flow * s^2 + pixels on one side - 1."""
    n, pixels = squares.shape
    orders = torch.from_numpy(FlowBank(int(pixels**0.5)).orders).to(squares.device)
    count = torch.arange(1, pixels, dtype=squares.dtype, device=squares.device)
    best = torch.full((n,), -torch.inf, dtype=squares.dtype, device=squares.device)
    line = torch.zeros(n, dtype=torch.int64, device=squares.device)
    height = max(1, CHUNK // pixels)
    for top in range(0, n, height):
        part = squares[top : top + height]
        total = part.sum(dim=1, keepdim=True)
        for flow, order in enumerate(orders):
            first = part[:, order].cumsum(dim=1)[:, :-1]
            energy = first.square() / count + (total - first).square() / (pixels - count)
            value, place = energy.max(dim=1)
            better = value > best[top : top + height]
            best[top : top + height] = torch.where(better, value, best[top : top + height])
            line[top : top + height] = torch.where(better, flow * pixels + place, line[top : top + height])
    return best, line


def _second_piece(lines: Tensor, size: int) -> Tensor:
    """1 for the pixels of the second piece of each square, else 0, shape (squares, s^2); all 0 without a line."""
    pixels = size * size
    ranks = torch.from_numpy(FlowBank(size).orders.argsort(axis=1)).to(lines.device)
    index = (lines - 1).clamp(min=0)
    side = ranks[index // pixels] > (index % pixels)[:, None]
    return (side & (lines > 0)[:, None]).to(torch.int64)
