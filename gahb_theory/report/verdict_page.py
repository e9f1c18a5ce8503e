"""The verdicts on the paper's claims as Markdown: failures first, every figure of the paper, and each noise level.

table      verdict, claim, figures, measured, criterion, null models, gates, seeds and images
coverage   each figure of the paper with its rows, or what running it would take
levels     decibels above the optimum at each noise level
into       the table between two marks of another page, such as README.md
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gahb_theory.runs import read_json, write_bytes

__all__ = ["END", "START", "block", "coverage", "into", "levels", "table", "write"]

ORDER = ("refuted", "not converged", "not discriminating", "undecided", "supported")
START, END = "<!-- begin: verdicts -->", "<!-- end: verdicts -->"
FIGURES = {
    "1": "PSNR on seen and unseen images against N",
    "2": "samples of networks of disjoint sets, and histograms of cosines",
    "3": "eigenvalues and eigenvectors at one image",
    "4": "PSNR slopes and eigenvectors on C^alpha images",
    "5": "disks: tangent space, eigenvalues, slope",
    "6": "closest pairs between the sets",
    "7": "more pairs of samples",
    "8": "paths that part",
    "9": "as figure 1, bedrooms",
    "10": "as figure 2, bedrooms",
    "11": "as figure 1, BF-CNN",
    "12": "as figure 2, BF-CNN",
    "13": "samples of the deterministic ascent",
    "14": "their cosines",
    "15": "gap against N for four resolutions, capacity scaled (table 1)",
    "16": "C^alpha, BF-CNN",
    "17": "rough contours on a smooth background",
    "18": "eigenvectors of C^alpha, alpha = 3",
    "19": "a ray",
    "20": "a sine cone",
    "21": "shuffled pixels",
}


def _number(v: float) -> str:
    return f"{v:.3g}" if abs(v) >= 1e-9 else "0"  # rounding of double precision


def _shown(e: list[float], unit: str) -> str:
    """An estimate with its interval; excesses over the Bayes risk in decibels."""
    if unit == "of the Bayes risk":
        from gahb_theory.hypotheses.paper.judged_measures import decibels

        return f"{decibels(e[0]):+.2f} [{decibels(e[1]):.2f}, {decibels(e[2]):.2f}] dB"
    return f"{_number(e[0])} [{_number(e[1])}, {_number(e[2])}]" + (f" {unit}" if unit else "")


def _criterion(row: Mapping[str, Any]) -> str:
    side, _, threshold = row["criterion"].partition(" ")
    return f"{side} {_shown([float(threshold)] * 3, row['unit']).split(' [')[0]}" + (
        " dB" if row["unit"] == "of the Bayes risk" else ""
    )


def _nulls(row: Mapping[str, Any]) -> str:
    parts = []
    for name, found in row["nulls"].items():
        parts.append(f"{name}: {found[0]}" + (f", {_shown(found[1:], row['unit'])}" if len(found) > 1 else ""))
    return "; ".join(parts)


def _gates(row: Mapping[str, Any]) -> str:
    words = {True: "passed", False: "not passed", None: "not looked at"}
    return "; ".join(f"{name}: {words[passed]} ({detail})" for name, (passed, detail) in row["gates"].items())


def ordered(rows: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """The verdicts, failures first."""
    return sorted(rows.items(), key=lambda item: ORDER.index(item[1]["verdict"]))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


HEADER = (
    "verdict",
    "claim",
    "figures",
    "measured",
    "criterion",
    "null models: do they pass?",
    "gates",
    "seeds x images",
)
SHORT = 6
"""Columns of the short table."""


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """One verdict as the cells of a table."""
    confidence = row.get("confidence", 0.95)
    more = "" if confidence == 0.95 else f" (at {confidence:.1%})"
    numbers = (_shown(row["estimate"], row["unit"]) + more, _criterion(row), _nulls(row))
    return (
        row["verdict"],
        row["statement"],
        row["figures"],
        *numbers,
        _gates(row),
        f"{row['seeds']} x {row['images']}",
    )


def table(rows: Mapping[str, Mapping[str, Any]], *, short: bool = False) -> str:
    """The verdicts as a Markdown table, failures first; `short` leaves out gates and counts."""
    head = HEADER[:SHORT] if short else HEADER
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for _, row in ordered(rows):
        verdict, *rest = cells(row)[: len(head)]
        lines.append("| " + " | ".join(_cell(text) for text in (f"**{verdict}**", *rest)) + " |")
    return "\n".join(lines) + "\n"


def coverage(rows: Mapping[str, Mapping[str, Any]], missing: Mapping[str, str]) -> str:
    """Each figure of the paper: its verdicts, or what it would take."""
    lines = ["| figure | what it shows | rows |", "|---|---|---|"]
    for number, what in FIGURES.items():
        own = [(key, row["verdict"]) for key, row in rows.items() if number in row["figures"].split(", ")]
        cells = "; ".join(f"{key}: **{verdict}**" for key, verdict in own)
        more = missing.get(number, "")
        lines.append(f"| {number} | {_cell(what)} | {_cell('; '.join(filter(None, [cells, more])))} |")
    return "\n".join(lines) + "\n"


def levels(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Decibels above the optimum at each noise level, with intervals over seeds and images."""
    chosen = {k: r for k, r in rows.items() if r.get("unit") == "of the Bayes risk" and r.get("levels")}
    if not chosen:
        return ""
    sigmas = [level[0] for level in next(iter(chosen.values()))["levels"]]
    lines = ["| row | " + " | ".join(f"sigma = {s:g}" for s in sigmas) + " |", "|---|" + "---|" * len(sigmas)]
    for key, row in chosen.items():
        cells = [_shown(level[1:], row["unit"]).removesuffix(" dB") for level in row["levels"]]
        lines.append(f"| {_cell(key)} | " + " | ".join(cells) + " |")
        for name, values in row.get("reference", {}).get("dB_of_others", {}).items():
            lines.append(f"| - {_cell(name)} | " + " | ".join(f"{v:+.2f}" for v in values) + " |")
    return "\n".join(lines) + "\n"


def block(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """What stands between the two marks: the counts, and the short table."""
    return f"{counted(rows)}\n\n{table(rows, short=True)}"


def into(page: Path, rows: Mapping[str, Mapping[str, Any]]) -> bool:
    """Put the short table between the two marks of a page; whether the page has them."""
    text = page.read_text()
    if START not in text or END not in text:
        return False
    before, _, rest = text.partition(START)
    _, _, after = rest.partition(END)
    write_bytes(page, f"{before}{START}\n{block(rows)}\n{END}{after}".encode())
    return True


def counted(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """How many verdicts of each kind there are."""
    found = [row["verdict"] for row in rows.values()]
    return f"Of {len(found)} claims: " + ", ".join(f"{found.count(v)} {v}" for v in ORDER) + "."


def write(folder: Path, lead: str, limits: str, missing: Mapping[str, str], figures: Mapping[str, str]) -> Path:
    """Write README.md into the folder that holds verdicts.json; `figures` are captions by file."""
    rows = read_json(folder / "verdicts.json")
    parts = ["# The paper's claims, decided", lead, counted(rows), table(rows), limits]
    parts += ["## Decibels above the optimum", levels(rows), "## Every figure of the paper", coverage(rows, missing)]
    parts += [f"![{caption}]({file})\n\n*{caption}*" for file, caption in figures.items()]
    write_bytes(folder / "README.md", ("\n\n".join(part.strip() for part in parts) + "\n").encode())
    return folder / "README.md"
