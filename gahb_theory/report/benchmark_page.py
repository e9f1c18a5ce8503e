"""The page of a benchmark: the scores and the place, then every level, then the leaderboard."""

from pathlib import Path

from gahb_theory import stored_results
from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, Benchmark, Entry, leaderboard
from gahb_theory.report.draw_benchmark import gap_panel, leaderboard_panel
from gahb_theory.report.page import Chart, Head, KeyFigure, Section, Table, write_page
from gahb_theory.report.provenance import provenance

__all__ = ["ARRAYS", "benchmark_again", "benchmark_page"]

ARRAYS = "benchmark"
"""The name under which arrays.npz holds a benchmark."""


def benchmark_page(result: Benchmark, path: Path) -> Path:
    """Write the page, with its figures beside it, and return its path."""
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
        float(result.total.value),
        {name: {end: float(getattr(s, end)) for end in ("value", "low", "high")} for name, s in result.scores.items()},
    )
    classes = set(result.classes)
    board = [_on(entry, classes) for entry in leaderboard() if classes <= set(entry.scores)]
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
                Chart("gaps", [gap_panel(result)], "Bars are 95 % intervals.", _hardest(result)),
                Table(
                    ("class", "sigma", "risk", "Bayes risk", "decibels above it"),
                    levels,
                    "Squared error, summed over pixels.",
                    align="left",
                ),
            ],
        ),
        Section("Leaderboard", (), [_leaderboard(mine, board)]),
    ]
    return write_page(path, _head(result, board), sections, provenance(path.parent))


def benchmark_again(run: Path) -> Path:
    """The page of a run of `gahb benchmark`, from its arrays."""
    arrays = stored_results.read_arrays(run / "arrays.npz")
    return benchmark_page(stored_results.from_arrays(Benchmark, arrays, ARRAYS), run / "report.html")


def _head(result: Benchmark, board: list[Entry]) -> Head:
    place, places = result.place()
    total, values = result.total, {name: float(score.value) for name, score in result.scores.items()}
    best, worst = min(values, key=lambda name: values[name]), max(values, key=lambda name: values[name])
    spread = (
        f"It is nearest to the optimum on {best} ({values[best]:.2f} dB) and farthest on {worst} ({values[worst]:.2f} dB)."
        if len(values) > 1
        else f"It was judged on one class, {best}."
    )
    figures = [
        KeyFigure(f"{total.value:.2f}", "dB", "above the optimum, mean over classes and noise levels"),
        KeyFigure(str(place), f"of {places}", "place on the leaderboard"),
        KeyFigure(f"{values[best]:.2f}", "dB", f"above the optimum on {best}, its best class"),
        KeyFigure(f"{values[worst]:.2f}", "dB", f"above the optimum on {worst}, its worst class"),
    ]
    answers = [
        f"{total.value:.2f} dB above the optimum [{total.low:.2f}, {total.high:.2f}]; place {place} of {places}.",
        spread,
        _beside(float(total.value), board),
    ]
    question = f"How far is {result.name} from the best denoiser there can be?"
    return Head(f"Benchmark of {result.name}", question, answers, figures)


def _beside(total: float, board: list[Entry]) -> str:
    """The best entry of the leaderboard, and the best of those that have learned nothing, beside a score."""
    said = []
    for word, nulls in (("the first of the leaderboard", False), ("the best that has learned nothing", True)):
        rivals = [entry for entry in board if (entry.kind == "null") == nulls]
        if rivals:
            rival = min(rivals, key=lambda entry: entry.total)
            less = total - rival.total
            side = "farther from the optimum than" if less > 0 else "nearer to the optimum than"
            said.append(f"{abs(less):.2f} dB {side} {word}, {rival.name}")
    return f"It is {'; and '.join(said)}." if said else "The leaderboard holds no entry on these classes."


def _hardest(result: Benchmark) -> str:
    """The level with the largest gap."""
    row = max(result.table(), key=lambda row: row["gap_low_dB"])
    return (
        f"The gap is largest on {row['class']} at sigma = {row['sigma']:g}: "
        f"{row['gap_low_dB']:.2f} to {row['gap_high_dB']:.2f} dB above the Bayes risk."
    )


def _leaderboard(mine: Entry, board: list[Entry]) -> Chart:
    entries = sorted([mine, *board], key=lambda entry: entry.total)
    nulls = [entry.name for entry in board if entry.kind == "null"]
    beaten = sum(entry.total > mine.total for entry in board)
    caption = "A dot for each class, with its 95 % interval, and grey their mean."
    if nulls:
        caption += f" Without a place, since they have learned nothing: {', '.join(nulls)}."
    reading = f"{mine.name} is nearer to the optimum than {beaten} of {len(board)} entries."
    return Chart("leaderboard", [leaderboard_panel(entries)], caption, reading)


def _on(entry: Entry, classes: set[str]) -> Entry:
    """An entry on some classes only."""
    scores = {name: score for name, score in entry.scores.items() if name in classes}
    total = sum(score["value"] for score in scores.values()) / len(scores)
    return Entry(entry.name, entry.what, entry.kind, total, scores)
