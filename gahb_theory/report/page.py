"""One self-contained HTML page that opens from disk: question, answer, key figures, then pictures, tables, provenance.

It asks for nothing from outside. Curves are SVG, pictures PNG, and each figure carries the numbers it is drawn from.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gahb_theory.report import svg
from gahb_theory.report.browser import Eigenvectors, drawn_eigenvectors
from gahb_theory.report.curves import Panel, panels_figure
from gahb_theory.report.downloads import Download, arrays_as_file, panel_as_csv
from gahb_theory.report.grids import Grid, grid_as_csv, grid_as_svg, grids_figure
from gahb_theory.runs import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Chart", "Eigenvectors", "Grids", "Head", "KeyFigure", "Picture", "Section", "Table", "write_page"]

VERDICTS = {
    "supported": "good",
    "holds": "good",
    "refuted": "bad",
    "does not hold at this scale": "bad",
    "undecided": "open",
    "not discriminating": "open",
    "not converged": "open",
    "holds in part": "open",
}
"""How a cell that holds a verdict is marked."""


@dataclass(frozen=True)
class KeyFigure:
    """A number of the first screen, with its unit and what it is."""

    value: str
    unit: str
    label: str


@dataclass(frozen=True)
class Head:
    """The first screen: what the page is of, the question, the answer in three sentences, four key figures."""

    title: str
    question: str
    answers: Sequence[str]
    figures: Sequence[KeyFigure]
    equation: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of pixels, with one line of reading, a caption, what is seen in words, and the arrays it shows."""

    name: str
    figure: "Figure"
    caption: str
    reading: str = ""
    alt: str = ""
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Chart:
    """Curves, with one line of reading computed from them, and a caption."""

    name: str
    panels: Sequence[Panel]
    caption: str
    reading: str = ""


@dataclass(frozen=True)
class Grids:
    """Tables of numbers as coloured cells, with one line of reading computed from them, and a caption."""

    name: str
    grids: Sequence[Grid]
    caption: str
    reading: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header, the first cell naming the row; numbers stand to the right, words to the left."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    align: Literal["left", "right"] = "right"


Part = Picture | Chart | Grids | Eigenvectors | Table


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, paragraphs, then pictures and tables in their order."""

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Part] = field(default=())


def write_page(path: Path, head: Head, sections: Sequence[Section], provenance: Mapping[str, str]) -> Path:
    """Write the page at `path`, and every figure as figures/NAME.png beside it; return `path`."""
    import jinja2

    figures = path.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    shown = [
        {
            "title": section.title,
            "paragraphs": section.paragraphs,
            "parts": [(part, _drawn(part, figures)) for part in section.parts],
        }
        for section in sections
    ]
    here = Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(here), autoescape=True, undefined=jinja2.StrictUndefined
    )
    html = environment.get_template("page.html").render(
        head=head,
        sections=shown,
        provenance=provenance,
        verdicts=VERDICTS,
        css=_trusted(here / "page.css"),
        script=_trusted(here / "page.js"),
    )
    return write_bytes(path, html.encode(errors="replace"))  # file names need not be text


def _trusted(file: Path) -> Any:
    """A file of this package, to be written as it stands."""
    import markupsafe

    return markupsafe.Markup(file.read_text())


def _drawn(part: Part, figures: Path) -> dict[str, Any]:
    """What the page shows of a part, after its file is written."""
    files: list[Download] = []
    if isinstance(part, Table):
        return {}
    if isinstance(part, Picture):
        png = _png(part.figure)
        write_bytes(figures / f"{part.name}.png", png)
        files += [arrays_as_file(part.name, part.arrays)] if part.arrays else []
        return {"picture": base64.b64encode(png).decode(), "files": files}
    if isinstance(part, Chart):
        write_bytes(figures / f"{part.name}.png", _png(panels_figure(part.panels)))
        names = [f"{part.name}_{n + 1}" if len(part.panels) > 1 else part.name for n in range(len(part.panels))]
        files += [panel_as_csv(name, panel, part.name) for name, panel in zip(names, part.panels, strict=True)]
        return {"charts": [svg.inline(panel) for panel in part.panels], "files": files}
    if isinstance(part, Grids):
        write_bytes(figures / f"{part.name}.png", _png(grids_figure(part.grids)))
        files += [grid_as_csv(f"{part.name}_{n + 1}", grid) for n, grid in enumerate(part.grids)]
        return {"charts": [grid_as_svg(grid) for grid in part.grids], "files": files}
    figure, drawn = drawn_eigenvectors(part)
    write_bytes(figures / f"{part.name}.png", _png(figure))
    return drawn | {"files": [arrays_as_file(part.name, part.arrays())]}


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
