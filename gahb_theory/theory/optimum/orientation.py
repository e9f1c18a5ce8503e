"""Oracles beside the optimum, for orientation: they know the clean image or its contour, and no denoiser does.

    wavelet, bandlet     sum_k c_k^2 sigma^2 / (c_k^2 + sigma^2), c the clean coefficients, bandlets adapted to the image
    given contour        sum_k s_k sigma^2 / (s_k + sigma^2), s the spectrum of "holder" images of one contour

None is a bound of the Bayes risk: the first two choose among few gains and bases, and lose more than the optimum where these
do not fit; the third is linear, and the means of the regions are not Gaussian.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from gahb_theory import validate
from gahb_theory.bases import Bandlet, Basis, Wavelet
from gahb_theory.images import CAlpha, Shuffled
from gahb_theory.theory.exact_risks import gaussian_mse, oracle_mse

__all__ = ["oracle_curves"]

CONTOUR_IMAGES, CONTOUR_SIZE = 8, 32
"""So many spectra of matrices of up to 1024 rows take some seconds."""
SQUARES = 16
"""The largest squares of the bandlets, which must divide the size."""


def oracle_curves(
    X: Any, sigmas: float | Sequence[float], images: int = 32, *, seed: int = 0
) -> dict[str, Float[np.ndarray, " s"]]:
    """Mean risks of the oracles that make sense for a class, summed over pixels, one entry for each noise level.

    Parameters
    ----------
    X
        An image class of square images, or anything with `sample`; of what has none, as exact denoisers, there are no
        oracles. For the given contour a `CAlpha("holder")` of at most 32 pixels.
    sigmas
        Noise levels; a number is one level.
    images, seed
        As for `bayes_risk`: images 0 .. n - 1 of the class at this seed, of which the given contour takes 8.

    Examples
    --------
    >>> found = oracle_curves(CAlpha(alpha=2.0, size=16), [0.1, 0.3], images=2)
    >>> list(found)
    ['wavelet', 'bandlet', 'given contour']
    """
    levels, n = validate.levels(sigmas), validate.integer(images, "images", 1, 10**5)
    if not hasattr(X, "sample"):
        return {}
    x = X.sample(n, seed=validate.seed(seed)).double()
    bases: dict[str, Basis] = {"wavelet": Wavelet("sym4")}
    if x.shape[-2:] == x.shape[-1:] * 2 and x.shape[-1] % SQUARES == 0 and not isinstance(X, Shuffled):
        bases["bandlet"] = Bandlet()
    found = {name: np.array([float(oracle_mse(basis, x, s).mean()) for s in levels]) for name, basis in bases.items()}
    if isinstance(X, CAlpha) and X.convention == "holder" and X.size <= CONTOUR_SIZE:
        covariance = X.scene(min(n, CONTOUR_IMAGES), seed=seed, dtype=torch.float64).covariance
        if covariance is not None:
            spectra = [torch.linalg.eigvalsh(one).clamp(min=0) for one in covariance.matrix()]
            found["given contour"] = np.array([np.mean([float(gaussian_mse(v, s)) for v in spectra]) for s in levels])
    return found
