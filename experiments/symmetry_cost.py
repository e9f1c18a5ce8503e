"""Why conservative denoisers of photographs fail: symmetry, or symmetry without the noise level.

    python experiments/symmetry_cost.py        trains what is missing, about 40 minutes on one core
    python experiments/symmetry_cost.py draw   the table of what has been measured

One UNet of exponential linear units at 16 pixels in four roles, for C^alpha images (alpha = 2) and for the embedded
photographs: blind or given sigma, and plain (y - E) or the gradient of |y|^2 / 2 - <y, E> / 2. `theory.symmetry_cost` predicts
that the gradient costs little where sigma is given or where few coefficients are significant, and much where it is blind and
images differ in information. The prediction would be wrong if the gradient were as far below the plain network with sigma as
without. Same images, order, noise and first weights in all four; three seeds. Killed at any moment, the same command goes on.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import gahb_theory as gt
from gahb_theory.denoisers import Network, SmoothUNet
from gahb_theory.hypotheses.paper.plane_summary import student
from gahb_theory.images import Photographs
from gahb_theory.theory.symmetry_cost import cost_of_symmetry

SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SEEDS = (0, 1, 2)
BUDGET = 16_000
SIZE, TEST_SEED = 16, 2**41
CONTRAST = 0.2
"""A typical standard deviation of an image, which stands for that of y in a network that is given sigma."""
CLASSES = {
    "C^alpha": (gt.CAlpha(alpha=2.0, size=SIZE), gt.CAlpha(alpha=2.0, size=SIZE)),
    "photographs": (Photographs(size=SIZE, split="train"), Photographs(size=SIZE, split="test")),
}
RESULTS = Path(__file__).parent / "results" / "symmetry_cost"
MEASURED, TABLE = RESULTS / "psnr.json", RESULTS / "README.md"
MODEL = {"fraction": 0.25, "amplitudes": (0.02, 0.5), "trained": (0.007, 2.0)}


class Role(Network):
    """E(y) = r z(P y / r, log sigma), with r and sigma given or both from y; the denoiser y - E or a gradient."""

    image_channels = 1

    def __init__(self, *, blind: bool, gradient: bool, seed: int) -> None:
        super().__init__()
        self.blind, self.gradient = blind, gradient
        self.body = SmoothUNet(channels=8, blocks=2, image_channels=2, seed=seed)
        self.body.exit = nn.Conv2d(8, 1, 3, padding=1, bias=False)
        torch.nn.init.normal_(self.body.exit.weight, 0, 0.01, generator=torch.Generator().manual_seed(seed))

    def residual(self, y: Tensor, sigma: Tensor) -> Tensor:
        """What is taken from y in a plain network."""
        centred = y - y.mean((2, 3), keepdim=True)
        scale = centred.square().mean((1, 2, 3), keepdim=True).sqrt() if self.blind else (sigma**2 + CONTRAST**2).sqrt()
        level = torch.zeros_like(y) if self.blind else (sigma / 0.1).log().expand_as(y) / 3
        return scale * self.body.predict(torch.cat([centred / scale, level], 1))

    def estimate(self, y: Tensor, sigma: Tensor) -> Tensor:
        """The denoised images."""
        sigma = sigma.expand(len(y), 1, 1, 1)
        if not self.gradient:
            return y - self.residual(y, sigma)
        wanted = torch.is_grad_enabled()
        with torch.enable_grad():
            point = y.detach().clone().requires_grad_()
            energy = (point * self.residual(point, sigma)).sum() / 2
            (slope,) = torch.autograd.grad(energy, point, create_graph=wanted)
        return y - slope


def trained(name: str, *, blind: bool, gradient: bool, seed: int) -> Role:
    """The network of one role, class and seed; goes on where it was stopped."""
    label = f"{name}, {'blind' if blind else 'given sigma'}, {'gradient' if gradient else 'plain'}, seed {seed}"
    recipe = gt.Recipe(images_seen=BUDGET, sigma_min=0.007, sigma_max=2.0, seed=seed)
    network = Role(blind=blind, gradient=gradient, seed=seed)
    return gt.train(network, CLASSES[name][0], recipe=recipe, run=Path("runs") / "symmetry_cost" / label)


def measure() -> None:
    """Train all that is missing, and store the PSNR of every network."""
    rows = json.loads(MEASURED.read_text()) if MEASURED.exists() else []
    done = {(row["class"], row["blind"], row["gradient"], row["seed"]) for row in rows}
    for seed in SEEDS:
        for name, (_, test) in CLASSES.items():
            x = test.sample(256, seed=TEST_SEED)
            for blind in (True, False):
                for gradient in (False, True):
                    if (name, blind, gradient, seed) in done:
                        continue
                    f = trained(name, blind=blind, gradient=gradient, seed=seed)
                    psnr = gt.psnr_curve(f, x, SIGMAS, seed=TEST_SEED).psnr.tolist()
                    rows.append({"class": name, "blind": blind, "gradient": gradient, "seed": seed, "psnr": psnr})
                    RESULTS.mkdir(parents=True, exist_ok=True)
                    MEASURED.write_text(json.dumps(rows, indent=1) + "\n")


def cost(rows: list[dict], name: str, blind: bool) -> list[str]:
    """Plain minus gradient in dB at each noise level, mean over seeds with its 95 % interval."""
    values = {
        (row["seed"], row["gradient"]): np.array(row["psnr"])
        for row in rows
        if (row["class"], row["blind"]) == (name, blind)
    }
    seeds = [seed for seed in SEEDS if (seed, True) in values and (seed, False) in values]
    differences = np.array([values[seed, False] - values[seed, True] for seed in seeds])
    found = [student(column) for column in differences.T]
    return [f"{e['value']:.2f} ({e['low']:.2f}, {e['high']:.2f})" for e in found]


def draw() -> None:
    """The table of all that has been measured."""
    rows = json.loads(MEASURED.read_text())
    head = "| plain minus gradient, dB | " + " | ".join(f"sigma {sigma:g}" for sigma in SIGMAS) + " |"
    lines = [head, "|---|" + "---|" * len(SIGMAS)]
    for name in CLASSES:
        for blind in (True, False):
            lines.append(
                f"| {name}, {'blind' if blind else 'sigma given'} | " + " | ".join(cost(rows, name, blind)) + " |"
            )
    for fraction in (0.01, 0.25):
        predicted = cost_of_symmetry(SIGMAS, **(MODEL | {"fraction": fraction})).decibels
        lines.append(
            f"| model, blind, rho = {fraction:g} | " + " | ".join(f"{value:.2f}" for value in predicted) + " |"
        )
    text = "\n".join(lines)
    lead = "Printed by `python experiments/symmetry_cost.py draw`; 95 % intervals over three seeds (Student's t)."
    TABLE.write_text(f"{lead}\n\n{text}\n")
    print(text)


if __name__ == "__main__":
    if sys.argv[1:] != ["draw"]:
        measure()
    draw()
