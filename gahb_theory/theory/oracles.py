"""Four denoisers by thresholding in one dictionary of bases, from what cannot be reached to what can be computed.

An adaptive dictionary (bandlets, wavelet packets) offers many orthonormal bases B; a fixed basis is a dictionary of one.
For noise of level sigma, with c = B x the clean and B y the noisy coefficients,

    attenuation    gains c^2 / (c^2 + sigma^2), B adapted to x at T = sigma:    sum c^2 sigma^2 / (c^2 + sigma^2)
    projection     gains 1{|c| > sigma}, the same B:                            sum min(c^2, sigma^2)
    geometry       hard threshold T of B y, B adapted to x at T                 known geometry, unknown coefficients
    empirical      hard threshold T of B y, B adapted to y at T                 nothing known

In one basis  attenuation <= projection <= 2 attenuation,  and the risk of a hard threshold of at least sigma is not below
that of the projection. The first two oracles know the image, and mean something only because the dictionary is limited:
the basis that begins with x / ||x|| would denoise perfectly (Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, section
3.1). Model selection says how far the empirical risk is from the oracle (Dossal, Le Pennec and Mallat 2011).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.metrics.errors import mse
from gahb_theory.precision import takes_arrays
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import Hard, Shrinkage, oracle_gains, projection_gains
from gahb_theory.stored_results import Result
from gahb_theory.theory.exact_risks import adapted, oracle_mse, projection_mse, refuse_frames

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Oracle", "OracleRisks", "oracle_denoise", "oracle_risks"]

Oracle: TypeAlias = Literal["attenuation", "projection", "geometry", "empirical"]

LARGEST_DRAWS = 10**6


@takes_arrays
def oracle_denoise(
    basis: Basis,
    x: Float[Tensor, "n c h w"],
    y: Float[Tensor, "n c h w"],
    sigma: float | Tensor,
    oracle: Oracle = "attenuation",
    threshold: float = 3.0,
) -> Float[Tensor, "n c h w"]:
    """Denoise y = x + sigma z with one of the four oracles.

    Parameters
    ----------
    basis
        A basis, or a dictionary that will be adapted as the oracle prescribes; one that is adapted already is used as
        it is.
    x, y
        Clean and noisy images, shape (batch, channels, height, width). "empirical" does not look at `x`.
    sigma
        Noise level: a number or a tensor of shape (batch,), above 0.
    oracle
        "attenuation", "projection", "geometry" or "empirical", see the head of the module.
    threshold
        T in units of sigma, for the last two.

    Returns
    -------
    Denoised images, of the shape of `y`.

    Raises
    ------
    ValueError
        For "attenuation" and "projection" in a redundant frame, where clean coefficients do not give the best gains.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.bases import Pixels
    >>> x, y = torch.tensor([[[[0.0, 1.0]]]]), torch.tensor([[[[0.2, 0.9]]]])
    >>> oracle_denoise(Pixels(), x, y, sigma=0.1, oracle="projection")
    tensor([[[[0.0000, 0.9000]]]])
    """
    validate.images(x, "x")
    validate.images(y, "y")
    if x.shape != y.shape:
        raise ValueError(f"y must have the shape of x, {tuple(x.shape)}, got {tuple(y.shape)}")
    validate.one_of(oracle, "oracle", get_args(Oracle))
    threshold = validate.positive(threshold, "threshold")
    level = validate.batch_sigma(sigma, x).flatten()
    if oracle in ("attenuation", "projection"):
        refuse_frames(basis)
        chosen = adapted(basis, x, sigma)
        rule = oracle_gains if oracle == "attenuation" else projection_gains
        gains, noisy = rule(chosen.analysis(x), sigma), chosen.analysis(y)
    else:
        shrinkage: Shrinkage = Hard(threshold)
        chosen = adapted(basis, x if oracle == "geometry" else y, threshold * level)
        noisy = chosen.analysis(y)
        gains = shrinkage(noisy, sigma)
    return chosen.synthesis(gains * noisy, tuple(y.shape[1:]))


@dataclass(frozen=True, eq=False, repr=False)
class OracleRisks(Result):
    """Squared errors of the four oracles, summed over pixels, one number for each image, shape (n,)."""

    attenuation: Float[Tensor, " n"]
    """Exact expectation."""
    projection: Float[Tensor, " n"]
    """Exact expectation."""
    geometry: Float[Tensor, " n"]
    """Mean over draws of the noise."""
    empirical: Float[Tensor, " n"]
    """Mean over the same draws."""

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the risks of the images by the four oracles, and return the axes."""
        from gahb_theory.report.draw_results import draw_histograms

        return draw_histograms(self.to_dict(), ax, "squared error")


@takes_arrays
def oracle_risks(
    basis: Basis,
    x: Float[Tensor, "n c h w"],
    sigma: float | Tensor,
    threshold: float = 3.0,
    draws: int = 1,
    *,
    seed: int = 0,
) -> OracleRisks:
    """Risks of the four oracles of one dictionary.

    Parameters
    ----------
    basis, x, sigma, threshold
        As for `oracle_denoise`; the basis must be orthonormal.
    draws, seed
        Number of draws of the noise for "geometry" and "empirical", and the seed of the first.

    Examples
    --------
    >>> from gahb_theory.bases import Bandlet
    >>> from gahb_theory.images import CAlpha
    >>> risks = oracle_risks(Bandlet(), CAlpha(alpha=2.0, size=64).sample(2), sigma=0.1)
    >>> bool((risks.attenuation < risks.projection).all() and (risks.projection < risks.geometry).all())
    True
    """
    draws = validate.integer(draws, "draws", 1, LARGEST_DRAWS)
    threshold, seed = validate.positive(threshold, "threshold"), validate.seed(seed)
    refuse_frames(basis)
    validate.images(x, "x")
    errors: dict[Oracle, Tensor] = {}
    for oracle in ("geometry", "empirical"):
        noisy = [add_noise(x, sigma, seed=seed + draw) for draw in range(draws)]
        parts = [mse(x, oracle_denoise(basis, x, y, sigma, oracle, threshold)) for y in noisy]
        errors[oracle] = torch.stack(parts).mean(dim=0)
    return OracleRisks(
        attenuation=oracle_mse(basis, x, sigma),
        projection=projection_mse(basis, x, sigma),
        geometry=errors["geometry"],
        empirical=errors["empirical"],
    )
