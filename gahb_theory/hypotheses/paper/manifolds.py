"""On manifolds a network keeps more directions than it should (Kadkhodaie et al. 2024, figures 5, 19 and 20).

For noise well below the radius of curvature of a manifold of dimension k, the optimal denoiser projects on the tangent space
at the image: k eigenvalues are 1 and all others 0, its risk is k sigma^2, its PSNR that of the input plus 10 log10(d / k).
Networks are trained on three manifolds,

    disks        k = 5    centre, radius, two intensities; the exact posterior mean is known too (`gahb_theory.DiskBayes`)
    ray          k = 1    one image at all intensities
    sine cone    k = 2    waves of one frequency at all phases and amplitudes

and the eigenvectors of their Jacobians are compared with the tangent space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from gahb_theory import stored_results
from gahb_theory.comparison.measures import principal_angles
from gahb_theory.denoisers import DiskBayes, UNet
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
from gahb_theory.images import CAlpha, Disks, Ray, SineCone
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics import psnr_curve
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.randomness import add_noise
from gahb_theory.theory import fit_slope
from gahb_theory.training import Recipe

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "manifolds"
TITLE = "On manifolds the network is not optimal"
KEPT = 30
"""Eigenvalues that are kept."""
MIDDLE = (0.2, 0.8)
"""Eigenvalues between these are neither kept nor removed."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    size: int = 32
    channels: int = 16
    blocks: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000))
    test_images: int = 64
    spectra: int = 12
    """Images at which a Jacobian is taken."""
    sigma: float = 0.04
    exact_images: int = 24
    """Disks at which the posterior mean is computed."""
    exact_samples: int = 1024

    @property
    def image_classes(self) -> dict[str, Any]:
        """The manifolds by name."""
        return {
            "disks": Disks(self.size),
            "ray": Ray(CAlpha(alpha=2.0, size=self.size).sample(1, seed=TEST_SEED)),
            "sine_cone": SineCone(self.size),
        }


SCALES = {
    "smoke": Settings(
        size=16, channels=4, blocks=1, recipe=Recipe(images_seen=1024), test_images=8, spectra=2, exact_images=2,
        exact_samples=64,
    ),
    "laptop": Settings(),
    "paper": Settings(
        size=80, channels=64, recipe=PAPER_RECIPE, test_images=512,
        spectra=64, exact_images=512, exact_samples=4096,
    ),
}  # fmt: skip


def trainings(s: Settings) -> list[Training]:
    """One network for each manifold."""
    return [
        Training(partial(UNet, s.channels, s.blocks), x, s.recipe, name=name) for name, x in s.image_classes.items()
    ]


def tasks(s: Settings) -> list[Task]:
    """One for each network."""
    return [
        Task(measure_manifold, {"settings": s, "name": job.name}, {"network": job}, job.name) for job in trainings(s)
    ]


def measure_manifold(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Spectra, angles and risks of one network."""
    s: Settings = place["settings"]
    name, device = place["name"], bench.device
    image_class, k = s.image_classes[name], s.image_classes[name].dimension
    f = bench.load("network")
    x = image_class.sample(s.test_images, seed=TEST_SEED).to(device)
    curve = psnr_curve(f, x, SIGMAS, seed=NOISE_SEED)
    d = x[0].numel()
    small = (0.01, 0.1)
    fit = fit_slope(SIGMAS, curve.mse_per_image, window=small)
    scene = image_class.scene(s.spectra, seed=TEST_SEED)
    eigenvalues, angles, middle, traces = [], [], [], []
    atoms = tangent = None
    for i in range(s.spectra):
        clean = scene.images[i : i + 1].to(device)
        J = jacobian(f, add_noise(clean, s.sigma, seed=NOISE_SEED, start=i), s.sigma)
        E = J.eigenbasis()
        spectrum = E.eigenvalues.cpu()
        first = E.atom_images(list(range(k))).flatten(1).cpu()
        eigenvalues.append(spectrum[:KEPT].numpy())
        traces.append(float(spectrum.sum()))
        angles.append(float(principal_angles(first, scene.tangent[i]).rad2deg().mean()))
        middle.append(int(((spectrum > MIDDLE[0]) & (spectrum < MIDDLE[1])).sum()))
        if i == 0:
            atoms, tangent = E.atom_images(list(range(10))).cpu().numpy(), scene.tangent[0].reshape(k, *clean.shape[1:])
    arrays = {"psnr": curve.psnr, "eigenvalues": np.stack(eigenvalues), "clean": scene.images[0].numpy()}
    arrays |= {"atoms": np.asarray(atoms), "tangent": np.asarray(tangent)}
    result = {
        "k": k,
        "dimension": d,
        "slope": slope_as_json(fit),
        "excess": estimate_as_json(mean_estimate(curve.mse_per_image / (k * np.array(SIGMAS)[:, None] ** 2))),
        "eigenvalues": np.stack(eigenvalues).mean(axis=0).round(4).tolist(),
        "angle": estimate_as_json(mean_estimate(np.array(angles))),
        "middle": estimate_as_json(mean_estimate(np.array(middle, dtype=float))),
        "trace": estimate_as_json(mean_estimate(np.array(traces))),
    }
    if name == "disks":
        exact = DiskBayes(image_class, samples=s.exact_samples)
        best = psnr_curve(exact, x[: s.exact_images], SIGMAS, seed=NOISE_SEED)
        arrays["exact_psnr"] = best.psnr
        result["exact_excess"] = estimate_as_json(
            mean_estimate(best.mse_per_image / (k * np.array(SIGMAS)[:, None] ** 2))
        )
        posterior = exact.jacobian_matrix(add_noise(scene.images[:1], s.sigma, seed=NOISE_SEED), s.sigma)
        result["exact_eigenvalues"] = torch.linalg.eigvalsh(posterior.double()).flip(0)[:KEPT].numpy().round(4).tolist()
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return result


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    rows, arrays = in_one(found)
    return {"sigmas": SIGMAS, "manifolds": rows}, arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    sigmas, rows = np.array(results["sigmas"]), results["manifolds"]
    sigma = results["settings"]["sigma"]
    disks = rows["disks"]
    at = int(np.argmin(np.abs(sigmas - 0.05)))
    excess = {name: row["excess"]["value"] for name, row in rows.items()}
    found = [
        Claim(
            "The leading eigenvectors span the tangent space of the disks.",
            f"mean principal angle of the first five {interval(disks['angle'], 1)} degrees at sigma = {sigma:g}",
            "nearly the tangent space (figure 5)",
            "First eigenvalues (mean over images): "
            + ", ".join(f"{v:.2f}" for v in disks["eigenvalues"][:10])
            + "; of the exact posterior at one: "
            + ", ".join(f"{v:.2f}" for v in disks["exact_eigenvalues"][:10])
            + ".",
        ),
        Claim(
            "Beyond the tangent space the network keeps directions that it should remove.",
            f"{interval(disks['middle'], 1)} eigenvalues in ({MIDDLE[0]}, {MIDDLE[1]}), trace "
            f"{disks['trace']['value']:.1f}",
            "at least five more, from .67 to .28 (figure 5)",
            "The exact posterior mean has "
            + str(sum(MIDDLE[0] < v < MIDDLE[1] for v in disks["exact_eigenvalues"]))
            + f" there and a trace of {sum(disks['exact_eigenvalues']):.1f}, at one image.",
        ),
        Claim(
            "The PSNR slope on disks is below that of the optimum, 1.",
            f"slope {interval(disks['slope'])} over sigma in [{disks['slope']['window'][0]:g}, "
            f"{disks['slope']['window'][1]:g}]",
            "below 1 at small noise (figure 5)",
            f"At sigma = {sigmas[at]:g} the risk is {excess['disks'][at]:.1f} times 5 sigma^2; that of the exact "
            f"posterior mean {disks['exact_excess']['value'][at]:.2f} times.",
        ),
    ]
    for name, figure in (("ray", 19), ("sine_cone", 20)):
        row = rows[name]
        found.append(
            Claim(
                f"So it is on the {name.replace('_', ' ')}, of dimension {row['k']}.",
                f"at sigma = {sigmas[at]:g} the risk is {excess[name][at]:.2f} times {row['k']} sigma^2; slope "
                f"{interval(row['slope'])}; mean angle {interval(row['angle'], 1)} degrees",
                f"unit slope, but extra eigenvectors and an intercept below the optimum (figure {figure})",
                "First eigenvalues: "
                + ", ".join(f"{v:.2f}" for v in row["eigenvalues"][:8])
                + f"; trace {row['trace']['value']:.2f}.",
            )
        )
    return found
