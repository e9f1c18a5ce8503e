"""Thresholds that the coefficients choose for themselves, all at once, band by band or block by block.

    SureShrink        soft, T = argmin of Stein's estimate  k - 2 #{a <= T} + sum min(a^2, T^2),   a = |c| / sigma
    BayesShrink       soft, T = sigma^2 / s,   s^2 = max(mean c^2 - sigma^2, 0) the variance of the signal in the band
    block James-Stein (1 - lambda L sigma^2 / S^2)_+ for a block of L coefficients of energy S^2

(Donoho and Johnstone 1995; Chang, Yu and Vetterli 2000; Cai 1999). A band is a set of coefficients of one kind, such as
a scale of `Wavelet.bands`; it is named by an integer for each coefficient.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.precision import takes_arrays

__all__ = ["BayesShrink", "BlockJamesStein", "SureShrink"]

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
CAI = 4.50524
"""The root of lambda - log lambda = 3, with which block James-Stein is adaptive (Cai 1999)."""


@dataclass(frozen=True, eq=False)
class SureShrink:
    """Soft thresholding at the threshold that minimises Stein's unbiased estimate of the risk, for each image.

    The threshold is searched among 0 and the magnitudes of the coefficients, up to sqrt(2 log k) sigma. Where the
    signal is sparse the estimate is noisy: one band for all coefficients is then safer than many.

    Parameters
    ----------
    bands
        Name of the band of each coefficient, shape (k,); None means one band.

    References
    ----------
    D. L. Donoho, I. M. Johnstone, Adapting to unknown smoothness via wavelet shrinkage, J. Amer. Stat. Assoc., 1995.

    Examples
    --------
    >>> import torch
    >>> SureShrink()(torch.tensor([[0.1, -0.2, 0.1, 9.0]]), sigma=1.0).round(decimals=3)
    tensor([[0.0000, 0.0000, 0.0000, 0.9780]])
    """

    bands: Int[Tensor, " k"] | None = None

    def __post_init__(self) -> None:
        _check_labels(self.bands, "bands")

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`."""
        level = validate.batch_sigma(sigma, validate.coefficients(c))
        return _by_bands(c, self.bands, lambda part: _soft(part, level * _sure_threshold(part.abs() / level)))


@dataclass(frozen=True, eq=False)
class BayesShrink:
    """Soft thresholding at sigma^2 / s, nearly optimal for generalised Gaussian coefficients of variance s^2.

    Parameters
    ----------
    bands
        Name of the band of each coefficient, shape (k,); None means one band. s is measured in each band of each image;
        where it is 0 nothing is kept.

    References
    ----------
    S. G. Chang, B. Yu, M. Vetterli, Adaptive wavelet thresholding for image denoising and compression, IEEE Trans. Image
    Processing, 2000.

    Examples
    --------
    >>> import torch
    >>> BayesShrink()(torch.tensor([[3.0, -1.0, 2.0, 0.0]]), sigma=1.0).round(decimals=3)
    tensor([[0.7890, 0.3680, 0.6840, 0.0000]])
    """

    bands: Int[Tensor, " k"] | None = None

    def __post_init__(self) -> None:
        _check_labels(self.bands, "bands")

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`."""
        noise = validate.batch_sigma(sigma, validate.coefficients(c)).square()

        def gains(part: Tensor) -> Tensor:
            signal = (part.square().mean(dim=1, keepdim=True) - noise).clamp(min=0)
            threshold = noise / signal.clamp(min=torch.finfo(c.dtype).tiny ** 0.5).sqrt()
            return torch.where(signal > 0, _soft(part, threshold), 0)

        return _by_bands(c, self.bands, gains)


@dataclass(frozen=True, eq=False)
class BlockJamesStein:
    """The positive part of the James-Stein estimate in each block of coefficients.

    Parameters
    ----------
    blocks
        Name of the block of each coefficient, shape (k,); None means runs of
        floor(log k) coefficients.
    factor
        lambda, above 0.

    References
    ----------
    W. James, C. Stein, Estimation with quadratic loss, Fourth Berkeley Symposium, 1961.
    T. T. Cai, Adaptive wavelet estimation: a block thresholding and oracle inequality approach, Annals of Statistics,
    1999.

    Examples
    --------
    >>> import torch
    >>> blocks = torch.tensor([0, 0, 1, 1])
    >>> BlockJamesStein(blocks, factor=1.0)(torch.tensor([[3.0, 1.0, 0.5, 0.5]]), sigma=1.0)
    tensor([[0.8000, 0.8000, 0.0000, 0.0000]])
    """

    blocks: Int[Tensor, " k"] | None = None
    factor: float = CAI

    def __post_init__(self) -> None:
        _check_labels(self.blocks, "blocks")
        object.__setattr__(self, "factor", validate.positive(self.factor, "factor"))

    @takes_arrays
    def __call__(self, c: Float[Tensor, "n k"], sigma: float | Tensor) -> Float[Tensor, "n k"]:
        """Gains of the coefficients `c`, shape (batch, k), at noise level `sigma`."""
        count = validate.coefficients(c).shape[1]
        if self.blocks is None:
            names = torch.arange(count, device=c.device) // max(1, int(math.log(count)))
        else:
            names = torch.unique(_labels_for(self.blocks, c, "blocks"), return_inverse=True)[1]  # names may be large
        total = int(names.max()) + 1
        sizes = torch.zeros(total, dtype=c.dtype, device=c.device).index_add(0, names, torch.ones_like(c[0]))
        energies = torch.zeros(len(c), total, dtype=c.dtype, device=c.device).index_add(1, names, c.square())
        ceiling = self.factor * sizes * validate.batch_sigma(sigma, c).square()
        gains = 1 - ceiling / torch.maximum(energies, ceiling.clamp(min=torch.finfo(c.dtype).tiny))
        return gains[:, names]


def _soft(c: Tensor, threshold: Tensor) -> Tensor:
    size = c.abs()
    return torch.where(size > threshold, 1 - threshold / size.clamp(min=torch.finfo(c.dtype).tiny), 0)


def _sure_threshold(sizes: Tensor) -> Tensor:
    """Threshold of the smallest estimated risk for coefficients in units of sigma, shape (n, 1)."""
    k = sizes.shape[1]
    candidates = torch.cat([torch.zeros_like(sizes[:, :1]), sizes.sort(dim=1).values], dim=1)
    below = torch.arange(k + 1, dtype=sizes.dtype, device=sizes.device)  # how many are not above each candidate
    squares = candidates.square()
    risk = k - 2 * below + squares.cumsum(dim=1) + (k - below) * squares
    allowed = candidates <= math.sqrt(2 * math.log(max(k, 2)))
    best = torch.where(allowed, risk, torch.inf).argmin(dim=1, keepdim=True)
    return candidates.gather(1, best)


def _by_bands(c: Tensor, bands: Tensor | None, gains: Callable[[Tensor], Tensor]) -> Tensor:
    """Gains of each band on its own."""
    validate.coefficients(c)
    if bands is None:
        return gains(c)
    names = _labels_for(bands, c, "bands")
    out = torch.zeros_like(c)
    for name in sorted(set(names.tolist())):
        members = (names == name).nonzero()[:, 0]
        out = out.index_copy(1, members, gains(c[:, members]))
    return out


def _check_labels(labels: Tensor | None, name: str) -> None:
    if labels is None:
        return
    integers = isinstance(labels, Tensor) and labels.layout == torch.strided and not labels.is_meta
    if not integers or labels.dtype not in INTEGERS or labels.ndim != 1:
        raise TypeError(f"{name} must be a tensor of integers of shape (k,), such as Wavelet().bands(shape)")
    if labels.numel() == 0 or int(labels.min()) < 0:
        raise ValueError(f"{name} must hold a number of at least 0 for each coefficient")


def _labels_for(labels: Tensor, c: Tensor, name: str) -> Tensor:
    if labels.shape[0] != c.shape[1]:
        raise ValueError(f"{name} must name each of the {c.shape[1]} coefficients, got {labels.shape[0]} names")
    return labels.to(device=c.device, dtype=torch.int64)
