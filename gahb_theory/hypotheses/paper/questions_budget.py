"""What longer training leaves of the excess, and of the extra directions, on manifolds: the limit over budgets.

`questions_manifolds` measures networks of one budget; here those of all budgets that every seed has been trained for, from
8,000 images on, are set beside each other, and the limit is that of `budget_limit`. The two criteria are those of one budget.
Null models are learned from ever more images, too, and tend to the optimum, or to what they are compared with: for the excess
memorisers, which are far above the optimum where images are few; for directions Wiener filters, less that of 65,536 images.
"""

from typing import Any

import numpy as np

from gahb_theory.denoisers import EmpiricalBayes, GaussianDenoiser
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.paper.budget_limit import limit_values, limits
from gahb_theory.hypotheses.paper.judged_measures import BetweenCount
from gahb_theory.hypotheses.paper.judged_networks import Judged
from gahb_theory.hypotheses.paper.questions_manifolds import APART, EXTRA, MANIFOLDS, SIGMAS, optimum, scene_of
from gahb_theory.hypotheses.paper.questions_optimum import WINDOW, above
from gahb_theory.hypotheses.paper.workshop import NotTrained, Workshop, row_of_values
from gahb_theory.metrics.intervals import Estimate

__all__ = ["rows"]

BUDGETS = (0.25, 0.5, 1, 2, 4, 8, 16)
"""Multiples of 32,000 images."""
LEAST = 4
"""Budgets behind a limit: three parameters, and one to spare."""
SHARES = (256, 1024, 4096, 16_384)
LARGE, FILTER_SEED = 65_536, 2**42 + 1
REMEMBERED = (1024, 4096, 16_384, 65_536)


def rows(w: Workshop) -> dict[str, dict[str, Any]]:
    """The verdicts by key."""
    found = {}
    for name, figure in MANIFOLDS.items():
        groups = _networks(w, name)
        if len(groups) < LEAST:
            print(f"limits, {name}: later, {len(groups)} budgets of {LEAST} are trained", flush=True)
            continue
        for what in ("extra", "excess"):
            found[f"limit of {what}, {name}"] = _limit(w, name, what, groups) | {"figures": figure}
    return found


def _networks(w: Workshop, name: str) -> dict[int, list[Any]]:
    """The networks of each budget that every seed has been trained for, by images seen."""
    found = {}
    for judged in (Judged("plain", name, budget) for budget in BUDGETS):
        try:
            found[judged.images_seen(w.settings)] = w.networks(judged)
        except NotTrained:
            continue
    return found


def _limit(w: Workshop, name: str, what: str, groups: dict[int, list[Any]]) -> dict[str, Any]:
    X, words, extra = w.settings.images(name), name.replace("_", " "), what == "extra"
    images = scene_of(X).images if extra else X.sample(2)
    measure = BetweenCount(w.spectra, optimum(X)) if extra else above(X)

    def values(fs: list[Any]) -> np.ndarray:
        levels = SIGMAS if extra else WINDOW
        return np.stack([np.mean([measure(f, images, s, 0).numpy() for s in levels], axis=0) for f in fs])

    seen = list(groups)
    table = np.stack([values(fs) for fs in groups.values()])
    nulls = (
        {"Wiener filters, less that of 65,536 images": _filters(X, values, table.shape[1])}
        if extra
        else {"memorisers of 1,024 to 65,536 images": _memorisers(X, values, table.shape[1])}
    )
    own, criterion = limit_values(table, seen), Criterion(EXTRA if extra else APART, ">")
    row = row_of_values(
        f"Trained ever longer, networks keep more than 3 directions that the optimum removes, on the {words}."
        if extra
        else f"Trained ever longer, networks stay more than 1 dB above the optimum of the {words}.",
        own,
        criterion,
        nulls,
        [_gate(table, seen, two_level(own)[0])],
        unit="directions" if extra else "of the Bayes risk",
        about=f"UNet(16, 2) after {', '.join(f'{n:,}' for n in seen)} images, limit of a power beside a constant",
    )
    return row | {"reference": {"by images seen": {str(n): _mean(t) for n, t in zip(seen, table, strict=True)}}}


def _gate(table: np.ndarray, seen: list[int], e: Estimate) -> GateResult:
    """Whether the limit is the same to half its interval without the largest budget."""
    change = float((limits(table.mean(axis=2), seen) - limits(table[:-1].mean(axis=2), seen[:-1])).mean())
    half = float(e.high - e.low) / 2
    detail = f"changes the limit by {change:+.3g}, the interval is +-{half:.3g}"
    return GateResult("the largest budget changes nothing", abs(change) < half, detail)


def _filters(X: Any, values: Any, seeds: int) -> np.ndarray:
    """The limit of Wiener filters of ever more images, less that of very many: 0."""
    tables = []
    for seed in range(seeds):
        x = X.sample(LARGE, seed=FILTER_SEED + seed)
        many = values([GaussianDenoiser.fit(x)])
        tables.append(np.stack([values([GaussianDenoiser.fit(x[:n])]) - many for n in SHARES])[:, 0])
    return limit_values(np.stack(tables, axis=1), SHARES)


def _memorisers(X: Any, values: Any, seeds: int) -> np.ndarray:
    """The limit of the posterior means of ever more training images, each of which is of the finite set alone."""
    tables = []
    for seed in range(seeds):
        x = X.sample(REMEMBERED[-1], seed=FILTER_SEED + seed)
        tables.append(np.stack([values([EmpiricalBayes(x[:n])]) for n in REMEMBERED])[:, 0])
    return limit_values(np.stack(tables, axis=1), REMEMBERED)


def _mean(values: np.ndarray) -> list[float]:
    return [round(float(v), 4) for v in values.mean(axis=1)]
