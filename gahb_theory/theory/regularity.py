"""Hoelder regularity, measured from wavelet coefficients.

With L^2-normalised wavelets of more than alpha vanishing moments, d_jk at the octave j (scale 2^j pixels) of a function
of regularity alpha in dimension dim decays towards fine scales like (Jaffard 1991; Mallat, A Wavelet Tour, chapter 6)

    mean square     E d_jk^2          ~  2^{2 j (alpha + dim/2)}       Gaussian fields: exactly
    uniform         max_k |d_jk|      ~  2^{j (alpha + dim/2)}         the worst place: 0 if there is one edge
    leaders         mean log2 l_jk    ~  j alpha,   l_jk = max 2^{-j' dim/2} |d_j'k'| over the neighbours of (j, k) and
                                                    all finer scales below them (Jaffard 2004): the typical place.

Coefficients whose wavelet meets the border of the image are not used, so that no continuation beyond it matters, nor,
where `edges` are given, those whose wavelet meets an edge.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pywt
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.metrics.intervals import LARGEST_RESAMPLES, Estimate, check_confidence
from gahb_theory.precision import takes_arrays
from gahb_theory.randomness import Component, array_generator

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Regularity", "estimate_regularity"]

FINEST = 3
FEWEST = 4  # places in a row at the coarsest octave
ENOUGH = 32  # places in all at the coarsest octave


@dataclass(frozen=True)
class Regularity(Estimate):
    """Regularity of functions, by three estimators, with the octaves they used.

    As an `Estimate` it holds the exponent from the mean square of the coefficients, and its interval.

    Parameters
    ----------
    uniform
        From the largest coefficient of each image. It says 0 across an edge. The maximum of the m Gaussian coefficients
        of an octave grows like sqrt(log m), by which it falls short of `exponent`: measured 0.1 to 0.2 on lines of 2048
        to 8192 points, 0.2 to 0.3 on images of 512 pixels, 0.3 to 0.5 on smaller ones, for exponents 1 to 3.
    leaders
        From the wavelet leaders: the regularity of the typical place. Give the `edges` of images that have some: the
        wavelets of coarse octaves are long, and one edge meets many of them.
    octaves
        First and last octave of the fits; octave j has the scale 2^j pixels.
    energy
        Mean square of the coefficients at these octaves.
    counts
        Number of coefficients at these octaves, all images together.
    """

    uniform: float
    leaders: float
    octaves: tuple[int, int]
    energy: Float[np.ndarray, " octaves"]
    counts: Float[np.ndarray, " octaves"]

    @property
    def exponent(self) -> float:
        """The exponent from the mean square of the coefficients, `value`."""
        return float(self.value)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the energy of the octaves, and return the axes."""
        from gahb_theory.report.figures import axes_or_new

        ax = axes_or_new(ax)
        ax.semilogy(range(self.octaves[0], self.octaves[0] + len(self.energy)), self.energy, "o-")
        ax.set(xlabel="octave", ylabel="mean squared coefficient")
        return ax


@takes_arrays
def estimate_regularity(
    x: Float[Tensor, "n points"] | Float[Tensor, "n c h w"],
    *,
    edges: Bool[Tensor, "n _ h w"] | None = None,
    wavelet: str = "db6",
    octaves: tuple[int, int] | None = None,
    confidence: float = 0.95,
    resamples: int = 400,
    seed: int = 0,
) -> Regularity:
    """Estimate the Hoelder exponent of functions on a line (n, points) or of images (n, c, h, w).

    Parameters
    ----------
    x
        Samples, all of one distribution; use float64 for exponents above 2, whose fine coefficients are small.
    edges
        True at pixels of an image that lie on an edge: the exponent is that away from them.
    wavelet
        An orthogonal wavelet of PyWavelets with more vanishing moments than the exponent.
    octaves
        First and last octave of the fit. None takes the third, as the two finest suffer from sampling, to the last
        that has enough places whose wavelet lies inside the image; at least two, if need be finer ones.
    confidence, resamples, seed
        Of the interval: a bootstrap over images from 8 images on, else the spread of independent Gaussian coefficients.

    Raises
    ------
    ValueError
        If the functions are too short, or the edges leave nothing.

    References
    ----------
    S. Jaffard, Pointwise smoothness, two-microlocalization and wavelet coefficients, Publ. Mat. 1991; S. Jaffard,
    Wavelet techniques in multifractal analysis, 2004. S. Mallat, A Wavelet Tour of Signal Processing, 2009, chapter 6.

    Examples
    --------
    A Brownian path has the regularity 1/2:

    >>> import torch
    >>> steps = torch.randn(16, 4096, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    >>> found = estimate_regularity(steps.cumsum(dim=1))
    >>> abs(found.exponent - 0.5) < 0.1 and found.low < 0.5 < found.high
    True
    """
    values, bad, dim = _checked(x, edges)
    confidence, seed = check_confidence(confidence), validate.seed(seed)
    resamples = validate.integer(resamples, "resamples", 100, LARGEST_RESAMPLES)
    if not isinstance(wavelet, str) or wavelet not in pywt.wavelist(kind="discrete"):
        raise ValueError(f"wavelet must be the name of an orthogonal wavelet, such as db6 or sym8, got {wavelet!r:.60}")
    filters = pywt.Wavelet(wavelet)
    if not filters.orthogonal:
        raise ValueError(f"wavelet must be orthogonal, such as db6 or sym8, got {wavelet!r}")
    length = filters.dec_len
    sides = _sides(min(values.shape[2:]), length)
    given = _window(octaves, len(sides), length, min(values.shape[2:]))
    sums, counts, peaks, leaders, places = [], [], [], [], []
    for j, (d, masked, lead, lead_masked) in enumerate(_octaves(values, bad, filters, len(sides)), start=1):
        inside = (~masked).expand_as(d)
        sums.append(torch.where(inside, d, 0.0).square().flatten(1).sum(dim=1))
        counts.append(inside.flatten(1).sum(dim=1).double())
        size = torch.where(inside, d.abs(), 0.0).flatten(1).amax(dim=1)
        peaks.append(float(size[size > 0].log2().mean()) - j * dim / 2)
        typical = lead[~lead_masked & (lead > 0)]
        leaders.append(float(typical.log2().mean()))
        places.append(typical.numel())
    first, last = given or _best_window(places)
    octave = slice(first - 1, last)
    energies, numbers = (torch.stack(part[octave], dim=1).numpy() for part in (sums, counts))
    total = numbers.sum(axis=0)
    if min(places[octave]) == 0 or energies.sum(axis=0).min() == 0:
        raise ValueError(
            f"nothing is left at an octave of {first} to {last}, or all is 0: the edges (or constant parts) leave no "
            "room; use larger images, finer octaves, or a shorter wavelet"
        )
    scales = np.arange(first, last + 1, dtype=float)

    def fit(log2_of_scale: np.ndarray) -> Any:
        return _slope(scales, log2_of_scale, total)

    exponent = fit(np.log2(energies.sum(axis=0) / total)) / 2 - dim / 2
    if len(energies) >= 8:
        picks = array_generator(Component.BOOTSTRAP_SCALES, seed).integers(
            len(energies), size=(resamples, len(energies))
        )
        energy, number = energies[picks].sum(axis=1), numbers[picks].sum(axis=1)
        whole = (energy > 0).all(axis=1)
        spread = fit(np.log2(energy[whole] / number[whole])) / 2 - dim / 2
        deviation = np.std(spread, ddof=1)
        low, high = np.quantile(spread, [(1 - confidence) / 2, (1 + confidence) / 2])
        method = f"bootstrap over {len(energies)} images"
    else:
        centred = scales - np.average(scales, weights=total)
        deviation = np.sqrt(2 / (total * centred**2).sum()) / np.log(2) / 2
        half = deviation * _normal_quantile(confidence)
        low, high, method = exponent - half, exponent + half, "independent Gaussian coefficients"
    return Regularity(
        float(exponent),
        float(low),
        float(high),
        float(deviation),
        confidence,
        method,
        float(fit(np.array(peaks[octave]))),
        float(fit(np.array(leaders[octave]))),
        (first, last),
        energies.sum(axis=0) / total,
        total,
    )


def _octaves(values: Tensor, bad: Tensor, filters: Any, last: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Details (n, 1 or 3, ...), where they are masked, leaders, and where those are, octave after octave."""
    dim, length = values.ndim - 2, filters.dec_len
    low, high = (
        torch.tensor(f[::-1], dtype=values.dtype, device=values.device) for f in (filters.dec_lo, filters.dec_hi)
    )
    finer: Tensor | None = None
    for j in range(1, last + 1):
        bands = [values]
        for axis in range(2, 2 + dim):
            bands = [_convolve(band, f, axis) for band in bands for f in (low, high)]
            bad = _reach(bad, length, axis)
        values, d = bands[0], torch.cat(bands[1:], dim=1)
        leaders = d.abs().amax(dim=1, keepdim=True) * 2 ** (-j * dim / 2)
        if finer is not None:
            for axis in range(2, 2 + dim):  # the two finer places in the middle of the wavelet
                span = finer.narrow(axis, length // 2 - 1, 2 * leaders.shape[axis])
                even = torch.arange(0, span.shape[axis], 2, device=span.device)
                finer = torch.maximum(span.index_select(axis, even), span.index_select(axis, even + 1))
            leaders = torch.maximum(leaders, finer)
        finer = leaders
        lead, lead_bad = leaders, bad
        for axis in range(2, 2 + dim):
            lead, lead_bad = _neighbours(lead, axis), _neighbours(lead_bad, axis)
        yield d, bad, lead, lead_bad


def _convolve(x: Tensor, f: Tensor, axis: int) -> Tensor:
    """Every second inner product with a filter, where it lies inside."""
    return (x.unfold(axis, len(f), 2) * f).sum(dim=-1)


def _reach(bad: Tensor, length: int, axis: int) -> Tensor:
    return bad.unfold(axis, length, 2).any(dim=-1)


def _neighbours(x: Tensor, axis: int) -> Tensor:
    """Maximum over each place and its two neighbours."""
    n = x.shape[axis]
    place = torch.arange(n, device=x.device)
    below = x.index_select(axis, place.sub(1).clamp(min=0))
    above = x.index_select(axis, place.add(1).clamp(max=n - 1))
    return torch.maximum(torch.maximum(below, x), above)


def _slope(scales: np.ndarray, values: np.ndarray, weights: np.ndarray) -> Any:
    """Least-squares slope along the last axis."""
    centred = scales - np.average(scales, weights=weights)
    return (values * weights * centred).sum(axis=-1) / (weights * centred**2).sum()


def _sides(side: int, length: int) -> list[int]:
    """Numbers of places inside, octave after octave."""
    sides: list[int] = []
    while (side := (side - length) // 2 + 1) >= FEWEST:
        sides.append(side)
    return sides


def _window(octaves: tuple[int, int] | None, most: int, length: int, side: int) -> tuple[int, int] | None:
    if most < 2:
        raise ValueError(
            f"a side of {side} has {most} octaves whose wavelets of {length} taps lie inside; a fit needs 2: use longer "
            "functions, or a shorter wavelet such as db3"
        )
    if octaves is None:
        return None
    if not isinstance(octaves, Sequence) or len(octaves) != 2:
        raise TypeError(f"octaves must be (first, last), such as (3, 5), got {octaves!r:.60}")
    first, last = (validate.integer(j, "octaves", 1, most) for j in octaves)
    if first >= last:
        raise ValueError(f"octaves must be (first, last) with first < last, got {octaves}")
    return first, last


def _best_window(places: list[int]) -> tuple[int, int]:
    """From the third octave on, as far as enough places are left; two octaves at least."""
    last = max([2] + [j for j, number in enumerate(places, start=1) if number >= ENOUGH])
    return min(FINEST, last - 1), last


def _checked(x: Tensor, edges: Tensor | None) -> tuple[Tensor, Tensor, int]:
    """Functions as (n, 1, ...), pixels to avoid as booleans of the same shape, and the dimension."""
    if isinstance(x, Tensor) and x.ndim == 2:
        validate.coefficients(x, name="x")
        if edges is not None:
            raise ValueError("edges are for images (n, c, h, w); cut a line at its jumps instead")
        values = x[:, None]
    else:
        validate.images(x, "x")
        values = x.flatten(0, 1)[:, None]
        if edges is not None:
            if not isinstance(edges, Tensor) or edges.is_meta or edges.layout != torch.strided:
                raise TypeError(f"edges must be a dense tensor of booleans (n, 1, h, w), got {type(edges).__name__}")
            if (
                edges.dtype != torch.bool
                or edges.ndim != 4
                or edges.shape[2:] != x.shape[2:]
                or (edges.shape[0] not in (1, len(x)) or edges.shape[1] not in (1, x.shape[1]))
            ):
                raise ValueError(
                    f"edges must be booleans of shape (n, 1, h, w) for images {tuple(x.shape)}, got {edges.dtype} of "
                    f"shape {tuple(edges.shape)}"
                )
            edges = edges.expand(x.shape).flatten(0, 1)[:, None]
    values = values.detach().cpu()
    bad = torch.zeros(values.shape, dtype=torch.bool, device="cpu") if edges is None else edges.detach().cpu()
    values = values.double()
    axes = tuple(range(1, values.ndim))
    return values - values.mean(dim=axes, keepdim=True), bad, values.ndim - 2  # a constant leaves exact zeros


def _normal_quantile(confidence: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + confidence) / 2))
