"""The paper on one page, from results alone: claim, our number, its number, verdict, and why."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.claims import Claim
from gahb_theory.hypotheses.paper.running import EXPERIMENTS, read_results
from gahb_theory.report import draw_paper, draw_plane
from gahb_theory.report.page import Section, Table, write_page
from gahb_theory.runs import write_bytes

__all__ = ["claims_table", "judged", "paper_report"]

PICTURES = {
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
HEADER = ("claim", "ours", "paper", "verdict", "why")


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
    sections, scale, versions = [], "", {}
    for experiment, results, arrays, found in judged(folder):
        scale, versions = results["scale"], results["versions"]
        summary += found
        rows = [(c.claim, c.ours, c.paper, c.verdict, c.why) for c in found]
        lead = " ".join(str(experiment.__doc__).split("\n\n")[1].split())
        command = f"Command: gahb reproduce {experiment.NAME} --scale {scale}"
        drawn = PICTURES[experiment.NAME](results, arrays)
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not sections:
        raise FileNotFoundError(f"no results in {folder}; run gahb reproduce manifolds first")
    write_bytes(folder / "claims.md", claims_table(summary).encode())
    held = [c.verdict for c in summary]
    words = ", ".join(f"{held.count(v)} {v}" for v in ("holds", "holds in part", "does not hold at this scale"))
    table = Table(HEADER[:4], [(c.claim, c.ours, c.paper, c.verdict) for c in summary], align="left")
    first = Section("All claims", (f"Of {len(held)} claims: {words}.",), (table,))
    return write_page(
        folder / "report.html", "The paper on one page", LEAD, [first, *sections], {"scale": scale, **versions}
    )
