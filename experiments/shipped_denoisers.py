"""Train the denoisers that come with the library, and copy them into the package.

    python experiments/shipped_denoisers.py            both, about 1.5 hours on two cores
    python experiments/shipped_denoisers.py c_alpha    one

Killed at any moment, the same command goes on. Writes gahb_theory/pretrained/NAME (weights and configuration) and
experiments/results/shipped/NAME (the log, and the PSNR on 256 test images beside the sym4 wavelet oracle).
"""

import csv
import sys
from pathlib import Path

import torch

import gahb_theory.pretrained as pretrained
from gahb_theory import runs
from gahb_theory.bases import Wavelet
from gahb_theory.denoisers.checkpoints.files import save_denoiser
from gahb_theory.metrics.errors import psnr_curve
from gahb_theory.theory.exact_risks import oracle_mse

LABELS = {"network": "{}", "sym4_oracle": "sym4 oracle"}
SIGMAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TEST_SEED = 77
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
        f = pretrained.train_shipped(name, run)
        x = pretrained.shipped_class(name, split="test").sample(256, seed=TEST_SEED)
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
            rows.append({key: round(value, 3) for key, value in (row | {"sym4_oracle": oracle}).items()})
        card = {"recipe": runs.describe(pretrained.shipped_recipe(name)), "psnr": rows, "licence": "MIT"}
        card |= {"data": runs.describe(pretrained.shipped_class(name)), "versions": runs.versions()}
        save_denoiser(f, Path(pretrained.__file__).parent / name, card)
        kept = HERE / "results" / "shipped" / name
        kept.mkdir(parents=True, exist_ok=True)
        runs.write_bytes(kept / "log.jsonl", (run / "log.jsonl").read_bytes())
        runs.write_csv(kept / "psnr.csv", rows)
    print(table(names))


if __name__ == "__main__":
    main(sys.argv[1:] or ["c_alpha", "photographs"])
