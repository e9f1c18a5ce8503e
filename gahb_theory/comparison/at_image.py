"""A denoiser at one noisy image y = x + sigma z: its Jacobian, the eigenbasis, and fixed bases beside it.

With the eigenvalues and eigenvectors of the symmetric part S of the Jacobian,

    S = (J + J^T) / 2 = sum_k lambda_k e_k e_k^T,        S y = sum_k lambda_k <y, e_k> e_k ,

S y is f(y) if J is symmetric and f homogeneous (Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 6); how much
of the denoiser it reproduces is measured in decibels. `compare` sets the eigenbasis beside each of the other bases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases import DCT, PCA, Basis, Wavelet
from gahb_theory.comparison.pair import compare
from gahb_theory.comparison.quantities import QUANTITIES, Result, basis_label
from gahb_theory.comparison.result import Comparison, Side
from gahb_theory.jacobians import Reproduction, eigenbasis, jacobian
from gahb_theory.metrics.errors import psnr
from gahb_theory.precision import takes_arrays
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import add_noise

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["ImageAnalysis", "analyse_image", "reference_bases"]

SHOWN_ATOMS = (0, 1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 30, 37, 45, 55, 67, 80, 95, 115, 140, 170, 205, 250)


@dataclass(frozen=True, eq=False, repr=False)
class ImageAnalysis(Result):
    """A denoiser at one noisy image; print it, `plot` it, `save` it.

    Everything is a number or a numpy array, so that it is stored and drawn without the denoiser. J is the Jacobian at the
    noisy image, S its symmetric part (J + J^T) / 2.
    """

    sigma: float
    """Noise level, in the units of the image."""
    psnr_noisy: float
    psnr_denoised: float
    """PSNR of f(y) in decibels."""
    psnr_shrinkage: float
    """PSNR of S y = sum_k lambda_k <y, e_k> e_k: equal to that of f(y) if the denoiser is a shrinkage in its eigenbasis."""
    effective_dimension: float
    """tr J = sum_k lambda_k."""
    squared_norm: float
    """||J||^2, the part of white noise that passes, summed over pixels."""
    eigenvalues_above_half: int
    largest_eigenvalue: float
    smallest_eigenvalue: float
    asymmetry: float
    """||J - J^T|| / ||J||."""
    homogeneity_error: float
    """||J y - f(y)|| / ||f(y)||."""
    clean: Float[np.ndarray, "c h w"]
    noisy: Float[np.ndarray, "c h w"]
    denoised: Float[np.ndarray, "c h w"]
    eigenvalues: Float[np.ndarray, " d"]
    """lambda_k of S, descending."""
    coefficients: Float[np.ndarray, " d"]
    """<x, e_k> of the clean image."""
    atom_indices: Int[np.ndarray, " shown"]
    """Which eigenvectors are kept in `eigenvectors`."""
    eigenvectors: Float[np.ndarray, "shown c h w"]
    comparisons: dict[str, Comparison]
    """The eigenbasis beside each basis, by the name of the basis."""

    @property
    def sides(self) -> dict[str, Side]:
        """Each basis by itself: the eigenbasis, then the others, by name."""
        first = next(iter(self.comparisons.values())).first
        return {"eigenbasis": first} | {name: c.second for name, c in self.comparisons.items()}

    @property
    def reproduction(self) -> Reproduction:
        """Which matrix the spectrum is of, and how much of f(y) the shrinkage with it reproduces; printed, one line."""
        result = self.sides["eigenbasis"].reproduction
        assert result is not None
        return result

    @property
    def error_over_variance(self) -> float:
        """||x - f(y)||^2 / sigma^2, which tr J equals on average over images for the posterior mean, equation (10)."""
        return float(np.square(self.clean - self.denoised).sum()) / self.sigma**2

    @property
    def oracle_psnr(self) -> dict[str, float]:
        """PSNR of the oracle attenuation in each basis, in decibels."""
        d = self.clean.size
        return {
            name: 10 * float(np.log10(d / side.oracle_mse))
            for name, side in self.sides.items()
            if side.oracle_mse is not None
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row for each number, of the denoiser or of a basis, for a table or a data frame."""
        rows: list[tuple[str, str, Any]] = [
            ("denoiser", field.name, getattr(self, field.name)) for field in fields(self) if field.name in QUANTITIES
        ]
        rows += [(name, "oracle_psnr", value) for name, value in self.oracle_psnr.items()]
        for name, side in self.sides.items():
            rows += [(name, "terms", side.terms), (name, "energy_area", side.energy_area)]
            rows += [(name, "exponent", None if side.decay is None else side.decay.exponent)]
        for name, c in self.comparisons.items():
            at = c.index_of_rank
            rows += [
                (name, "overlap", float(c.overlap[at])),
                (name, "overlap_of_chance", float(c.overlap_of_chance[at])),
            ]
            rows += [(name, key, getattr(c, key)) for key in ("weighted_overlap", "weighted_overlap_of_chance")]
            rows += [(name, key, getattr(c, key)) for key in ("response", "response_of_chance", "coherence")]
        return [{"method": m, "quantity": quantity, "value": v} for m, quantity, v in rows if v is not None]

    def __repr__(self) -> str:
        oracles = [f"  {f'oracle PSNR, {basis_label(name)}':46}{v:.4g} dB" for name, v in self.oracle_psnr.items()]
        return "\n".join([super().__repr__(), *oracles, f"  {self.reproduction}"])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the shrinkage factors beside the coefficients of the clean image, and return the axes."""
        from gahb_theory.report.draw_analysis import draw_shrinkage
        from gahb_theory.report.figures import axes_or_new

        return draw_shrinkage(self.eigenvalues, self.coefficients, self.sigma, axes_or_new(ax), self.reproduction)


@takes_arrays
def reference_bases(samples: Float[Tensor, "n c h w"]) -> dict[str, Basis]:
    """The fixed bases to compare with: sym4 wavelets, cosines, and the principal components of some sample images."""
    return {"wavelet": Wavelet("sym4"), "dct": DCT(), "pca": PCA.fit(samples)}


def check_bases(bases: Mapping[str, Basis]) -> dict[str, Basis]:
    """Return the bases by name if there is at least one."""
    if not isinstance(bases, Mapping):
        raise TypeError(
            f"bases must be a mapping from names to bases, as of reference_bases, got {type(bases).__name__}"
        )
    if not bases:
        raise ValueError("bases must hold at least one basis, got none; reference_bases gives the usual ones")
    for name, basis in bases.items():
        if not isinstance(name, str) or not isinstance(basis, Basis):
            raise TypeError(
                f"bases must map names to bases, got {type(name).__name__} and {type(basis).__name__}; for example "
                '{"wavelet": Wavelet("sym4")}'
            )
    return dict(bases)


@takes_arrays
def analyse_image(
    f: Callable[[Tensor, float | Tensor], Tensor],
    x: Float[Tensor, "1 c h w"],
    sigma: float,
    bases: Mapping[str, Basis],
    *,
    seed: int = 0,
) -> ImageAnalysis:
    """The Jacobian of `f` at x + sigma z, its eigenbasis, and its comparison with each of the bases.

    Parameters
    ----------
    f
        A denoiser f(y, sigma).
    x
        One clean image, shape (1, channels, height, width).
    sigma
        Noise level, in the units of x.
    bases
        Orthonormal bases to compare with, by name, at least one.
    seed
        Names the noise.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> basis, x = gt.DCT(), gt.CAlpha(size=16).sample(1)
    >>> f = gt.ShrinkageDenoiser(basis, lambda c, sigma: gt.oracle_gains(basis.analysis(x), sigma))
    >>> result = analyse_image(f, x, 0.1, {"dct": basis})
    >>> bool(abs(result.psnr_shrinkage - result.psnr_denoised) < 1e-3)
    True
    """
    x, sigma, bases = validate.one_image(x, "x"), validate.sigma_level(sigma), check_bases(bases)
    y = add_noise(x, sigma, seed=seed)
    J = jacobian(f, y, sigma)
    comparisons = {}
    with progress_bar(total=1 + len(bases), desc="analysis", unit=" parts") as bar:
        E = eigenbasis(J)
        bar.update()
        for name, basis in bases.items():
            comparisons[name] = compare(J, basis, x, sigma, eigenbasis=E, names=("eigenbasis", basis_label(name)))
            bar.update()
    first = next(iter(comparisons.values())).first
    assert first.dimensions is not None
    assert first.asymmetry is not None
    assert first.homogeneity_error is not None
    assert first.reproduction is not None
    assert first.reproduction.psnr_shrinkage is not None
    matrix = J.matrix()
    shown = [k for k in SHOWN_ATOMS if k < x.numel()]
    return ImageAnalysis(
        sigma=sigma,
        psnr_noisy=float(psnr(x, y)),
        psnr_denoised=float(psnr(x, J.output)),
        psnr_shrinkage=first.reproduction.psnr_shrinkage,
        effective_dimension=first.dimensions.trace,
        squared_norm=float(torch.linalg.vector_norm(matrix, dim=1).double().square().sum()),
        eigenvalues_above_half=first.dimensions.above_half,
        largest_eigenvalue=float(E.eigenvalues[0]),
        smallest_eigenvalue=float(E.eigenvalues[-1]),
        asymmetry=first.asymmetry,
        homogeneity_error=first.homogeneity_error,
        clean=x[0].cpu().numpy(),
        noisy=y[0].cpu().numpy(),
        denoised=J.output[0].cpu().numpy(),
        eigenvalues=E.eigenvalues.cpu().numpy(),
        coefficients=E.analysis(x)[0].cpu().numpy(),
        atom_indices=np.array(shown),
        eigenvectors=E.atom_images(shown).cpu().numpy(),
        comparisons=comparisons,
    )
