"""When eigenbases become geometric, and where networks lose against the optimum (figures 3, 17).

    during training   energy of an image in the best d / 32 vectors of its own eigenbasis, less what others' let expect
                      (`judged_measures.OwnGeometry`), after 0, 1,000, 2,000, ... images at sigma = .1: is half of it there when
                      an eighth of the training is done?
    at contours       share of ||f - E[x|y]||^2 within two pixels of the contour, less the share of pixels that are

Both on plain networks of C^alpha images, alpha = 2.
"""

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.nulls import Identity, Wiener
from gahb_theory.hypotheses.paper.judged_measures import AboveOptimum, OwnGeometry, decibels
from gahb_theory.hypotheses.paper.judged_networks import MANY_SEEDS, Judged
from gahb_theory.hypotheses.paper.questions_geometry import tests
from gahb_theory.hypotheses.paper.questions_optimum import IMAGES, WINDOW, above
from gahb_theory.hypotheses.paper.workshop import (
    TRAIN_IMAGES,
    TRAIN_SEED,
    Question,
    Workshop,
    beats_simple,
    doubling,
    row_of_values,
)
from gahb_theory.hypotheses.subjects import Given
from gahb_theory.images import CAlpha

__all__ = ["NearContours", "questions", "rows"]

SIGMA, EARLY = 0.1, 4000
JUDGED = Judged("plain", "c_alpha_2")
CONCENTRATED = 0.2
"""What the share of the excess at contours exceeds that of the pixels by: fixed before the numbers."""


def rows(w: Workshop) -> dict[str, dict[str, Any]]:
    """The verdict on when eigenbases become geometric, with the course of energy and of decibels above the optimum."""
    X = CAlpha(alpha=2.0, size=w.settings.size)
    x, measure, risk = tests(X), OwnGeometry(w.spectra), above(X)
    groups = {0: w.untrained(JUDGED, MANY_SEEDS)} | {n: w.networks(JUDGED, images_seen=n) for n in w.settings.snapshots}
    groups[w.settings.recipe.images_seen] = w.networks(JUDGED)
    energy = {n: np.stack([measure(f, x, SIGMA, 0).numpy() for f in fs]) for n, fs in groups.items()}
    excess = {n: np.mean([float(risk(f, x, SIGMA, 0).mean()) for f in fs]) for n, fs in groups.items()}
    last = max(energy)
    row = row_of_values(
        f"After {EARLY:,} of {last:,} images, eigenbases of plain networks have more than half of their final own geometry.",
        energy[EARLY] - energy[last] / 2,
        Criterion(0.0, ">"),
        {f"untrained network, {MANY_SEEDS} seeds": energy[0] - energy[last].mean(axis=0) / 2},
        about=f"{JUDGED.name}, sigma = {SIGMA:g}",
    )
    row["reference"] = {
        "own energy by images seen": {
            str(n): [round(float(v), 4) for v in e[: w.settings.seeds].mean(axis=1)] for n, e in energy.items()
        },
        "dB above the optimum by images seen": {str(n): round(decibels(float(v)), 2) for n, v in excess.items()},
    }
    return {"geometry during training": row | {"figures": "3"}}


@dataclass(frozen=True, eq=False)
class NearContours:
    """Share of ||f - E[x|y]||^2 near the contour, less the share of pixels near it, for the images of a Bayes interval.

    Those are drawn in double precision: in single precision the class draws other ones.
    """

    above: AboveOptimum
    distance: int = 2
    name: str = "share of the excess at contours less that of pixels"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        b = self.above.bayes(sigma)._known()
        near = near_contours(self.above.X, self.above.count, self.distance)
        with torch.no_grad():
            excess = (f(b.noisy.float(), sigma).double() - b.centre).square()
        share = (excess * near).sum(dim=(1, 2, 3)) / excess.sum(dim=(1, 2, 3))
        return share - near.double().mean(dim=(1, 2, 3))


@cache
def near_contours(X: CAlpha, count: int, distance: int) -> Tensor:
    """Pixels within some pixels of a contour, for images 0 .. count - 1 of seed 0 in double precision."""
    first = X.scene(count, seed=0, dtype=torch.float64).coverage[:, :1]
    wide = 2 * distance + 1
    high = torch.nn.functional.max_pool2d(first, wide, 1, distance)
    low = -torch.nn.functional.max_pool2d(-first, wide, 1, distance)
    return high - low > 0.5


def _contours(judged: Judged, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    X = CAlpha(alpha=2.0, size=w.settings.size)
    h = Hypothesis(
        "What plain networks lose against the optimum they lose at contours: share of the excess within two pixels above that "
        "of pixels by .2.",
        NearContours(above(X)),
        Criterion(CONCENTRATED, ">"),
        nulls=[Wiener(), Identity(), Given(w.untrained(JUDGED), "untrained network")],
        gates=[beats_simple(X), w.twice(judged)],
        plan=Plan(images=IMAGES, sigmas=WINDOW),
    )
    return h, w.given(judged), None, X.sample(IMAGES, seed=0), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


def questions(w: Workshop) -> list[Question]:
    """The question on contours."""
    judged = w.longest("plain", "c_alpha_2")
    return [Question("excess at contours", "17", (judged, *doubling(judged)), partial(_contours, judged))]
