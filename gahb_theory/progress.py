"""Progress of what takes longer than two seconds: a bar on a terminal, a line every half minute in a log.

Bars overwrite themselves, which a file, a pipe or a notebook's log cannot show; there a line is printed now and then, so that a
job of hours does not look dead.
"""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

__all__ = ["progress_bar"]

DELAY, SECONDS_BETWEEN_LINES = 2.0, 30.0


def progress_bar(
    iterable: Iterable[Any] | None = None,
    *,
    desc: str,
    unit: str = "it",
    total: int | None = None,
    initial: int = 0,
    silent: bool = False,
    leave: bool = False,
) -> "tqdm[Any]":
    """A progress bar of tqdm over an iterable, or one to be updated by hand.

    Parameters
    ----------
    iterable, total, initial, desc, unit
        As for tqdm.
    silent
        Show nothing.
    leave
        Leave the full bar on the terminal.

    Examples
    --------
    >>> sum(progress_bar([1, 2, 3], desc="adding", unit=" numbers"))
    6
    """
    terminal = getattr(sys.stderr, "isatty", bool)()
    bar, delay, between = (tqdm, DELAY, 0.1) if terminal else (_Lines, SECONDS_BETWEEN_LINES, SECONDS_BETWEEN_LINES)
    return bar(
        iterable,
        desc=desc,
        unit=unit,
        total=total,
        initial=initial,
        leave=leave,
        delay=delay,
        mininterval=between,
        maxinterval=max(10.0, between),
        ncols=None if terminal else 0,
        disable=silent or sys.stderr is None,
    )


class _Lines(tqdm):
    """A progress bar whose states stand below each other."""

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        """Print the state in a line of its own, once the delay is over; a caller may ask for it at any time."""
        if self._time() - self.start_t < self.delay:
            return False
        if text := str(self) if msg is None else msg:
            print(text, file=self.fp, flush=True)
        return True

    def close(self) -> None:
        """End; a line that has been printed stays."""
        if not self.disable:
            self.last_print_t = self.start_t
        super().close()
