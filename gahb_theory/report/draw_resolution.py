"""Gap between seen and fresh images, and distance from the optimum, by resolution and width."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gahb_theory.report.curves import Mark, Panel, Series, with_equal_limits
from gahb_theory.report.figures import BLUE, GREEN, GREY, PURPLE, VERMILION
from gahb_theory.report.page import Chart, Part

__all__ = ["resolution"]

SHADES = (BLUE, GREEN, VERMILION, PURPLE)
PIXELS = "pixels of a side"


def resolution(results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Part]:
    """A panel of gaps for each number of training images, and one of distances where there are any."""
    rows = results["rows"]
    counts = list(dict.fromkeys(row["n"] for row in rows))
    gaps = _from_zero([_panel([r for r in rows if r["n"] == n], _gap, "gap, seen − fresh (dB)") for n in counts])
    found: list[Part] = [
        Chart(
            "resolution_gaps",
            gaps,
            "PSNR on training images less that on fresh ones, mean over noise levels, for each resolution and width; bars: "
            "twice the standard error over images, one network each. Grey: a Wiener filter of the same images.",
        )
    ]
    if all(row["network"]["above"] for row in rows):
        levels = " and ".join(f"{v:g}" for v in results["bayes_sigmas"])
        found.append(
            Chart(
                "resolution_optimum",
                _from_zero(
                    [_panel([r for r in rows if r["n"] == n], _above, "risk above the optimum (dB)") for n in counts]
                ),
                f"Risk on fresh images above the Bayes interval, mean of sigma = {levels}, for each resolution and width. "
                "Grey: a Wiener filter of the same images.",
            )
        )
    return found


def _from_zero(panels: list[Panel]) -> list[Panel]:
    """Panels of one height that hold 0, which is none or the optimum."""
    low, high = with_equal_limits(panels)[0].ylim
    return [replace(panel, ylim=(min(low or 0.0, -0.2), high)) for panel in panels]


def _gap(row: Mapping[str, Any], name: str) -> tuple[float, float]:
    return row[name]["gap"], 2 * row[name]["error"]


def _above(row: Mapping[str, Any], name: str) -> tuple[float, float]:
    return float(np.mean(row[name]["above"])), 0.0


def _panel(rows: list[Mapping[str, Any]], value: Any, ylabel: str) -> Panel:
    """A line through the resolutions for each width, and one for the Wiener filter."""
    widths = sorted({row["channels"] for row in rows})
    lines = {f"{c} channels": [row for row in rows if row["channels"] == c] for c in widths}
    series = [
        _series(label, line, "network", value, colour)
        for (label, line), colour in zip(lines.items(), SHADES, strict=False)
    ]
    series.append(_series("Wiener filter", list({r["size"]: r for r in rows}.values()), "wiener", value, GREY))
    marks = [Mark("y", 0.0)]
    return Panel(series, PIXELS, ylabel, title=f"N = {rows[0]['n']:,}", marks=marks)


def _series(label: str, rows: list[Mapping[str, Any]], name: str, value: Any, colour: str) -> Series:
    rows = sorted(rows, key=lambda row: row["size"])
    middle, error = (np.array([value(row, name)[k] for row in rows]) for k in (0, 1))
    x = np.array([row["size"] for row in rows], dtype=float)
    low, high = (middle - error, middle + error) if error.any() else (None, None)
    return Series(label, x, middle, low, high, colour, marker="o", bars=True)
