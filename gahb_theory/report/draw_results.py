"""Figures of small results: curves over noise levels, spectra, histograms, on the axes given or on those of a new figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb_theory.report.figures import axes_or_new, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_histograms", "draw_over_noise", "draw_spectra"]


def draw_over_noise(sigmas: Any, curves: Mapping[str, Any], ax: "Axes | None", label: str) -> "Axes":
    """Draw curves over the noise level, with a band for the interval of an `Estimate`."""
    ax = axes_or_new(ax)
    for name, curve in curves.items():
        lines = ax.plot(sigmas, np.asarray(getattr(curve, "value", curve)), "o-", ms=3, label=plain_text(name))
        if hasattr(curve, "low"):
            ax.fill_between(np.asarray(sigmas), curve.low, curve.high, color=lines[0].get_color(), alpha=0.2, lw=0)
    ax.set(xscale="log", xlabel=r"noise level $\sigma$", ylabel=label)
    if len(curves) > 1:
        ax.legend()
    return ax


def draw_spectra(spectra: Mapping[str, Any], ax: "Axes | None", label: str) -> "Axes":
    """Draw numbers in their order, such as eigenvalues; complex ones in their plane."""
    ax = axes_or_new(ax)
    for name, values in spectra.items():
        numbers = np.asarray(values)
        if np.iscomplexobj(numbers):
            ax.plot(numbers.real, numbers.imag, ".", ms=3, label=plain_text(name))
            ax.set(xlabel=f"real part of {label}", ylabel=f"imaginary part of {label}")
        else:
            ax.plot(np.arange(1, len(numbers) + 1), numbers, label=plain_text(name))
            ax.set(xlabel="k", ylabel=label)
    if len(spectra) > 1:
        ax.legend()
    return ax


def draw_histograms(samples: Mapping[str, Any], ax: "Axes | None", label: str) -> "Axes":
    """Draw the distribution of each set of numbers, all over the same bins."""
    ax = axes_or_new(ax)
    arrays = {name: np.asarray(values).ravel() for name, values in samples.items()}
    bins = np.histogram_bin_edges(np.concatenate(list(arrays.values())), 30)
    for name, values in arrays.items():
        ax.hist(values, bins=list(bins), density=True, alpha=0.6, label=plain_text(name))
    ax.set(xlabel=label, ylabel="density")
    ax.legend()
    return ax
