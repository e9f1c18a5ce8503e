"""Optimal denoisers under the constraint of locality alone.

A network whose output pixel sees only a P x P patch, and which may do something else at every place, is at its best

    f_i(y) = sum_n w_n x_n,i ,       w = softmax_n( -||y_P(i) - x_n,P(i)||^2 / (2 sigma^2) ),        (local)

a mean over the training images at the same place. Another machine takes its neighbourhoods from the data: the pixels that
row i of the Wiener filter Sigma (Sigma + sigma^2 Id)^-1 looks at (Lukoianov, Yuan, Solomon and Sitzmann, NeurIPS 2025).
Both are `EmpiricalBayes` where the patch is the image. `equivariant` has the machines that do the same everywhere.
Patches that reach beyond the image see zeros, which carry no noise, or, for boundary="circular", the other side.
"""

from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import gain, precise, squared
from gahb_theory.denoisers.exact.patches import BUDGET, PatchMachine
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["PatchBayes", "WienerPatchBayes"]

Windows = Callable[[Tensor], Tensor]
"""Sums over the neighbourhood of each pixel, (n, b, c, h, w) to (n, b, 1 or c, h, w)."""


class PatchBayes(PatchMachine):
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
        return _pixelwise(y, self.images, sigma, self._windows(size), self.budget)

    def _jacobian(self, y: Tensor, sigma: float, size: int) -> Tensor:
        return _pixelwise_jacobian(y, self.images, sigma, self._windows(size), self.budget)

    def _windows(self, size: int) -> Windows:
        def windows(squared: Tensor) -> Tensor:
            padded = self.pad(squared.sum(dim=2), size)
            return nn.functional.avg_pool2d(padded, size, stride=1, divisor_override=1)[:, :, None]

        return windows


class WienerPatchBayes(DenoiserModule):
    """The local denoiser whose neighbourhoods come from the covariance of the data.

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

    @takes_arrays
    def __init__(self, images: Float[Tensor, "N c h w"], threshold: float = 0.02, budget: int = BUDGET) -> None:
        super().__init__()
        from gahb_theory.bases.pca import PCA

        basis = PCA.fit(images)
        self.threshold = validate.number(threshold, "threshold", least=0, most=1)
        self.budget = validate.integer(budget, "budget", 2**10)
        self.register_buffer("images", images.detach())
        self.register_buffer("variances", basis.variances)
        self.register_buffer("atoms", basis.atoms)
        self.eval()

    def sensitivity(self, sigma: float) -> Float[Tensor, "d d"]:
        """The Wiener filter Sigma (Sigma + sigma^2 Id)^-1: row i says how pixel i depends on every pixel of y."""
        gains = gain(self.variances, validate.sigma_level(sigma))
        return (self.atoms.mT * gains) @ self.atoms

    def mask(self, sigma: float) -> Float[Tensor, "d d"]:
        """1 where pixel i looks at pixel j, else 0."""
        size = self.sensitivity(sigma).abs()
        return (size >= self.threshold * size.amax(dim=1, keepdim=True)).to(size.dtype)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The constrained posterior mean of each image."""
        fitting(y, self.images)
        result = torch.empty_like(y)
        levels = sigma.flatten().expand(len(y))
        for level in sorted(set(levels.tolist())):
            mine = torch.nonzero(levels == level).flatten()  # levels keep the precision of y, so none is missed
            same = torch.full_like(sigma[:1], level)
            part = _pixelwise(y[mine], self.images, same, self._windows(level), self.budget)
            result = result.index_copy(0, mine, part)
        return result

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J at one noisy image, in closed form: row i is the covariance of pixel i and its neighbours, over sigma^2."""
        fitting(validate.one_image(y, "y"), self.images)
        level = validate.sigma_level(sigma)
        return _pixelwise_jacobian(y, self.images, level, self._windows(level), self.budget).to(y.dtype)

    def _windows(self, sigma: float) -> Windows:
        mask = precise(self.mask(sigma))
        return lambda squared: (squared.flatten(2) @ mask.mT).reshape(squared.shape)


def _pixelwise(y: Tensor, images: Tensor, sigma: Tensor, windows: Windows, budget: int) -> Tensor:
    """Posterior means with weights of their own at each pixel."""
    mean = torch.zeros_like(precise(y))
    total = torch.zeros_like(mean)
    for x, weights, scale in _weighted(y, images, sigma, windows, budget):
        mean, total = mean * scale + (weights * x).sum(dim=1), total * scale + weights.sum(dim=1)
    return (mean / total).to(y.dtype)


def _pixelwise_jacobian(y: Tensor, images: Tensor, sigma: float, windows: Windows, budget: int) -> Tensor:
    """Cov(x_i, x_j) / sigma^2 under the weights of pixel i, times how often its neighbourhood counts pixel j."""
    shape, d = y.shape[1:], y.numel()
    impulses = torch.eye(d, dtype=precise(y).dtype, device=y.device).reshape(1, d, *shape)
    counts = windows(impulses).expand(1, d, *shape).reshape(d, d).mT
    total, first, second = (impulses.new_zeros(size) for size in (d, (d, d), (d, d)))
    level = impulses.new_full((1, 1, 1, 1), sigma)
    for x, weights, scale in _weighted(y, images, level, windows, budget):
        w, flat = weights.expand(-1, -1, *shape).flatten(2)[0], x[0].flatten(1)
        old = scale.expand(-1, *shape).flatten()
        total = total * old + w.sum(dim=0)
        first = first * old[:, None] + w.mT @ flat
        second = second * old[:, None] + (w * flat).mT @ flat
    first, second = first / total[:, None], second / total[:, None]
    return counts * (second - first.diagonal()[:, None] * first) / sigma**2


def _weighted(
    y: Tensor, images: Tensor, sigma: Tensor, windows: Windows, budget: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Chunks of images (1, b, c, h, w), their weights (n, b, 1 or c, h, w), and the factor for all sums so far."""
    q, s2 = precise(y)[:, None], squared(sigma)[:, None]
    rows = max(1, budget // (8 * 4 * y.numel()))
    top: Tensor | None = None
    for part in torch.split(images, rows):
        x = precise(part)[None]
        logits = -windows((q - x).square()) / (2 * s2)
        highest = logits.detach().amax(dim=1, keepdim=True)
        new = highest if top is None else torch.maximum(top, highest)
        scale = torch.zeros_like(new) if top is None else (top - new).exp()
        yield x, (logits - new).exp(), scale[:, 0]
        top = new
