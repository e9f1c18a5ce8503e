"""The command `gahb`: finds the command that is asked for, runs it, and refuses bad input in one line.

The commands stand in `gahb_theory.commands`. Nothing heavy is imported before one of them runs.
"""

import difflib
import inspect
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import Any

from gahb_theory import signals
from gahb_theory.commands.classes import RECIPE, classes_in_words, separate
from gahb_theory.commands.settings_of_tour import Tour
from gahb_theory.commands.table import COMMANDS, overview
from gahb_theory.version import __version__

__all__ = ["main", "parse"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; without one, the tour."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--"]:  # with which torchrun ends its own options, and which some versions pass on
        del given[0]
    if given[:1] in (["-h"], ["--help"], ["help"]):
        print(overview())
        raise SystemExit(0)
    if given[:1] == ["--version"]:
        print(f"gahb {__version__}")
        raise SystemExit(0)
    typed = list(given)
    if not given or given[0].startswith("-"):
        given = ["tour", *given]
    name, *options = given
    with _in_one_line():
        command = parse(name, options)
    import torch  # noqa: F401  # before a signal is turned into an exception: nothing is begun, and it ends at once

    from gahb_theory.commands.naming import as_typed

    with signals.handled(), _in_one_line(), as_typed(typed):
        signals.keeps(COMMANDS[name].when_stopped)
        result = run_tour(command) if isinstance(command, Tour) else command.execute()
        if int(os.environ.get("RANK", "0")) == 0:
            print(result)


@contextmanager
def _in_one_line() -> Iterator[None]:
    """What stops or refuses a command, said in one line."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(signals.say(signal.SIGINT)) from None
    except signals.Stopped:
        raise SystemExit(signals.say(signal.SIGTERM)) from None
    except SystemExit as error:
        if error.code == 128 + signal.SIGTERM:  # training has waited for the end of its step
            signals.say(signal.SIGTERM)
        raise
    except (ValueError, TypeError, RuntimeError, OSError, ArithmeticError, MemoryError) as error:
        if os.environ.get("GAHB_TRACEBACK"):
            raise
        print(f"gahb: {_one_line(error)}\n(GAHB_TRACEBACK=1 shows where)", file=sys.stderr)
        raise SystemExit(2) from None


def parse(name: str, options: Sequence[str]) -> Any:
    """The command of a name with its options, in any order."""
    import tyro

    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(COMMANDS)}"
        raise ValueError(f"there is no command {name!r}; {hint}")
    kind = COMMANDS[name].load()
    own = {"class" if field.name == "kind" else field.name.replace("_", "-") for field in fields(kind)}
    words, text = list(options), inspect.cleandoc(str(kind.__doc__))
    settings: dict[str, list[str]] = {}
    if "settings" in own:
        words, settings = separate(options, own)
        text = f"{text}\n\n{classes_in_words()}"
        recipe = set(settings) & set(RECIPE)
        if name == "train":
            text += f"\n\nOptions of the recipe: {' '.join(f'--{option}' for option in RECIPE)}"
        elif recipe:
            raise ValueError(f"{name} has no option --{min(recipe)}; gahb {name} --help shows those that it has")
    for word in words:
        option = word.partition("=")[0].removeprefix("--").replace("_", "-")
        if word.startswith("--") and option.removeprefix("no-") not in own | {"help"}:
            close = difflib.get_close_matches(option, own - {"settings"}, 1)
            hint = f"did you mean --{close[0]}? " if close else ""
            raise ValueError(f"{name} has no option --{option}; {hint}gahb {name} --help shows what it takes")
    command, unknown = tyro.cli(kind, args=words, prog=f"gahb {name}", description=text, return_unknown_args=True)
    if unknown:
        raise ValueError(f"{name} has no place for {unknown[0]}; gahb {name} --help shows what it takes")
    return replace(command, settings=settings) if settings else command


def run_tour(tour: Tour) -> str:
    """Run the tour; what it found, and where its page is."""
    from gahb_theory.commands.findings import found_by_tour
    from gahb_theory.tour import run_tour as run

    page = run(tour)
    return "\n".join([*found_by_tour(page.parent), str(page)])


def _one_line(error: Exception) -> str:
    """What an error says, with the file that it is about and the notes beside it."""
    message = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        files = [os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes | os.PathLike)]
        message = ": ".join([*files, error.strerror])
    return ". ".join([message, *getattr(error, "__notes__", ())])
