"""Contours of regularity 1.5, 2 and 4 on the same background of regularity 8: the price of roughness (figure 17).

The images differ in their contours alone: backgrounds, means and noise are the same for all three classes, so that image i of
one is compared with image i of another. With N(x) the pixels within two of the contour and A(x) the others,

    roughness    10 log10 e_N / e_A of contours of regularity 1.5, less that of contours of regularity 4, e_N and e_A the mean
                 squared error over N(x) and A(x): what roughness adds at contours, beyond what it adds elsewhere
    near         mean over N(x) of (f - E[x|y])^2, over that of (x - E[x|y])^2, whose mean over images is the optimum's error;
                 the square is (f - a)(f - b) with the means a and b of independent chains, whose own errors drop out

A Wiener filter of each class knows no contour, and neither does an untrained network. The noise levels are that of the figure
and half of it; criteria were written before the numbers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.gates import BeatsSimple, Measured, change_inside_interval
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.nulls import Wiener
from gahb_theory.hypotheses.paper.judged_measures import AboveOptimum
from gahb_theory.hypotheses.paper.judged_networks import CONTOURS, SMOOTH, Judged, Settings
from gahb_theory.hypotheses.paper.questions_optimum import BAYES, IMAGES, NEAR
from gahb_theory.hypotheses.paper.questions_training import near_contours
from gahb_theory.hypotheses.paper.workshop import (
    TRAIN_IMAGES,
    TRAIN_SEED,
    Question,
    Workshop,
    beats_simple,
    doubling,
    row_of_values,
)
from gahb_theory.hypotheses.subjects import Given, Setting
from gahb_theory.images import CAlpha
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise

__all__ = ["ContourExcess", "contrast", "errors", "pictures", "questions", "rows"]

KIND, LEVELS, DISTANCE, STEPS = "small", (0.1, 0.2), 2, 800
ROUGH, REGULAR = CONTOURS[0], CONTOURS[-1]
ADDED = 0.5
"""Decibels; that, and 1 dB above the optimum, were fixed before the numbers."""
ADDS = (
    f"Contours of regularity {ROUGH:g} rather than {REGULAR:g}, on the same backgrounds, raise the error of networks within "
    f"two pixels of them by {ADDED:g} dB more than away from them."
)


def errors(f: Denoiser, measure: AboveOptimum, sigma: float) -> np.ndarray:
    """Mean squared error near the contour, and away from it, of each image: (2, images)."""
    known = measure.bayes(sigma)._known()
    near = near_contours(measure.X, measure.count, DISTANCE)
    with torch.no_grad():
        squared = (f(known.noisy.float(), sigma).double() - _clean(measure)).square()
    return np.stack([_mean(squared, mask).numpy() for mask in (near, ~near)])


def contrast(pair: Mapping[float, Denoiser], measures: Mapping[float, AboveOptimum]) -> np.ndarray:
    """What the rougher contours add near them beyond what they add elsewhere, in decibels: one number for each image."""
    found = {}
    for alpha, f in pair.items():
        near, away = np.mean([10 * np.log10(errors(f, measures[alpha], sigma)) for sigma in LEVELS], axis=0)
        found[alpha] = near - away
    return found[min(pair)] - found[max(pair)]


@dataclass(frozen=True, eq=False)
class ContourExcess:
    """How much a denoiser adds near the contours to the error of the optimum there, for the images of a Bayes interval."""

    above: AboveOptimum
    name: str = "excess near contours"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        known = self.above.bayes(sigma)._known()
        near = near_contours(self.above.X, self.above.count, DISTANCE)
        with torch.no_grad():
            estimate = f(known.noisy.float(), sigma).double()
            other = known.centre if known.blind is None else known.blind  # an exact centre has no error of its own
            excess = (estimate - known.centre) * (estimate - other)
        optimum = (_clean(self.above) - known.centre).square()
        return _mean(excess, near) / _mean(optimum, near).mean()


def _clean(measure: AboveOptimum) -> Tensor:
    """The images of a Bayes interval, which are drawn in double precision."""
    return measure.X.sample(measure.count, seed=0, dtype=torch.float64)


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over the pixels of a mask, for each image."""
    return (values * mask).sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3))


@cache
def _above(X: CAlpha) -> AboveOptimum:
    """The measure, whose Bayes intervals are computed once."""
    return AboveOptimum(X, IMAGES, BAYES, STEPS)


def _plan(judged: Judged, w: Workshop) -> Plan:
    return Plan(images=IMAGES, sigmas=LEVELS, looks=judged.looks(w.settings))


def _class(alpha: float, s: Settings) -> CAlpha:
    return s.images(f"contour_{alpha:g}")


def _near(judged: Judged, alpha: float, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    X, wrong = _class(alpha, w.settings), REGULAR if alpha < REGULAR else ROUGH
    other = w.given(w.longest(KIND, f"contour_{wrong:g}"), f"network trained for contours of regularity {wrong:g}")
    h = Hypothesis(
        f"Near contours of regularity {alpha:g} on a background of regularity {SMOOTH:g}, small networks are within 1 dB of "
        "the optimum.",
        ContourExcess(_above(X)),
        Criterion(NEAR, "<"),
        nulls=[Wiener(), Given(w.untrained(judged), "untrained network"), other],
        gates=[beats_simple(X), w.twice(judged)],
        plan=_plan(judged, w),
        unit="of the optimum's error there",
        source="Kadkhodaie et al. (2024), figure 17",
    )
    return h, w.given(judged), None, X.sample(IMAGES, seed=0), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


def questions(w: Workshop) -> list[Question]:
    """How near the optimum networks come at contours, for each regularity."""
    found = []
    for alpha in CONTOURS:
        judged = w.longest(KIND, f"contour_{alpha:g}")
        other = w.longest(KIND, f"contour_{REGULAR if alpha < REGULAR else ROUGH:g}")
        key, make = f"near contours of regularity {alpha:g}", partial(_near, judged, alpha)
        found.append(Question(key, "17", (judged, *doubling(judged), other), make))
    return found


def rows(w: Workshop) -> dict[str, dict[str, Any]]:
    """The verdict on what roughness adds at contours, with the errors of all models near them and away."""
    judged = {alpha: w.longest(KIND, f"contour_{alpha:g}") for alpha in CONTOURS}
    measures = {alpha: _above(_class(alpha, w.settings)) for alpha in CONTOURS}
    networks = {alpha: w.networks(j) for alpha, j in judged.items()}
    untrained = {alpha: w.untrained(j) for alpha, j in judged.items()}
    settings = {alpha: _settings(networks[alpha], measures[alpha].X) for alpha in CONTOURS}
    wiener: dict[float, list[Any]] = {alpha: [settings[alpha][0].wiener] for alpha in CONTOURS}
    optimum: dict[float, list[Any]] = {alpha: [_posterior_mean(measures[alpha])] for alpha in CONTOURS}

    def compared(models: Mapping[float, list[Any]]) -> np.ndarray:
        pairs = zip(models[ROUGH], models[REGULAR], strict=True)
        return np.stack([contrast({ROUGH: f, REGULAR: g}, measures) for f, g in pairs])

    values, plan = compared(networks), _plan(judged[ROUGH], w)
    levels = Hypothesis(ADDS, ContourExcess(measures[ROUGH]), Criterion(ADDED, ">"), [Wiener()], plan=plan)
    short, long = ({a: [w.networks(doubling(judged[a])[k], [0])[0]] for a in (ROUGH, REGULAR)} for k in (0, 1))
    change = float(compared(long).mean() - compared(short).mean())
    measured = {
        alpha: Measured(levels, settings[alpha], (), values, two_level(values, plan.confidence)[0])
        for alpha in (ROUGH, REGULAR)
    }
    gates = [
        beats_simple(measures[alpha].X, f"{BeatsSimple.name}, regularity {alpha:g}").check(run)
        for alpha, run in measured.items()
    ]
    gates.append(change_inside_interval("twice the budget changes nothing", change, measured[ROUGH], " (1 seed)"))
    row = row_of_values(
        ADDS,
        values,
        Criterion(ADDED, ">"),
        {"linear Wiener filter": compared(wiener), "untrained network": compared(untrained)},
        gates,
        unit="dB",
        about=f"{judged[ROUGH].name} and {judged[REGULAR].name}, sigma = {', '.join(map(str, LEVELS))}",
        looks=plan.looks,
    )
    models = {"networks": networks, "exact optimum": optimum, "Wiener filter": wiener}
    row["reference"] = {
        "of the exact optimum": round(float(compared(optimum).mean()), 3),
        "levels": list(LEVELS),
        "mean squared error near and away": {
            name: {f"{alpha:g}": [_errors_by_level(f, measures[alpha]) for f in fs] for alpha, fs in found.items()}
            for name, found in models.items()
        },
    }
    return {"roughness of contours": row | {"figures": "17"}}


def pictures(w: Workshop, image: int = 0, sigma: float = LEVELS[-1], count: int = 7) -> dict[str, np.ndarray]:
    """Leading eigenvectors (count, 1, h, w) and eigenvalues at the image of each class, and that image."""
    found = {}
    for alpha in CONTOURS:
        X = _class(alpha, w.settings)
        x = X.sample(IMAGES, seed=0)[image : image + 1]
        f = w.networks(w.longest(KIND, f"contour_{alpha:g}"))[0]
        E = jacobian(f, add_noise(x, sigma, seed=0, start=image), sigma).eigenbasis()
        found[f"{alpha:g}/clean"] = x[0].numpy()
        found[f"{alpha:g}/atoms"] = E.atom_images(list(range(count))).numpy()
        found[f"{alpha:g}/eigenvalues"] = E.eigenvalues[:count].numpy()
    return found


def _settings(networks: list[Any], X: CAlpha) -> tuple[Setting, ...]:
    subject = Given(networks, "networks")
    x, train = X.sample(IMAGES, seed=0), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)
    return tuple(Setting(subject, f, k, x, train) for k, f in enumerate(networks))


def _posterior_mean(measure: AboveOptimum) -> Callable[[Tensor, Any], Tensor]:
    """E[x|y] at the noisy images of the Bayes interval."""
    return lambda y, sigma: measure.bayes(sigma)._known().centre


def _errors_by_level(f: Denoiser, measure: AboveOptimum) -> list[list[float]]:
    return [[float(f"{v:.5g}") for v in errors(f, measure, sigma).mean(axis=1)] for sigma in LEVELS]
