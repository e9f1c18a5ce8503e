"""How near networks come to the optimum of C^alpha images, and what shuffling the pixels costs (figures 4, 16, 18, 21).

One window of noise levels, [.03, .3], for all alpha and both kinds of networks; 32 test images, whose Bayes interval is that of
the table of the library or computed here. Excesses are in units of the Bayes risk: 0.2589 is 1 dB.

Shuffled networks are judged as y -> P' f(P y), on the same noisy images as the others: the optimum is the same.
"""

from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.nulls import AnotherSeed, Untrained, Wiener
from gahb_theory.hypotheses.paper.judged_measures import AboveOptimum, SlopeApart, decibels
from gahb_theory.hypotheses.paper.judged_networks import ALPHAS, FEW, MANY_SEEDS, Judged
from gahb_theory.hypotheses.paper.workshop import (
    TRAIN_IMAGES,
    TRAIN_SEED,
    NotTrained,
    Question,
    Workshop,
    beats_simple,
    doubling,
    per_network,
)
from gahb_theory.hypotheses.subjects import Given
from gahb_theory.images import CAlpha, Shuffled

__all__ = ["WINDOW", "questions"]

WINDOW = (0.03, 0.05, 0.1, 0.2, 0.3)
IMAGES = 32
BAYES = Path("runs") / "claims" / "bayes"
"""Where chains are kept."""
NEAR, STEEP, PRICE = 0.2589, 0.05, 0.122
"""1 dB above the optimum; a slope this far from its; half a decibel: fixed before the numbers."""
WRONG = {1.0: 3.0, 1.5: 3.0, 2.0: 1.0, 3.0: 1.0}
LESS = "network of 2,000 images"
MORE_SEEDS = {("plain", 2.0): 27, ("plain", 3.0): 27}
"""Of hardly trained networks, where the slopes of nine could not be told from that of the optimum."""
FIGURES = {"plain": "4, 18", "conservative": "4, 18", "bfcnn": "4, 16"}
KIND_NAMES = {"plain": "Plain networks", "conservative": "Conservative networks", "bfcnn": "BF-CNNs"}


@cache
def above(X: Any) -> AboveOptimum:
    """The measure, whose Bayes intervals are computed once."""
    return AboveOptimum(X, IMAGES, BAYES)


def _class(alpha: float) -> str:
    return f"c_alpha_{alpha:g}"


def _nulls(w: Workshop, judged: Judged, alpha: float) -> list[Any]:
    wrong = w.given(w.longest("plain", _class(WRONG[alpha])), f"plain network trained for alpha = {WRONG[alpha]:g}")
    return [Wiener(), Untrained(), wrong, w.given(replace(judged, budget=FEW), LESS)]


def _make(judged: Judged, alpha: float, what: str, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    X, kind, near = CAlpha(alpha=alpha, size=w.settings.size), judged.kind, what == "near"
    seen = f"after {judged.images_seen(w.settings):,} images"
    h = Hypothesis(
        f"{KIND_NAMES[kind]} {seen} are within 1 dB of the optimum of C^alpha images, alpha = {alpha:g}."
        if near
        else f"{KIND_NAMES[kind]} {seen} have the PSNR slope of the optimum of alpha = {alpha:g}, to .05.",
        above(X) if near else SlopeApart(above(X), WINDOW),
        Criterion(NEAR if near else STEEP, "<"),
        nulls=_nulls(w, judged, alpha),
        gates=[beats_simple(X, sigmas=WINDOW), w.twice(judged)],
        plan=Plan(images=IMAGES, sigmas=WINDOW if near else WINDOW[2:3], looks=judged.looks(w.settings)),
        unit="of the Bayes risk" if near else "",
        source="Kadkhodaie et al. (2024), figure 4",
    )
    return h, w.given(judged), None, X.sample(IMAGES, seed=0), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


def _count(judged: Judged, what: str, alpha: float) -> int:
    """How many hardly trained networks there are."""
    return MORE_SEEDS.get((judged.kind, alpha), MANY_SEEDS) if what == "slope" else MANY_SEEDS


def _few(judged: Judged, count: int, w: Workshop) -> list[str]:
    """The keys of hardly trained networks."""
    return [t.key for t in replace(judged, budget=FEW).trainings(w.settings, range(count))]


def _many(judged: Judged, what: str, alpha: float, w: Workshop) -> dict[str, np.ndarray]:
    """The measure on more untrained and hardly trained networks than there are seeds of the subject."""
    h, _, _, x, _ = _make(judged, alpha, what, w)
    few = w.networks(replace(judged, budget=FEW), range(_count(judged, what, alpha)))
    return {"untrained network": per_network(h, w.untrained(judged, MANY_SEEDS), x), LESS: per_network(h, few, x)}


def _reference(judged: Judged, alpha: float, w: Workshop, a: Assessment) -> dict[str, Any]:
    """Decibels of null models and of other budgets at each level, and the slopes of all beside that of the optimum."""
    X = CAlpha(alpha=alpha, size=w.settings.size)
    measure, models = above(X), {"Wiener filter": [GaussianDenoiser.fit(X.sample(TRAIN_IMAGES, seed=TRAIN_SEED))]}
    models |= {"untrained": w.untrained(judged), LESS: w.networks(replace(judged, budget=FEW), range(MANY_SEEDS))}
    others = {1, *(each.budget for each in doubling(judged))} - {judged.budget}
    for each in (replace(judged, budget=budget) for budget in sorted(others)):
        with suppress(NotTrained):
            models[f"{each.images_seen(w.settings):,} images, seed 0"] = w.networks(each, [0])
    slope = SlopeApart(measure, WINDOW).optimum()
    return {
        "slope_of_optimum": round(float(slope.mean()), 4),
        "slope_error": round(float(slope.std(ddof=1) / len(slope) ** 0.5), 4),
        "slopes": {
            name: [round(SlopeApart(measure, WINDOW).slope(f), 4) for f in fs]
            for name, fs in ({"networks": w.networks(judged)} | models).items()
        },
        "dB_of_others": {name: _decibels(measure, fs, X) for name, fs in models.items()},
    }


def _decibels(measure: AboveOptimum, fs: list[Any], X: Any) -> list[float]:
    """Mean excess of some denoisers at each level of the window, in decibels."""
    rows = [[float(measure(f, X.sample(2), sigma, 0).mean()) for sigma in WINDOW] for f in fs]
    return [round(decibels(float(v)), 3) for v in np.mean(rows, axis=0)]


@dataclass(frozen=True, eq=False)
class Unshuffled:
    """P' f(P y): a network of shuffled images, as a denoiser of the images before."""

    f: Any
    X: Shuffled

    def __call__(self, y: Tensor, sigma: Any) -> Tensor:
        """The estimate."""
        return self.X.unshuffle(self.f(self.X.shuffle(y), sigma))


def _shuffled(kind: str, what: str, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    X = CAlpha(alpha=2.0, size=w.settings.size)
    scrambled, straight = Judged(kind, "shuffled"), Judged(kind, _class(2.0))
    P = w.settings.images("shuffled")
    subject = Given([Unshuffled(f, P) for f in w.networks(scrambled)], "networks of shuffled images")
    gate = w.twice(scrambled, straight)
    (short, long), other = gate.pairs
    gate = type(gate)(((Unshuffled(short, P), Unshuffled(long, P)), other))
    more = what == "excess"
    h = Hypothesis(
        "On shuffled C^alpha images the same network is more than .5 dB further from the same optimum."
        if more
        else "Its PSNR slope is further from that of the optimum, by more than .05.",
        above(X) if more else SlopeApart(above(X), WINDOW),
        Criterion(PRICE if more else STEEP, ">"),
        nulls=[AnotherSeed()],
        gates=[beats_simple(X, sigmas=WINDOW), gate],
        plan=Plan(images=IMAGES, sigmas=WINDOW if more else WINDOW[2:3]),
        unit="times the Bayes risk" if more else "",
        source="Kadkhodaie et al. (2024), figure 21",
    )
    return h, subject, w.given(straight), X.sample(IMAGES, seed=0), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


def _both(w: Workshop, a: Assessment) -> dict[str, Any]:
    """Decibels above the optimum, shuffled and not, at each level and at both budgets."""
    X, P = CAlpha(alpha=2.0, size=w.settings.size), w.settings.images("shuffled")
    measure, found = above(X), {}
    for name, images in (("shuffled", "shuffled"), ("not shuffled", _class(2.0))):
        for budget in (1, 2):
            fs = w.networks(Judged("plain", images, budget), [0] if budget == 2 else None)
            fs = [Unshuffled(f, P) for f in fs] if images == "shuffled" else fs
            seen = budget * w.settings.recipe.images_seen
            found[f"{name}, {seen:,} images"] = _decibels(measure, fs, X)
    return {"dB above the optimum": found, "levels": list(WINDOW)}


def questions(w: Workshop) -> list[Question]:
    """The questions, the cheapest first, about the networks that were trained longest."""
    found = []
    for kind in KIND_NAMES:
        for alpha in ALPHAS:
            if kind == "bfcnn" and alpha != 2:
                continue
            own, other = w.longest(kind, _class(alpha)), w.longest("plain", _class(WRONG[alpha]))
            kinds = (own, *doubling(own), replace(own, budget=FEW), other)
            for what in ("near", "slope"):
                key, make = f"{what}, alpha = {alpha:g}, {kind}", partial(_make, own, alpha, what)
                more, count = partial(_many, own, what, alpha), _count(own, what, alpha)
                reference = partial(_reference, own, alpha)
                found.append(
                    Question(key, FIGURES[kind], kinds, make, reference, more, count, partial(_few, own, count))
                )
    pair = (Judged("plain", "shuffled"), Judged("plain", _class(2.0)))
    both = (*pair, *(Judged(j.kind, j.images, 2) for j in pair))
    found.append(Question("shuffled, excess", "21", both, partial(_shuffled, "plain", "excess"), _both))
    found.append(Question("shuffled, slope", "21", both, partial(_shuffled, "plain", "slope"), _both))
    return found
