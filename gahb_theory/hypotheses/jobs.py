"""What a laboratory does: networks to be trained, and tasks that measure them, each known by the hash of its content.

    key(training)  =  hash(network, data, recipe, snapshots)
    key(task)      =  hash(code, settings, keys of its networks)

Neither the place of a file, nor the device, nor a name counts. Of a function of this library its text counts, without comments,
of others the compiled code; not the functions that it calls.
"""

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.identity import class_name, digest, function_identity, identity, is_function
from gahb_theory.training.recipes import Recipe
from gahb_theory.training.snapshots import snapshot_name

__all__ = ["Bench", "Task", "TrainedNetwork", "Training", "code_identity"]

LIBRARY = __name__.partition(".")[0]
KEY_LENGTH = 24


@dataclass(frozen=True, eq=False)
class Training:
    """One network to be trained.

    Parameters
    ----------
    network
        What builds it, such as `partial(UNet, 16, 3, seed=1)`: a class or function with its arguments, which count, as
        does the seed of its weights. Two networks are independent only if this seed and that of the recipe differ.
    data
        What `train` takes, or an object with methods `images()` and `first(n)`, such as `DisjointPart`.
    recipe
        How to train.
    snapshots
        Numbers of images seen after which the network is kept, such as `geometric_snapshots(recipe.images_seen)`.
    name
        What results call it; it does not count.

    Examples
    --------
    >>> from functools import partial
    >>> from gahb_theory.denoisers import UNet
    >>> from gahb_theory.images import Disks
    >>> one = Training(partial(UNet, 8, 2), Disks(size=16), name="one")
    >>> one.key == Training(partial(UNet, channels=8, blocks=2), Disks(size=16), name="other").key
    True
    >>> one.key == Training(partial(UNet, 8, 2, seed=1), Disks(size=16)).key
    False
    """

    network: Callable[[], DenoiserModule]
    data: Any
    recipe: Recipe = field(default_factory=Recipe)
    snapshots: tuple[int, ...] = ()
    name: str = "network"

    def __post_init__(self) -> None:
        if not callable(self.network) or isinstance(self.network, DenoiserModule):
            raise TypeError(
                f"network must be what builds a network, such as partial(UNet, 16, 3, seed=0), got a "
                f"{type(self.network).__name__}"
            )
        if not isinstance(self.recipe, Recipe):
            raise TypeError(f"recipe must be a Recipe, got {type(self.recipe).__name__}")

    @functools.cached_property
    def description(self) -> dict[str, Any]:
        """All that makes the network, as a JSON value."""
        result = {"network": _network_identity(self.network), "data": identity(self.data, "data")}
        result["recipe"] = identity(self.recipe)
        return result | ({"snapshots": list(self.snapshots)} if self.snapshots else {})

    @functools.cached_property
    def key(self) -> str:
        """Hash of the description."""
        return digest(self.description)[:KEY_LENGTH]

    def build(self) -> DenoiserModule:
        """The network before training."""
        return self.network()

    def images(self) -> Any:
        """What `train` takes."""
        return self.data.images() if hasattr(self.data, "first") else self.data

    def some(self, n: int) -> Tensor:
        """A few of the images, for trials."""
        if hasattr(self.data, "first"):
            return self.data.first(n)
        if hasattr(self.data, "sample"):
            return validate.sampled(self.data, n, name="data")
        return self.data[:n]


@dataclass(frozen=True)
class TrainedNetwork:
    """A trained network on disk.

    Parameters
    ----------
    key
        That of its training.
    folder
        Holds the network in denoiser/ and its snapshots in snapshots/, or the network itself.
    images_seen
        Which snapshot is meant; None is the network at the end.
    """

    key: str
    folder: Path = field(compare=False)
    images_seen: int | None = None

    def load(self, device: str = "cpu") -> Any:
        """The denoiser in single precision."""
        name = "denoiser" if self.images_seen is None else snapshot_name(self.images_seen)
        folder = self.folder / name
        if self.images_seen is None and not folder.exists():  # on a shelf
            folder = self.folder
        return load_denoiser(folder).float().to(device)


@dataclass(frozen=True)
class Bench:
    """Where a task is done: its networks, a directory of its own, and the device to compute on."""

    networks: Mapping[str, Any]
    directory: Path
    device: str = "cpu"

    def load(self, name: str, images_seen: int | None = None) -> Any:
        """A network by its name, after so many images, or at the end; another denoiser as it is."""
        result = self.networks[name]
        if not isinstance(result, TrainedNetwork):
            return result.to(self.device) if hasattr(result, "to") else result
        return TrainedNetwork(result.key, result.folder, images_seen or result.images_seen).load(self.device)


@dataclass(frozen=True, eq=False)
class Task:
    """One measurement.

    Parameters
    ----------
    function
        function(settings, bench) -> numbers by name, a mapping that JSON can hold; larger things it writes into
        bench.directory. It has a name, and asks for networks by bench.load.
    settings
        All that it depends on beside the networks: numbers, strings, arrays, dataclasses.
    subjects
        What it measures, by name: for each a `Training`, a trained network, or another denoiser.
    name
        What results call it; it does not count.
    """

    function: Callable[[Any, Bench], Mapping[str, Any]]
    settings: Any = None
    subjects: Mapping[str, Any] = field(default_factory=dict)
    name: str = "task"

    @functools.cached_property
    def key(self) -> str:
        """Hash of the code, the settings and the subjects."""
        subjects = {name: _subject_identity(subject, name) for name, subject in self.subjects.items()}
        content = {"code": code_identity(self.function, "function"), "settings": identity(self.settings, "settings")}
        return digest(content | {"subjects": subjects})[:KEY_LENGTH]


def _subject_identity(subject: Any, name: str) -> Any:
    if isinstance(subject, Training):
        return subject.key
    if isinstance(subject, TrainedNetwork):
        return [subject.key, subject.images_seen]
    return code_identity(subject, name) if is_function(subject) else identity(subject, name)


def code_identity(function: Any, name: str = "function") -> Any:
    """What a function does, as a JSON value: of this library its name and its text, else its name and its code.

    Examples
    --------
    >>> from gahb_theory.metrics import psnr
    >>> sorted(code_identity(psnr))
    ['function', 'text']
    """
    if isinstance(function, functools.partial):
        given = {str(i): value for i, value in enumerate(function.args)} | dict(function.keywords)
        described = {
            label: code_identity(value, f"{name}, {label}")
            if is_function(value)
            else identity(value, f"{name}, {label}")
            for label, value in given.items()
        }
        return {"partial": code_identity(function.func, name), "arguments": described}
    module = str(getattr(function, "__module__", ""))
    if is_function(function) and module.partition(".")[0] == LIBRARY:
        return {"function": f"{module}.{function.__qualname__}", "text": digest(_text(function))}
    return function_identity(function, name)


def _text(function: Any) -> str:
    """The source of a function without comments and docstrings, however it is laid out."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    for node in ast.walk(tree):
        documented = isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None
        if documented and len(node.body) > 1:  # type: ignore[attr-defined]
            del node.body[0]  # type: ignore[attr-defined]
    return ast.unparse(tree)


def _network_identity(build: Any) -> Any:
    """Class or function, and its arguments by name."""
    made, arguments = (
        (build.func, (build.args, build.keywords)) if isinstance(build, functools.partial) else (build, ((), {}))
    )
    try:
        bound = dict(inspect.signature(made).bind_partial(*arguments[0], **arguments[1]).arguments)
    except TypeError as error:
        raise TypeError(f"network cannot be built with these arguments: {error}") from error
    given = {name: identity(value, f"network, {name}") for name, value in bound.items()}
    if not isinstance(made, type):
        return {"function": function_identity(made, "network"), "arguments": given}
    if made.__module__.partition(".")[0] == LIBRARY:
        return {"class": class_name(made), "arguments": given}
    methods = {n: function_identity(m, f"network, {n}") for n, m in vars(made).items() if is_function(m)}
    return {"class": class_name(made), "methods": methods, "arguments": given}
