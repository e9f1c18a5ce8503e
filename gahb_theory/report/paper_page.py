"""The paper on one page, from results alone: verdicts first, then what is measured beside what the paper reports."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.claims import Claim
from gahb_theory.hypotheses.paper.running import EXPERIMENTS, read_results
from gahb_theory.report import draw_paper, draw_plane, verdict_page
from gahb_theory.report.page import Section, Table, write_page
from gahb_theory.runs import read_json

__all__ = ["measured", "paper_report", "verdicts"]

PICTURES = {
    "memorisation": draw_paper.memorisation,
    "shrinkage": draw_paper.shrinkage,
    "near_optimal": draw_paper.near_optimal,
    "manifolds": draw_paper.manifolds,
    "shuffling": draw_paper.shuffling,
    "memorisation_plane": draw_plane.memorisation_plane,
}
LEAD = (
    "The claims of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024) on small networks and small images. Verdicts come from "
    "hypotheses with null models that must fail, gates on training, and intervals over seeds and images. Below them, what the "
    "experiments measure beside what the paper reports, without a verdict: one network of each kind, and intervals over images."
)
HEADER = ("claim", "ours", "paper", "note")


def measured(folder: Path) -> Iterator[tuple[ModuleType, dict[str, Any], dict[str, np.ndarray], list[Claim]]]:
    """Each experiment that has results, with its numbers, its arrays and its claims."""
    for name, experiment in EXPERIMENTS.items():
        if (folder / name / "results.json").exists():
            results, arrays = read_results(folder, name)
            yield experiment, results, arrays, experiment.claims(results)


def verdicts(folder: Path) -> Section | None:
    """The verdicts that stand in claims/verdicts.json, failures first."""
    file = folder / "claims" / "verdicts.json"
    if not file.exists():
        return None
    rows = read_json(file)
    lines = [verdict_page.cells(row) for _, row in verdict_page.ordered(rows)]
    return Section("Verdicts", (verdict_page.counted(rows),), (Table(verdict_page.HEADER, lines, align="left"),))


def paper_report(folder: Path) -> Path:
    """Write report.html and figures/ into a folder of results."""
    first = verdicts(folder)
    sections, scale, versions = [] if first is None else [first], "", {}
    for experiment, results, arrays, found in measured(folder):
        scale, versions = results["scale"], results["versions"]
        rows = [(c.claim, c.ours, c.paper, c.why) for c in found]
        lead = " ".join(str(experiment.__doc__).split("\n\n")[1].split())
        command = f"Command: gahb reproduce {experiment.NAME} --scale {scale}"
        drawn = PICTURES[experiment.NAME](results, arrays)
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not scale:
        raise FileNotFoundError(f"no results in {folder}; run gahb reproduce manifolds first")
    return write_page(folder / "report.html", "The paper on one page", LEAD, sections, {"scale": scale, **versions})
