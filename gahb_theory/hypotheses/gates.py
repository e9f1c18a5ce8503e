"""What must hold of a subject before its numbers mean anything: that it denoises, and that training was long enough.

A gate is an object with a `name` and a method `check(run)` that returns a `GateResult`; `run` is the `Measured` of the
assessment.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.hypothesis import Hypothesis, checked_values
from gahb_theory.hypotheses.nulls import ConstantMean, Identity, Null, Wiener
from gahb_theory.hypotheses.subjects import Setting, Trained
from gahb_theory.metrics.errors import mse
from gahb_theory.metrics.intervals import Estimate
from gahb_theory.randomness import add_noise

__all__ = ["BeatsSimple", "BudgetDoubled", "Gate", "GateResult", "Measured", "change_inside_interval"]


@dataclass(frozen=True, eq=False)
class Measured:
    """What a gate sees: the hypothesis, the settings of all seeds, and the values of the subject.

    Parameters
    ----------
    hypothesis
        The hypothesis.
    settings, rivals
        Those of the subject, one for each seed, and of what it is compared with; none without a rival.
    values
        Values of the subject, shape (seeds, images), averaged over noise levels.
    estimate
        Their mean with its interval.
    """

    hypothesis: Hypothesis
    settings: tuple[Setting, ...]
    rivals: tuple[Setting, ...]
    values: np.ndarray
    estimate: Estimate


@dataclass(frozen=True)
class GateResult:
    """Whether a gate is passed; None where it could not be looked at.

    Parameters
    ----------
    name
        Of the gate.
    passed
        Yes, no, or None.
    detail
        The numbers, or why not.
    """

    name: str
    passed: bool | None
    detail: str


@runtime_checkable
class Gate(Protocol):
    """A condition on the subject."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def check(self, run: Measured) -> GateResult:
        """Whether it is passed."""
        ...


@dataclass(frozen=True, eq=False)
class BeatsSimple:
    """The subject beats the identity, the constant mean and the Wiener filter at every noise level.

    It does if the interval of its gain in decibels over the better of them, over seeds and images, lies above 0.

    Parameters
    ----------
    rivals
        What it has to beat. On a class where the optimum itself is no better than the Wiener filter, such as images in a
        linear space, the filter says nothing of training and is left out.
    images
        Where, (n, channels, height, width); by default at the test images, which may be too few to tell.
    sigmas
        Noise levels; by default those of the plan. A measure that looks at others, as a slope does, needs them here.
    """

    name: str = "beats identity, mean and Wiener filter"
    rivals: tuple[Null, ...] = (Identity(), ConstantMean(), Wiener())
    images: Tensor | None = None
    sigmas: Sequence[float] | None = None

    def check(self, run: Measured) -> GateResult:
        """Whether it is passed."""
        gains: list[tuple[float, str]] = []
        for group in filter(None, (run.settings, run.rivals)):
            for sigma in self.sigmas or run.hypothesis.plan.sigmas:
                own = [self._log_errors(s, s.f, sigma) for s in group]
                for null in self.rivals:
                    theirs = [self._log_errors(s, null.model(s), sigma) for s in group]
                    gain, _ = two_level(np.stack(theirs) - np.stack(own), run.hypothesis.plan.confidence)
                    ends = f"{gain.value:+.2f} dB [{gain.low:.2f}, {gain.high:.2f}]"
                    gains.append((float(gain.low), f"{ends} over the {null.name} at sigma = {sigma:g}"))
        low, detail = min(gains, key=lambda gain: gain[0])
        return GateResult(self.name, low > 0, f"least gain {detail}")

    def _log_errors(self, setting: Setting, f: Denoiser, sigma: float) -> np.ndarray:
        """Squared error of a denoiser in decibels, image by image."""
        x: Tensor = setting.images if self.images is None else self.images
        with torch.no_grad():
            y = add_noise(x, sigma, seed=setting.seed)
            errors = mse(x, validate.denoised(f, y, sigma)).double().cpu().numpy()
        return 10 * np.log10(errors + np.finfo(float).tiny)


def change_inside_interval(name: str, change: float, run: Measured, of: str = "") -> GateResult:
    """Passed where the measure changes by less than half the length of its interval; `of` says what was looked at.

    The interval is that of a single look: further looks, which need wider ones, make no gate easier to pass.
    """
    once = two_level(run.values)[0]
    half = float(once.high - once.low) / 2
    return GateResult(
        name, abs(change) < half, f"changes the measure by {change:+.3g}{of}, the interval is +-{half:.3g}"
    )


@dataclass(frozen=True)
class BudgetDoubled:
    """Training for twice the budget changes the mean of the measure by less than half the length of its interval.

    A subject that cannot be trained anew is not looked at, and the result says so.
    """

    name: str = "twice the budget changes nothing"

    def check(self, run: Measured) -> GateResult:
        """Whether it is passed."""
        h = run.hypothesis
        if not all(isinstance(s.subject, Trained) for s in run.settings + run.rivals):
            return GateResult(self.name, None, "not looked at: the subject cannot be trained anew")
        means = [self._longer(h, group) for group in (run.settings, run.rivals) if group]
        longer = means[0] - (means[1] if run.rivals else 0)
        change = longer - float(run.values.mean())
        return change_inside_interval(self.name, change, run)

    def _longer(self, h: Hypothesis, settings: tuple[Setting, ...]) -> float:
        """Mean of the measure after twice the budget."""
        levels = []
        for s in settings:
            assert isinstance(s.subject, Trained)
            f = s.subject.train(s.seed, budget=2)
            levels += [checked_values(h.measure, f, s.images, sigma, s.seed, self.name) for sigma in h.plan.sigmas]
        return float(np.mean(levels))
