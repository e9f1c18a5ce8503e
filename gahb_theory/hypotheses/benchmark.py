"""Denoisers ranked by their distance from the optimum, on image classes whose optimum is known.

    gap(class, sigma) = 10 log10 ( E||f(y) - x||^2 / R ),        score(class) = mean of the gap over the noise levels,

with the Bayes risk R exact or between two bounds (`gahb_theory.theory.optimum`), so that 0 dB is the best that any denoiser
can do, on any class and at any level. A score is an interval: its ends are the means of the ends at each level.

The set is fixed: classes, sizes, noise levels, number and seed of the images; a changed set has another `VERSION`. The images
are those of a seed that no training of this library draws unless it is asked to; another seed gives fresh ones.

References
----------
M. Zach, Y. Haouchat, M. Unser, A statistical benchmark for diffusion posterior sampling algorithms, ICLR 2026
(github.com/zacmar/dps-benchmark): one-dimensional signals whose posteriors a Gibbs sampler draws, for inverse problems.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from gahb_theory import runs, validate
from gahb_theory.images import CAlpha, Disks, GaussianField, HolderBall, ImageClass
from gahb_theory.metrics.intervals import Estimate
from gahb_theory.progress import progress_bar
from gahb_theory.stored_results import Result
from gahb_theory.theory.optimum import Optimality, optimality

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BENCHMARK_SEED", "LEVELS", "VERSION", "Benchmark", "Entry", "benchmark", "leaderboard", "standard_classes"]

VERSION = "1"
LEVELS = (0.03, 0.1, 0.3, 1.0)
IMAGES = 32
BENCHMARK_SEED = 2**40
LEADERBOARD = Path(__file__).with_name("leaderboard.json")
Kind: TypeAlias = Literal["trained", "elsewhere", "fitted", "fixed", "null"]


def standard_classes() -> dict[str, ImageClass]:
    """The image classes of the benchmark by name, 16 pixels wide."""
    return {
        "gaussian": GaussianField(size=16),
        "holder_ball": HolderBall(size=16),
        "c_alpha_1": CAlpha(alpha=1.0, size=16),
        "c_alpha_2": CAlpha(alpha=2.0, size=16),
        "c_alpha_3": CAlpha(alpha=3.0, size=16),
        "disks": Disks(size=16),
    }


@dataclass(frozen=True)
class Entry:
    """A line of the leaderboard.

    Parameters
    ----------
    name, what
        Of the denoiser: what it is called, and its settings.
    kind
        "trained": a network for each class, trained on it; "elsewhere": one network, trained on other images; "fitted":
        made from images of the class without training; "fixed": the same for all classes; "null": what has learned
        nothing, without a place.
    total
        Decibels above the optimum, the mean over classes and noise levels.
    scores
        For each class decibels above the optimum with interval, as `value`, `low`, `high`.
    """

    name: str
    what: str
    kind: Kind
    total: float
    scores: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, eq=False, repr=False)
class Benchmark(Result):
    """How far a denoiser is from the optimum on each class.

    Parameters
    ----------
    name
        Of the denoiser.
    classes
        For each class the risk, the Bayes risk and the gap at each noise level.
    seed
        Of the test images and their noise.
    """

    name: str
    classes: Mapping[str, Optimality]
    seed: int

    @property
    def scores(self) -> dict[str, Estimate]:
        """Decibels above the optimum for each class: the mean over its noise levels."""
        return {name: _score([o]) for name, o in self.classes.items()}

    @property
    def total(self) -> Estimate:
        """Decibels above the optimum: the mean over classes and noise levels."""
        return _score(list(self.classes.values()))

    def table(self) -> list[dict[str, Any]]:
        """One row for each class and noise level, in decibels above the optimum."""
        return [{"class": name} | row for name, o in self.classes.items() for row in o.table()]

    def place(self) -> tuple[int, int]:
        """Place on the leaderboard and number of places with this one, on the classes of this one: 1 is nearest to the optimum.

        The leaderboard is of the standard images, also where this result is of another seed.
        """
        board = [entry for entry in leaderboard() if entry.kind != "null" and set(self.classes) <= set(entry.scores)]
        others = [np.mean([entry.scores[name]["value"] for name in self.classes]) for entry in board]
        mine = float(self.total.value)
        return 1 + sum(bool(other < mine) for other in others), 1 + len(others)

    def to_dict(self) -> dict[str, Any]:
        """All of it as numbers, lists and strings."""
        return {
            "name": self.name,
            "version": VERSION,
            "seed": self.seed,
            "total": self.total.to_dict(),
            "scores": {name: score.to_dict() for name, score in self.scores.items()},
            "classes": {name: o.to_dict() for name, o in self.classes.items()},
        }

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the gap against the noise level, a line for each class, and return the axes."""
        from gahb_theory.report.draw_benchmark import draw_benchmark

        return draw_benchmark(self, ax)

    def __repr__(self) -> str:
        place, entries = self.place()
        lines = [f"{self.name}: {_shown(self.total)} dB above the optimum; place {place} of {entries}"]
        for name, o in self.classes.items():
            levels = ", ".join(f"{row['gap_lower_dB']:.2f} at {row['sigma']:g}" for row in o.table())
            lines.append(f"  {name:12} {_shown(self.scores[name]):24} {levels}")
        return "\n".join(lines)


def benchmark(f: Any, *, name: str = "", seed: int = BENCHMARK_SEED) -> Benchmark:
    """Decibels above the optimum of a denoiser, per image class and noise level.

    Parameters
    ----------
    f
        A denoiser f(y, sigma), judged on all of `standard_classes`; or a mapping of names of classes to denoisers, each
        made for its class, judged on these. It sees images of 16 pixels with one channel, in float32.
    name
        What to call it; by default its class.
    seed
        Of the test images and their noise. The Bayes risks of the standard seed come with the package, and it takes
        seconds; another seed has fresh images, whose Bayes risks are computed: at once on "gaussian" and "holder_ball", by
        chains of 2000 steps on the others, which takes ten to twenty minutes for all of them.

    Raises
    ------
    ValueError
        If `f` names a class that the benchmark does not have, or none.

    See Also
    --------
    gahb_theory.optimality : The same on a class of your own.
    gahb_theory.excess_risk : A certificate where no optimum is known, as for photographs.

    Examples
    --------
    The identity is 10 to 20 dB above the optimum of a Gaussian field:

    >>> result = benchmark({"gaussian": lambda y, sigma: y}, name="identity")
    >>> result.classes["gaussian"].gap.lower.value.round(-1)
    array([10., 10., 20., 20.])
    """
    known = standard_classes()
    subjects: dict[str, Callable[..., Any]] = dict(f) if isinstance(f, Mapping) else dict.fromkeys(known, f)
    strange = sorted(set(subjects) - set(known))
    if strange or not subjects:
        raise ValueError(
            f"f must name classes of the benchmark, {', '.join(known)}; got {', '.join(strange) or 'none'}"
        )
    seed = validate.seed(seed)
    for label, subject in subjects.items():  # refused before chains run
        validate.evaluation_mode(validate.denoiser(subject))
        validate.denoised(subject, known[label].sample(1, seed=seed), LEVELS[0])
    judged: dict[str, Optimality] = {}
    with progress_bar(subjects.items(), desc="benchmark", unit="class") as bar:
        for label, subject in bar:
            judged[label] = optimality(subject, known[label], LEVELS, IMAGES, seed=seed)
    return Benchmark(name or _name(f), judged, seed)


@lru_cache(maxsize=1)
def leaderboard() -> tuple[Entry, ...]:
    """The committed entries, the nearest to the optimum first; made by experiments/leaderboard.py."""
    stored: dict[str, Any] = runs.read_json(LEADERBOARD)
    if stored["version"] != VERSION:
        raise ValueError(
            f"the leaderboard is of version {stored['version']} and the benchmark of {VERSION}; make it anew"
        )
    return tuple(Entry(**entry) for entry in stored["entries"])


def _score(classes: list[Optimality]) -> Estimate:
    """The mean over levels and classes; in the middle of lower and upper gap, from the lowest to the highest end."""
    lower, upper = (
        np.concatenate([np.atleast_1d(getattr(o.gap, end).value) for o in classes]) for end in ("lower", "upper")
    )
    low = np.concatenate([np.atleast_1d(o.gap.lower.low) for o in classes])
    high = np.concatenate([np.atleast_1d(o.gap.upper.high) for o in classes])
    error = np.concatenate([np.atleast_1d(o.gap.lower.standard_error) for o in classes])
    value = float((lower + upper).mean() / 2)
    method = "means of the ends at each level"
    return Estimate(value, float(low.mean()), float(high.mean()), float(error.mean()), 0.95, method)


def _shown(e: Estimate) -> str:
    return f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]"


def _name(f: Any) -> str:
    if isinstance(f, Mapping):
        names = dict.fromkeys(_name(part) for part in f.values())
        return ", ".join(names)
    return getattr(f, "__name__", type(f).__name__)
