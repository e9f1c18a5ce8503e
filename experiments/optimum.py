"""The table of Bayes intervals that comes with the package: standard classes, sizes and noise levels.

    python experiments/optimum.py            # makes what is missing, one entry after the other, and can be stopped at any time
    python experiments/optimum.py --minutes 30
    python experiments/optimum.py --table benchmark

Each entry is `bayes_risk(X, sigma, 32, seed=seed, steps=2000)`. Where its bounds are not within 0.15 dB it is made once more,
with three times the steps after a wider search, then with twenty times where that takes at most an hour, and replaced whatever
comes of it. The seed is 0 in the table `standard`, and that of the held-out images of `gahb_theory.benchmark` in the table
`benchmark`. The widths of all entries go to results/optimum.md, for the documentation. The bounds at each image, the work and
the versions go to gahb_theory/theory/optimum/TABLE.json, the centres of the posteriors to TABLE.npz beside it.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import gahb_theory
from gahb_theory import runs
from gahb_theory.denoisers.exact.posterior_chain import Search
from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, LEVELS, standard_classes
from gahb_theory.images import CAlpha, Disks, Ellipses
from gahb_theory.stored_results import read_arrays, write_arrays
from gahb_theory.theory.optimum.dispatch import bayes_risk, chained
from gahb_theory.theory.optimum.enclosure import TOLERANCE, width
from gahb_theory.theory.optimum.standard_table import UNIT, entry_name


class Effort(NamedTuple):
    """Steps of each chain, and how wide the search before them is."""

    steps: int
    search: Search


IMAGES = 32
WIDER = Search(draws=2000, rounds=32)
EFFORTS = (Effort(2000, Search()), Effort(6000, WIDER), Effort(40_000, WIDER))
HOUR = 3600.0
SIGMAS = (0.1, 0.3, 1.0, 0.03, 0.2, 0.05, 0.5)
WIDTHS = Path(__file__).parent / "results" / "optimum.md"
FOLDER = Path(gahb_theory.__file__).parent / "theory" / "optimum"


def standard_set() -> Iterator[tuple[Any, float, int]]:
    """Classes, noise levels and seeds, the most wanted first."""
    small = [*(CAlpha(alpha=a, size=16) for a in (2.0, 1.0, 3.0)), Disks(size=16), Ellipses(size=16)]
    middle = [CAlpha(alpha=a, size=24) for a in (2.0, 3.0, 1.0)]
    large = [Disks(size=32), *(CAlpha(alpha=a, size=32) for a in (2.0, 3.0, 1.0))]
    yield from ((X, sigma, 0) for X in small for sigma in SIGMAS)
    for levels in (SIGMAS[:1], SIGMAS[1:3]):
        yield from ((X, sigma, 0) for X in (*large, *middle) for sigma in levels)
    yield from ((X, sigma, 0) for X in (*middle, *large) for sigma in SIGMAS[3:])
    yield from ((CAlpha(alpha=a, size=64), sigma, 0) for a in (2.0, 3.0) for sigma in (0.3, 1.0))


def benchmark_set() -> Iterator[tuple[Any, float, int]]:
    """The classes of the benchmark that have no closed form."""
    for sigma in reversed(LEVELS):
        yield from ((X, sigma, BENCHMARK_SEED) for X in standard_classes().values() if chained(X))


SETS = {"standard": standard_set, "benchmark": benchmark_set}


def wanted(entries: list[dict[str, Any]], table: str) -> Iterator[tuple[Any, float, int, Effort]]:
    """What is to be made: once more, longer, what has not converged, the widest first; then what is missing."""
    made = {entry["name"]: entry for entry in entries}
    cases = [(case, made.get(entry_name(case[0], case[1], IMAGES, case[2]))) for case in SETS[table]()]
    again = [(decibels(entry), case, longer(entry["work"])) for case, entry in cases if entry]
    for found, case, effort in sorted(again, key=lambda row: row[0], reverse=True):
        if found > TOLERANCE and effort:
            yield *case, effort
    for case, entry in cases:
        if entry is None:
            yield *case, EFFORTS[0]


def longer(work: dict[str, Any]) -> Effort | None:
    """The next effort after that of an entry, if it takes at most an hour."""
    for effort in EFFORTS:
        if effort.steps > work["steps"]:
            return effort if work["seconds"] / work["steps"] * effort.steps < HOUR else None
    return None


def decibels(entry: dict[str, Any]) -> float:
    """The width of an entry."""
    return width(np.array(entry["lower"]), np.array(entry["upper"]))


def markdown() -> str:
    """Width, steps and seconds of every entry of both tables, for the documentation."""
    rows = []
    for table, make in SETS.items():
        made = {entry["name"]: entry for entry in runs.read_json(FOLDER / f"{table}.json")["entries"]}
        for X, sigma, seed in make():
            entry, label = made.get(entry_name(X, sigma, IMAGES, seed)), type(X).__name__
            label += f"({X.alpha:g})" if isinstance(X, CAlpha) else ""
            if entry:
                found, work = decibels(entry), entry["work"]
                risk = (np.mean(entry["lower"]) + np.mean(entry["upper"])) / 2
                shown = f"{risk:.4g} | {found:.3f} | {'yes' if found <= TOLERANCE else 'no'} | {work['steps']}"
                line = f"| {label} | {X.size} | {sigma:g} | {shown} | {work['seconds']:.0f} | {table} |"
                rows.append((table == "benchmark", label, X.size, sigma, line))
    lines = ["| class | pixels | sigma | Bayes risk | dB | converged | steps | seconds | table |", "|---" * 9 + "|"]
    return "\n".join(lines + [row[-1] for row in sorted(rows)]) + "\n"


def main() -> None:
    """Make the entries that are missing, and longer those that have not converged."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=None, help="begin no entry after so long")
    parser.add_argument("--table", choices=SETS, default="standard")
    given = parser.parse_args()
    limit = given.minutes
    began = time.monotonic()
    table, centres = (FOLDER / f"{given.table}.{ending}" for ending in ("json", "npz"))
    entries = runs.read_json(table)["entries"] if table.exists() else []
    for X, sigma, seed, effort in list(wanted(entries, given.table)):
        if limit is not None and time.monotonic() - began > 60 * limit:
            break
        b = bayes_risk(X, sigma, IMAGES, seed=seed, steps=effort.steps, search=effort.search)
        print(X, b, b.work, flush=True)
        name = entry_name(X, sigma, IMAGES, seed)
        number = next((entry["number"] for entry in entries if entry["name"] == name), len(entries))
        entries[number : number + 1] = [
            {"name": name, "number": number, "work": b.work}
            | {key: [float(f"{v:.8g}") for v in getattr(b.images, key).tolist()] for key in ("lower", "upper", "trace")}
            | {"versions": runs.versions()}
        ]
        rounded = np.round(b.images.centre.numpy() / UNIT).astype(np.int16)
        # centres first: an entry of the table without its centre would be an error, a centre without an entry is none
        write_arrays(centres, read_arrays(centres) | {f"centre-{number}": rounded})
        runs.write_json(table, {"entries": entries})
    WIDTHS.write_text(markdown())


if __name__ == "__main__":
    main()
