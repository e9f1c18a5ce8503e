"""The numbers of a figure as a file inside the page: a CSV table of curves, a .npz file of images."""

import base64
import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gahb_theory.report.curves import Panel

__all__ = ["Download", "arrays_as_file", "panels_as_csv"]


@dataclass(frozen=True)
class Download:
    """A file inside the page: its name, its media type, its content in base 64, and the words of its link."""

    name: str
    kind: str
    content: str
    words: str


def panels_as_csv(name: str, panels: Sequence[Panel]) -> Download:
    """The points of all series, one a line, with the ends of their intervals: panel, series, x, y, low, high.

    In a panel of named places `y` is the name, and the numbers stand under `x`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("panel", "series", "x", "y", "low", "high"))
    for panel in panels:
        for s in panel.series:
            nothing = np.full(len(s.x), np.nan)
            low = nothing if s.low is None else s.low
            high = nothing if s.high is None else s.high
            for x, y, a, b in zip(s.x, s.y, low, high, strict=True):
                place = panel.rows[int(round(float(y)))] if panel.rows else _figures(y)
                writer.writerow((panel.title or panel.ylabel, s.label, _figures(x), place, _figures(a), _figures(b)))
    return _download(f"{name}.csv", "text/csv", text.getvalue().encode(), "numbers of this figure (CSV)")


def arrays_as_file(name: str, arrays: Mapping[str, np.ndarray]) -> Download:
    """Arrays as a compressed .npz file, floating-point numbers with three digits (float16), for `numpy.load`."""
    buffer = io.BytesIO()
    small = {
        key: a.astype(np.float16) if a.dtype.kind == "f" and a.ndim > 1 else a
        for key, a in ((key, np.asarray(value)) for key, value in arrays.items())
    }
    np.savez_compressed(buffer, allow_pickle=False, **small)
    return _download(f"{name}.npz", "application/octet-stream", buffer.getvalue(), "numbers of this figure (NumPy .npz)")


def _download(name: str, kind: str, content: bytes, words: str) -> Download:
    return Download(name, kind, base64.b64encode(content).decode(), words)


def _figures(value: float) -> str:
    """A number with seven digits, nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.7g}"
