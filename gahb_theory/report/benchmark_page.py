"""The page of a benchmark: the scores and the place, then every level, then the leaderboard."""

from pathlib import Path

from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, Benchmark, Entry, leaderboard
from gahb_theory.report.draw_benchmark import draw_benchmark, draw_leaderboard
from gahb_theory.report.figures import panels, style
from gahb_theory.report.page import Picture, Section, Table, write_page
from gahb_theory.runs import versions

__all__ = ["benchmark_page"]


def benchmark_page(result: Benchmark, path: Path) -> Path:
    """Write the page, with its figures beside it, and return its path."""
    place, places = result.place()
    total = result.total
    lead = f"{total.value:.2f} dB above the optimum [{total.low:.2f}, {total.high:.2f}]; place {place} of {places}"
    scores = [(name, f"{score.value:.2f} [{score.low:.2f}, {score.high:.2f}]") for name, score in result.scores.items()]
    images = "the standard images" if result.seed == BENCHMARK_SEED else f"images of the seed {result.seed}"
    levels = [
        (
            row["class"],
            f"{row['sigma']:g}",
            f"{row['risk']:.4g}",
            f"{row['bayes_lower']:.4g} to {row['bayes_upper']:.4g}",
            f"{row['gap_low_dB']:.2f} to {row['gap_high_dB']:.2f}",
        )
        for row in result.table()
    ]
    mine = Entry(
        result.name,
        "",
        "fixed",
        float(total.value),
        {name: {end: float(getattr(s, end)) for end in ("value", "low", "high")} for name, s in result.scores.items()},
    )
    classes = set(result.classes)
    board = [entry for entry in leaderboard() if classes <= set(entry.scores)]
    with style():
        gaps, axes = panels(6.0, 3.6)
        draw_benchmark(result, axes[0])
        others, axes = panels(6.5, 0.8 + 0.22 * (len(board) + 1))
        draw_leaderboard(sorted([mine, *(_on(entry, classes) for entry in board)], key=lambda e: e.total), axes[0])
    sections = [
        Section(
            "Scores",
            (f"Decibels above the optimum, 0 for the best denoiser there can be, on {images}.",),
            [Table(("class", "decibels"), scores, "Means over the noise levels, with 95 % intervals.", align="left")],
        ),
        Section(
            "Each noise level",
            (),
            [
                Picture("gaps", gaps, "Risk above the Bayes risk; bars are 95 % intervals."),
                Table(
                    ("class", "sigma", "risk", "Bayes risk", "decibels above it"),
                    levels,
                    "Squared error, summed over pixels.",
                    align="left",
                ),
            ],
        ),
        Section(
            "Leaderboard",
            (),
            [Picture("leaderboard", others, "A dot for each class, a bar to their mean; grey: no denoiser, no place.")],
        ),
    ]
    footer = {"command": "gahb benchmark", **versions()}
    return write_page(path, f"Benchmark of {result.name}", lead, sections, footer)


def _on(entry: Entry, classes: set[str]) -> Entry:
    """An entry on some classes only."""
    scores = {name: score for name, score in entry.scores.items() if name in classes}
    total = sum(score["value"] for score in scores.values()) / len(scores)
    return Entry(entry.name, entry.what, entry.kind, total, scores)
