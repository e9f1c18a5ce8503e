"""Nonlinear approximation: the error of the best M terms, and how fast it decays.

    x_M = sum of the M terms <x, e_k> e_k with the largest |<x, e_k>|,        ||x - x_M||^2 = sum_{k > M} c_(k)^2 ,

with the coefficients sorted by magnitude. If c_(k)^2 ~ k^-(alpha + 1), then ||x - x_M||^2 ~ M^-alpha, and the oracle
risk has slope alpha / (alpha + 1) (Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, appendix D). Each basis of an
adaptive dictionary is the best one for one threshold T only; the error of the dictionary is the curve over T of
(M(T), ||x - x_M(T)||^2), where M counts the coefficients and the parameters of the geometry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.metrics.intervals import Estimate, check_confidence
from gahb_theory.precision import takes_arrays
from gahb_theory.theory.exact_risks import coefficients
from gahb_theory.theory.rates import decay_to_slope, fit_slope, interval_in_words

__all__ = ["DecayFit", "approximation_error", "decay_exponent"]

POINTS = 48


@takes_arrays
def approximation_error(
    basis: Basis, x: Float[Tensor, "n c h w"], M: int | Sequence[int] | Int[Tensor, " m"]
) -> Float[Tensor, "..."]:
    """Squared error ||x - x_M||^2 of the best M terms in a basis.

    Parameters
    ----------
    basis
        An orthonormal basis; an adaptive one must be adapted, ``basis.at(x, threshold)``.
    x
        Images, shape (batch, channels, height, width).
    M
        Number of terms, between 0 and the number of atoms, or several numbers.

    Returns
    -------
    Shape (batch,), or (batch, m) for m numbers of terms; summed over pixels.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> approximation_error(Pixels(), torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), [0, 1, 2])
    tensor([[14.,  5.,  1.]])
    """
    c, outside = coefficients(basis, x)
    many = isinstance(M, Sequence | Tensor | np.ndarray) and not isinstance(M, str | bytes)
    if isinstance(M, Tensor | np.ndarray):
        validate.real_array(M, "M", 1)
    asked: Any = M if many else [M]
    numbers = [validate.integer(m, "M", 0, c.shape[1]) for m in asked]
    if not numbers:
        raise ValueError("M must hold at least one number of terms, got none")
    energies = c.square().sort(dim=1).values  # ascending, so that small numbers are added first
    tails = torch.cat([torch.zeros_like(energies[:, :1]), energies.cumsum(dim=1)], dim=1)
    counts = torch.tensor(numbers, dtype=torch.int64, device=c.device)
    errors = tails[:, c.shape[1] - counts] + (outside[:, None] if isinstance(outside, Tensor) else outside)
    return errors if many else errors[:, 0]


@dataclass(frozen=True)
class DecayFit(Estimate):
    """A fitted exponent alpha of c_(k)^2 ~ k^-(alpha + 1), that is ||x - x_M||^2 ~ M^-alpha: an `Estimate`."""

    window: tuple[int, int]
    """Smallest and largest rank k of the fit."""
    points: int
    """Number of ranks in the fit, evenly spaced in log k."""

    @property
    def exponent(self) -> float:
        """The fitted exponent, `value`."""
        return float(self.value)

    @property
    def slope(self) -> float:
        """The slope alpha / (alpha + 1) of the oracle risk that goes with the exponent; 0 if alpha is not above 0."""
        return decay_to_slope(self.exponent + 1) if self.exponent > 0 else 0.0

    def __str__(self) -> str:
        return (
            f"exponent {self.exponent:.3f}{interval_in_words(self)} ({self.method}; {self.points} "
            f"ranks in [{self.window[0]}, {self.window[1]}])"
        )


@takes_arrays
def decay_exponent(
    basis: Basis,
    x: Float[Tensor, "n c h w"],
    window: tuple[int, int] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    *,
    seed: int = 0,
) -> DecayFit:
    """Fit the decay of the sorted squared coefficients of images in a basis.

    The mean over images of c_(k)^2 is fitted in log-log by least squares. With several images the interval is a
    studentised bootstrap over images, and holds the exponent of the mean over all images of the class .91 to .96 times
    instead of .95 for 6 to 24 images of Gaussian fields, C^alpha images, disks and photographs. With one image there is no
    interval, its ends are NaN: the distance of sorted coefficients from a line says nothing about other images, and
    Student's t of it holds that exponent .20 to .42 times.

    Parameters
    ----------
    basis
        An orthonormal basis; an adaptive one must be adapted, ``basis.at(x, threshold)``, and ranks far beyond the number
        of coefficients above that threshold say nothing about it.
    x
        Images, shape (batch, channels, height, width).
    window
        Smallest and largest rank; None means from 8 to an eighth of the number of atoms. Ranks where some coefficient
        is zero to rounding are left out at the end; the result says which window was used.
    confidence, resamples, seed
        As for `fit_slope`.

    Raises
    ------
    ValueError
        If fewer than 3 ranks are left in the window.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equation 13.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> rank = torch.arange(1, 4097, dtype=torch.float64)
    >>> fit = decay_exponent(Pixels(), (rank**-1.5).reshape(1, 1, 64, 64))  # squares decay like k^-3
    >>> round(fit.exponent, 6), fit.window
    (2.0, (8, 512))
    """
    c, _ = coefficients(basis, x)
    count = c.shape[1]
    confidence, seed = check_confidence(confidence), validate.seed(seed)
    ends = (8, max(8, count // 8)) if window is None else window
    if not isinstance(ends, Sequence) or len(ends) != 2:
        raise TypeError(f"window must be (smallest, largest) rank, such as (8, 512), got {ends!r:.60}")
    low = validate.integer(ends[0], "the smallest rank of window", 1, count)
    high = validate.integer(ends[1], "the largest rank of window", low, count)
    energies = c.detach().square().sort(dim=1, descending=True).values.cpu().double().numpy()
    rounding = energies[:, :1] * (count * torch.finfo(c.dtype).eps ** 2)
    usable = np.flatnonzero((energies > rounding).all(axis=0))
    high = min(high, int(usable.max()) + 1 if usable.size else 0)
    if high - low < 2:
        raise ValueError(
            f"a decay needs at least 3 ranks with coefficients that are not zero, got ranks {low} to {high}; "
            "widen the window, or take larger images"
        )
    ranks = np.unique(np.geomspace(low, high, POINTS).round().astype(int))
    values = energies[:, ranks - 1].T
    # with sigma = sqrt(k) the slope against log sigma^2 is the slope against log k
    fit = fit_slope(np.sqrt(ranks), values if len(x) > 1 else values[:, 0], None, confidence, resamples, seed=seed)
    edges = (int(ranks[0]), int(ranks[-1]))
    interval = (-float(fit.high) - 1, -float(fit.low) - 1)
    return DecayFit(-fit.slope - 1, *interval, fit.standard_error, confidence, fit.method, edges, fit.points)
