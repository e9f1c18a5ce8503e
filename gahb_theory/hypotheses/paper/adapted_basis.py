"""A denoiser is a shrinkage in a basis adapted to the image (Kadkhodaie et al. 2024, figure 3).

At a noisy image the Jacobian of a trained network has eigenvectors that oscillate along contours and in regular regions,
and eigenvalues that fall from 1 to 0 where the coefficients of the clean image fall below the noise. Its basis represents the
image with fewer terms than fixed bases. Measured on the denoisers that come with the library; the two published networks
have a page of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.bases import Basis, Pixels
from gahb_theory.comparison import ImageAnalysis, analyse_image, basis_label, reference_bases
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result, in_one
from gahb_theory.hypotheses.paper.claims import NOISE_SEED, TEST_SEED, Claim, estimate_as_json, interval
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.pretrained import Shipped, shipped_class, shipped_denoiser
from gahb_theory.theory import approximation_error, decay_exponent

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "shrinkage"
TITLE = "Shrinkage in a basis adapted to the image"
NAMES: tuple[Shipped, ...] = ("c_alpha", "photographs")
PLAIN: dict[str, Shipped] = {"c_alpha": "unet_c_alpha", "photographs": "blind_photographs"}
"""Networks whose Jacobians are not symmetric by construction, so that the claim can fail."""
KEPT = 60
"""Terms after which the bases are compared."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    images: int = 8
    sigma: float = 0.15
    bases_from: int = 1024
    """Images behind the principal components."""
    crop: int = 64


SCALES = {
    "smoke": Settings(images=2, bases_from=64, crop=16),
    "laptop": Settings(),
    "paper": Settings(images=64, bases_from=10_000),
}


def trainings(s: Settings) -> list[Training]:
    """None: the networks come with the library."""
    return []


def tasks(s: Settings) -> list[Task]:
    """One for each network."""
    return [
        Task(measure_network, {"settings": s, "name": n}, {"network": shipped_denoiser(PLAIN[n])}, n) for n in NAMES
    ]


def measure_network(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Compute the Jacobian of one network at some images."""
    s: Settings = place["settings"]
    name, c = place["name"], slice(0, s.crop)
    f = bench.load("network")
    x = shipped_class(name, split="test").sample(s.images, seed=TEST_SEED)[:, :, c, c].to(bench.device)
    samples = shipped_class(name).sample(s.bases_from, seed=TEST_SEED)[:, :, c, c]
    bases = reference_bases(samples.to(bench.device))
    analyses = [analyse_image(f, x[i : i + 1], s.sigma, bases, seed=NOISE_SEED + i) for i in range(s.images)]
    d = x[0].numel()
    terms = min(KEPT, d - 1)
    oracle = {basis_label(key): np.array([a.oracle_psnr[key] for a in analyses]) for key in ("eigenbasis", *bases)}
    coefficients = torch.from_numpy(np.stack([a.coefficients for a in analyses])).reshape(x.shape)
    decay = decay_exponent(Pixels(), coefficients, window=(4, d // 8))  # they are sorted there
    curves = [_left_out(a, x[i : i + 1], bases) for i, a in enumerate(analyses)]
    first = analyses[0]
    kept = {
        key: getattr(first, key)
        for key in ("clean", "noisy", "denoised", "eigenvalues", "coefficients", "atom_indices")
    }
    stored_results.write_arrays(
        bench.directory / ARRAYS,
        stored_results.to_arrays(kept | {"atoms": first.eigenvectors, "errors": curves[0]}, "reading"),
    )

    def mean(key: str) -> dict[str, Any]:
        return estimate_as_json(mean_estimate(np.array([getattr(a, key) for a in analyses])))

    return {
        "dimension": d,
        "terms": terms,
        "left_out": {
            key: estimate_as_json(mean_estimate(np.array([c[key][terms] for c in curves]))) for key in curves[0]
        },
        "oracle_psnr": {key: estimate_as_json(mean_estimate(value)) for key, value in oracle.items()},
        "gain": {
            key: estimate_as_json(mean_estimate(oracle["eigenbasis"] - value))
            for key, value in oracle.items()
            if key != "eigenbasis"
        },
        "exponent": {"value": decay.exponent, "low": decay.low, "high": decay.high},
        "trace": mean("effective_dimension"),
        "largest": mean("largest_eigenvalue"),
        "smallest": mean("smallest_eigenvalue"),
        "asymmetry": mean("asymmetry"),
        "homogeneity": mean("homogeneity_error"),
        "psnr": mean("psnr_denoised"),
        "psnr_shrinkage": mean("psnr_shrinkage"),
    }


def _left_out(a: ImageAnalysis, x: Tensor, bases: Mapping[str, Basis]) -> dict[str, np.ndarray]:
    """||x - x_M||^2 / ||x||^2 of the image with its mean, M = 0 .. d - 1, in the eigenbasis and in each basis."""
    d, energy = x.numel(), float(x.double().square().sum())
    coefficients = torch.from_numpy(a.coefficients).reshape(x.shape).double()
    curves = {"eigenvectors, best M": approximation_error(Pixels(), coefficients, range(d))[0] / energy}
    curves["eigenvectors, first M"] = coefficients.flatten().square().flip(0).cumsum(0).flip(0) / energy
    wide = x.double()
    curves |= {basis_label(name): approximation_error(b, wide, range(d))[0] / energy for name, b in bases.items()}
    return {name: curve.cpu().numpy() for name, curve in curves.items()}


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    rows, arrays = in_one(found)
    return {"networks": rows}, arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    found = []
    for name, row in results["networks"].items():
        title = {"c_alpha": "C^alpha images", "photographs": "blind_photographs"}[name]
        left = row["left_out"]
        fixed = [key for key in left if not key.startswith("eigenvectors")]
        best = min(fixed, key=lambda key, left=left: left[key]["value"])
        gain = min(row["gain"].values(), key=lambda e: e["value"])
        eigen = left["eigenvectors, best M"]
        found += [
            Claim(
                f"The eigenbasis represents {title} with fewer terms than fixed bases.",
                f"{row['terms']} terms leave out {100 * eigen['value']:.2f} % of the energy; the best fixed basis, "
                f"{best}, {100 * left[best]['value']:.2f} %",
                "sparse in the eigenbasis (figure 3)",
                f"An oracle attenuation gains at least {interval(gain)} dB in the eigenbasis over fixed bases; the "
                f"decay exponent of the coefficients is {interval(row['exponent'])}. The eigenbasis has seen the noisy "
                "image, the others have not.",
            ),
            Claim(
                f"On {title} the denoiser is a symmetric shrinkage, with eigenvalues from 1 to 0.",
                f"||J - J'|| / ||J|| = {interval(row['asymmetry'])}; eigenvalues from {row['smallest']['value']:.2f} "
                f"to {row['largest']['value']:.2f}; ||J y - f(y)|| / ||f(y)|| = {row['homogeneity']['value']:.1e}",
                "approximately symmetric; largest eigenvalue 1.24 (figure 3)",
                "That J y = f(y) is exact to rounding; the symmetry is not small print: eigenvectors are those of the "
                "symmetric part.",
            ),
        ]
    return found
