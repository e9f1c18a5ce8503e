"""What all results can do, and result dataclasses as named arrays in one .npz file, and back.

A field is stored under prefix/field, an entry of a dictionary, of a tuple of results or a field of a nested result under
prefix/field/entry.
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

import numpy as np
import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.runs import write_bytes, write_json

__all__ = ["Result", "format_value", "from_arrays", "read_arrays", "to_arrays", "write_arrays"]

AnyResult = TypeVar("AnyResult")


class Result:
    """A frozen dataclass of numbers and arrays: it prints one line for each quantity, and is written as JSON."""

    def to_dict(self) -> dict[str, Any]:
        """All fields as numbers, strings, lists and dictionaries."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]

    def save(self, path: str | Path) -> Path:
        """Write all fields as JSON, atomically; `gahb_theory.runs.read_json` reads them."""
        return write_json(validate.path(path, "path"), self.to_dict())

    def __repr__(self) -> str:
        values = [(field.name, getattr(self, field.name)) for field in fields(self) if field.repr]  # type: ignore[arg-type]
        lines = [f"  {name:22}{_in_short(value)}" for name, value in values if value is not None]
        return "\n".join([type(self).__name__, *lines])


def format_value(value: float | int | str) -> str:
    """A number with four digits; a word as it is."""
    if isinstance(value, str | bool):
        return str(value)
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def _in_short(value: Any) -> str:
    """A value in one line: an array by its shape and range."""
    if isinstance(value, int | float | str):
        return format_value(value)
    if isinstance(value, Tensor | np.ndarray):
        array = (
            value.detach().cpu().double().numpy() if isinstance(value, Tensor) and value.is_floating_point() else value
        )
        array = np.asarray(array.cpu() if isinstance(array, Tensor) else array)
        if array.size == 0 or array.dtype.kind not in "biuf":
            return f"shape {array.shape}"
        if array.ndim == 0:
            return format_value(array.item())
        return f"shape {array.shape}, {format_value(array.min().item())} to {format_value(array.max().item())}"
    if isinstance(value, tuple | list | Mapping) and len(repr(value)) > 80:
        return f"{len(value)} entries"
    return repr(value).splitlines()[0]


def _plain(value: Any) -> Any:
    if isinstance(value, Result):
        return value.to_dict()
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> Path:
    """Write named arrays or tensors as a compressed .npz file, atomically."""
    buffer = io.BytesIO()
    plain = {name: a.detach().cpu().numpy() if isinstance(a, Tensor) else np.asarray(a) for name, a in arrays.items()}
    np.savez_compressed(buffer, allow_pickle=False, **plain)
    return write_bytes(path, buffer.getvalue())


def to_arrays(result: Any, prefix: str) -> dict[str, np.ndarray]:
    """The fields of a result as named arrays prefix/field, those of results and mappings inside it as prefix/field/entry.

    What is None has no array.
    """
    if is_dataclass(result):
        parts = {field.name: getattr(result, field.name) for field in fields(result)}
    elif isinstance(result, tuple) and any(is_dataclass(entry) for entry in result):
        parts = {str(number): entry for number, entry in enumerate(result)}
    elif isinstance(result, Mapping):
        parts = {str(name).replace("%", "%25").replace("/", "%2F"): entry for name, entry in result.items()}
    else:
        plain = result.detach().cpu() if isinstance(result, Tensor) else result
        return {} if result is None else {prefix: np.asarray(plain)}
    arrays: dict[str, np.ndarray] = {}
    for name, part in parts.items():
        arrays |= to_arrays(part, f"{prefix}/{name}")
    return arrays


def from_arrays(cls: type[AnyResult], arrays: Mapping[str, np.ndarray], prefix: str) -> AnyResult:
    """The result dataclass that `to_arrays` stored.

    Raises
    ------
    ValueError
        If a field is missing.
    """
    values = {f.name: _stored(f.type, arrays, f"{prefix}/{f.name}") for f in fields(cls)}  # type: ignore[arg-type]
    return cls(**values)


def _stored(kind: Any, arrays: Mapping[str, np.ndarray], name: str) -> Any:
    """The value of a field of the given type."""
    if name in arrays:
        stored = arrays[name]
        if getattr(kind, "array_type", None) is Tensor:
            return torch.from_numpy(stored)
        return stored.item() if stored.ndim == 0 else tuple(stored.tolist()) if get_origin(kind) is tuple else stored
    kinds = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    inside = [key.removeprefix(name + "/") for key in arrays if key.startswith(name + "/")]
    for one in kinds:
        if is_dataclass(one) and inside:
            return from_arrays(one, arrays, name)  # type: ignore[arg-type]
        if get_origin(one) is tuple and is_dataclass(get_args(one)[0]):
            numbers = sorted({int(key.split("/")[0]) for key in inside})
            return tuple(_stored(get_args(one)[0], arrays, f"{name}/{number}") for number in numbers)
        if one is dict or get_origin(one) in (dict, Mapping):
            entry = get_args(one)[1] if get_args(one) else Any
            names = dict.fromkeys(key.split("/")[0] for key in inside)
            return {
                key.replace("%2F", "/").replace("%25", "%"): _stored(entry, arrays, f"{name}/{key}") for key in names
            }
    if type(None) in kinds:
        return None
    raise ValueError(f"the arrays hold no {name}: they were written by another version; run the command again")


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a .npz file; empty where there is none."""
    path = Path(path)
    if not path.exists():
        return {}
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return dict(stored)
    except (ValueError, TypeError, OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); remove it and run the same command again") from error
