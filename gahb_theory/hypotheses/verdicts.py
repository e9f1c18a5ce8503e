"""The five verdicts, and what an assessment could have seen.

    not discriminating   a null passes: its whole interval lies on the side of the criterion, or the subject's does and a null
                         cannot be told from passing, its interval holding the threshold
    not converged        a gate is not passed
    supported            the whole interval lies on the side of the criterion
    refuted              the whole interval lies on the other side, the threshold included
    undecided            the interval holds the threshold

in this order. With intervals that miss the truth on either side in at most 5 % of all cases, a false hypothesis is supported,
and a true one refuted, in at most 5 %.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gahb_theory.hypotheses.crossed import Spread, quantile, reach
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.metrics.intervals import Estimate

__all__ = ["NullResult", "Power", "Verdict", "decide", "power"]

Verdict = Literal["supported", "refuted", "undecided", "not discriminating", "not converged"]
MOST_SEEDS, MOST_IMAGES = 100, 10_000
WANTED = 0.8
"""Share of the cases in which an effect is to be decided."""


@dataclass(frozen=True)
class NullResult:
    """What the measure gives for a null model.

    Parameters
    ----------
    name
        Of the null.
    estimate
        Mean with its interval; None where it does not apply.
    passes
        "no", "yes", "cannot be told", or "not run".
    detail
        Why it was not run.
    """

    name: str
    estimate: Estimate | None
    passes: Literal["no", "yes", "cannot be told", "not run"]
    detail: str = ""

    @classmethod
    def judged(cls, name: str, estimate: Estimate, criterion: Criterion) -> "NullResult":
        """Whether a null passes a criterion."""
        return cls(
            name,
            estimate,
            "yes" if criterion.met(estimate) else "no" if criterion.missed(estimate) else "cannot be told",
        )


def decide(
    estimate: Estimate, criterion: Criterion, nulls: Sequence[NullResult], gates: Sequence[GateResult]
) -> tuple[Verdict, str]:
    """The verdict, and the sentence that gives its reason.

    Parameters
    ----------
    estimate
        Mean of the measure on the subject.
    criterion
        Threshold and side.
    nulls, gates
        What came of them.

    Examples
    --------
    >>> e = Estimate(1.0, 0.8, 1.2, 0.1, 0.95, "example")
    >>> decide(e, Criterion(0.5, ">"), [NullResult("identity", e, "yes")], [])[0]
    'not discriminating'
    """
    passing = [null.name for null in nulls if null.passes == "yes"]
    if passing:
        return "not discriminating", f"the measure also holds for: {', '.join(passing)}"
    failed = [gate for gate in gates if gate.passed is False]
    if failed:
        return "not converged", "; ".join(f"{gate.name}: {gate.detail}" for gate in failed)
    shown = f"{estimate.value:.4g} [{estimate.low:.4g}, {estimate.high:.4g}]"
    if criterion.met(estimate):
        unclear = [null.name for null in nulls if null.passes == "cannot be told"]
        if unclear:
            return "not discriminating", f"cannot be told from passing: {', '.join(unclear)}"
        return "supported", f"{shown} lies wholly {criterion}"
    if criterion.missed(estimate):
        return "refuted", f"{shown} lies wholly outside {criterion}"
    return "undecided", f"{shown} holds the threshold {criterion.threshold:g}"


@dataclass(frozen=True)
class Power:
    """What an assessment could have seen.

    Parameters
    ----------
    smallest_effect
        Distance from the threshold that it would have decided in 4 of 5 cases, in the units of the measure.
    needed
        What it would take to decide an undecided one at a further look (`Plan`), if the mean stays where it is; empty if it
        is decided.
    """

    smallest_effect: float
    needed: str


def power(estimate: Estimate, spread: Spread, criterion: Criterion, seeds: int, images: int) -> Power:
    """Smallest effect that was decided in 4 of 5 cases, and what an undecided assessment lacks.

    Parameters
    ----------
    estimate, spread
        Of `two_level`.
    criterion
        Threshold and side.
    seeds, images
        How many there were; 1 seed for a single denoiser.
    """
    smallest = detectable(spread, seeds, images, estimate.confidence)
    again = 1 - 1 / (1 / (1 - estimate.confidence) + 20)  # of one more look, as in `confidence_of`
    if criterion.met(estimate) or criterion.missed(estimate):
        return Power(smallest, "")
    distance = abs(float(estimate.value) - criterion.threshold)
    more_images = next((n for n in _grid(images, MOST_IMAGES) if detectable(spread, seeds, n, again) < distance), None)
    ways = [] if more_images is None else [f"{more_images} images with as many seeds"]
    if seeds > 1:
        more_seeds = next(
            (s for s in _grid(seeds, MOST_SEEDS) if detectable(spread, s, images, again) < distance), None
        )
        ways += [] if more_seeds is None else [f"{more_seeds} seeds with as many images"]
    if not ways:
        return Power(
            smallest, f"more than {MOST_IMAGES} images or {MOST_SEEDS} seeds: the mean is too near the threshold"
        )
    return Power(smallest, " or ".join(ways))


def _grid(first: int, last: int) -> list[int]:
    """Whole numbers above `first`, each about a tenth more than the one before."""
    return sorted({round(first * 1.1**k) for k in range(1, 200) if first < round(first * 1.1**k) <= last} | {first + 1})


def detectable(spread: Spread, seeds: int, images: int, confidence: float = 0.95) -> float:
    """How far from the threshold a mean must lie to be decided in 4 of 5 cases, for these variance components.

    An interval of q standard errors leaves the threshold out where a noncentral t exceeds q; its degrees of freedom are those
    of Satterthwaite (1946).

    Examples
    --------
    >>> round(detectable(Spread(0.0, 1.0, 0.0), 1, 64), 3)  # 2.9 / 8 without an allowance for skewness
    0.391
    """
    from scipy.optimize import brentq
    from scipy.stats import nct

    e = spread.rest
    if seeds == 1:
        half, error, freedom = (
            quantile(images, confidence) * (spread.images / images) ** 0.5,
            (spread.images / images) ** 0.5,
            images - 1.0,
        )
    else:
        a, b = e + images * spread.seeds, e + seeds * spread.images
        half, error = (float(part) for part in reach(a, b, e, seeds, images, confidence))
        freedom = (a + b) ** 2 / max(a**2 / (seeds - 1) + b**2 / (images - 1), 1e-300)
    if error == 0:
        return 0.0
    q = half / error
    return float(error * brentq(lambda shift: nct.sf(q, freedom, shift) - WANTED, 0, 10 * q))
