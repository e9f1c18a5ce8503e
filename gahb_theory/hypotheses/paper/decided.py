"""The paper's claims from networks to page: train what is missing, decide what can be decided, write tables and figures."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gahb_theory import runs, stored_results
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.paper import (
    questions_bases,
    questions_budget,
    questions_contours,
    questions_function,
    questions_geometry,
    questions_manifolds,
    questions_optimum,
    questions_plane,
    questions_samples,
    questions_training,
    questions_witness,
)
from gahb_theory.hypotheses.paper.judged_networks import Settings, judged, plan
from gahb_theory.hypotheses.paper.workshop import NotTrained, Workshop, decide_all
from gahb_theory.hypotheses.publishing import publish

__all__ = ["Place", "decide", "picture", "publish_all", "train"]


@dataclass(frozen=True)
class Place:
    """Where networks, verdicts, and the networks of the memorisation plane are."""

    runs: Path
    results: Path
    checkpoints: Path

    @property
    def laboratory(self) -> Laboratory:
        """With the networks that are published."""
        return Laboratory(self.runs, (self.checkpoints,))

    @property
    def verdicts(self) -> Path:
        """The file of all verdicts."""
        return self.results / "verdicts.json"


def train(place: Place) -> None:
    """Train what is missing, the most wanted first."""
    for training in plan(Settings()):
        place.laboratory.train([training])
        print(training.name, training.key, flush=True)


def decide(place: Place) -> None:
    """Decide what is undecided and has its networks."""
    workshop = Workshop(place.laboratory)
    keep(place, questions_witness.rows() | questions_plane.rows(place.results.parent))
    for module in (
        questions_optimum,
        questions_manifolds,
        questions_geometry,
        questions_training,
        questions_contours,
    ):
        decide_all(module.questions(workshop), workshop, place.verdicts)
    keep(place, questions_budget.rows(workshop))
    keep(place, questions_bases.rows(place.results.parent, place.checkpoints))
    for pairs in (questions_samples, questions_function):
        with suppress(NotTrained):
            keep(place, pairs.rows(workshop, place.checkpoints))
    with suppress(NotTrained):
        keep(place, questions_contours.rows(workshop))
        write(place, "contours.npz", questions_contours.pictures(workshop))
    with suppress(NotTrained):
        keep(place, questions_training.rows(workshop))
        picture(place)


def keep(place: Place, rows: dict[str, Any]) -> None:
    """Keep verdicts beside those that there are."""
    known = runs.read_json(place.verdicts) if place.verdicts.exists() else {}
    place.results.mkdir(parents=True, exist_ok=True)
    runs.write_json(place.verdicts, known | rows)


def publish_all(place: Place) -> None:
    """Copy the networks that are judged, as they are at the end, to the committed checkpoints, and those of pairs."""
    workshop = Workshop(place.laboratory)
    kinds = {(j.kind, j.images): None for j in judged(Settings())}
    trainings = [t for k in kinds for t in workshop.longest(*k).trainings(workshop.settings)]
    pairs = [seed for pair in questions_samples.PAIRS for seed in pair]
    for training in {
        t.key: t for t in [*trainings, *questions_samples.JUDGED.trainings(workshop.settings, pairs)]
    }.values():
        with suppress(FileNotFoundError):
            publish(workshop.laboratory, training, place.checkpoints)


def picture(place: Place) -> None:
    """Keep the eigenvectors of the figure."""
    write(place, "eigenvectors.npz", questions_geometry.pictures(Workshop(place.laboratory)))


def write(place: Place, name: str, arrays: dict[str, Any]) -> None:
    """Keep what a figure draws."""
    stored_results.write_arrays(place.results / name, {k: v.astype("float32") for k, v in arrays.items()})
