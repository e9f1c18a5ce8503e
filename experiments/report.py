"""Draw the paper on one page, from the kept results alone: claim, our number, its number, verdict, and why.

python experiments/report.py            experiments/results/report.html
python experiments/report.py FOLDER     of the results in another folder
"""

import sys
from pathlib import Path

import manifolds
import memorisation
import near_optimal
import pictures
import shrinkage
import shuffling
from laboratory import HERE, read_results

from gahb_theory.report.page import Section, Table, write_page
from gahb_theory.runs import write_bytes

EXPERIMENTS = (memorisation, shrinkage, near_optimal, manifolds, shuffling)
LEAD = (
    "The claims of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024) on small networks and small images: what we "
    "measured, what they report, and whether it holds. Verdicts are computed from the numbers. Intervals are 95 % over "
    "images; one network of each kind was trained, so they do not tell what another training would give."
)
HEADER = ("claim", "ours", "paper", "verdict", "why")


def claims_table(folder: Path) -> str:
    """All claims as the lines of a Markdown table."""
    lines = ["| claim | ours | paper | verdict |", "|---|---|---|---|"]
    for experiment in EXPERIMENTS:
        if (folder / experiment.NAME / "results.json").exists():
            for c in experiment.claims(read_results(folder, experiment.NAME)[0]):
                cells = (c.claim, c.ours, c.paper, f"**{c.verdict}**")
                lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def report(folder: Path) -> Path:
    """Write report.html, claims.md and figures/ into a folder of results."""
    summary, sections = [], []
    scale, versions = "", {}
    for experiment in EXPERIMENTS:
        if not (folder / experiment.NAME / "results.json").exists():
            continue
        results, arrays = read_results(folder, experiment.NAME)
        found = experiment.claims(results)
        scale, versions = results["scale"], results["versions"]
        summary += [(c.claim, c.ours, c.paper, c.verdict) for c in found]
        rows = [(c.claim, c.ours, c.paper, c.verdict, c.why) for c in found]
        lead = " ".join((experiment.__doc__ or "").split("\n\n")[1].split())
        command = f"Command: python experiments/{experiment.NAME}.py --scale {scale}"
        drawn = getattr(pictures, experiment.NAME)(results, arrays)
        sections.append(Section(experiment.TITLE, (lead, command), (Table(HEADER, rows, align="left"), *drawn)))
    if not sections:
        raise SystemExit(f"no results in {folder}; run python experiments/manifolds.py first")
    write_bytes(folder / "claims.md", (claims_table(folder) + "\n").encode())
    held = [row[3] for row in summary]
    words = ", ".join(f"{held.count(v)} {v}" for v in ("holds", "holds in part", "does not hold at this scale"))
    first = Section("All claims", (f"Of {len(held)} claims: {words}.",), (Table(HEADER[:4], summary, align="left"),))
    return write_page(
        folder / "report.html", "The paper on one page", LEAD, [first, *sections], {"scale": scale, **versions}
    )


if __name__ == "__main__":
    print(report(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "results"))
