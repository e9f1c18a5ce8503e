"""When two things are the same: a description of what they hold, and its hash, whatever they are called.

`identity(thing)` is a JSON value made of content alone: class names with the module, fields and attributes, the values of
arrays and tensors, the bytes of files, the items of datasets, a sample of image classes. Two things with one identity
give the same results; what cannot be seen is refused, never guessed. Runs of training, sweeps, datasets and caches all
ask here.

    numbers, strings     as they are; NaN and infinity as {"float": ...}
    tensors, arrays      values, dtype and shape; not strides, device or gradients
    paths                the names below the path, sizes and bytes of the files, not the place where they lie
    image classes        of this library: the fields. Others: public attributes, and four images of a fixed seed, seen
                         through 32 projections rounded to 1e-3, so that another processor finds the same
    datasets             all items up to 2,048, else 1,024 at equal distances, the length, and the numbers, arrays, words, and
                         names and sizes of files kept in it
    modules              class, structure, settings, parameters and buffers
    other objects        fields, attributes and slots; what a class of the same name does otherwise is not seen, unless the
                         class is local or interactive: then its methods count as functions do
    functions            only where they are asked for (`function_identity`): name, compiled code, defaults and what they
                         enclose; not the functions they call. Another version of Python compiles other code

A `torch.device` counts as its name: whoever puts one into a configuration means it. The fields of a dataclass with
compare=False do not count, nor cached properties. A field that was renamed counts under the name in its metadata, so that
what was trained or measured before stays the same.
"""

import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import inspect
import math
import types
import uuid
from collections.abc import Iterable, Mapping, Set
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from gahb_theory import validate
from gahb_theory.identity.code import Seen, class_name, describe_function, is_function, main_module, unseen
from gahb_theory.identity.hashing import digest, hash_array, hash_files
from gahb_theory.randomness import Component, array_generator

__all__ = ["IDENTITY_NAME", "fingerprint", "function_identity", "identity"]

IDENTITY_NAME = "identity_name"
"""Key of the metadata of a renamed field: its first name."""
LIBRARY = __name__.partition(".")[0]
FEW_ITEMS, SAMPLED_ITEMS = 2048, 1024
SAMPLE, SAMPLE_SEED, PROJECTIONS, ROUNDING = 4, 2**31 - 3, 8, 1e-3  # a seed that generators of 32 bits take, too
LONG = 64
PLACES = ("folder", "path", "root", "directory", "dir", "file", "filename")
TAGS = {"class", "float", "tensor", "array", "sha256", "set", "pairs", "items"}


def identity(thing: Any, name: str = "thing") -> Any:
    """A JSON value that holds what a thing is; equal for things that give the same results.

    Parameters
    ----------
    thing
        A configuration, an image class, images, a dataset, a network.
    name
        What messages call it.

    Raises
    ------
    TypeError
        If something in it cannot be seen: functions, generators, open files, object arrays, things that contain
        themselves, items that change from call to call.

    Examples
    --------
    >>> identity({"sigma": 0.5, "sizes": (1, 2)})
    {'sigma': 0.5, 'sizes': [1, 2]}
    """
    return _describe(thing, name, ())


def fingerprint(thing: Any, name: str = "thing") -> str:
    """The hash of `identity`, 64 hexadecimal digits.

    Examples
    --------
    >>> fingerprint(torch.zeros(3)) == fingerprint(torch.zeros(6)[::2])
    True
    >>> fingerprint(torch.zeros(3)) == fingerprint(torch.zeros(3, 1))
    False
    """
    return digest(identity(thing, name))


def function_identity(function: Any, name: str = "function") -> Any:
    """A JSON value that holds what a function does: its name, compiled code, defaults and what it encloses.

    A partial function is its function and its arguments, a bound method its function and its object. Of functions of
    this library the name will do. The functions that it calls are not looked into.

    Raises
    ------
    TypeError
        If it encloses, or is bound to, what cannot be seen.
    """
    return describe_function(function, name, (), _describe)


def _describe(thing: Any, name: str, seen: Seen) -> Any:
    if isinstance(thing, enum.Enum):
        return {"class": class_name(type(thing)), "value": _describe(thing.value, f"{name}.value", seen)}
    if thing is None or type(thing) in (bool, int, str):
        return thing
    if type(thing) is float:
        return thing if math.isfinite(thing) else {"float": repr(thing)}
    if type(thing) is complex:
        return {"complex": [_describe(part, name, seen) for part in (thing.real, thing.imag)]}
    if isinstance(thing, np.generic):
        value = thing.item() if thing.dtype.kind in "biufcSU" else thing
        return _describe(np.asarray(thing) if isinstance(value, np.generic) else value, name, seen)
    if isinstance(thing, str | int | float | complex):  # of a class that derives from them
        base: Any = next(b for b in (str, int, float, complex) if isinstance(thing, b))
        return {"class": class_name(type(thing)), "value": _describe(base(thing), name, seen)}
    if isinstance(thing, bytes | bytearray | memoryview):
        return {"bytes": len(thing), "sha256": hashlib.sha256(thing).hexdigest()}
    if isinstance(thing, np.ma.MaskedArray):
        return {"masked": [_describe(part, name, seen) for part in (thing.filled(0), np.ma.getmaskarray(thing))]}
    if isinstance(thing, Tensor | np.ndarray):
        kind = "tensor" if isinstance(thing, Tensor) else "array"
        dtype = thing.dtype if isinstance(thing, Tensor) else thing.dtype.newbyteorder("=")
        label = str(dtype).removeprefix("torch.")
        return {kind: list(thing.shape), "dtype": label, "sha256": hash_array(thing, name)}
    if isinstance(thing, torch.dtype | torch.device | torch.layout | torch.memory_format):
        return str(thing)
    if isinstance(thing, Path):
        return hash_files(thing)
    dates = datetime.date | datetime.time | datetime.timedelta
    if isinstance(thing, dates | fractions.Fraction | decimal.Decimal | uuid.UUID | PurePath):
        return {"class": class_name(type(thing)), "value": str(thing)}
    if isinstance(thing, range | slice):
        return {type(thing).__name__: [thing.start, thing.stop, thing.step]}
    if is_function(thing):
        raise TypeError(unseen(thing, name))
    if isinstance(thing, type | types.ModuleType):
        raise TypeError(f"{unseen(thing, name)}; its name as a string will do")
    if id(thing) in seen:
        raise TypeError(f"{name} contains itself and cannot be described; leave out the reference")
    return _compound(thing, name, (*seen, id(thing)))


def _compound(thing: Any, name: str, seen: Seen) -> Any:
    """Whatever holds other things."""
    cls = type(thing)
    if isinstance(thing, nn.Module):
        return _module(thing, name, seen)
    if cls.__module__.partition(".")[0] == LIBRARY and dataclasses.is_dataclass(cls) and not _is_dataset(thing):
        return {"class": cls.__name__} | _fields(thing, name, seen)
    if _is_image_class(thing):
        return _image_class(thing, name, seen)
    if isinstance(thing, Mapping):
        return _of_class(thing, _mapping(thing, name, seen), (dict,), name, seen)
    if isinstance(thing, list | tuple):
        return _of_class(thing, _sequence(thing, name, seen), (list, tuple, torch.Size), name, seen)
    if isinstance(thing, Set):
        parts = sorted((_describe(part, f"an element of {name}", seen) for part in thing), key=digest)
        return {"set": parts}
    if _is_dataset(thing):
        return _dataset(thing, name, seen)
    return {"class": class_name(cls)} | _object(thing, name, seen)


def _mapping(thing: Mapping[Any, Any], name: str, seen: Seen) -> Any:
    if all(type(key) is str for key in thing) and not TAGS & thing.keys():
        return {key: _describe(value, f"{name}[{key!r}]", seen) for key, value in thing.items()}
    described = [
        [_describe(key, f"a key of {name}", seen), _describe(value, f"{name}[{key!r}]", seen)]
        for key, value in thing.items()
    ]
    return {"pairs": sorted(described, key=digest)}


def _sequence(thing: Iterable[Any], name: str, seen: Seen) -> Any:
    parts = [_describe(part, f"{name}[{position}]", seen) for position, part in enumerate(thing)]
    return parts if len(parts) <= LONG else {"items": len(parts), "sha256": digest(parts)}


def _of_class(thing: Any, content: Any, plain: tuple[type, ...], name: str, seen: Seen) -> Any:
    """What a container holds, with the class and the attributes of one that a user has written."""
    cls = type(thing)
    if cls in plain or cls.__module__ in ("collections", "types", "builtins"):
        return content
    return {"class": class_name(cls), "items": content} | _attributes(thing, name, seen)


def _fields(thing: Any, name: str, seen: Seen) -> dict[str, Any]:
    values = [(field, getattr(thing, field.name)) for field in dataclasses.fields(thing) if field.compare]
    return {
        field.metadata.get(IDENTITY_NAME, field.name): _place(field.name, value, f"{name}.{field.name}", seen)
        for field, value in values
    }


def _place(label: str, value: Any, name: str, seen: Seen) -> Any:
    """A field; one that names a folder or a file stands for what is there."""
    return _describe(Path(value) if label in PLACES and isinstance(value, str) else value, name, seen)


def _object(thing: Any, name: str, seen: Seen) -> dict[str, Any]:
    """Fields, attributes and slots, if these are all there is."""
    cls = type(thing)
    try:
        reduced = thing.__reduce_ex__(2)  # refuses objects with more in them than attributes
    except Exception as error:
        raise TypeError(f"{unseen(thing, name)} ({error})") from None
    description = _attributes(thing, name, seen)
    custom = any("__reduce__" in vars(base) or "__reduce_ex__" in vars(base) for base in cls.__mro__[:-1])
    if custom:
        state = [] if isinstance(reduced, str) else list(reduced[1:])
        description["state"] = [
            _describe(list(part) if hasattr(part, "__next__") else part, f"the state of {name}", seen)
            for part in state
            if part is not cls
        ]
    if _is_hidden(cls):
        description["methods"] = _methods(cls, name, seen)
    return description


def _attributes(thing: Any, name: str, seen: Seen) -> dict[str, Any]:
    """Fields, attributes, slots, and what the class itself holds beside methods."""
    cls = type(thing)
    values = {
        label: value
        for base in reversed(cls.__mro__[:-1])
        if base.__module__ not in ("builtins", "abc", "typing")
        for label, value in vars(base).items()
        if not label.startswith("_") and isinstance(value, bool | int | float | str | tuple | Tensor | np.ndarray)
    }
    values |= _held(thing)
    uncompared = {f.name for f in dataclasses.fields(cls) if not f.compare} if dataclasses.is_dataclass(cls) else set()
    cached = {
        label for label in values if isinstance(inspect.getattr_static(cls, label, None), functools.cached_property)
    }
    return {
        label: _describe(value, f"{name}.{label}", seen)
        for label, value in sorted(values.items())
        if label not in uncompared | cached
    }


def _held(thing: Any) -> dict[str, Any]:
    """Attributes and slots."""
    labels: list[str] = copyreg._slotnames(type(thing))  # type: ignore[attr-defined]
    slots = {label: getattr(thing, label) for label in labels if hasattr(thing, label)}
    return slots | getattr(thing, "__dict__", {})


def _methods(cls: type, name: str, seen: Seen) -> dict[str, Any]:
    """The methods of a class that cannot be imported, and of its bases of this kind."""
    description: dict[str, Any] = {}
    for base in (b for b in cls.__mro__ if _is_hidden(b)):
        for label, value in vars(base).items():
            function = getattr(value, "__func__", None) or getattr(value, "fget", None) or value
            if isinstance(function, types.FunctionType) and label not in description:
                written = not (label.startswith("__") and function.__code__.co_filename == "<string>")
                if written or not dataclasses.is_dataclass(base):  # what dataclasses write is known from the fields
                    description[label] = describe_function(function, f"{name}.{label}", seen, _describe)
    return description


def _is_hidden(cls: type) -> bool:
    """Whether a class is local, or of an interactive session: such classes are defined again and again."""
    return "<locals>" in cls.__qualname__ or (cls.__module__ == "__main__" and main_module() == "__main__")


# image classes, datasets, modules, files


def _is_image_class(thing: Any) -> bool:
    sample = getattr(thing, "sample", None)
    if not callable(sample):
        return False
    try:
        inspect.signature(sample).bind(1, seed=0, start=0)
    except (TypeError, ValueError):  # a method sample of another kind
        return False
    return True


def _image_class(thing: Any, name: str, seen: Seen) -> dict[str, Any]:
    """Public attributes where they can be described, and a sample, which sees all else."""
    description: dict[str, Any] = {"class": class_name(type(thing)), "images": _sampled(thing, name)}
    values = _held(thing)
    if dataclasses.is_dataclass(thing):
        values = {field.name: getattr(thing, field.name) for field in dataclasses.fields(thing) if field.compare}
    for label, value in sorted(values.items()):
        if not label.startswith("_"):
            with suppress(TypeError):  # the images show what it does
                description[label] = _place(label, value, f"{name}.{label}", seen)
    return description


def _sampled(thing: Any, name: str) -> str:
    """Four images of a fixed seed, through projections on random signs, rounded: what another processor finds, too."""
    x = validate.sampled(thing, SAMPLE, seed=SAMPLE_SEED, name=name).detach().cpu().double().flatten(1).numpy()
    stream = array_generator(Component.FINGERPRINT, SAMPLE_SEED)  # that of the images would not do
    bits = np.frombuffer(stream.bytes(-(-PROJECTIONS * x.shape[1] // 8)), np.uint8)
    signs = np.unpackbits(bits)[: PROJECTIONS * x.shape[1]].reshape(PROJECTIONS, -1) * 2.0 - 1
    numbers = (x @ signs.T) / math.sqrt(x.shape[1]) / ROUNDING + 1 / math.pi  # no tie on the way of round numbers
    return digest([list(x.shape), np.floor(numbers).clip(-(2.0**62), 2.0**62).astype(int).tolist()])


def _is_dataset(thing: Any) -> bool:
    return isinstance(thing, Dataset) or (hasattr(type(thing), "__getitem__") and hasattr(type(thing), "__len__"))


def _dataset(thing: Any, name: str, seen: Seen) -> dict[str, Any]:
    """Items, length, and the numbers, arrays, words and names of files among the attributes."""
    try:
        n = len(thing)
    except TypeError:
        raise TypeError(f"{name} is a {type(thing).__name__} without a length, whose items cannot be seen") from None
    every = range(n) if n <= FEW_ITEMS else [i * (n - 1) // (SAMPLED_ITEMS - 1) for i in range(SAMPLED_ITEMS)]
    hasher, first = hashlib.sha256(), None
    for i in every:
        item = digest(_describe(thing[i], f"{name}[{i}]", seen))
        first = item if first is None else first
        hasher.update(item.encode())
    if n and first != digest(_describe(thing[every[0]], f"{name}[0]", seen)):
        raise TypeError(
            f"{name}[0] is another at each call, so that it cannot be known again; make every item a function of its "
            "index, for example by a generator that the index seeds"
        )
    attributes = {
        label: _describe(_without_places(value), f"{name}.{label}", seen)
        for label, value in sorted(getattr(thing, "__dict__", {}).items())
        if n > FEW_ITEMS and _is_plain(value)
    }
    return {"class": class_name(type(thing)), "items": n, "sha256": hasher.hexdigest()} | attributes


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(part) for part in value)
    return isinstance(value, bool | int | float | str | PurePath | np.generic | np.ndarray | Tensor | range | Dataset)


def _without_places(value: Any) -> Any:
    """Names of files as their last part and their size, wherever they lie: of so many the bytes are not read."""
    if isinstance(value, list | tuple):
        return [_without_places(part) for part in value]
    if not isinstance(value, str | PurePath):
        return value
    with suppress(OSError, ValueError):  # a text that cannot be a name
        if (place := Path(value)).exists():
            return [place.name, place.stat().st_size] if place.is_file() else place.name
    return str(value)


def _setting(value: Any, name: str, seen: Seen) -> Any:
    return describe_function(value, name, seen, _describe) if is_function(value) else _describe(value, name, seen)


def _module(module: nn.Module, name: str, seen: Seen) -> dict[str, Any]:
    """Class, settings and tensors of all its parts."""
    parts = []
    for label, part in module.named_modules(remove_duplicate=False):
        settings = {}
        for key, value in sorted(vars(part).items()):
            if not key.startswith("_") and key != "training":
                with suppress(TypeError):  # a logger, a lock: not what the network computes
                    settings[key] = _setting(value, f"{name}.{key}", seen)
        parts.append([label, class_name(type(part)), part.extra_repr(), settings])
    state = [
        [key, hash_array(value, f"{name}.{key}") if isinstance(value, Tensor) else _describe(value, key, seen)]
        for key, value in module.state_dict().items()
    ]
    return {"class": class_name(type(module)), "structure": digest(parts), "state": digest(state)}
