"""Draw the paper on one page, from the kept results alone: claim, our number, its number, verdict, and why.

python experiments/report.py            experiments/results/report.html
python experiments/report.py FOLDER     of the results in another folder
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import manifolds
import memorisation
import near_optimal
import numpy as np
import pictures
import shrinkage
import shuffling
from laboratory import HERE, Claim, read_results

from gahb_theory.report.page import Section, Table, write_page
from gahb_theory.runs import write_bytes

EXPERIMENTS = (memorisation, shrinkage, near_optimal, manifolds, shuffling)
LEAD = (
    "The claims of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024) on small networks and small images: what we "
    "measured, what they report, and whether it holds. Verdicts are computed from the numbers. Intervals are 95 % over "
    "images; one network of each kind was trained, so they do not tell what another training would give."
)
HEADER = ("claim", "ours", "paper", "verdict", "why")


def judged(folder: Path) -> Iterator[tuple[Any, dict[str, Any], dict[str, np.ndarray], list[Claim]]]:
    """Each experiment that has results, with its numbers, its arrays and its claims."""
    for experiment in EXPERIMENTS:
        if (folder / experiment.NAME / "results.json").exists():
            results, arrays = read_results(folder, experiment.NAME)
            yield experiment, results, arrays, experiment.claims(results)


def claims_table(claims: Iterable[Claim]) -> str:
    """Claims as the lines of a Markdown table."""
    lines = ["| claim | ours | paper | verdict |", "|---|---|---|---|"]
    for c in claims:
        cells = (c.claim, c.ours, c.paper, f"**{c.verdict}**")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def report(folder: Path) -> Path:
    """Write report.html, claims.md and figures/ into a folder of results."""
    summary: list[Claim] = []
    sections, scale, versions = [], "", {}
    for experiment, results, arrays, found in judged(folder):
        scale, versions = results["scale"], results["versions"]
        summary += found
        rows = [(c.claim, c.ours, c.paper, c.verdict, c.why) for c in found]
        lead = " ".join(experiment.__doc__.split("\n\n")[1].split())
        command = f"Command: python experiments/{experiment.NAME}.py --scale {scale}"
        drawn = getattr(pictures, experiment.NAME)(results, arrays)
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not sections:
        raise SystemExit(f"no results in {folder}; run python experiments/manifolds.py first")
    write_bytes(folder / "claims.md", claims_table(summary).encode())
    held = [c.verdict for c in summary]
    words = ", ".join(f"{held.count(v)} {v}" for v in ("holds", "holds in part", "does not hold at this scale"))
    table = Table(HEADER[:4], [(c.claim, c.ours, c.paper, c.verdict) for c in summary], align="left")
    first = Section("All claims", (f"Of {len(held)} claims: {words}.",), (table,))
    return write_page(
        folder / "report.html", "The paper on one page", LEAD, [first, *sections], {"scale": scale, **versions}
    )


if __name__ == "__main__":
    print(report(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results"))
