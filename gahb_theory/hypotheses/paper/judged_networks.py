"""The networks of 16 pixels on which the paper's claims are decided: which there are, and how each is trained.

    plain         `UNet(16, 2)`
    small         `UNet(8, 2)`, on C^alpha images whose contour has another regularity than the background
    conservative  `Conservative(SmoothUNet(8, 2))`, whose Jacobian is symmetric
    bfcnn         `BFCNN(16, 8)`, layers at full resolution, on one class

on C^alpha images of four alpha, the same shuffled, disks, a ray and a sine cone. Every image of the training is new, so that
nothing can be memorised; weights, images and noise of the three seeds differ, and none is a test image. Training reaches up to
sigma = 3, so that the judged noise levels lie well inside. Budgets are multiples of 32,000 images: for the gate, each kind is
trained at half or twice the judged budget too; null models are trained on a sixteenth, with more seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from gahb_theory.denoisers import BFCNN, UNet
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.networks import Conservative, SmoothUNet
from gahb_theory.hypotheses.jobs import Training
from gahb_theory.images import CAlpha, Disks, Ray, Shuffled, SineCone
from gahb_theory.training import Recipe

__all__ = [
    "ALPHAS",
    "CONTOURS",
    "FEW",
    "FIRST_SEED",
    "KINDS",
    "MANY_SEEDS",
    "SMOOTH",
    "Judged",
    "Settings",
    "conservative",
    "judged",
    "longest",
    "plan",
]

ALPHAS = (1.0, 1.5, 2.0, 3.0)
PLAIN = tuple(("plain", n) for n in ("c_alpha_2", "c_alpha_1", "c_alpha_3", "shuffled", "disks", "ray", "sine_cone"))
FIRST_SEED = 1001
"""Seeds of training; tests have other ones, and the tables of Bayes intervals seed 0."""
FEW, MANY_SEEDS = 1 / 16, 9
"""Budget of hardly trained networks, null models, and their number: they differ so much that three cannot be told apart."""
CONTOURS, SMOOTH = (1.5, 2.0, 4.0), 8.0
"""Regularity of contours, and of the background behind all of them, as in figure 17."""
UNDECIDED = ("conservative_c_alpha_2_x4", "bfcnn_c_alpha_2_x4", *(f"small_contour_{a:g}_x4" for a in CONTOURS))
"""Networks to which seeds were added because three of them did not tell."""
RAY_SEED = 77
"""Of the image on the ray."""


def conservative(channels: int, blocks: int, seed: int) -> DenoiserModule:
    """A network whose Jacobian is symmetric."""
    return Conservative(SmoothUNet(channels, blocks, seed=seed))


KINDS: dict[str, Callable[..., DenoiserModule]] = {
    "plain": UNet,
    "small": UNet,
    "conservative": conservative,
    "bfcnn": BFCNN,
}


@dataclass(frozen=True)
class Settings:
    """Sizes of the networks and of their training."""

    size: int = 16
    networks: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"plain": (16, 2), "small": (8, 2), "conservative": (8, 2), "bfcnn": (16, 8)}
    )
    """Channels, and blocks or layers."""
    seeds: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000, sigma_max=3.0))
    more_seeds: dict[str, int] = field(default_factory=lambda: dict.fromkeys(UNDECIDED, 6))
    """Numbers of seeds of networks that were undecided with three: their verdicts are second looks."""
    snapshots: tuple[int, ...] = (1000, 2000, 4000, 8000, 16_000)
    """When a network is looked at during training."""

    def images(self, name: str) -> Any:
        """An image class by its name."""
        if name.startswith("shuffled"):
            return Shuffled(self.images("c_alpha_2"))
        if name.startswith("c_alpha_"):
            return CAlpha(alpha=float(name.rpartition("_")[2]), size=self.size)
        if name.startswith("contour_"):
            return CAlpha(alpha=float(name.rpartition("_")[2]), beta=SMOOTH, size=self.size)
        if name == "disks":
            return Disks(self.size)
        return Ray(CAlpha(alpha=2.0, size=self.size).sample(1, seed=RAY_SEED)) if name == "ray" else SineCone(self.size)


@dataclass(frozen=True)
class Judged:
    """Networks of one kind on one image class, one for each seed.

    Parameters
    ----------
    kind
        "plain", "small", "conservative" or "bfcnn".
    images
        Name of the image class: "c_alpha_2", "contour_1.5", "shuffled", "disks", "ray", "sine_cone".
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

    def looks(self, s: Settings) -> int:
        """How many times a verdict on them has been asked for."""
        return 2 if self.name in s.more_seeds else 1

    def images_seen(self, s: Settings) -> int:
        """Images that each of them is trained on."""
        return round(self.budget * s.recipe.images_seen)

    def trainings(self, s: Settings, seeds: Sequence[int] | None = None) -> list[Training]:
        """One training for each seed."""
        found = []
        for k in range(s.more_seeds.get(self.name, s.seeds)) if seeds is None else seeds:
            recipe = replace(s.recipe, images_seen=self.images_seen(s), seed=FIRST_SEED + k)
            build = partial(KINDS[self.kind], *s.networks[self.kind], seed=recipe.seed)
            shots = tuple(n for n in s.snapshots if n < recipe.images_seen)
            found.append(Training(build, s.images(self.images), recipe, shots, f"{self.name}_{k}"))
        return found


def plan(s: Settings) -> list[Training]:
    """All trainings, the most wanted first; for budgets that serve the gate alone, the first seed."""
    found = [t for kind, images, budget, seeds in _order(s) for t in Judged(kind, images, budget).trainings(s, seeds)]
    return list({training.key: training for training in found}.values())


def judged(s: Settings) -> list[Judged]:
    """The networks of the plan, one entry for each kind, class and budget."""
    return [Judged(*entry[:3]) for entry in _order(s)]


def longest(s: Settings, kind: str, images: str) -> Judged:
    """The networks of the largest budget that the plan has for every seed; of the plain budget where it has none."""
    own = [(budget, seeds) for *of, budget, seeds in _order(s) if of == [kind, images]]
    return Judged(
        kind, images, max((budget for budget, seeds in own if len(seeds) >= s.seeds and budget >= 1), default=1)
    )


def _order(s: Settings) -> list[tuple[str, str, float | int, list[int]]]:
    one, all_seeds, many = [0], list(range(s.seeds)), list(range(MANY_SEEDS))
    return [
        *((kind, images, 1, all_seeds) for kind, images in PLAIN[:5]),
        *((kind, images, 2, one) for kind, images in (PLAIN[0], *PLAIN[3:5])),
        *(("conservative", "c_alpha_2", *rest) for rest in ((1, all_seeds), (2, one))),
        *((kind, images, 1, all_seeds) for kind, images in PLAIN[5:7]),
        *((kind, images, 2, one) for kind, images in (*PLAIN[1:3], *PLAIN[5:7])),
        *((kind, images, 4, all_seeds) for kind, images in PLAIN[:3]),
        *((kind, images, FEW, many) for kind, images in (*PLAIN[:3], ("conservative", "c_alpha_2"))),
        *((kind, images, 4, all_seeds) for kind, images in (("conservative", "c_alpha_2"), *PLAIN[4:7])),
        *(
            (kind, images, *rest)
            for kind, images in (
                ("plain", "c_alpha_1.5"),
                ("bfcnn", "c_alpha_2"),
                *(("conservative", name) for name in ("c_alpha_3", "c_alpha_1", "c_alpha_1.5")),
            )
            for rest in ((1, all_seeds), (2, one), (FEW, many))
        ),
        *(("small", f"contour_{a:g}", *rest) for rest in ((1, all_seeds), (2, one)) for a in CONTOURS),
        ("conservative", "c_alpha_2", 4, list(range(2 * s.seeds))),
        ("plain", "c_alpha_1.5", 4, all_seeds),
        ("bfcnn", "c_alpha_2", 4, list(range(2 * s.seeds))),
        ("plain", "c_alpha_2", 4, list(range(s.seeds, 2 * s.seeds))),
        *(("plain", name, 0.25, all_seeds) for name in ("disks", "ray", "sine_cone")),
        *(("plain", name, 0.5, all_seeds) for name in ("ray", "sine_cone")),
        ("plain", "disks", 2, all_seeds),
        *(("plain", name, FEW, list(range(3 * MANY_SEEDS))) for name in ("c_alpha_2", "c_alpha_3")),
        *(("small", f"contour_{a:g}", 4, list(range(2 * s.seeds))) for a in CONTOURS),
        *(("plain", name, *rest) for name in ("disks", "c_alpha_3") for rest in ((8, one), (16, all_seeds))),
        *(("conservative", f"c_alpha_{a:g}", 4, all_seeds) for a in (3.0, 1.0, 1.5)),
    ]
