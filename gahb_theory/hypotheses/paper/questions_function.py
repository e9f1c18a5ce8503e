"""Whether networks on disjoint sets become the same function beyond a linear filter (figures 2, 10, 12).

    cosine of f_A(y) - W_C(y) and f_B(y) - W_D(y)

A, B the disjoint sets of `questions_samples`, W_C and W_D Wiener filters of two more. Two Wiener filters of disjoint sets are
as near to each other as networks are, so that the distance of two outputs says nothing; what they do beyond two others is
errors of estimation alone, whose cosine is 0 by theory where all four have as many images, as here (`hypotheses.linear_null`).
Networks that memorise share less.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.paper import memorisation_plane as plane
from gahb_theory.hypotheses.paper.questions_samples import (
    MEMORISED,
    PAIRS,
    SEED,
    SIGMAS,
    better_than_filter,
    filters,
    memorisers,
    networks,
)
from gahb_theory.hypotheses.paper.workshop import Workshop, row_of_values
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.randomness import add_noise

__all__ = ["rows"]

SHARED = 0.75
"""Fixed before the numbers."""
COUNTS = (1, *MEMORISED)


def rows(w: Workshop, checkpoints: Path) -> dict[str, dict[str, Any]]:
    """The verdict by key."""
    s = plane.SCALES["laptop"]
    x = DisjointPart(s.of, s.test_images, 2).images()
    fits, models = filters(s.of), networks(w)
    memorised = memorisers(checkpoints, COUNTS)

    def agreement(models: Any, name: Any) -> np.ndarray:
        """(pairs, images), mean over noise levels; `name(half, pair)` is that of a model."""
        values = []
        for k in range(len(PAIRS)):
            chosen = [(models[name(h, k)], fits[f"wiener_{away}{k}"]) for h, away in zip("AB", "CD", strict=True)]
            values.append(np.mean([_cosine(chosen, x, sigma) for sigma in SIGMAS], axis=0))
        return np.stack(values)

    nulls = {
        f"networks, N = {n:,}": agreement(memorised, lambda h, k, n=n: plane.network_name(n, h, k)) for n in COUNTS
    }
    nulls["Wiener filters"] = agreement(fits, lambda h, k: f"wiener_{h}{k}")
    row = row_of_values(
        "Networks of disjoint sets share three quarters of what they do beyond a Wiener filter: cosine above .75.",
        agreement(models, lambda h, k: f"{h}{k}"),
        Criterion(SHARED, ">"),
        nulls,
        [better_than_filter(s, models, fits["wiener_A0"])],
        about="UNet(16, 2), disjoint sets of 128,000 images",
    )
    return {"same function beyond a filter": row | {"figures": "2, 10, 12"}}


def _cosine(chosen: list[tuple[Any, Any]], x: torch.Tensor, sigma: float) -> np.ndarray:
    """Cosine of what two denoisers do beyond their filters, for each image."""
    y = add_noise(x, sigma, seed=SEED)
    with torch.no_grad():
        a, b = ((f(y, sigma) - away(y, sigma)).flatten(1).double() for f, away in chosen)
    return np.asarray(torch.nn.functional.cosine_similarity(a, b, dim=1))
