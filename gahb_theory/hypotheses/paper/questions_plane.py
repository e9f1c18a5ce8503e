"""What the plane of training images N and images seen says (figures 1, 2, 9, 11), in the five verdicts.

The values of each network stand in results/memorisation_plane, for disks in results/plane_of_disks, for photographs in
results/plane_of_photographs: see the experiments of these names, which train and measure them. The three repetitions are the
seeds; intervals are Student's over them, and the test images and both sets are fixed.

What a Wiener filter of as many images would have is known from theory (`hypotheses.linear_null`). Rows on memorisation show it
beside; for those on generalisation it is a null model. Its spectrum is that of many images of the class, for photographs that
of patches of the same photographs. A small gap alone does not tell networks from it, so that they must
gain more over the filter, on images not seen, than they lose from seen to unseen ones.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gahb_theory import runs
from gahb_theory.hypotheses.crossed import confidence_of
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.linear_null import filter_memory
from gahb_theory.hypotheses.paper import memorisation_plane, plane_of_disks, plane_of_photographs
from gahb_theory.hypotheses.paper.plane_summary import (
    exponent,
    local_exponents,
    mean_over_sigmas,
    spectrum,
    student,
    times,
)
from gahb_theory.hypotheses.paper.workshop import row_of_estimate
from gahb_theory.metrics.intervals import Estimate

__all__ = ["PLANES", "beats_filter", "last_doubling", "row_of_plane", "rows"]

LATER, SAME = 0.25, 0.1
"""Exponent of the time at which memorisation begins; distance as a part of the risk: fixed before the verdicts."""


class Plane(NamedTuple):
    """What ends the keys of a plane, what its statements begin with, its images, and how often it was trained anew."""

    end: str
    where: str
    images: str
    looks: int = 1


PLANES = {
    memorisation_plane.NAME: Plane("", "", "C^alpha images (alpha = 2, 16 pixels)"),
    plane_of_disks.NAME: Plane(", disks", "On disks: ", "disks (16 pixels)", 2),
    plane_of_photographs.NAME: Plane(", photographs", "On photographs: ", "patches of photographs (16 pixels)", 2),
}
"""Those of disks and photographs were trained twice, from the same seeds with other rounding: verdicts are second looks."""


def _estimate(found: Mapping[str, float], confidence: float) -> Estimate:
    from scipy.stats import t

    value, low, high = (found[k] for k in ("value", "low", "high"))
    error = (high - low) / 2 / float(t.ppf(0.5 + confidence / 2, 2))
    return Estimate(value, low, high, error, confidence, "Student over 3 repetitions")


def row_of_plane(
    statement: str,
    found: Mapping[str, float],
    criterion: Criterion,
    nulls: Mapping[str, Mapping[str, float]],
    gates: list[GateResult],
    *,
    unit: str,
    about: str,
    figures: str,
    count: int = 128,
    confidence: float = 0.95,
) -> dict[str, Any]:
    """What is kept of a verdict on an interval over three repetitions, and on those of null models."""
    others = {name: _estimate(e, confidence) for name, e in nulls.items()}
    row = row_of_estimate(statement, _estimate(found, confidence), criterion, others, gates, unit=unit, about=about)
    return row | {"seeds": 3, "images": count, "figures": figures}


def _fixed(value: float) -> dict[str, float]:
    return {"value": value, "low": value, "high": value}


def _spectrum(name: str, results: Mapping[str, Any]) -> Tensor:
    """Eigenvalues of the covariance of the images of a plane: those that were kept, or of many images of the class."""
    if "spectrum" in results:
        return torch.tensor(results["spectrum"], dtype=torch.float64)
    plane = memorisation_plane if name == memorisation_plane.NAME else plane_of_disks
    return spectrum(plane.SCALES["laptop"].of)


def _memory(eigenvalues: Tensor, n: int, sigmas: Sequence[float]) -> float:
    """What a Wiener filter of so many images loses from seen to unseen images, by theory, mean over noise levels, in dB."""
    return float(np.mean([filter_memory(eigenvalues, n, sigma) for sigma in sigmas]))


def rows(results: Path) -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    found = {}
    for name, plane in PLANES.items():
        file = results / name / "results.json"
        if file.exists():
            numbers = runs.from_json(runs.read_json(file))
            of_class = _rows(numbers, _spectrum(name, numbers), plane.images, confidence_of(plane.looks))
            for key, row in of_class.items():
                found[key + plane.end] = row | {"statement": f"{plane.where}{row['statement']}"}
    return found


def _rows(results: Mapping[str, Any], eigenvalues: Tensor, images: str, confidence: float) -> dict[str, dict[str, Any]]:
    plane, seen = {row["n"]: row for row in results["rows"]}, results["snapshots"][-1]
    first, last = min(plane), max(plane)
    gaps = {n: student(mean_over_sigmas(row, "gap")[:, -1], confidence) for n, row in plane.items()}
    gate = beats_filter(plane[last], results["sigmas"], confidence)
    about = f"UNet(8, 2), {images}, {seen:,} images seen"
    found = {}
    for n, gap in gaps.items():
        large = n == last
        nulls = {f"networks, N = {first if large else last:,}": gaps[first if large else last]}
        if large:
            nulls["Wiener filters of as many images, by theory"] = _fixed(_memory(eigenvalues, n, results["sigmas"]))
        found[f"gap, N = {n:,}"] = row_of_plane(
            f"With N = {n:,} training images and {seen:,} images seen, networks "
            f"{'do not memorise: the gap is below' if large else 'memorise: the gap is above'} 1 dB.",
            gap,
            Criterion(1.0, "<" if large else ">"),
            nulls,
            [gate, last_doubling(results["snapshots"], mean_over_sigmas(plane[n], "gap"), gap, 1.0, " dB")]
            if large
            else [],
            unit="dB",
            about=about,
            figures="1, 9, 11",
            confidence=confidence,
        )
        if n > 1 and not large:
            memory = {
                "gap of a Wiener filter of as many images, by theory, dB": round(
                    _memory(eigenvalues, n, results["sigmas"]), 3
                )
            }
            found[f"gap, N = {n:,}"]["reference"] = memory
    gains = {
        n: mean_over_sigmas(row, "psnr_test") - np.mean(row["linear"]["psnr_wiener"]) - mean_over_sigmas(row, "gap")
        for n, row in plane.items()
    }
    beyond = {n: student(values[:, -1], confidence) for n, values in gains.items()}
    found[f"generalise, N = {last:,}"] = row_of_plane(
        f"With N = {last:,} training images, networks gain more over a Wiener filter of as many, on images not seen, than they "
        "lose from seen to unseen images.",
        beyond[last],
        Criterion(0.0, ">"),
        {f"networks, N = {n:,}": beyond[n] for n in (first, 100) if n in beyond}
        | {"Wiener filters of as many images, by theory": _fixed(-_memory(eigenvalues, last, results["sigmas"]))},
        [gate, last_doubling(results["snapshots"], gains[last], beyond[last], 0.0, " dB")],
        unit="dB",
        about=about,
        figures="1, 9, 11",
        confidence=confidence,
    )
    began, general = (exponent(times(results, kind), confidence) for kind in ("gap", "test"))
    if began is not None:
        nulls = {} if general is None else {"time at which networks generalise": general}
        found["time of memorisation"] = row_of_plane(
            "The number of images seen at which memorisation begins grows with N, by an exponent above .25.",
            began,
            Criterion(LATER, ">"),
            nulls or {"no growth": _fixed(0.0)},
            [],
            unit="",
            about=about,
            figures="1, 9, 11",
            confidence=confidence,
        )
        found["time of memorisation"]["reference"] = {
            "exponent between two N": {
                kind: local_exponents(times(results, name))
                for kind, name in (("memorise", "gap"), ("generalise", "test"))
            }
        }
    apart = {n: _excess(row, confidence) for n, row in plane.items()}
    found["same function"] = row_of_plane(
        f"At N = {last:,} disjoint sets add less than .1 of the risk to the distance of two networks of the same set.",
        apart[last],
        Criterion(SAME, "<"),
        {f"networks, N = {n:,}": apart[n] for n in plane if gaps[n]["low"] > 1}
        | {"Wiener filters": _fixed(float(np.mean(plane[last]["linear"]["distance"])))},
        [gate],
        unit="of the risk",
        about=about,
        figures="2, 10, 12",
        confidence=confidence,
    )
    return found


def beats_filter(row: Mapping[str, Any], sigmas: Sequence[float], confidence: float = 0.95) -> GateResult:
    """Whether the networks of one N denoise images that they have not seen better than a Wiener filter of as many.

    At each noise level: the least gain is shown.
    """
    gains = np.asarray(row["psnr_test"], dtype=float)[:, -1] - np.asarray(row["linear"]["psnr_wiener"])
    found = [student(column, confidence) for column in gains.T]
    least = min(range(len(found)), key=lambda k: found[k]["low"])
    e = found[least]
    detail = f"least gain {e['value']:+.2f} dB [{e['low']:.2f}, {e['high']:.2f}] at sigma = {sigmas[least]:g}"
    return GateResult("beats the Wiener filter on fresh images", e["low"] > 0, detail)


def last_doubling(
    seen: Sequence[int], values: np.ndarray, found: Mapping[str, float], threshold: float, unit: str = ""
) -> GateResult:
    """Whether the last doubling of the budget changes values (repetitions, snapshots) by less than half their interval.

    That of a single look, which is no wider for further looks. Or leads away from a threshold that the interval `found` does
    not hold, as in `TwiceTrained`.
    """
    i, j = next((seen.index(n // 2), k) for k, n in reversed(list(enumerate(seen))) if n // 2 in seen)
    means, once = values.mean(axis=0), student(values[:, -1])
    change, half = float(means[j] - means[i]), (once["high"] - once["low"]) / 2
    detail = f"from {seen[i]:,} to {seen[j]:,} images it changes by {change:+.3f}{unit}, the interval is +-{half:.3f}"
    away = (found["low"] > threshold and change > 0) or (found["high"] < threshold and change < 0)
    passed = abs(change) < half
    more = ", away from the threshold" if away and not passed else ""
    return GateResult("twice the budget changes nothing", passed or away, detail + more)


def _excess(row: Mapping[str, Any], confidence: float) -> dict[str, float]:
    disjoint, same = (mean_over_sigmas(row, f"distance_{kind}")[:, -1] for kind in ("disjoint", "same"))
    return student(disjoint - same, confidence)
