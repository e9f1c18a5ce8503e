"""Is equation (6) true of the best denoiser? What the shrinkage S y reproduces of exact posterior means.

    python experiments/equation_six.py        five minutes on one core

The posterior mean f at a known noise level has a symmetric Jacobian J, S = J. If f(y) = sum_k lambda_k <y, e_k> e_k held,
S y would have the PSNR of f. A Gaussian class has f(y) = m + J (y - m): exact about its mean m, and not about 0. Elsewhere
f - J y = sigma df/dsigma + (what the class has beside its contrast), which no basis reproduces. Beside f and S y stands
S (y - m) + m, so that no mean of the class can be blamed. Checked: on the Gaussian class it agrees with f.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch

import gahb_theory as gt
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.images import GaussianField, SineCone
from gahb_theory.jacobians.reproduction import shrunk
from gahb_theory.metrics.errors import psnr_per_image
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.runs import write_bytes, write_json

SIGMAS = (0.05, 0.3, 1.0)
SIZE, SEED, IMAGES = 16, 2**41, 12
RESULTS = Path(__file__).parent / "results" / "equation_six"

CLASSES: dict[str, tuple[gt.ImageClass, Callable[..., gt.Denoiser]]] = {
    "Gaussian field": (GaussianField(size=SIZE), lambda X: gt.GaussianDenoiser.fit(X.sample(20_000, seed=1).double())),
    "cone of sines": (SineCone(size=SIZE), ConeBayes),
    "disks": (gt.Disks(size=SIZE), gt.DiskBayes),
}


def measured(f: gt.Denoiser, x: torch.Tensor, mean: torch.Tensor, sigma: float) -> dict[str, list[float]]:
    """PSNR of the posterior mean, and what S y and S (y - m) + m lose of it, with 95 % intervals over images."""
    y = gt.add_noise(x, sigma, seed=0)
    found = {"posterior mean": f(y, sigma), "S y": shrunk(f, y, sigma)}
    found["S (y - m) + m"] = mean + shrunk(lambda u, s: f(u + mean, s), y - mean, sigma)
    decibels = {label: psnr_per_image(x, estimate) for label, estimate in found.items()}
    best = decibels["posterior mean"]
    rows = {label: best - values if label != "posterior mean" else values for label, values in decibels.items()}
    ends = {label: mean_estimate(values) for label, values in rows.items()}
    return {label: [round(float(v), 2) for v in (e.value, e.low, e.high)] for label, e in ends.items()}


def table(results: dict[str, dict[str, dict[str, list[float]]]]) -> str:
    """The results as Markdown."""
    lines = [
        f"`python experiments/equation_six.py`: {IMAGES} images of {SIZE} pixels, 95 % intervals over images.",
        "",
        "| class | sigma | posterior mean, dB | S y loses | S (y - m) + m loses |",
        "|---|---|---|---|---|",
    ]
    for name, levels in results.items():
        for sigma, row in levels.items():
            best, *lost = row.values()
            cells = " | ".join(f"{value:.2f} [{low:.2f}, {high:.2f}]" for value, low, high in lost)
            lines.append(f"| {name} | {sigma} | {best[0]:.2f} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure what is missing, and write the table."""
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    file = RESULTS / "results.json"
    results = json.loads(file.read_text()) if file.exists() else {}
    for name, (X, make) in CLASSES.items():
        levels = results.setdefault(name, {})
        missing = [sigma for sigma in SIGMAS if f"{sigma:g}" not in levels]
        if not missing:
            continue
        f, x = make(X), X.sample(IMAGES, seed=SEED).double()
        mean = X.sample(4096, seed=3).double().mean(0, keepdim=True)
        for sigma in missing:
            levels[f"{sigma:g}"] = measured(f, x, mean, sigma)
            write_json(file, results)
            print(name, sigma, levels[f"{sigma:g}"], flush=True)
    write_bytes(RESULTS / "README.md", table(results).encode())


if __name__ == "__main__":
    main()
