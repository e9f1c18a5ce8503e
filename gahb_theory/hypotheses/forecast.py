"""How long a plan takes: hours of this machine, by a trial of ten seconds, and hours of a GPU, by counting operations.

    hours here     images left / (images per second in the trial) / jobs at once
    hours of a GPU max(3 forward passes of each image / throughput, steps / steps per second)

On a GPU a small network does not reach the throughput: a step takes some milliseconds to be launched, however little it does.
Both figures are assumptions, which the forecast states. The time of a task is that of finished tasks of the same
function; before the first of them it is not known, and said to be so.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from gahb_theory import runs
from gahb_theory.hypotheses.jobs import Task, Training
from gahb_theory.training.loop import train

__all__ = ["Forecast", "Row", "forecast"]

SECONDS_OF_TRIAL = 10.0
GPU_FLOPS = 300e12
"""Operations per second of one H100 in bfloat16, a third of its peak: assumed, not measured."""
GPU_STEPS = 100.0
"""Steps per second at which launching the kernels of a small network ends: assumed, not measured."""
PASSES = 3
"""Forward passes that a step is worth: one, and a backward pass of two."""


@dataclass(frozen=True)
class Row:
    """What one training, or the tasks of one function, take."""

    name: str
    parameters: int
    images: int
    """Images left to be seen."""
    flops: int
    seconds: float | None
    """Of this machine, in one process; None where nothing is known."""
    gpu_seconds: float


@dataclass(frozen=True)
class Forecast:
    """What is left of a plan, and how long it takes."""

    trainings: tuple[Row, ...]
    trainings_left: int
    tasks_left: int
    tasks_unknown: int
    task_seconds: float
    workers: int
    device: str
    seconds_by_key: dict[str, float] = field(repr=False)

    @property
    def seconds(self) -> float:
        """Time left on this machine, as far as it is known."""
        return (sum(row.seconds or 0.0 for row in self.trainings) + self.task_seconds) / self.workers

    @property
    def gpu_hours(self) -> float:
        """Hours of one H100 that the trainings that are left would take."""
        return sum(row.gpu_seconds for row in self.trainings) / 3600

    def table(self) -> str:
        """One line for each training, and what is assumed."""
        lines = [
            f"{'network':32} {'parameters':>11} {'images left':>12} {'PFLOP':>9} {'hours here':>10} {'GPU hours':>10}"
        ]
        for row in self.trainings:
            here = "unknown" if row.seconds is None else f"{row.seconds / 3600:.3g}"
            lines.append(
                f"{row.name:32} {row.parameters:>11,} {row.images:>12,} {row.flops / 1e15:>9.3g} {here:>10} "
                f"{row.gpu_seconds / 3600:>10.3g}"
            )
        return "\n".join([*lines, str(self)])

    def __str__(self) -> str:
        tasks = f"{self.tasks_left} measurements"
        if self.tasks_unknown:
            tasks += f" ({self.tasks_unknown} of them of unknown length)"
        at_once = f"{self.workers} at once" if self.workers > 1 else "one after the other"
        return (
            f"{self.trainings_left} networks to train and {tasks}: {_words(self.seconds)} on this machine ({self.device}, "
            f"{at_once}; by a trial), or {self.gpu_hours:.2g} hours of training on one H100, assuming "
            f"{GPU_FLOPS / 1e12:.0f} TFLOP/s in bfloat16 and at most {GPU_STEPS:.0f} steps a second"
        )


def _words(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def forecast(
    laboratory: Any,
    trainings: Sequence[Training],
    tasks: Sequence[Task] = (),
    *,
    seconds: float | int = SECONDS_OF_TRIAL,
) -> Forecast:
    """What is left of a plan in a laboratory.

    Parameters
    ----------
    laboratory
        A `Laboratory`, which knows what is done.
    trainings, tasks
        The plan.
    seconds
        Length of the trial, over all kinds of networks; 0 tries nothing, and nothing is known of this machine.

    Examples
    --------
    >>> from functools import partial
    >>> from gahb_theory.denoisers import UNet
    >>> from gahb_theory.hypotheses import Laboratory, Training
    >>> from gahb_theory.images import Disks
    >>> job = Training(partial(UNet, 64, 3), Disks(size=80))
    >>> plan = forecast(Laboratory("runs/none"), [job], seconds=0)
    >>> print(f"{plan.trainings[0].parameters:,} parameters, {plan.trainings[0].flops / 1e15:.0f} PFLOP")
    7,659,264 parameters, 2 PFLOP
    """
    left = [(training, training.recipe.images_seen - laboratory.progress(training)) for training in trainings]
    left = [(training, images) for training, images in left if images > 0]
    kinds: dict[Any, list[tuple[Training, int]]] = {}
    counted = {training.key: _counted(training) for training, _ in left}
    for training, images in left:
        kinds.setdefault((*counted[training.key], training.recipe.batch_size), []).append((training, images))
    rows, by_key = [], {}
    for (parameters, flops, batch), group in kinds.items():
        rate = None if not seconds else _images_per_second(group[0][0], laboratory.device, seconds / len(kinds))
        for training, images in group:
            here = None if rate is None else images / rate
            gpu = max(PASSES * flops * images / GPU_FLOPS, images / batch / GPU_STEPS)
            rows.append(Row(training.name, parameters, images, PASSES * flops * images, here, gpu))
            by_key[training.key] = here or 0.0
    undone = [task for task in tasks if not laboratory.done(task)]
    known = _known_seconds(laboratory, tasks)
    unknown, total = 0, 0.0
    for task in undone:
        length = known.get(_function_name(task.function))
        unknown += length is None
        total += length or 0.0
        by_key[task.key] = length or 0.0
    return Forecast(tuple(rows), len(left), len(undone), unknown, total, laboratory.workers, laboratory.device, by_key)


def _counted(training: Training) -> tuple[int, int]:
    """Parameters, and operations of one forward pass of one image."""
    from torch.utils.flop_counter import FlopCounterMode

    f, x = training.build().eval(), training.some(1)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        f(x, 0.1)
    return sum(p.numel() for p in f.parameters()), counter.get_total_flops()


def _images_per_second(training: Training, device: str, seconds: float) -> float:
    """Throughput of the training itself: two runs, of one step and of as many as fit, so that what is paid once cancels."""
    f, batch = training.build().to(device), training.recipe.batch_size
    data = training.data.first(64) if hasattr(training.data, "first") else training.data

    def timed(steps: int) -> float:
        began = time.perf_counter()
        train(f, data, recipe=replace(training.recipe, images_seen=steps * batch))
        return time.perf_counter() - began

    timed(1)
    once, steps = timed(1), 2
    while True:
        spent = timed(steps)
        if spent >= seconds / 2 or (steps - 1) * batch >= training.recipe.images_seen:
            break
        steps *= 2
    return (steps - 1) * batch / max(spent - once, 1e-9)


def _function_name(function: Any) -> str:
    while isinstance(function, partial):
        inner = function.args[0] if function.args and callable(function.args[0]) else function.func
        function = inner
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', function)}"


def _known_seconds(laboratory: Any, tasks: Sequence[Task]) -> dict[str, float]:
    """Mean length of the finished tasks of each function."""
    result: dict[str, list[float]] = {}
    for task in tasks:
        if laboratory.done(task):
            seconds = runs.read_json(laboratory.directory(task) / "result.json").get("seconds")
            result.setdefault(_function_name(task.function), []).append(float(seconds or 0.0))
    return {name: sum(values) / len(values) for name, values in result.items()}
