"""Many runs of one function, none of them twice.

The result of `run(config, directory)` is kept under the hash of its inputs: the name of `run` and all that `config`
holds. A sweep that was killed at any moment goes on where it stopped; two sweeps at the same time share their work. How
the runs are executed is the caller's choice: any object with a method `submit`, such as `Serial`, a
`concurrent.futures.ProcessPoolExecutor`, or a `submitit.AutoExecutor` for a cluster.

Each run has a directory of its own, folder/KEY, with

    config.json   the inputs, written before the run
    result.json   the result, written after it, whole or not at all
    ...           what `run` itself keeps there, such as the checkpoints from which it goes on
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from gahb_theory import runs

__all__ = ["Executor", "Piece", "Serial", "key", "sweep"]

RESULT, CONFIG, LOCK = "result.json", "config.json", "lock"
KEY_LENGTH = 24


@runtime_checkable
class Executor(Protocol):
    """What a sweep asks of an executor."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> Any:
        """Start function(*arguments), now or later, and return an object whose `result()` waits for the outcome."""
        ...


class Serial:
    """One run after the other in this process."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> "Future[Any]":
        """Call the function at once."""
        future: Future[Any] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@dataclass(frozen=True, eq=False)
class Piece:
    """One run of a sweep.

    Parameters
    ----------
    config
        Its configuration.
    directory
        Where its files are.
    result
        What `run` returned, as JSON gives it back.
    """

    config: Any
    directory: Path
    result: dict[str, Any]


def sweep(
    configs: Sequence[Any],
    run: Callable[[Any, Path], Mapping[str, Any]],
    executor: Executor | None = None,
    *,
    folder: str | Path,
) -> list[Piece]:
    """Run a function on each configuration, or read its result where there is one.

    Parameters
    ----------
    configs
        Configurations: dataclasses or mappings of numbers, strings, arrays, tensors, and more of these. Equal ones are
        run once.
    run
        A function of a module, run(config, directory), which returns a mapping that JSON can hold. What it writes into
        `directory` stays there: a long run keeps its checkpoints there, and finds them when it is started again.
    executor
        Anything with `submit`; by default the runs follow each other in this process.
    folder
        Where the directories of the runs are.

    Returns
    -------
    One piece for each configuration, in their order.

    Raises
    ------
    TypeError
        If a configuration holds something whose contents are unknown, such as a function, or a result is not JSON.
    RuntimeError
        After all runs have ended, if some have failed. The others are kept.

    Examples
    --------
    >>> import tempfile
    >>> def square(config, directory):
    ...     print("computing", config["x"])
    ...     return {"y": config["x"] ** 2}
    >>> folder = tempfile.mkdtemp()
    >>> [piece.result for piece in sweep([{"x": 2}, {"x": 3}], square, folder=folder)]
    computing 2
    computing 3
    [{'y': 4}, {'y': 9}]
    >>> [piece.result for piece in sweep([{"x": 3}, {"x": 4}], square, folder=folder)]
    computing 4
    [{'y': 9}, {'y': 16}]
    """
    folder = Path(folder)
    directories = [folder / key(run, config) for config in configs]
    todo = {d: c for d, c in zip(directories, configs, strict=True) if not (d / RESULT).exists()}
    executor = executor or Serial()
    futures = {d: executor.submit(_compute, run, config, d) for d, config in todo.items()}
    failures = []
    for directory, future in tqdm(futures.items(), desc="sweep", unit="run", delay=2, leave=False, disable=None):
        try:
            future.result()
        except Exception as error:
            failures.append((directory, error))
    if failures:
        first, error = failures[0]
        raise RuntimeError(
            f"{len(failures)} of {len(futures)} runs failed, the others are kept; the first is {first} "
            f"({type(error).__name__}: {error}). Mend it and call the sweep again"
        ) from error
    return [Piece(c, d, _read(d)) for c, d in zip(configs, directories, strict=True)]


def key(run: Callable[..., Any], config: Any) -> str:
    """The name of a run: a hash of the name of the function and of all that the configuration holds.

    Examples
    --------
    >>> key(key, {"a": 1, "b": 2}) == key(key, {"b": 2, "a": 1})
    True
    """
    inputs = json.dumps(_inputs(run, config), sort_keys=True)
    return hashlib.sha256(inputs.encode()).hexdigest()[:KEY_LENGTH]


def _inputs(run: Callable[..., Any], config: Any) -> dict[str, Any]:
    name = getattr(run, "__qualname__", None)
    if name is None or "<lambda>" in name:
        raise TypeError(f"run must be a function with a name, got {run!r}; a result is kept under this name")
    _check_known(config, "config")
    return {"run": f"{run.__module__}.{name}", "config": runs.describe(config)}


def _check_known(thing: Any, name: str) -> None:
    """Refuse what `runs.describe` would name without its contents: two of it would have the same hash."""
    if is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            _check_known(getattr(thing, field.name), f"{name}.{field.name}")
    elif isinstance(thing, Mapping):
        for label, value in thing.items():
            _check_known(value, f"{name}[{label!r}]")
    elif isinstance(thing, list | tuple):
        for position, value in enumerate(thing):
            _check_known(value, f"{name}[{position}]")
    elif not isinstance(
        thing, str | int | float | bool | None | Path | Tensor | np.ndarray | np.generic | torch.dtype | torch.device
    ):
        raise TypeError(
            f"{name} is a {type(thing).__name__}, whose contents a hash cannot see; use dataclasses, mappings, numbers, "
            "strings, arrays or tensors"
        )


def _compute(run: Callable[[Any, Path], Mapping[str, Any]], config: Any, directory: Path) -> None:
    """Run one piece where it has no result yet; another process at the same piece waits for it."""
    directory.mkdir(parents=True, exist_ok=True)
    with _locked(directory / LOCK):
        if (directory / RESULT).exists():
            return
        runs.write_json(directory / CONFIG, _inputs(run, config) | {"versions": runs.versions()})
        result = run(config, directory)
        if not isinstance(result, Mapping):
            raise TypeError(f"run must return a mapping such as {{'psnr': 30.1}}, got {type(result).__name__}")
        try:
            content = json.dumps(dict(result), indent=2, default=_number)
        except TypeError as error:
            raise TypeError(f"the result must be JSON ({error}); write arrays into the directory of the run") from None
        runs.write_bytes(directory / RESULT, (content + "\n").encode())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock that the system lets go when the process ends, however it ends; without effect on Windows."""
    with path.open("w") as file:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _number(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"it holds a {type(value).__name__}")


def _read(directory: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((directory / RESULT).read_text()))
    except ValueError as error:
        raise ValueError(f"{directory / RESULT} is damaged ({error}); remove it and call the sweep again") from error
