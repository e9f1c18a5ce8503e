"""Output against input PSNR of a denoiser, with oracles, thresholding, and the slope that theory gives."""

from typing import TYPE_CHECKING

import numpy as np

from gahb_theory.report.curves import Panel, Series, draw
from gahb_theory.report.figures import COLOURS, GREY, VERMILION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from gahb_theory.comparison import Performance

__all__ = ["draw_performance", "performance_panel"]


def performance_panel(p: "Performance", slope: float | None = None) -> Panel:
    """The PSNR of every method against that of the noisy image, and a line of the slope that theory gives."""
    given = -20 * np.log10(p.sigmas)
    series = [Series("noisy image", given, given, line=":", width=1)]
    for m in p.methods.values():
        colour = COLOURS.get(m.basis or m.kind, GREY)
        value, low, high = (np.asarray(v, dtype=float) for v in (m.psnr.value, m.psnr.low, m.psnr.high))
        if m.basis is None:
            series.append(Series(m.label, given, value, low, high, colour=VERMILION, marker="o", width=2.4))
        else:
            line = "--" if m.kind == "thresholding" else "-"
            series.append(Series(m.label, given, value, colour=colour, line=line, width=1.2))  # type: ignore[arg-type]
    if slope is not None and bool(p.inside.any()):
        middle = given[p.inside].mean(), np.asarray(p.denoiser.psnr.value)[p.inside].mean()
        ends = np.array([given[p.inside].min() - 3, given[p.inside].max() + 3])
        theory = middle[1] + slope * (ends - middle[0]) - 3
        series.append(Series(f"slope {slope:.3f} of the theory", ends, theory, colour="black", line="-.", width=1))
    return Panel(series, "input PSNR −20 log₁₀ σ (dB)", "output PSNR (dB)")


def draw_performance(p: "Performance", ax: "Axes", slope: float | None = None) -> "Axes":
    """Draw the PSNR of every method against that of the noisy image, and a line of the slope that theory gives."""
    return draw(performance_panel(p, slope), ax, "upper left")
