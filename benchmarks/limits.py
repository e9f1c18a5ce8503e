"""How often the interval of a limit over budgets misses it: `python benchmarks/limits.py` prints and writes limits.json.

Values c + a_si b^-p + noise, 3 seeds and 16 images as on the manifolds: a_si differs by 20 % between seeds and by 50 % between
images, and each network has an error of its own, 5 % of what its budget adds. The limit and its interval are those of
`hypotheses.paper.budget_limit` and `two_level`. 400 cases each: the standard error of 5 % is 1.1 %. Some minutes of one core.
"""

import json
from pathlib import Path

import numpy as np

from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.paper.budget_limit import limit_values

CASES, SEEDS, IMAGES = 400, 3, 16
LIMIT, AMOUNT = 1.0, 6.0
POWERS = (0.35, 0.5, 0.7, 1.0)
BUDGETS = {"disks": (8, 32, 64, 128), "ray and cone": (8, 16, 32, 128), "with 512,000": (8, 32, 64, 128, 512)}
"""In thousands of images."""


def misses(power, budgets, generator):
    """Share of the intervals above the limit, and below it."""
    above = below = 0
    scale = (np.array(budgets) / budgets[0]) ** -power
    for _ in range(CASES):
        seeds, images = generator.standard_normal((SEEDS, 1)), generator.exponential(size=IMAGES) - 1
        amount = AMOUNT * (1 + 0.2 * seeds) * (1 + 0.5 * images)
        own = 1 + 0.05 * generator.standard_normal((len(budgets), SEEDS, 1))
        table = LIMIT + scale[:, None, None] * own * amount
        e, _ = two_level(limit_values(table, budgets))
        above, below = above + (e.low > LIMIT), below + (e.high < LIMIT)
    return above / CASES, below / CASES


def main():
    """Simulate, print, and write."""
    rows = []
    print(f"{'budgets':16}{'power':>6}{'above the limit, %':>20}{'below it, %':>14}")
    for name, budgets in BUDGETS.items():
        for power in POWERS:
            above, below = misses(power, budgets, np.random.default_rng([len(rows), 1]))
            rows.append({"budgets": list(budgets), "power": power, "above": above, "below": below})
            print(f"{name:16}{power:6}{100 * above:20.1f}{100 * below:14.1f}", flush=True)
    Path(__file__).with_suffix(".json").write_text(json.dumps({"cases": CASES, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
