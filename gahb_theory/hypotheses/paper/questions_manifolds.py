"""What networks do on manifolds: disks, a ray, a sine cone (figures 5, 19 and 20), against the exact posterior mean.

    angle    largest principal angle of the first m eigenvectors to the tangent space of dimension m: 90 degrees if it is missed
    excess   risk over that of the exact posterior mean, window [.03, .3]
    extra    eigenvalues in (.2, .8), less the number that the exact posterior mean has

    where    cosine of the energy of their eigenvectors to the own contour, less what other disks let expect

Null models of the second are not optimal, but nearly: the optimum for noise that is a fifth stronger, and on the ray and the
cone the Wiener filter and the memoriser of many images, which know no manifold. Hardly trained networks are more than 1 dB
above the optimum, too, so that one budget says nothing of a bias: `questions_budget` asks what stays. For the extra directions
the Wiener filter and an untrained network are nulls, which have them without having learned a manifold; that they follow the
own contour, as no fixed basis does, is asked on disks.

The ray and the cone lie in a line and in a plane, where a Wiener filter is as good as the optimum: at no level does the exact
posterior mean beat it there. Networks of these two classes are therefore gated by identity and mean, and by the doubling.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers import DiskBayes, EmpiricalBayes, GaussianDenoiser
from gahb_theory.denoisers.exact.cone_posterior import ConeBayes
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.hypotheses.gates import Gate
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.nulls import ConstantMean, Identity, Wiener
from gahb_theory.hypotheses.paper.contour_share import ContourShare
from gahb_theory.hypotheses.paper.judged_measures import BetweenCount, LargestAngle, decibels
from gahb_theory.hypotheses.paper.judged_networks import Judged
from gahb_theory.hypotheses.paper.questions_optimum import WINDOW, above
from gahb_theory.hypotheses.paper.workshop import (
    TRAIN_IMAGES,
    TRAIN_SEED,
    NotTrained,
    Question,
    Workshop,
    beats_simple,
    doubling,
)
from gahb_theory.hypotheses.subjects import Given
from gahb_theory.images import Disks

__all__ = ["MANIFOLDS", "optimum", "questions", "scene_of"]

LEAST = 0.25
"""The smallest budget."""
MANIFOLDS = {"disks": "5", "ray": "19", "sine_cone": "20"}
SIGMAS = (0.04, 0.08)
"""Noise levels of the paper's figures 5, 19 and 20."""
IMAGES, TEST_SEED = 16, 2**43 + 1
SHOWN = 24
"""Eigenvalues in the figure."""
CLOSE, APART, EXTRA, ALONG = 20.0, 0.2589, 3.0, 0.1
"""Degrees; 1 dB; directions; a cosine: fixed before the numbers."""
LINEAR = ("ray", "sine_cone")
"""Classes in a linear space, where no denoiser beats the Wiener filter."""
LOUDER, MEMORISED = 1.2, 65_536
"""Factor of the noise level of a null model; images of the memoriser."""


@cache
def optimum(X: Any) -> Any:
    """The exact posterior mean."""
    return DiskBayes(X, samples=1024) if isinstance(X, Disks) else ConeBayes(X)


@cache
def scene_of(X: Any) -> Any:
    """The test images with their tangent spaces."""
    return X.scene(IMAGES, seed=TEST_SEED)


@dataclass(frozen=True, eq=False)
class ForLouderNoise:
    """The exact posterior mean for noise that is stronger than it is."""

    best: Any

    def __call__(self, y: Tensor, sigma: Any) -> Tensor:
        """The estimate."""
        return self.best(y, LOUDER * sigma)


def _nearly_optimal(name: str, X: Any) -> list[Any]:
    """Denoisers that are not optimal, but within 1 dB of it."""
    found: list[Any] = [Given(ForLouderNoise(optimum(X)), "the optimum for noise a fifth stronger")]
    if name in LINEAR:
        images = X.sample(MEMORISED, seed=TRAIN_SEED)
        found += [Wiener(), Given(EmpiricalBayes(images), f"memoriser of {MEMORISED:,} images")]
    return found


def _tangents(X: Any, images: Tensor) -> Tensor:
    scene = scene_of(X)
    if not torch.equal(scene.images, images):
        raise ValueError("tangent spaces are known for the test images of this module alone")
    return scene.tangent


def _beats(name: str, X: Any) -> Gate:
    """What networks have to beat: where the optimum does not beat the Wiener filter, identity and mean."""
    if name in LINEAR:
        return beats_simple(X, "beats identity and mean", (Identity(), ConstantMean()))
    return beats_simple(X)


def _make(judged: Judged, what: str, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    name = judged.images
    X, words = w.settings.images(name), name.replace("_", " ")
    untrained = Given(w.untrained(judged), "untrained network")
    kinds: dict[str, tuple[str, Callable[..., Tensor], Criterion, list[Any], str]] = {
        "angle": (
            f"On the {words}, the first {X.dimension} eigenvectors span the tangent space to 20 degrees.",
            LargestAngle(partial(_tangents, X), w.spectra),
            Criterion(CLOSE, "<"),
            [Wiener(), untrained],
            "degrees",
        ),
        "excess": (
            f"On the {words}, networks are more than 1 dB above the optimum.",
            above(X),
            Criterion(APART, ">"),
            _nearly_optimal(name, X) if what == "excess" else [],
            "of the Bayes risk",
        ),
        "extra": (
            f"On the {words}, networks keep more than 3 directions that the optimum removes.",
            BetweenCount(w.spectra, optimum(X)),
            Criterion(EXTRA, ">"),
            [Wiener(), untrained],
            "directions",
        ),
        "where": (
            f"On the {words}, the directions that networks neither keep nor remove follow the contour of their own image: "
            "cosine .1 above that to others.",
            ContourShare(w.spectra),
            Criterion(ALONG, ">"),
            [Wiener(), untrained],
            "",
        ),
    }
    statement, measure, criterion, nulls, unit = kinds[what]
    risks = what == "excess"
    h = Hypothesis(
        statement,
        measure,
        criterion,
        nulls=nulls,
        gates=[_beats(name, X), w.twice(judged)],
        plan=Plan(images=32 if risks else IMAGES, sigmas=WINDOW if risks else SIGMAS),
        unit=unit,
        source=f"Kadkhodaie et al. (2024), figure {MANIFOLDS[name]}",
    )
    images = X.sample(32, seed=0) if risks else scene_of(X).images
    return h, w.given(judged), None, images, X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


def _short(judged: Judged, w: Workshop, a: Assessment) -> dict[str, Any]:
    """How far networks of the smallest budget are above the optimum, in decibels."""
    short, measure = Judged(judged.kind, judged.images, LEAST), above(w.settings.images(judged.images))
    found: dict[str, Any] = {}
    with suppress(NotTrained):
        values = [[measure(f, measure.X.sample(2), sigma, 0).numpy() for sigma in WINDOW] for f in w.networks(short)]
        found[f"dB after {short.images_seen(w.settings):,} images"] = round(decibels(float(np.mean(values))), 2)
    return found


def _reference(judged: Judged, what: str, w: Workshop, a: Assessment) -> dict[str, Any]:
    X = w.settings.images(judged.images)
    f, x = optimum(X), scene_of(X).images
    measure = LargestAngle(partial(_tangents, X), w.spectra) if what == "angle" else BetweenCount(w.spectra)
    known = [measure(f, x, sigma, 0) for sigma in SIGMAS]
    models = {
        "networks": w.networks(judged),
        "exact optimum": [f],
        "Wiener filter": [GaussianDenoiser.fit(X.sample(TRAIN_IMAGES, seed=TRAIN_SEED))],
        "untrained": w.untrained(judged),
    }
    spectra = {k: torch.stack([w.spectra.at(g, x, SIGMAS[0])[0][:, :SHOWN] for g in fs]) for k, fs in models.items()}
    return {
        "of the exact optimum": [round(float(v.mean()), 3) for v in known],
        "levels": list(SIGMAS),
        "eigenvalues": {k: [round(float(v), 3) for v in table.mean(dim=(0, 1))] for k, table in spectra.items()},
    }


def questions(w: Workshop) -> list[Question]:
    """The questions, about the networks that were trained longest."""
    found = []
    for name, figure in MANIFOLDS.items():
        judged = w.longest("plain", name)
        for what in ("excess", "angle", "extra", *(("where",) if name == "disks" else ())):
            reference: Any = partial(_reference, judged, what) if what in ("angle", "extra") else None
            reference = partial(_short, judged) if what == "excess" else reference
            kinds, make = (judged, *doubling(judged)), partial(_make, judged, what)
            found.append(Question(f"{what}, {name}", figure, kinds, make, reference))
    return found
