"""Models that do not have the property that a hypothesis is about, and on which its measure must fail.

A null model is an object with a `name` and a method `model(setting)` that returns a denoiser. These need nothing of the
network but its training images, or the test images:

    Wiener            f(y) = m + C (C + sigma^2)^-1 (y - m), mean and covariance those of the training images
    Memoriser         the posterior mean of the training images
    Identity          f(y) = y
    ConstantMean      f(y) = m
    FixedBasisOracle  the best gains for each clean image, in a basis that does not adapt
    OtherGeometry     f(y) = J(y') y, the subject frozen at another image

and these are made from the subject:

    Untrained         the network before training
    LessTrained       the network trained ten times less
    AnotherSeed       the same images, other weights and noise
    ShuffledClass     the network trained on images whose pixels are permuted

Where a subject has no such variant, as a function has no weights, `model` raises `NotApplicable`, and the result says so.
"""

import copy
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.bases.base import Basis
from gahb_theory.bases.fourier import DCT
from gahb_theory.denoisers.base import Denoiser, DenoiserModule
from gahb_theory.denoisers.exact.empirical import EmpiricalBayes
from gahb_theory.hypotheses.subjects import Given, Setting, Subject, Trained, as_subject
from gahb_theory.images.shuffled import Shuffled
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import Component, add_noise, normals
from gahb_theory.shrinkage import oracle_gains

__all__ = [
    "AnotherSeed",
    "ConstantMean",
    "FixedBasisOracle",
    "Identity",
    "LessTrained",
    "Memoriser",
    "NotApplicable",
    "Null",
    "OtherGeometry",
    "ShuffledClass",
    "Untrained",
    "Wiener",
    "as_null",
]

SEED_OF_OTHERS = 1_000_003
"""What is added to a seed for a network that must differ from that of the seed."""


class NotApplicable(Exception):
    """The subject has no such variant; the message says why."""


@runtime_checkable
class Null(Protocol):
    """A model without the property."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        ...


@dataclass(frozen=True)
class Wiener:
    """The best linear denoiser of the training images."""

    name: str = "linear Wiener filter"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return setting.wiener


@dataclass(frozen=True)
class Memoriser:
    """The posterior mean of the training images, which perfect training would give."""

    name: str = "memoriser"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return EmpiricalBayes(setting.training_images)


@dataclass(frozen=True)
class Identity:
    """The noisy image itself."""

    name: str = "identity"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return _identity


def _identity(y: Tensor, sigma: float | Tensor) -> Tensor:
    return y.clone()


@dataclass(frozen=True)
class ConstantMean:
    """The mean of the training images, whatever the noisy image."""

    name: str = "constant mean"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        mean = setting.training_images.mean(dim=0, keepdim=True)
        return lambda y, sigma: mean.to(y).expand_as(y) + 0 * y


@dataclass(frozen=True)
class FixedBasisOracle:
    """The best gains c^2 / (c^2 + sigma^2) for the clean image, in a basis that does not adapt to it.

    The clean image is the test image closest to the noisy one, so that the model is a function of (y, sigma).

    Parameters
    ----------
    basis
        A fixed orthonormal basis; by default cosines.
    """

    basis: Basis | None = None
    name: str = "oracle of a fixed basis"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        basis, clean = self.basis or DCT(), setting.images

        def oracle(y: Tensor, sigma: float | Tensor) -> Tensor:
            nearest = torch.cdist(y.detach().flatten(1), clean.to(y).flatten(1)).argmin(dim=1)
            gains = oracle_gains(basis.analysis(clean.to(y)[nearest]), sigma)
            return basis.synthesis(gains * basis.analysis(y), y.shape[1:])

        return oracle


class _Frozen(DenoiserModule):
    """f(y) = J y with the Jacobian J of a denoiser at one noisy image of the same noise level."""

    def __init__(self, f: Denoiser, clean: Tensor, seed: int) -> None:
        super().__init__()
        self.f, self.clean, self.seed = f, clean, seed
        self.matrices: dict[tuple[float, torch.dtype], Tensor] = {}
        self.eval()

    def estimate(self, y: Tensor, sigma: Tensor) -> Tensor:
        """Return J y."""
        level = float(sigma.flatten()[0])
        if (level, y.dtype) not in self.matrices:
            z = add_noise(self.clean.to(y), level, seed=self.seed)
            self.matrices[level, y.dtype] = jacobian(self.f, z, level).matrix().to(y).detach()
        return (y.flatten(1) @ self.matrices[level, y.dtype].mT).reshape(y.shape)


@dataclass(frozen=True)
class OtherGeometry:
    """The subject frozen at another image: f(y) = J(y') y with y' a noisy training image."""

    name: str = "geometry of another image"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return _Frozen(setting.f, setting.training_images[:1], setting.seed)


@dataclass(frozen=True)
class Untrained:
    """The network before training; of a checkpoint, its structure with kernels drawn anew."""

    name: str = "untrained network"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        if isinstance(setting.subject, Trained):
            return setting.subject.network(setting.seed).eval()
        f = setting.f
        if not isinstance(f, torch.nn.Module) or not any(p.ndim > 1 for p in f.parameters()):
            raise NotApplicable("the subject has no weights")
        return _redrawn(f, setting.seed)


def _redrawn(f: torch.nn.Module, seed: int) -> Denoiser:
    """A copy whose matrices and kernels are normal numbers of the variance 2 / fan-in (He et al. 2015)."""
    g = copy.deepcopy(f).eval()
    with torch.no_grad():
        for part, p in enumerate(p for p in g.parameters() if p.ndim > 1):
            drawn = normals(1, p.numel(), seed=seed, component=Component.WEIGHTS, part=part).reshape(p.shape)
            p.copy_(drawn * (2 / max(1, p[0].numel())) ** 0.5)
    return g


def _trained(setting: Setting) -> Trained:
    if not isinstance(setting.subject, Trained):
        raise NotApplicable(
            "the subject cannot be trained anew: give a Trained, or checkpoints of such networks as a null"
        )
    return setting.subject


@dataclass(frozen=True)
class LessTrained:
    """The network of the same seed, trained with a part of the budget.

    Parameters
    ----------
    factor
        How many times less.
    """

    factor: float | int = 10.0
    name: str = "network trained ten times less"

    def __post_init__(self) -> None:
        validate.number(self.factor, "factor", above=1)
        if self.factor != 10 and self.name == LessTrained.name:
            object.__setattr__(self, "name", f"network trained {self.factor:g} times less")

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return _trained(setting).train(setting.seed, budget=1 / self.factor)


@dataclass(frozen=True)
class AnotherSeed:
    """A network of the same kind on the same images, with other weights and noise."""

    name: str = "same data, another seed"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        subject = setting.subject
        if isinstance(subject, Given) and subject.count > 1:
            return subject.denoiser(setting.seed + 1)
        if isinstance(subject, Given):
            raise NotApplicable("one denoiser has no other seed: give several checkpoints, or a Trained")
        other = setting.seed + SEED_OF_OTHERS
        return subject.train(other, data_seed=setting.seed) if isinstance(subject, Trained) else subject.denoiser(other)


@dataclass(frozen=True)
class ShuffledClass:
    """The network trained on images whose pixels are permuted: the same number of images, no geometry."""

    name: str = "shuffled class"

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        subject = _trained(setting)
        return subject.train(setting.seed, data=Shuffled(subject.data))


@dataclass(frozen=True, eq=False)
class _OfSubject:
    """A denoiser, or one for each seed, as a null model."""

    subject: Subject
    name: str

    def model(self, setting: Setting) -> Denoiser:
        """The denoiser."""
        return self.subject.denoiser(setting.seed)


def as_null(thing: object) -> Null:
    """A null model of whatever is one: a null model already, a denoiser, a path, a `Given`, `PerSeed` or `Trained`."""
    if isinstance(thing, Null):
        return thing
    subject = as_subject(thing)
    return _OfSubject(subject, str(getattr(subject, "name", "given null")))
