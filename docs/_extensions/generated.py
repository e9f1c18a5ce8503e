"""Tables of pages that are made from code while the documentation is built, at lines such as <!-- generated: exponents -->."""

import inspect
import math
from typing import TYPE_CHECKING

import gahb_theory as gt
from gahb_theory.theory.exponents import EXPONENTS

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ALPHAS = (1.0, 1.5, 2.0, 3.0)
IN_LIBRARY = {
    "Fourier, linear": ("Fourier", "DCT"),
    "wavelets": ("Wavelet",),
    "curvelets": ("bases.Curvelets",),
    "wedgelets": ("bases.Wedgelets",),
    "bandlets": ("Bandlet",),
    "bandlets, estimated": ("Bandlet", "ShrinkageDenoiser"),
    "tangent space": ("bases.Tangent", "denoisers.TangentDenoiser"),
    "Wiener": ("GaussianDenoiser", "GaussianField"),
    "minimax": ("theory.optimal_slope",),
}
PACKAGES = {"images": "image classes", "bases": "bases", "shrinkage": "shrinkages", "denoisers": "denoisers"}


def _link(name: str) -> str:
    """A reference to a public name; an error if there is none."""
    value = gt
    for part in name.split("."):
        value = getattr(value, part)
    return f"{{py:{'class' if inspect.isclass(value) else 'func'}}}`~gahb_theory.{name}`"


def exponents() -> str:
    """The exponents e of ||x - x_M||^2 ~ M^-e that theory knows, and what of it the library has."""
    head = ["method", "images", *(f"alpha = {a:g}" for a in ALPHAS), "source", "in the library"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for entry in EXPONENTS:
        values = [entry.error(a) for a in ALPHAS]
        cells = ["" if math.isnan(e) else "slope 1" if math.isinf(e) else f"{e:g}" for e in values]
        source = entry.source + (f"; times {entry.logarithm}" if entry.logarithm else "")
        links = ", ".join(_link(name) for name in IN_LIBRARY.get(entry.method, ())) or "no"
        lines.append(
            "| " + " | ".join([entry.method, entry.images, *cells, source, links]).replace("|k|", r"\|k\|") + " |"
        )
    return "\n".join(lines)


def members() -> str:
    """All classes of the four packages."""
    lines = ["| what | members |", "|---|---|"]
    for package, what in PACKAGES.items():
        module = getattr(gt, package)
        classes = [name for name in module.__all__ if inspect.isclass(getattr(module, name))]
        public = {name for name in classes if name in gt.__all__}
        lines.append(f"| {what} | " + ", ".join(_link(n if n in public else f"{package}.{n}") for n in classes) + " |")
    return "\n".join(lines)


TABLES = {"exponents": exponents, "members": members}


def _fill(app: "Sphinx", page: str, source: list[str]) -> None:
    for name, make in TABLES.items():
        marker = f"<!-- generated: {name} -->"
        if marker in source[0]:
            source[0] = source[0].replace(marker, make())


def setup(app: "Sphinx") -> dict[str, bool]:
    """Fill the tables as a page is read."""
    app.connect("source-read", _fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
