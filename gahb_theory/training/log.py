"""The log of a training run: the progress bar, log.jsonl, and when the next checkpoint is due."""

import json
import math
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gahb_theory import runs
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.metrics.errors import psnr_curve

if TYPE_CHECKING:
    from gahb_theory.training.recipes import Recipe

__all__ = ["VALIDATION_SEED", "TrainingLog"]

LOG = "log.jsonl"
VALIDATION_SIGMAS = (0.05, 0.1, 0.2, 0.5)
VALIDATION_SEED = 2**40


class TrainingLog:
    """The progress bar, the lines of log.jsonl, and when the next checkpoint is due."""

    def __init__(
        self, recipe: "Recipe", run: Path | None, held_out: Tensor, first: int, *, every: float, silent: bool
    ) -> None:
        from gahb_theory.progress import progress_bar

        self.recipe, self.held_out, self.every, self.silent = recipe, held_out, every, silent
        self.file = None if run is None else run / LOG
        self.psnr: dict[str, float] = {}
        self.losses: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.began = self.saved = time.monotonic()
        lines = [] if self.file is None else _read(self.file)
        self.lines = [line for line in lines if json.loads(line)["images_seen"] <= first * recipe.batch_size]
        self.seconds = float(json.loads(self.lines[-1])["seconds"]) if self.lines else 0.0
        self.bar = progress_bar(
            total=recipe.steps * recipe.batch_size,
            initial=first * recipe.batch_size,
            unit=" images",
            desc="training",
            silent=silent,
            leave=True,
        )

    def update(self, step: int, loss: Tensor, norm: Tensor, average: DenoiserModule, *, now: bool) -> bool:
        """Note a step; every so often, and `now`, measure the PSNR, write a line and say that a checkpoint is due."""
        self.bar.update(self.recipe.batch_size)
        self.losses.append(loss)
        self.norms.append(norm)
        if self.silent or not (now or time.monotonic() - self.saved > self.every):
            return False
        mean = float(torch.stack(self.losses).mean())
        length = float(torch.stack(self.norms).mean())
        if not (math.isfinite(mean) and math.isfinite(length)):
            raise FloatingPointError(
                f"the loss or its gradient is not finite after {(step + 1) * self.recipe.batch_size} images; the last "
                "checkpoint is good. Lower learning_rate, or look for NaN in the data"
            )
        device = next(average.parameters()).device
        curve = psnr_curve(average, self.held_out.to(device), VALIDATION_SIGMAS, seed=VALIDATION_SEED)
        self.psnr = {f"{s:g}": round(float(p), 3) for s, p in zip(VALIDATION_SIGMAS, curve.psnr, strict=True)}
        line = {
            "images_seen": (step + 1) * self.recipe.batch_size,
            "loss": mean,
            "gradient_norm": length,
            "learning_rate": self.recipe.rate(step, self.recipe.learning_rate),
            "psnr": self.psnr,
            "seconds": round(self.seconds + time.monotonic() - self.began, 1),
        }
        self.lines.append(json.dumps(runs.to_json(line), allow_nan=False))
        if self.file is not None:
            runs.write_bytes(self.file, ("\n".join(self.lines) + "\n").encode())
        self.bar.set_postfix_str(f"loss {mean:.4g}, PSNR at 0.1: {self.psnr['0.1']:.2f} dB")
        self.losses, self.norms, self.saved = [], [], time.monotonic()
        return True

    def close(self) -> None:
        """End the progress bar."""
        self.bar.close()


def _read(file: Path) -> list[str]:
    """The whole lines of a log. A damaged one is set aside: it only informs, and must not stop the training."""
    if not file.exists():
        return []
    lines = file.read_bytes().decode(errors="replace").splitlines()
    good = [line for line in lines if _is_whole(line)]
    if len(good) < len(lines) or not lines:
        renamed = runs.set_aside(file)
        warnings.warn(f"{file} was damaged; it is now {renamed.name}, and its whole lines are kept", stacklevel=4)
        if good:
            runs.write_bytes(file, ("\n".join(good) + "\n").encode())
    return good


def _is_whole(line: str) -> bool:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(entry, dict) or not isinstance(entry.get("psnr"), dict):
        return False
    return type(entry.get("images_seen")) is int and type(entry.get("seconds")) in (int, float)
