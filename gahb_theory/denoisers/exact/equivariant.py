"""The equivariant local machines: optimal denoisers that see a patch and must do the same everywhere.

A network whose output pixel sees only a P x P patch, and which treats all places alike, is at its best

    f_i(y) = sum_(n,j) w_nj x_n,j ,        w = softmax_(n,j)( -||y_P(i) - x_n,P(j)||^2 / (2 sigma^2) ) ,

the sum over all places j of all training images. This is the equivariant local score machine of Kamb and Ganguli (ICML
2025), which predicts what trained CNNs make of their training images; see also Niedoba et al. (2024). Zeros beyond the
image break the equivariance near the border: they carry no noise, so that a network that sees them knows how far away the
border is. The optimum then compares y_P(i) with those patches alone that reach as far beyond the border on every side,

    j ~ i   if   min(r, distance to each of the four sides) is the same at i and at j,        r = (P - 1) / 2

(the boundary-broken machine of the same authors). In the interior it is the equivariant one without the patches of the
border; where the patch is twice the image it is `EmpiricalBayes`.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory.denoisers.exact.finite_sums import Atoms, posterior_mean, precise
from gahb_theory.denoisers.exact.patches import BUDGET, PatchMachine, PatchSchedule
from gahb_theory.precision import takes_arrays

__all__ = ["BoundaryBrokenPatchBayes", "EquivariantPatchBayes"]

QUERIES = 2**14


class EquivariantPatchBayes(PatchMachine):
    """The equivariant local machine: every pixel is a mean over all pixels of all training images, weighted by patches.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    patch
        Odd side of the patch, or a schedule of sides over noise levels; see `calibrate_patches`.
    boundary
        What a patch sees beyond the image: "zero" or "circular". Zeros are compared as if they were intensities; see
        `BoundaryBrokenPatchBayes` for what a network with zero padding can do.
    budget
        Bytes for what is computed at a time.

    References
    ----------
    M. Kamb, S. Ganguli, An analytic theory of creativity in convolutional diffusion models, ICML 2025.

    Examples
    --------
    It knows a training image wherever it has been moved to:

    >>> import torch
    >>> images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> moved = images[:1].roll((3, 2), (2, 3))
    >>> EquivariantPatchBayes(images, patch=3, boundary="circular")(moved, 0.01).allclose(moved, atol=1e-3)
    True
    """

    def _groups(self, size: int) -> list[Tensor]:
        """The places of an image, one behind the other, in groups that are compared with each other."""
        height, width = self.images.shape[2:]
        return [torch.arange(height * width, device=self.images.device)]

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        n, channels = y.shape[:2]
        groups = self._groups(size)
        parts = []
        for places in groups:
            queries = self._patches(precise(y), size, places)
            level = sigma.expand(n, 1, 1, 1).reshape(n, 1).repeat_interleave(len(places), dim=0)
            means = [
                posterior_mean(q, self._atoms(size, places, len(q)), s).mean
                for q, s in zip(torch.split(queries, QUERIES), torch.split(level, QUERIES), strict=True)
            ]
            parts.append(torch.cat(means).reshape(n, len(places), channels))
        back = torch.argsort(torch.cat(groups))
        return torch.cat(parts, dim=1)[:, back].mT.reshape(y.shape).to(y.dtype)

    def _jacobian(self, y: Tensor, sigma: float, size: int) -> Tensor:
        d, channels = y.numel(), y.shape[1]
        pixels = torch.arange(d, dtype=y.dtype, device=y.device).reshape(y.shape)
        level = torch.full((1, 1), sigma, dtype=precise(y).dtype, device=y.device)
        result = torch.zeros(channels, d // channels, d, dtype=level.dtype, device=y.device)
        for places in self._groups(size):
            sources = self._patches(pixels, size, places, beyond=-1.0).long()
            queries = self._patches(precise(y), size, places)
            extent = queries.shape[1]
            moments = posterior_mean(queries, self._products(size, places, len(places)), level).mean
            middle, patch, product = torch.split(moments, [channels, extent, channels * extent], dim=1)
            covariance = product.reshape(-1, channels, extent) - middle[:, :, None] * patch[:, None]
            covariance = (covariance * (sources >= 0)[:, None] / sigma**2).transpose(0, 1)
            rows = torch.zeros(channels, len(places), d, dtype=level.dtype, device=y.device)
            rows.scatter_add_(2, sources.clamp(min=0).expand_as(covariance), covariance)
            result[:, places] = rows
        return result.reshape(d, d)

    def _patches(self, x: Tensor, size: int, places: Tensor, beyond: float = 0.0) -> Float[Tensor, "m p"]:
        """The patches around some places, one a row, those of one image after the other."""
        padded = self.pad(x, size, beyond)
        width, row = x.shape[3], padded.shape[3]
        offsets = torch.arange(size, device=x.device)
        window = (offsets[:, None] * row + offsets).flatten()
        first = torch.div(places, width, rounding_mode="floor") * row + places % width
        return padded.flatten(2)[:, :, first[:, None] + window].transpose(1, 2).flatten(2).flatten(0, 1)

    def _atoms(self, size: int, places: Tensor, queries: int, numbers: int = 0) -> Iterator[Atoms]:
        """Patches of the training images around the places, with their middles as values, in chunks."""
        n, channels = self.images.shape[:2]
        each = 8 * (channels * size**2 + channels + numbers + 3 * queries)
        rows = max(1, self.budget // each)
        images = max(1, rows // len(places))
        for start in range(0, n, images):
            part = self.images[start : start + images]
            points = self._patches(part, size, places)
            values = part.flatten(2)[:, :, places].transpose(1, 2).flatten(0, 1)
            for a, b in zip(torch.split(points, rows), torch.split(values, rows), strict=True):
                yield Atoms(a, b, torch.zeros(len(a), dtype=a.dtype, device=a.device))

    def _products(self, size: int, places: Tensor, queries: int) -> Iterator[Atoms]:
        """The same patches; values: the middle, the patch, and the products of the two."""
        channels = self.images.shape[1]
        for points, values, prior in self._atoms(size, places, queries, 2 * (channels + 1) * channels * size**2):
            a, b = precise(points), precise(values)
            yield Atoms(a, torch.cat([b, a, (b[:, :, None] * a[:, None]).flatten(1)], dim=1), prior)


class BoundaryBrokenPatchBayes(EquivariantPatchBayes):
    """The equivariant local machine of a network with zero padding: patches are compared where the border is as near.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    patch
        Odd side of the patch, or a schedule of sides over noise levels; see `calibrate_patches`.
    budget
        Bytes for what is computed at a time.

    References
    ----------
    M. Kamb, S. Ganguli, An analytic theory of creativity in convolutional diffusion models, ICML 2025.

    Examples
    --------
    White frames of a training set stay at the border, though the middle of the noisy image is as white:

    >>> import torch
    >>> frame = torch.nn.functional.pad(torch.zeros(1, 1, 6, 6), (1, 1, 1, 1), value=1.0)
    >>> f = BoundaryBrokenPatchBayes(frame, patch=3)
    >>> f(torch.full((1, 1, 8, 8), 0.9), 0.3)[0, 0, 4].round(decimals=2)
    tensor([1., 0., 0., 0., 0., 0., 0., 1.])
    """

    @takes_arrays
    def __init__(self, images: Float[Tensor, "N c h w"], patch: int | PatchSchedule, budget: int = BUDGET) -> None:
        super().__init__(images, patch, "zero", budget)

    def _groups(self, size: int) -> list[Tensor]:
        height, width = self.images.shape[2:]
        rows, columns = (_distances(side, size // 2, self.images.device) for side in (height, width))
        kind = (rows[:, None] * (columns.max() + 1) + columns).flatten()
        return [torch.nonzero(kind == k).flatten() for k in torch.unique(kind).tolist()]


def _distances(side: int, r: int, device: torch.device) -> Tensor:
    """One number for each pair (distance to the near end, distance to the far end), both cut off at `r`."""
    i = torch.arange(side, device=device)
    return i.clamp(max=r) * (r + 1) + (side - 1 - i).clamp(max=r)
