"""Run directories: what was computed, from what, by which versions; every file whole or absent.

A file is written under a temporary name, flushed to disk, then renamed, so a kill, a power cut or a full disk leaves
the version before. A run directory holds config.json (everything that made the run), metrics.csv, arrays.npz and
figures/.
"""

import csv
import errno
import hashlib
import io
import json
import os
import platform
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from gahb_theory.version import __version__

__all__ = [
    "describe",
    "fingerprint",
    "fingerprint_parameters",
    "from_arrays",
    "open_run",
    "read_arrays",
    "to_arrays",
    "versions",
    "write_arrays",
    "write_bytes",
    "write_csv",
    "write_json",
]


Result = TypeVar("Result")


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file atomically: after any failure `path` holds what it held before."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:  # also an interrupt must leave no partial file
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(
                error.errno,
                f"the disk is full: {path} needs {len(content):,} bytes; the version before is intact. "
                "Free some space and run the same command again",
            ) from error
        raise
    return path


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a JSON file atomically."""
    return write_bytes(path, (json.dumps(content, indent=2, default=_plain) + "\n").encode())


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with the same keys as a CSV file, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_bytes(path, text.getvalue().encode())


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> Path:
    """Write named arrays or tensors as a compressed .npz file, atomically."""
    buffer = io.BytesIO()
    plain = {name: a.detach().cpu().numpy() if isinstance(a, Tensor) else np.asarray(a) for name, a in arrays.items()}
    np.savez_compressed(buffer, allow_pickle=False, **plain)
    return write_bytes(path, buffer.getvalue())


def open_run(path: str | Path, config: Mapping[str, Any]) -> Path:
    """Create a run directory, or reopen one that was made by the same configuration.

    Raises
    ------
    FileExistsError
        If the directory holds a run of another configuration; the message names the entries that differ.
    OSError
        If the directory cannot be written.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot create the run directory {path}: {error.strerror}; choose another"
        ) from error
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, f"the run directory {path} is not writable; choose another")
    wanted = json.loads(json.dumps(config, default=_plain))
    file = path / "config.json"
    if file.exists():
        try:
            found = json.loads(file.read_text())
            if not isinstance(found, dict):
                raise ValueError(f"a {type(found).__name__} in the place of an object")
        except ValueError as error:  # not text, not JSON, or not a configuration
            raise ValueError(f"{file} is not valid JSON ({error}); remove the directory or choose another") from error
        differing = sorted(key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key))
        differing = [key for key in differing if key != "versions"]
        if differing:
            detail = ", ".join(f"{key}: {found.get(key)!r} there, {wanted.get(key)!r} now" for key in differing)
            raise FileExistsError(
                errno.EEXIST, f"{path} holds a run of another configuration ({detail}); choose another directory"
            )
    else:
        write_json(file, wanted)
    return path


def describe(thing: Any) -> Any:
    """A JSON description of a configuration: the class name beside the fields of a dataclass, recursively."""
    if isinstance(thing, Path):
        return str(thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return {"class": type(thing).__name__} | {f.name: describe(getattr(thing, f.name)) for f in fields(thing)}
    if isinstance(thing, Tensor):
        return {"tensor": list(thing.shape), "sha256": fingerprint(thing)}
    if isinstance(thing, np.ndarray):
        return {"array": list(thing.shape), "sha256": fingerprint(thing)}
    if isinstance(thing, np.generic):
        return thing.item()
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple | torch.Size):
        return [describe(value) for value in thing]
    if isinstance(thing, torch.dtype | torch.device):
        return str(thing)
    if isinstance(thing, str | int | float | bool | None):
        return thing
    return {"class": type(thing).__name__} | ({"length": len(thing)} if hasattr(thing, "__len__") else {})


def to_arrays(result: Any, prefix: str) -> dict[str, np.ndarray]:
    """The fields of a result dataclass as named arrays; an entry of a dictionary is named field/entry."""
    arrays: dict[str, np.ndarray] = {}
    for field in fields(result):
        value = getattr(result, field.name)
        entries = {f"/{name}": entry for name, entry in value.items()} if isinstance(value, Mapping) else {"": value}
        arrays |= {f"{prefix}/{field.name}{name}": np.asarray(entry) for name, entry in entries.items()}
    return arrays


def from_arrays(cls: type[Result], arrays: Mapping[str, np.ndarray], prefix: str) -> Result:
    """The result dataclass that `to_arrays` stored."""
    values: dict[str, Any] = {}
    for field in fields(cls):  # type: ignore[arg-type]
        name = f"{prefix}/{field.name}"
        if name in arrays:
            stored = arrays[name]
            values[field.name] = stored.item() if stored.ndim == 0 else stored
        else:
            inside = {
                key.removeprefix(name + "/"): value for key, value in arrays.items() if key.startswith(name + "/")
            }
            values[field.name] = {key: v.item() if v.ndim == 0 else v for key, v in inside.items()}
    return cls(**values)


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


def fingerprint(x: Tensor | np.ndarray) -> str:
    """The sha256 of the values, dtype and shape of a tensor or an array."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else x
    digest = hashlib.sha256(f"{array.dtype}{array.shape}".encode())
    digest.update(array.tobytes())
    return digest.hexdigest()


def fingerprint_parameters(f: torch.nn.Module) -> str:
    """The sha256 of all parameters of a network, in their order."""
    return fingerprint(torch.cat([p.detach().flatten().cpu() for p in f.parameters()]))


def versions() -> dict[str, str]:
    """The versions that results depend on."""
    return {
        "gahb_theory": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    return str(value)
