"""Reading a denoiser: what it does at one image, and how well it does over a set.

`read_image` takes the Jacobian of a denoiser at y = x + sigma z and sets its eigenbasis and eigenvalues beside the
clean image and beside fixed bases: the coefficients <x, e_k>, and the error ||x - x_M||^2 of the best M terms in each
basis, which decays as M^-alpha where the oracle risk decays as (sigma^2)^{alpha/(alpha+1)} (Kadkhodaie et al. 2024,
equations 6, 12, 13).

`read_performance` sets the PSNR of a denoiser beside the oracle attenuation of fixed bases (equation 11) and beside
thresholding, over noise levels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases import DCT, PCA, Basis, Wavelet
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics.errors import psnr, psnr_curve
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import Hard
from gahb_theory.theory import fit_slope, oracle_mse

__all__ = ["Performance", "Reading", "read_image", "read_performance", "reference_bases"]

Callee = Callable[[Tensor, float | Tensor], Tensor]
SHOWN_ATOMS = (0, 1, 2, 3, 4, 5, 7, 9, 12, 15, 19, 24, 30, 37, 45, 55, 67, 80, 95, 115, 140, 170, 205, 250)


@dataclass(frozen=True)
class Reading:
    """A denoiser at one noisy image.

    Everything is a numpy array, so that a reading is stored and drawn without the denoiser.
    """

    clean: np.ndarray
    """(c, h, w)"""
    noisy: np.ndarray
    denoised: np.ndarray
    eigenvalues: np.ndarray
    """lambda_k, descending, (d,)"""
    coefficients: np.ndarray
    """<x, e_k> of the clean image, (d,)"""
    atom_indices: np.ndarray
    """Which eigenvectors are kept in `atoms`."""
    atoms: np.ndarray
    """(len(atom_indices), c, h, w)"""
    errors: dict[str, np.ndarray]
    """||x - x_M||^2 / ||x||^2 for M = 0 .. d - 1, for each basis."""
    summary: dict[str, float]
    """One number per line of the table."""


@dataclass(frozen=True)
class Performance:
    """PSNR of a denoiser and of references against the noise level."""

    sigmas: np.ndarray
    psnr: dict[str, np.ndarray]
    """Mean over images of the PSNR in decibels, for each method."""
    standard_error: np.ndarray
    """Of the denoiser's."""
    slopes: dict[str, np.ndarray]
    """Slope of log mean squared error against log sigma^2 inside `window`, for each method: (slope, low, high), where low
    and high end a 95% bootstrap interval over images."""
    window: np.ndarray
    """Smallest and largest noise level of the fits."""
    images: int


def reference_bases(samples: Float[Tensor, "n c h w"]) -> dict[str, Basis]:
    """The fixed bases to compare with: sym4 wavelets, cosines, and the principal components of some sample images."""
    return {"wavelet": Wavelet("sym4"), "DCT": DCT(), "PCA": PCA.fit(samples)}


def read_image(
    f: Callee, x: Float[Tensor, "1 c h w"], sigma: float, bases: Mapping[str, Basis], *, seed: int = 0
) -> Reading:
    """Take the eigenbasis of the Jacobian of `f` at x + sigma z and compare it with fixed bases.

    Parameters
    ----------
    f
        A denoiser f(y, sigma).
    x
        One clean image, shape (1, channels, height, width).
    sigma
        Noise level, in the units of x.
    bases
        Bases to compare with, by name.
    seed
        Names the noise.
    """
    validate.one_image(x, "x")
    sigma = validate.sigma_level(sigma)
    y = add_noise(x, sigma, seed=seed)
    J = jacobian(f, y, sigma)
    matrix = J.matrix()
    E = J.eigenbasis()
    x_hat = J.output
    c = E.analysis(x)[0]
    eigenvalues = E.eigenvalues
    d = x.numel()
    energy = c.square().cumsum(0) / x.square().sum()
    risk = {name: float(oracle_mse(basis, x, sigma)) for name, basis in {"eigenbasis": E, **bases}.items()}
    errors = {"eigenvectors, best M": _error(c.abs().sort(descending=True).values)}
    errors["eigenvectors, first M"] = _error(c)
    errors |= {name: _error(b.analysis(x)[0].abs().sort(descending=True).values) for name, b in bases.items()}
    shown = [k for k in SHOWN_ATOMS if k < d]
    summary = {
        "noise level sigma": sigma,
        "PSNR of the noisy image (dB)": float(psnr(x, y)),
        "PSNR of the denoised image (dB)": float(psnr(x, x_hat)),
        "effective dimension tr J": J.trace(),
        "effective dimension ||J||^2": float(matrix.square().sum()),
        "eigenvalues above 1/2": float((eigenvalues > 0.5).sum()),
        "largest eigenvalue": float(eigenvalues[0]),
        "smallest eigenvalue": float(eigenvalues[-1]),
        "asymmetry ||J - J'|| / ||J||": J.asymmetry(),
        "homogeneity error ||J y - f(y)|| / ||f(y)||": J.homogeneity_error(),
    }
    summary |= {f"energy of x in the first {k} eigenvectors": float(energy[k - 1]) for k in (10, 100, 400) if k <= d}
    summary |= {f"oracle PSNR in the {name} (dB)": 10 * float(np.log10(d / r)) for name, r in risk.items()}
    return Reading(
        clean=x[0].cpu().numpy(),
        noisy=y[0].cpu().numpy(),
        denoised=x_hat[0].detach().cpu().numpy(),
        eigenvalues=eigenvalues.cpu().numpy(),
        coefficients=c.cpu().numpy(),
        atom_indices=np.array(shown),
        atoms=E.atom_images(shown).cpu().numpy(),
        errors=errors,
        summary=summary,
    )


def _error(c: Tensor) -> np.ndarray:
    """Energy of the coefficients beyond the first M, relative, M = 0 .. d - 1."""
    energy = c.detach().double().square().cpu()
    return (energy.flip(0).cumsum(0).flip(0) / energy.sum()).numpy()


def read_performance(
    f: Callee,
    x: Float[Tensor, "n c h w"],
    sigmas: Sequence[float],
    bases: Mapping[str, Basis],
    *,
    window: tuple[float, float],
    seed: int = 0,
) -> Performance:
    """PSNR of `f`, of the oracle in each basis and of hard thresholding in the first, over noise levels.

    Parameters
    ----------
    f
        A denoiser f(y, sigma).
    x
        Clean test images, shape (batch, channels, height, width).
    sigmas
        Noise levels.
    bases
        Bases by name; the first is also used for hard thresholding at 3 sigma.
    window
        Noise levels between which the slope is fitted.
    seed
        Names the noise, the same at every level.
    """
    validate.images(x, "x")
    sigmas = validate.levels(sigmas)
    window = _window(window)
    if not bases:
        raise ValueError("bases must hold at least one basis, got none; reference_bases gives the usual ones")
    curve = psnr_curve(f, x, sigmas, seed=seed)
    d = x[0].numel()
    risks = {"denoiser": curve.mse_per_image}
    for name, basis in bases.items():
        risks[f"{name} oracle"] = torch.stack([oracle_mse(basis, x, s) for s in sigmas]).cpu().numpy()
    first = next(iter(bases))
    threshold = ShrinkageDenoiser(bases[first], Hard(3.0))
    risks[f"{first} thresholding"] = psnr_curve(threshold, x, sigmas, seed=seed).mse_per_image
    fits = {name: fit_slope(sigmas, risk, window=window) for name, risk in risks.items()}
    return Performance(
        sigmas=np.asarray(sigmas),
        psnr={name: (10 * np.log10(d / risk)).mean(axis=1) for name, risk in risks.items()},
        standard_error=curve.standard_error,
        slopes={name: np.array([fit.slope, fit.low, fit.high]) for name, fit in fits.items()},
        window=np.asarray(window),
        images=len(x),
    )


def _window(window: Sequence[float]) -> tuple[float, float]:
    ends = validate.levels(window, "window")
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"window must be two noise levels (low, high), got {ends}")
    return ends[0], ends[1]
