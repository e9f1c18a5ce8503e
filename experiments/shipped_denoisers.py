"""Train the denoisers that come with the library, and copy them into the package.

    python experiments/shipped_denoisers.py c_alpha                                 about an hour on one core
    GAHB_PHOTOGRAPHS=FOLDER python experiments/shipped_denoisers.py photographs     the same

FOLDER holds the 400 training photographs of Berkeley, which do not come with the library. Killed at any moment, the same
command goes on. Writes gahb_theory/pretrained/NAME (weights and configuration) and experiments/results/shipped/NAME (the
log, and the PSNR on 256 test images beside the noisy image, the sym4 wavelet oracle, and the Wiener filter of images of the
training class).
"""

import csv
import math
import os
import sys
from pathlib import Path

import torch

import gahb_theory.pretrained as pretrained
from gahb_theory import runs
from gahb_theory.bases import Wavelet
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.metrics.errors import psnr_curve
from gahb_theory.theory.exact_risks import oracle_mse

LABELS = {"network": "{}", "sym4_oracle": "sym4 oracle", "wiener": "Wiener filter", "noisy": "noisy image"}
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TEST_SEED = 77
WIENER_IMAGES = 12_000
"""Three for each pixel; they are the first of those that the network has seen."""
BERKELEY = "the 400 training photographs of the Berkeley segmentation data set, not included (Martin et al. 2001)"
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


def main(names: list[str]) -> None:
    """Train, measure and store each denoiser."""
    for name in names:
        run = Path("runs") / "shipped" / name
        folder = os.environ.get("GAHB_PHOTOGRAPHS") if name == "photographs" else None
        if name == "photographs" and folder is None:
            raise SystemExit("set GAHB_PHOTOGRAPHS to the folder of the Berkeley photographs that it is trained on")
        f = pretrained.train_shipped(name, run, folder=folder)
        x = pretrained.shipped_class(name, split="test").sample(256, seed=TEST_SEED)
        seen = pretrained.shipped_class(name, folder=folder).sample(WIENER_IMAGES)
        wiener = psnr_curve(GaussianDenoiser.fit(seen), x, SIGMAS, seed=TEST_SEED)
        network = psnr_curve(f, x, SIGMAS, seed=TEST_SEED)
        rows = []
        for i, sigma in enumerate(SIGMAS):
            risk = oracle_mse(Wavelet("sym4"), x, sigma)
            oracle = float((10 * torch.log10(x[0].numel() / risk)).mean())
            row = {
                "sigma": sigma,
                "network": float(network.psnr[i]),
                "standard_error": float(network.standard_error[i]),
            }
            row |= {"sym4_oracle": oracle, "wiener": float(wiener.psnr[i]), "noisy": -20 * math.log10(sigma)}
            rows.append({key: round(value, 3) for key, value in row.items()})
        card = {"recipe": runs.describe(pretrained.shipped_recipe(name)), "licence": "MIT"}
        card |= {"psnr": {f"{row['sigma']:g}": row["network"] for row in rows}, "psnr_of_others": rows}
        data = runs.describe(pretrained.shipped_class(name, folder=folder)) | ({"folder": BERKELEY} if folder else {})
        card |= {"data": data, "versions": runs.versions()}
        save_denoiser(f, Path(pretrained.__file__).parent / name, card)
        kept = HERE / "results" / "shipped" / name
        kept.mkdir(parents=True, exist_ok=True)
        runs.write_bytes(kept / "log.jsonl", (run / "log.jsonl").read_bytes())
        runs.write_csv(kept / "psnr.csv", rows)
    print(table(names))


if __name__ == "__main__":
    main(sys.argv[1:] or ["c_alpha", "photographs"])
