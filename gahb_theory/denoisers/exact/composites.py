"""Composites of patches: the posterior means of all patches of an image, averaged where the patches overlap.

Each window P of an image is denoised on its own, by the patches of the training images at the same place, and a pixel is
the mean of what all windows say that hold it,

    f_j(y) = 1/n_j sum_(P with j in P) E[x_j | y_P],      w_P = softmax_n( -||y_P - x_n,P||^2 / (2 sigma^2) ),

n_j being their number (the patch set posterior composites of Niedoba et al. 2024). `local` has the estimate of the one
window whose middle the pixel is. The windows lie inside the image, or are all those of a torus; one as large as the image
makes the composite `EmpiricalBayes`.

    n_j df_j / dy_k = sigma^-2 sum_(P with j, k in P) Cov(x_j, x_k | y_P)

is symmetric, so that on the torus, where all n_j are equal, so is the Jacobian: f(y) - y is the gradient of
sigma^2 / n sum_P log p_sigma(y_P), the expected patch log-likelihood of Zoran and Weiss (2011).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory.denoisers.exact.finite_sums import precise, squared
from gahb_theory.denoisers.exact.patches import BUDGET, Boundary, PatchMachine, PatchSchedule

__all__ = ["PatchComposite"]


class PatchComposite(PatchMachine):
    """The mean of the posterior means of all patches that hold a pixel, each patch known from the training images.

    Parameters
    ----------
    images
        Training images, shape (N, channels, height, width).
    patch
        Odd side of the patch, or a schedule of sides over noise levels; see `calibrate_patches`.
    boundary
        "zero": windows inside the image alone, fewer of them at its border. "circular": all windows of the torus.
    budget
        Bytes for what is computed at a time.

    Raises
    ------
    ValueError
        If the patch is larger than the images.

    References
    ----------
    M. Niedoba, B. Zwartsenberg, K. Murphy, F. Wood, Towards a mechanistic explanation of diffusion model generalization,
    2024. D. Zoran, Y. Weiss, From learning models of natural image patches to whole image restoration, ICCV 2011.

    Examples
    --------
    The left half of one training image and the right half of the other are a new image; its edge alone is mixed:

    >>> import torch
    >>> images = torch.stack([torch.zeros(1, 4, 8), torch.ones(1, 4, 8)])
    >>> mixed = torch.cat([images[:1, ..., :4], images[1:, ..., 4:]], dim=3)
    >>> PatchComposite(images, patch=3)(mixed, 0.1)[0, 0, 1].round(decimals=2)
    tensor([0.0000, 0.0000, 0.0000, 0.3300, 0.6700, 1.0000, 1.0000, 1.0000])
    """

    def __init__(
        self,
        images: Float[Tensor, "N c h w"],
        patch: int | PatchSchedule,
        boundary: Boundary = "zero",
        budget: int = BUDGET,
    ) -> None:
        super().__init__(images, patch, boundary, budget)
        if max(self.schedule.sizes) > min(images.shape[2:]):
            raise ValueError(
                f"patches of side {max(self.schedule.sizes)} do not lie inside images of shape {tuple(images.shape[2:])}; "
                f"take a side of at most {min(images.shape[2:])}"
            )

    def _at(self, y: Tensor, sigma: Tensor, size: int) -> Tensor:
        q, s2 = precise(y), squared(sigma)[:, None]
        rows = max(1, self.budget // (8 * 4 * y.numel()))
        parts = torch.split(self.images, rows)
        evidence = torch.stack([self._logits(q, part, s2, size).logsumexp(dim=1) for part in parts]).logsumexp(dim=0)
        windows = self._windows(size, q)
        mean = torch.zeros_like(q)
        for part in parts:
            weights = (self._logits(q, part, s2, size) - evidence[:, None]).exp() * windows
            mean = mean + (self._sums(weights, size)[:, :, None] * precise(part)).sum(dim=1)
        return (mean / self._sums(windows, size)).to(y.dtype)

    def _jacobian(self, y: Tensor, sigma: float, size: int) -> Tensor:
        q, d, channels = precise(y), y.numel(), y.shape[1]
        pixels = torch.arange(d, dtype=q.dtype, device=y.device).reshape(y.shape)
        windows = self._windows(size, q)
        result = q.new_zeros(d, d)
        known, seen = (self._patches(precise(x), size) for x in (self.images, y))
        places = self._patches(pixels, size)[0].round().long()
        for middle in torch.nonzero(windows.flatten()).flatten().tolist():
            x, place = known[:, middle], places[middle]
            w = torch.softmax(-(x - seen[:, middle]).square().sum(dim=1) / (2 * sigma**2), dim=0)
            centred = x - w @ x
            result[place[:, None], place] += (centred.mT * w) @ centred / sigma**2
        counts = self._sums(windows, size).expand(1, channels, *y.shape[2:])
        return result / counts.reshape(d, 1)

    def _logits(self, q: Tensor, part: Tensor, s2: Tensor, size: int) -> Float[Tensor, "n b h w"]:
        """-||y_P - x_P||^2 / (2 sigma^2) for the window P around each place."""
        distances = (q[:, None] - precise(part)).square().sum(dim=2)
        return -self._sums(distances, size) / (2 * s2[:, 0])

    def _sums(self, x: Float[Tensor, "n b h w"], size: int) -> Float[Tensor, "n b h w"]:
        """Sums over the window around each place."""
        return nn.functional.avg_pool2d(self.pad(x, size), size, stride=1, divisor_override=1)

    def _windows(self, size: int, like: Tensor) -> Float[Tensor, "1 1 h w"]:
        """1 at the middles of windows, else 0."""
        inside = torch.zeros(1, 1, *self.images.shape[2:], dtype=like.dtype, device=like.device)
        if self.boundary == "circular":
            return inside + 1
        r, (height, width) = size // 2, self.images.shape[2:]
        inside[..., r : height - r, r : width - r] = 1
        return inside

    def _patches(self, x: Float[Tensor, "n c h w"], size: int) -> Float[Tensor, "n m p"]:
        """The window around each place."""
        return nn.functional.unfold(self.pad(x, size), size).mT
