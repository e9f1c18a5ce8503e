"""Symmetric against plain at equal budget: what an exactly symmetric Jacobian costs, and what it gives.

    python experiments/symmetric.py        trains and measures what is missing, about 40 minutes on one core
    python experiments/symmetric.py draw   the table and the figure of what has been measured

Subject: `Conservative(SmoothUNet(8, 2))`; rival: `SmoothUNet(8, 2)`, the same network without the construction. C^alpha
images (alpha = 2) of 16 pixels, 60,000 images seen, three seeds; the images of different seeds are disjoint. The networks are
those of experiments/asymmetry.py, run before. Every claim has a criterion that was written before the numbers, null models
that must fail, and two gates: better than a Wiener filter, and twice the budget changes nothing. Killed at any moment, the
same command goes on.
"""

import importlib.util
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses import AnotherSeed, BeatsSimple, Criterion, GateResult, Given, OtherGeometry, Plan
from gahb_theory.hypotheses import Untrained, Wiener
from gahb_theory.hypotheses.basis_measures import adaptivity
from gahb_theory.metrics.errors import psnr_per_image
from gahb_theory.runs import write_bytes

_spec = importlib.util.spec_from_file_location("asymmetry", Path(__file__).with_name("asymmetry.py"))
assert _spec is not None
assert _spec.loader is not None
asymmetry = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(asymmetry)

PLAIN, SYMMETRIC = "SmoothUNet, 60,000 images", "Conservative(SmoothUNet), 60,000 images"
FEWER = {PLAIN: "SmoothUNet", SYMMETRIC: "Conservative(SmoothUNet)"}
SEEDS = asymmetry.SEEDS
RESULTS = Path(__file__).parent / "results" / "symmetric"
X = asymmetry.X
TEST_SEED, OTHERS_SEED = 2**41, 2**42
SIGMAS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
BASES = (0.05, 0.1, 0.2)
FOR_DENSITY = (0.02, 0.1, 0.5)
SHOWN_SIGMA, SHOWN = 0.1, (0, 1, 2, 4, 8, 16)


def twice(label: str, seed: int) -> Path:
    """Where the network of twice the budget is."""
    return asymmetry.CHECKPOINTS / f"{label}, twice; seed {seed}"


def networks(label: str) -> list[Any]:
    """The networks of all seeds."""
    return [gt.load_denoiser(asymmetry.CHECKPOINTS / f"{label}; seed {seed}") for seed in SEEDS]


def train_twice() -> None:
    """Train what is missing with twice the budget, one seed after the other."""
    for seed in SEEDS:
        for label in (PLAIN, SYMMETRIC):
            if not twice(label, seed).exists():
                build, recipe = asymmetry.CASES[label]
                recipe = replace(recipe, images_seen=2 * recipe.images_seen, seed=seed)
                run = asymmetry.CHECKPOINTS.parent / "symmetric" / twice(label, seed).name
                f = gt.train(build(seed), X, recipe=recipe, run=run)
                gt.save_denoiser(f, twice(label, seed))
                print(twice(label, seed).name, flush=True)
