"""What a Wiener filter fitted on N images would give, as a number beside a measured one: the linear null.

By the theory of `theory.finite_data`, with its gains g_N = s / (s + kappa_N), at noise level sigma:

    memory       10 log10 [(1 + 1/N) lost + sigma^2 v] / [(1 - 1/N) (train - sigma^2 v) + sigma^2 v]
    agreement    D / (D + (apart_N + apart_M) / 2),    D = sum_k (g_N - g_M)_k^2 (s_k + sigma^2)
    distance     apart_N / [(1 + 1/N) lost + sigma^2 v],    apart_N = distance + 2 lost / N
    samples      sum_k r_k^2 / [(1 + 1/N) sum_k s_k],    r_k = (1 / pi) int_0^inf s_k / (s_k + kappa_N(t)) t^(-1/2) dt

with lost = test - sigma^2 v: as the mean is fitted as well, other images are further from it, and training images
closer, than from the true one. The second is the cosine of A - W and B - W', with A and B fitted on N images each, W and W'
on M others; the third the ratio of `function_distance` for A and B. The last is E<a, b> / (E||a||^2 E||b||^2)^(1/2), less the
mean of the class, of what the probability flows of A and B make of the same noise z: that of A ends at S_A^(1/2) z around the
mean of its images; the mean of S_A^(1/2) over training sets has the gains r_k, by the integral of S (S + t)^-1 over t.

The spectrum s is that of images which nobody trained on; where they are not many more than pixels, it is itself too wide. The
theory takes sums over modes for their means: where few modes hold most of the variance it is a few per cent too small.
`benchmarks/linear_null.py` compares all four with fitted filters, on a field whose first three modes hold 90 %.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.theory.finite_data import FiniteDataWiener, finite_data_wiener

__all__ = ["filter_agreement", "filter_distance", "filter_memory", "filter_sample_cosine"]


def filter_memory(spectrum: Float[Tensor, " d"], images: int, sigma: float) -> float:
    """How many decibels less a Wiener filter of so many images has on other images.

    Examples
    --------
    >>> import torch
    >>> filter_memory(torch.ones(64), 65, 0.5) > 3 > 0.01 > filter_memory(torch.ones(64), 10**6, 0.5)
    True
    """
    result, lost, noise = _parts(spectrum, images, sigma)
    train = (1 - 1 / images) * (result.train - noise) + noise
    return 10 * math.log10(((1 + 1 / images) * lost + noise) / max(train, 1e-300))


def filter_distance(spectrum: Float[Tensor, " d"], images: int, sigma: float) -> float:
    """Squared distance of two Wiener filters of so many images each over their risk, as the ratio of `function_distance`.

    Examples
    --------
    >>> import torch
    >>> [round(filter_distance(torch.ones(64), n, 0.5), 2) for n in (64, 10**6)]
    [0.65, 0.0]
    """
    result, lost, noise = _parts(spectrum, images, sigma)
    return (result.distance + 2 * lost / images) / ((1 + 1 / images) * lost + noise)


def filter_sample_cosine(spectrum: Float[Tensor, " d"], images: int) -> float:
    """Cosine of samples that the probability flows of two Wiener filters of so many images each draw from the same noise.

    Examples
    --------
    >>> import torch
    >>> [round(filter_sample_cosine(torch.ones(64), n), 2) for n in (8, 64, 10**6)]
    [0.09, 0.7, 1.0]
    """
    s, n = spectrum.double(), validate.integer(images, "images", 2) - 1
    # t = e^(2 u): t^(-1/2) dt = 2 e^u du; the rest of the integrand falls as e^u to both sides
    largest, step = float(s.max()) * (1 + len(s) / n), 0.25
    roots = torch.arange(-40, 41) * step + math.log(largest) / 2
    gains = torch.zeros_like(s)
    for u in roots.tolist():
        kappa = finite_data_wiener(s, n, math.exp(u)).kappa
        gains += 2 / math.pi * step * math.exp(u) * s / (s + kappa)
    return float(gains.square().sum() / s.sum()) / (1 + 1 / images)


def _parts(spectrum: Tensor, images: int, sigma: float) -> tuple[FiniteDataWiener, float, float]:
    """The prediction for one image less, since the mean is fitted as well, and the parts of its error: images, and noise."""
    n = validate.integer(images, "images", 2)
    result = finite_data_wiener(spectrum, n - 1, sigma)
    gains = spectrum.double() / (spectrum.double() + result.kappa)
    two = float(gains.square().sum())
    lost = result.kappa * (float(gains.sum()) - two) / (1 - two / (n - 1))
    return result, lost, result.test - lost


def filter_agreement(spectrum: Float[Tensor, " d"], images: int, subtracted: int, sigma: float) -> float:
    """Cosine of what two Wiener filters of so many images each do beyond two others, between 0 and 1.

    Examples
    --------
    >>> import torch
    >>> round(filter_agreement(torch.ones(64), 100, 100, 0.5), 2)
    0.0
    """
    (one, lost, _), (other, also, _) = (_parts(spectrum, max(2, n), sigma) for n in (images, subtracted))
    s = spectrum.double()
    gap = (s / (s + one.kappa) - s / (s + other.kappa)).square()
    common = float((gap * (s + sigma**2)).sum())
    return common / (common + (one.distance + other.distance) / 2 + lost / max(2, images) + also / max(2, subtracted))
