"""A hypothesis: a statement that numbers decide, with what must be true for them to decide it.

    statement    one sentence
    measure      measure(f, images, sigma, seed) -> one number for each image
    criterion    threshold and side, fixed before the numbers
    nulls        models that do not have the property, and on which the measure must fail
    gates        what must hold before the numbers mean anything: trained long enough, better than trivial denoisers
    plan         seeds, images and noise levels

The criterion holds for the mean of the measure over seeds, images and noise levels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor

from gahb_theory import validate
from gahb_theory.hypotheses.crossed import LEAST_IMAGES, LEAST_SEEDS, confidence_of
from gahb_theory.metrics.intervals import Estimate

__all__ = ["Criterion", "Hypothesis", "Measure", "Plan", "name_of"]

Measure = Callable[[Any, Tensor, float, int], Any]
"""measure(f, images, sigma, seed): numbers of shape (n,) for a denoiser f and clean images (n, c, h, w)."""


@dataclass(frozen=True)
class Criterion:
    """Where the mean of the measure must lie: above or below a threshold that is fixed before the numbers.

    A threshold of 0 asks for any effect at all, which a null that is 0 on average cannot be told from: give the smallest
    effect that matters.

    Parameters
    ----------
    threshold
        A number, in the units of the measure.
    side
        ">" or "<".

    Examples
    --------
    >>> Criterion(0.1, ">").holds(0.2), str(Criterion(0.1, "<"))
    (True, '< 0.1')
    """

    threshold: float
    side: Literal[">", "<"] = ">"

    def __post_init__(self) -> None:
        if callable(self.threshold) or isinstance(self.threshold, Estimate):
            raise TypeError(
                "the threshold must be a number fixed before the numbers are seen, got "
                f"{'an Estimate' if isinstance(self.threshold, Estimate) else 'a function'}, which depends on results; "
                "write the number down"
            )
        object.__setattr__(self, "threshold", validate.number(self.threshold, "threshold"))
        validate.one_of(self.side, "side", (">", "<"))

    def holds(self, value: float) -> bool:
        """Whether a value lies beyond the threshold, which does not belong to it."""
        return value > self.threshold if self.side == ">" else value < self.threshold

    def met(self, estimate: Estimate) -> bool:
        """Whether a whole interval lies on the side of the criterion."""
        return self.holds(float(estimate.low)) and self.holds(float(estimate.high))

    def missed(self, estimate: Estimate) -> bool:
        """Whether a whole interval lies on the other side, the threshold included."""
        return not self.holds(float(estimate.low)) and not self.holds(float(estimate.high))

    def __str__(self) -> str:
        return f"{self.side} {self.threshold:g}"


@dataclass(frozen=True)
class Plan:
    """How much is measured, fixed before the numbers.

    Parameters
    ----------
    seeds
        Number of independent repetitions, weights, data and noise drawn anew: at least 3, as one says nothing about others.
        A single fixed denoiser has none, and its verdict is about itself.
    images
        Number of test images, at least 4.
    sigmas
        Noise levels; the measure is averaged over them.
    first_seed
        The seeds are first_seed, first_seed + 1, ...
    looks
        How many times a verdict is asked for: 2 where seeds are added because the first was undecided. Each interval then has
        confidence 1 - .05 / looks, so that a false statement is supported at any of the looks as rarely as at a single one
        (Bonferroni).
    """

    seeds: int = LEAST_SEEDS
    images: int = 16
    sigmas: Sequence[float] = (0.1, 0.3)
    first_seed: int = 0
    looks: int = 1

    def __post_init__(self) -> None:
        seeds = validate.integer(self.seeds, "seeds", 1)
        if seeds < LEAST_SEEDS:
            raise ValueError(
                f"seeds must be at least {LEAST_SEEDS}, got {seeds}: one network says nothing about others of its kind; "
                "train more, or assess a single fixed denoiser"
            )
        object.__setattr__(self, "seeds", seeds)
        object.__setattr__(self, "images", validate.integer(self.images, "images", LEAST_IMAGES))
        object.__setattr__(self, "sigmas", validate.levels(self.sigmas))
        object.__setattr__(self, "first_seed", validate.seed(self.first_seed))
        object.__setattr__(self, "looks", validate.integer(self.looks, "looks", 1))

    @property
    def confidence(self) -> float:
        """Of each interval: .95 for a single look."""
        return confidence_of(self.looks)


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """A statement, and what decides it; `gahb_theory.assess` does so for a denoiser or a class of networks.

    Parameters
    ----------
    statement
        One sentence.
    measure
        A function measure(f, images, sigma, seed) that returns one finite number for each image, shape (n,), the same for the
        same arguments. `seed` names the noise.
    criterion
        Threshold and side.
    nulls
        What does not have the property: null models of `gahb_theory.hypotheses`, denoisers, checkpoints, `PerSeed`,
        `Trained`; at least one.
    gates
        What the subject must pass before its numbers count; see `BeatsSimple` and `BudgetDoubled`.
    plan
        Seeds, images, noise levels.
    source
        Where the statement comes from.
    unit
        Unit of the measure.

    See Also
    --------
    gahb_theory.assess, gahb_theory.benchmark

    Examples
    --------
    >>> import gahb_theory as gt
    >>> from gahb_theory.hypotheses import Criterion, Identity
    >>> def gain(f, images, sigma, seed):
    ...     y = gt.add_noise(images, sigma, seed=seed)
    ...     return 10 * (gt.mse(images, y) / gt.mse(images, f(y, sigma))).log10()
    >>> h = gt.Hypothesis("It gains more than 3 dB.", gain, Criterion(3.0, ">"), nulls=[Identity()], unit="dB")
    >>> X = gt.Disks(size=16)
    >>> gt.assess(h, lambda y, sigma: 0.9 * y, images=X).verdict
    'refuted'
    """

    statement: str
    measure: Measure
    criterion: Criterion
    nulls: Sequence[Any] = ()
    gates: Sequence[Any] = ()
    plan: Plan = field(default_factory=Plan)
    source: str = ""
    unit: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.statement, str) or not self.statement.strip():
            raise ValueError(f"the statement must be a sentence, got {self.statement!r}")
        validate.function(self.measure, "measure", "measure(f, images, sigma, seed)")
        given: Any = self.criterion
        if not isinstance(given, Criterion):
            what = "a function of the results" if callable(given) else type(given).__name__
            raise TypeError(
                f"the criterion must be fixed beforehand, as Criterion(0.1, '>'), got {what}; write threshold and side down"
            )
        if not isinstance(self.plan, Plan):
            raise TypeError(f"plan must be a Plan, got {type(self.plan).__name__}")
        nulls = list(self.nulls) if isinstance(self.nulls, list | tuple) else [self.nulls]
        if not nulls:
            raise ValueError(
                "a hypothesis needs at least one null model, which does not have the property, or nothing could fail; "
                "for example nulls=[Wiener(), Untrained()]"
            )
        object.__setattr__(self, "nulls", tuple(nulls))
        object.__setattr__(self, "gates", tuple(self.gates))


def name_of(thing: Any) -> str:
    """What to call a model or a measure in a table: its `name`, or that of its class or function."""
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) else getattr(thing, "__name__", type(thing).__name__)


def checked_values(measure: Measure, f: Any, images: Tensor, sigma: float, seed: int, what: str) -> np.ndarray:
    """What a measure returns, refused unless it is one finite number for each image."""
    returned = measure(f, images, sigma, seed)
    values = returned.detach().cpu().double().numpy() if isinstance(returned, Tensor) else np.asarray(returned)
    where = f"the measure {name_of(measure)}, of {what} at sigma = {sigma:g},"
    if values.dtype.kind not in "fiu":
        raise TypeError(f"{where} must return numbers, got {type(returned).__name__}; return one number for each image")
    if values.shape != (len(images),):
        raise ValueError(
            f"{where} must return one number for each of the {len(images)} images, got shape {values.shape}; do not "
            "average over images"
        )
    bad = [i for i, value in enumerate(values) if not math.isfinite(value)]
    if bad:
        raise ValueError(
            f"{where} returned {values[bad[0]]:g} for {len(bad)} of {len(images)} images, the first is image {bad[0]}; "
            "make it finite, or leave such images out before"
        )
    return values.astype(np.float64)
