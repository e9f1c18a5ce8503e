"""Near-optimal on C^alpha images (Kadkhodaie et al. 2024, figures 4 and 16 to 18).

Images that are C^alpha but for C^alpha contours have an optimal PSNR slope alpha / (alpha + 1), which the best bandlet basis of
an oracle attains and no wavelet basis does for alpha > 1. Networks are trained for several alpha in two conventions: "holder",
whose images have just this regularity, and "paper", the published generator, whose contours have regularity alpha - 1/2 and
backgrounds alpha - 1, so that (alpha - 1) / alpha competes with the nominal slope. Each is set beside

    oracles       attenuation c^2 / (c^2 + sigma^2) in sym4 wavelets, and in the bandlet basis adapted to the clean image
    thresholding  at 3 sigma in sym4 wavelets, and in the bandlet basis adapted to the noisy image
    given contour the best linear denoiser of somebody who knows the contour, from the exact covariance ("holder" only);
                  the means of the regions are not Gaussian, so that it is no bound

and the eigenbasis of its Jacobian beside bandlets and beside the eigenvectors of that covariance.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from gahb_theory import stored_results
from gahb_theory.bases import Bandlet, Basis, Wavelet
from gahb_theory.comparison import Comparison, compare
from gahb_theory.denoisers import GaussianDenoiser, UNet
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result, in_one
from gahb_theory.hypotheses.paper.claims import (
    NOISE_SEED,
    PAPER_RECIPE,
    SIGMAS,
    TEST_SEED,
    Claim,
    estimate_as_json,
    interval,
    slope_as_json,
)
from gahb_theory.images import CAlpha
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics import psnr_curve
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.randomness import add_noise
from gahb_theory.theory import effective_terms, fit_slope_in_window, oracle_risks
from gahb_theory.training import Recipe

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "near_optimal"
TITLE = "Near-optimal on geometrically regular images"
CONVENTIONS: tuple[Literal["holder", "paper"], ...] = ("holder", "paper")
PAPER_SLOPES = {1.0: 0.46, 2.0: 0.61, 3.0: 0.75, 5.0: 0.83}
ATOMS = 16
"""Eigenvectors that are kept."""
COMPARED_FROM = 0.03
"""The smallest noise level at which the network is compared with the oracles."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    alphas: tuple[float, ...] = (1.0, 2.0, 3.0)
    size: int = 48
    channels: int = 16
    blocks: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=24_000))
    test_images: int = 64
    contour_images: int = 6
    """Images for the risk given the contour, each an eigenvalue problem of size^2."""
    sigma: float = 0.1
    """Noise level of the Jacobian."""

    def image_class(self, alpha: float, convention: Literal["holder", "paper"]) -> CAlpha:
        """The images."""
        return CAlpha(alpha=alpha, size=self.size, convention=convention)


SCALES = {
    "smoke": Settings(
        alphas=(2.0,),
        size=16,
        channels=4,
        blocks=1,
        recipe=Recipe(images_seen=1024),
        test_images=8,
        contour_images=2,
    ),
    "laptop": Settings(),
    "paper": Settings(
        alphas=(1.0, 2.0, 3.0, 4.0, 5.0),
        size=80,
        channels=64,
        recipe=PAPER_RECIPE,
        test_images=512,
        contour_images=16,
    ),
}


def classes(s: Settings) -> dict[str, CAlpha]:
    """The image classes by name."""
    return {f"{c}_{alpha:g}_{s.size}": s.image_class(alpha, c) for alpha in s.alphas for c in CONVENTIONS}


def trainings(s: Settings) -> list[Training]:
    """One network for each alpha and convention."""
    return [Training(partial(UNet, s.channels, s.blocks), x, s.recipe, name=name) for name, x in classes(s).items()]


def tasks(s: Settings) -> list[Task]:
    """One for each network."""
    return [Task(measure_class, {"settings": s, "name": job.name}, {"network": job}, job.name) for job in trainings(s)]


def measure_class(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Curves, slopes and bases of one network."""
    s: Settings = place["settings"]
    device = bench.device
    image_class = classes(s)[place["name"]]
    f = bench.load("network")
    x = image_class.sample(s.test_images, seed=TEST_SEED)
    d = x[0].numel()
    wavelet, bandlet = Wavelet("sym4"), Bandlet()
    risks = {"network": psnr_curve(f, x.to(device), SIGMAS, seed=NOISE_SEED).mse_per_image}
    for name, basis in (("wavelet", wavelet), ("bandlet", bandlet)):
        found = [oracle_risks(basis, x, sigma, seed=NOISE_SEED) for sigma in SIGMAS]
        risks[f"{name} oracle"] = torch.stack([r.attenuation for r in found]).double().numpy()
        risks[f"{name} thresholding"] = torch.stack([r.empirical for r in found]).double().numpy()
    scene = image_class.scene(max(1, s.contour_images), seed=TEST_SEED)
    covariance = None if scene.covariance is None else scene.covariance.matrix()
    if covariance is not None:
        variances = torch.stack([torch.linalg.eigvalsh(c) for c in covariance.float()]).clamp(min=0).double()
        noise = torch.tensor(SIGMAS, dtype=torch.float64)[:, None, None] ** 2
        risks["given contour"] = (noise * variances / (variances + noise)).sum(dim=2).numpy()
    slopes: dict[str, Any] = {}
    for name, risk in risks.items():
        try:
            slopes[name] = slope_as_json(fit_slope_in_window(SIGMAS, risk, effective_terms(SIGMAS, risk), d))
        except ValueError as error:  # no window on so few pixels
            slopes[name] = {"refused": str(error)}
    psnr = {name: 10 * np.log10(d / risk) for name, risk in risks.items()}
    clean = x[:1]
    y = add_noise(clean, s.sigma, seed=NOISE_SEED)
    J = jacobian(f, y.to(device), s.sigma)
    E = J.eigenbasis()
    bases: dict[str, Basis] = {"bandlets": bandlet.at(clean, s.sigma), "wavelets": wavelet}
    arrays = {f"psnr.{name}": value.mean(axis=1) for name, value in psnr.items()}
    arrays |= {"clean": clean[0].numpy(), "atoms": E.atom_images(list(range(ATOMS))).cpu().numpy()}
    arrays["eigenvalues"] = E.eigenvalues[:ATOMS].cpu().numpy()
    if covariance is not None:
        knowing = GaussianDenoiser(torch.zeros_like(clean), covariance[0].float())
        bases["given contour"] = exact = jacobian(knowing, y, s.sigma).eigenbasis()
        arrays["given_contour_atoms"] = exact.atom_images(list(range(ATOMS))).numpy()
        arrays["given_contour_eigenvalues"] = exact.eigenvalues[:ATOMS].numpy()
    compared = {name: _numbers(compare(E, basis, clean.to(device), s.sigma)) for name, basis in bases.items()}
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {
        "alpha": image_class.alpha,
        "convention": image_class.convention,
        "slopes": slopes,
        "against": {
            name: estimate_as_json(mean_estimate(psnr["network"] - value))
            for name, value in psnr.items()
            if name not in ("network", "given contour")
        },
        "against_given_contour": None
        if covariance is None
        else estimate_as_json(mean_estimate(psnr["network"][:, : len(covariance)] - psnr["given contour"])),
        "compared": compared,
        "trace": J.trace(),
        "asymmetry": J.asymmetry(),
    }


def _numbers(c: Comparison) -> dict[str, Any]:
    """The figures of a comparison that the page shows."""
    at = c.index_of_rank
    return {
        "rank": c.rank,
        "overlap": float(c.overlap[at]),
        "overlap_of_chance": float(c.overlap_of_chance[at]),
        "weighted_overlap": c.weighted_overlap,
        "weighted_chance": c.weighted_overlap_of_chance,
        "oracle_psnr": [
            10 * float(np.log10(c.dimension / (side.oracle_mse or np.nan))) for side in (c.first, c.second)
        ],
    }


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    rows, arrays = in_one(found)
    return {"sigmas": SIGMAS, "classes": rows}, arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    sigmas, rows = np.array(results["sigmas"]), results["classes"]
    large = sigmas >= COMPARED_FROM
    holder = [row for row in rows.values() if row["convention"] == "holder"]
    published = [row for row in rows.values() if row["convention"] == "paper"]
    sizes = f"sigma >= {COMPARED_FROM:g}"
    against = {
        name: {row["alpha"]: np.array(row["against"][name]["value"])[large] for row in holder}
        for name in holder[0]["against"]
    }
    lowest = {name: min(v.min() for v in by_alpha.values()) for name, by_alpha in against.items()}
    found = [
        Claim(
            "Networks denoise C^alpha images better than wavelet thresholding.",
            f"at least {lowest['wavelet thresholding']:+.2f} dB for {sizes} (holder)",
            "implied: wavelets are not optimal for alpha > 1",
            _ranges(against["wavelet thresholding"]),
        ),
        Claim(
            "They are near the best bandlet basis, which an oracle adapts to the clean image.",
            f"at least {lowest['bandlet oracle']:+.2f} dB against the bandlet attenuation oracle for {sizes} (holder)",
            "near-optimal (section 3.2)",
            _ranges(against["bandlet oracle"]),
        ),
    ]
    for kind, group in (("holder", holder), ("paper", published)):
        for row in group:
            fit = row["slopes"]["network"]
            if "refused" in fit:
                continue
            alpha = row["alpha"]
            nominal, weaker = alpha / (alpha + 1), (alpha - 1) / alpha
            others = ", ".join(
                f"{name} {interval(v)}" for name, v in row["slopes"].items() if name != "network" and "refused" not in v
            )
            measured = (
                f"measured {PAPER_SLOPES[alpha]:.2f} at 80x80" if kind == "paper" and alpha in PAPER_SLOPES else ""
            )
            also = f", (alpha - 1) / alpha = {weaker:.2f}" if kind == "paper" else ""
            found.append(
                Claim(
                    f'The PSNR slope identifies alpha = {alpha:g} ("{kind}").',
                    f"slope {interval(fit)} over sigma in [{fit['window'][0]:g}, {fit['window'][1]:g}]",
                    f"alpha / (alpha + 1) = {nominal:.2f}{also}" + (f"; {measured}" if measured else ""),
                    f"In their own windows: {others}.",
                )
            )
    overlaps = {row["alpha"]: row["compared"] for row in holder}
    weighted = {
        a: {name: (c["weighted_overlap"], c["weighted_chance"]) for name, c in by.items()} for a, by in overlaps.items()
    }
    found.append(
        Claim(
            "The eigenvectors are harmonics along contours and inside regions, as bandlets are.",
            "; ".join(
                f"alpha = {a:g}: " + ", ".join(f"{name} {o:.2f} (chance {c:.2f})" for name, (o, c) in by.items())
                for a, by in weighted.items()
            ),
            "geometry-adaptive harmonic bases (figure 4)",
            f"Part of the shrinkage at sigma = {results['settings']['sigma']:g} inside the span of the atoms above the "
            "noise; oracle PSNR in the eigenbasis and in bandlets: "
            + "; ".join(
                f"alpha = {a:g}: {by['bandlets']['oracle_psnr'][0]:.2f} and {by['bandlets']['oracle_psnr'][1]:.2f} dB"
                for a, by in overlaps.items()
            )
            + ".",
        )
    )
    return found


def _ranges(by_alpha: Mapping[float, np.ndarray]) -> str:
    return "; ".join(f"alpha = {a:g}: {v.min():+.2f} to {v.max():+.2f} dB" for a, v in by_alpha.items()) + "."
