"""Capacity and resolution against what a training set gives away (Kadkhodaie et al. 2024, figure 15 and table 1).

The paper asks how many images a network needs before it does as well on images that it has not seen, at four resolutions, with
networks whose depth grows with the image. Here the images are the same C^alpha scenes at every resolution, so that a training
set holds the same contours and backgrounds, and every width is trained at every resolution. Of each network

    gap     PSNR on its training images less that on fresh ones, mean over noise levels, with independent noise
    above   10 log10 of its risk on fresh images over the upper end of the Bayes interval, where the resolution has one

stand beside the same of a Wiener filter of its training images. What remains of `above` without a gap is what the network does
not learn; what comes with the gap is what it learns of its images alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import numpy as np
import torch

from gahb_theory import stored_results
from gahb_theory.denoisers import GaussianDenoiser, UNet
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result, in_one
from gahb_theory.hypotheses.paper.claims import NOISE_SEED, PAPER_RECIPE, Claim
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.images import CAlpha
from gahb_theory.metrics import psnr_curve
from gahb_theory.theory.optimum import BayesRisk, bayes_risk
from gahb_theory.training import Recipe

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "resolution"
TITLE = "Capacity and resolution"
SIGMAS = (0.03, 0.05, 0.1, 0.2, 0.3)
BAYES_SIGMAS, BAYES_IMAGES = (0.1, 0.3), 32
TRAINING, TEST = 1, 2
"""Parts of the class; the images of the Bayes intervals are the first of part 0."""


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    alpha: float = 2.0
    networks: tuple[tuple[int, int, int], ...] = tuple((size, c, 2) for size in (8, 16, 32) for c in (4, 8, 16))
    """Pixels, channels and blocks."""
    counts: tuple[int, ...] = (100,)
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=32_000, sigma_max=3.0, seed=1))
    test_images: int = 128
    bayes_up_to: int = 32
    """Pixels of the largest images whose Bayes interval is computed."""


SCALES = {
    "smoke": Settings(networks=((8, 4, 1), (16, 4, 1)), recipe=Recipe(images_seen=512), test_images=8, bayes_up_to=4),
    "laptop": Settings(),
    "paper": Settings(
        networks=((80, 64, 3), (20, 64, 1), (40, 64, 2), (160, 64, 4)),
        counts=(1, 10, 100, 1000, 10_000, 100_000),
        recipe=PAPER_RECIPE,
        test_images=512,
    ),
}


def network_name(size: int, channels: int, n: int) -> str:
    """What a network is called."""
    return f"resolution_{size}_{channels}_{n}"


def trainings(s: Settings) -> list[Training]:
    """One network for each resolution, width and number of images."""
    found = []
    for n in s.counts:
        for size, channels, blocks in s.networks:
            data = DisjointPart(CAlpha(alpha=s.alpha, size=size), n, TRAINING)
            build = partial(UNet, channels, blocks, seed=s.recipe.seed)
            found.append(Training(build, data, s.recipe, name=network_name(size, channels, n)))
    return found


def tasks(s: Settings) -> list[Task]:
    """One for each network."""
    few = replace(s, networks=(), counts=())
    return [Task(measure_network, {"settings": few, "data": t.data}, {"network": t}, t.name) for t in trainings(s)]


def measure_network(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Gap and distance from the optimum, of the network and of a Wiener filter of its images."""
    s: Settings = place["settings"]
    data: DisjointPart = place["data"]
    size, device = data.of.size, bench.device
    train = data.images()
    seen = train[: s.test_images].to(device)
    fresh = DisjointPart(data.of, s.test_images, TEST).images().to(device)
    f = bench.load("network")
    arrays, numbers = {}, {}
    for name, g in (("network", f), ("wiener", GaussianDenoiser.fit(train).to(device))):
        for kind, x in (("seen", seen), ("fresh", fresh)):
            arrays[f"{name}/{kind}"] = psnr_curve(g, x, SIGMAS, seed=NOISE_SEED).psnr_per_image
        gap = arrays[f"{name}/seen"].mean() - arrays[f"{name}/fresh"].mean()
        spread = sum(
            a.mean(axis=0).var(ddof=1) / a.shape[1] for a in (arrays[f"{name}/{k}"] for k in ("seen", "fresh"))
        )
        above = _above(g, data.of) if size <= s.bayes_up_to else []
        numbers[name] = {"gap": float(gap), "error": float(spread**0.5), "above": above}
    stored_results.write_arrays(bench.directory / ARRAYS, {k: v.mean(axis=1) for k, v in arrays.items()})
    parameters = sum(p.numel() for p in f.parameters())
    return {"size": size, "n": data.n, "channels": f.channels, "blocks": f.blocks, "parameters": parameters} | numbers


def _above(f: Any, X: CAlpha) -> list[float]:
    """Decibels above the upper end of the Bayes interval at each level, on its noisy images."""
    found = []
    for sigma in BAYES_SIGMAS:
        best = _bayes(X, sigma)
        with torch.no_grad():
            risk = best.score(lambda y, s: f(y.to(next(iter(f.state_dict().values())).device), s).cpu())
        found.append(float(10 * np.log10(float(risk.mean()) / float(best.upper.value))))
    return found


@cache
def _bayes(X: CAlpha, sigma: float) -> BayesRisk:
    """The Bayes interval, computed once for all networks of a resolution."""
    return bayes_risk(X, sigma, BAYES_IMAGES, seed=0)


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Numbers and arrays."""
    rows, arrays = in_one(found)
    return {"sigmas": SIGMAS, "bayes_sigmas": BAYES_SIGMAS, "rows": list(rows.values())}, arrays


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say of the paper's claims."""
    rows = results["rows"]
    seen = results["settings"]["recipe"]["images_seen"]
    found = [
        Claim(
            "At the same number of training images, the gap between seen and unseen images grows with the resolution.",
            _by_size(rows, lambda r: f"{r['network']['gap']:+.2f} +- {2 * r['network']['error']:.2f}"),
            "larger images need more training images, and less so from 80 to 160 pixels than from 40 to 80 (figure 15)",
            f"After {seen:,} images seen at every resolution, on which the gap depends; twice the standard error over images, "
            "one network each. Of Wiener filters of the same images: "
            + _by_size(rows, lambda r: f"{r['wiener']['gap']:+.2f}", widths=False),
        )
    ]
    if all(row["network"]["above"] for row in rows):
        levels = " and ".join(f"{v:g}" for v in results["bayes_sigmas"])
        found.append(
            Claim(
                "Distance from the optimum on fresh images, by resolution and width.",
                _by_size(rows, lambda r: ", ".join(f"{v:.1f}" for v in r["network"]["above"])),
                "not in the paper",
                f"dB above the Bayes interval at sigma = {levels}. Of Wiener filters of the same images: "
                + _by_size(rows, lambda r: ", ".join(f"{v:.1f}" for v in r["wiener"]["above"]), widths=False),
            )
        )
    return found


def _by_size(rows: list[dict[str, Any]], shown: Any, *, widths: bool = True) -> str:
    """A number for each resolution, N, and width where the number depends on it."""
    parts: dict[str, list[str]] = {}
    for row in sorted(rows, key=lambda r: (r["size"], r["n"], r["channels"])):
        place = f"{row['size']} pixels, N = {row['n']:,}"
        if widths:
            parts.setdefault(place, []).append(f"{row['channels']} channels {shown(row)}")
        else:
            parts[place] = [shown(row)]
    return "; ".join(f"{place}: {', '.join(values)}" for place, values in parts.items()) + "."
