"""Figures: functions (data, axes) that draw and return, in one style, without the global state of pyplot.

Colours are those of Okabe and Ito (2008), which colour-blind readers tell apart.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from gahb_theory.analysis import Performance, Reading

__all__ = [
    "approximation",
    "eigenvectors",
    "gallery",
    "image",
    "panels",
    "performance",
    "shrinkage",
    "signed_image",
    "style",
    "triple",
]

BLUE, ORANGE, GREEN, VERMILION, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#7F7F7F"
COLOURS = {
    "denoiser": VERMILION,
    "eigenvectors, best M": VERMILION,
    "eigenvectors, first M": VERMILION,
    "wavelet": BLUE,
    "DCT": GREEN,
    "PCA": PURPLE,
}


@contextmanager
def style() -> Iterator[None]:
    """The look of every figure of the library."""
    import matplotlib as mpl

    settings: dict[Any, Any] = {
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.fontsize": 8,
        "figure.dpi": 150,
        "savefig.bbox": "tight",
        "lines.linewidth": 1.6,
    }
    with mpl.rc_context(settings):
        yield


def panels(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple["Figure", np.ndarray]:
    """A figure of the given size in inches, and its axes, an array in any case."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(rows, columns))


def image(x: np.ndarray, ax: "Axes", title: str = "") -> "Axes":
    """A clean, noisy or denoised image (c, h, w), intensities shown from 0 to 1."""
    shown = x[0] if x.shape[0] == 1 else np.clip(x.transpose(1, 2, 0), 0, 1)
    ax.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    ax.set_title(title)
    ax.set_axis_off()
    return ax


def signed_image(x: np.ndarray, ax: "Axes", title: str = "") -> "Axes":
    """An atom (c, h, w): red positive, blue negative, white zero; channels averaged."""
    mean = x.mean(axis=0)
    bound = float(np.quantile(np.abs(mean), 0.995)) or 1.0
    ax.imshow(mean, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest")
    ax.set_title(title, fontsize=8, pad=2)
    ax.set_axis_off()
    return ax


def triple(reading: "Reading") -> "Figure":
    """Clean, noisy and denoised image."""
    with style():
        figure, axes = panels(6.6, 2.4, 1, 3)
        s = reading.summary
        image(reading.clean, axes[0], "clean")
        image(reading.noisy, axes[1], f"noisy, {s['PSNR of the noisy image (dB)']:.1f} dB")
        image(reading.denoised, axes[2], f"denoised, {s['PSNR of the denoised image (dB)']:.1f} dB")
        return figure


def eigenvectors(reading: "Reading", columns: int = 8) -> "Figure":
    """Eigenvectors of the Jacobian in the order of their eigenvalues."""
    with style():
        rows = -(-len(reading.atom_indices) // columns)
        figure, axes = panels(1.25 * columns, 1.42 * rows, rows, columns)
        for ax in axes.flat:
            ax.set_axis_off()
        for k, atom, ax in zip(reading.atom_indices, reading.atoms, axes.flat, strict=False):
            signed_image(atom, ax, f"$\\lambda_{{{k + 1}}}$ = {reading.eigenvalues[k]:.3f}")
        return figure


def shrinkage(reading: "Reading") -> "Figure":
    """Shrinkage factors beside the coefficients of the clean image, along the order of the eigenvalues."""
    with style():
        figure, axes = panels(6.6, 2.9)
        left = axes[0]
        right = left.twinx()
        rank = np.arange(1, len(reading.eigenvalues) + 1)
        left.plot(rank, np.abs(reading.coefficients), ".", ms=2.5, color=BLUE, alpha=0.6)
        left.axhline(reading.summary["noise level sigma"], color=GREY, ls=":", lw=1)
        left.annotate(
            "$\\sigma$", (1, reading.summary["noise level sigma"]), color=GREY, va="bottom", xytext=(2, 1),
            textcoords="offset points",
        )  # fmt: skip
        left.set(xscale="log", yscale="log", xlabel="rank k of the eigenvalue")
        left.set_ylim(bottom=max(1e-5, float(np.quantile(np.abs(reading.coefficients), 0.01))))
        left.set_ylabel("coefficient |<x, e$_k$>| of the clean image", color=BLUE)
        right.plot(rank, reading.eigenvalues, color=VERMILION)
        right.set_ylabel("shrinkage factor $\\lambda_k$", color=VERMILION)
        right.grid(visible=False)
        right.spines["right"].set_visible(True)
        return figure


def approximation(reading: "Reading") -> "Figure":
    """Error of M terms of the clean image in each basis."""
    with style():
        figure, axes = panels(6.6, 3.2)
        ax = axes[0]
        for name, error in reading.errors.items():
            line = "--" if "first" in name else "-"
            ax.plot(np.arange(1, len(error)), error[1:], line, color=COLOURS.get(name, GREY), label=_words(name))
        floor = max(1e-9, min(float(e[len(e) // 2]) for e in reading.errors.values()))
        ax.set(xscale="log", yscale="log", xlabel="number of terms M", ylabel="$||x - x_M||^2 / ||x||^2$")
        ax.set_ylim(floor, 1.2)
        ax.legend(loc="lower left")
        return figure


def performance(p: "Performance", slope: float | None) -> "Figure":
    """Output against input PSNR of a denoiser, with the oracles and the slope that theory gives."""
    with style():
        figure, axes = panels(6.6, 3.8)
        ax = axes[0]
        given = -20 * np.log10(p.sigmas)
        ax.plot(given, given, color=GREY, lw=1, ls=":", label="noisy image")
        for name, values in p.psnr.items():
            base = name.rsplit(" ", 1)[0]
            line = {"oracle": "-", "thresholding": "--"}.get(name.rsplit(" ", 1)[-1], "-")
            width = 2.4 if name == "denoiser" else 1.2
            ax.plot(given, values, line, color=COLOURS.get(name, COLOURS.get(base, GREY)), lw=width, label=_words(name))
        own = p.psnr["denoiser"]
        ax.fill_between(given, own - 2 * p.standard_error, own + 2 * p.standard_error, color=VERMILION, alpha=0.2, lw=0)
        if slope is not None:
            inside = (p.sigmas >= p.window[0]) & (p.sigmas <= p.window[1])
            middle = given[inside].mean(), own[inside].mean()
            ends = np.array([given[inside].min() - 3, given[inside].max() + 3])
            ax.plot(ends, middle[1] + slope * (ends - middle[0]) - 3, color="black", lw=1, ls="-.",
                    label=f"slope {slope:.3f} of the theory")  # fmt: skip
        ax.set(xlabel="input PSNR $-20 \\log_{10} \\sigma$ (dB)", ylabel="output PSNR (dB)")
        ax.legend(loc="upper left", ncols=2)
        return figure


def gallery(images: Mapping[str, np.ndarray]) -> "Figure":
    """A row of images (n, c, h, w) for each name."""
    with style():
        columns = max(len(x) for x in images.values())
        figure, axes = panels(1.1 * columns, 1.3 * len(images), len(images), columns)
        for row, (name, x) in zip(axes.reshape(len(images), columns), images.items(), strict=True):
            for picture, ax in zip(x, row, strict=False):
                image(picture, ax)
            row[0].annotate(
                _words(name), (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points"
            ).set_in_layout(False)
        return figure


def _words(name: str) -> str:
    """A name that a user gave, taken as it is: no formula, and not left out of a legend."""
    return (" " if name.startswith("_") else "") + name.replace("$", r"\$")
