"""How often the intervals of the library hold what they should, for a nominal 95 %.

    python benchmarks/interval_coverage.py

Every number is counted over simulated samples whose truth is known. Writes interval_coverage.json beside this file, in a few
minutes of one core. The old intervals, percentiles of the bootstrap, are counted beside the new ones.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gahb_theory as gt
from gahb_theory.metrics import (
    bootstrap_means,
    difference_estimate,
    draw_counts,
    linear_estimate,
    mean_estimate,
    percentiles,
)
from gahb_theory.theory import decay_exponent
from gahb_theory.theory.optimum.suboptimality import log_mean_parts

NUMBERS = (6, 8, 12, 24, 64)
"""Numbers of images."""
TRIALS = 50_000
"""Samples for intervals of means; other counts are a part of it."""
LEVELS = np.geomspace(0.03, 1, 8)

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
ERRORS: dict[str, tuple[Draw, float]] = {
    "normal": (lambda g, shape: g.normal(1, 1, shape), 1.0),
    "log-normal .5": (lambda g, shape: g.lognormal(-1 / 8, 0.5, shape), 1.0),
    "log-normal 1": (lambda g, shape: g.lognormal(-1 / 2, 1.0, shape), 1.0),
}
"""Errors of images with the mean 1."""


def means(trials: int = TRIALS) -> dict[str, dict[int, float]]:
    """Coverage of `mean_estimate`."""
    return {
        name: {n: _share(mean_estimate(draw(_generator(n), (trials, n))), truth) for n in NUMBERS}
        for name, (draw, truth) in ERRORS.items()
    }


def percentile_means(trials: int = TRIALS // 10) -> dict[str, dict[int, float]]:
    """Coverage of the percentiles of the bootstrap, as `mean_estimate` had them before."""
    found: dict[str, dict[int, float]] = {}
    for name, (draw, truth) in ERRORS.items():
        found[name] = {}
        for n in NUMBERS:
            low, high = np.quantile(
                bootstrap_means(draw(_generator(n), (trials, n)), draw_counts(n, seed=n)), [0.025, 0.975], axis=-1
            )
            found[name][n] = float(((low <= truth) & (truth <= high)).mean())
    return found


def differences(trials: int = TRIALS) -> dict[str, dict[int, float]]:
    """Coverage of `difference_estimate` for n and 2 n images."""
    return {
        name: {
            n: _share(
                difference_estimate(draw(_generator(n), (trials, n)), draw(_generator(n + 1), (trials, 2 * n))), 0
            )
            for n in NUMBERS
        }
        for name, (draw, _) in ERRORS.items()
    }


def ratios(trials: int = TRIALS) -> dict[str, dict[int, float]]:
    """Coverage of the ratio of two means of log-normal errors with correlation, as in `function_distance`."""
    found: dict[str, dict[int, float]] = {}
    for deviation in (0.5, 1.0):
        found[f"log-normal {deviation:g}"] = {}
        for n in NUMBERS:
            shared, a, b = _generator(n).normal(0, deviation / 2**0.5, (3, trials, n))
            u, w = np.exp(shared + a), np.exp(shared + b)
            ratio = u.mean(axis=1) / w.mean(axis=1)
            estimate = linear_estimate(ratio, [(u - ratio[:, None] * w) / w.mean(axis=1, keepdims=True)])
            found[f"log-normal {deviation:g}"][n] = _share(estimate, 1)
    return found


def gaps(trials: int = 20_000) -> dict[str, dict[int, float]]:
    """Coverage of the logarithm of such a ratio, as the gap in decibels of `optimality`."""
    found: dict[str, dict[int, float]] = {}
    for deviation in (0.5, 1.0):
        row = found[f"log-normal {deviation:g}"] = {}
        for n in NUMBERS:
            shared, a, b = _generator(n).normal(0, deviation / 2**0.5, (3, trials, n))
            u, w = np.exp(shared + a), np.exp(shared + b)
            value = np.log(u.mean(axis=1) / w.mean(axis=1))
            row[n] = _share(linear_estimate(value, [log_mean_parts(u) - log_mean_parts(w)]), 0)
    return found


def percentile_gaps(trials: int = 1000) -> dict[str, dict[int, float]]:
    """Coverage of the percentiles of the bootstrap for the same, as `optimality` had them before."""
    found: dict[str, dict[int, float]] = {}
    for deviation in (0.5, 1.0):
        row = found[f"log-normal {deviation:g}"] = {}
        for n in NUMBERS:
            shared, a, b = _generator(n).normal(0, deviation / 2**0.5, (3, trials, n))
            counts = draw_counts(n, seed=n)
            u, w = (bootstrap_means(np.exp(shared + part), counts) for part in (a, b))
            row[n] = _share(percentiles(np.zeros(trials), np.log(u / w), 0.95, "bootstrap", images=n), 0)
    return found


def slopes(trials: int = TRIALS // 25) -> dict[str, dict[int, float]]:
    """Coverage of `fit_slope`, with errors that are correlated between neighbouring levels, as those of an image are."""
    found: dict[str, dict[int, float]] = {}
    for correlation in (0.0, 0.9):
        root = np.linalg.cholesky(np.power(correlation, np.abs(np.subtract.outer(range(8), range(8))), dtype=float))
        for deviation in (0.3, 1.0):
            row = found[f"correlation {correlation:g}, log-normal {deviation:g}"] = {}
            for n in NUMBERS:
                generator, hits = _generator(n), 0
                for trial in range(trials):
                    errors = LEVELS[:, None] ** 1.5 * np.exp(deviation * root @ generator.normal(size=(8, n)))
                    fit = gt.fit_slope(LEVELS, errors, seed=trial)
                    hits += fit.low <= 0.75 <= fit.high
                row[n] = hits / trials
    return found


def averaged_slopes(trials: int = TRIALS // 25) -> dict[str, float]:
    """Coverage of Student's t for the residuals of an averaged curve, which `fit_slope` gave before, for 24 images."""
    from scipy.stats import linregress, t

    found: dict[str, float] = {}
    for correlation in (0.0, 0.9):
        root = np.linalg.cholesky(np.power(correlation, np.abs(np.subtract.outer(range(8), range(8))), dtype=float))
        generator, hits = _generator(24), 0
        for _ in range(trials):
            errors = LEVELS[:, None] ** 1.5 * np.exp(0.3 * root @ generator.normal(size=(8, 24)))
            line = linregress(2 * np.log(LEVELS), np.log(errors.mean(axis=1)))
            hits += abs(line.slope - 0.75) <= t.ppf(0.975, 6) * line.stderr
        found[f"correlation {correlation:g}"] = hits / trials
    return found


def decays(trials: int = TRIALS // 200) -> dict[str, dict[int, float]]:
    """Coverage of `decay_exponent`, for the exponent of the mean over 6,000 images of the class."""
    classes: dict[str, tuple[gt.ImageClass, gt.Basis]] = {
        "Gaussian field, cosines": (gt.GaussianField(size=32), gt.DCT()),
        "C^alpha, wavelets": (gt.CAlpha(alpha=2.0, size=32), gt.Wavelet("db4")),
        "disks, wavelets": (gt.Disks(size=32), gt.Wavelet("db4")),
        "photographs, wavelets": (gt.Photographs(size=32), gt.Wavelet("db4")),
    }
    found: dict[str, dict[int, float]] = {}
    for name, (images, basis) in classes.items():
        truth = decay_exponent(basis, images.sample(6000, seed=99)).exponent
        found[name] = {}
        for n in NUMBERS[:4]:
            x, hits = images.sample(trials * n, seed=5), 0
            for trial in range(trials):
                fit = decay_exponent(basis, x[trial * n : (trial + 1) * n], seed=trial)
                hits += fit.low <= truth <= fit.high
            found[name][n] = hits / trials
    return found


def _generator(n: int) -> np.random.Generator:
    return np.random.default_rng(n)


def _share(estimate: gt.Estimate, truth: float) -> float:
    return float(((estimate.low <= truth) & (truth <= estimate.high)).mean())


def main() -> None:
    """Count, print and write."""
    found = {
        "mean": means(),
        "mean, percentiles of the bootstrap": percentile_means(),
        "difference of two means": differences(),
        "ratio of two means": ratios(),
        "gap in decibels": gaps(),
        "gap in decibels, percentiles of the bootstrap": percentile_gaps(),
        "slope": slopes(),
        "slope of an averaged curve by Student's t": averaged_slopes(),
        "decay exponent": decays(),
    }
    Path(__file__).with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
