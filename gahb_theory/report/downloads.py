"""The numbers of a figure as a file inside the page: a CSV table of curves, a .npz file of images."""

import base64
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gahb_theory.report.curves import Panel

__all__ = ["Download", "arrays_as_file", "panel_as_csv", "table_as_csv"]


@dataclass(frozen=True)
class Download:
    """A file inside the page: its name, its media type, its content in base 64, and the words of its link."""

    name: str
    kind: str
    content: str
    words: str


def panel_as_csv(name: str, panel: Panel, figure: str) -> Download:
    """The curves of a panel as a table: a line for each x, and a column for each series and for each end of its intervals.

    A panel of named places has a line for each of these. The link names the panel where the figure, called `figure`, has
    several.
    """
    header, columns = ["" if panel.rows else panel.xlabel], []
    for s in panel.series:
        places = [round(float(y)) for y in s.y] if panel.rows else [float(x) for x in s.x]
        many: Counter[float] = Counter()
        keys = []
        for place in places:  # a place may have several numbers, each on a line of its own
            keys.append((place, many[place]))
            many[place] += 1
        ends = [] if s.low is None or s.high is None else [("low end", s.low), ("high end", s.high)]
        for word, values in [("", s.x if panel.rows else s.y), *ends]:
            header.append(f"{s.label or panel.ylabel} {word}".strip())
            columns.append(dict(zip(keys, values, strict=True)))
    lines = []
    for key in sorted({key for column in columns for key in column}):
        first = panel.rows[int(key[0])] if panel.rows else f"{key[0]:.6g}"
        lines.append([first, *(column.get(key, np.nan) for column in columns)])
    words = "numbers of this figure (CSV)" if name == figure else f"{panel.title or panel.ylabel} (CSV)"
    return table_as_csv(name, header, lines, words)


def table_as_csv(name: str, header: Sequence[str], rows: Sequence[Sequence[Any]], words: str) -> Download:
    """A table of words and numbers, these with six digits, and empty where they are not a number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *([v if isinstance(v, str) else _figures(v) for v in row] for row in rows)])
    return _download(f"{name}.csv", "text/csv", text.getvalue().encode(), words)


def arrays_as_file(name: str, arrays: Mapping[str, np.ndarray]) -> Download:
    """Arrays as a compressed .npz file, floating-point numbers with three digits (float16), for `numpy.load`."""
    buffer = io.BytesIO()
    small = {
        key: a.astype(np.float16) if a.dtype.kind == "f" and a.ndim > 1 else a
        for key, a in ((key, np.asarray(value)) for key, value in arrays.items())
    }
    np.savez_compressed(buffer, allow_pickle=False, **small)
    return _download(
        f"{name}.npz", "application/octet-stream", buffer.getvalue(), "numbers of this figure (NumPy .npz)"
    )


def _download(name: str, kind: str, content: bytes, words: str) -> Download:
    return Download(name, kind, base64.b64encode(content).decode(), words)


def _figures(value: Any) -> str:
    """A number with six digits, nothing where there is none."""
    return "" if np.isnan(value) else f"{value:.6g}"
