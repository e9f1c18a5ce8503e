"""The linear null against filters that are fitted: memory, agreement, distance across training sets, cosine of paired samples.

    python benchmarks/linear_null.py

For each number of training images, two Wiener filters A and B are fitted on images of a Gaussian field of 16 pixels, all drawn
anew each time with seeds that no test and no earlier check has. The means over repetitions, with their 99 % intervals, stand
beside what theory gives for the true spectrum. The theory neglects fluctuations of the few strong modes of this field, so that
memory and distance are a few per cent larger, by the most at the larger noise. Writes linear_null.json beside this file, in two
minutes of one core.
"""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.generalization import function_distance
from gahb_theory.hypotheses.linear_null import filter_agreement, filter_distance, filter_memory, filter_sample_cosine
from gahb_theory.hypotheses.output_measures import Memory, TwinAgreement
from gahb_theory.metrics import mean_estimate
from gahb_theory.sampling.flow import karras_levels, probability_flow

FIELD = gt.GaussianField(size=16)
SPECTRUM = torch.linalg.eigvalsh(FIELD.covariance.matrix()).clamp(min=0)
NUMBERS, SIGMAS = (60, 120, 400), (0.05, 0.2)
OTHERS, TESTED, REPEATS, FIRST_SEED = 3000, 100, 20, 3_026_112_800


def cosine(a: Tensor, b: Tensor) -> float:
    """E<a, b> / (E||a||^2 E||b||^2)^(1/2) over samples, less the mean of the class."""
    a, b = a.double() - FIELD.mean, b.double() - FIELD.mean
    return float((a * b).sum() / (a.square().sum() * b.square().sum()).sqrt())


def measured(n: int, seed: int) -> dict[str, float]:
    """All measures for one draw of everything."""
    train, other, test, others = (FIELD.sample(count, seed=seed + k) for k, count in enumerate((n, n, TESTED, OTHERS)))
    a, b = gt.GaussianDenoiser.fit(train), gt.GaussianDenoiser.fit(other)
    drawn = [
        probability_flow(
            f, (TESTED, 1, 16, 16), seed=seed, sigmas=karras_levels(40, sigma_0=20.0, sigma_inf=0.002)
        ).images
        for f in (a, b)
    ]
    found = {"cosine of samples": cosine(*drawn)}
    ratio = function_distance(a, b, test, SIGMAS, seed=seed).ratio.value
    for sigma, distance in zip(SIGMAS, np.atleast_1d(ratio), strict=True):
        found |= {
            f"memory, sigma = {sigma:g}": float(Memory(train, others)(a, test, sigma, seed).mean()),
            f"agreement, sigma = {sigma:g}": float(TwinAgreement(b, others, n)(a, test, sigma, seed).mean()),
            f"distance, sigma = {sigma:g}": float(distance),
        }
    return found


def predicted(n: int) -> dict[str, float]:
    """What theory gives."""
    found = {"cosine of samples": filter_sample_cosine(SPECTRUM, n)}
    for sigma in SIGMAS:
        found |= {
            f"memory, sigma = {sigma:g}": filter_memory(SPECTRUM, n, sigma),
            f"agreement, sigma = {sigma:g}": filter_agreement(SPECTRUM, n, OTHERS // 3, sigma),
            f"distance, sigma = {sigma:g}": filter_distance(SPECTRUM, n, sigma),
        }
    return found


def main() -> None:
    """Print a line for each number of images and measure, and write them."""
    torch.set_num_threads(1)
    rows = []
    for n in NUMBERS:
        drawn = [measured(n, FIRST_SEED + 1000 * n + 10 * k) for k in range(REPEATS)]
        for name, theory in predicted(n).items():
            e = mean_estimate(np.array([found[name] for found in drawn]), 0.99)
            row = {"images": n, "measure": name, "theory": round(theory, 4)}
            row |= {end: round(float(getattr(e, end)), 4) for end in ("value", "low", "high")}
            rows.append(row | {"inside": bool(e.low <= theory <= e.high)})
            print(row, rows[-1]["inside"], flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
