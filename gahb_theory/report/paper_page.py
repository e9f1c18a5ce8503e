"""The paper on one page, from results alone: claim, our number, its number, verdict, and why."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.claims import Claim
from gahb_theory.hypotheses.paper.running import EXPERIMENTS, read_results
from gahb_theory.report import draw_paper, draw_plane
from gahb_theory.report.page import Chart, Head, KeyFigure, Part, Section, Table, write_page
from gahb_theory.report.readings_of_paper import readings_of_paper
from gahb_theory.runs import write_bytes

__all__ = ["claims_table", "judged", "paper_report"]

PICTURES: dict[str, Callable[[Any, Any], Sequence[Part]]] = {
    "memorisation": draw_paper.memorisation,
    "shrinkage": draw_paper.shrinkage,
    "near_optimal": draw_paper.near_optimal,
    "manifolds": draw_paper.manifolds,
    "shuffling": draw_paper.shuffling,
    "memorisation_plane": draw_plane.memorisation_plane,
}
LEAD = (
    "The claims of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024) on small networks and small images: what we "
    "measured, what they report, and whether it holds. Verdicts are computed from the numbers. Intervals are 95 % over "
    "images; one network of each kind was trained, so they do not tell what another training would give."
)
HEADER = ("claim", "verdict", "ours", "paper", "why")
SHORT = HEADER[:4]


def judged(folder: Path) -> Iterator[tuple[ModuleType, dict[str, Any], dict[str, np.ndarray], list[Claim]]]:
    """Each experiment that has results, with its numbers, its arrays and its claims."""
    for name, experiment in EXPERIMENTS.items():
        if (folder / name / "results.json").exists():
            results, arrays = read_results(folder, name)
            yield experiment, results, arrays, experiment.claims(results)


def claims_table(claims: Iterable[Claim]) -> str:
    """Claims as the lines of a Markdown table."""
    lines = ["| claim | ours | paper | verdict |", "|---|---|---|---|"]
    for c in claims:
        cells = (c.claim, c.ours, c.paper, f"**{c.verdict}**")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def paper_report(folder: Path) -> Path:
    """Write report.html, claims.md and figures/ into a folder of results."""
    summary: list[Claim] = []
    done: list[str] = []
    sections, scale, versions = [], "", {}
    for experiment, results, arrays, found in judged(folder):
        scale, versions = results["scale"], results["versions"]
        summary += found
        rows = [(c.claim, c.verdict, c.ours, c.paper, c.why) for c in found]
        done.append(experiment.NAME)
        lead = " ".join(str(experiment.__doc__).split("\n\n")[1].split())
        command = f"Command: gahb reproduce {experiment.NAME} --scale {scale}"
        said = readings_of_paper(experiment.NAME, results, arrays)
        drawn = [
            replace(part, reading=said[part.name]) if isinstance(part, Chart) and part.name in said else part
            for part in PICTURES[experiment.NAME](results, arrays)
        ]
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not sections:
        raise FileNotFoundError(f"no results in {folder}; run gahb reproduce manifolds first")
    write_bytes(folder / "claims.md", claims_table(summary).encode())
    table = Table(SHORT, [(c.claim, c.verdict, c.ours, c.paper) for c in summary], align="left")
    first = Section("All claims", (LEAD,), (table,))
    numbers = {f"sha256 of {name}/results.json": _hash(folder / name / "results.json") for name in done}
    shown = {
        "command": "gahb reproduce report",
        "scale": scale,
        **numbers,
        "versions": ", ".join(map(" ".join, versions.items())),
    }
    return write_page(folder / "report.html", _head(summary, scale), [first, *sections], shown)


def _head(claims: list[Claim], scale: str) -> Head:
    """How many claims hold, and which do not."""
    held = [c.verdict for c in claims]
    counts = {v: held.count(v) for v in ("holds", "holds in part", "does not hold at this scale")}
    failed = [c.claim.rstrip(".") for c in claims if c.verdict == "does not hold at this scale"]
    answers = [
        "Of {} claims {} hold, {} hold in part, {} do not hold at this scale.".format(len(held), *counts.values()),
        f"What does not hold: {'; '.join(failed)}." if failed else "No claim fails.",
        f"The scale is {scale}: small networks on small images, one of each kind.",
    ]
    figures = [KeyFigure(str(len(held)), "", "claims"), *(KeyFigure(str(n), "", v) for v, n in counts.items())]
    question = "Do the claims of the paper hold on small networks and small images?"
    return Head("The paper on one page", question, answers, figures)


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
