"""Train the denoisers that come with the library, and copy them into the package.

    python experiments/shipped_denoisers.py c_alpha        about an hour on one core
    GAHB_PHOTOGRAPHS=FOLDER python experiments/shipped_denoisers.py photographs    an hour; blind_photographs: half an hour
    GAHB_PHOTOGRAPHS=FOLDER python experiments/shipped_denoisers.py attempt
                                                           a blind conservative network of photographs, which does not ship
    GAHB_PHOTOGRAPHS=FOLDER python experiments/shipped_denoisers.py measure NAME ...    the tables alone, anew

FOLDER: the 400 photographs of Berkeley of Zhang et al. 2017, who took them for training too.

Killed at any moment, the same command goes on. Writes gahb_theory/pretrained/NAME (weights and configuration) and
experiments/results/shipped/NAME (the log, and the PSNR on 256 test images beside that of the shrinkage S y, S the symmetric
part of the Jacobian at y, the noisy image, the sym4 wavelet oracle, and the Wiener filter of images of the training class).
"""

import csv
import math
import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

import gahb_theory.pretrained as pretrained
from gahb_theory import runs
from gahb_theory.bases import Wavelet
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.denoisers.networks import Conservative, SmoothUNet
from gahb_theory.images import Photographs
from gahb_theory.images.base import ImageClass
from gahb_theory.jacobians.reproduction import shrunk
from gahb_theory.metrics.errors import psnr_curve
from gahb_theory.theory.exact_risks import oracle_mse
from gahb_theory.training import train

LABELS = {
    "network": "{}",
    "shrinkage": "{}, S y alone",
    "sym4_oracle": "sym4 oracle",
    "wiener": "Wiener filter",
    "noisy": "noisy image",
}
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TEST_SEED = 77
ATTEMPT = "photographs_conservative"
WIENER_IMAGES = 12_000
"""Three for each pixel; they are the first of those that the network has seen."""
BERKELEY = {
    "photographs": "400 of the Berkeley Segmentation Dataset (Martin et al. 2001), 180x180, as in Zhang et al. 2017",
    "size": 64,
    "note": "the photographs do not come with the library",
}
HERE = Path(__file__).parent


def table(names: list[str]) -> str:
    """The results as the lines of a Markdown table."""
    lines = []
    for name in names:
        with (HERE / "results" / "shipped" / name / "psnr.csv").open() as file:
            rows = list(csv.DictReader(file))
        lines = lines or [
            "| sigma | " + " | ".join(f"{float(row['sigma']):g}" for row in rows) + " |",
            "|---|" + "---|" * len(rows),
        ]
        for key, label in LABELS.items():
            lines.append(f"| {label.format(name)} | " + " | ".join(f"{float(row[key]):.2f}" for row in rows) + " |")
    return "\n".join(lines)


def measured(name: str, f: Denoiser, seen: torch.Tensor) -> list[dict[str, float]]:
    """The PSNR of a denoiser at each noise level, beside what needs no training and a Wiener filter of what it has seen."""
    x = pretrained.shipped_class(name, split="test").sample(256, seed=TEST_SEED)
    network = psnr_curve(f, x, SIGMAS, seed=TEST_SEED)
    shrinkage = psnr_curve(partial(shrunk, f), x, SIGMAS, seed=TEST_SEED)
    wiener = psnr_curve(GaussianDenoiser.fit(seen), x, SIGMAS, seed=TEST_SEED)
    rows = []
    for i, sigma in enumerate(SIGMAS):
        risk = oracle_mse(Wavelet("sym4"), x, sigma)
        row = {
            "sigma": sigma,
            "network": float(network.psnr[i]),
            "standard_error": float(network.standard_error[i]),
            "shrinkage": float(shrinkage.psnr[i]),
            "sym4_oracle": float((10 * torch.log10(x[0].numel() / risk)).mean()),
            "wiener": float(wiener.psnr[i]),
            "noisy": -20 * math.log10(sigma),
        }
        rows.append({key: round(value, 3) for key, value in row.items()})
    return rows


def attempt(folder: str) -> None:
    """Train the network of "c_alpha" on the photographs of a folder; with the 400 of Berkeley it failed."""
    run = Path("runs") / "shipped" / ATTEMPT
    recipe = replace(pretrained.shipped_recipe("c_alpha"), images_seen=90_000)
    network = Conservative(SmoothUNet(channels=16, blocks=3))
    images = Photographs(folder, size=64)
    f = train(network, images, recipe=recipe, run=run)
    publish(ATTEMPT, measured("photographs", f, images.sample(WIENER_IMAGES)), run)


def publish(name: str, rows: list[dict[str, float]], run: Path | None) -> None:
    """Store what was measured, and the log of a training."""
    folder = HERE / "results" / "shipped" / name
    folder.mkdir(parents=True, exist_ok=True)
    runs.write_csv(folder / "psnr.csv", rows)
    if run is not None:
        runs.write_bytes(folder / "log.jsonl", (run / "log.jsonl").read_bytes())


def images_for(name: str) -> tuple[str | None, ImageClass]:
    """The folder of photographs, and the images that a shipped denoiser was trained on."""
    folder = os.environ["GAHB_PHOTOGRAPHS"] if name.endswith("photographs") else None
    return folder, Photographs(folder, size=64) if folder else pretrained.shipped_class(name)


def ship(name: str, f: Denoiser, run: Path | None = None) -> None:
    """Measure a denoiser, and store it in the package and its results, with the log of a training if there was one."""
    folder, images = images_for(name)
    rows = measured(name, f, images.sample(WIENER_IMAGES))
    card = {"recipe": runs.describe(pretrained.shipped_recipe(name)), "licence": "MIT"}
    card |= {"psnr": {f"{row['sigma']:g}": row["network"] for row in rows}, "psnr_of_others": rows}
    card |= {"data": BERKELEY if folder else runs.describe(images), "versions": runs.versions()}
    save_denoiser(f, Path(pretrained.__file__).parent / name, card)
    publish(name, rows, run)


def main(names: list[str]) -> None:
    """Train, measure and store each denoiser."""
    if names == ["attempt"]:
        attempt(os.environ["GAHB_PHOTOGRAPHS"])
        names = [ATTEMPT]
    elif names[0] == "measure":
        for name in (names := names[1:]):
            ship(name, pretrained.shipped_denoiser(name))
    else:
        for name in names:
            run = Path("runs") / "shipped" / name
            ship(name, pretrained.train_shipped(name, run, folder=images_for(name)[0]), run)
    print(table(names))


if __name__ == "__main__":
    main(sys.argv[1:] or ["c_alpha", "photographs", "blind_photographs"])
