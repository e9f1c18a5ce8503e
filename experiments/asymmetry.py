"""What makes Jacobians asymmetric, and what symmetry costs.

    python experiments/asymmetry.py        trains what is missing, about 15 minutes on one core
    python experiments/asymmetry.py table  the tables and the figure of what has been measured

Small networks on C^alpha images (alpha = 2) of 16 pixels, three seeds each: normalisation, optimiser, output, architecture,
budget, and conservative denoisers. On test images that no training sees, for each noise level:

    psnr         of f, in dB
    asymmetry    ||J - J^T|| / ||J||, 1.41 for a random matrix, 0 for the Jacobian of a posterior mean
    shrinkage    PSNR of S y, S the symmetric part of J: what eigenvectors and eigenvalues of S reproduce of f
    negative     sum of the negative eigenvalues of S, over the sum of the absolute values of all

The numbers stand in results/asymmetry/rows.json. Killed at any moment, the same command goes on.
"""

import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import SmoothUNet
from gahb_theory.hypotheses.paper.plane_summary import student
from gahb_theory.runs import write_bytes

IMAGES, LONG = 12_800, 60_000
SEEDS = (0, 1, 2)
SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
TEST_SEED, NOISE_SEED = 2**40, 5
TEST_IMAGES, SPECTRA = 256, 4
RESULTS = Path(__file__).parent / "results" / "asymmetry"
ROWS, TABLE, FIGURE = RESULTS / "rows.json", RESULTS / "README.md", RESULTS / "asymmetry.png"
CHECKPOINTS = Path("runs") / "asymmetry"
X = gt.CAlpha(alpha=2.0, size=16)


class Direct(gt.Network):
    """What a network predicts, taken for the image and not for the noise."""

    homogeneous = True

    def __init__(self, network: gt.Network) -> None:
        super().__init__()
        self.network, self.image_channels = network, network.image_channels

    def estimate(self, y: Tensor, sigma: Tensor) -> Tensor:
        """The output of the last layer."""
        return y - self.network.estimate(y, sigma)


def calibrated(seed: int) -> gt.Network:
    """A UNet whose normalisation begins with the deviations of white noise."""
    f = gt.Conservative(gt.UNet(8, 2, seed=seed))
    f.calibrate((1, 16, 16))
    return f.network


Case = tuple[Callable[[int], Any], gt.Recipe]
DEFAULT = gt.Recipe(images_seen=IMAGES)
CASES: dict[str, Case] = {
    "UNet, 60,000 images": (lambda s: gt.UNet(8, 2, seed=s), replace(DEFAULT, images_seen=LONG)),
    "SmoothUNet, 60,000 images": (lambda s: SmoothUNet(8, 2, seed=s), replace(DEFAULT, images_seen=LONG)),
    "Conservative(SmoothUNet), 60,000 images": (
        lambda s: gt.Conservative(SmoothUNet(8, 2, seed=s)),
        replace(DEFAULT, images_seen=LONG),
    ),
    "UNet, default recipe": (lambda s: gt.UNet(8, 2, seed=s), DEFAULT),
    "SmoothUNet": (lambda s: SmoothUNet(8, 2, seed=s), DEFAULT),
    "Conservative(SmoothUNet)": (lambda s: gt.Conservative(SmoothUNet(8, 2, seed=s)), DEFAULT),
    "Conservative(UNet)": (lambda s: gt.Conservative(gt.UNet(8, 2, seed=s)), DEFAULT),
    "UNet, Adam": (lambda s: gt.UNet(8, 2, seed=s), replace(DEFAULT, optimiser="adam")),
    "UNet, normalisation live to the end": (lambda s: gt.UNet(8, 2, seed=s), replace(DEFAULT, frozen_part=0.0)),
    "UNet, normalisation frozen throughout": (calibrated, replace(DEFAULT, frozen_part=1.0)),
    "UNet, direct output": (lambda s: Direct(gt.UNet(8, 2, seed=s)), DEFAULT),
    "BFCNN": (lambda s: gt.BFCNN(16, 8, seed=s), DEFAULT),
    "DnCNN": (lambda s: gt.DnCNN(16, 8, seed=s), DEFAULT),
    "DiT": (lambda s: gt.DiT(16, 2, 32, 2, 2, seed=s), DEFAULT),
}


def measure(f: Any) -> dict[str, list[float]]:
    """PSNR, asymmetry, PSNR of S y, and the negative part of the spectrum, at each noise level."""
    x = X.sample(TEST_IMAGES, seed=TEST_SEED)
    found: dict[str, list[float]] = {"psnr": [float(p) for p in gt.psnr_curve(f, x, SIGMAS, seed=NOISE_SEED).psnr]}
    found |= {"asymmetry": [], "f_here": [], "shrinkage": [], "negative": []}
    for sigma in SIGMAS:
        each = []
        for i in range(SPECTRA):
            y = gt.add_noise(x[i : i + 1], sigma, seed=NOISE_SEED, start=i)
            J = gt.jacobian(f, y, sigma)
            matrix = J.matrix().double()
            S = (matrix + matrix.mT) / 2
            shrunk = (S @ y.double().flatten()).reshape(y.shape).to(y)
            values = torch.linalg.eigvalsh(S)
            own, other = float(gt.psnr(x[i : i + 1], J.output)), float(gt.psnr(x[i : i + 1], shrunk))
            each.append((J.asymmetry(), own, other, float(-values.clamp(max=0).sum() / values.abs().sum())))
        for name, column in zip(("asymmetry", "f_here", "shrinkage", "negative"), zip(*each, strict=True), strict=True):
            found[name].append(sum(column) / SPECTRA)
    return {name: [round(v, 4) for v in values] for name, values in found.items()}


def recorded() -> dict[str, dict[str, Any]]:
    """What has been measured, by "case, seed"."""
    return json.loads(ROWS.read_text()) if ROWS.exists() else {}


def checkpoint(label: str, seed: int, times: int = 1) -> Path:
    """Where the network of a case is, of `times` its budget."""
    return CHECKPOINTS / f"{label}{', twice' if times == 2 else ''}; seed {seed}"


def network(label: str, seed: int, times: int = 1) -> Any:
    """The network of a case, of `times` its budget; trained, if it is not there."""
    build, recipe = CASES[label]
    place = checkpoint(label, seed, times)
    if not place.exists():
        recipe = replace(recipe, images_seen=times * recipe.images_seen, seed=seed)
        f = gt.train(build(seed), X, recipe=recipe, run=CHECKPOINTS / "trainings" / place.name)
        if isinstance(f, Direct):  # which cannot be stored
            return f
        gt.save_denoiser(f, place)
        print(place.name, flush=True)
    return gt.load_denoiser(place)


def train_and_measure() -> None:
    """Train and measure what is missing, one seed of all cases after the other."""
    CHECKPOINTS.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        for label in CASES:
            key, rows = f"{label}; seed {seed}", recorded()
            if key not in rows:
                f = network(label, seed)
                write_bytes(ROWS, json.dumps(rows | {key: measure(f)}, indent=1).encode())


def mean(label: str, name: str, rows: Mapping[str, Any]) -> list[float]:
    """The mean over seeds, at each noise level."""
    return [statistics.fmean(v) for v in zip(*of_seeds(label, name, rows), strict=True)]


def cells(values: Sequence[Sequence[float]], digits: int) -> str:
    """The mean over seeds at each noise level, and half its 95 % interval (Student's t)."""
    texts = []
    for column in zip(*values, strict=True):
        e = student(column)
        half = f" ± {e['high'] - e['value']:.{digits}f}" if len(column) > 1 else ""
        texts.append(f"{e['value']:.{digits}f}{half}")
    return " | ".join(texts)


def of_seeds(label: str, name: str, rows: Mapping[str, Any]) -> list[list[float]]:
    """What was measured, for each seed at each noise level."""
    return [rows[key][name] for key in (f"{label}; seed {s}" for s in SEEDS) if key in rows]


def agreement() -> dict[str, list[float]]:
    """Correlation over test images of log p from disjoint data: two networks, and two Gaussian fits to 20,000 images each."""
    x = X.sample(TEST_IMAGES, seed=TEST_SEED)
    label = "Conservative(SmoothUNet), 60,000 images"
    paths = [CHECKPOINTS / f"{label}; seed {s}" for s in SEEDS]
    networks = [gt.load_denoiser(p) for p in paths if p.exists()][:2]
    fits = [gt.PCA.fit(X.sample(20_000, seed=s)) for s in (101, 102)]
    found: dict[str, list[float]] = {"networks": [], "gaussian": [], "network with gaussian": []}
    for sigma in SIGMAS:
        y = gt.add_noise(x, sigma, seed=NOISE_SEED)
        with torch.no_grad():
            a, b = (f.log_density(y, sigma).double() for f in networks)  # type: ignore[union-attr, operator]
        g, h = (
            -(((p.analysis(y - p.mean).double()) ** 2) / (p.variances.double() + sigma**2)).sum(1) / 2 for p in fits
        )
        for name, (p, q) in {"networks": (a, b), "gaussian": (g, h), "network with gaussian": (a, g)}.items():
            found[name].append(round(float(torch.corrcoef(torch.stack([p, q]))[0, 1]), 4))
    return found


def table() -> str:
    """The results as Markdown."""
    rows = recorded()
    shown = [label for label in CASES if any(key.startswith(label + "; ") for key in rows)]
    head = ["", "| | seeds | " + " | ".join(f"{s:g}" for s in SIGMAS) + " |", "|---|---|" + "---|" * len(SIGMAS)]
    lines = ["# What makes Jacobians asymmetric, and what symmetry costs", ""]
    lines.append(
        f"C^alpha images of 16 pixels, {IMAGES:,} images seen unless said; means over seeds and 95 % intervals. "
        f"J at {SPECTRA} test images, PSNR on {TEST_IMAGES}. Columns: the noise level."
    )
    titles = {
        "psnr": ("PSNR of f, dB", 2),
        "asymmetry": ("||J - J'|| / ||J||", 3),
        "negative": ("Sum of negative eigenvalues of the symmetric part, over that of absolute values", 3),
    }
    for name, (title, digits) in titles.items():
        lines += ["", f"## {title}", *head]
        for label in shown:
            seeds = sum(key.startswith(label + "; ") for key in rows)
            lines.append(f"| {label} | {seeds} | {cells(of_seeds(label, name, rows), digits)} |")
    lines += ["", "## PSNR of the symmetric shrinkage S y minus that of f, dB, same images", *head]
    for label in shown:
        seeds = sum(key.startswith(label + "; ") for key in rows)
        pairs = zip(of_seeds(label, "shrinkage", rows), of_seeds(label, "f_here", rows), strict=True)
        lost = [[a - b for a, b in zip(*pair, strict=True)] for pair in pairs]
        lines.append(f"| {label} | {seeds} | {cells(lost, 2)} |")
    stored = RESULTS / "agreement.json"
    if stored.exists():
        lines += ["", "## log p of two models from disjoint data: correlation over noisy test images", *head]
        for name, values in json.loads(stored.read_text()).items():
            lines.append(f"| {name} | 2 | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    return "\n".join(lines) + "\n"


def draw() -> None:
    """PSNR against asymmetry at one noise level, a point for each case."""
    import matplotlib.pyplot as plt

    rows, at = recorded(), SIGMAS.index(0.1)
    figure, ax = plt.subplots(figsize=(7, 4.2), layout="constrained")
    cases = [label for label in CASES if any(key.startswith(label + "; ") for key in rows)]
    for number, label in enumerate(cases, 1):
        a, p = mean(label, "asymmetry", rows)[at], mean(label, "psnr", rows)[at]
        ax.plot(a, p, "s" if "Conservative" in label else "o", color="C0", label=f"{number}  {label}")
        ax.annotate(str(number), (a, p), textcoords="offset points", xytext=(5, -3), fontsize=8)
    figure.legend(loc="outside right upper", fontsize=7, handlelength=0, markerscale=0, frameon=False)
    ax.set_xlabel("asymmetry ||J - J'|| / ||J||")
    ax.set_ylabel("PSNR in dB")
    ax.set_title(f"C^alpha images of 16 pixels, sigma = {SIGMAS[at]:g}")
    figure.savefig(FIGURE, dpi=120)


def main(arguments: list[str]) -> None:
    """Train, measure, and write the table and the figure."""
    torch.set_num_threads(1)
    RESULTS.mkdir(parents=True, exist_ok=True)
    if arguments != ["table"]:
        train_and_measure()
        write_bytes(RESULTS / "agreement.json", json.dumps(agreement(), indent=1).encode())
    write_bytes(TABLE, table().encode())
    draw()


if __name__ == "__main__":
    main(sys.argv[1:])
