"""Output against input PSNR of a denoiser, with oracles, thresholding, and the slope that theory gives."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.figures import COLOURS, GREY, VERMILION, plain_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gahb_theory.comparison import Performance

__all__ = ["draw_performance"]


def draw_performance(p: "Performance", ax: "Axes", slope: float | None = None) -> "Axes":
    """Draw the PSNR of every method against that of the noisy image, and a line of the slope that theory gives."""
    given = -20 * np.log10(p.sigmas)
    ax.plot(given, given, color=GREY, lw=1, ls=":", label="noisy image")
    for method in p.methods.values():
        line = "--" if method.kind == "thresholding" else "-"
        colour, width = COLOURS.get(method.basis or method.kind, GREY), 2.4 if method.basis is None else 1.2
        ax.plot(given, method.psnr.value, line, color=colour, lw=width, label=plain_text(method.label))
    ax.fill_between(given, p.denoiser.psnr.low, p.denoiser.psnr.high, color=VERMILION, alpha=0.2, lw=0)
    if slope is not None and bool(p.inside.any()):
        middle = given[p.inside].mean(), np.asarray(p.denoiser.psnr.value)[p.inside].mean()
        ends = np.array([given[p.inside].min() - 3, given[p.inside].max() + 3])
        label = f"slope {slope:.3f} of the theory"
        ax.plot(ends, middle[1] + slope * (ends - middle[0]) - 3, color="black", lw=1, ls="-.", label=label)
    ax.set(xlabel="input PSNR $-20 \\log_{10} \\sigma$ (dB)", ylabel="output PSNR (dB)")
    ax.legend(loc="upper left", ncols=2)
    return ax
