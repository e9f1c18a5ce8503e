"""The page of two bases at one image."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gahb_theory import stored_results
from gahb_theory.comparison import Comparison
from gahb_theory.report.draw_comparison import comparison_panels
from gahb_theory.report.page import Chart, Head, KeyFigure, Section, Table, write_page
from gahb_theory.report.provenance import provenance

__all__ = ["ARRAYS", "comparison_again", "comparison_page", "found"]

ARRAYS = "comparison"
"""The name under which arrays.npz holds a comparison."""


def found(c: Comparison, place: str, psnr: Mapping[str, float]) -> list[str]:
    """Three lines on two bases: PSNR of the denoisers and of the noisy image by name, overlap, and terms."""
    at, plural = c.index_of_rank, "s" if c.rank > 1 else ""
    return [
        f"{place}, sigma {c.sigma:g}: PSNR {', '.join(f'{name} {value:.2f} dB' for name, value in psnr.items())}",
        f"overlap of the first {c.rank} atom{plural} {c.overlap[at]:.3f}, by chance {c.overlap_of_chance[at]:.3f}",
        f"terms for 99 % of the energy: {c.first.terms} and {c.second.terms} of {c.dimension}",
    ]


def comparison_page(c: Comparison, place: str, psnr: Mapping[str, float], path: Path) -> Path:
    """Write the page, with its figure beside it, and return its path."""
    caption = (
        "Overlap of the first r atoms of both bases, and of random spans (dotted, band of two standard deviations); their "
        "principal angles; the energy of the image that r atoms leave out; the shrinkage factors."
    )
    lines = c.lines()
    both = next(number for number, row in enumerate(lines) if row[1:] == ("both", "chance"))
    tables = [Table(rows[0], rows[1:]) for rows in (lines[:both], lines[both:])]
    spectrum = [] if c.first.reproduction is None else [str(c.first.reproduction)]
    chart = Chart("comparison", comparison_panels(c), caption, _overlap(c))
    section = Section("At this image", [*found(c, place, psnr), *spectrum], [chart, *tables])
    return write_page(path, _head(c), [section], provenance(path.parent))


def comparison_again(run: Path) -> Path:
    """The page of a run of `gahb compare`, from its arrays."""
    arrays = stored_results.read_arrays(run / "arrays.npz")
    c = stored_results.from_arrays(Comparison, arrays, ARRAYS)
    psnr = {key.removeprefix("psnr/"): float(value) for key, value in arrays.items() if key.startswith("psnr/")}
    return comparison_page(c, str(arrays["place"]), psnr, run / "report.html")


def _overlap(c: Comparison) -> str:
    """The overlap in standard deviations above chance."""
    at = c.index_of_rank
    value, chance, spread = float(c.overlap[at]), float(c.overlap_of_chance[at]), float(c.overlap_spread[at])
    said = f"The first {c.rank} atoms of both share {value:.0%} of their span; random ones share {chance:.0%}"
    if spread > 0:
        deviations = (value - chance) / spread
        said += f", {abs(deviations):.0f} standard deviations {'less' if deviations > 0 else 'more'}"
    return f"{said}."


def _head(c: Comparison) -> Head:
    a, b, at = c.first, c.second, c.index_of_rank
    figures = [
        KeyFigure(f"{c.overlap[at]:.2f}", "", f"overlap of the first {c.rank} atoms"),
        KeyFigure(f"{c.overlap_of_chance[at]:.2f}", "", "overlap of random spans"),
        KeyFigure(f"{float(np.median(c.angles)):.0f}", "degrees", "median principal angle"),
        KeyFigure(f"{a.terms} and {b.terms}", f"of {c.dimension}", f"terms for 99 % of the energy: {a.name}, {b.name}"),
    ]
    answers = [_overlap(c), _sparser(c), _oracles(c)]
    return Head(f"{a.name} and {b.name}", f"Do {a.name} and {b.name} share a basis at this image?", answers, figures)


def _sparser(c: Comparison) -> str:
    a, b = c.first, c.second
    if a.terms is None or b.terms is None:
        return "How many terms hold 99 % of the energy is known of complete bases alone."
    if a.terms == b.terms:
        return f"Both need {a.terms} terms for 99 % of the energy of the image."
    less, more = (a, b) if a.terms < b.terms else (b, a)
    return f"{less.name} needs {less.terms} terms for 99 % of the energy of the image, {more.name} {more.terms}."


def _oracles(c: Comparison) -> str:
    a, b = c.first, c.second
    if a.oracle_mse is None or b.oracle_mse is None:
        return "Oracle risks need an image and a noise level."
    gap = 10 * float(np.log10(b.oracle_mse / a.oracle_mse))
    if abs(gap) < 0.05:
        return "The oracles of both bases have the same risk, to 0.05 dB."
    better, worse = (a, b) if gap > 0 else (b, a)
    return f"The oracle of {better.name}, which knows the clean image, has a risk {abs(gap):.1f} dB below that of {worse.name}."
