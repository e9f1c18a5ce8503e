"""A denoiser beside what fixed bases allow: PSNR over noise levels, and the slopes of the errors.

In each basis the oracle attenuates every coefficient with the gain c^2 / (c^2 + sigma^2), knowing the clean one
(Kadkhodaie, Guth, Simoncelli and Mallat, ICLR 2024, equation 11); hard thresholding at 3 sigma does not know it. The slope
is that of log E||f(y) - x||^2 against log sigma^2, alpha / (alpha + 1) in theory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases import Basis
from gahb_theory.comparison.at_image import check_bases
from gahb_theory.comparison.quantities import Result, basis_label
from gahb_theory.denoisers.shrinking import ShrinkageDenoiser
from gahb_theory.metrics.errors import psnr_curve
from gahb_theory.metrics.intervals import Estimate, mean_estimate
from gahb_theory.precision import takes_arrays
from gahb_theory.shrinkage import Hard
from gahb_theory.theory import SlopeFit, fit_slope, oracle_mse

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Method", "Performance", "compare_performance"]


@dataclass(frozen=True, eq=False, repr=False)
class Method(Result):
    """The PSNR of one way to denoise."""

    kind: Literal["denoiser", "oracle", "thresholding"]
    basis: str | None
    """Name of the basis; None for the denoiser."""
    psnr: Estimate
    """Mean over images of the PSNR in decibels at each noise level, with its interval over images."""
    slope: SlopeFit
    """Of log mean squared error against log sigma^2, with its bootstrap interval over images."""

    @property
    def label(self) -> str:
        """What tables and figures call it."""
        return self.kind if self.basis is None else f"{basis_label(self.basis)} {self.kind}"

    def __repr__(self) -> str:
        values = np.asarray(self.psnr.value)
        return f"{self.label}: PSNR {values.min():.2f} to {values.max():.2f} dB, {self.slope}"


@dataclass(frozen=True, eq=False, repr=False)
class Performance(Result):
    """PSNR of a denoiser, of oracles and of thresholding against the noise level; print it, `plot` it, `save` it."""

    sigmas: Float[np.ndarray, " s"]
    window: tuple[float, float]
    """Smallest and largest noise level of the fitted slopes."""
    images: int
    methods: dict[str, Method]
    """The denoiser, then the references."""

    @property
    def denoiser(self) -> Method:
        """The denoiser itself."""
        return self.methods["denoiser"]

    @property
    def references(self) -> list[Method]:
        """Oracles and thresholding."""
        return [method for method in self.methods.values() if method.kind != "denoiser"]

    @property
    def inside(self) -> np.ndarray:
        """Which noise levels lie in the window, shape (s,)."""
        return (self.sigmas >= self.window[0]) & (self.sigmas <= self.window[1])

    def rows(self) -> list[dict[str, Any]]:
        """One row for each method and noise level, for a table or a data frame."""
        return [
            {"method": name, "sigma": float(s), "psnr": float(v), "low": float(low), "high": float(high)}
            for name, m in self.methods.items()
            for s, v, low, high in zip(
                self.sigmas, *map(np.asarray, (m.psnr.value, m.psnr.low, m.psnr.high)), strict=True
            )
        ]

    def __repr__(self) -> str:
        head = f"Performance over {len(self.sigmas)} noise levels and {self.images} images"
        return "\n".join([head, *(f"  {method!r}" for method in self.methods.values())])

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw output against input PSNR, and return the axes."""
        from gahb_theory.report.draw_performance import draw_performance
        from gahb_theory.report.figures import axes_or_new

        return draw_performance(self, axes_or_new(ax))


@takes_arrays
def compare_performance(
    f: Callable[[Tensor, float | Tensor], Tensor],
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
        Clean test images, shape (n, channels, height, width), at least 2.
    sigmas
        Noise levels.
    bases
        Bases by name; the first is also used for hard thresholding at 3 sigma.
    window
        Noise levels between which the slope is fitted.
    seed
        Names the noise, the same at every level.
    """
    x, levels, window, bases = validate.images(x, "x"), validate.levels(sigmas), _window(window), check_bases(bases)
    d = x[0].numel()
    first = next(iter(bases))
    thresholding = ShrinkageDenoiser(bases[first], Hard(3.0))
    errors: dict[str, tuple[Literal["denoiser", "oracle", "thresholding"], str | None, np.ndarray]] = {
        "denoiser": ("denoiser", None, psnr_curve(f, x, levels, seed=seed).mse_per_image)
    }
    for name, basis in bases.items():
        risks = torch.stack([oracle_mse(basis, x, s) for s in levels]).cpu().double().numpy()
        errors[f"{name}_oracle"] = ("oracle", name, risks)
    errors[f"{first}_thresholding"] = (
        "thresholding", first, psnr_curve(thresholding, x, levels, seed=seed).mse_per_image
    )  # fmt: skip
    methods = {}
    for name, (kind, basis_name, error) in errors.items():
        with np.errstate(divide="ignore"):
            decibels = 10 * np.log10(d / error)
        methods[name] = Method(
            kind, basis_name, psnr=mean_estimate(decibels), slope=fit_slope(levels, error, window=window)
        )
    return Performance(sigmas=np.asarray(levels), window=window, images=len(x), methods=methods)


def _window(window: Sequence[float]) -> tuple[float, float]:
    ends = validate.levels(window, "window")
    if len(ends) != 2 or not ends[0] < ends[1]:
        raise ValueError(f"window must be two noise levels (low, high), got {ends}")
    return ends[0], ends[1]
