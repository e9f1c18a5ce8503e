"""What the Jacobian of a posterior mean says about the posterior.

If f(y) = E[x | y] with y = x + sigma z, then with mu = <v, f(y)>, the posterior mean along a direction v of norm 1,

    Cov[x | y] = sigma^2 J(y),                           so that variance along v = sigma^2 <v, J v>,
    third central moment along v  = sigma^4 d^2/dt^2 <v, f(y + t v)>  at t = 0,
    fourth central moment along v = sigma^6 d^3/dt^3 <v, f(y + t v)> + 3 variance^2

(Manor and Michaeli, On the posterior distribution in denoising, ICLR 2024, theorems 1 and 2; the first line is Miyasawa's
identity once differentiated). A network is the posterior mean only as far as it was trained to be: its J is not symmetric,
and the variances here are those of the symmetric part. Negative ones are reported, not hidden.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.eigen import Eigenbasis
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.jacobians.linear_operator import check_operator
from gahb_theory.jacobians.operator import Jacobian
from gahb_theory.precision import full_precision
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "PosteriorComponents",
    "PosteriorMoments",
    "posterior_components",
    "posterior_deviation",
    "posterior_moments",
]


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorComponents(Result):
    """The principal components of the posterior.

    Attributes
    ----------
    mean
        f(y), shape (1, c, h, w).
    basis
        The eigenvectors of the symmetric part of J, with their residuals.
    variances
        sigma^2 lambda_k, shape (k,).
    """

    mean: Float[Tensor, "1 c h w"]
    basis: Eigenbasis
    variances: Float[Tensor, " k"]

    def walk(self, k: int, steps: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
        """Images mean + t sqrt(variance) e_k for t in `steps`, in standard deviations."""
        atom = self.basis.atom_images([k], dtype=self.mean.dtype)
        deviation = self.variances[k].clamp(min=0).sqrt()
        return self.mean + steps.to(self.mean).reshape(-1, 1, 1, 1) * deviation * atom

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the variances, and return the axes."""
        from gahb_theory.report.draw_results import draw_spectra

        return draw_spectra({"variances": self.variances.detach().cpu()}, ax, "variance")


@dataclass(frozen=True, repr=False)
class PosteriorMoments(Result):
    """Moments of the posterior along one direction.

    Attributes
    ----------
    mean, variance, third, fourth
        The mean, and the central moments.
    third_error, fourth_error
        Estimates of the error of the finite differences.
    """

    mean: float
    variance: float
    third: float
    fourth: float
    third_error: float
    fourth_error: float

    @property
    def skewness(self) -> float:
        """Third / variance^(3/2)."""
        return self.third / self.variance**1.5 if self.variance > 0 else float("nan")

    @property
    def kurtosis(self) -> float:
        """Fourth / variance^2; 3 for a Gaussian posterior."""
        return self.fourth / self.variance**2 if self.variance > 0 else float("nan")


@full_precision
def posterior_components(J: Jacobian, sigma: float, k: int) -> PosteriorComponents:
    """The k directions in which the posterior at y is widest.

    Parameters
    ----------
    J
        The square Jacobian of a denoiser at y.
    sigma
        The noise level of y.
    k
        Number of components.

    References
    ----------
    Manor and Michaeli, ICLR 2024, who find them by power iteration.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.jacobians import jacobian
    >>> f = lambda y, sigma: torch.tensor([0.9, 0.5, 0.0, 0.0]).reshape(1, 1, 2, 2) * y
    >>> posterior_components(jacobian(f, torch.rand(1, 1, 2, 2), sigma=0.1), 0.1, k=2).variances
    tensor([0.0090, 0.0050])
    """
    check_operator(J, square="posterior components need")
    level = float(validate.batch_sigma(sigma, J.output))
    basis = J.eigenbasis(validate.integer(k, "k", 1, J.shape[0]))
    variances = validate.finite(level**2 * basis.eigenvalues, "sigma^2 times the eigenvalues of J")
    return PosteriorComponents(J.output, basis, variances)


def posterior_deviation(J: Jacobian, sigma: float) -> Float[Tensor, "1 c h w"]:
    """An uncertainty image: sigma sqrt(J_ii), the standard deviation of each pixel given y.

    Not a number where J_ii is negative, which no posterior allows.
    """
    check_operator(J, square="the posterior deviation needs")
    level = float(validate.batch_sigma(sigma, J.output))
    return (level * J.diagonal().sqrt()).reshape(1, *J.input_shape)


@full_precision
def posterior_moments(
    f: Denoiser,
    y: Float[Tensor, "1 c h w"],
    sigma: float,
    direction: Float[Tensor, " d"],
    *,
    step: float | None = None,
) -> PosteriorMoments:
    """The first four moments of the posterior along a direction, from values of f on a line through y.

    Central differences on seven points y + i h v, |i| <= 3, of order 4; the error is estimated from those of order 2.
    A network of ReLUs is linear in pieces, so that its higher derivatives exist only at the scale of `step`: look at how
    the moments change with it.

    Parameters
    ----------
    f
        A denoiser that estimates E[x | y].
    y
        One noisy image.
    sigma
        Its noise level.
    direction
        v, shape (d,); scaled to norm 1.
    step
        h; sigma / 4 if None.
    """
    validate.one_image(y, "y")
    level = validate.sigma_level(sigma)
    h = level / 4 if step is None else validate.positive(step, "step")
    v = torch.from_numpy(validate.real_array(direction, "direction"))
    if v.shape != (y.numel(),) or not float(v.norm()) > 0:
        raise ValueError(f"direction must hold {y.numel()} numbers, not all 0, got shape {tuple(v.shape)}")
    v = v / v.norm()
    offsets = h * torch.arange(-3, 4, dtype=torch.float64, device="cpu")
    line = y + (offsets[:, None] * v).to(y).reshape(-1, *y.shape[1:])
    with torch.no_grad():
        g = validate.denoised(f, line, level).flatten(1).cpu().double() @ v
    slopes = {2: _first(g, h, 2), 4: _first(g, h, 4)}
    bends = {2: _second(g, h, 2), 4: _second(g, h, 4)}
    twists = {2: _third(g, h, 2), 4: _third(g, h, 4)}
    variance = level**2 * slopes[4]
    return PosteriorMoments(
        mean=float(g[3]),
        variance=variance,
        third=level**4 * bends[4],
        fourth=level**6 * twists[4] + 3 * variance**2,
        third_error=level**4 * abs(bends[4] - bends[2]),
        fourth_error=level**6 * abs(twists[4] - twists[2]) + 6 * abs(variance) * level**2 * abs(slopes[4] - slopes[2]),
    )


def _first(g: Tensor, h: float, order: int) -> float:
    weights: dict[int, list[float | int]] = {2: [0, 0, -1, 0, 1, 0, 0], 4: [0, 1 / 6, -4 / 3, 0, 4 / 3, -1 / 6, 0]}
    return _weighted(g, weights[order]) / (2 * h)


def _second(g: Tensor, h: float, order: int) -> float:
    weights: dict[int, list[float | int]] = {
        2: [0, 0, 1, -2, 1, 0, 0],
        4: [0, -1 / 12, 4 / 3, -5 / 2, 4 / 3, -1 / 12, 0],
    }
    return _weighted(g, weights[order]) / h**2


def _third(g: Tensor, h: float, order: int) -> float:
    weights: dict[int, list[float | int]] = {2: [0, -1, 2, 0, -2, 1, 0], 4: [1 / 4, -2, 13 / 4, 0, -13 / 4, 2, -1 / 4]}
    return _weighted(g, weights[order]) / (2 * h**3)


def _weighted(g: Tensor, weights: list[float | int]) -> float:
    return float(g @ torch.tensor(weights, dtype=g.dtype, device=g.device))
