"""The paper's claims from networks to page: train what is missing, decide what can be decided, write tables and figures."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gahb_theory import runs
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.paper import (
    questions_geometry,
    questions_manifolds,
    questions_optimum,
    questions_plane,
    questions_samples,
    questions_training,
    questions_witness,
)
from gahb_theory.hypotheses.paper.deciding import NotTrained, Workshop, decide_all
from gahb_theory.hypotheses.paper.judged_networks import Settings, plan

__all__ = ["Place", "decide", "page", "train"]


@dataclass(frozen=True)
class Place:
    """Where networks, verdicts, and the networks of the memorisation plane are."""

    runs: Path
    results: Path
    checkpoints: Path

    @property
    def verdicts(self) -> Path:
        """The file of all verdicts."""
        return self.results / "verdicts.json"


def train(place: Place) -> None:
    """Train what is missing, the most wanted first."""
    laboratory = Laboratory(place.runs)
    for training in plan(Settings()):
        laboratory.train([training])
        print(training.name, training.key, flush=True)


def decide(place: Place) -> None:
    """Decide what is undecided and has its networks."""
    laboratory = Laboratory(place.runs)
    workshop = Workshop(laboratory)
    cheap = questions_witness.rows() | questions_plane.rows(place.results.parent)
    keep(place, cheap | questions_samples.rows(laboratory, place.checkpoints))
    for module in (questions_optimum, questions_manifolds, questions_geometry, questions_training):
        decide_all(module.questions(), workshop, place.verdicts)
    with suppress(NotTrained):
        keep(place, questions_training.rows(workshop))


def keep(place: Place, rows: dict[str, Any]) -> None:
    """Keep verdicts beside those that there are."""
    known = runs.read_json(place.verdicts) if place.verdicts.exists() else {}
    place.results.mkdir(parents=True, exist_ok=True)
    runs.write_json(place.verdicts, known | rows)


def page(place: Place) -> None:
    """Write README.md and the figures beside the verdicts."""
    from gahb_theory.report import draw_claims, verdict_page

    rows = runs.read_json(place.verdicts)
    figures = draw_claims.draw(rows, place.results)
    print(verdict_page.write(place.results, LEAD, MISSING, figures))


LEAD = ""
MISSING: dict[str, str] = {}
