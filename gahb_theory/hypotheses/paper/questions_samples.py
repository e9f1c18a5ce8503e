"""What pairs of samples from the same noise tell (figures 2, 6 to 8, 10, 13, 14): networks of the memorisation plane.

Networks on disjoint sets A and B of N images (C^alpha, alpha = 2, 16 pixels; `memorisation_plane`) draw 32 pairs of samples
from the same noise, by the stochastic ascent and by the deterministic one (beta = 1).

    beyond the sets   cosine of the two samples, less the larger cosine of either to the closest image of its training set
    parting           cosine of f_A(y_A) and f_B(y_B) while sigma_t is above .5, of pairs that end apart (cosine below .9): near
                      1 if they agree at first and part later

Cosines are of images without their means. Closest pairs between the sets themselves are what figure 6 shows.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.jobs import Bench, Task
from gahb_theory.hypotheses.laboratory import ARRAYS, Laboratory
from gahb_theory.hypotheses.paper import memorisation_plane as plane
from gahb_theory.hypotheses.paper.workshop import row_of_values
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.metrics import psnr_curve
from gahb_theory.sampling import generate

__all__ = ["rows"]

COUNTS = (10, 100, 1000, 10_000)
MEMORISED = (10, 100)
"""Training sets that these networks memorise, by more than 1 dB."""
BETAS = {"stochastic": 0.1, "deterministic": 1.0}
SAMPLES, STEP, SEED, EVERY = 32, 0.05, 79, 5
BEYOND, APART, EARLY = 0.02, 0.9, 0.5
SIGMAS = (0.05, 0.1, 0.2, 0.5)


def draw(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """The samples of one denoiser, and what it denoises along the way."""
    found = generate(
        bench.load("f"),
        (place["samples"], 1, place["size"], place["size"]),
        seed=place["seed"],
        step=place["step"],
        beta=place["beta"],
        max_steps=4000,
        every=place["every"],
    )
    way = found.trajectory
    assert way is not None  # `every` is given
    arrays = {"images": found.images.numpy(), "sigma": way.sigma.numpy(), "denoised": way.denoised.half().numpy()}
    stored_results.write_arrays(bench.directory / ARRAYS, arrays)
    return {"converged": float(found.converged.float().mean())}


def _drawn(laboratory: Laboratory, models: Mapping[str, Any], beta: float) -> dict[str, dict[str, np.ndarray]]:
    """Samples and paths of denoisers, by their names."""
    place = {"samples": SAMPLES, "size": 16, "seed": SEED, "step": STEP, "beta": beta, "every": EVERY}
    found = laboratory.tasks([Task(draw, place, {"f": f}, name) for name, f in models.items()])
    return {name: found[name].arrays for name in models}


def _flat(x: np.ndarray) -> Tensor:
    """Images as rows without their means, of norm 1."""
    rows = torch.from_numpy(np.asarray(x, dtype=np.float64)).flatten(-3)
    rows = rows - rows.mean(dim=-1, keepdim=True)
    return rows / rows.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def _closest(x: np.ndarray, own: Tensor) -> Tensor:
    """Cosine of each image to the closest image of a set."""
    return (_flat(x) @ _flat(own.numpy()).mT).amax(dim=1)


def beyond(a: np.ndarray, b: np.ndarray, sets: Sequence[Tensor]) -> np.ndarray:
    """Cosine of the samples of each pair, less the larger of their cosines to their own training sets."""
    between = (_flat(a) * _flat(b)).sum(dim=1)
    return (between - torch.maximum(_closest(a, sets[0]), _closest(b, sets[1]))).numpy()


def parting(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine at the end, and mean cosine of the denoised images while sigma_t > .5, for each pair."""
    steps = min(len(a["sigma"]), len(b["sigma"]))
    cosine = (_flat(a["denoised"][:steps]) * _flat(b["denoised"][:steps])).sum(dim=-1).numpy()
    early = (a["sigma"][:steps] > EARLY) & (b["sigma"][:steps] > EARLY)
    mean = (cosine * early).sum(axis=0) / early.sum(axis=0).clip(min=1)
    return (_flat(a["images"]) * _flat(b["images"])).sum(dim=-1).numpy(), mean


def rows(laboratory: Laboratory, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    s = plane.SCALES["laptop"]
    sets = {n: tuple(s.part(n, half).images() for half in plane.HALVES) for n in COUNTS}
    models: dict[str, Any] = {}
    for n in COUNTS:
        for half in plane.HALVES:
            for r in range(s.repetitions):
                name = plane.network_name(n, half, r)
                models[name] = load_denoiser(checkpoints / name).float().eval()
    largest = COUNTS[-1]
    filters = {f"wiener_{half}": GaussianDenoiser.fit(x) for half, x in zip(plane.HALVES, sets[largest], strict=True)}
    found: dict[str, dict[str, Any]] = {}
    gate = _better_than_filter(s, models, filters["wiener_A"])
    about = f"UNet({s.channels}, {s.blocks}), N = {largest:,}, {s.recipe.images_seen:,} images seen"
    for kind, beta in BETAS.items():
        drawn = _drawn(laboratory, models | filters, beta)

        def pairs(n: int, drawn: Any = drawn) -> list[tuple[Any, Any]]:
            return [tuple(drawn[plane.network_name(n, h, r)] for h in plane.HALVES) for r in range(s.repetitions)]

        values = {n: np.stack([beyond(a["images"], b["images"], sets[n]) for a, b in pairs(n)]) for n in COUNTS}
        linear = beyond(drawn["wiener_A"]["images"], drawn["wiener_B"]["images"], sets[largest])
        nulls = {f"networks, N = {n:,}": values[n] for n in MEMORISED} | {"Wiener filters": linear[None]}
        row = row_of_values(
            f"By {kind} ascent, disjoint sets of {largest:,} images give samples nearer to each other than to any training "
            "image, by .02 in cosine.",
            values[largest],
            Criterion(BEYOND, ">"),
            nulls,
            [gate],
            about=about,
        )
        ends = {n: float(np.mean([parting(a, b)[0] for a, b in pairs(n)])) for n in COUNTS}
        row["reference"] = {
            "cosine of paired samples by N": {str(n): round(v, 3) for n, v in ends.items()},
            "of Wiener filters": round(float(parting(drawn["wiener_A"], drawn["wiener_B"])[0].mean()), 3),
        }
        found[f"samples, {kind}"] = row | {"figures": "2, 7, 10, 12" if kind == "stochastic" else "13, 14"}
        if kind == "stochastic":
            found["bifurcation"] = _bifurcation({n: pairs(n) for n in COUNTS}, about, gate) | {"figures": "8"}
    found["closest pairs"] = _closest_pairs(sets[largest]) | {"figures": "6"}
    return found


def _bifurcation(pairs: Mapping[int, list[tuple[Any, Any]]], about: str, gate: GateResult) -> dict[str, Any]:
    """Pairs that end apart: do they agree at first? One value for each pair that ends apart, all repetitions together."""
    early = {}
    for n, found in pairs.items():
        both = [parting(a, b) for a, b in found]
        end, mean = (np.concatenate([pair[k] for pair in both]) for k in (0, 1))
        early[n] = (mean[end < APART], mean[end >= APART])
    largest = max(pairs)
    apart, together = early[largest]
    nulls = {f"networks, N = {n:,}": v[0][None] for n, v in early.items() if n in MEMORISED and len(v[0]) >= 4}
    row = row_of_values(
        f"Pairs of samples that end apart (cosine below {APART:g}) agree while sigma is above {EARLY:g}: cosine above .9.",
        apart[None],
        Criterion(APART, ">"),
        nulls,
        [gate],
        about=f"{about}; {len(apart)} of {len(apart) + len(together)} pairs end apart",
    )
    return row | {"reference": {"early cosine of pairs that end together": round(float(together.mean()), 3)}}


def _closest_pairs(sets: Sequence[Tensor]) -> dict[str, Any]:
    """Cosines of the closest image of the other set, for the first images of A."""
    a, b = sets
    values = _closest(a[:512].numpy(), b).numpy()
    row = row_of_values(
        "Images of one set have no near-copy in the other: fewer than one in a hundred has a cosine above .95 to one.",
        (values > 0.95)[None].astype(float),
        Criterion(0.01, "<"),
        {"the same set": np.ones((1, 512))},
        about=f"512 images against {len(b):,}",
    )
    shares = {str(t): round(float((values > t).mean()), 3) for t in (0.9, 0.95, 0.99)}
    return row | {"reference": {"share of closest pairs above": shares}}


def _better_than_filter(s: Any, models: Mapping[str, Any], f: Any) -> GateResult:
    """Networks of the largest N denoise fresh images better than the filter, at each level: two-level intervals."""
    x = DisjointPart(s.of, s.test_images, 2).images()
    names = [plane.network_name(COUNTS[-1], h, r) for r in range(s.repetitions) for h in plane.HALVES]
    own = np.stack([psnr_curve(models[name], x, SIGMAS, seed=SEED).psnr_per_image for name in names])
    gains = [
        two_level(own[:, k] - psnr_curve(f, x, SIGMAS, seed=SEED).psnr_per_image[k])[0] for k in range(len(SIGMAS))
    ]
    low = min(range(len(SIGMAS)), key=lambda k: float(gains[k].low))
    e = gains[low]
    return GateResult(
        "beats the Wiener filter on fresh images",
        float(e.low) > 0,
        f"least gain {e.value:+.2f} dB [{e.low:.2f}, {e.high:.2f}] at sigma = {SIGMAS[low]:g}",
    )
