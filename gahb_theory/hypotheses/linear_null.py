"""What a Wiener filter fitted on N images would give, as a number beside a measured one: the linear null.

By the theory of `theory.finite_data`, with its gains g_N = s / (s + kappa_N), at noise level sigma:

    memory       10 log10 [(1 + 1/N) lost + sigma^2 v] / [(1 - 1/N) (train - sigma^2 v) + sigma^2 v]
    agreement    D / (D + (distance_N + distance_M) / 2),    D = sum_k (g_N - g_M)_k^2 (s_k + sigma^2)

with lost = test - sigma^2 v: as the mean is fitted as well, other images are further from it, and training images
closer, than from the true one. The second is the cosine of A - W and B - W', with A and B fitted on N images each, W and W'
on M others. The spectrum s is
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
    >>> filter_memory(torch.ones(64), 65, 0.5) > 3 > 0.01 > filter_memory(torch.ones(64), 10**6, 0.5)
    True
    """
    n = validate.integer(images, "images", 2)
    result = finite_data_wiener(spectrum, n - 1, sigma)
    gains = spectrum.double() / (spectrum.double() + result.kappa)
    two = float(gains.square().sum())
    lost = result.kappa * (float(gains.sum()) - two) / (1 - two / (n - 1))
    noise = result.test - lost
    train = (1 - 1 / n) * (result.train - noise) + noise
    return 10 * math.log10(((1 + 1 / n) * lost + noise) / max(train, 1e-300))


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
