"""How often the verdict of a hypothesis is wrong: `python benchmarks/verdicts.py` prints the table and writes verdicts.json.

The truth lies on the threshold, so that nothing should be decided: an interval above it supports what is false, one below it
refutes what is true. Each is allowed in 5 % of all cases. Effects of seeds and images and the rest are normal, or exponential
(skewness 2); several sizes of the three are tried, and the worst is printed. 10,000 cases each: the standard error of 5 % is
0.2 %.
"""

import json
from pathlib import Path

import numpy as np

from gahb_theory.hypotheses.crossed import mean_squares, reach

CASES = 10_000
SEEDS, IMAGES = (3, 4, 5, 7, 10), (8, 16, 32, 64)
SIZES = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 1), (0.3, 1, 0.5))
"""Standard deviations of seeds, images and the rest."""


def drawn(kind, generator, shape):
    """Numbers of mean 0 and variance 1."""
    if kind == "normal":
        return generator.standard_normal(shape, dtype=np.float32)
    return generator.exponential(size=shape).astype(np.float32) - 1


def rates(kind, seeds, n, sizes, generator):
    """Share of the intervals above the truth, and below it."""
    shapes = ((CASES, seeds, 1), (CASES, 1, n), (CASES, seeds, n))
    values = sum(size * drawn(kind, generator, shape) for size, shape in zip(sizes, shapes, strict=True)).astype(
        np.float64
    )
    half, _ = reach(*mean_squares(values), seeds, n)
    mean = values.mean(axis=(1, 2))
    return float((mean - half > 0).mean()), float((mean + half < 0).mean())


def main():
    """Simulate, print, and write."""
    rows = []
    print(f"in %, the worst of {len(SIZES)} sizes of the effects")
    print(f"{'errors':12}{'seeds':>6}{'images':>8}{'supported, false':>18}{'refuted, true':>16}{'both':>8}")
    for kind in ("normal", "exponential"):
        for seeds in SEEDS:
            for n in IMAGES:
                generator = np.random.default_rng([seeds, n, kind == "normal"])
                found = np.array([rates(kind, seeds, n, sizes, generator) for sizes in SIZES])
                above, below, both = found[:, 0].max(), found[:, 1].max(), found.sum(axis=1).max()
                rows.append(
                    {"errors": kind, "seeds": seeds, "images": n, "supported": above, "refuted": below, "both": both}
                )
                print(f"{kind:12}{seeds:6}{n:8}{100 * above:18.2f}{100 * below:16.2f}{100 * both:8.2f}", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps({"cases": CASES, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
