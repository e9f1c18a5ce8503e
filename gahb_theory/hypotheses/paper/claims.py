"""What the experiments share: noise levels, seeds, the paper's recipe, and claims beside what is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gahb_theory.metrics import Estimate
from gahb_theory.theory import SlopeFit
from gahb_theory.training import Recipe

__all__ = [
    "NOISE_SEED",
    "PAPER_RECIPE",
    "SIGMAS",
    "TEST_SEED",
    "Claim",
    "estimate_as_json",
    "interval",
    "slope_as_json",
]

SIGMAS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0)
TEST_SEED, NOISE_SEED = 77, 78
PAPER_RECIPE = replace(Recipe.published(), images_seen=250_000_000, batch_size=512)
"""1000 epochs of 250,000 images."""


@dataclass(frozen=True)
class Claim:
    """A sentence of the paper, our number, its number, and a note; `decided` holds the verdicts."""

    claim: str
    ours: str
    paper: str
    why: str


def estimate_as_json(e: Estimate) -> dict[str, Any]:
    """An estimate as JSON holds it, to six digits."""
    digits = np.vectorize(lambda v: float(f"{v:.6g}"))
    return {name: digits(getattr(e, name)).tolist() for name in ("value", "low", "high")}


def slope_as_json(fit: SlopeFit) -> dict[str, Any]:
    """A fitted slope as JSON holds it."""
    return {"value": fit.slope, "low": fit.low, "high": fit.high, "window": list(fit.window), "points": fit.points}


def interval(e: Mapping[str, Any], digits: int = 2) -> str:
    """An estimate or a slope in words."""
    return f"{e['value']:.{digits}f} [{e['low']:.{digits}f}, {e['high']:.{digits}f}]"
