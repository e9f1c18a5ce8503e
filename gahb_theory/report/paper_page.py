"""The paper on one page, from results alone: verdicts first, then what is measured beside what the paper reports."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.claims import Claim
from gahb_theory.hypotheses.paper.running import EXPERIMENTS, read_results
from gahb_theory.report import draw_paper, draw_plane, draw_resolution, draw_shrinkage, verdict_page
from gahb_theory.report.page import Head, KeyFigure, Part, Section, Table, write_page
from gahb_theory.report.readings_of_paper import readings_of_paper
from gahb_theory.runs import read_json

__all__ = ["measured", "paper_report", "verdicts"]

PICTURES: dict[str, Callable[[Any, Any], Sequence[Part]]] = {
    "memorisation": draw_paper.memorisation,
    "shrinkage": draw_shrinkage.shrinkage,
    "near_optimal": draw_paper.near_optimal,
    "manifolds": draw_paper.manifolds,
    "shuffling": draw_paper.shuffling,
    "memorisation_plane": draw_plane.memorisation_plane,
    **{
        name: partial(draw_plane.memorisation_plane, prefix=name) for name in ("plane_of_disks", "plane_of_photographs")
    },
    "resolution": draw_resolution.resolution,
}
LEAD = (
    "Verdicts come from hypotheses with null models that must fail, gates on training, and intervals over seeds and images. "
    "Below them stands what the experiments measure beside what the paper reports, without a verdict: one network of each "
    "kind, and intervals over images."
)
HEADER = ("claim", "ours", "paper", "note")
TABLES = {
    "Failures first; intervals over seeds and images.": (1, 0, 3, 4, 2, 7),
    "What else was measured beside each: null models, which must not meet the criterion, and gates.": (1, 5, 6),
}
"""Columns of the table of verdicts that stand together on the page, the claim first, under the caption of each table."""
DECIDED = ("claims", "verdicts.json")


def measured(folder: Path) -> Iterator[tuple[ModuleType, dict[str, Any], dict[str, np.ndarray], list[Claim]]]:
    """Each experiment that has results, with its numbers, its arrays and its claims."""
    for name, experiment in EXPERIMENTS.items():
        if (folder / name / "results.json").exists():
            results, arrays = read_results(folder, name)
            yield experiment, results, arrays, experiment.claims(results)


def verdicts(folder: Path) -> Section | None:
    """The verdicts that stand in claims/verdicts.json, failures first."""
    rows = _decided(folder)
    if not rows:
        return None
    lines = [verdict_page.HEADER, *(verdict_page.cells(row) for _, row in verdict_page.ordered(rows))]
    tables = []
    for caption, columns in TABLES.items():
        header, *cells = [[line[k] for k in columns] for line in lines]
        tables.append(Table(header, cells, caption, align="left"))
    return Section("Verdicts", (LEAD, verdict_page.counted(rows)), tables)


def paper_report(folder: Path) -> Path:
    """Write report.html and figures/ into a folder of results."""
    decided, first = _decided(folder), verdicts(folder)
    numbers = {f"sha256 of {'/'.join(DECIDED)}": _hash(folder.joinpath(*DECIDED))} if decided else {}
    sections, scale, versions = [], "", {}
    for experiment, results, arrays, found in measured(folder):
        scale, versions = results["scale"], results["versions"]
        rows = [(c.claim, c.ours, c.paper, c.why) for c in found]
        numbers[f"sha256 of {experiment.NAME}/results.json"] = _hash(folder / experiment.NAME / "results.json")
        lead = " ".join(str(experiment.__doc__).split("\n\n")[1].split())
        command = f"Command: gahb reproduce {experiment.NAME} --scale {scale}"
        said = readings_of_paper(experiment.NAME, results, arrays)
        drawn = [
            replace(part, reading=said[part.name]) if not isinstance(part, Table) and part.name in said else part
            for part in PICTURES[experiment.NAME](results, arrays)
        ]
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not sections:
        raise FileNotFoundError(f"no results in {folder}; run gahb reproduce manifolds first")
    shown = {
        "command": "gahb reproduce report",
        "scale": scale,
        **numbers,
        "versions": ", ".join(map(" ".join, versions.items())),
    }
    return write_page(
        folder / "report.html", _head(decided, scale), [*([] if first is None else [first]), *sections], shown
    )


def _head(rows: Mapping[str, Mapping[str, Any]], scale: str) -> Head:
    """How many claims are decided, and which are refuted."""
    found = [row["verdict"] for row in rows.values()]
    refuted, supported = found.count("refuted"), found.count("supported")
    counts = {"claims": len(found), "refuted": refuted, "supported": supported}
    counts["not decided"] = len(found) - refuted - supported
    against = [row["statement"].rstrip(".") for row in rows.values() if row["verdict"] == "refuted"]
    answers = [
        verdict_page.counted(rows) if rows else "No claim has been judged: experiments/claims.py does so.",
        f"Refuted: {'; '.join(against)}." if against else "No claim is refuted.",
        f"The scale is {scale}: small networks on small images.",
    ]
    figures = [KeyFigure(str(n), "", name) for name, n in counts.items()]
    question = "Do the claims of the paper hold on small networks and small images?"
    return Head("The paper on one page", question, answers, figures)


def _decided(folder: Path) -> dict[str, Any]:
    """The verdicts by key, none where nothing has been judged."""
    file = folder.joinpath(*DECIDED)
    return read_json(file) if file.exists() else {}


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16]
