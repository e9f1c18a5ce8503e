"""How a command ends when it is asked to: one line that says what is kept, and the code 130 (Ctrl-C) or 143 (SIGTERM).

The handlers are there before anything heavy is imported. Until the command runs, a signal ends the process at once; then
it becomes an exception in the main thread, so that files and workers are tidied up. A thread that is woken by the signal
ends the process if the main thread does not come to that, for instance within a long product of matrices. Nothing is
lost by that: files are whole or absent at any moment.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["Stopped", "begin", "ends_with_this_process", "handled", "keeps", "say"]

PARENT = "GAHB_ENDS_WITH"
SECONDS_TO_TIDY_UP = 5.0
SECONDS_BETWEEN_LOOKS = 0.5
NUMBERS = (signal.SIGINT, signal.SIGTERM)
NOTHING_YET = "nothing was begun; call it again"


class Stopped(SystemExit):
    """SIGTERM has come."""


class _State:
    """What the handlers know."""

    words = NOTHING_YET
    running = False
    ending = False
    silent = False


def begin() -> None:
    """Take over the signals if this process is the command `gahb`; watch the command that has started it, if one has."""
    first = sys.argv[0] if sys.argv else ""
    spawned = "--multiprocessing-fork" in sys.orig_argv
    script = os.path.basename(first) in ("gahb", "gahb.exe", "gahb-script.py")  # noqa: PTH119
    if not spawned and (script or (first == "-m" and "gahb_theory" in sys.orig_argv)):
        _State.silent = os.environ.get("RANK", "0") != "0"  # of several processes the first one speaks
        _install()
        _watch()
    parent = os.environ.get(PARENT, "")
    if os.name == "posix" and parent.isdigit() and int(parent) == os.getppid():
        _State.silent = True  # the command speaks
        _install()
        threading.Thread(target=_end_with, args=(int(parent),), daemon=True).start()


def ends_with_this_process() -> dict[str, str]:
    """The environment of a program that is to end when this process ends, and to say nothing when it is stopped."""
    return dict(os.environ) | {PARENT: str(os.getpid())}


@contextmanager
def handled() -> Iterator[None]:
    """Turn SIGINT into KeyboardInterrupt and SIGTERM into `Stopped`; the second signal ends the process.

    Examples
    --------
    >>> with handled():
    ...     keeps("the finished blocks are kept")
    """
    before = vars(_State).copy()
    _State.words, _State.running, _State.ending = NOTHING_YET, True, False
    handlers = {} if signal.getsignal(signal.SIGTERM) is _handle else _install()
    try:
        yield
    finally:
        _State.words, _State.running = before["words"], before["running"]
        for number, handler in handlers.items():
            signal.signal(number, handler)


def keeps(words: str) -> None:
    """Note what is kept if a signal comes from now on."""
    _State.words = words


def say(number: int) -> int:
    """Write the line about a signal to stderr; the code of the process, 128 + number."""
    if not _State.silent:
        with suppress(OSError):
            os.write(2, f"\ngahb: stopped by {signal.Signals(number).name}: {_State.words}\n".encode())
    return 128 + number


def _handle(number: int, frame: object) -> None:
    if not _State.running or _State.ending:
        os._exit(say(number))
    _State.ending = True
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise Stopped(128 + number)


def _install() -> dict[int, Any]:
    """Set the handlers, which only the main thread may; those of before."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.signal(number, _handle) for number in NUMBERS}


def _watch() -> None:
    """Start the thread that the system wakes at a signal, whatever the main thread is doing."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_woken, args=(reading,), daemon=True).start()


def _woken(reading: int) -> None:
    while True:
        for number in os.read(reading, 64):
            if number in NUMBERS and signal.getsignal(number) is _handle:  # training waits for the end of its step
                time.sleep(SECONDS_TO_TIDY_UP)
                os._exit(say(number))


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    os._exit(128 + signal.SIGTERM)


begin()
