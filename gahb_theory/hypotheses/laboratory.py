"""The laboratory: every network is trained once, everything is measured once, and a killed plan goes on.

    trainings  --train-->    folder/trainings/KEY/    once for each hash of (network, data, recipe)
    tasks      --measure-->  folder/tasks/KEY/        once for each hash of (code, settings, networks)

`gahb_theory.hypotheses.jobs` says what counts. Runs are executed by any object with `submit`, as in `sweep`.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gahb_theory import runs, stored_results, validate
from gahb_theory.hypotheses.forecast import forecast
from gahb_theory.hypotheses.hypothesis import Measure
from gahb_theory.hypotheses.jobs import Bench, Task, TrainedNetwork, Training
from gahb_theory.progress import progress_bar
from gahb_theory.sweeps import Executor, Serial, key, sweep
from gahb_theory.training.loop import train

__all__ = ["ARRAYS", "Laboratory", "Result", "in_one", "measurements"]

ARRAYS = "arrays.npz"


@dataclass(frozen=True)
class Result:
    """What a task found.

    Parameters
    ----------
    numbers
        What its function returned.
    directory
        Where it wrote.
    """

    numbers: dict[str, Any]
    directory: Path

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What the task wrote into arrays.npz; empty where it wrote none."""
        return stored_results.read_arrays(self.directory / ARRAYS)


@dataclass(frozen=True)
class Order:
    """A training or a task as a sweep knows it: its key alone counts."""

    key: str
    job: Any = field(compare=False)
    networks: Mapping[str, Any] = field(default_factory=dict, compare=False)
    device: str = field(default="cpu", compare=False)


@dataclass(frozen=True)
class Laboratory:
    """Where networks are trained and measured.

    Parameters
    ----------
    folder
        For networks and results; another call with the same folder finds what is done.
    shelves
        Folders of networks that were published before, one folder each, known by the key in their cards.
    executor
        Anything with `submit`; by default one job follows the other in this process.
    device
        Where to compute.
    workers
        How many jobs the executor runs at once; only the forecast needs it.

    Examples
    --------
    >>> import tempfile
    >>> from functools import partial
    >>> from gahb_theory.denoisers import UNet
    >>> from gahb_theory.hypotheses.jobs import Training
    >>> from gahb_theory.images import Disks
    >>> from gahb_theory.training import Recipe
    >>> laboratory = Laboratory(tempfile.mkdtemp())
    >>> job = Training(partial(UNet, 4, 1), Disks(size=16), Recipe(images_seen=64), snapshots=(32, 64), name="small")
    >>> trained = laboratory.train([job])
    >>> trained["small"].load().channels
    4
    """

    folder: str | Path
    shelves: tuple[Path, ...] = ()
    executor: Executor | None = None
    device: str = "cpu"
    workers: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", validate.path(self.folder, "folder").absolute())
        object.__setattr__(self, "shelves", tuple(Path(shelf).absolute() for shelf in self.shelves))
        validate.integer(self.workers, "workers", 1)

    # plans

    def run(self, trainings: Sequence[Training], tasks: Sequence[Task] = ()) -> dict[str, Result]:
        """Do a whole plan, and say before how long it takes; the results of the tasks by name.

        The networks that the tasks measure are trained even where `trainings` does not name them.
        """
        needed = _needed(trainings, tasks)
        plan = forecast(self, needed, tasks)
        if plan.trainings_left or plan.tasks_left:
            print(plan, file=sys.stderr, flush=True)
        weights = plan.seconds_by_key
        with progress_bar(total=round(sum(weights.values())) or 1, desc="plan", unit="s") as bar:
            bar.bar_format = "{desc}: {percentage:3.0f}%, {elapsed} passed, {remaining} left"
            self._train(needed, lambda order: bar.update(weights.get(order.key, 0)))
            return self._measure(tasks, lambda order: bar.update(weights.get(order.key, 0)))

    def train(self, trainings: Sequence[Training]) -> dict[str, TrainedNetwork]:
        """The trained networks by name; those that are missing are trained."""
        self._train(trainings)
        return {training.name: self.find(training) for training in trainings}

    def find(self, training: Training, *, snapshots: bool = True) -> TrainedNetwork:
        """A trained network.

        Parameters
        ----------
        training
            What it was trained by.
        snapshots
            Whether it is needed before the end of its training, too: published networks may have no snapshots.

        Raises
        ------
        FileNotFoundError
            If it has not been trained.
        """
        found = self._found(training, snapshots)
        if found is None:
            raise FileNotFoundError(
                f"{training.name} ({training.key}) is neither in {self.folder} nor on a shelf; train it first"
            )
        return found

    def tasks(self, tasks: Sequence[Task]) -> dict[str, Result]:
        """The results of tasks by name; those that are missing are computed, and their networks trained."""
        self._train(_needed((), tasks))
        return self._measure(tasks)

    def measure(
        self, measure: Measure, subjects: Mapping[str, Any], images: Tensor, sigmas: Sequence[float], *, seed: int
    ) -> dict[str, np.ndarray]:
        """One number for each subject, noise level and image.

        Parameters
        ----------
        measure
            measure(f, images, sigma, seed) -> (n,), a function with a name.
        subjects
            By name; each is a `Training`, a trained network, or another denoiser.
        images
            Shape (n, channels, height, width).
        sigmas
            Noise levels, one or several.
        seed
            Names the noise, and whatever else is random in the measure.

        Returns
        -------
        By the name of the subject, shape (noise levels, images).
        """
        tasks = measurements(measure, subjects, images, sigmas, seed=seed)
        found = self.tasks(tasks)
        return {
            name: np.array([found[f"{name}/{sigma:g}"].numbers["values"] for sigma in validate.levels(sigmas)])
            for name in subjects
        }

    # what is done

    def done(self, task: Task) -> bool:
        """Whether a task has a result."""
        return (self.directory(task) / "result.json").exists()

    def directory(self, job: Training | Task) -> Path:
        """Where a training or a task is kept."""
        kind, run = ("trainings", train_once) if isinstance(job, Training) else ("tasks", measure_once)
        return Path(self.folder) / kind / key(run, Order(job.key, job))

    def progress(self, training: Training) -> int:
        """The number of images that a training has seen so far."""
        if self._found(training) is not None:
            return training.recipe.images_seen
        log = self.directory(training) / "training" / "log.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return int(json.loads(lines[-1])["images_seen"]) if lines else 0

    def _found(self, training: Training, snapshots: bool = True) -> TrainedNetwork | None:
        directory = self.directory(training)
        if (directory / "result.json").exists():
            return TrainedNetwork(training.key, directory / "training")
        for shelf in self.shelves:
            for file in sorted(shelf.glob("*/config.json")):
                known = json.loads(file.read_text()).get("card", {}).get("key") == training.key
                wanted = training.snapshots if snapshots else ()
                if known and all((file.parent / "snapshots" / str(n)).exists() for n in wanted):
                    return TrainedNetwork(training.key, file.parent)
        return None

    def _train(self, trainings: Sequence[Training], finished: Any = None) -> None:
        missing = [training for training in trainings if self._found(training) is None]
        orders = [Order(training.key, training, device=self.device) for training in missing]
        sweep(orders, train_once, self._executor, folder=Path(self.folder) / "trainings", finished=finished)

    def _measure(self, tasks: Sequence[Task], finished: Any = None) -> dict[str, Result]:
        orders = []
        for task in tasks:
            places = {
                name: self.find(subject) if isinstance(subject, Training) else subject
                for name, subject in task.subjects.items()
            }
            orders.append(Order(task.key, task, places, self.device))
        pieces = sweep(orders, measure_once, self._executor, folder=Path(self.folder) / "tasks", finished=finished)
        return {
            task.name: Result(piece.result["result"], piece.directory)
            for task, piece in zip(tasks, pieces, strict=True)
        }

    @property
    def _executor(self) -> Executor:
        return Serial() if self.executor is None else self.executor


def in_one(found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The numbers of several tasks by name, and their arrays, called NAME/ARRAY."""
    arrays = {f"{name}/{label}": a for name, result in found.items() for label, a in result.arrays.items()}
    return {name: result.numbers for name, result in found.items()}, arrays


def measurements(
    measure: Measure, subjects: Mapping[str, Any], images: Tensor, sigmas: Sequence[float], *, seed: int
) -> list[Task]:
    """One task for each subject and noise level, named NAME/SIGMA; see `Laboratory.measure`."""
    validate.images(images)
    seed = validate.seed(seed)
    return [
        Task(
            partial(per_image, measure), {"images": images, "sigma": sigma, "seed": seed}, {"f": f}, f"{name}/{sigma:g}"
        )
        for name, f in subjects.items()
        for sigma in validate.levels(sigmas)
    ]


def per_image(measure: Measure, settings: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """One number for each image, by a measure."""
    images, sigma, seed = (settings[name] for name in ("images", "sigma", "seed"))
    values = measure(bench.load("f"), images.to(bench.device), sigma, seed)
    found = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if found.shape != (len(images),):
        raise ValueError(
            f"the measure must return one number for each of {len(images)} images, got shape {found.shape}"
        )
    return {"values": [float(v) for v in found]}


def _needed(trainings: Sequence[Training], tasks: Sequence[Task]) -> list[Training]:
    """Each training once."""
    named = [*trainings, *(s for task in tasks for s in task.subjects.values() if isinstance(s, Training))]
    return list({training.key: training for training in named}.values())


def train_once(order: Order, directory: Path) -> dict[str, Any]:
    training, began = order.job, time.monotonic()
    f = training.build().to(order.device)
    train(f, training.images(), recipe=training.recipe, run=directory / "training", snapshots=training.snapshots)
    return {"name": training.name, "seconds": time.monotonic() - began, "device": order.device}


def measure_once(order: Order, directory: Path) -> dict[str, Any]:
    began = time.monotonic()
    found = order.job.function(order.job.settings, Bench(order.networks, directory, order.device))
    return {"name": order.job.name, "seconds": time.monotonic() - began, "result": runs.to_json(dict(found))}
