"""Dimensions of a denoiser at one image: of its signal subspace, and of the manifold it has learned.

On a flat manifold of dimension m the posterior mean projects, J has m eigenvalues near 1 and the others near 0. Four
estimates of m follow, of which none uses more than the denoiser:

    trace           tr J(y)                                                   (Mohan et al. 2020; Kadkhodaie et al. 2024)
    FLIPD           d + sigma^2 (tr grad s(x) + ||s(x)||^2) = tr J(x) + ||f(x) - x||^2 / sigma^2   (Kamkari et al. 2024)
    gap             the k with the largest lambda_k - lambda_{k+1}            (Ventura et al. 2024)
    normal bundle   d - rank of the scores at points around x                 (Stanczuk et al. 2024)

with the score s = (f - id) / sigma^2 (Miyasawa 1961). The spectrum decides how much such a number means: without a gap
there is no dimension to find.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.linear_operator import check_operator
from gahb_theory.jacobians.operator import Jacobian
from gahb_theory.precision import full_precision
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "DimensionEstimate",
    "SubspaceDimension",
    "dimension_by_flipd",
    "dimension_by_gap",
    "dimension_by_normal_bundle",
    "subspace_dimension",
]


@dataclass(frozen=True, repr=False)
class SubspaceDimension(Result):
    """Five effective dimensions of a symmetric Jacobian; all are m for a projection of rank m.

    Attributes
    ----------
    trace
        sum_k lambda_k.
    above_half
        Number of eigenvalues above 1/2.
    energy
        sum_k lambda_k^2, the share of white noise that passes (Mohan et al. 2020).
    participation
        (sum_k |lambda_k|)^2 / sum_k lambda_k^2.
    entropy
        exp of the entropy of |lambda_k| / sum |lambda_k| (Roy and Vetterli 2007).
    """

    trace: float
    above_half: int
    energy: float
    participation: float
    entropy: float


@dataclass(frozen=True, eq=False, repr=False)
class DimensionEstimate(Result):
    """A dimension, and how clearly the spectrum shows it.

    Attributes
    ----------
    dimension
        The estimate.
    gap
        Size of the gap at this dimension.
    next_gap
        Size of the second largest gap. A gap that is not much larger means nothing.
    spectrum
        What the gap was looked for in, shape (n,), descending.
    """

    dimension: int
    gap: float
    next_gap: float
    spectrum: Float[Tensor, " n"]

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the spectrum in which the gap was looked for, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        return draw_spectra({"spectrum": self.spectrum.cpu()}, ax, "spectrum")


def subspace_dimension(eigenvalues: Float[Tensor, " d"]) -> SubspaceDimension:
    """Five effective dimensions from all eigenvalues of the symmetric part of a Jacobian.

    Examples
    --------
    >>> import torch
    >>> subspace_dimension(torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0])).participation
    3.0
    """
    values = torch.from_numpy(validate.real_array(eigenvalues, "eigenvalues", 1))
    sizes = values.abs()
    energy = float(values.square().sum())
    if energy == 0:
        return SubspaceDimension(0.0, 0, 0.0, 0.0, 0.0)
    shares = sizes / sizes.sum()
    return SubspaceDimension(
        trace=float(values.sum()),
        above_half=int((values > 0.5).sum()),
        energy=energy,
        participation=float(sizes.sum() ** 2 / energy),
        entropy=float(torch.special.entr(shares).sum().exp()),
    )


def dimension_by_gap(eigenvalues: Float[Tensor, " k"], *, largest: int | None = None) -> DimensionEstimate:
    """The number of eigenvalues before the largest gap.

    Parameters
    ----------
    eigenvalues
        Descending, shape (k,), k at least 3.
    largest
        Only dimensions up to this one are considered; k - 1 if None.
    """
    values = torch.from_numpy(validate.real_array(eigenvalues, "eigenvalues", 1))
    if len(values) < 3 or bool((values.diff() > 0).any()):
        raise ValueError(f"eigenvalues must be at least 3 and descending, got shape {tuple(values.shape)}; sort them")
    count = len(values) - 1 if largest is None else validate.integer(largest, "largest", 2, len(values) - 1)
    gaps = -values.diff()[:count]
    order = gaps.argsort(descending=True, stable=True)
    return DimensionEstimate(
        int(order[0]) + 1, float(gaps[order[0]]), float(gaps[order[1]]), torch.as_tensor(eigenvalues)
    )


@full_precision
def dimension_by_flipd(J: Jacobian, x: Float[Tensor, "1 c h w"], sigma: float) -> float:
    """Tr J(x) + ||f(x) - x||^2 / sigma^2 with J taken at the clean image x.

    The second term vanishes on the manifold, and grows off it; where it is large, sigma is too small for this denoiser.

    References
    ----------
    Kamkari, Ross, Hosseinzadeh, Cresswell, Loaiza-Ganem, A geometric view of data complexity, NeurIPS 2024.
    """
    check_operator(J, square="FLIPD needs")
    validate.one_image(x, "x")
    level = validate.sigma_level(sigma)
    if tuple(x.shape[1:]) != J.input_shape or J.output_shape != J.input_shape:
        raise ValueError(f"x must have the shape of the images of J, {J.input_shape}, got {tuple(x.shape[1:])}")
    return J.trace() + float((J.output - x).double().square().sum()) / level**2


@full_precision
def dimension_by_normal_bundle(
    f: Denoiser,
    x: Float[Tensor, "1 c h w"],
    sigma: float,
    *,
    samples: int | None = None,
    seed: int = 0,
    batch_size: int = 256,
) -> DimensionEstimate:
    """D minus the rank of the scores at noisy copies of x, the rank where their singular values drop most.

    Around a manifold the score points back to it, so that many scores, less their mean, span the normal space; the mean
    is taken off since the density along the manifold has a gradient too. The drop is looked for in the logarithm of the
    singular values. Needs a sigma that is small beside the radius of curvature.

    Parameters
    ----------
    f
        A denoiser.
    x
        One clean image of d numbers.
    sigma
        Noise level.
    samples
        Number of noisy copies, at least d; 4 d if None.
    seed
        Names the noise.
    batch_size
        Images denoised at once.

    References
    ----------
    Stanczuk, Batzolis, Deveney, Schoenlieb, Diffusion models encode the intrinsic dimension of data manifolds, ICML 2024.
    """
    validate.one_image(x, "x")
    level = validate.sigma_level(sigma)
    d = x.numel()
    count = 4 * d if samples is None else validate.integer(samples, "samples", d)
    batch_size = validate.integer(batch_size, "batch_size", 1)
    gram = torch.zeros(d, d, dtype=torch.float64, device="cpu")
    total = torch.zeros(d, dtype=torch.float64, device="cpu")
    for start in range(0, count, batch_size):
        number = min(batch_size, count - start)
        y = add_noise(x.expand(number, -1, -1, -1), level, seed=seed, start=start)
        with torch.no_grad():
            scores = ((validate.denoised(f, y, level) - y) / level**2).flatten(1).cpu().double()
        gram, total = gram + scores.mT @ scores, total + scores.sum(dim=0)
    covariance = gram / count - torch.outer(total, total) / count**2
    spectrum = torch.linalg.eigvalsh(covariance).flip(0).clamp(min=0).sqrt()
    logs = spectrum.clamp(min=float(spectrum[0]) * 1e-12).log()
    drops = -logs.diff()
    order = drops.argsort(descending=True, stable=True)
    return DimensionEstimate(d - int(order[0]) - 1, float(drops[order[0]]), float(drops[order[1]]), spectrum)
