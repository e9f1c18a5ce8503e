"""Questions about the paper's claims, decided one after the other: networks taken from a laboratory, verdicts kept as JSON.

A `Question` is a hypothesis with its subject and test images, and the figure of the paper that it is about. A verdict is kept
with the hash of all that it rests on, and computed anew where this has changed; a question whose networks have not been
trained is left for later.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import runs
from gahb_theory.hypotheses.assessment import Assessment, assess
from gahb_theory.hypotheses.crossed import confidence_of, two_level
from gahb_theory.hypotheses.gates import BeatsSimple, GateResult, Measured, change_inside_interval
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.nulls import Null
from gahb_theory.hypotheses.paper.judged_measures import AboveOptimum, Spectra
from gahb_theory.hypotheses.paper.judged_networks import Judged, Settings, longest
from gahb_theory.hypotheses.subjects import Given
from gahb_theory.hypotheses.verdicts import NullResult, decide, power
from gahb_theory.identity import digest

__all__ = [
    "NotTrained",
    "Question",
    "TwiceTrained",
    "Workshop",
    "beats_simple",
    "decide_all",
    "doubling",
    "per_network",
    "row",
    "row_of_estimate",
    "row_of_values",
]

TRAIN_SEED, TRAIN_IMAGES = 2**42, 4096
"""Of the images behind Wiener filters and other nulls, which no network and no test has seen."""


GATE_SEED, GATE_IMAGES = 2**43 + 7, 256
"""Of the images on which networks have to beat a Wiener filter: at 32, what they gain is not told from 0."""


class NotTrained(Exception):
    """A network of a question has not been trained yet."""


@dataclass(frozen=True, eq=False)
class Workshop:
    """The networks, each loaded once."""

    laboratory: Laboratory
    settings: Settings = field(default_factory=Settings)
    loaded: dict[Any, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def spectra(self) -> Spectra:
        """Eigenvectors of the networks at test images."""
        return Spectra(folder=Path(self.laboratory.folder) / "spectra")

    def networks(self, judged: Judged, seeds: Sequence[int] | None = None, images_seen: int | None = None) -> list[Any]:
        """Networks of a kind, one for each seed, at the end of training or before.

        Raises
        ------
        NotTrained
            If one is missing.
        """
        found = []
        for training in judged.trainings(self.settings, seeds):
            key = (training.key, images_seen)
            if key not in self.loaded:
                try:
                    trained = self.laboratory.find(training, snapshots=images_seen is not None)
                except FileNotFoundError as error:
                    raise NotTrained(str(error)) from error
                self.loaded[key] = replace(trained, images_seen=images_seen).load().eval()
            found.append(self.loaded[key])
        return found

    def untrained(self, judged: Judged, count: int | None = None) -> list[Any]:
        """The same before training; `count` of them, each with a seed of its own, where that is given."""
        found = []
        for training in judged.trainings(self.settings, None if count is None else range(count)):
            key = (training.key, 0)
            self.loaded.setdefault(key, training.build().eval())
            found.append(self.loaded[key])
        return found

    def given(self, judged: Judged, name: str | None = None, images_seen: int | None = None) -> Given:
        """Networks as a subject."""
        return Given(self.networks(judged, images_seen=images_seen), name or judged.name)

    def keys(self, kinds: Iterable[Judged]) -> list[str]:
        """The keys of all networks of some kinds."""
        return [t.key for judged in kinds for t in judged.trainings(self.settings)]

    def longest(self, kind: str, images: str) -> Judged:
        """The networks that are judged: those of the largest budget that the plan has for every seed.

        Where they are not trained yet the question is left for later, so that no verdict on shorter training takes its place.
        """
        return longest(self.settings, kind, images)

    def twice(self, *kinds: Judged) -> "TwiceTrained":
        """The gate on training, for the first seed; of two kinds it looks at the difference.

        Networks of a multiple of the budget are set beside those of half of it, others beside those of twice theirs.
        """
        pairs = []
        for judged in kinds:
            short, long = (self.networks(each, [0])[0] for each in doubling(judged))
            pairs.append((short, long))
        return TwiceTrained(tuple(pairs))


def beats_simple(
    X: Any,
    name: str = BeatsSimple.name,
    rivals: tuple[Null, ...] = BeatsSimple.rivals,
    sigmas: Sequence[float] | None = None,
) -> BeatsSimple:
    """The gate that networks denoise, at many images of a class."""
    return BeatsSimple(name, rivals, X.sample(GATE_IMAGES, seed=GATE_SEED), sigmas)


def doubling(judged: Judged) -> tuple[Judged, Judged]:
    """The networks before and after the doubling that the gate looks at: the last one, or the next for the plain budget."""
    short = replace(judged, budget=max(judged.budget / 2, 1))
    return short, replace(short, budget=2 * short.budget)


@dataclass(frozen=True, eq=False)
class TwiceTrained:
    """Twice the budget changes the mean of the measure by less than half its interval, for the first seed, or cannot turn it.

    It cannot where the interval does not hold the threshold and the change leads away from it. An excess that falls as a power
    of the budget changes by the same part of itself with each doubling; an interval that shrinks with it never holds that.

    Parameters
    ----------
    pairs
        The network and that of twice the budget, of the subject, and of the rival where there is one.
    """

    pairs: tuple[tuple[Any, Any], ...]
    name: str = "twice the budget changes nothing"

    def check(self, run: Measured) -> GateResult:
        """Whether it is passed."""
        h, x = run.hypothesis, run.settings[0].images
        change = 0.0
        for sign, (short, long) in zip((1, -1), self.pairs, strict=False):
            for sigma in h.plan.sigmas:
                apart = h.measure(long, x, sigma, 0).double() - h.measure(short, x, sigma, 0).double()
                change += sign * float(apart.mean()) / len(h.plan.sigmas)
        found, e, threshold = (
            change_inside_interval(self.name, change, run, " (1 seed)"),
            run.estimate,
            h.criterion.threshold,
        )
        below, above = float(e.high) < threshold and change < 0, float(e.low) > threshold and change > 0
        if found.passed or not (below or above):
            return found
        return GateResult(self.name, True, f"{found.detail}, away from the threshold")


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of which networks.

    Parameters
    ----------
    key
        Under which the verdict is kept.
    figures
        Of the paper.
    kinds
        The networks that it needs.
    make
        make(workshop) -> hypothesis, subject, rival or None, test images, training images of nulls.
    reference
        reference(workshop, assessment) -> further numbers to be shown, such as those of the optimum.
    more
        more(workshop) -> values (seeds, images) of null models by name, with more seeds than the subject has.
    count
        How many seeds these have, where they are more than usual.
    rests
        rests(workshop) -> what else the verdict rests on: keys of null models, hashes of exact posteriors.
    """

    key: str
    figures: str
    kinds: tuple[Judged, ...]
    make: Callable[[Workshop], tuple[Hypothesis, Any, Any, Any, Any]]
    reference: Callable[[Workshop, Assessment], dict[str, Any]] | None = None
    more: Callable[[Workshop], dict[str, np.ndarray]] | None = None
    count: int | None = None
    rests: Callable[[Workshop], Sequence[str]] | None = None


def row(a: Assessment) -> dict[str, Any]:
    """What is kept of a verdict: as text and rounded numbers, with the measure at each noise level."""
    levels = [[sigma, *_ends(two_level(a.values[:, k], a.estimate.confidence)[0])] for k, sigma in enumerate(a.sigmas)]
    judged = _judged(a.statement, (a.verdict, a.reason), a.criterion, a.estimate, a.nulls, a.gates, a.unit, a.about)
    return judged | _measured(a.values.mean(axis=1), a.power) | {"levels": levels}


def row_of_values(
    statement: str,
    values: np.ndarray,
    criterion: Criterion,
    nulls: Mapping[str, np.ndarray],
    gates: Sequence[GateResult] = (),
    *,
    unit: str = "",
    about: str = "",
    looks: int = 1,
) -> dict[str, Any]:
    """What is kept of a verdict on values (seeds, images) that no `Hypothesis` measures, such as those of pairs of samples."""
    confidence = confidence_of(looks)
    estimate, spread = two_level(values, confidence)
    estimates = {name: two_level(v, confidence)[0] for name, v in nulls.items()}
    found = row_of_estimate(statement, estimate, criterion, estimates, gates, unit=unit, about=about)
    return found | _measured(values, power(estimate, spread, criterion, *values.shape))


def row_of_estimate(
    statement: str,
    estimate: Any,
    criterion: Criterion,
    nulls: Mapping[str, Any],
    gates: Sequence[GateResult] = (),
    *,
    unit: str = "",
    about: str = "",
) -> dict[str, Any]:
    """What is kept of a verdict on an estimate that has been made elsewhere."""
    judged = [NullResult.judged(name, e, criterion) for name, e in nulls.items()]
    decided = decide(estimate, criterion, judged, gates)
    return _judged(statement, decided, str(criterion), estimate, judged, gates, unit, about)


def _judged(
    statement: str,
    decided: tuple[str, str],
    criterion: str,
    estimate: Any,
    nulls: Sequence[NullResult],
    gates: Sequence[GateResult],
    unit: str,
    about: str,
) -> dict[str, Any]:
    return {
        "statement": statement,
        "verdict": decided[0],
        "reason": decided[1],
        "about": about,
        "criterion": criterion,
        "unit": unit,
        "estimate": _ends(estimate),
        "confidence": float(f"{estimate.confidence:.5g}"),
        "nulls": {n.name: [n.passes, *([] if n.estimate is None else _ends(n.estimate))] for n in nulls},
        "gates": {g.name: [g.passed, g.detail] for g in gates},
        "levels": [],
    }


def _measured(values: np.ndarray, seen: Any) -> dict[str, Any]:
    """Counts and power of values (seeds, images)."""
    return {
        "smallest_effect": float(f"{seen.smallest_effect:.3g}"),
        "needed": seen.needed,
        "seeds": len(values),
        "images": int(values.shape[1]),
        "by_seed": [float(f"{v:.5g}") for v in values.mean(axis=1)],
    }


def _ends(e: Any) -> list[float]:
    return [float(f"{v:.5g}") for v in (e.value, e.low, e.high)]


def per_network(h: Hypothesis, networks: Iterable[Any], images: Any) -> np.ndarray:
    """The measure of each network at each image, mean over noise levels: (networks, images)."""
    values = [[h.measure(f, images, sigma, 0).numpy() for sigma in h.plan.sigmas] for f in networks]
    return np.mean(values, axis=1)


def with_more_seeds(a: Assessment, criterion: Criterion, values: Mapping[str, np.ndarray]) -> Assessment:
    """The same assessment with null models measured on more seeds than the subject, which makes them easier to tell."""
    nulls = tuple(
        NullResult.judged(
            f"{n.name}, {len(values[n.name])} seeds", two_level(values[n.name], a.estimate.confidence)[0], criterion
        )
        if n.name in values
        else n
        for n in a.nulls
    )
    verdict, reason = decide(a.estimate, criterion, nulls, a.gates)
    return replace(a, nulls=nulls, verdict=verdict, reason=reason)


def _gate_identity(gate: Any) -> str:
    """A gate by its name, and by its rivals, images and levels where it has them."""
    rivals = [type(rival).__name__ for rival in getattr(gate, "rivals", ())]
    images = getattr(gate, "images", None)
    where = [] if images is None else [list(images.shape), f"{float(images.double().sum()):.6g}"]
    return f"{gate.name}: {rivals}, {where}, {list(getattr(gate, 'sigmas', None) or ())}"


def _content(h: Hypothesis, keys: Sequence[str], count: int | None = None) -> str:
    """The hash of what a verdict rests on: networks, statement, criterion, plan, null models, and the text of the measure.

    And Bayes intervals, where the measure compares with them: more steps of their chains change them.
    """
    nulls = [getattr(null, "name", type(null).__name__) for null in h.nulls]
    nulls += [_gate_identity(gate) for gate in h.gates]
    text = inspect.getsource(h.measure if inspect.isfunction(h.measure) else type(h.measure))
    above = getattr(h.measure, "above", h.measure)
    levels = getattr(h.measure, "window", h.plan.sigmas)  # a slope looks at all of its window
    bounds = [above.stored(levels)] if isinstance(above, AboveOptimum) else []
    looks = [f"{h.plan.looks} looks"] if h.plan.looks > 1 else []
    looks += [] if count is None else [f"{count} null models"]
    rests = [
        list(keys),
        h.statement,
        str(h.criterion),
        h.plan.images,
        list(h.plan.sigmas),
        nulls,
        text,
        *bounds,
        *looks,
    ]
    return digest(rests)[:24]


def decide_all(questions: Sequence[Question], workshop: Workshop, file: Path) -> dict[str, Any]:
    """Decide what is undecided yet, and keep each verdict at once; all verdicts by key."""
    for question in questions:
        known = runs.read_json(file) if file.exists() else {}
        try:
            found = _decided(question, workshop, known.get(question.key, {}).get("content"))
        except NotTrained as error:
            print(f"{question.key}: later ({error})", flush=True)
            continue
        if found is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            known = (
                runs.read_json(file) if file.exists() else {}
            )  # another process may have decided something meanwhile
            runs.write_json(file, known | {question.key: found})
    return runs.read_json(file) if file.exists() else {}


def _decided(question: Question, workshop: Workshop, known: str | None) -> dict[str, Any] | None:
    """What is kept of the verdict on a question; None where what it rests on has the hash that is known."""
    hypothesis, subject, rival, images, train = question.make(workshop)
    content = _content(
        hypothesis,
        [*workshop.keys(question.kinds), *(question.rests(workshop) if question.rests else ())],
        question.count,
    )
    if known == content:
        return None
    found = assess(hypothesis, subject, rival, images=images, train=train)
    if question.more is not None:
        found = with_more_seeds(found, hypothesis.criterion, question.more(workshop))
    print(question.key, found, "", sep="\n", flush=True)
    more = {} if question.reference is None else {"reference": question.reference(workshop, found)}
    return row(found) | {"figures": question.figures, "content": content} | more
