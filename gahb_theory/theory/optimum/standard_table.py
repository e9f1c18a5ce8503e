"""The table of Bayes intervals that comes with the package, made by experiments/optimum.py.

standard.json holds for each class and noise level the bounds at each image, the work and the versions; standard.npz the
centres, as integers of 16 bits in units of 2^-14, and the traces. Rounding a centre is as good as another denoiser's output: it
adds less than 1e-7 of a squared intensity to a risk.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gahb_theory import runs
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import read_arrays
from gahb_theory.theory.optimum.enclosure import BayesRisk, Enclosed, enclosure

__all__ = ["UNIT", "entry_name", "stored_risk", "stored_table"]

FOLDER = Path(__file__).parent
UNIT = 2.0**-14


def entry_name(X: Any, sigma: float, n: int, seed: int) -> str:
    """What an entry is called: everything that determines it."""
    return json.dumps([runs.describe(X), sigma, n, seed], sort_keys=True)


@lru_cache(maxsize=1)
def stored_table() -> dict[str, Any]:
    """The entries by name; empty where the table was not made."""
    file = FOLDER / "standard.json"
    return {entry["name"]: entry for entry in runs.read_json(file)["entries"]} if file.exists() else {}


@lru_cache(maxsize=1)
def _centres() -> dict[str, np.ndarray]:
    return read_arrays(FOLDER / "standard.npz")


def stored_risk(X: Any, sigma: float, n: int, seed: int) -> BayesRisk | None:
    """The Bayes risk as the table has it, or None."""
    entry = stored_table().get(entry_name(X, sigma, n, seed))
    if entry is None:
        return None
    y = add_noise(X.sample(n, seed=seed, dtype=torch.float64), sigma, seed=seed)
    arrays = _centres()
    centre = torch.from_numpy(arrays[f"centre-{entry['number']}"] * UNIT).reshape(y.shape)
    lower, upper, trace = (torch.tensor(entry[k], dtype=torch.float64) for k in ("lower", "upper", "trace"))
    method = f"standard table, {entry['work']['steps']} steps of chains from the truth and from nowhere"
    return enclosure(Enclosed(y, centre, trace, lower, upper), sigma, method, dict(entry["work"]), exact=False)
