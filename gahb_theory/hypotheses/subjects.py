"""What a hypothesis is about: one denoiser, several, or a class of networks that are trained anew for each seed.

A subject gives one denoiser for each seed. `as_subject` makes one of

    a denoiser f(y, sigma), a function, the path of a checkpoint     the verdict is about this denoiser alone
    a list of at least three of these                                one for each seed
    PerSeed(function)                                                function(seed) -> denoiser
    Trained(network, data, recipe)                                   network(seed), trained on data drawn with this seed
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from gahb_theory import runs, validate
from gahb_theory.denoisers.base import Denoiser, DenoiserModule
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.denoisers.exact.gaussian_denoiser import GaussianDenoiser
from gahb_theory.hypotheses.crossed import LEAST_SEEDS
from gahb_theory.identity import content as identity
from gahb_theory.identity.hashing import digest
from gahb_theory.images.base import ImageClass
from gahb_theory.sweeps import KEY_LENGTH
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe

__all__ = ["Given", "PerSeed", "Setting", "Subject", "Trained", "as_subject"]

MOST_IMAGES = 4096
"""Training images that the Wiener filter and the memoriser take, at most."""


@runtime_checkable
class Subject(Protocol):
    """One denoiser for each seed."""

    @property
    def count(self) -> int | None:
        """Number of denoisers there are; None if any number can be had, 1 for a fixed denoiser."""
        ...

    def denoiser(self, seed: int) -> Denoiser:
        """The denoiser of a seed; of fixed ones number `seed`."""
        ...


@dataclass(frozen=True, eq=False)
class Setting:
    """What a null model or a gate may use, for one seed.

    Parameters
    ----------
    subject, f
        What the hypothesis is about, and its denoiser of this seed. Where the hypothesis compares it with a rival, the rival.
    seed
        The seed.
    images
        Clean test images, shape (n, channels, height, width).
    train
        Training images, or others of the same distribution; None if none were given.
    """

    subject: Subject
    f: Denoiser
    seed: int
    images: Tensor
    train: Tensor | None

    @property
    def training_images(self) -> Tensor:
        """The training images that null models are made of, refused if there are none."""
        if self.train is None:
            raise ValueError(
                "this null model is made of training images, and none were given; give train=images, or a class"
            )
        return self.train[:MOST_IMAGES]

    @cached_property
    def wiener(self) -> GaussianDenoiser:
        """The Wiener filter of the training images, which several nulls and gates share."""
        return GaussianDenoiser.fit(self.training_images)


@dataclass(frozen=True, eq=False)
class Given:
    """Denoisers that exist: one, or one for each seed.

    Parameters
    ----------
    denoisers
        Denoisers f(y, sigma), functions, or paths of checkpoints.
    name
        What to call them.
    """

    denoisers: Any
    name: str = "given denoiser"

    def __post_init__(self) -> None:
        given = self.denoisers if isinstance(self.denoisers, list | tuple) else [self.denoisers]
        loaded = tuple(_loaded(f) for f in given)
        if not loaded or 1 < len(loaded) < LEAST_SEEDS:
            raise ValueError(
                f"a subject is one fixed denoiser, or at least {LEAST_SEEDS} that differ in their seeds, got {len(loaded)}"
            )
        for i, f in enumerate(loaded):
            if any(_same(f, other) for other in loaded[:i]):
                raise ValueError(
                    f"denoiser {i} of the subject is the same as one before; repetitions must be independent"
                )
        object.__setattr__(self, "denoisers", loaded)

    @property
    def count(self) -> int:
        """Number of denoisers."""
        return len(self.denoisers)

    def denoiser(self, seed: int) -> Denoiser:
        """Denoiser number `seed`; a single one for every seed."""
        return self.denoisers[seed % len(self.denoisers)]


def _loaded(f: Any) -> Any:
    result = load_denoiser(f) if isinstance(f, str | Path) else validate.denoiser(f, "the subject")
    return result.eval() if isinstance(result, torch.nn.Module) else result


def _same(f: Any, g: Any) -> bool:
    if f is g:
        return True
    both = isinstance(f, torch.nn.Module) and isinstance(g, torch.nn.Module) and type(f) is type(g)
    return both and runs.fingerprint_parameters(f) == runs.fingerprint_parameters(g)


@dataclass(frozen=True)
class PerSeed:
    """Denoisers that a function makes, one for each seed.

    Parameters
    ----------
    make
        make(seed) -> denoiser: fits, trains or loads it.
    name
        What to call them.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> subject = PerSeed(lambda seed: gt.EmpiricalBayes(gt.Disks(size=16).sample(8, seed=seed)))
    >>> type(subject.denoiser(3)).__name__
    'EmpiricalBayes'
    """

    make: Callable[[int], Denoiser]
    name: str = "denoisers of a function"
    count: None = field(default=None, init=False)

    def denoiser(self, seed: int) -> Denoiser:
        """make(seed), in eval mode."""
        return _loaded(validate.denoiser(self.make(seed), "what the function of PerSeed returned"))


@dataclass(frozen=True, eq=False)
class Trained:
    """Networks of a kind, trained anew for each seed: weights, images, order and noise.

    Parameters
    ----------
    network
        network(seed) -> untrained network, for example `lambda seed: gt.UNet(8, 2, seed=seed)`.
    data
        The image class.
    recipe
        How to train; its seed is replaced.
    n
        Number of training images; None draws every image anew.
    folder
        Where finished networks are kept, by the hash of all that makes them; None trains them anew.
    name
        What to call them.

    Examples
    --------
    >>> import gahb_theory as gt
    >>> subject = Trained(lambda seed: gt.UNet(4, 1, seed=seed), gt.Disks(size=16), gt.Recipe(images_seen=64))
    >>> subject.denoiser(0).training
    False
    """

    network: Callable[[int], DenoiserModule]
    data: ImageClass
    recipe: Recipe
    n: int | None = None
    folder: str | Path | None = None
    name: str = "trained network"
    count: None = field(default=None, init=False)

    def __post_init__(self) -> None:
        validate.function(self.network, "network", "network(seed)")
        if not isinstance(self.recipe, Recipe):
            raise TypeError(f"recipe must be a Recipe, got {type(self.recipe).__name__}")
        if self.n is not None:
            validate.integer(self.n, "n", 1)

    def denoiser(self, seed: int) -> DenoiserModule:
        """The network of a seed, trained with the whole budget."""
        return self.train(seed)

    def train(
        self, seed: int, *, budget: float | int = 1.0, data_seed: int | None = None, data: Any = None
    ) -> DenoiserModule:
        """The network of a seed, trained with a multiple of the budget, on the images of another seed, or on other images.

        Parameters
        ----------
        seed
            Of the weights, the order and the noise.
        budget
            Multiple of the number of images of the recipe.
        data_seed
            Of the training images; by default the same. Without `n` every image is new, and it has no effect.
        data
            An image class in place of the own one.
        """
        source = self.data if data is None else data
        images = (
            source
            if self.n is None
            else validate.sampled(source, self.n, seed=seed if data_seed is None else data_seed)
        )
        images_seen = max(1, round(budget * self.recipe.images_seen))
        recipe = replace(self.recipe, images_seen=images_seen, seed=seed)
        f = validate.denoiser(self.network(seed), "what the function network returned")
        run = None
        if self.folder is not None:
            inputs = [identity.fingerprint(f), identity.fingerprint(images), runs.describe(recipe)]
            run = validate.path(self.folder, "folder") / digest(inputs)[:KEY_LENGTH]
        return train(f, images, recipe=recipe, run=run).eval()


def as_subject(thing: Any) -> Subject:
    """A subject of whatever is one: a denoiser, a path, a list of them, or a subject already."""
    return thing if isinstance(thing, Subject) else Given(thing, name=_described(thing))


def _described(thing: Any) -> str:
    if isinstance(thing, str | Path):
        return str(thing)
    if isinstance(thing, list | tuple):
        return f"{len(thing)} denoisers"
    return getattr(thing, "__name__", type(thing).__name__)
