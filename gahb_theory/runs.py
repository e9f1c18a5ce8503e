"""Run directories: what was computed, from what, by which versions; every file whole or absent.

A file is written under a temporary name, flushed to disk, then renamed, so a kill, a power cut or a full disk leaves
the version before. A run directory holds config.json (everything that made the run), metrics.csv, arrays.npz and
figures/. JSON files are strict: NaN and infinity stand there as {"float": "nan"}, which `from_json` turns back.
"""

import csv
import errno
import hashlib
import io
import itertools
import json
import math
import os
import platform
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory.identity import content as identity
from gahb_theory.identity.hashing import differences, hash_array
from gahb_theory.progress import progress_bar
from gahb_theory.version import __version__

__all__ = [
    "describe",
    "differing",
    "fingerprint",
    "fingerprint_parameters",
    "from_json",
    "locked",
    "make_directory",
    "open_run",
    "read_json",
    "read_object",
    "refuse_another",
    "remove_stale",
    "set_aside",
    "to_json",
    "versions",
    "write_bytes",
    "write_csv",
    "write_json",
]


SECONDS_OF_A_DAY = 86400
SECONDS_BETWEEN_TRIES = 0.2


def write_bytes(path: str | Path, content: bytes) -> Path:
    """Write a file atomically: after any failure `path` holds what it held before."""
    path = Path(path)
    temporary = path.with_name(_temporary_name(path.name))
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
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise
    return path


def _temporary_name(name: str) -> str:
    """A hidden name of no other host, process or thread, and not too long for any file system."""
    owner = f"{_host()}-{os.getpid()}-{threading.get_ident()}-{secrets.token_hex(4)}"
    short = name if len(name.encode()) < 100 else hashlib.sha256(name.encode()).hexdigest()[:16]
    return f".{short}.{owner}.partial"


def _host() -> str:
    return "".join(c for c in platform.node() if c.isalnum())[:40] or "host"


def remove_stale(folder: Path) -> None:
    """Remove the temporary files that dead processes left in a folder.

    Those of this host go if the process is no more; those of other hosts after a day.
    """
    for file in folder.glob(".*.partial"):
        owner = file.name.removesuffix(".partial").rpartition(".")[2].split("-")
        with suppress(OSError):
            here = len(owner) == 1 or owner[0] == _host()
            number = owner[0] if len(owner) == 1 else owner[1]
            if not number.isdecimal():
                continue
            if time.time() - file.stat().st_mtime > SECONDS_OF_A_DAY or (here and not _alive(int(number))):
                file.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        return True
    return True


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock that the system lets go when the process ends, however it ends.

    Raises `BlockingIOError` if another holds it, unless `wait`, and `OSError` where the file cannot be written. Without
    effect where there are no such locks: on Windows, on some network disks.
    """
    file, held = _lock(path, wait)
    try:
        yield
    finally:
        if held:  # removed before it is let go: who waits looks whether it is still there
            with suppress(OSError):
                path.unlink(missing_ok=True)
        os.close(file)


def _lock(path: Path, wait: bool) -> tuple[int, bool]:
    """The descriptor of the file, and whether it is locked."""
    with progress_bar(desc=f"waiting for the process that holds {path}") as bar:
        while True:
            try:
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError as error:
                raise OSError(
                    error.errno, f"cannot write into {path.parent}: {error.strerror}; choose another place"
                ) from error
            try:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file), path.stat()):
                    return file, True
            except BlockingIOError:
                if not wait:
                    os.close(file)
                    raise
                bar.update()
                time.sleep(SECONDS_BETWEEN_TRIES)
            except FileNotFoundError:  # removed by the holder before
                pass
            except (ImportError, OSError):
                return file, False
            except BaseException:
                os.close(file)
                raise
            os.close(file)


def set_aside(path: Path) -> Path:
    """Give a damaged file another name, NAME.damaged, so that it is kept and no longer in the way."""
    for number in itertools.count(1):
        target = path.with_name(f"{path.name}.damaged" + (f"-{number}" if number > 1 else ""))
        if not target.exists():
            return path.rename(target)
    raise AssertionError


def to_json(value: Any) -> Any:
    """A value as strict JSON holds it: plain numbers and lists, NaN and infinity as {"float": "nan"}.

    Raises
    ------
    TypeError
        If it holds something else.

    Examples
    --------
    >>> to_json({"a": np.float32(0.5), "b": (1, float("inf"))})
    {'a': 0.5, 'b': [1, {'float': 'inf'}]}
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if isinstance(value, Mapping):
        plain = {key.item() if isinstance(key, np.generic) else key: to_json(entry) for key, entry in value.items()}
        for key in plain:
            if not isinstance(key, str | int | float | bool | None):
                raise TypeError(f"it holds a key of type {type(key).__name__}")
        return plain
    if isinstance(value, list | tuple):
        return [to_json(entry) for entry in value]
    if isinstance(value, str | int | float | bool | None):
        return value
    raise TypeError(f"it holds a {type(value).__name__}")


def from_json(value: Any) -> Any:
    """What `to_json` was given."""
    if isinstance(value, dict):
        return float(value["float"]) if _is_float(value) else {key: from_json(entry) for key, entry in value.items()}
    return [from_json(entry) for entry in value] if isinstance(value, list) else value


def _is_float(value: dict[str, Any]) -> bool:
    return value.keys() == {"float"} and value["float"] in ("nan", "inf", "-inf")


def write_json(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a strict JSON file atomically; arrays become lists, other things their names."""
    return write_bytes(path, (json.dumps(to_json(_plain(content)), indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """What a JSON file holds, NaN and infinity turned back."""
    return from_json(json.loads(path.read_text()))


def read_object(file: Path) -> dict[str, Any]:
    """The object that a JSON file holds, as it stands there; ValueError says what is wrong with the file."""
    if not file.is_file():
        raise ValueError(f"{file} is missing or no regular file")
    try:
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__} in the place of an object")
    except ValueError as error:  # not text, not JSON
        raise ValueError(f"{file} is damaged ({error})") from error
    return content


def write_csv(path: str | Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Write rows with the same keys as a CSV file, atomically."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_bytes(path, text.getvalue().encode())


def make_directory(path: str | Path) -> Path:
    """Create a run directory, if there is none, and see that it can be written."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"cannot create the run directory {path}: {error.strerror}; choose another"
        ) from error
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, f"the run directory {path} is not writable; choose another")
    return path


def open_run(path: str | Path, config: Mapping[str, Any]) -> Path:
    """Create a run directory, or reopen one that was made by the same configuration.

    Raises
    ------
    FileExistsError
        If the directory holds a run of another configuration; the message names the entries that differ.
    OSError
        If the directory cannot be written.
    """
    path = make_directory(path)
    refuse_another(path, config)
    if not (path / "config.json").exists():
        write_json(path / "config.json", json.loads(json.dumps(to_json(_plain(config)))))
    return path


def refuse_another(path: Path, config: Mapping[str, Any]) -> None:
    """Raise FileExistsError, naming the entries that differ, if a directory holds a run of another configuration."""
    if different := differing(path, config):
        raise FileExistsError(
            errno.EEXIST,
            f"{path} holds a run of another configuration ({', '.join(different)}); choose another directory",
        )


def differing(path: Path, config: Mapping[str, Any]) -> list[str]:
    """The entries in which the configuration of a run directory differs, such as "seed: 1 there, 2 now".

    Neither the versions nor the command as it was typed are looked at.
    """
    file = path / "config.json"
    if not file.exists():
        return []
    try:
        content = json.loads(file.read_text())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__} in the place of an object")
    except ValueError as error:  # not text, not JSON, or not a configuration
        raise ValueError(f"{file} is not valid JSON ({error}); remove the directory or choose another") from error
    wanted = json.loads(json.dumps(to_json(_plain(config))))
    not_looked_at = {"versions": None, "typed": None}
    return differences(content | not_looked_at, wanted | not_looked_at)


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


def fingerprint(x: Tensor | np.ndarray) -> str:
    """The sha256 of the values, dtype and shape of a tensor or an array."""
    return hash_array(x)


def fingerprint_parameters(f: torch.nn.Module) -> str:
    """The sha256 of what a network is: its class, its structure, its parameters and buffers."""
    return identity.fingerprint(f, "f")


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
    """Arrays as lists, and what JSON does not know as its name."""
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
