"""What the plane of training images N and images seen says: intervals over repetitions, and when memorisation begins.

    t_mem(N)   images seen at which the gap first exceeds 1 dB          ~ N^a
    t_gen(N)   images seen at which the test PSNR first comes within 1 dB of the best of the plane

A crossing between two points is interpolated on logarithmic axes. One that lies before the first point or beyond the last is
not known, and takes no part in the exponents.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["GAP", "NEAR", "crossing", "exponent", "local_exponents", "mean_over_sigmas", "spectrum", "student", "times"]

GAP, NEAR = 1.0, 1.0
"""Decibels above which a gap is memorisation; decibels from the best test PSNR within which a network generalises."""
SPECTRUM_IMAGES, SPECTRUM_SEED = 16_384, 2**42 + 7


def spectrum(X: Any) -> Tensor:
    """Eigenvalues of the covariance of many images of a class, drawn with a seed that nobody trains with."""
    x = X.sample(SPECTRUM_IMAGES, seed=SPECTRUM_SEED).flatten(1).double()
    return torch.linalg.eigvalsh(torch.cov(x.T)).clamp(min=0)


def student(values: Any, confidence: float = 0.95) -> dict[str, float]:
    """Mean over the repetitions, with Student's interval; without ends where there is one repetition.

    Examples
    --------
    >>> {name: round(v, 2) for name, v in student([1.0, 2.0, 3.0]).items()}
    {'value': 2.0, 'low': -0.48, 'high': 4.48}
    """
    from scipy.stats import t

    found = np.asarray(values, dtype=float)
    mean = float(found.mean())
    if len(found) < 2:
        return {"value": mean, "low": -math.inf, "high": math.inf}
    half = float(t.ppf(0.5 + confidence / 2, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    return {"value": mean, "low": mean - half, "high": mean + half}


def mean_over_sigmas(row: Mapping[str, Any], name: str) -> np.ndarray:
    """A quantity of one N, shape (repetitions, snapshots)."""
    values = np.asarray(row[name], dtype=float)
    return values.mean(axis=2) if values.ndim == 3 else values


def crossing(x: Sequence[Any], values: Any, level: float) -> float | None:
    """The x at which the values first rise above a level, between two points of log x; None where they do not.

    Examples
    --------
    >>> round(crossing([1, 10, 100], [0.0, 0.0, 2.0], 1.0), 3)
    31.623
    >>> crossing([1, 10], [2.0, 3.0], 1.0) is None
    True
    """
    for (a, low), (b, high) in zip(zip(x, values, strict=True), list(zip(x, values, strict=True))[1:], strict=False):
        if low <= level < high:
            part = (level - low) / (high - low)
            return float(math.exp(math.log(a) + part * (math.log(b) - math.log(a))))
    return None


def times(results: Mapping[str, Any], kind: str) -> dict[int, list[float | None]]:
    """t_mem ("gap") or t_gen ("test") of each repetition, by N."""
    snapshots, rows = results["snapshots"], results["rows"]
    best = max(mean_over_sigmas(row, "psnr_test").mean(axis=0).max() for row in rows)
    name, level = ("gap", GAP) if kind == "gap" else ("psnr_test", best - NEAR)
    return {row["n"]: [crossing(snapshots, v, level) for v in mean_over_sigmas(row, name)] for row in rows}


def exponent(by_n: Mapping[int, Sequence[float | None]], confidence: float = 0.95) -> dict[str, float] | None:
    """The slope of log time against log N, with Student's interval over the repetitions; None where nothing can be fitted.

    The N at which every repetition has a time take part, at least two.

    Examples
    --------
    >>> {k: round(v, 6) for k, v in exponent({10: [20.0, 30.0], 100: [200.0, 300.0], 1000: [None, 5.0]}).items()}
    {'value': 1.0, 'low': 1.0, 'high': 1.0}
    """
    known = {n: [t for t in found if t is not None] for n, found in by_n.items()}
    usable = {n: found for n, found in known.items() if found and len(found) == len(by_n[n])}
    count = min((len(found) for found in usable.values()), default=0)
    if len(usable) < 2 or count < 2:
        return None
    logs = np.log(list(usable))
    slopes = [float(np.polyfit(logs, np.log([usable[n][r] for n in usable]), 1)[0]) for r in range(count)]
    return student(slopes, confidence)


def local_exponents(by_n: Mapping[int, Sequence[float | None]]) -> dict[str, list[float]]:
    """The exponents between neighbouring N at which every repetition has a time, one for each repetition.

    They differ where no single power is behind the times.

    Examples
    --------
    >>> local_exponents({10: [20.0, 30.0], 100: [200.0, 300.0], 1000: [None, 5.0]})
    {'10 to 100': [1.0, 1.0]}
    """
    known = {n: np.array(found, dtype=float) for n, found in by_n.items() if found and None not in found}
    pairs = zip(list(known.items()), list(known.items())[1:], strict=False)
    return {
        f"{a:,} to {b:,}": [round(float(v), 3) for v in np.log(after / before) / math.log(b / a)]
        for (a, before), (b, after) in pairs
    }
