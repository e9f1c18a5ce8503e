"""Pools of worker processes that end when their parent ends, for whatever reason.

Workers are spawned, never forked: a fork would copy the locks of torch's threads. Each computes on one thread. Ctrl-C in
a terminal reaches the parent alone, which ends its workers; a parent that is killed takes them with it, since each of
them watches for its end.
"""

import ast
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gahb_theory import validate

__all__ = ["WorkersNotPossible", "check_workers", "pool"]

MOST_WORKERS = 1024
SECONDS_BETWEEN_LOOKS = 1.0


class WorkersNotPossible(TypeError):
    """New processes cannot be started here, or cannot import what they are to call."""


@contextmanager
def pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """A pool of spawned processes on one thread each; an error in the body ends them at once.

    Parameters
    ----------
    workers
        Number of processes.

    Raises
    ------
    WorkersNotPossible
        If a script calls this at its top, or if what is submitted cannot be imported by a new process. The message says
        what to do.

    Examples
    --------
    A program that starts processes is guarded by `if __name__ == "__main__":`.

    >>> def example():
    ...     with pool(2) as processes:
    ...         return [future.result() for future in [processes.submit(abs, -1), processes.submit(abs, -2)]]
    """
    workers = validate.integer(workers, "workers", 1, MOST_WORKERS)
    check_workers(workers)
    context = multiprocessing.get_context("spawn")
    ends, alive = context.Pipe(duplex=False)  # closing `alive` ends the workers
    executor = _Pool(workers, context, initializer=_begin_worker, initargs=(ends, os.getpid()))
    try:
        yield executor
        executor.shutdown(wait=True)
    finally:  # after an error some may still be busy
        alive.close()
        executor.shutdown(wait=True, cancel_futures=True)
        ends.close()


def check_workers(workers: int, *things: Any) -> None:
    """Refuse, before anything is begun, more than one process where it cannot work.

    Parameters
    ----------
    workers
        Number of processes; one always works.
    *things
        What would be sent to them.
    """
    if workers == 1:
        return
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is not None and not Path(script).is_file():
        raise WorkersNotPossible(
            f"workers={workers} starts new processes, which cannot run {script}: save the script in a file, or use workers=1"
        )
    if _unguarded():
        raise WorkersNotPossible(
            f"workers={workers} starts new processes, each of which runs this script from its top: put the call under "
            'if __name__ == "__main__":, or use workers=1'
        )
    for thing in things:
        _pickled(thing)


class _Pool(ProcessPoolExecutor):
    """A pool whose jobs explain why they cannot be sent, and whose processes ignore Ctrl-C."""

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        """As in `ProcessPoolExecutor`; processes are started here."""
        payload = _pickled((function, arguments, named))
        with _postponed(), _interrupts_blocked():
            return super().submit(_call, payload)


def _call(payload: bytes) -> Any:
    """Call a function in a worker."""
    try:
        function, arguments, named = pickle.loads(payload)
    except (AttributeError, ImportError) as error:
        raise WorkersNotPossible(f"a new process cannot import what it is to call ({error}); {_REMEDY}") from error
    return function(*arguments, **named)


_REMEDY = "define it in a module (a .py file of its own) and import it from there, or use workers=1"


class _Pickler(pickle.Pickler):
    """Notes which classes and functions another process would have to import from `__main__`."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.mine: list[str] = []

    def reducer_override(self, thing: Any) -> Any:
        """Change nothing."""
        if getattr(thing, "__module__", None) == "__main__" and hasattr(thing, "__qualname__"):
            self.mine.append(thing.__qualname__)
        return NotImplemented


def _pickled(thing: Any) -> bytes:
    """What another process unpickles; refused where it could not import the classes and functions in it."""
    file = BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(thing)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise WorkersNotPossible(f"this cannot be sent to another process ({error}); {_REMEDY}") from error
    main = getattr(sys.modules["__main__"], "__file__", None)
    if pickler.mine and (main is None or not Path(main).is_file()):  # a notebook, a prompt, python -c
        raise WorkersNotPossible(
            f"a new process cannot import {pickler.mine[0]}, which is defined in a notebook or at a prompt; {_REMEDY}"
        )
    return file.getvalue()


def _unguarded() -> bool:
    """Whether a line at the top of the main script, which every spawned process runs again, has led here."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None)
    if path is None or getattr(getattr(main, "__spec__", None), "name", "").endswith("__main__"):
        return False  # such programs are not run again
    frame = sys._getframe()
    while frame.f_back is not None and not (frame.f_code.co_name == "<module>" and frame.f_globals is vars(main)):
        frame = frame.f_back
    if frame.f_globals is not vars(main) or frame.f_code.co_name != "<module>":
        return False
    try:
        if not Path(frame.f_code.co_filename).samefile(path):
            return False
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return False
    return not any(
        isinstance(node, ast.If)
        and node.lineno <= frame.f_lineno <= (node.end_lineno or node.lineno)
        and any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
        for node in ast.walk(tree)
    )


@contextmanager
def _postponed() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until a process is started: a half-started one would end with a traceback."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    noted: list[int] = []
    before = {n: signal.signal(n, lambda number, frame: noted.append(number)) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if noted:
            signal.raise_signal(noted[0])


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Start processes that never see Ctrl-C, not even while they import; for this process it only waits."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(ends: multiprocessing.connection.Connection, parent: int) -> None:
    """What a worker does first: watch for the end of its parent, take one thread, show no progress bars."""
    threading.Thread(target=_end_with_parent, args=(ends, parent), daemon=True).start()
    torch.set_num_threads(1)
    begin = tqdm.__init__  # no progress bars over those of the parent
    tqdm.__init__ = lambda bar, *given, **named: begin(bar, *given, **(named | {"disable": True}))


def _end_with_parent(ends: multiprocessing.connection.Connection, parent: int) -> None:
    """End this process when the parent closes its pipe, or is gone although a copy of the pipe is still open."""
    sentinel = multiprocessing.parent_process()
    watched: list[Any] = [ends] if sentinel is None else [ends, sentinel.sentinel]
    while not multiprocessing.connection.wait(watched, timeout=SECONDS_BETWEEN_LOOKS):
        if hasattr(os, "getppid") and os.name == "posix" and os.getppid() != parent:
            break
    time.sleep(0.05)  # an orderly end goes first
    os._exit(1)
