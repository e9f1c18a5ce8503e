"""Whether eigenbases follow the geometry of their own image, against bandlets and the exact posterior (figures 3, 4, 16, 18).

32 C^alpha images (alpha = 2, for plain networks 3 as well), five noise levels, the same noise for all. Whatever is compared,
what other images' bases let expect is subtracted, so that a denoiser with one basis for all images has 0:

    energy    of an image in the best d / 32 vectors of a basis
    overlap   of the first 16 eigenvectors with 16 atoms: bandlets and wavelets with the largest coefficients of the clean
              image, and the first eigenvectors of the exact posterior covariance

The energies of bandlets adapted to the clean image, and of the exact posterior, are measured alike, and are what an oracle and
the optimum have.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.bases import Bandlet, Basis, Wavelet
from gahb_theory.denoisers import GaussianDenoiser
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Plan
from gahb_theory.hypotheses.jobs import Task
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.nulls import Wiener
from gahb_theory.hypotheses.paper.judged_atoms import BestOf, measure_posterior
from gahb_theory.hypotheses.paper.judged_measures import OverlapOfOwn, OwnGeometry, own_energy
from gahb_theory.hypotheses.paper.judged_networks import MANY_SEEDS, Judged
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
from gahb_theory.identity import digest, identity
from gahb_theory.images import CAlpha
from gahb_theory.metrics.intervals import mean_estimate

__all__ = ["SIGMAS", "pictures", "posterior_vectors", "questions"]

SIGMAS = (0.03, 0.05, 0.1, 0.2, 0.3)
IMAGES, TEST_SEED, RANK = 32, 2**43, 16
MORE_UNTRAINED = {"conservative": 3 * MANY_SEEDS}
"""Of conservative networks nine differ so much that they cannot be told from passing."""
OWN, AS_MUCH, MORE = 0.02, -0.02, 0.01
"""Energies, and overlaps, that matter: a fiftieth; fixed before the numbers."""
NOISE = 5


def tests(X: CAlpha) -> Tensor:
    """The test images."""
    return X.sample(IMAGES, seed=TEST_SEED)


def posterior_tasks(X: CAlpha) -> list[Task]:
    """The exact posterior at the test images, one task for each noise level."""
    place = {"images": X, "count": IMAGES, "seed": TEST_SEED, "noise": NOISE}
    return [Task(measure_posterior, place | {"sigma": sigma}, name=f"posterior_{sigma:g}") for sigma in SIGMAS]


@cache
def posterior_vectors(laboratory: Laboratory, X: CAlpha) -> dict[float, Tensor]:
    """Eigenvectors of the exact posterior covariance as rows (n, d, d), by noise level."""
    found = laboratory.tasks(posterior_tasks(X))
    return {s: torch.from_numpy(found[f"posterior_{s:g}"].arrays["vectors"]).float() for s in SIGMAS}


@cache
def _matrix(basis: Basis, X: CAlpha, sigma: float) -> Tensor:
    """All atoms of a basis adapted to each test image, (n, d, d)."""
    x = tests(X)
    rows = []
    for i in range(len(x)):
        adapted = basis.at(x[i : i + 1], sigma)
        rows.append(adapted.atom_images(list(range(x[0].numel())), x.shape[1:]).flatten(1))
    return torch.stack(rows)


def _make(judged: Judged, what: str, w: Workshop) -> tuple[Hypothesis, Any, Any, Tensor, Tensor]:
    X, kind = w.settings.images(judged.images), "BF-CNN" if judged.kind == "bfcnn" else judged.kind
    exact, spectra = posterior_vectors(w.laboratory, X), w.spectra

    def of_posterior(images: Tensor, sigma: float) -> Tensor:
        return own_energy(images, exact[sigma])

    def of_bandlets(images: Tensor, sigma: float) -> Tensor:
        return own_energy(images, _matrix(BANDLETS, X, sigma))

    def first_of_posterior(images: Tensor, sigma: float, r: int) -> Tensor:
        return exact[sigma][:, :r]

    kinds: dict[str, tuple[str, Callable[..., Tensor], Criterion]] = {
        "own": (
            f"Eigenbases of {kind} networks represent their image better than other images' do: energy higher by .02.",
            OwnGeometry(spectra),
            Criterion(OWN, ">"),
        ),
        "own, posterior": (
            f"Those of {kind} networks are as adapted as the basis of the exact posterior: energy less than .02 below.",
            OwnGeometry(spectra, of_posterior),
            Criterion(AS_MUCH, ">"),
        ),
        "own, bandlets": (
            f"Those of {kind} networks are more adapted than bandlets of the clean image: energy higher by .01.",
            OwnGeometry(spectra, of_bandlets),
            Criterion(MORE, ">"),
        ),
        "overlap, bandlets": (
            f"Eigenvectors of {kind} networks overlap more with bandlets of their image than with others', by .02.",
            OverlapOfOwn(BestOf(BANDLETS), spectra, RANK),
            Criterion(OWN, ">"),
        ),
        "overlap, wavelets": (
            f"They overlap more with the wavelets that their image needs than with others', by .02 ({kind}).",
            OverlapOfOwn(BestOf(WAVELETS), spectra, RANK),
            Criterion(OWN, ">"),
        ),
        "overlap, posterior": (
            f"Eigenvectors of {kind} networks overlap more with those of the exact posterior of their image, by .02.",
            OverlapOfOwn(first_of_posterior, spectra, RANK),
            Criterion(OWN, ">"),
        ),
    }
    statement, measure, criterion = kinds[what]
    h = Hypothesis(
        statement if judged.images == "c_alpha_2" else f"On images of alpha = {X.alpha:g}: {statement}",
        measure,
        criterion,
        nulls=[Wiener(), Given(w.untrained(judged), "untrained network")],
        gates=[beats_simple(X), w.twice(judged)],
        plan=Plan(images=IMAGES, sigmas=SIGMAS, looks=judged.looks(w.settings)),
        source="Kadkhodaie et al. (2024), figures 3 and 4",
    )
    return h, w.given(judged), None, tests(X), X.sample(TRAIN_IMAGES, seed=TRAIN_SEED)


BANDLETS, WAVELETS = Bandlet(), Wavelet("sym4")
WHAT = ("own", "own, posterior", "own, bandlets", "overlap, bandlets", "overlap, wavelets", "overlap, posterior")
JUDGED = {
    ("plain", 2.0): "3, 4, 18",
    ("conservative", 2.0): "3, 4, 18",
    ("plain", 3.0): "18",
    ("bfcnn", 2.0): "16",
}
"""Kinds of networks and alpha, with the figures that they are about."""


def _reference(judged: Judged, w: Workshop, a: Assessment) -> dict[str, Any]:
    """What the exact posterior and bandlets of the clean image have, at each noise level, with intervals over images."""
    X = w.settings.images(judged.images)
    x, exact = tests(X), posterior_vectors(w.laboratory, X)
    measure, nothing = OwnGeometry(w.spectra), w.untrained(judged)
    untrained = [float(torch.stack([measure(f, x, sigma, 0) for f in nothing]).mean()) for sigma in SIGMAS]
    found: dict[str, Any] = {"levels": list(SIGMAS), "energy of untrained networks": [round(v, 4) for v in untrained]}
    for name, table in (
        ("energy of the exact posterior", {s: own_energy(x, exact[s]) for s in SIGMAS}),
        ("energy of bandlets of the clean image", {s: own_energy(x, _matrix(BANDLETS, X, s)) for s in SIGMAS}),
        (
            "overlap of the exact posterior with bandlets",
            {s: _overlap(exact[s], BestOf(BANDLETS)(x, s, RANK)) for s in SIGMAS},
        ),
        (
            "overlap of the exact posterior with wavelets",
            {s: _overlap(exact[s], BestOf(WAVELETS)(x, s, RANK)) for s in SIGMAS},
        ),
    ):
        e = mean_estimate(np.mean([table[s].numpy() for s in SIGMAS], axis=0))
        found[name] = [round(float(v), 4) for v in (e.value, e.low, e.high)]
        found[name + ", by level"] = [round(float(table[s].mean()), 4) for s in SIGMAS]
    return found


def _overlap(exact: Tensor, atoms: Tensor) -> Tensor:
    from gahb_theory.hypotheses.paper.judged_measures import own_less_expected

    first = exact[:, :RANK]
    return own_less_expected(
        torch.einsum("ird,jsd->ijrs", first, atoms.float()).square().sum(dim=(2, 3)).double() / RANK
    )


def pictures(w: Workshop, image: int = 0, sigma: float = 0.1, count: int = 8) -> dict[str, np.ndarray]:
    """Eigenvectors at one image: of the exact posterior, and of each model at the best match with them, signs aligned.

    NAME/vectors (count, d), NAME/values (count,), NAME/matches (count,): |<u, v>|; and the clean image.
    """
    from scipy.optimize import linear_sum_assignment

    X = CAlpha(alpha=2.0, size=w.settings.size)
    x = tests(X)
    exact = posterior_vectors(w.laboratory, X)[sigma][image]
    wiener = GaussianDenoiser.fit(X.sample(TRAIN_IMAGES, seed=TRAIN_SEED))
    models = {"plain network": w.networks(w.longest("plain", "c_alpha_2"))[0], "Wiener filter": wiener}
    models["untrained network"] = w.untrained(Judged("plain", "c_alpha_2"))[0]
    with suppress(NotTrained):
        models["conservative network"] = w.networks(w.longest("conservative", "c_alpha_2"))[0]
    values = torch.from_numpy(w.laboratory.tasks(posterior_tasks(X))[f"posterior_{sigma:g}"].arrays["values"])[image]
    found = {"clean": x[image, 0].numpy(), "exact posterior/vectors": exact[:count].numpy()}
    found["exact posterior/values"] = values[:count].numpy()
    for name, f in models.items():
        eigenvalues, vectors = (part[image] for part in w.spectra.at(f, x, sigma))
        first = vectors[: 2 * RANK]
        products = (exact[:count] @ first.mT).numpy()
        _, chosen = linear_sum_assignment(-np.abs(products))
        matches = products[np.arange(count), chosen]
        signs = np.where(matches < 0, -1.0, 1.0)
        found[f"{name}/vectors"] = first[chosen].numpy() * signs[:, None]
        found[f"{name}/values"] = eigenvalues[chosen].numpy()
        found[f"{name}/matches"] = np.abs(matches)
    return found


def _untrained(judged: Judged, what: str, w: Workshop) -> dict[str, np.ndarray]:
    """The measure on more untrained networks than there are trained ones."""
    h, _, _, x, _ = _make(judged, what, w)
    return {"untrained network": per_network(h, w.untrained(judged, MORE_UNTRAINED.get(judged.kind, MANY_SEEDS)), x)}


@cache
def _digest(laboratory: Laboratory, X: CAlpha) -> str:
    return digest([identity(vectors) for vectors in posterior_vectors(laboratory, X).values()])


def _posteriors(judged: Judged, w: Workshop) -> list[str]:
    """The hash of the exact posteriors, which chains compute."""
    return [_digest(w.laboratory, w.settings.images(judged.images))]


def questions(w: Workshop) -> list[Question]:
    """The questions, about the networks that were trained longest."""
    found = []
    for (kind, alpha), figures in JUDGED.items():
        judged = w.longest(kind, f"c_alpha_{alpha:g}")
        for what in WHAT:
            reference = partial(_reference, judged) if what == "own" else None
            kinds, make = (judged, *doubling(judged)), partial(_make, judged, what)
            more = partial(_untrained, judged, what)
            key = f"{what}, {kind}" + ("" if alpha == 2 else f", alpha = {alpha:g}")
            found.append(
                Question(
                    key, figures, kinds, make, reference, more, MORE_UNTRAINED.get(kind), partial(_posteriors, judged)
                )
            )
    return found
