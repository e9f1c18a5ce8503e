"""One self-contained HTML page: text, tables and figures in one file that opens from disk."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gahb_theory.runs import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "Section", "Table", "write_page"]


@dataclass(frozen=True)
class Picture:
    """A figure with its name (of the file under figures/) and a caption that says what to see."""

    name: str
    figure: "Figure"
    caption: str


@dataclass(frozen=True)
class Table:
    """Rows of cells under a header, with a caption; numbers stand to the right, words to the left."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    align: Literal["left", "right"] = "right"


@dataclass(frozen=True)
class Section:
    """A part of the page: a title, paragraphs, then pictures and tables in their order."""

    title: str
    paragraphs: Sequence[str] = ()
    parts: Sequence[Picture | Table] = field(default=())


def write_page(path: Path, title: str, lead: str, sections: Sequence[Section], footer: Mapping[str, str]) -> Path:
    """Write the page at `path` and every picture as figures/NAME.png beside it."""
    import jinja2

    figures = path.parent / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    pictures: dict[str, str] = {}
    for section in sections:
        for part in section.parts:
            if isinstance(part, Picture):
                png = _png(part.figure)
                write_bytes(figures / f"{part.name}.png", png)
                pictures[part.name] = base64.b64encode(png).decode()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    html = environment.get_template("page.html").render(
        title=title, lead=lead, sections=sections, pictures=pictures, footer=footer
    )
    return write_bytes(path, html.encode(errors="replace"))  # file names need not be text


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
