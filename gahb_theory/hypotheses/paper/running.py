"""Running an experiment: where its networks and results are, its plan, and what is kept of it.

In a clone of the source the committed scale, "laptop", keeps networks in experiments/checkpoints and results in
experiments/results. Everywhere else, and at every other scale, all is in runs/paper/SCALE of the current folder.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from gahb_theory import runs, stored_results
from gahb_theory.hypotheses.forecast import forecast
from gahb_theory.hypotheses.jobs import Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Laboratory
from gahb_theory.hypotheses.paper import (
    adapted_basis,
    manifolds,
    memorisation,
    memorisation_plane,
    near_optimal,
    plane_of_disks,
    plane_of_photographs,
    resolution,
    shuffling,
)
from gahb_theory.hypotheses.publishing import publish
from gahb_theory.identity import identity
from gahb_theory.images import Photographs
from gahb_theory.workers import pool

__all__ = ["COMMITTED", "EXPERIMENTS", "Place", "keep", "place", "plan", "read_results", "run", "settings"]

COMMITTED = "laptop"
EXPERIMENTS: dict[str, ModuleType] = {
    module.NAME: module
    for module in (
        memorisation,
        adapted_basis,
        near_optimal,
        manifolds,
        shuffling,
        memorisation_plane,
        plane_of_disks,
        plane_of_photographs,
        resolution,
    )
}


@dataclass(frozen=True)
class Place:
    """Folders of one scale."""

    runs: Path
    """What can be computed again."""
    results: Path
    checkpoints: Path | None
    """Where networks are published; None publishes none."""


def place(scale: str) -> Place:
    """The folders of a scale: those of the clone that this is called in or runs from, or of the current folder."""
    here = Path("runs") / "paper" / scale
    if scale == COMMITTED:
        for folder in (Path("experiments"), Path(__file__).parents[3] / "experiments"):
            if (folder / "checkpoints").is_dir() and (folder / "results").is_dir():
                return Place(here, folder / "results", folder / "checkpoints")
    return Place(here, here / "results", None)


def settings(experiment: ModuleType, scale: str, photographs: Path | None = None) -> Any:
    """The settings of an experiment, with patches of the given photographs.

    Raises
    ------
    ValueError
        If photographs are given to an experiment that is not about photographs.
    """
    s = experiment.SCALES[scale]
    if photographs is None:
        return s
    found = {f.name: getattr(s, f.name) for f in fields(s) if isinstance(getattr(s, f.name), Photographs)}
    if not found:
        raise ValueError(f"{experiment.NAME} has no photographs, got {photographs}; leave --photographs away")
    return replace(s, **{name: replace(value, folder=photographs) for name, value in found.items()})


@contextmanager
def laboratory(where: Place, workers: int | None = None) -> Iterator[Laboratory]:
    """A laboratory in a place: on a GPU one job after the other, else one process for each core."""
    gpu = torch.cuda.is_available()
    count = workers or (1 if gpu else os.cpu_count() or 1)
    shelves = () if where.checkpoints is None else (where.checkpoints,)
    device = "cuda" if gpu else "cpu"
    if count == 1:
        yield Laboratory(where.runs, shelves, device=device)
        return
    with pool(count) as processes:
        yield Laboratory(where.runs, shelves, processes, device, count)


def plan(experiment: ModuleType, s: Any, where: Place, workers: int | None = None) -> str:
    """What is left to do, in hours of this machine and of a GPU."""
    shelves = () if where.checkpoints is None else (where.checkpoints,)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    count = workers or (1 if device == "cuda" else os.cpu_count() or 1)
    lab = Laboratory(where.runs, shelves, device=device, workers=count)
    return forecast(lab, experiment.trainings(s), experiment.tasks(s)).table()


def run(experiment: ModuleType, s: Any, scale: str, where: Place, lab: Laboratory) -> dict[str, Any]:
    """Train, measure, keep the results and publish the networks; the numbers."""
    trainings: list[Training] = experiment.trainings(s)
    found = lab.run(trainings, experiment.tasks(s))
    if where.checkpoints is not None and getattr(experiment, "PUBLISHED", True):
        for training in trainings:
            publish(lab, training, where.checkpoints)
    results, arrays = experiment.collect(s, found)
    return keep(where.results / experiment.NAME, s, scale, results, arrays)


def keep(
    folder: Path, s: Any, scale: str, results: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """Write results.json and arrays.npz, images in half precision; what results.json holds."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {
        name: a.astype(np.float16 if a.ndim > 2 else np.float32) if a.dtype.kind == "f" else a
        for name, a in arrays.items()
    }
    stored_results.write_arrays(folder / ARRAYS, small)
    content = {"scale": scale, "versions": runs.versions(), "settings": identity(s, "settings"), **results}
    runs.write_json(folder / "results.json", content)
    return dict(runs.from_json(json.loads((folder / "results.json").read_text())))


def read_results(folder: Path, name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers and the arrays of an experiment."""
    file = folder / name / "results.json"
    if not file.exists():
        raise FileNotFoundError(f"no results at {file}; run gahb reproduce {name} first")
    arrays = stored_results.read_arrays(folder / name / ARRAYS)
    return runs.read_json(file), {
        label: a.astype(np.float32) if a.dtype == np.float16 else a for label, a in arrays.items()
    }
