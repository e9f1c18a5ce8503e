"""Hashes of contents: JSON values, tensors and arrays, files and folders."""

import functools
import hashlib
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

__all__ = ["differences", "digest", "hash_array", "hash_files"]


def digest(description: Any) -> str:
    """The sha256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(description, sort_keys=True, allow_nan=False).encode()).hexdigest()


def hash_array(x: Tensor | np.ndarray, name: str = "thing") -> str:
    """The sha256 of the values, dtype and shape of a dense tensor or an array of plain values."""
    if isinstance(x, Tensor):
        if x.is_meta or x.layout != torch.strided or x.is_quantized:
            kind, remedy = ("meta", "to_empty") if x.is_meta else ("sparse or quantised", "to_dense() or dequantize()")
            raise TypeError(f"{name} is a {kind} tensor, whose values cannot be seen; convert it with {remedy}")
        label = str(x.dtype).removeprefix("torch.")
        plain = x.detach().cpu().resolve_conj().resolve_neg().contiguous()
        array = (plain.view(torch.int16) if x.dtype == torch.bfloat16 else plain).numpy()
    else:
        if x.dtype.hasobject:
            raise TypeError(
                f"{name} is an array of objects, of which only the addresses can be seen; use numbers or a list"
            )
        array = x.astype(x.dtype.newbyteorder("="), copy=False)
        label = str(array.dtype)
    hasher = hashlib.sha256(f"{label}{tuple(x.shape)}".encode())
    hasher.update(array.tobytes())
    return hasher.hexdigest()


def differences(there: Any, now: Any, name: str = "") -> list[str]:
    """The entries in which two JSON values differ, each as "name: ... there, ... now".

    Examples
    --------
    >>> differences({"recipe": {"seed": 1, "rate": 0.1}}, {"recipe": {"seed": 2, "rate": 0.1}})
    ['recipe.seed: 1 there, 2 now']
    >>> differences({"data": 32 * "0f"}, {"data": 32 * "1e"})
    ['data: 0f0f0f0f... there, 1e1e1e1e... now']
    """
    if isinstance(there, dict) and isinstance(now, dict):
        inner = [
            differences(there.get(key), now.get(key), f"{name}.{key}" if name else key)
            for key in sorted(there.keys() | now.keys())
        ]
        return [line for lines in inner for line in lines]
    return [] if there == now else [f"{name}: {_short(there)} there, {_short(now)} now"]


def _short(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value):
        return f"{value[:8]}..."  # a hash tells that two things differ, and no digit of it more
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def hash_files(path: Path) -> dict[str, Any]:
    """The files at or below a path: their names below it, sizes and bytes. A path where nothing is stays a name."""
    place = path.resolve()
    if place.is_file():
        return {"file": place.stat().st_size, "sha256": _hash_file(place)}
    if not place.is_dir():
        return {"path": str(place)}
    listing, known = [], {place}
    for folder, below, names in os.walk(place, followlinks=True):
        here = {label: (Path(folder) / label).resolve() for label in sorted(below) if not label.startswith(".")}
        below[:] = [label for label, real in here.items() if real not in known]
        known |= set(here.values())  # a link may lead back
        for file in (Path(folder) / label for label in names if not label.startswith(".")):
            if file.is_file():
                listing.append([file.relative_to(place).as_posix(), file.stat().st_size, _hash_file(file)])
    return {"files": len(listing), "sha256": digest(sorted(listing))}


def _hash_file(file: Path) -> str:
    """The sha256 of a file; remembered while the file is the same and was not written just now."""
    about = file.stat()
    if time.time() - about.st_mtime > 5:
        return _hash_known(str(file.resolve()), about.st_size, about.st_mtime_ns, about.st_ino)
    return _hash_known.__wrapped__(str(file), 0, 0, 0)


@functools.lru_cache(maxsize=2**16)
def _hash_known(file: str, size: int, modified: int, inode: int) -> str:
    with Path(file).open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
