"""Panels of curves as SVG, without a library: axes, ticks, intervals, legend, and the value of a point under the pointer.

Each colour is two variables, one for light and one for dark ground, between which the style sheet of the page chooses.
"""

import math
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from gahb_theory.report.curves import Limits, Panel, Series
from gahb_theory.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION

__all__ = ["INKS", "colours", "describe", "inline", "number", "ticks"]

WIDTH, HEIGHT, FONT = 400, 290, 12
LETTER = 0.56 * FONT
"""Mean width of a letter."""
MOST_POINTS = 90
"""Points of a series that say their value under the pointer."""
INKS = {
    BLUE: ("#0068a6", "#56b4e9"),
    ORANGE: ("#8f6200", "#e69f00"),
    GREEN: ("#00755a", "#2fc79b"),
    VERMILION: ("#b84a00", "#ff8a3d"),
    PURPLE: ("#a3457b", "#e59ac6"),
    GREY: ("#666666", "#a9adb8"),
    "black": ("#1d2433", "#e8eaf0"),
}
"""The colours of Okabe and Ito (2008) as words can be read in them: on light and on dark ground."""
DASHES = {"--": "6 4", "-.": "7 3 1.5 3", ":": "1.5 3"}


def colours(colour: str) -> tuple[str, str]:
    """A colour on light and on dark ground; one that is not of the library becomes readable on both."""
    if colour in INKS:
        return INKS[colour]
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    dark = "#" + "".join(f"{round(c + 0.45 * (255 - c)):02x}" for c in (red, green, blue))
    light = "#" + "".join(f"{round(0.85 * c):02x}" for c in (red, green, blue))
    return light, dark


def number(value: float | int) -> str:
    """A number as it stands at a tick: 0.01, 250, 10⁻⁶, with a true minus sign."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}".replace("-", "−")
    mantissa, _, exponent = f"{value:.0e}".partition("e")
    power = "10" + str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return power if mantissa == "1" else f"{mantissa.replace('-', '−')}·{power}"


def ticks(low: float | int, high: float | int, log: bool = False) -> list[float]:
    """Between four and eight round numbers in an interval, where there are as many.

    Examples
    --------
    >>> ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(1, 4096, log=True)
    [1.0, 10.0, 100.0, 1000.0]
    """
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        decades = math.log10(high / low)
        steps = (1, 2, 5) if decades < 2.2 else (1,)
        every = max(1, round(decades / 6))
        found = [m * 10.0**e for e in range(first, last + 1) if e % every == 0 for m in steps]
        return [t for t in found if low * 0.999 <= t <= high * 1.001]
    step = 10.0 ** math.floor(math.log10((high - low) / 4))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6.5)
    digits = max(0, -math.floor(math.log10(step)))
    return [
        round(k * step, digits) + 0.0 for k in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    ]


def describe(panel: Panel) -> str:
    """What is seen, in words: the axes, and from where to where each series goes.

    Examples
    --------
    >>> describe(Panel([Series("denoiser", np.array([0.0, 20.0]), np.array([9.5, 26.0]))], "input (dB)", "output (dB)"))
    'output (dB) against input (dB): denoiser from 9.5 at 0 to 26 at 20.'
    """
    said = []
    for s in panel.series:
        fine = np.isfinite(s.x) & np.isfinite(s.y)
        if not s.label or not fine.any():
            continue
        x, y = s.x[fine], s.y[fine]
        if panel.rows:
            places = [f"{panel.rows[round(b)]} {a:.3g}" for a, b in zip(x, y, strict=True)]
            said.append(f"{s.label}: {', '.join(places)}")
            continue
        first, last = int(np.argmin(x)), int(np.argmax(x))
        said.append(f"{s.label} from {y[first]:.3g} at {x[first]:.3g} to {y[last]:.3g} at {x[last]:.3g}")
    head = f"{panel.title}: " if panel.title else ""
    axes = panel.xlabel if panel.rows else f"{panel.ylabel} against {panel.xlabel}"
    return f"{head}{axes}: {'; '.join(said)}."


def inline(panel: Panel) -> str:
    """The panel as an element of a page, which has the style sheet."""
    legend = _legend(panel.series)
    top = (18 if panel.title else 4) + 16 * (1 + legend[-1][1] if legend else 0) + 8
    xs = [s.x for s in panel.series] + [np.array([m.at]) for m in panel.marks if m.axis == "x"]
    ys = [v for s in panel.series for v in (s.y, *(() if panel.rows or s.low is None else (s.low, s.high)))]
    ys += [np.array([m.at]) for m in panel.marks if m.axis == "y"]
    if panel.rows:
        xs += [v for s in panel.series if s.low is not None and s.high is not None for v in (s.low, s.high)]
        y_ends = (len(panel.rows) - 0.5, -0.5)
    else:
        y_ends = _ends(ys, panel.ylog, panel.ylim)
    x_ends = _ends(xs, panel.xlog, panel.xlim)
    height = top + (60 + 26 * len(panel.rows) if panel.rows else HEIGHT - 50)
    y_ticks = [] if panel.rows else ticks(*y_ends, panel.ylog)
    names = [_shortened(name) for name in panel.rows] or [number(t) for t in y_ticks]
    left = 24 + LETTER * max((len(name) for name in names), default=2)
    right, bottom = WIDTH - 10.0, height - 40.0
    if panel.equal:
        x_ends, y_ends = _equal(x_ends, y_ends, (right - left) / (bottom - top))
        y_ticks = ticks(*y_ends)
        names = [number(t) for t in y_ticks]
    X, Y = _Axis(*x_ends, panel.xlog, left, right), _Axis(*y_ends, panel.ylog, bottom, top)
    parts = _frame(panel, X, Y, y_ticks, names)
    clip = f"c{zlib.crc32(repr((describe(panel), x_ends, y_ends)).encode()):x}"
    parts.append(
        f'<clipPath id="{clip}"><rect x="{left:.1f}" y="{top - 3:.1f}" width="{right - left + 3:.1f}" '
        f'height="{bottom - top + 6:.1f}"/></clipPath><g clip-path="url(#{clip})">'
    )
    parts += [_curve(panel, s, X, Y) for s in panel.series]
    parts.append("</g>")
    for mark in panel.marks:
        light, dark = colours(mark.colour)
        place = float((Y if mark.axis == "y" else X)(mark.at))
        line = (left, place, right, place) if mark.axis == "y" else (place, top, place, bottom)
        ends = " ".join(f'{n}="{v:.1f}"' for n, v in zip(("x1", "y1", "x2", "y2"), line, strict=True))
        at = (right - 3, place - 4, "end") if mark.axis == "y" else (place + 4, top + 11, "start")
        if mark.axis == "x" and place + 4 + LETTER * len(mark.label) > right:
            at = (place - 4, top + 11, "end")
        parts.append(
            f'<g style="--l:{light};--d:{dark}"><line class="s" stroke-dasharray="3 3" {ends}/>'
            f'<text class="w" x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{at[2]}">{escape(mark.label)}</text></g>'
        )
    if panel.title:
        parts.append(
            f'<text x="{WIDTH / 2}" y="13" text-anchor="middle" font-weight="600">{escape(panel.title)}</text>'
        )
    for x, row, s in legend:
        parts.append(_entry(x, (18 if panel.title else 4) + 16 * row + 8, s))
    label = escape(describe(panel), quote=True)
    return (
        f'<svg class="chart" role="img" aria-label="{label}" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'font-size="{FONT}">{"".join(parts)}</svg>'
    )


class _Axis:
    """Numbers to places between two ends."""

    def __init__(self, low: float, high: float, log: bool, start: float | int, end: float | int) -> None:
        self.low, self.high, self.log, self.start, self.end = low, high, log, start, end

    def __call__(self, value: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            values = np.log10(value) if self.log else np.asarray(value, dtype=float)
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        places = self.start + (values - low) / (high - low) * (self.end - self.start)
        far = 3 * abs(self.end - self.start)  # what is off the axes is clipped, and no coordinate is without end
        return np.clip(places, min(self.start, self.end) - far, max(self.start, self.end) + far)


def _ends(values: Sequence[np.ndarray], log: bool, given: Limits) -> tuple[float, float]:
    """Ends of an axis: those that are given, else those of the numbers with a small margin."""
    all_of_them = np.concatenate([np.ravel(np.asarray(v, dtype=float)) for v in values])
    fine = all_of_them[np.isfinite(all_of_them) & ((all_of_them > 0) | (not log))]
    if not len(fine):
        fine = np.array([1.0, 10.0] if log else [0.0, 1.0])
    low, high = float(fine.min()), float(fine.max())
    if log:
        margin = max(1.02, (high / low) ** 0.03)
        low, high = low / margin, high * margin
    else:
        margin = 0.04 * ((high - low) or abs(high) or 1.0)
        low, high = low - margin, high + margin
    low, high = (low if given[0] is None else float(given[0])), (high if given[1] is None else float(given[1]))
    return (low, high) if high > low else (low, low * 10 if log else low + 1.0)


def _legend(series: Sequence[Series]) -> list[tuple[float, int, Series]]:
    """Place and line of each entry of the legend."""
    entries, x, row = [], 4.0, 0
    for s in series:
        if not s.label:
            continue
        width = 30 + LETTER * len(s.label) + 10
        if x > 4.0 and x + width > WIDTH:
            x, row = 4.0, row + 1
        entries.append((x, row, s))
        x += width
    return entries


def _shortened(name: str) -> str:
    return name if len(name) <= 26 else name[:25] + "…"


def _equal(
    x: tuple[float, float], y: tuple[float, float], aspect: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Ends of both axes, the shorter one widened, so that a unit of both has one length."""
    wide, tall = x[1] - x[0], y[1] - y[0]
    if wide / tall < aspect:
        more = (tall * aspect - wide) / 2
        return (x[0] - more, x[1] + more), y
    more = (wide / aspect - tall) / 2
    return x, (y[0] - more, y[1] + more)


def _frame(panel: Panel, X: _Axis, Y: _Axis, y_ticks: Sequence[float], names: Sequence[str]) -> list[str]:
    """Grid, ticks, their numbers, and the labels of the axes."""
    parts, left, right, bottom, top = [], X.start, X.end, Y.start, Y.end
    for t in ticks(X.low, X.high, X.log):
        x = float(X(t))
        parts.append(f'<line class="g" x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 15:.1f}" text-anchor="middle">{number(t)}</text>')
    for t, name in zip(range(len(panel.rows)) if panel.rows else y_ticks, names, strict=True):
        y = float(Y(t))
        parts.append(f'<line class="g" x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 5:.1f}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
    parts.append(f'<path class="a" d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}"/>')
    middle = (left + right) / 2
    parts.append(f'<text x="{middle:.1f}" y="{bottom + 33:.1f}" text-anchor="middle">{escape(panel.xlabel)}</text>')
    if panel.ylabel:
        at = f"12 {(top + bottom) / 2:.1f}"
        parts.append(
            f'<text transform="translate({at}) rotate(-90)" text-anchor="middle">{escape(panel.ylabel)}</text>'
        )
    return parts


def _stroke(s: Series) -> str:
    dash = f' stroke-dasharray="{DASHES[s.line]}"' if s.line in DASHES else ""
    return f'stroke-width="{s.width:g}"{dash}'


def _entry(x: float | int, y: float | int, s: Series) -> str:
    """A line of the legend."""
    light, dark = colours(s.colour)
    parts = [f'<g style="--l:{light};--d:{dark}">']
    if s.line:
        parts.append(f'<line class="s" {_stroke(s)} x1="{x:.1f}" y1="{y:.1f}" x2="{x + 24:.1f}" y2="{y:.1f}"/>')
    if s.marker:
        parts.append(f'<circle class="f" cx="{x + 12:.1f}" cy="{y:.1f}" r="{2 if s.marker == "." else 3}"/>')
    parts.append(f'<text x="{x + 29:.1f}" y="{y + 4:.1f}">{escape(s.label)}</text></g>')
    return "".join(parts)


def _curve(panel: Panel, s: Series, X: _Axis, Y: _Axis) -> str:
    """Interval, line, markers, and points that say their value."""
    fine = np.isfinite(s.x) & np.isfinite(s.y) & ((s.x > 0) | (not X.log)) & ((s.y > 0) | (not Y.log))
    x, y = X(s.x[fine]), Y(s.y[fine])
    if not len(x):
        return ""
    light, dark = colours(s.colour)
    parts = [f'<g style="--l:{light};--d:{dark}">']
    low = high = None
    if s.low is not None and s.high is not None:
        low, high = s.low[fine], s.high[fine]
        parts += _interval(panel, s, (x, y), (low, high), X, Y)
    thin = _thinned(x, y)
    if s.line:
        points = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x[thin], y[thin], strict=True))
        parts.append(f'<path class="s" {_stroke(s)} d="M{points}"/>')
    if s.marker == ".":
        dots = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(x[thin], y[thin], strict=True))
        parts.append(f'<path class="s" stroke-width="2.6" stroke-linecap="round" opacity="0.6" d="{dots}"/>')
    for k in _spread(x):
        shown = 3 if s.marker == "o" else 0
        ends = "" if low is None or high is None else f" [{low[k]:.4g}, {high[k]:.4g}]"
        value, at = s.y[fine][k], s.x[fine][k]
        said = f"{s.label or panel.ylabel}: {value:.4g}{ends} at {at:.4g}"
        if panel.rows:
            said = f"{panel.rows[round(value)]}, {s.label}: {at:.4g}{ends}"
        if shown:
            parts.append(f'<circle class="f" cx="{x[k]:.1f}" cy="{y[k]:.1f}" r="{shown}"/>')
        parts.append(f'<circle class="pt" cx="{x[k]:.1f}" cy="{y[k]:.1f}" r="6"><title>{escape(said)}</title></circle>')
    return "".join([*parts, "</g>"])


def _interval(
    panel: Panel,
    s: Series,
    places: tuple[np.ndarray, np.ndarray],
    ends: tuple[np.ndarray, np.ndarray],
    X: _Axis,
    Y: _Axis,
) -> list[str]:
    """Bars or a band."""
    x, y = places
    low, high = ends
    if panel.rows:
        lines = "".join(f"M{a:.1f} {b:.1f}H{c:.1f}" for a, b, c in zip(X(low), y, X(high), strict=True))
        return [f'<path class="s" stroke-width="1.2" d="{lines}"/>']
    bottom = Y(np.maximum(low, Y.low) if Y.log else low)
    if s.bars:
        lines = "".join(f"M{a:.1f} {b:.1f}V{c:.1f}" for a, b, c in zip(x, bottom, Y(high), strict=True))
        return [f'<path class="s" stroke-width="1.2" d="{lines}"/>']
    there = [f"{a:.1f} {b:.1f}" for a, b in zip(x, bottom, strict=True)]
    back = [f"{a:.1f} {b:.1f}" for a, b in zip(x[::-1], Y(high)[::-1], strict=True)]
    return [f'<path class="b" d="M{"L".join([*there, *back])}Z"/>']


def _thinned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points are drawn: one that falls on the one before is not, the last one is."""
    keep, last = [0], 0
    for k in range(1, len(x)):
        if abs(x[k] - x[last]) + abs(y[k] - y[last]) >= 0.6:
            keep.append(k)
            last = k
    if keep[-1] != len(x) - 1:
        keep.append(len(x) - 1)
    return np.array(keep)


def _spread(x: np.ndarray) -> list[int]:
    """Which points say their value: all of a few, else about as many at even distances."""
    if len(x) <= MOST_POINTS:
        return list(range(len(x)))
    order = np.argsort(x, kind="stable")
    wanted = np.linspace(x.min(), x.max(), MOST_POINTS)
    return sorted({int(order[min(k, len(x) - 1)]) for k in np.searchsorted(x[order], wanted)})
