"""The tables of Bayes intervals that come with the package, made by experiments/optimum.py.

standard.json, and benchmark.json for the images of `gahb_theory.benchmark`, hold for each class and noise level the bounds at
each image, the work and the versions; the .npz files beside them the centres, as integers of 16 bits in units of 2^-14.
Rounding a centre is as good as another denoiser's output: it adds less than 1e-7 of a squared intensity to a risk.
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
TABLES = ("standard", "benchmark")
UNIT = 2.0**-14


def entry_name(X: Any, sigma: float, n: int, seed: int) -> str:
    """What an entry is called: everything that determines it."""
    return json.dumps([runs.describe(X), sigma, n, seed], sort_keys=True)


@lru_cache(maxsize=1)
def stored_table() -> dict[str, Any]:
    """The entries by name, each with the table that it is in; empty where no table was made."""
    files = [FOLDER / f"{table}.json" for table in TABLES]
    return {
        entry["name"]: entry | {"table": file.stem}
        for file in files
        if file.exists()
        for entry in runs.read_json(file)["entries"]
    }


@lru_cache(maxsize=len(TABLES))
def _centres(table: str) -> dict[str, np.ndarray]:
    return read_arrays(FOLDER / f"{table}.npz")


def stored_risk(X: Any, sigma: float, n: int, seed: int) -> BayesRisk | None:
    """The Bayes risk as the table has it, or None."""
    entry = stored_table().get(entry_name(X, sigma, n, seed))
    if entry is None:
        return None
    y = add_noise(X.sample(n, seed=seed, dtype=torch.float64), sigma, seed=seed)
    arrays = _centres(entry["table"])
    centre = torch.from_numpy(arrays[f"centre-{entry['number']}"] * UNIT).reshape(y.shape)
    lower, upper, trace = (torch.tensor(entry[k], dtype=torch.float64) for k in ("lower", "upper", "trace"))
    method = f"{entry['table']} table, {entry['work']['steps']} steps of chains from the truth and from nowhere"
    return enclosure(Enclosed(y, centre, trace, lower, upper), sigma, method, dict(entry["work"]), exact=False)
