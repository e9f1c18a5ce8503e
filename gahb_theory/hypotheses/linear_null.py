"""What a Wiener filter fitted on N images would give, as a number beside a measured one: the linear null.

By the theory of `theory.finite_data`, with its gains g_N = s / (s + kappa_N), at noise level sigma:

    memory       10 log10 (test / train)
    agreement    D / (D + (distance_N + distance_M) / 2),    D = sum_k (g_N - g_M)_k^2 (s_k + sigma^2)

The second is the cosine of A - W and B - W', with A and B fitted on N images each, W and W' on M others. The spectrum s is
that of images which nobody trained on; where they are not many more than pixels, it is itself too wide.
"""

import math

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.theory.finite_data import finite_data_wiener

__all__ = ["filter_agreement", "filter_memory"]


def filter_memory(spectrum: Float[Tensor, " d"], images: int, sigma: float) -> float:
    """How many decibels less a Wiener filter of so many images has on other images.

    Examples
    --------
    >>> import torch
    >>> round(filter_memory(torch.ones(64), 65, 0.5), 1), round(filter_memory(torch.ones(64), 10**6, 0.5), 1)
    (4.1, 0.0)
    """
    found = finite_data_wiener(spectrum, max(1, validate.integer(images, "images", 1) - 1), sigma)
    return 10 * math.log10(found.test / max(found.train, 1e-300))


def filter_agreement(spectrum: Float[Tensor, " d"], images: int, subtracted: int, sigma: float) -> float:
    """Cosine of what two Wiener filters of so many images each do beyond two others, between 0 and 1.

    Examples
    --------
    >>> import torch
    >>> round(filter_agreement(torch.ones(64), 100, 100, 0.5), 2)
    0.0
    """
    one, other = (
        finite_data_wiener(spectrum, max(1, validate.integer(n, "images", 1) - 1), sigma) for n in (images, subtracted)
    )
    s = spectrum.double()
    apart = (s / (s + one.kappa) - s / (s + other.kappa)).square()
    common = float((apart * (s + sigma**2)).sum())
    return common / (common + (one.distance + other.distance) / 2)
