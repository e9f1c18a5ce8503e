"""Many runs of one function, none of them twice.

The result of `run(config, directory)` is kept under the hash of its inputs: the function `run` and all that `config`
holds (`gahb_theory.identity.content`). A function that was changed computes anew; one that it calls is not looked into. A sweep
that was killed at any moment goes on where it stopped; two sweeps at the same time share their work. How the runs are
executed is the caller's choice: any object with a method `submit`, such as `Serial`, a `submitit.AutoExecutor` for a
cluster, a Dask client, or

    ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn"))

Each run has a directory of its own, folder/KEY, with

    config.json   the inputs, written before the run
    result.json   the result, written after it, whole or not at all
    ...           what `run` itself keeps there, such as the checkpoints from which it goes on
"""

import json
import multiprocessing
import pickle
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from gahb_theory import runs, validate
from gahb_theory.identity.content import function_identity, identity
from gahb_theory.identity.hashing import digest
from gahb_theory.progress import progress_bar

__all__ = ["Executor", "Piece", "Serial", "completed", "key", "refuse_fork", "sweep"]

RESULT, CONFIG, LOCK = "result.json", "config.json", "lock"
KEY_LENGTH = 24
MOST_SUBMISSIONS = 512
SECONDS_BETWEEN_LOOKS = 0.2

Run = Callable[[Any, Path], Mapping[str, Any]]
Job = tuple[Any, Path, dict[str, Any]]
"""A configuration, its directory, and what config.json says."""
Outcomes = dict[Path, BaseException | None]


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
    configs: Iterable[Any],
    run: Callable[[Any, Path], Mapping[str, Any]],
    executor: Executor | None = None,
    *,
    folder: str | Path,
    finished: Callable[[Any], object] | None = None,
) -> list[Piece]:
    """Run a function on each configuration, or read its result where there is one.

    Parameters
    ----------
    configs
        Configurations: dataclasses or mappings of numbers, strings, arrays, tensors, image classes, networks, and more of
        these. A path stands for the files that are there. Equal ones are run once.
    run
        A function with a name, run(config, directory), which returns a mapping that JSON can hold; also a
        `functools.partial` of one, or a method of an object whose contents are known. What it writes into `directory`
        stays there: a long run keeps its checkpoints there, and finds them when it is started again.
    executor
        Anything with `submit`; by default the runs follow each other in this process. Of very many runs some are
        submitted together.
    folder
        Where the directories of the runs are.
    finished
        Called with the configuration of each run that has ended well, in the order in which they do, instead of a
        progress bar.

    Returns
    -------
    One piece for each configuration, in their order.

    Raises
    ------
    TypeError
        If a configuration holds something whose contents are unknown, such as a function, or a result is not JSON.
    ValueError
        If `executor` forks its processes, which then wait forever for the locks of torch's threads.
    RuntimeError
        After all runs have ended, if some have failed or a worker process has died. The others are kept.

    See Also
    --------
    gahb_theory.map_images, gahb_theory.train

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
    refuse_fork(executor)
    folder = validate.path(folder, "folder").resolve()  # the workers may stand elsewhere
    configs = list(configs)  # of a generator, too
    inputs = [_inputs(run, config) for config in configs]
    directories = [folder / _key(entry) for entry in inputs]
    jobs = {
        d: (c, d, entry) for c, d, entry in zip(configs, directories, inputs, strict=True) if not (d / RESULT).exists()
    }
    outcomes: Outcomes = {}
    with progress_bar(total=len(jobs), desc="sweep", unit="run", silent=finished is not None) as bar:
        for group in _outcomes(list(jobs.values()), run, executor or Serial()):
            outcomes |= group
            bar.update(len(group))
            if finished is not None:
                for directory in (d for d, error in group.items() if error is None):
                    finished(jobs[directory][0])
    _raise_if_failed(jobs, outcomes)
    return [Piece(c, d, _read(d)) for c, d in zip(configs, directories, strict=True)]


def _raise_if_failed(jobs: Mapping[Path, Job], outcomes: Outcomes) -> None:
    failures = [(d, error) for d, error in outcomes.items() if error is not None]
    if not failures:
        return

    def doubt(failure: tuple[Path, BaseException]) -> int:
        """A run that raised comes first; where a worker died, those that had begun come before those that waited."""
        directory, error = failure
        return 0 if not isinstance(error, BrokenExecutor) else 1 if (directory / CONFIG).exists() else 2

    first, error = min(failures, key=doubt)
    died = isinstance(error, BrokenExecutor)
    said = "its worker process died, killed or out of memory" if died else f"{type(error).__name__}: {error}"
    config = repr(jobs[first][0])
    config = config if len(config) <= 200 else f"{config[:197]}..."
    raise RuntimeError(
        f"{len(failures)} of {len(jobs)} runs failed, the others are kept; the first is {first} ({said}), of the "
        f"configuration {config}. Mend it and call the sweep again"
    ) from error


def refuse_fork(executor: Executor | None) -> None:
    """Refuse a pool of forked processes, in which torch waits forever."""
    context = getattr(executor, "_mp_context", None)
    if isinstance(executor, ProcessPoolExecutor) and context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "executor forks this process, and a fork waits forever for the locks of torch's threads; make it by "
            'ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("spawn"))'
        )


def _outcomes(jobs: Sequence[Job], run: Run, executor: Executor) -> Iterator[Outcomes]:
    """How the runs ended, in the order in which they do."""
    size = 1 if isinstance(executor, Serial) else -(-len(jobs) // MOST_SUBMISSIONS)
    chunks = [list(jobs[i : i + size]) for i in range(0, len(jobs), size)] if jobs else []
    for number, future in completed(executor, _compute, [(run, chunk) for chunk in chunks]):
        yield _outcome(future, chunks[number])


def completed(
    executor: Executor, function: Callable[..., Any], arguments: Iterable[tuple[Any, ...]]
) -> Iterator[tuple[int, Any]]:
    """The numbers and futures of function(*arguments) for each of `arguments`, in the order in which they end.

    A future may hold an exception. When the caller stops early, what has not begun is cancelled.
    """
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    futures: dict[int, Any] = {}
    try:
        for number, some in enumerate(arguments):
            try:
                futures[number] = executor.submit(_anew, secrets.token_hex(8), function, *some)
            except BrokenExecutor as error:
                futures[number] = Future()
                futures[number].set_exception(error)
            if hasattr(futures[number], "add_done_callback"):
                futures[number].add_done_callback(lambda _, number=number: ended.put(number))
            while not ended.empty():
                done = ended.get()
                yield done, futures.pop(done)
        while futures:
            done = _next(futures, ended)
            yield done, futures.pop(done)
    finally:  # after Ctrl-C nothing else is to begin
        for future in futures.values():
            if hasattr(future, "cancel"):
                future.cancel()


def _anew(token: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function; the token is new, so that an executor that remembers its tasks does not answer with an old one."""
    return function(*arguments)


def _next(futures: Mapping[int, Any], ended: "queue.SimpleQueue[int]") -> int:
    """The number of a future that has ended, or will when asked for its result."""
    if all(hasattr(future, "add_done_callback") for future in futures.values()):
        return ended.get()
    while all(callable(getattr(future, "done", None)) for future in futures.values()):
        for number, future in futures.items():
            if future.done():
                return number
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return next(iter(futures))


def _outcome(future: Any, chunk: Sequence[Job]) -> Outcomes:
    try:
        return dict(future.result())
    except Exception as error:  # of the executor: the runs themselves do not raise
        return dict.fromkeys((d for _, d, _ in chunk), error)


def key(run: Callable[..., Any], config: Any) -> str:
    """The name of a run: a hash of the name of the function and of all that the configuration holds.

    Examples
    --------
    >>> key(key, {"a": 1, "b": 2}) == key(key, {"b": 2, "a": 1})
    True
    """
    return _key(_inputs(run, config))


def _key(inputs: Mapping[str, Any]) -> str:
    return digest(inputs)[:KEY_LENGTH]


def _inputs(run: Callable[..., Any], config: Any) -> dict[str, Any]:
    if "<lambda>" in getattr(run, "__qualname__", ""):
        raise TypeError(f"run must be a function with a name, got {run!r}; a result is kept under this name")
    return {"run": function_identity(run, "run"), "config": identity(config, "config")}


def _compute(run: Run, jobs: Sequence[Job]) -> Outcomes:
    """Run some pieces; what one of them raises is its own failure, and spares the others."""
    outcomes: Outcomes = {}
    for config, directory, inputs in jobs:
        try:
            _piece(run, config, directory, inputs)
        except BaseException as error:
            if _ends_all(error):
                raise
            outcomes[directory] = _portable(error)
        else:
            outcomes[directory] = None
    return outcomes


def _ends_all(error: BaseException) -> bool:
    """Whether it is the caller who is to end, by Ctrl-C or a signal, and not one run."""
    here = multiprocessing.parent_process() is None and threading.current_thread() is threading.main_thread()
    signalled = isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > 128
    return here and (isinstance(error, KeyboardInterrupt) or signalled)


def _portable(error: BaseException) -> BaseException:
    """An exception that another process can read."""
    with suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")


def _piece(run: Run, config: Any, directory: Path, inputs: Mapping[str, Any]) -> None:
    """Run one piece where it has no result yet; another process at the same piece waits for it."""
    directory.mkdir(parents=True, exist_ok=True)
    with runs.locked(directory / LOCK, wait=True):
        if (directory / RESULT).exists():
            return
        runs.remove_stale(directory)
        runs.write_json(directory / CONFIG, {**inputs, "versions": runs.versions()})
        result = run(config, directory)
        if not isinstance(result, Mapping):
            raise TypeError(f"run must return a mapping such as {{'psnr': 30.1}}, got {type(result).__name__}")
        try:
            content = json.dumps(runs.to_json(result), indent=2, allow_nan=False)
        except TypeError as error:
            raise TypeError(f"the result must be JSON ({error}); write arrays into the directory of the run") from None
        runs.write_bytes(directory / RESULT, (content + "\n").encode())


def _read(directory: Path) -> dict[str, Any]:
    file = directory / RESULT
    try:
        return dict(runs.from_json(runs.read_object(file)))
    except ValueError as error:
        place = runs.set_aside(file)
        raise ValueError(f"{error}; it is now {place.name}. Call the sweep again") from error
