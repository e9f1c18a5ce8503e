"""The networks of 16 pixels on which the paper's claims are decided: which there are, and how each is trained.

    plain         `UNet(16, 2)`
    conservative  `Conservative(SmoothUNet(8, 2))`, whose Jacobian is symmetric

on C^alpha images of four alpha, the same shuffled, disks, a ray and a sine cone. Every image of the training is new, so that
nothing can be memorised; weights, images and noise of the three seeds differ, and none is a test image. Training reaches up to
sigma = 3, so that the judged noise levels lie well inside. Each kind is trained once more with twice the budget, for the gate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gahb_theory.denoisers import UNet
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.networks import Conservative, SmoothUNet
from gahb_theory.hypotheses.jobs import Training
from gahb_theory.images import CAlpha, Disks, Ray, Shuffled, SineCone
from gahb_theory.training import Recipe

__all__ = ["ALPHAS", "FIRST_SEED", "KINDS", "Judged", "Settings", "conservative"]

ALPHAS = (2.0, 1.0, 3.0, 1.5)
FIRST_SEED = 1001
"""Seeds of training; tests have other ones, and the tables of Bayes intervals seed 0."""
RAY_SEED = 77
"""Of the image on the ray."""


def conservative(channels: int, blocks: int, seed: int) -> DenoiserModule:
    """A network whose Jacobian is symmetric."""
    return Conservative(SmoothUNet(channels, blocks, seed=seed))


KINDS: dict[str, Callable[..., DenoiserModule]] = {"plain": UNet, "conservative": conservative}


@dataclass(frozen=True)
class Settings:
    """Sizes of the networks and of their training."""

    size: int = 16
    channels: dict[str, int] = field(default_factory=lambda: {"plain": 16, "conservative": 8})
    blocks: int = 2
    seeds: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000, sigma_max=3.0))
    snapshots: tuple[int, ...] = (1000, 2000, 4000, 8000, 16_000)
    """When a network is looked at during training."""

    def images(self, name: str) -> Any:
        """An image class by its name."""
        if name.startswith("shuffled"):
            return Shuffled(self.images("c_alpha_2"))
        if name.startswith("c_alpha_"):
            return CAlpha(alpha=float(name.rpartition("_")[2]), size=self.size)
        if name == "disks":
            return Disks(self.size)
        return Ray(CAlpha(alpha=2.0, size=self.size).sample(1, seed=RAY_SEED)) if name == "ray" else SineCone(self.size)


@dataclass(frozen=True)
class Judged:
    """Networks of one kind on one image class, one for each seed.

    Parameters
    ----------
    kind
        "plain" or "conservative".
    images
        Name of the image class: "c_alpha_2", "shuffled", "disks", "ray", "sine_cone".
    budget
        Multiple of the budget.
    """

    kind: str
    images: str
    budget: float | int = 1

    @property
    def name(self) -> str:
        """What they are called."""
        return f"{self.kind}_{self.images}" + ("" if self.budget == 1 else f"_x{self.budget:g}")

    def trainings(self, s: Settings, seeds: Sequence[int] | None = None) -> list[Training]:
        """One training for each seed."""
        found = []
        for k in range(s.seeds) if seeds is None else seeds:
            recipe = replace(s.recipe, images_seen=round(self.budget * s.recipe.images_seen), seed=FIRST_SEED + k)
            build = partial(KINDS[self.kind], s.channels[self.kind], s.blocks, seed=recipe.seed)
            shots = tuple(n for n in s.snapshots if n < recipe.images_seen)
            found.append(Training(build, s.images(self.images), recipe, shots, f"{self.name}_{k}"))
        return found


def plan(s: Settings) -> list[Training]:
    """All trainings, the most wanted first."""
    classes = [f"c_alpha_{alpha:g}" for alpha in ALPHAS]
    first = [Judged("plain", name) for name in (*classes, "shuffled", "disks", "ray", "sine_cone")]
    twice = [replace(j, budget=2) for j in first]
    symmetric = [Judged("conservative", name) for name in classes]
    twice_symmetric = [replace(j, budget=2) for j in symmetric]
    found = [t for j in first for t in j.trainings(s)]
    found += [t for j in twice for t in j.trainings(s, [0])]
    found += [t for j in symmetric for t in j.trainings(s)]
    found += [t for j in twice_symmetric for t in j.trainings(s, [0])]
    return found
