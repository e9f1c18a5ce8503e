"""Files of named tensors, read without running code from them and without more memory than they hold.

A pickle can run any code when it is read. Here torch reads it with `weights_only`, with one class allowed beside tensors
and plain containers: argparse.Namespace, which holds the arguments of a training run and does nothing. Torch archives are
mapped, not read, so that what they claim costs nothing before it is checked; compressed ones, which torch never
writes, are refused. Pipes, devices and folders in the place of a file are refused before they are opened.
"""

import argparse
import errno
import json
import os
import pickle
import stat
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Tensors",
    "checked",
    "find_weights",
    "is_torch_file",
    "read_json",
    "read_safetensors",
    "read_torch",
    "short",
    "widened",
]

Tensors = dict[str, Tensor]

WEIGHTS, INDEX, TORCH = "model.safetensors", "model.safetensors.index.json", "model.pt"
LARGEST_JSON = 2**24
SPARE_BYTES = 2**16
_LOADING = threading.Lock()  # the list of allowed classes is one for all threads


def find_weights(path: Path) -> Path:
    """The file with the weights: the path itself, or the one in a folder or in its folder `denoiser`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If something that is no regular file stands in its place.
    """
    if not path.is_dir():
        return _regular(path)
    for folder in (path / "denoiser", path):
        for name in (WEIGHTS, INDEX, TORCH):
            if os.path.lexists(folder / name):
                return _regular(folder / name)
    raise FileNotFoundError(
        f"the folder {path} holds no {WEIGHTS}; it is not a saved denoiser. Give the file with the weights"
    )


def is_torch_file(file: Path) -> bool:
    """Whether a file begins as torch.save writes it: a zip archive, or a pickle in older versions."""
    with _regular(file).open("rb") as opened:
        head = opened.read(4)
    return head == b"PK\x03\x04" or (head[:1], head[2:3]) == (b"\x80", b"\x8a")  # a pickle that begins with a number


def read_torch(file: Path) -> Any:
    """What torch.save wrote: tensors and plain containers, on the CPU, in a file of either format."""
    _regular(file)
    zipped = zipfile.is_zipfile(file)
    if zipped:
        _check_archive(file)
    try:
        with _LOADING, _allowing(argparse.Namespace), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old storages and quantised tensors
            return torch.load(os.fspath(file), map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{file} holds objects beside tensors, and cannot be read without running code from it, which this library "
            "never does; load it in the code that made it and save net.state_dict()"
        ) from error
    except MemoryError as error:
        raise ValueError(f"{file} is damaged or not a torch file (it asks for more memory than there is)") from error
    except Exception as error:  # a damaged pickle may fail anywhere in torch
        raise ValueError(f"{file} is damaged or not a torch file ({short(error)})") from error


def read_safetensors(file: Path) -> tuple[dict[str, str], Tensors]:
    """The header's metadata and the tensors of a safetensors file, or of the several that an index names."""
    if file.name.endswith(".index.json"):
        return {}, _shards(file)
    from safetensors import SafetensorError, safe_open

    _regular(file)
    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            return metadata, {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{file} is damaged or neither a safetensors nor a torch file ({short(error)}); "
            "checkpoints of this library are folders with model.safetensors and config.json"
        ) from error


def read_json(file: Path) -> Any:
    """What a JSON file holds; NaN and infinity, which are no JSON, are refused."""
    if _regular(file).stat().st_size > LARGEST_JSON:
        raise ValueError(f"{file} has more than {LARGEST_JSON:,} bytes; it is no configuration")
    try:
        return json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is not valid JSON ({short(error)}); save the denoiser again") from error


def checked(tensors: Mapping[str, Tensor], source: str, size: int) -> Tensors:
    """Copies of real, finite and dense tensors that a file of `size` bytes can hold, with positive scales.

    Raises
    ------
    ValueError
        Naming the first tensor that is sparse, quantised, complex, boolean or without values, shows more numbers
        than are stored, holds NaN or infinity, or is a standard deviation that is not positive.
    """
    total = 0
    for name, t in tensors.items():
        kind = _unfit(t)
        if kind:
            raise ValueError(f"{source} holds {_shown(name)}, which is {kind}; save dense tensors of real numbers")
        bytes_shown = t.numel() * t.element_size()
        total += bytes_shown
        if bytes_shown > t.untyped_storage().nbytes() or total > size + SPARE_BYTES:
            raise ValueError(
                f"{source} has {size:,} bytes, but {_shown(name)} of shape {_shape(t)} shows more numbers than are "
                "stored; save contiguous tensors: {k: v.contiguous() for k, v in net.state_dict().items()}"
            )
    copies = {name: t.detach().clone(memory_format=torch.contiguous_format) for name, t in tensors.items()}
    for name, t in copies.items():
        if not t.is_floating_point():
            continue
        wide = t if t.element_size() > 1 else t.float()  # 8-bit floats have no isfinite
        if not bool(torch.isfinite(wide).all()):
            raise ValueError(
                f"{source} holds values that are NaN or infinite in {_shown(name)}; the training has diverged"
            )
        if "running_sd" in name.split(".") and not bool((wide > 0).all()):
            raise ValueError(f"{source} holds a {_shown(name)} that is not positive, and a standard deviation must be")
        if name.split(".")[-1] == "running_var" and not bool((wide >= 0).all()):
            raise ValueError(f"{source} holds a {_shown(name)} that is negative, and a variance must not be")
    return copies


def widened(tensors: Tensors) -> Tensors:
    """All real numbers in the widest of their types, at least float32, which holds every narrower number exactly."""
    floating = [t.dtype for t in tensors.values() if t.is_floating_point() and t.element_size() > 1]
    dtype = reduce(torch.promote_types, floating, torch.float32)
    return {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}


def short(error: object, length: int = 100) -> str:
    """The first line of an error, at most so many characters."""
    text = str(error).strip().split("\n")[0] or type(error).__name__
    return text if len(text) <= length else text[: length - 3] + "..."


def _shown(name: str) -> str:
    return name if len(name) <= 60 else name[:57] + "..."


def _shape(t: Tensor) -> str:
    return str(tuple(t.shape)) if t.ndim <= 8 else f"{t.ndim} axes"


def _unfit(t: Tensor) -> str:
    """What a tensor is that cannot be the weight of a network here; empty where it can."""
    if t.is_meta:
        return "without values (on the meta device)"
    if t.layout != torch.strided or t.is_nested:
        return "sparse" if t.layout != torch.strided else "nested"
    if t.is_quantized:
        return "quantised"
    return "complex" if t.is_complex() else "boolean" if t.dtype == torch.bool else ""


def _regular(path: Path) -> Path:
    """The path, if it is a regular file or a link to one; a pipe would wait for ever, a device never end."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if path.is_symlink():
            raise FileNotFoundError(f"{path} is a link to a file that does not exist") from None
        raise FileNotFoundError(f"no checkpoint at {path}; give a folder with {WEIGHTS}, or a file") from None
    except OSError as error:
        raise OSError(error.errno, f"cannot open the checkpoint {path}: {error.strerror}") from error
    except ValueError as error:  # a null character
        raise ValueError(f"{str(path)!r} is not a path ({error})") from error
    if not stat.S_ISREG(mode):
        kinds = ((stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "named pipe"), (stat.S_ISSOCK, "socket"))
        kind = next((name for test, name in kinds if test(mode)), "device")
        raise ValueError(f"{path} is a {kind}, not a file; give a folder with {WEIGHTS}, or a file")
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, f"the checkpoint {path} is not readable")
    return path


def _check_archive(file: Path) -> None:
    """Refuse zip archives that torch.save does not write: compressed ones grow when they are read."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise ValueError(f"{file} is damaged or not a torch file ({short(error)})") from error
    if any(member.filename.endswith("/constants.pkl") for member in members):
        raise ValueError(
            f"{file} is a TorchScript archive, which is code; load it with torch.jit.load and wrap it with gt.adapt, or "
            "save net.state_dict()"
        )
    stored = sum(member.file_size for member in members)
    if any(member.compress_type != zipfile.ZIP_STORED for member in members) or stored > file.stat().st_size:
        raise ValueError(
            f"{file} is damaged or not a torch file (a compressed archive, which torch.save does not write)"
        )
    if not any(member.filename.endswith("data.pkl") for member in members):
        raise ValueError(f"{file} is damaged or not a torch file (an archive of other things)")


def _shards(index: Path) -> Tensors:
    """The tensors of the files that an index names, all beside it."""
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
        raise ValueError(f"{index} is damaged: it has no weight_map from tensors to files")
    tensors: Tensors = {}
    for name in sorted(set(places.values())):
        if name != Path(name).name or not name.endswith(".safetensors"):
            raise ValueError(f"{index} names {short(name)!r}, which is no safetensors file beside it")
        tensors |= read_safetensors(index.with_name(name))[1]
    if tensors.keys() != places.keys():
        raise ValueError(f"{index} does not fit the files it names: other tensors are in them")
    return tensors


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


@contextmanager
def _allowing(cls: type) -> Iterator[None]:
    """Let torch.load build one harmless class more; the list of allowed ones is put back afterwards."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([cls])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
