"""Whether networks of the plane share eigenvectors, at each snapshot: those of disjoint sets, and those of the same set.

With U_i the first 16 eigenvectors of one network at test image i, and V_j those of another at image j, same noise,

    o_ij = ||U_i V_j^T||^2 / 16,        shared = mean over i of o_ii - (a_i + b_i),

a_i + b_j the additive fit to the o_ij with i != j: what two denoisers with one basis for all images share is 0, however near
to each other their bases are. Two Wiener filters have 0, and so has a network that returns what it has seen wherever it looks.
Two seeds share less than everything whatever the data; only what disjoint sets share less than that is memorisation.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import stored_results
from gahb_theory.hypotheses.jobs import Bench, Task
from gahb_theory.hypotheses.laboratory import ARRAYS, Result
from gahb_theory.hypotheses.paper.judged_measures import Spectra, own_less_expected
from gahb_theory.hypotheses.paper.memorisation_plane import HALVES, NOISE_SEED, Settings, network_name, training
from gahb_theory.hypotheses.training_sets import DisjointPart

__all__ = ["IMAGES", "RANK", "SIGMA", "collect", "first_vectors", "shared", "shared_by_repetition", "tasks"]

IMAGES, RANK, SIGMA = 8, 16, 0.1


def tasks(s: Settings) -> list[Task]:
    """One for each network."""
    place = {"settings": s, "images": IMAGES, "rank": RANK, "sigma": SIGMA}
    return [
        Task(measure, place, {"f": training(s, n, half, r)}, f"{network_name(n, half, r)}_vectors")
        for r, n, half in product(range(s.repetitions), s.counts, HALVES)
    ]


def measure(place: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """The first eigenvectors of one network at all of its snapshots."""
    s: Settings = place["settings"]
    found = [first_vectors(bench.load("f", count), s).cpu().numpy() for count in s.snapshots]
    stored_results.write_arrays(bench.directory / ARRAYS, {"vectors": np.stack(found).astype(np.float16)})
    return {"images": IMAGES, "sigma": SIGMA}


def first_vectors(f: Any, s: Settings) -> Tensor:
    """The first eigenvectors at the test images as rows, (n, 16, d)."""
    x = DisjointPart(s.of, s.test_images, 2).images()[:IMAGES]
    return Spectra(noise=NOISE_SEED).at(f, x, SIGMA)[1][:, :RANK]


def shared(first: Any, second: Any) -> float:
    """What two denoisers share of what depends on the image, from eigenvectors (n, r, d).

    Examples
    --------
    >>> U = torch.eye(8).reshape(4, 2, 8)  # other vectors at each image
    >>> shared(U, U), shared(U[:1].expand(4, -1, -1), U[:1].expand(4, -1, -1))
    (1.0, 0.0)
    """
    U, V = (torch.as_tensor(vectors).double() for vectors in (first, second))
    table = torch.einsum("ird,jsd->ijrs", U, V).square().sum(dim=(2, 3)) / U.shape[1]
    return float(own_less_expected(table).mean())


def shared_by_repetition(vectors: Mapping[tuple[str, int], Any], repetitions: Sequence[int]) -> dict[str, list[float]]:
    """The mean of `shared` over all pairs that each repetition takes part in: on disjoint sets, and on the same set."""
    found: dict[str, list[float]] = {"disjoint": [], "same": []}
    for r in repetitions:
        others = [q for q in repetitions if q != r]
        pairs = {
            "disjoint": [(("A", r), ("B", r))]
            + [pair for q in others for pair in ((("A", r), ("B", q)), (("A", q), ("B", r)))],
            "same": [((half, r), (half, q)) for half in HALVES for q in others],
        }
        for kind, group in pairs.items():
            found[kind].append(float(np.mean([shared(vectors[a], vectors[b]) for a, b in group])))
    return found


def collect(s: Settings, found: Mapping[str, Result]) -> dict[int, dict[str, list[list[float]]]]:
    """By N: "shared_disjoint" and "shared_same", each (repetitions, snapshots); N without all networks are left out."""
    rows = {}
    for n in s.counts:
        names = {(h, r): f"{network_name(n, h, r)}_vectors" for h in HALVES for r in range(s.repetitions)}
        if s.repetitions < 2 or not all(name in found for name in names.values()):
            continue
        stored = {k: found[name].arrays["vectors"] for k, name in names.items()}
        by_snapshot = [
            shared_by_repetition({k: v[i] for k, v in stored.items()}, range(s.repetitions))
            for i in range(len(s.snapshots))
        ]
        rows[n] = {f"shared_{kind}": np.array([b[kind] for b in by_snapshot]).T.tolist() for kind in by_snapshot[0]}
    return rows
