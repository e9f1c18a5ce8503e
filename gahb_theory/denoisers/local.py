"""Optimal denoisers under the constraints of a convolutional network: locality and equivariance.

A network whose output pixel sees only a P x P patch, and which may do something else at every place, is at its best

    f_i(y) = sum_n w_n x_n,i ,       w = softmax_n( -||y_P(i) - x_n,P(i)||^2 / (2 sigma^2) ),        (local)

and one that must do the same everywhere compares with the patches of all places,

    f_i(y) = sum_(n,j) w_nj x_n,j ,  w = softmax_(n,j)( -||y_P(i) - x_n,P(j)||^2 / (2 sigma^2) ) .   (local, equivariant)

The second is the equivariant local score machine of Kamb and Ganguli (ICML 2025), which predicts what trained CNNs make
of their training images; see also Niedoba et al. (2024). Both are `EmpiricalBayes` where the patch is the image. A third
takes its neighbourhoods from the data: the pixels that row i of the Wiener filter Sigma (Sigma + sigma^2 Id)^-1 looks at
(Lukoianov, Yuan, Solomon and Sitzmann, NeurIPS 2025). Patches that reach beyond the image see zeros, which carry no
noise, or, for boundary="circular", the other side.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.posterior import Atoms, posterior_mean, precise

__all__ = ["EquivariantPatchBayes", "PatchBayes", "PatchSchedule", "WienerPatchBayes", "calibrate_patches"]

BUDGET, QUERIES = 2**28, 2**14
Boundary = Literal["zero", "circular"]


@dataclass(frozen=True)
class PatchSchedule:
    """The side of the patch as a function of the noise level: that of the nearest level, in the logarithm.

    Parameters
    ----------
    sigmas
        Noise levels, above 0.
    sizes
        Odd side of the patch at each.
    """

    sigmas: tuple[float, ...]
    sizes: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(self.sigmas) != len(self.sizes) or not self.sizes or any(s <= 0 for s in self.sigmas):
            raise ValueError(f"sigmas and sizes must pair positive levels with sides, got {self.sigmas}, {self.sizes}")
        for size in self.sizes:
            _odd(size)

    def __call__(self, sigma: float) -> int:
        """The side of the patch at one noise level."""
        return self.sizes[min(range(len(self.sizes)), key=lambda i: abs(math.log(self.sigmas[i] / sigma)))]


class _Patches(DenoiserModule):
    images: Tensor

    def __init__(
        self,
        images: Float[Tensor, "N c h w"],
        patch: int | PatchSchedule,
        boundary: Boundary = "zero",
        budget: int = BUDGET,
    ) -> None:
        super().__init__()
        validate.images(images)
        if boundary not in ("zero", "circular"):
            raise ValueError(f'boundary must be "zero" or "circular", got {boundary!r}')
        self.schedule = PatchSchedule((1.0,), (_odd(patch),)) if isinstance(patch, int) else patch
        if max(self.schedule.sizes) > 2 * min(images.shape[2:]) - 1:
            raise ValueError(f"patches of side {max(self.schedule.sizes)} are too large for {tuple(images.shape[2:])}")
        self.boundary, self.budget = boundary, validate.integer(budget, "budget", 2**10)
        self.register_buffer("images", images.detach())
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The constrained posterior mean of each image."""
        validate.same_device(self.images, y, "the set of this denoiser")
        if y.shape[1:] != self.images.shape[1:]:
            raise ValueError(
                f"this denoiser knows images of shape {tuple(self.images.shape[1:])}, got {tuple(y.shape[1:])}"
            )
        if len(self.schedule.sizes) == 1 or len(sigma) == 1:
            return self._at(y, sigma, self.schedule(float(sigma[0])))
        sizes = torch.tensor([self.schedule(s) for s in sigma.flatten().tolist()])
        result = torch.empty_like(y)
        for size in sorted(set(sizes.tolist())):
            mine = torch.nonzero(sizes == size).flatten().to(y.device)
            result = result.index_copy(0, mine, self._at(y[mine], sigma[mine], size))
        return result

    def _pad(self, x: Tensor, size: int) -> Tensor:
        r = size // 2
        return nn.functional.pad(x, (r, r, r, r), mode="circular" if self.boundary == "circular" else "constant")

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        raise NotImplementedError


class PatchBayes(_Patches):
    """The optimal local denoiser: every pixel is a mean over the training images at its place, weighted by its patch.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    patch
        Odd side of the patch, or a schedule of sides over noise levels; see `calibrate_patches`.
    boundary
        What a patch sees beyond the image: "zero" or "circular".
    budget
        Bytes for what is computed at a time.

    Examples
    --------
    >>> import torch
    >>> images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> PatchBayes(images, patch=3)(images[:1], 0.01).allclose(images[:1], atol=1e-3)
    True
    """

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        def distances(difference: Tensor) -> Tensor:
            squared = difference.square().sum(dim=2)
            windows = nn.functional.avg_pool2d(self._pad(squared, size), size, stride=1, divisor_override=1)
            return windows[:, :, None]

        return _pixelwise(y, self.images, sigma, distances, self.budget)


class EquivariantPatchBayes(_Patches):
    """The equivariant local machine: every pixel is a mean over all pixels of all training images, weighted by patches.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    patch
        Odd side of the patch, or a schedule of sides over noise levels; see `calibrate_patches`.
    boundary
        What a patch sees beyond the image: "zero" or "circular". With zeros the machine tells places near the border
        apart, as a network with zero padding does.
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

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        n, channels, height, width = y.shape
        queries = self._unfold(precise(y), size)
        level = sigma.expand(n, 1, 1, 1).reshape(n, 1).repeat_interleave(height * width, dim=0)
        means = [
            posterior_mean(q, self._atoms(size, len(q)), s).mean
            for q, s in zip(torch.split(queries, QUERIES), torch.split(level, QUERIES), strict=True)
        ]
        return torch.cat(means).reshape(n, height, width, channels).permute(0, 3, 1, 2).to(y.dtype)

    def _unfold(self, x: Tensor, size: int) -> Tensor:
        """All patches, one a row, places of one image after the other."""
        return nn.functional.unfold(self._pad(x, size), size).transpose(1, 2).flatten(0, 1)

    def _atoms(self, size: int, queries: int) -> Iterator[Atoms]:
        n, channels, height, width = self.images.shape
        each = 8 * (channels * size**2 + channels + 3 * queries)
        rows = max(1, self.budget // each)
        images = max(1, rows // (height * width))
        for start in range(0, n, images):
            part = self.images[start : start + images]
            points, values = self._unfold(part, size), part.permute(0, 2, 3, 1).reshape(-1, channels)
            for a, b in zip(torch.split(points, rows), torch.split(values, rows), strict=True):
                yield Atoms(a, b, torch.zeros(len(a), dtype=a.dtype, device=a.device))


class WienerPatchBayes(DenoiserModule):
    """The local denoiser whose neighbourhoods are read off the covariance of the data.

    Pixel i compares the noisy image with the training images on the pixels j where row i of the Wiener filter at sigma is
    at least `threshold` of its largest entry in absolute value.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    threshold
        Between 0 (all pixels: `EmpiricalBayes`) and 1 (the pixel itself).
    budget
        Bytes for what is computed at a time.

    References
    ----------
    A. Lukoianov, C. Yuan, J. Solomon, V. Sitzmann, Locality in image diffusion models emerges from data statistics,
    NeurIPS 2025.

    Examples
    --------
    >>> from gahb_theory.images import CAlpha
    >>> f = WienerPatchBayes(CAlpha(size=8).sample(50))
    >>> f.mask(0.1).shape
    torch.Size([64, 64])
    """

    images: Tensor
    variances: Tensor
    atoms: Tensor

    def __init__(self, images: Float[Tensor, "N c h w"], threshold: float = 0.02, budget: int = BUDGET) -> None:
        super().__init__()
        from gahb_theory.bases.pca import PCA

        basis = PCA.fit(images)
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold must lie in [0, 1], got {threshold}")
        self.threshold, self.budget = float(threshold), validate.integer(budget, "budget", 2**10)
        self.register_buffer("images", images.detach())
        self.register_buffer("variances", basis.variances)
        self.register_buffer("atoms", basis.atoms)
        self.eval()

    def sensitivity(self, sigma: float) -> Float[Tensor, "d d"]:
        """The Wiener filter Sigma (Sigma + sigma^2 Id)^-1: row i says how pixel i depends on every pixel of y."""
        gains = self.variances / (self.variances + validate.sigma_level(sigma) ** 2)
        return (self.atoms.mT * gains) @ self.atoms

    def mask(self, sigma: float) -> Float[Tensor, "d d"]:
        """1 where pixel i looks at pixel j, else 0."""
        size = self.sensitivity(sigma).abs()
        return (size >= self.threshold * size.amax(dim=1, keepdim=True)).to(size.dtype)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The constrained posterior mean of each image."""
        validate.same_device(self.images, y, "the set of this denoiser")
        if y.shape[1:] != self.images.shape[1:]:
            raise ValueError(
                f"this denoiser knows images of shape {tuple(self.images.shape[1:])}, got {tuple(y.shape[1:])}"
            )
        result = torch.empty_like(y)
        levels = sigma.flatten().expand(len(y))
        for level in sorted(set(levels.tolist())):
            mine = torch.nonzero(levels == level).flatten()
            mask = precise(self.mask(level))

            def distances(difference: Tensor, mask: Tensor = mask) -> Tensor:
                return (difference.square().flatten(2) @ mask.mT).reshape(difference.shape)

            part = _pixelwise(y[mine], self.images, torch.full_like(sigma[:1], level), distances, self.budget)
            result = result.index_copy(0, mine, part)
        return result


def calibrate_patches(
    f: Callable[[Tensor, float], Tensor],
    machine: Callable[[int], DenoiserModule],
    y: Callable[[float], Tensor],
    sigmas: Sequence[float],
    sizes: Sequence[int],
) -> PatchSchedule:
    """The side of the patch at which a local machine comes nearest to a denoiser, for each noise level.

    Parameters
    ----------
    f
        The denoiser to be explained, such as a trained network.
    machine
        Makes the local machine of a given side.
    y
        Noisy images at a given noise level.
    sigmas, sizes
        Noise levels, and the sides to try at each.

    Examples
    --------
    >>> from gahb_theory.images import CAlpha
    >>> from gahb_theory.randomness import add_noise
    >>> x = CAlpha(size=16).sample(6)
    >>> make = lambda side: PatchBayes(x[:4], side)
    >>> calibrate_patches(make(5), make, lambda s: add_noise(x[4:], s), [0.1, 0.5], [3, 5, 7]).sizes
    (5, 5)
    """
    chosen = []
    with torch.no_grad():
        for sigma in sigmas:
            noisy = y(sigma)
            target = f(noisy, sigma)
            errors = {size: float((machine(size)(noisy, sigma) - target).square().mean()) for size in sizes}
            chosen.append(min(errors, key=lambda size: errors[size]))
    return PatchSchedule(tuple(float(s) for s in sigmas), tuple(chosen))


def _pixelwise(y: Tensor, images: Tensor, sigma: Tensor, distances: Callable[[Tensor], Tensor], budget: int) -> Tensor:
    """Posterior means with weights of their own at each pixel; `distances` maps (n, b, c, h, w) to squared distances."""
    q, s2 = precise(y)[:, None], precise(sigma)[:, None].square()
    rows = max(1, budget // (8 * 4 * y.numel()))
    top: Tensor | None = None
    for part in torch.split(images, rows):
        x = precise(part)[None]
        logits = -distances(q - x) / (2 * s2)
        new = logits.detach().amax(dim=1, keepdim=True)
        new = new if top is None else torch.maximum(top, new)
        weights = (logits - new).exp()
        if top is None:
            mean, total = (weights * x).sum(dim=1), weights.sum(dim=1)
        else:
            scale = (top - new).exp()[:, 0]
            mean, total = mean * scale + (weights * x).sum(dim=1), total * scale + weights.sum(dim=1)
        top = new
    return (mean / total).to(y.dtype)


def _odd(size: int) -> int:
    validate.integer(size, "patch", 1)
    if size % 2 == 0:
        raise ValueError(f"patch must be odd, so that it has a middle, got {size}; take {size + 1}")
    return size
