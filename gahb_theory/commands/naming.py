"""Names of run directories: what is not as by default stands in the name, so that two runs never share one."""

import hashlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import fields
from pathlib import Path
from typing import Any

from gahb_theory import runs
from gahb_theory.identity.hashing import digest

__all__ = ["as_typed", "command_line", "run_directory", "run_name", "settings_of", "short_name"]

LONGEST_NAME = 100  # bytes
TYPED: ContextVar[str | None] = ContextVar("TYPED", default=None)
"""The command line that is being executed; None where a command is run from Python."""


def short_name(name: str) -> str:
    """A name of at most LONGEST_NAME bytes: the beginning of a longer one, with its hash."""
    written = os.fsencode(name)
    if len(written) <= LONGEST_NAME:
        return name
    marked = f"-{hashlib.sha256(written).hexdigest()[:8]}"
    return written[: LONGEST_NAME - len(marked)].decode(errors="ignore") + marked


def settings_of(command: Any) -> dict[str, Any]:
    """The options of a command as JSON values, without the directory that it writes to."""
    return {key: value for key, value in runs.describe(command).items() if key not in ("class", "run")}


def run_name(start: str, command: Any, left_out: set[str]) -> str:
    """A name with every option of a command that is not as by default, such as analyze-photo-sigma-0.1."""
    changed = [
        "-".join(["", *([] if field.name == "settings" else [field.name.replace("_", "-")]), *_word(value)])
        for field in fields(command)
        if (value := getattr(command, field.name)) != field.default and field.name not in left_out
    ]
    return short_name(start + "".join(changed))


@contextmanager
def as_typed(words: Sequence[str]) -> Iterator[None]:
    """Within it, `command_line` returns these words of the command line, as they were typed."""
    token = TYPED.set(shlex.join(["gahb", *words]))
    try:
        yield
    finally:
        TYPED.reset(token)


def command_line(name: str, command: Any) -> str:
    """What was typed for a command; run from Python, its positional words, then every option that is not as by default.

    Examples
    --------
    >>> from gahb_theory.commands.compare import Compare
    >>> command_line("compare", Compare("c_alpha", "dct", image=Path("my photo.png"), resize=True, size=16))
    "gahb compare c_alpha dct 'my photo.png' --size 16 --resize"
    """
    typed = TYPED.get()
    if typed is not None:
        return typed
    words, options = ["gahb", name], []
    for field in fields(command):
        value = getattr(command, field.name)
        if value == field.default or value is None:
            continue
        texts = [str(entry) for entry in value] if isinstance(value, tuple) else [str(value)]
        if "Positional" in {str(mark) for mark in getattr(field.type, "__metadata__", ())}:
            words += texts
        else:
            options += ["--" + field.name.replace("_", "-"), *([] if value is True else texts)]
    return shlex.join([*words, *options])


def _word(value: Any) -> list[str]:
    """How a value stands in a name; a flag that is set stands there by its name alone."""
    if value is True:
        return []
    if isinstance(value, Mapping):
        return [_safe(word) for key, entry in value.items() for word in (key, *entry)]
    if isinstance(value, tuple):
        return [_safe(str(entry)) for entry in value]
    return [_safe(str(value))]


def _safe(word: str) -> str:
    return Path(word).name.replace(",", "-").replace(" ", "")


@contextmanager
def run_directory(given: Path | None, name: str, config: Mapping[str, Any]) -> Iterator[Path]:
    """A directory for a run, which is refused before anything is computed, and leaves nothing if the run fails.

    Parameters
    ----------
    given
        The directory that was asked for; it may hold nothing of another run.
    name
        Else that of the directory in runs/. If it holds another run, such as that of another file of this name, the hash of
        the configuration is added.
    config
        What makes the run.
    """
    if given is None:
        given = Path("runs") / name
        if runs.differing(given, config):
            given = given.with_name(f"{name}-{digest(runs.to_json({**config, 'versions': None}))[:8]}")
    else:
        runs.refuse_another(given, config)
    made = [folder for folder in (given, *given.parents) if not folder.exists()]
    runs.make_directory(given)
    try:
        yield given
    except BaseException:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        raise
