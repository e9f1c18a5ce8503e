"""Shuffling the pixels destroys the bias and nothing else (Kadkhodaie et al. 2024, figure 21).

For a permutation P of the pixels the optimal denoiser of the shuffled images is P f*(P^T y), so its risk is the same. A
network whose bias is to shrink along contours and in smooth regions finds neither in shuffled images. Two networks are trained
alike on C^alpha images and on the same images shuffled; the difference of their PSNR is the price of a wrong bias. Beside them
stands the best linear denoiser of the class, whose risk no permutation changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from gahb_theory import stored_results
from gahb_theory.denoisers import GaussianDenoiser, UNet
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result
from gahb_theory.hypotheses.paper.claims import (
    NOISE_SEED,
    PAPER_RECIPE,
    SIGMAS,
    TEST_SEED,
    Claim,
    estimate_as_json,
    interval,
)
from gahb_theory.images import CAlpha, Shuffled
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics import psnr_curve
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.randomness import add_noise
from gahb_theory.training import Recipe

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "shuffling"
TITLE = "Shuffled pixels: the same optimum, a wrong bias"


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    alpha: float = 2.0
    size: int = 32
    channels: int = 16
    blocks: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000))
    test_images: int = 128
    covariance_images: int = 20_000
    sigma: float = 0.3
    shown: int = 2
    """Number of the image whose eigenvectors are shown."""


SCALES = {
    "smoke": Settings(
        size=16, channels=4, blocks=1, recipe=Recipe(images_seen=1024), test_images=8, covariance_images=600
    ),
    "laptop": Settings(),
    "paper": Settings(
        size=80,
        channels=64,
        recipe=PAPER_RECIPE,
        test_images=512,
        covariance_images=100_000,
    ),
}


def trainings(s: Settings) -> list[Training]:
    """Two networks."""
    image_class = CAlpha(alpha=s.alpha, size=s.size)
    classes = {f"c_alpha_{s.size}": image_class, f"c_alpha_{s.size}_shuffled": Shuffled(image_class)}
    return [Training(partial(UNet, s.channels, s.blocks), x, s.recipe, name=name) for name, x in classes.items()]


def tasks(s: Settings) -> list[Task]:
    """One for both."""
    plain, mixed = trainings(s)
    return [Task(measure_both, {"settings": s}, {"plain": plain, "shuffled": mixed}, "both")]


def measure_both(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """PSNR of both and of the best linear denoiser, and eigenvectors of both at one image."""
    s: Settings = place["settings"]
    device = bench.device
    image_class = CAlpha(alpha=s.alpha, size=s.size)
    shuffled = Shuffled(image_class)
    plain, mixed = bench.load("plain"), bench.load("shuffled")
    x = image_class.sample(s.test_images, seed=TEST_SEED).to(device)

    def unshuffled(y: torch.Tensor, sigma: float) -> torch.Tensor:
        return shuffled.unshuffle(mixed(shuffled.shuffle(y), sigma))

    linear = GaussianDenoiser.fit(image_class.sample(s.covariance_images, seed=TEST_SEED + 1))
    curves = {
        name: psnr_curve(f, x, SIGMAS, seed=NOISE_SEED)
        for name, f in {"plain": plain, "shuffled": unshuffled, "linear": linear.to(device)}.items()
    }
    gap = mean_estimate(curves["plain"].psnr_per_image - curves["shuffled"].psnr_per_image)
    own = mean_estimate(curves["shuffled"].psnr_per_image - curves["linear"].psnr_per_image)
    clean = x[s.shown : s.shown + 1]
    y = add_noise(clean, s.sigma, seed=NOISE_SEED, start=s.shown)
    arrays = {f"{name}/psnr": curve.psnr for name, curve in curves.items()} | {"clean": clean[0].cpu().numpy()}
    spectra = {}
    for name, f, noisy in (("plain", plain, y), ("shuffled", mixed, shuffled.shuffle(y))):
        J = jacobian(f, noisy, s.sigma)
        E = J.eigenbasis()
        atoms = E.atom_images(list(range(12))).cpu()
        arrays[f"{name}/atoms"] = (atoms if name == "plain" else shuffled.unshuffle(atoms)).numpy()
        arrays[f"{name}/eigenvalues"] = E.eigenvalues.cpu().numpy()
        spectra[name] = {"trace": J.trace(), "asymmetry": J.asymmetry()}
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {"gap": estimate_as_json(gap), "shuffled_over_linear": estimate_as_json(own), "spectra": spectra}


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    return {"sigmas": SIGMAS, **found["both"].numbers}, found["both"].arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    sigma, gap = results["settings"]["sigma"], results["gap"]
    at = int(np.argmin(np.abs(np.array(results["sigmas"]) - sigma)))
    here = {name: gap[name][at] for name in ("value", "low", "high")}
    beyond = results["shuffled_over_linear"]["value"][at]
    spectra = results["spectra"]
    return [
        Claim(
            "On shuffled images the same network is far worse, although the optimum is the same.",
            f"{interval(here)} dB lower at sigma = {sigma:g}",
            "far below, with a much lower slope (figure 21; no number given)",
            f"Over all noise levels the loss runs from {min(gap['value']):.1f} to {max(gap['value']):.1f} dB. At sigma "
            f"= {sigma:g} the network on shuffled images stands {beyond:+.2f} dB against the best linear denoiser; the "
            f"effective dimensions tr J at one image are {spectra['plain']['trace']:.1f} and "
            f"{spectra['shuffled']['trace']:.1f}.",
        )
    ]
