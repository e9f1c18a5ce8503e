"""Whether networks of disjoint sets share eigenvectors as those of the same set do (figures 2, 3, 10).

What two networks share counts only as far as it depends on the image (`plane_bases`), so that Wiener filters share nothing.
For each repetition, what those of disjoint sets share less three quarters of what those of the same set share, at the end of
training: above 0 where the set hardly matters. Networks that memorise must fail. Part and levels were fixed before the numbers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import runs
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.paper import memorisation_plane
from gahb_theory.hypotheses.paper.plane_bases import IMAGES, RANK, SIGMA, first_vectors, shared_by_repetition
from gahb_theory.hypotheses.paper.plane_summary import GAP, mean_over_sigmas, student
from gahb_theory.hypotheses.paper.questions_geometry import OWN
from gahb_theory.hypotheses.paper.questions_plane import PLANES, beats_filter, last_doubling, row_of_plane
from gahb_theory.hypotheses.paper.questions_samples import memorisers

__all__ = ["rows"]

PART = 0.75
Shared = Mapping[str, np.ndarray]


def rows(results: Path, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    found = {}
    for name, about in PLANES.items():
        file = results / name / "results.json"
        if file.exists():
            numbers = runs.from_json(runs.read_json(file))
            if name == memorisation_plane.NAME:
                numbers = numbers | {"rows": _with_shared(numbers["rows"], checkpoints)}
            if all("shared_same" in row for row in numbers["rows"]):
                found[f"shared eigenvectors{about.end}"] = _row(numbers, about.where, about.images)
    return found


def _with_shared(plane: list[dict[str, Any]], checkpoints: Path) -> list[dict[str, Any]]:
    """The rows of the plane with what its published networks share; they are published as they are at the end."""
    s, found = memorisation_plane.SCALES["laptop"], []
    for row in plane:
        networks = memorisers(checkpoints, [row["n"]])
        vectors = {
            (half, r): first_vectors(networks[memorisation_plane.network_name(row["n"], half, r)], s)
            for half in memorisation_plane.HALVES
            for r in range(s.repetitions)
        }
        both = shared_by_repetition(vectors, range(s.repetitions))
        found.append(row | {f"shared_{kind}": [[v] for v in values] for kind, values in both.items()})
    return found


def _at(row: Mapping[str, Any], k: int) -> dict[str, Any]:
    """The PSNR of networks and filter at one noise level."""
    return {
        "psnr_test": np.asarray(row["psnr_test"])[:, :, k : k + 1],
        "linear": {"psnr_wiener": row["linear"]["psnr_wiener"][k : k + 1]},
    }


def _row(results: Mapping[str, Any], where: str, images: str) -> dict[str, Any]:
    plane, seen = {row["n"]: row for row in results["rows"]}, results["snapshots"][-1]
    last = max(plane)
    both = {n: [np.asarray(row[f"shared_{kind}"]) for kind in ("disjoint", "same")] for n, row in plane.items()}
    beyond = {n: student((disjoint - PART * same)[:, -1]) for n, (disjoint, same) in both.items()}
    memorise = [n for n, row in plane.items() if student(mean_over_sigmas(row, "gap")[:, -1])["low"] > GAP]
    same = student(both[last][1][:, -1])
    gates = [
        beats_filter(_at(plane[last], results["sigmas"].index(SIGMA)), [SIGMA]),
        GateResult(
            "networks of the same set share something that depends on the image",
            same["low"] > OWN,
            f"{same['value']:.3f} [{same['low']:.3f}, {same['high']:.3f}], above {OWN:g}",
        ),
    ]
    if both[last][0].shape[1] > 1:
        gates.append(last_doubling(results["snapshots"], both[last][0] - PART * both[last][1], beyond[last], 0.0))
    row = row_of_plane(
        f"{where}At N = {last:,} eigenvectors of networks of disjoint sets share three quarters of what those of networks of "
        "the same set share, beyond what they share with those at other images.",
        beyond[last],
        Criterion(0.0, ">"),
        {f"networks, N = {n:,}": beyond[n] for n in memorise},
        gates,
        unit="",
        about=f"UNet(8, 2), {images}, {seen:,} images seen, first {RANK} eigenvectors, sigma = {SIGMA:g}",
        figures="2, 3, 10",
        count=IMAGES,
    )
    table = {str(n): {"disjoint": a.mean(axis=0), "same": b.mean(axis=0)} for n, (a, b) in both.items()}
    rounded = {n: {kind: np.round(v, 4).tolist() for kind, v in row.items()} for n, row in table.items()}
    return row | {"reference": {"shared, by N and snapshot": rounded}}
