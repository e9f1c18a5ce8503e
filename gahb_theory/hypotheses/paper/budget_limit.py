"""What a measure tends to when networks are trained ever longer: a power of the budget beside a constant.

    e_s(b) = c_s + a_s b^(-p)

with one p in [.25, 2] for all seeds s, by least squares; c_s is the limit. Images enter by the jackknife: the values
n c - (n - 1) c_i, c_i the limits without image i, go into the two-level interval over seeds and images.

Simulated for p between .35 and 1 with 3 seeds and 16 images (`benchmarks/limits.py`), the interval misses the truth on either
side in 1 to 9.5 % of all cases with four budgets from 8,000 to 128,000 images, most often for p = .35, and in .5 to 4.8 % with
512,000 as well. A limit that one power does not describe is not in it at all.
"""

from collections.abc import Sequence

import numpy as np

__all__ = ["limit_values", "limits"]

POWERS = np.geomspace(0.25, 2.0, 200)


def limits(means: np.ndarray, budgets: Sequence[int | float] | np.ndarray) -> np.ndarray:
    """The limit of each seed, from the means (budgets, seeds).

    Examples
    --------
    >>> budgets = np.array([1.0, 4.0, 16.0, 64.0])
    >>> limits(np.stack([2 + budgets**-0.5, 5 + 3 * budgets**-0.5], axis=1), budgets).round(2).tolist()
    [2.0, 5.0]
    """
    x = np.asarray(budgets, dtype=float)
    best, found = np.inf, np.zeros(means.shape[1])
    for p in POWERS:
        design = np.stack([np.ones_like(x), (x / x.min()) ** -p], axis=1)
        solution = np.linalg.lstsq(design, means, rcond=None)[0]
        error = float(((design @ solution - means) ** 2).sum())
        if error < best:
            best, found = error, solution[0]
    return found


def limit_values(table: np.ndarray, budgets: Sequence[int | float] | np.ndarray) -> np.ndarray:
    """Jackknife values over images of the limit of each seed, for `two_level`."""
    n = table.shape[2]
    whole = limits(table.mean(axis=2), budgets)
    total = table.sum(axis=2)
    without = np.stack([limits((total - table[:, :, i]) / (n - 1), budgets) for i in range(n)], axis=1)
    return n * whole[:, None] - (n - 1) * without
