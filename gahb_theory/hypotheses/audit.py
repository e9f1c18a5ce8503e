"""An audit of one denoiser: all of the catalogue that the given data allows, and what follows from it.

    does it memorise or generalise      the PSNR on its training images against that on others     needs `train`
    does a twin agree                   beyond what a Wiener filter explains                        needs `twin`
    how far from optimal at least       certified from pairs alone, `gahb_theory.theory.excess_risk`
    what is its basis like              adaptive, sparser than fixed bases
    what of the theory does it obey     symmetric, homogeneous, local, equivariant, knows the noise level

Error rates of the first answer are measured by `experiments/audit_rates.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.hypotheses import catalogue
from gahb_theory.hypotheses.assessment import Assessment, assess
from gahb_theory.hypotheses.hypothesis import Hypothesis, Plan
from gahb_theory.metrics.errors import mse
from gahb_theory.metrics.intervals import Estimate
from gahb_theory.metrics.similarity import closest
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result
from gahb_theory.theory.certificates import excess_risk

__all__ = ["Audit", "Certified", "audit"]

SIGMAS = (0.1, 0.3)
IMAGES_OF_JACOBIANS, SHOWN = 8, 8
STRONG_NOISE = 0.5
"""Level at which what a denoiser makes of other images is compared with the training images."""


@dataclass(frozen=True)
class Certified:
    """What a denoiser loses to the best one, at least, at one noise level.

    Parameters
    ----------
    sigma
        Noise level.
    excess
        Certified excess of the risk, summed over pixels.
    risk
        Risk of the denoiser, estimated from the same images.
    decibels
        10 log10 of risk / (risk - low end of the excess); 0 where nothing is certified.
    """

    sigma: float
    excess: Estimate
    risk: float
    decibels: float


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Result):
    """The answers of an audit, with the numbers they follow from.

    Parameters
    ----------
    name
        Of the denoiser.
    assessments
        One for each claim that could be assessed, by its name in the catalogue.
    left_out
        Why the others could not.
    certified
        How far from optimal, one for each noise level.
    closest_similarity
        Cosine of what the denoiser makes of strongly noisy test images, and the closest training image, for each; empty
        without training images.
    pairs
        The most similar of these beside their training images, shape (shown, 2, channels, height, width).
    """

    name: str
    assessments: dict[str, Assessment]
    left_out: dict[str, str]
    certified: tuple[Certified, ...]
    closest_similarity: Float[np.ndarray, " n"]
    pairs: Float[np.ndarray, "shown 2 c h w"]

    def answers(self) -> list[str]:
        """The verdicts in words, the most important first."""
        result = [self._memory()]
        for c in self.certified:
            result.append(
                f"At sigma = {c.sigma:g} it is at least {c.decibels:.2f} dB from optimal, certified."
                if c.decibels > 0
                else f"At sigma = {c.sigma:g} no distance from the optimum is certified; it may still be there."
            )
        return result + [
            f"{a.statement} {a.verdict.capitalize()}." for n, a in self.assessments.items() if n != "memorises"
        ]

    def _memory(self) -> str:
        """Whether it memorises."""
        if "memorises" not in self.assessments:
            return "Whether it memorises cannot be told: " + self.left_out["memorises"]
        a = self.assessments["memorises"]
        shown = f"{a.estimate.value:+.2f} dB [{a.estimate.low:.2f}, {a.estimate.high:.2f}] on training images"
        said = {
            "supported": "It memorises",
            "refuted": "It generalises: no memory above 1 dB",
            "undecided": "Whether it memorises is undecided",
        }
        return f"{said.get(a.verdict, f'Whether it memorises cannot be told ({a.verdict})')}: {shown}."

    def to_dict(self) -> dict[str, Any]:
        """All but the images as numbers, lists, strings and dictionaries of these."""
        plain = super().to_dict()
        del plain["pairs"]
        return plain | {"answers": self.answers()}

    def __repr__(self) -> str:
        return "\n".join([f"audit of {self.name}", *(f"  {line}" for line in self.answers())])


def audit(
    f: Denoiser,
    images: Float[Tensor, "n c h w"],
    others: Float[Tensor, "m c h w"],
    *,
    train: Float[Tensor, "k c h w"] | None = None,
    twin: Denoiser | None = None,
    name: str = "denoiser",
) -> Audit:
    """All of the catalogue that the data allows, for one denoiser.

    Parameters
    ----------
    f
        The denoiser.
    images
        Test images that it was not trained on, at least 16.
    others
        Images of the same distribution, for filters and bases: neither trained on nor tested on, of other photographs.
    train
        Its training images.
    twin
        A denoiser trained on other images.
    name
        What to call it.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> X = gt.Disks(size=16)
    >>> train = X.sample(16, seed=3)
    >>> result = audit(gt.EmpiricalBayes(train), X.sample(32), X.sample(64, seed=1), train=train)
    >>> result.answers()[0][:13]
    'It memorises:'
    """
    images, others = validate.images(images), validate.images(others, "others")
    if len(images) < 16:
        raise ValueError(f"an audit needs at least 16 test images, got {len(images)}")
    few = Plan(images=IMAGES_OF_JACOBIANS, sigmas=SIGMAS[:1])
    all_of_them = Plan(images=len(images), sigmas=SIGMAS)
    claims: dict[str, Callable[[], Hypothesis]] = {
        "symmetric": lambda: catalogue.symmetric(few),
        "adaptive": lambda: catalogue.adaptive(few),
        "sparse": lambda: catalogue.sparse(others, few),
        "local": lambda: catalogue.local(few),
        "knows_noise_level": lambda: catalogue.knows_noise_level(few),
        "homogeneous": lambda: catalogue.homogeneous(all_of_them),
        "equivariant": lambda: catalogue.equivariant(all_of_them),
    }
    left_out = {}
    if train is None:
        left_out["memorises"] = "no training images were given (--train)."
    else:
        claims = {"memorises": lambda: catalogue.memorises(train, others, all_of_them)} | claims
    if twin is None:
        left_out["agrees_with_twin"] = "no twin was given (--twin)."
    else:
        claims["agrees_with_twin"] = lambda: catalogue.agrees_with_twin(twin, others, all_of_them)
    assessments = {}
    with progress_bar(claims.items(), desc="audit") as bar:
        for claim, make in bar:
            h = make()
            x = images[: h.plan.images]
            try:
                assessments[claim] = assess(h, f, images=x, train=others)
            except ValueError as error:  # as where a null is the subject
                left_out[claim] = f"{error}."
    similarity, pairs = _recalled(f, images, train)
    return Audit(
        name, assessments, left_out, tuple(_certified(f, images, others, s) for s in SIGMAS), similarity, pairs
    )


def _certified(f: Denoiser, images: Tensor, others: Tensor, sigma: float) -> Certified:
    """What is certified with the Wiener filter of other images as a rival."""
    rival = GaussianDenoiser.fit(others)
    excess = excess_risk(f, images, sigma, [rival])
    with torch.no_grad():
        risk = float(mse(images, validate.denoised(f, add_noise(images, sigma), sigma)).mean())
    low = min(float(excess.low), 0.999 * risk)
    return Certified(sigma, excess, risk, float(10 * np.log10(risk / (risk - low))) if low > 0 else 0.0)


def _recalled(f: Denoiser, images: Tensor, train: Tensor | None) -> tuple[np.ndarray, np.ndarray]:
    """What f makes of strongly noisy test images, and the training images closest to it."""
    if train is None:
        return np.zeros(0), np.zeros((0, 2, *images.shape[1:]), dtype=np.float32)
    with torch.no_grad():
        made = validate.denoised(f, add_noise(images, STRONG_NOISE, seed=1), STRONG_NOISE)
    near = closest(made, train.to(made), 1)
    similarity = near.similarity[:, 0].double().cpu().numpy()
    best = np.argsort(-similarity)[:SHOWN].copy()
    beside = torch.stack([made[best], train.to(made)[near.indices[:, 0][best]]], dim=1)
    return similarity, beside.float().cpu().numpy()
