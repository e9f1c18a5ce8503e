"""Memorisation in the plane of training images N and images seen (Kadkhodaie et al. 2024, figures 1 and 2).

On two disjoint sets A and B of N images each, `repetitions` networks are trained, every one with weights, noise and order of
its own, and looked at after 1, 2, 5, 10, ... thousand images seen. At each point of the plane,

    train, test PSNR   on images that the network has been trained on by then, and on images of neither set
    gap                PSNR_A(seen by A) - PSNR_B(seen by A), and the same with A and B exchanged, halved: each image counts
                       twice, once seen and once not, so that easy images do not matter
    copies             share of samples closer than 0.95 to a training image, beside that of fresh images
    excess distance    (E||f_A - f_B||^2 - E||f_A - f_A'||^2) / risk: disjoint sets less same set, both with other seeds. Two
                       seeds differ whatever the data; only what disjoint sets add to it is memorisation
    cosine             of samples from the same noise, for disjoint sets, the same set, and two Wiener filters fitted on A and B

A network memorises where the gap exceeds 1 dB. Intervals are Student's over the repetitions; the two sets are fixed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.denoisers import GaussianDenoiser, UNet
from gahb_theory.generalization import copies
from gahb_theory.hypotheses.jobs import Bench, Task, Training
from gahb_theory.hypotheses.laboratory import ARRAYS, Result
from gahb_theory.hypotheses.paper.claims import Claim, interval
from gahb_theory.hypotheses.paper.plane_summary import exponent, mean_over_sigmas, student, times
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.images import CAlpha
from gahb_theory.images.stream import image_stream
from gahb_theory.metrics import psnr_curve
from gahb_theory.randomness import add_noise
from gahb_theory.sampling import generate
from gahb_theory.training import Recipe, geometric_snapshots

__all__ = ["NAME", "SCALES", "TITLE", "Settings", "claims", "collect", "tasks", "trainings"]

NAME = "memorisation_plane"
TITLE = "Memorisation in the plane of training images and images seen"
HALVES = ("A", "B")
NOISE_SEED = 78
COPY = 0.95


@dataclass(frozen=True)
class Settings:
    """Sizes of the experiment."""

    of: Any = field(default_factory=lambda: CAlpha(alpha=2.0, size=16))
    counts: tuple[int, ...] = (1, 10, 100, 1000, 10_000)
    repetitions: int = 3
    channels: int = 8
    blocks: int = 2
    recipe: Recipe = field(default_factory=lambda: Recipe(images_seen=128_000, batch_size=64))
    first_snapshot: int = 1000
    sigmas: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5)
    seen_images: int = 64
    test_images: int = 128
    samples: int = 32
    step: float = 0.05
    """h of the sampler; the paper has 0.01."""

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Numbers of images seen at which the networks are looked at."""
        return geometric_snapshots(self.recipe.images_seen, self.first_snapshot)

    def part(self, n: int, half: str) -> DisjointPart:
        """A training set."""
        return DisjointPart(self.of, n, HALVES.index(half))

    def run_recipe(self, n: int, half: str, repetition: int) -> Recipe:
        """The recipe with a seed that no other network has."""
        return replace(self.recipe, seed=6 * n + self.repetitions * HALVES.index(half) + repetition)


SMOKE = Settings(
    counts=(1, 64),
    repetitions=2,
    channels=4,
    blocks=1,
    recipe=Recipe(images_seen=256, batch_size=16),
    first_snapshot=64,
    seen_images=8,
    test_images=8,
    samples=4,
    step=0.5,
)
SCALES = {
    "smoke": SMOKE,
    "laptop": Settings(),
    "paper": Settings(
        of=CAlpha(alpha=2.0, size=80),
        counts=(1, 10, 100, 1000, 10_000, 100_000),
        channels=64,
        blocks=3,
        recipe=Recipe(images_seen=10_000_000, batch_size=512),
        first_snapshot=10_000,
        test_images=512,
        samples=128,
        step=0.01,
    ),
}


def network_name(n: int, half: str, repetition: int) -> str:
    """What a network is called."""
    return f"plane_{n}_{half}{repetition}"


def training(s: Settings, n: int, half: str, repetition: int) -> Training:
    """One network: the seed of its weights is that of its noise and order, and no other network has it."""
    recipe = s.run_recipe(n, half, repetition)
    build = partial(UNet, s.channels, s.blocks, seed=recipe.seed)
    return Training(build, s.part(n, half), recipe, s.snapshots, network_name(n, half, repetition))


def trainings(s: Settings) -> list[Training]:
    """All networks; the first repetition of the whole plane comes first."""
    return [training(s, n, half, r) for r, n, half in product(range(s.repetitions), s.counts, HALVES)]


def tasks(s: Settings) -> list[Task]:
    """One for each network, and one for the linear denoisers of each N."""
    found = [Task(measure_linear, {"settings": s, "n": n}, name=f"{n}_linear") for n in s.counts]
    for r, n, half in product(range(s.repetitions), s.counts, HALVES):
        place = {"settings": s, "n": n, "half": half, "repetition": r}
        name = network_name(n, half, r)
        found.append(Task(measure_network, place, {"f": training(s, n, half, r)}, name))
    return found


def seen_by(s: Settings, n: int, half: str, repetition: int) -> Tensor:
    """The first images that a network was trained on: all of them before its first snapshot."""
    draw = image_stream(s.part(n, half).images(), seed=s.run_recipe(n, half, repetition).seed)
    return draw(0, s.seen_images)


def measure_network(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """PSNR, copies, samples and outputs of one network at all of its snapshots."""
    s: Settings = place["settings"]
    n, half, r = place["n"], place["half"], place["repetition"]
    other = HALVES[1 - HALVES.index(half)]
    test = DisjointPart(s.of, s.test_images, 2).images().to(bench.device)
    own = s.part(n, half).images().to(bench.device)
    images = {"train": seen_by(s, n, half, r), "twin": seen_by(s, n, other, r), "test": test}
    rows, outputs, samples = [], [], []
    for count in s.snapshots:
        f = bench.load("f", count)
        curves = {name: psnr_curve(f, x.to(bench.device), s.sigmas, seed=NOISE_SEED) for name, x in images.items()}
        with torch.no_grad():
            outputs.append([f(add_noise(test, v, seed=NOISE_SEED), v).cpu().numpy() for v in s.sigmas])
        drawn = generate(f, (s.samples, *test.shape[1:]), seed=NOISE_SEED, step=s.step, max_steps=4000)
        samples.append(drawn.images.cpu().numpy())
        row = {f"psnr_{name}": curve.psnr.round(4).tolist() for name, curve in curves.items()}
        row |= {
            "images_seen": count,
            "copies": _copies(drawn.images, own),
            "converged": float(drawn.converged.float().mean()),
        }
        rows.append(row)
    arrays = {"outputs": np.array(outputs, dtype=np.float32), "samples": np.array(samples, dtype=np.float32)}
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {"rows": rows, "copies_of_chance": _copies(test, own)}


def _copies(images: Tensor, own: Tensor) -> float:
    usable = images[images.isfinite().flatten(1).all(dim=1)]
    return float(copies(usable, own, COPY).share.value) if len(usable) > 1 else 0.0


def measure_linear(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """The Wiener filters of both sets of one N, identity and constant mean: what has learned no more than two moments."""
    s: Settings = place["settings"]
    n = place["n"]
    test = DisjointPart(s.of, s.test_images, 2).images()
    filters = [GaussianDenoiser.fit(s.part(n, half).images()) for half in HALVES]
    outputs = [
        np.array([f(add_noise(test, v, seed=NOISE_SEED), v).numpy() for v in s.sigmas], dtype=np.float32)[None]
        for f in filters
    ]
    drawn = [
        generate(f, (s.samples, *test.shape[1:]), seed=NOISE_SEED, step=s.step, max_steps=4000).images.numpy()
        for f in filters
    ]
    means = [f.mean for f in filters]
    return {
        "psnr_wiener": np.mean([psnr_curve(f, test, s.sigmas, seed=NOISE_SEED).psnr for f in filters], axis=0).tolist(),
        "psnr_identity": (-20 * np.log10(s.sigmas)).tolist(),
        "psnr_mean": float(np.mean([_constant_psnr(test, mean) for mean in means])),
        "distance": _distance_ratio(outputs[0], outputs[1], test)[0].tolist(),
        "cosine": _cosine(drawn[0][None], drawn[1][None])[0],
    }


def _constant_psnr(x: Tensor, mean: Tensor) -> float:
    return float((-10 * (x - mean).square().mean((1, 2, 3)).log10()).mean())


def _distance_ratio(a: np.ndarray, b: np.ndarray, clean: Tensor) -> np.ndarray:
    """E||f_a - f_b||^2 over the mean of the two risks, from outputs (snapshots, sigmas, n, ...): (snapshots, sigmas)."""
    axes = tuple(range(2, a.ndim))
    x = clean.cpu().numpy()
    risk = 0.5 * (((a - x) ** 2).mean(axis=axes) + ((b - x) ** 2).mean(axis=axes))
    return ((a - b) ** 2).mean(axis=axes) / risk


def _cosine(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Mean cosine of paired samples without their means, from (snapshots, n, ...)."""
    u, v = (x.reshape(*x.shape[:2], -1).astype(np.float64) for x in (a, b))
    u, v = u - u.mean(axis=2, keepdims=True), v - v.mean(axis=2, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = (u * v).sum(axis=2) / (np.linalg.norm(u, axis=2) * np.linalg.norm(v, axis=2))
    return np.nanmean(np.where(np.isfinite(values), values, np.nan), axis=1).tolist()


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plane from what is measured so far: each quantity for each N, repetition and snapshot."""
    rows, arrays = [], {}
    test = DisjointPart(s.of, s.test_images, 2).images()
    for n in s.counts:
        complete = [r for r in range(s.repetitions) if all(network_name(n, h, r) in found for h in HALVES)]
        if not complete or f"{n}_linear" not in found:
            continue
        names = {(h, r): network_name(n, h, r) for h in HALVES for r in complete}
        numbers = {k: found[name].numbers for k, name in names.items()}
        stored = {k: found[name].arrays for k, name in names.items()}
        row: dict[str, Any] = {"n": n, "repetitions": len(complete), "linear": found[f"{n}_linear"].numbers}
        for kind in ("train", "twin", "test"):
            row[f"psnr_{kind}"] = [
                np.mean([[p[f"psnr_{kind}"] for p in numbers[h, r]["rows"]] for h in HALVES], axis=0).tolist()
                for r in complete
            ]
        row["gap"] = [_crossed_gap(numbers["A", r]["rows"], numbers["B", r]["rows"]).tolist() for r in complete]
        row["copies"] = [
            np.mean([[p["copies"] for p in numbers[h, r]["rows"]] for h in HALVES], axis=0).tolist() for r in complete
        ]
        row["copies_of_chance"] = float(np.mean([v["copies_of_chance"] for v in numbers.values()]))
        row |= _pairs(stored, complete, test)
        rows.append(row)
        arrays[f"{n}/samples"] = np.stack([stored[h, complete[0]]["samples"][-1][:8] for h in HALVES])
    results = {"snapshots": list(s.snapshots), "sigmas": list(s.sigmas), "rows": rows}
    return results, arrays


def _crossed_gap(a: Sequence[Mapping[str, Any]], b: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """What having been trained on an image adds to its PSNR, (snapshots, sigmas)."""
    train, twin = (np.mean([[p[f"psnr_{k}"] for p in rows] for rows in (a, b)], axis=0) for k in ("train", "twin"))
    return train - twin


def _pairs(
    stored: Mapping[tuple[str, int], Mapping[str, np.ndarray]], complete: list[int], test: Tensor
) -> dict[str, Any]:
    """Distances and cosines of networks on disjoint sets and on the same set; of each repetition with the others."""
    keys = list(stored)
    cross = {r: [(("A", r), ("B", q)) for q in complete] for r in complete}
    same = {r: [((h, r), (h, q)) for h in HALVES for q in complete if q != r] for r in complete}
    found: dict[str, Any] = {"networks": len(keys)}
    for kind, pairs in (("disjoint", cross), ("same", same)):
        if not pairs[complete[0]]:
            continue
        found[f"distance_{kind}"] = [
            np.mean(
                [_distance_ratio(stored[a]["outputs"], stored[b]["outputs"], test) for a, b in pairs[r]], axis=0
            ).tolist()
            for r in complete
        ]
        found[f"cosine_{kind}"] = [
            np.mean([_cosine(stored[a]["samples"], stored[b]["samples"]) for a, b in pairs[r]], axis=0).tolist()
            for r in complete
        ]
    return found


def claims(results: Mapping[str, Any]) -> list[Claim]:
    """What the numbers say; two Wiener filters fail a condition of each, and networks on the same set that of the first."""
    rows, snapshots = results["rows"], results["snapshots"]
    first, last = rows[0], rows[-1]
    gaps = {row["n"]: mean_over_sigmas(row, "gap") for row in rows}
    return [
        _gap_claim(gaps, snapshots),
        _onset_claim(times(results, "gap"), times(results, "test")),
        _distance_claim(last),
        _cosine_claim(first, last),
    ]


def _gap_claim(gaps: Mapping[int, np.ndarray], snapshots: Sequence[int]) -> Claim:
    counts = list(gaps)
    small, large = (student(gaps[n][:, -1]) for n in (counts[0], counts[-1]))
    at = (", ".join(f"{n:,}: {g[:, i].mean():.2f}" for n, g in gaps.items()) for i in range(len(snapshots)))
    return Claim(
        "Networks memorise small training sets and not large ones.",
        f"gap {interval(small)} dB at N = {counts[0]}, {interval(large)} dB at N = {counts[-1]:,}, after "
        f"{snapshots[-1]:,} images seen",
        "train and test PSNR coincide at N = 10^5 (figure 1)",
        "Gap in dB by N: "
        + "; ".join(f"after {t:,} images {line}" for t, line in zip(snapshots, at, strict=True))
        + ". Intervals are Student's over the repetitions.",
    )


def _onset_claim(
    memorised: Mapping[int, Sequence[float | None]], learned: Mapping[int, Sequence[float | None]]
) -> Claim:
    began, general = exponent(memorised), exponent(learned)
    lines = (f"N = {n:,}: " + ", ".join("-" if t is None else f"{t:,.0f}" for t in v) for n, v in memorised.items())
    return Claim(
        "Memorisation begins later for more images, in proportion to their number.",
        f"t_mem ~ N^{interval(began)}" if began is not None else "no two N at which it begins within the plane",
        "not measured; N^1 in Bonnaire et al. (2025)",
        "Images seen when the gap exceeds 1 dB: "
        + "; ".join(lines)
        + ". Test PSNR comes within 1 dB of the best of the plane "
        + ("for too few N to fit." if general is None else f"at times ~ N^{interval(general)}."),
    )


def _distance_claim(last: Mapping[str, Any]) -> Claim:
    excess = _excess(last)
    found = excess or {"value": np.nan, "low": np.nan, "high": np.nan}
    over = _over_linear(last)
    apart = float(np.mean(last["linear"]["distance"]))
    return Claim(
        "At the largest N, disjoint training sets add nothing to the distance of networks better than a filter.",
        "one repetition" if excess is None else f"excess {interval(found, 3)} of the risk at N = {last['n']:,}",
        "not measured as a function",
        "Distance of two networks on disjoint sets less that of two on the same set, over the risk, mean over noise levels. "
        f"The Wiener filters of the two sets are {apart:.3f} of their risk apart, so the distance alone would say nothing; the "
        f"networks denoise fresh images {interval(over)} dB better than they.",
    )


def _cosine_claim(first: Mapping[str, Any], last: Mapping[str, Any]) -> Claim:
    kinds = [kind for kind in ("disjoint", "same") if f"cosine_{kind}" in last]
    cosines = {kind: student([v[-1] for v in last[f"cosine_{kind}"]]) for kind in kinds}
    linear = last["linear"]["cosine"]
    shares = [student([v[-1] for v in row["copies"]])["value"] for row in (first, last)]
    return Claim(
        "At the largest N, they draw the same samples from the same noise, as no linear filter does.",
        ", ".join(f"cosine {interval(c)} ({kind} sets)" for kind, c in cosines.items())
        + f", Wiener filters {linear:.2f}",
        "nearly identical samples at N = 10^5 (figure 2)",
        "Networks that are hardly trained agree, too: they must also denoise fresh images better than the filter, as they do "
        f"by {interval(_over_linear(last))} dB. Share of copies at N = {first['n']}: {shares[0]:.2f}, at N = {last['n']:,}: "
        f"{shares[1]:.2f} (fresh images: {last['copies_of_chance']:.2f}).",
    )


def _over_linear(row: Mapping[str, Any]) -> dict[str, float]:
    """What the networks gain over the Wiener filter on fresh images at the end, mean over noise levels, in dB."""
    return student(mean_over_sigmas(row, "psnr_test")[:, -1] - np.mean(row["linear"]["psnr_wiener"]))


def _excess(row: Mapping[str, Any]) -> dict[str, float] | None:
    """Distance of disjoint sets less that of the same set, at the end, mean over noise levels."""
    if "distance_same" not in row:
        return None
    disjoint, same = (mean_over_sigmas(row, f"distance_{kind}")[:, -1] for kind in ("disjoint", "same"))
    return student(disjoint - same)
