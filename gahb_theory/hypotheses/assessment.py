"""Assessing a hypothesis: the measure on the subject and on every null, the gates, and the verdict.

    values[s, i] = mean over noise levels of measure(f_s, images, sigma, seed s)_i

or, where the hypothesis compares the subject with a rival, the same less that of the rival, by seed and by image; the nulls
are then variants of the rival. Everything is measured on the same images.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.crossed import LEAST_IMAGES, LEAST_SEEDS, two_level
from gahb_theory.hypotheses.gates import GateResult, Measured
from gahb_theory.hypotheses.hypothesis import Hypothesis, checked_values
from gahb_theory.hypotheses.nulls import NotApplicable, Null, as_null
from gahb_theory.hypotheses.subjects import Setting, Subject, Trained, as_subject
from gahb_theory.hypotheses.verdicts import NullResult, Power, Verdict, decide, power
from gahb_theory.metrics.intervals import Estimate
from gahb_theory.precision import wide
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Assessment", "assess"]

TEST_SEED, TRAIN_SEED = 2**64 + 77, 2**64 + 78
"""Of images that are drawn here, far from the seeds of training."""
TRAIN_IMAGES = 1024


@dataclass(frozen=True, eq=False, repr=False)
class Assessment(Result):
    """The verdict on a hypothesis, with all the numbers it follows from; print it, `plot` it, `save` it.

    Parameters
    ----------
    statement, source, unit
        Of the hypothesis.
    verdict, reason
        One of the five, and why.
    about
        What the verdict is about: a class of networks, or one denoiser.
    criterion
        Threshold and side, as text.
    estimate
        Mean of the measure over seeds, images and noise levels, with its interval.
    nulls, gates
        What came of them.
    power
        The smallest effect that would have been seen, and what an undecided assessment lacks.
    sigmas
        Noise levels.
    values
        Of the subject, shape (seeds, levels, images).
    linear_null
        What theory gives for a Wiener filter of as many training images, averaged over noise levels; None where the measure
        has no such prediction (`hypotheses.linear_null`).
    """

    statement: str
    source: str
    unit: str
    verdict: Verdict
    reason: str
    about: str
    criterion: str
    estimate: Estimate
    nulls: tuple[NullResult, ...]
    gates: tuple[GateResult, ...]
    power: Power
    sigmas: tuple[float, ...]
    values: Float[np.ndarray, "seeds levels images"]
    linear_null: float | None = None

    def __repr__(self) -> str:
        unit = f" {self.unit}" if self.unit else ""
        rows = [("subject", self.estimate, "criterion " + self.criterion)]
        rows += [
            (n.name, n.estimate, f"passes: {n.passes}" + (f" ({n.detail})" if n.detail else "")) for n in self.nulls
        ]
        width = max(len(name) for name, _, _ in rows) + 2
        lines = [self.statement, f"{self.verdict.upper()}: {self.reason}", f"about {self.about}"]
        for name, e, said in rows:
            shown = "" if e is None else f"{e.value:.4g} [{e.low:.4g}, {e.high:.4g}]{unit}"
            lines.append(f"  {name:{width}}{shown:36}{said}")
        if self.linear_null is not None:
            lines.append(f"  a Wiener filter of as many training images would give {self.linear_null:.4g}{unit}")
        for gate in self.gates:
            said = {True: "passed", False: "not passed", None: "not looked at"}[gate.passed]
            lines.append(f"  gate: {gate.name}: {said}; {gate.detail}")
        lines.append(f"  smallest effect decided in 4 of 5 cases: {self.power.smallest_effect:.3g}{unit}")
        if self.power.needed:
            lines.append(f"  to decide: {self.power.needed}")
        return "\n".join(lines)

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the intervals of the subject and of the nulls beside the threshold, and return the axes."""
        from gahb_theory.report.draw_verdicts import draw_assessment
        from gahb_theory.report.figures import axes_or_new

        return draw_assessment(self, axes_or_new(ax))


def assess(
    hypothesis: Hypothesis,
    subject: Any,
    rival: Any = None,
    *,
    images: Any = None,
    train: Any = None,
) -> Assessment:
    """The verdict on a hypothesis about a denoiser or a class of networks.

    Parameters
    ----------
    hypothesis
        What is claimed, and what decides it.
    subject
        One denoiser f(y, sigma), a function or a path: the verdict is about it alone. At least three, `PerSeed` or `Trained`:
        it is about networks of this kind.
    rival
        What the subject is compared with, one of the same; the measure is then the difference, and the nulls are variants
        of the rival.
    images
        Clean test images, (n, channels, height, width), or an image class, of which as many are drawn as the plan says. By
        default the class that a `Trained` subject is trained on.
    train
        Training images, or others of the same distribution, for the nulls; by default drawn from the image class.

    Raises
    ------
    ValueError, TypeError
        If the measure does not return one finite number for each image, the same at a second call; if a null is the subject;
        if no null can be run; if there are fewer than 3 seeds; or if images are missing.

    See Also
    --------
    gahb_theory.Hypothesis, gahb_theory.benchmark

    Examples
    --------
    >>> import gahb_theory as gt
    >>> from gahb_theory.hypotheses import Criterion, Identity
    >>> def error(f, images, sigma, seed):
    ...     return gt.mse(images, f(gt.add_noise(images, sigma, seed=seed), sigma)).sqrt() / sigma
    >>> h = gt.Hypothesis("It removes a tenth of the noise.", error, Criterion(14.4, "<"), nulls=[Identity()])
    >>> result = gt.assess(h, lambda y, sigma: y.mean((2, 3), keepdim=True) / 2 + y / 2, images=gt.Disks(size=16))
    >>> result.verdict, result.nulls[0].passes
    ('supported', 'no')
    """
    if not isinstance(hypothesis, Hypothesis):
        raise TypeError(f"hypothesis must be a Hypothesis, got {type(hypothesis).__name__}")
    subject, rival = as_subject(subject), None if rival is None else as_subject(rival)
    nulls = [as_null(null) for null in hypothesis.nulls]
    x, known = _images(hypothesis, subject, images, train)
    seeds = _seeds(hypothesis, subject, rival)
    plan = hypothesis.plan
    if any(getattr(null, "subject", null) is subject for null in nulls):
        raise ValueError("a null is the subject itself; a null must be a model without the property")

    def values(f: Denoiser, seed: int, what: str) -> np.ndarray:
        return np.stack([checked_values(hypothesis.measure, f, x, sigma, seed, what) for sigma in plan.sigmas])

    own: list[np.ndarray] = []
    settings: list[Setting] = []
    rivals: list[Setting] = []
    measured: dict[str, list[np.ndarray]] = {}
    left_out: dict[str, str] = {}
    names = _names(nulls)
    with progress_bar(total=len(seeds) * (1 + len(nulls)), desc="assess") as bar:
        for seed in seeds:
            setting = Setting(subject, subject.denoiser(seed), seed, x, _training(subject, seed, known))
            settings.append(setting)
            first = values(setting.f, seed, "the subject")
            if not own:
                _refuse_random(hypothesis, setting, first[0])
            reference, base = np.zeros_like(first), setting
            if rival is not None:
                base = Setting(rival, rival.denoiser(seed), seed, x, _training(rival, seed, known))
                rivals.append(base)
                reference = values(base.f, seed, "the rival")
            own.append(first - reference)
            bar.update()
            for name, null in zip(names, nulls, strict=True):
                if name not in left_out:
                    try:
                        model = null.model(base)
                    except NotApplicable as error:
                        left_out[name] = str(error)
                    else:
                        _refuse_subject(model, setting, name, plan.sigmas[0])
                        measured.setdefault(name, []).append(values(model, seed, name) - reference)
                bar.update()
        if not measured:
            raise ValueError(
                "no null model could be run: "
                + "; ".join(f"{name}: {why}" for name, why in left_out.items())
                + "; give another null"
            )
        table = np.stack(own)
        estimate, spread = two_level(table.mean(axis=1), plan.confidence)
        run = Measured(hypothesis, tuple(settings), tuple(rivals), table.mean(axis=1), estimate)
        gates = tuple(gate.check(run) for gate in hypothesis.gates)
    judged = tuple(
        NullResult(name, None, "not run", left_out[name])
        if name in left_out
        else NullResult.judged(
            name, two_level(np.stack(measured[name]).mean(axis=1), plan.confidence)[0], hypothesis.criterion
        )
        for name in names
    )
    verdict, reason = decide(estimate, hypothesis.criterion, judged, gates)
    return Assessment(
        statement=hypothesis.statement,
        source=hypothesis.source,
        unit=hypothesis.unit,
        verdict=verdict,
        reason=reason,
        about=_about(subject, rival, len(seeds), len(x)),
        criterion=str(hypothesis.criterion),
        estimate=estimate,
        nulls=judged,
        gates=gates,
        power=power(estimate, spread, hypothesis.criterion, len(seeds), len(x)),
        sigmas=tuple(plan.sigmas),
        values=table,
        linear_null=None if rival is not None else _linear_null(hypothesis),
    )


def _linear_null(h: Hypothesis) -> float | None:
    """The prediction of the measure for a Wiener filter, averaged over noise levels, where it has one."""
    predict = getattr(h.measure, "linear_null", None)
    if not callable(predict):
        return None
    values = [predict(sigma) for sigma in h.plan.sigmas]
    return None if None in values else float(np.mean(np.array(values, dtype=float)))


def _images(h: Hypothesis, subject: Subject, images: Any, train: Any) -> tuple[Tensor, Tensor | None]:
    """The test images, and training images where there are any."""
    if images is None:
        if not isinstance(subject, Trained):
            raise ValueError("no test images: give images=, a tensor (n, channels, height, width) or an image class")
        images = subject.data
    if isinstance(images, Tensor):
        x = validate.images(images)
        if len(x) < LEAST_IMAGES:
            raise ValueError(f"images must hold at least {LEAST_IMAGES} test images, got {len(x)}")
    else:
        x = validate.sampled(images, h.plan.images, seed=TEST_SEED)
        train = images if train is None else train
    if train is None or isinstance(train, Tensor):
        return x, None if train is None else validate.images(train, "train")
    return x, validate.sampled(train, TRAIN_IMAGES, seed=TRAIN_SEED)


def _training(subject: Subject, seed: int, known: Tensor | None) -> Tensor | None:
    """The training images of a seed where they are fixed, or those that are known."""
    if isinstance(subject, Trained) and subject.n is not None:
        return validate.sampled(subject.data, subject.n, seed=seed)
    return known


def _seeds(h: Hypothesis, subject: Subject, rival: Subject | None) -> list[int]:
    """The seeds: as many as the plan says, or as there are denoisers."""
    counts = {s.count for s in (subject, rival) if s is not None and s.count is not None}
    if len(counts) > 1:
        raise ValueError(f"subject and rival must have as many denoisers as each other, got {sorted(counts)}")
    if not counts:
        return [h.plan.first_seed + k for k in range(h.plan.seeds)]
    (count,) = counts
    mixed = [s for s in (subject, rival) if s is not None and s.count is None]
    if mixed and count < LEAST_SEEDS:
        raise ValueError(
            f"a class of networks needs at least {LEAST_SEEDS} seeds, and it is compared with one denoiser; give one for "
            "each seed"
        )
    return list(range(count))


def _names(nulls: list[Null]) -> list[str]:
    """The names of the nulls, numbered where two are alike."""
    names = [null.name for null in nulls]
    return [name if names.count(name) == 1 else f"{name} {names[: k + 1].count(name)}" for k, name in enumerate(names)]


def _refuse_random(h: Hypothesis, setting: Setting, before: np.ndarray) -> None:
    """Refuse a measure that gives other values when it is called again with the same arguments."""
    sigma = h.plan.sigmas[0]
    again = checked_values(h.measure, setting.f, setting.images, sigma, setting.seed, "the subject")
    apart = float(np.abs(again - before).max())
    if apart > 1e-6 * max(1.0, float(np.abs(before).max())):
        raise ValueError(
            f"the measure differs by {apart:.3g} between two calls with the same seed; draw its random numbers from the seed "
            "it is given, as in add_noise(images, sigma, seed=seed)"
        )


def _refuse_subject(model: Denoiser, setting: Setting, name: str, sigma: float) -> None:
    """Refuse a null that gives the same images as the subject."""
    y = add_noise(setting.images[:LEAST_IMAGES], sigma, seed=setting.seed)
    with torch.no_grad():
        a, b = (
            wide(validate.denoised(f, y.clone(), sigma, what)) for f, what in ((model, name), (setting.f, "subject"))
        )
    if float((a - b).abs().max()) <= 1e-6 * float(b.abs().max().clamp(min=1e-30)):
        raise ValueError(
            f"the null {name!r} is the subject: both return the same images; a null must be a model without the property, "
            "leave it out or give another"
        )


def _about(subject: Subject, rival: Subject | None, seeds: int, images: int) -> str:
    """What a verdict is about, in words."""
    name = getattr(subject, "name", "the subject")
    if rival is not None:
        name += f" less {getattr(rival, 'name', 'the rival')}"
    if seeds == 1:
        return f"this one denoiser ({name}) and {images} images; it says nothing about others of its kind"
    return f"{name}, {seeds} seeds and {images} images"
