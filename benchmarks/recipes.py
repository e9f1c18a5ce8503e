"""The default recipe of training against the published one, at equal images seen; then an ablation.

    python benchmarks/recipes.py            12 runs of 32,000 images, 20 of 16,000, about 45 minutes on one core
    python benchmarks/recipes.py c_alpha 0  one class, one seed
    python benchmarks/recipes.py ablation   the ablation alone
    python benchmarks/recipes.py table      the tables of what has been run

Killed at any moment, the same command goes on. What stands in experiments/results/recipes/psnr.csv is not run again: after a
change of a recipe remove its rows.

UNet(16, 3) on 32x32 images; PSNR in dB on 256 test images that no training sees. Both recipes have the same network,
initial weights, images, batch and running average of weights. The published recipe, with its distribution of sigma,
plain squared error and rate of 1e-3, is given the cosine schedule too, which suits a short training better than its
halvings (see the ablation).
"""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

import gahb_theory as gt
from gahb_theory import runs

IMAGES, ABLATION_IMAGES = 32_000, 16_000
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TEST_SEED = 2**40
RUNS = Path("runs") / "recipes"
RESULTS = Path(__file__).parent.parent / "experiments" / "results" / "recipes"
RECORD = RESULTS / "psnr.csv"

ours, published = gt.Recipe(), replace(gt.Recipe.published(), schedule="cosine")
COMPARED = {"published": published, "default": ours}
ABLATED = {
    "published": published,
    "published, halved ten times": gt.Recipe.published(),
    "published, muon": replace(published, optimiser="muon"),
    "published, log-uniform sigma and weight": replace(
        published, sigma_distribution="log_uniform", sigma_min=0.01, weight_power=ours.weight_power
    ),
    "default, adam": replace(ours, optimiser="adam"),
    "default, input not scaled": replace(ours, input_scale="unit"),
    "default, nothing frozen": replace(ours, frozen_part=0.0),
    "default, p = 1": replace(ours, weight_power=1.0),
    "default, published sigmas and weight": replace(ours, sigma_distribution="square", sigma_min=0.0, weight_power=0.0),
    "default": ours,
}


def image_class(name: str, split: str) -> gt.CAlpha | gt.Photographs:
    """The images of a class; photographs for testing are others than those for training."""
    return gt.CAlpha(alpha=2.0, size=32) if name == "c_alpha" else gt.Photographs(size=32, split=split)


def measure(name: str, label: str, recipe: gt.Recipe, seed: int, images: int) -> None:
    """Train one network, or go on, and add its PSNR to the results; nothing that is there is done again."""
    known = {"class": name, "recipe": label, "images": str(images), "seed": str(seed)}
    if any(known.items() <= row.items() for row in recorded()):
        return
    folder = RUNS / f"{name}-{label.replace(' ', '_')}-{images}-{seed}"
    recipe = replace(recipe, seed=seed, images_seen=images)
    f = gt.train(gt.UNet(16, 3, seed=seed), image_class(name, "train"), recipe=recipe, run=folder)
    curve = gt.psnr_curve(f, image_class(name, "test").sample(256, seed=TEST_SEED), SIGMAS, seed=5)
    found = zip(SIGMAS, curve.psnr, strict=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    own = [known | {"sigma": str(s), "psnr": str(round(float(p), 3))} for s, p in found]
    runs.write_csv(RECORD, sorted([*recorded(), *own], key=_place))


def recorded() -> list[dict[str, str]]:
    """The results so far, one row for each noise level of each network."""
    if not RECORD.exists():
        return []
    with RECORD.open() as lines:
        return list(csv.DictReader(lines))


def _place(row: dict[str, str]) -> tuple[str, bool, int, int]:
    labels = list(COMPARED if int(row["images"]) == IMAGES else ABLATED)
    return row["class"], int(row["images"]) != IMAGES, labels.index(row["recipe"]), int(row["seed"])


def oracle(name: str) -> np.ndarray:
    """PSNR of the sym4 oracle on the same images."""
    x = image_class(name, "test").sample(256, seed=TEST_SEED)
    basis = gt.Wavelet("sym4")
    return np.array([float((10 * torch.log10(x[0].numel() / gt.oracle_mse(basis, x, s))).mean()) for s in SIGMAS])


def line(label: str, values: np.ndarray) -> str:
    """A row of a Markdown table: one number a noise level, and their mean."""
    return f"| {label} | " + " | ".join(f"{v:.2f}" for v in values) + f" | {values.mean():.2f} |"


def head(first: str) -> str:
    """The first two lines of a Markdown table."""
    return f"| {first} | " + " | ".join(f"{s:g}" for s in SIGMAS) + " | mean |\n|---|" + "---|" * (len(SIGMAS) + 1)


def tables(rows: list[dict[str, str]]) -> str:
    """The results as Markdown."""
    found: dict[tuple[str, str, int], dict[int, list[float]]] = {}
    for row in rows:
        key = (row["class"], row["recipe"], int(row["images"]))
        found.setdefault(key, {}).setdefault(int(row["seed"]), []).append(float(row["psnr"]))
    noisy = 20 * np.log10(1 / np.array(SIGMAS))
    out = []
    for name in ("c_alpha", "photographs"):
        got = {label: found.get((name, label, IMAGES), {}) for label in COMPARED}
        seeds = sorted(set(got["published"]) & set(got["default"]))
        if not seeds:
            continue
        a, b = (np.array([got[label][seed] for seed in seeds]) for label in COMPARED)
        out += [
            f"## {name}, {IMAGES:,} images, seeds {', '.join(map(str, seeds))}\n",
            head("sigma"),
            line("noisy", noisy),
        ]
        out += [line("published, mean", a.mean(0)), line("published, least", a.min(0))]
        out += [line("default, mean", b.mean(0)), line("default, least", b.min(0))]
        out += [line("default - published, mean", (b - a).mean(0)), line("default - published, least", (b - a).min(0))]
        out += [line("default - noisy, least", (b - noisy).min(0)), line("sym4 oracle", oracle(name))]
        above = ", ".join(f"{s:g}" for s, up in zip(SIGMAS, b.mean(0) > oracle(name), strict=True) if up)
        out += [f"\nThe default is above the sym4 oracle at sigma = {above or 'no level'}.\n"]
    for name in ("c_alpha", "photographs"):
        ablated = [(label, found.get((name, label, ABLATION_IMAGES), {})) for label in ABLATED]
        ablated = [(label, seeds) for label, seeds in ablated if seeds]
        if ablated:
            out += [f"## Ablation: {name}, {ABLATION_IMAGES:,} images, one seed\n", head("recipe")]
            out += [line(label, np.array(list(seeds.values())).mean(0)) for label, seeds in ablated] + [""]
    return "\n".join(out)


def show() -> None:
    """Print the tables of the results, and keep them."""
    text = tables(recorded())
    runs.write_bytes(RESULTS / "README.md", f"# Recipes of training: PSNR in dB\n\n{text}".encode())
    print(text)


def main(words: list[str]) -> None:
    """Run what is asked for and not done yet, then print the tables."""
    names = [name for name in ("c_alpha", "photographs") if name in words] or ["c_alpha", "photographs"]
    seeds = [int(word) for word in words if word.isdigit()]
    if not {"table", "ablation"} & set(words):
        for seed in seeds or (0, 1, 2):
            for name in names:
                for label, recipe in COMPARED.items():
                    measure(name, label, recipe, seed, IMAGES)
    if "ablation" in words or not ("table" in words or seeds):
        for name in names:
            for label, recipe in ABLATED.items():
                measure(name, label, recipe, 0, ABLATION_IMAGES)
    show()


if __name__ == "__main__":
    main(sys.argv[1:])
