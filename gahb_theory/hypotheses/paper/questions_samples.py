"""What pairs of samples from the same noise tell (figures 2, 6 to 8, 10, 13, 14).

Three pairs of networks on disjoint sets A and B of 128,000 new images each (C^alpha, alpha = 2, 16 pixels; the plain networks
of `judged_networks`, six seeds) draw 32 pairs of samples from the same noise, by the stochastic ascent and by the
deterministic one (beta = 1). A Wiener filter agrees with another of a disjoint set, too; it is therefore taken away:

    beyond a filter   cosine of a - P_c a and b - P_d b, a and b the two samples, P_c the projection on the sample that a Wiener
                      filter of another set C draws from the same noise, P_d likewise of a set D; .5 is half of what is left
    parting           cosine of f_A(y_A) and f_B(y_B) while sigma_t is above .5, of pairs that end apart (cosine below .9): near
                      1 if they agree at first and part later

Null models are the networks of the memorisation plane that memorise (N = 10, 100; `memorisation_plane`), and Wiener filters of
disjoint sets. Cosines are of images without their means. Closest pairs between training sets are what figure 6 shows.
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
from gahb_theory.hypotheses.paper.judged_networks import Judged
from gahb_theory.hypotheses.paper.workshop import Workshop, row_of_values
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.metrics import psnr_curve
from gahb_theory.sampling import generate

__all__ = ["SIGMAS", "better_than_filter", "filters", "memorisers", "networks", "rows"]

JUDGED = Judged("plain", "c_alpha_2", 4)
PAIRS = ((0, 3), (1, 4), (2, 5))
"""Seeds of the networks of each pair."""
MEMORISED = (10, 100)
"""Training sets that networks of the plane memorise, by more than 1 dB."""
CLOSEST = 10_000
FILTER_IMAGES, FILTER_SEED = 8192, 2**42 + 11
BETAS = {"stochastic": 0.1, "deterministic": 1.0}
SAMPLES, STEP, SEED, EVERY = 32, 0.05, 79, 5
HALF, APART, EARLY = 0.5, 0.9, 0.5
"""Share of what a filter leaves; cosines; noise level: fixed before the numbers."""
SIGMAS = (0.05, 0.1, 0.2, 0.5)
ON_THE_WAY = (*SIGMAS, 0.7, 1.0)
"""Noise levels that samples pass through, from 1 on."""
LEAST = 4
"""Pairs that end apart, without which nothing is said."""


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


def beyond_filter(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Cosine of what is left of a without its part along c, and of b without its part along d, image by image.

    Examples
    --------
    >>> a, c = np.array([[[[1.0, 1.0, -2.0]]]]), np.array([[[[1.0, -1.0, 0.0]]]])
    >>> beyond_filter(a, a, c, c).round(6).tolist()
    [1.0]
    """
    first, second = (_left(x, away) for x, away in ((a, c), (b, d)))
    return (first * second).sum(dim=-1).numpy()


def _left(x: np.ndarray, away: np.ndarray) -> Tensor:
    """What is left of images without their part along others, as rows of norm 1."""
    rows, others = _flat(x), _flat(away)
    rest = rows - (rows * others).sum(dim=-1, keepdim=True) * others
    return rest / rest.norm(dim=-1, keepdim=True).clamp(min=1e-12)


def parting(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Cosine at the end, and mean cosine of the denoised images while sigma_t > .5, for each pair."""
    steps = min(len(a["sigma"]), len(b["sigma"]))
    cosine = (_flat(a["denoised"][:steps]) * _flat(b["denoised"][:steps])).sum(dim=-1).numpy()
    early = (a["sigma"][:steps] > EARLY) & (b["sigma"][:steps] > EARLY)
    mean = (cosine * early).sum(axis=0) / early.sum(axis=0).clip(min=1)
    return (_flat(a["images"]) * _flat(b["images"])).sum(dim=-1).numpy(), mean


def networks(w: Workshop) -> dict[str, Any]:
    """The networks of the pairs, "A0", "B0", "A1", ..."""
    fs = {seed: w.networks(JUDGED, [seed])[0] for pair in PAIRS for seed in pair}
    return {f"{half}{k}": fs[pair[h]] for k, pair in enumerate(PAIRS) for h, half in enumerate(plane.HALVES)}


def filters(X: Any) -> dict[str, GaussianDenoiser]:
    """Wiener filters of disjoint sets: "wiener_A0", ..., and those that are taken away, "wiener_C0", ..."""
    names = [f"wiener_{half}{k}" for half in "ABCD" for k in range(len(PAIRS))]
    return {name: GaussianDenoiser.fit(X.sample(FILTER_IMAGES, seed=FILTER_SEED + i)) for i, name in enumerate(names)}


def memorisers(checkpoints: Path, counts: Sequence[int] = MEMORISED) -> dict[str, Any]:
    """Networks of the memorisation plane."""
    names = [plane.network_name(n, h, r) for n in counts for h in plane.HALVES for r in range(len(PAIRS))]
    return {name: load_denoiser(checkpoints / name).float().eval() for name in names}


def rows(w: Workshop, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    s = plane.SCALES["laptop"]
    found = {"closest pairs": _closest_pairs([s.part(CLOSEST, half).images() for half in plane.HALVES])}
    models, fits = networks(w), filters(s.of)
    gate = better_than_filter(s, models, fits["wiener_A0"], ON_THE_WAY)
    about = f"UNet(16, 2), disjoint sets of {JUDGED.images_seen(w.settings):,} images"
    for kind, beta in BETAS.items():
        drawn = _drawn(w.laboratory, models | fits | memorisers(checkpoints), beta)

        def pairs(n: int | None, drawn: Any = drawn) -> list[tuple[Any, Any]]:
            names = [[f"{h}{k}" if n is None else plane.network_name(n, h, k) for h in plane.HALVES] for k in range(3)]
            return [(drawn[a], drawn[b]) for a, b in names]

        def beyond(two: Sequence[tuple[Any, Any]], drawn: Any = drawn) -> np.ndarray:
            return np.stack(
                [
                    beyond_filter(a["images"], b["images"], *(drawn[f"wiener_{h}{k}"]["images"] for h in "CD"))
                    for k, (a, b) in enumerate(two)
                ]
            )

        linear = [(drawn[f"wiener_A{k}"], drawn[f"wiener_B{k}"]) for k in range(len(PAIRS))]
        row = row_of_values(
            f"By {kind} ascent, networks of disjoint sets draw samples from the same noise that agree in half of what a Wiener "
            "filter leaves: cosine above .5.",
            beyond(pairs(None)),
            Criterion(HALF, ">"),
            {f"networks, N = {n:,}": beyond(pairs(n)) for n in MEMORISED} | {"Wiener filters": beyond(linear)},
            [gate],
            about=about,
        )
        ends = {"networks": pairs(None), "Wiener filters": linear} | {f"N = {n:,}": pairs(n) for n in MEMORISED}
        row["reference"] = {
            "cosine of paired samples, nothing taken away": {
                name: round(float(np.mean([parting(a, b)[0] for a, b in two])), 3) for name, two in ends.items()
            }
        }
        found[f"samples, {kind}"] = row | {"figures": "2, 7, 10, 12" if kind == "stochastic" else "13, 14"}
        if kind == "stochastic":
            together = {None: pairs(None)} | {n: pairs(n) for n in MEMORISED}
            found |= _bifurcation(together, about, gate)
    return found


def _bifurcation(
    pairs: Mapping[int | None, list[tuple[Any, Any]]], about: str, gate: GateResult
) -> dict[str, dict[str, Any]]:
    """Pairs that end apart: do they agree at first? One value for each pair that ends apart, all repetitions together.

    There is no row where fewer pairs end apart than say anything.
    """
    early = {}
    for n, found in pairs.items():
        both = [parting(a, b) for a, b in found]
        end, mean = (np.concatenate([pair[k] for pair in both]) for k in (0, 1))
        early[n] = (mean[end < APART], mean[end >= APART])
    apart, together = early[None]
    nulls = {f"networks, N = {n:,}": early[n][0][None] for n in MEMORISED if len(early[n][0]) >= LEAST}
    if len(apart) < LEAST:
        return {}
    row = row_of_values(
        f"Pairs of samples that end apart (cosine below {APART:g}) agree while sigma is above {EARLY:g}: cosine above .9.",
        apart[None],
        Criterion(APART, ">"),
        nulls,
        [gate],
        about=f"{about}; {len(apart)} of {len(apart) + len(together)} pairs end apart",
    )
    reference = {"early cosine of pairs that end together": round(float(together.mean()), 3)}
    return {"bifurcation": row | {"figures": "8", "reference": reference}}


def _closest_pairs(sets: Sequence[Tensor]) -> dict[str, Any]:
    """Cosines of the closest image of the other set, for the first images of A."""
    a, b = sets
    values = (_flat(a[:512].numpy()) @ _flat(b.numpy()).mT).amax(dim=1).numpy()
    row = row_of_values(
        "Images of one set have no near-copy in the other: fewer than one in a hundred has a cosine above .95 to one.",
        (values > 0.95)[None].astype(float),
        Criterion(0.01, "<"),
        {"the same set": np.ones((1, 512))},
        about=f"512 images against {len(b):,}",
    )
    shares = {str(t): round(float((values > t).mean()), 3) for t in (0.9, 0.95, 0.99)}
    return row | {"figures": "6", "reference": {"share of closest pairs above": shares}}


def better_than_filter(s: Any, models: Mapping[str, Any], f: Any, sigmas: Sequence[float] = SIGMAS) -> GateResult:
    """Networks denoise fresh images better than the filter, at each level: two-level intervals over networks and images."""
    x = DisjointPart(s.of, s.test_images, 2).images()
    own = np.stack([psnr_curve(model, x, sigmas, seed=SEED).psnr_per_image for model in models.values()])
    gains = [
        two_level(own[:, k] - psnr_curve(f, x, sigmas, seed=SEED).psnr_per_image[k])[0] for k in range(len(sigmas))
    ]
    low = min(range(len(sigmas)), key=lambda k: float(gains[k].low))
    e = gains[low]
    return GateResult(
        "beats the Wiener filter on fresh images",
        float(e.low) > 0,
        f"least gain {e.value:+.2f} dB [{e.low:.2f}, {e.high:.2f}] at sigma = {sigmas[low]:g}",
    )
