"""Judge denoisers on the benchmark, and write the leaderboard that comes with the package.

    python experiments/leaderboard.py              all that have no line yet, about an hour of one core
    python experiments/leaderboard.py UNet DiT     these again

Networks of the kind "trained" see the number of images of their class that NETWORKS gives, one network for each class, by the
default recipe and one seed. Killed at any moment, the same command goes on. The published networks are judged where
GAHB_TEST_DATA is set.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory import denoisers, runs
from gahb_theory.bases import CycleSpinning
from gahb_theory.hypotheses.benchmark import (
    LEADERBOARD,
    LEVELS,
    VERSION,
    Entry,
    Kind,
    benchmark,
    leaderboard,
    standard_classes,
)
from gahb_theory.report.draw_benchmark import draw_leaderboard
from gahb_theory.report.figures import panels, style
from gahb_theory.shrinkage import BayesShrink

FITTED, SEED = 4096, 1
SIDES = (3, 7, 15)
HERE = Path(__file__).parent
FIGURE = HERE / "results" / "figures" / "leaderboard.png"
TABLE = HERE / "results" / "leaderboard.md"
RUNS = Path("runs") / "leaderboard"
SYM4 = gt.Wavelet("sym4", levels=4)


def trained(make: Callable[[], Any], images_seen: int, label: str, X: Any) -> Any:
    """A network trained on its class."""
    recipe = gt.Recipe(images_seen=images_seen, seed=0)
    return gt.train(make(), X, recipe=recipe, run=RUNS / f"{runs.describe(make())['class']}-{label}").eval()


def local(machine: Callable[[Tensor, Any], Any], n: int, label: str, X: Any) -> Any:
    """A local machine of n images, with the patches that are best on other images of the class."""
    images, other = X.sample(n, seed=SEED), X.sample(8, seed=SEED + 1)
    noisy = partial(gt.add_noise, other, seed=SEED)
    schedule = denoisers.calibrate_patches(
        lambda y, sigma: other, lambda side: machine(images, side), noisy, LEVELS, SIDES
    )
    return machine(images, schedule)


def everywhere(f: Any) -> Callable[[str, Any], Any]:
    """The same denoiser for all classes."""
    return lambda label, X: f


def bandlets(y: Tensor, sigma: float) -> Tensor:
    """Hard thresholding in the bandlet basis that model selection takes at the noisy image."""
    T = 3 * float(sigma)
    return gt.ShrinkageDenoiser(gt.Bandlet("sym4", levels=4).at(y, threshold=T), gt.Hard(3.0))(y, sigma)


def shrinking(basis: Any, shrinkage: Any) -> Callable[[str, Any], Any]:
    """Shrinkage in a basis, the same for all classes."""
    return everywhere(gt.ShrinkageDenoiser(basis, shrinkage))


def published(file: str) -> Callable[[str, Any], Any]:
    """A published network."""
    return lambda label, X: gt.load_denoiser(Path(os.environ["GAHB_TEST_DATA"]) / "weights" / file).eval()


NETWORKS: dict[str, tuple[str, int, Callable[[], Any]]] = {
    "UNet": ("UNet(8, 2)", 20_000, lambda: gt.UNet(8, 2, seed=0)),
    "conservative": (
        "Conservative(SmoothUNet(8, 2))",
        20_000,
        lambda: gt.Conservative(denoisers.SmoothUNet(8, 2, seed=0)),
    ),
    "DiT": (
        "DiT(16, 2, 64, 4, 4)",
        20_000,
        lambda: gt.DiT(size=16, patch=2, width=64, depth=4, heads=4, seed=0),
    ),
    "DnCNN": ("DnCNN(16, 8)", 8_000, lambda: gt.DnCNN(16, 8, seed=0)),
    "BF-CNN": ("BFCNN(16, 8)", 8_000, lambda: gt.BFCNN(16, 8, seed=0)),
}
BEST = f"the best of sides {', '.join(map(str, SIDES))}"
SUBJECTS: dict[str, tuple[str, Kind, Callable[[str, Any], Any]]] = {
    "noisy image": ("the identity", "null", everywhere(lambda y, sigma: y)),
    "untrained UNet": ("UNet(8, 2) before training", "null", everywhere(gt.UNet(8, 2, seed=0).eval())),
    "Wiener": (
        f"covariance of {FITTED} images",
        "fitted",
        lambda _, X: gt.GaussianDenoiser.fit(X.sample(FITTED, seed=1)),
    ),
    "soft wavelets": ("sym4, 1.5 sigma", "fixed", shrinking(SYM4, gt.Soft(1.5))),
    "hard wavelets": ("sym4, 3 sigma", "fixed", shrinking(SYM4, gt.Hard(3.0))),
    "BayesShrink": ("sym4", "fixed", shrinking(SYM4, BayesShrink(SYM4.bands((1, 16, 16))))),
    "cycle spinning": ("sym4, hard, 3 sigma", "fixed", shrinking(CycleSpinning(SYM4), gt.Hard(3.0))),
    "bandlets": ("sym4, model selection and hard at 3 sigma", "fixed", everywhere(bandlets)),
    "non-local means": ("of scikit-image, patches of 7 pixels", "fixed", everywhere(denoisers.NonLocalMeans())),
    "patch machine": (f"patches of 1024 images, {BEST}", "fitted", partial(local, denoisers.PatchBayes, 1024)),
    "ELS machine": (
        f"equivariant, patches of 32 images, {BEST}",
        "fitted",
        partial(local, denoisers.EquivariantPatchBayes, 32),
    ),
    "memoriser": (
        f"empirical Bayes of {FITTED} images",
        "fitted",
        lambda _, X: gt.EmpiricalBayes(X.sample(FITTED, seed=1)),
    ),
    **{
        name: (f"{what}, {seen:,} images seen", "trained", partial(trained, make, seen))
        for name, (what, seen, make) in NETWORKS.items()
    },
    "shipped c_alpha": (
        "conservative, trained on C^2 images of 64 pixels",
        "elsewhere",
        everywhere(gt.shipped_denoiser("c_alpha").eval()),
    ),
    "shipped photographs": (
        "conservative, given sigma, trained on 400 photographs, 64 pixels",
        "elsewhere",
        everywhere(gt.shipped_denoiser("photographs").eval()),
    ),
    "shipped blind photographs": (
        "blind, trained on 400 photographs, 64 pixels",
        "elsewhere",
        everywhere(gt.shipped_denoiser("blind_photographs").eval()),
    ),
    "published UNet": (
        "bias-free, Mohan et al. 2020, trained on photographs",
        "elsewhere",
        published("bfdenoising_unet_biasfree_0-100.pt"),
    ),
    "published BF-CNN": (
        "trained on faces of 160 pixels",
        "elsewhere",
        published("localprob_celeba160_bfcnn_rf43.pt"),
    ),
}


def judged(name: str) -> Entry:
    """The line of a subject."""
    what, kind, make = SUBJECTS[name]
    result = benchmark({label: make(label, X) for label, X in standard_classes().items()}, name=name)
    print(result, flush=True)
    scores = {
        label: {end: round(getattr(score, end), 4) for end in ("value", "low", "high")}
        for label, score in result.scores.items()
    }
    return Entry(name, what, kind, round(float(result.total.value), 4), scores)


def table(entries: Sequence[Entry]) -> str:
    """The leaderboard for the documentation; what has no place stands without a number."""
    labels = list(standard_classes())
    lines = [f"| place | denoiser | | all | {' | '.join(labels)} |", "|---" * (4 + len(labels)) + "|"]
    place = 0
    for entry in entries:
        place += entry.kind != "null"
        numbers = " | ".join(f"{entry.scores[label]['value']:.2f}" for label in labels)
        shown = "" if entry.kind == "null" else place
        lines.append(f"| {shown} | {entry.name} | {entry.what} | {entry.total:.2f} | {numbers} |")
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> None:
    """Judge the subjects, and write the leaderboard after each."""
    torch.set_num_threads(1)
    if not LEADERBOARD.exists():
        runs.write_json(LEADERBOARD, {"version": VERSION, "entries": []})
    entries = {entry.name: entry for entry in leaderboard()}
    for name in names or [name for name in SUBJECTS if name not in entries]:
        if name.startswith("published") and "GAHB_TEST_DATA" not in os.environ:
            print(f"{name}: GAHB_TEST_DATA is not set")
            continue
        entries[name] = judged(name)
        lines = sorted(entries.values(), key=lambda entry: entry.total)
        runs.write_json(LEADERBOARD, {"version": VERSION, "entries": [asdict(line) for line in lines]})
        leaderboard.cache_clear()
    with style():
        figure, axes = panels(6.5, 5.0)
        draw_leaderboard(leaderboard(), axes[0])
        figure.savefig(FIGURE)
    TABLE.write_text(table(leaderboard()))
    print("\n".join(f"{entry.total:8.2f} dB  {entry.name}" for entry in leaderboard()))


if __name__ == "__main__":
    main(sys.argv[1:])
