"""Memorisation turns into generalisation as the training set grows (Kadkhodaie et al. 2024, figures 1, 2 and 9 to 14).

Two networks are trained on disjoint halves of N images each, for N = 1, 10, ..., 10^5. A network that memorises denoises
its own images better than others, and draws copies of them; its twin draws others. Networks that have learned the
distribution agree:

    PSNR_A(A) - PSNR_B(A) -> 0,      E ||f_A(y) - f_B(y)||^2 / risk -> 0,      cos(sample_A, sample_B) -> 1 .

The optimal denoiser of one image returns it, but a homogeneous network can only project on the ray through it: its best risk is
sigma^2, a PSNR slope of 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch

from gahb_theory import stored_results
from gahb_theory.denoisers import EmpiricalRays, UNet
from gahb_theory.generalization import copies, function_distance, memoriser_distance, paired_similarity, psnr_gap
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result, in_one
from gahb_theory.hypotheses.paper.claims import (
    NOISE_SEED,
    PAPER_RECIPE,
    SIGMAS,
    Claim,
    estimate_as_json,
    interval,
    slope_as_json,
)
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.identity import fingerprint
from gahb_theory.images import Photographs
from gahb_theory.metrics import psnr_curve
from gahb_theory.metrics.intervals import mean_estimate
from gahb_theory.sampling import generate
from gahb_theory.theory import fit_slope
from gahb_theory.training import Recipe

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "memorisation"
TITLE = "Memorisation turns into generalisation"
HALVES: tuple[Literal["A", "B"], ...] = ("A", "B")
SHOWN = 4
"""Pairs of samples in the picture."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    of: Photographs = field(default_factory=lambda: Photographs(size=32))
    counts: tuple[int, ...] = (1, 10, 100, 1000, 10_000, 100_000)
    channels: int = 16
    blocks: int = 3
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000))
    test_images: int = 128
    samples: int = 48
    step: float = 0.05
    """h of the sampler; the paper has 0.01."""


SCALES = {
    "smoke": Settings(
        of=Photographs(size=16),
        counts=(1, 64),
        channels=4,
        blocks=1,
        recipe=Recipe(images_seen=1024),
        test_images=16,
        samples=4,
        step=0.5,
    ),
    "laptop": Settings(),
    "paper": Settings(
        of=Photographs(size=80),
        counts=(1, 10, 100, 1000, 10_000, 99_325),
        channels=64,
        recipe=PAPER_RECIPE,
        test_images=512,
        samples=1000,
        step=0.01,
    ),
}


def trainings(s: Settings) -> list[Training]:
    """Two networks for each N."""
    return [training(s, n, half) for n in s.counts for half in HALVES]


def training(s: Settings, n: int, half: str) -> Training:
    """One network."""
    data = DisjointPart(s.of, n, HALVES.index(half))
    return Training(partial(UNet, s.channels, s.blocks), data, s.recipe, name=network_name(n, half))


def tasks(s: Settings) -> list[Task]:
    """One for each N."""
    return [
        Task(measure_pair, {"settings": s, "n": n}, {half: training(s, n, half) for half in HALVES}, str(n))
        for n in s.counts
    ]


def network_name(n: int, half: str) -> str:
    """The name of the network trained on n images of a half."""
    return f"photographs_{n}_{half}"


def measure_pair(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """All measures of the two networks of one N."""
    s: Settings = place["settings"]
    n, device = place["n"], bench.device
    f = [bench.load(half) for half in HALVES]
    sets = [DisjointPart(s.of, n, part) for part in range(3)]
    own = [images.images().to(device) for images in sets[:2]]
    test = replace(sets[2], n=s.test_images).images().to(device)
    repeated = own[0][torch.arange(max(2, s.test_images)) % len(own[0])]
    gap = psnr_gap(f[0], repeated, test, SIGMAS, seed=NOISE_SEED)
    twin = psnr_curve(f[1], repeated, SIGMAS, seed=NOISE_SEED)  # has not seen these images; the noise is the same
    seen = gap.train.psnr_per_image - twin.psnr_per_image
    low, high = 0.02, 0.5
    unit = fit_slope(SIGMAS, gap.train.mse_per_image, window=(low, high))
    distance = function_distance(f[0], f[1], test, SIGMAS, seed=NOISE_SEED)
    memoriser = EmpiricalRays(own[0][:10_000])
    from_memoriser = memoriser_distance(f[0], memoriser, test, SIGMAS, seed=NOISE_SEED)
    shape = (s.samples, *test.shape[1:])
    drawn = [generate(g, shape, seed=NOISE_SEED, step=s.step, max_steps=4000) for g in f]
    pairs = paired_similarity(drawn[0].images, drawn[1].images)
    copied = [copies(d.images, x) for d, x in zip(drawn, own, strict=True)]
    chance = copies(test[: s.samples], own[0])
    chosen = torch.arange(SHOWN) % s.samples
    closest = [x[c.indices[chosen.numpy()]] for c, x in zip(copied, own, strict=True)]
    rows = torch.stack([closest[0], drawn[0].images[chosen], drawn[1].images[chosen], closest[1]])
    arrays = {"train": gap.train.psnr, "test": gap.test.psnr, "grid": rows, "pairs": pairs.pairs}
    arrays["closest"] = np.concatenate([c.similarity for c in copied])
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {
        "n": n,
        "hashes": [fingerprint(x) for x in own],
        "gap": estimate_as_json(gap.gap),
        "mean_gap": estimate_as_json(gap.mean_gap),
        "seen": estimate_as_json(mean_estimate(seen)),
        "mean_seen": estimate_as_json(mean_estimate(seen.mean(axis=0))),
        "train_slope": slope_as_json(unit),
        "distance_ratio": estimate_as_json(distance.ratio),
        "memoriser_ratio": estimate_as_json(from_memoriser.ratio),
        "pairs": estimate_as_json(pairs.mean),
        "pairs_null": estimate_as_json(pairs.null_mean),
        "copies": estimate_as_json(copied[0].share),
        "closest": estimate_as_json(copied[0].mean),
        "copies_of_chance": estimate_as_json(chance.share),
        "status": [str(d) for d in drawn],
    }


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    rows, arrays = in_one(found)
    return {"sigmas": SIGMAS, "rows": list(rows.values())}, arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    rows = results["rows"]
    one, most = rows[0], rows[-1]
    n, sigmas = most["n"], np.array(results["sigmas"])
    unit = one["train_slope"]
    gaps = [row["mean_seen"]["value"] for row in rows]
    ratios = np.array([row["distance_ratio"]["value"] for row in rows])
    middle = int(np.argmin(np.abs(sigmas - 0.1)))
    far = [row["memoriser_ratio"]["value"][middle] for row in rows]
    return [
        Claim(
            "A network trained on one image denoises it with a PSNR slope of 1.",
            f"slope {interval(unit)} over sigma in [{unit['window'][0]:g}, {unit['window'][1]:g}]",
            "slope 1 (figure 1)",
            "A homogeneous network can at best project on the ray through the image, whose risk is sigma^2.",
        ),
        Claim(
            "With N the gap between images that were seen and images that were not closes.",
            f"mean gap {gaps[0]:.1f} dB at N = {one['n']}, {interval(most['mean_seen'])} dB at N = {n:,}",
            "train and test PSNR coincide at N = 10^5 (figure 1)",
            "PSNR of network A less that of network B on the images of A, for N = "
            + ", ".join(f"{row['n']:,}: {g:.2f}" for row, g in zip(rows, gaps, strict=True))
            + ". The gap to the images of other photographs, which may be harder, does not close: "
            + f"{interval(most['mean_gap'])} dB at N = {n:,}.",
        ),
        Claim(
            "Networks trained on disjoint sets become the same function.",
            f"E||f_A - f_B||^2 / risk at sigma = 0.1: {ratios[0, middle]:.2f} at N = {one['n']}, "
            f"{ratios[-1, middle]:.3f} at N = {n:,}",
            "not measured as a function",
            f"Over all noise levels the ratio at N = {n:,} runs from {ratios[-1].min():.3f} to {ratios[-1].max():.3f}; "
            "2 would be all of the risk.",
        ),
        Claim(
            "They draw nearly the same samples from the same noise.",
            f"mean cosine of pairs {interval(most['pairs'])} at N = {n:,}, of no pairs {interval(most['pairs_null'])}",
            "nearly identical samples at N = 10^5 (figure 2)",
            "Means for N = "
            + ", ".join(f"{row['n']:,}: {row['pairs']['value']:.2f}" for row in rows)
            + " (means removed).",
        ),
        Claim(
            "Small training sets are copied, large ones are not.",
            f"share of copies {one['copies']['value']:.2f} at N = {one['n']}, {interval(most['copies'])} at N = {n:,}",
            "copies for N up to 100, none at 10^5 (figure 2)",
            "Shares for N = "
            + ", ".join(f"{row['n']:,}: {row['copies']['value']:.2f}" for row in rows)
            + f". Unseen images would count as copies with a share of {most['copies_of_chance']['value']:.2f}.",
        ),
        Claim(
            "A memorising network is the optimal denoiser of its training images at all intensities.",
            f"E||f - f_N||^2 / risk of f_N on unseen images at sigma = 0.1: {far[0]:.3f} at N = {one['n']}",
            "implied by its section 2",
            "For N = "
            + ", ".join(f"{row['n']:,}: {v:.2f}" for row, v in zip(rows, far, strict=True))
            + ": the distance grows when the network stops memorising (memoriser of at most 10,000 images).",
        ),
    ]
