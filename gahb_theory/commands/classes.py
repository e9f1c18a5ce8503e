"""Image classes on the command line: `--class disks --size 64`, in any order beside the other options.

What the classes take stands here as words, so that help and refusals need no torch; a test compares them with the
dataclasses.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar, get_args, get_type_hints

__all__ = ["CLASSES", "RECIPE", "Settings", "apply", "classes_in_words", "image_class", "separate"]

Settings = Mapping[str, Sequence[str]]
Configured = TypeVar("Configured")

CLASSES: dict[str, tuple[str, tuple[str, ...]]] = {
    "c-alpha": ("CAlpha", ("alpha", "beta", "size", "convention", "jump", "contours", "contour", "blur")),
    "disks": ("Disks", ("size", "edge", "jump")),
    "photographs": ("Photographs", ("folder", "size", "image-channels", "split")),
    "ellipses": ("Ellipses", ("size", "jump")),
    "polygons": ("Polygons", ("size", "corners", "jump")),
    "sine-cone": ("SineCone", ("size", "frequency")),
    "gaussian-field": (
        "GaussianField",
        ("exponent", "size", "spectrum", "correlation-length", "period", "mean", "std"),
    ),
    "holder-ball": ("HolderBall", ("alpha", "size")),
    "texture": ("Texture", ("size", "frequency", "bandwidth", "mean", "std")),
    "dead-leaves": ("DeadLeaves", ("size", "smallest", "largest")),
}
"""The class of each name, and its options."""

RECIPE = (
    "optimiser",
    "learning-rate",
    "kernel-rate",
    "schedule",
    "sigma-distribution",
    "sigma-min",
    "sigma-max",
    "weight-power",
    "input-scale",
    "frozen-part",
    "gradient-limit",
    "ema-half-life",
)
"""Options of a `Recipe` that `gahb train` takes beside those that its help describes."""

NUMBERS_OF = {"sine-cone": {"frequency": 2}}
OLDER = {
    "images.channels": "image-channels",
    "sigma-law": "sigma-distribution",
    "recipe.sigma-law": "sigma-distribution",
}


def separate(arguments: Sequence[str], taken: Collection[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The arguments without the options of classes and recipes, and these with their values.

    Parameters
    ----------
    arguments
        As they were typed. Older spellings are understood: images:disks, --images.size, --recipe.seed.
    taken
        Options that the command itself has, which stay.

    Examples
    --------
    >>> separate(["--edge", "2", "d.npy", "--class", "disks"], taken=["class"])
    (['d.npy', '--class', 'disks'], {'edge': ['2']})
    """
    words = [word for argument in arguments for word in _current(argument)]
    name = next((words[i + 1] for i, word in enumerate(words[:-1]) if word == "--class"), "")
    known = {option for _, options in CLASSES.values() for option in options} | set(RECIPE)
    remainder: list[str] = []
    result: dict[str, list[str]] = {}
    while words:
        word = words.pop(0)
        option, equals, value = word.removeprefix("--").partition("=")
        option = option.replace("_", "-")
        if not word.startswith("--") or option not in known or option in taken:
            remainder.append(word)
            continue
        count = NUMBERS_OF.get(_name(name), {}).get(option, 1)
        values = [value] if equals else [words.pop(0) for _ in range(min(count, len(words)))]
        if len(values) < count or (values and values[0].startswith("--")):
            raise ValueError(f"--{option} needs {'a value' if count == 1 else f'{count} values'}")
        result[option] = values
    return remainder, result


def _current(argument: str) -> list[str]:
    """An argument in the spelling of today."""
    if match := re.fullmatch(r"images:([\w-]+)", argument):
        return ["--class", match[1]]
    if match := re.fullmatch(r"--((?:(?:images|recipe)\.)?([\w-]+))(=.*)?", argument):
        return [f"--{OLDER.get(match[1], match[2])}{match[3] or ''}"]
    if argument.startswith("--class="):
        return ["--class", argument.removeprefix("--class=")]
    return [argument]


def _name(given: str) -> str:
    """The name of a class in its own spelling: disks, Disks, c_alpha and CAlpha are known, too."""
    plain = {name.replace("-", ""): name for name in CLASSES}
    return plain.get(re.sub(r"[-_]", "", given).lower(), given)


def image_class(given: str | None, settings: Settings) -> Any:
    """The image class of a name, c-alpha if it is None, with its options."""
    name = "c-alpha" if given is None else _name(given)
    if name not in CLASSES:
        raise ValueError(f"there is no image class {given!r}; there are {', '.join(CLASSES)}")
    kind, options = CLASSES[name]
    for option in settings:
        if option not in options:
            raise ValueError(f"{name} has no option --{option}; it has {', '.join(f'--{o}' for o in options)}")
    import gahb_theory.images as images

    return apply(getattr(images, kind)(), settings)


def apply(default: Configured, settings: Settings) -> Configured:
    """A configuration with options as they were typed; it refuses itself what it does not take."""
    hints = get_type_hints(type(default))
    changes = {}
    for option, words in settings.items():
        name = "channels" if option == "image-channels" else option.replace("-", "_")
        kinds = {inner for outer in (hints[name], *get_args(hints[name])) for inner in (outer, *get_args(outer))}
        values = [_value(word, kinds) for word in words]
        changes[name] = values[0] if len(values) == 1 else tuple(values)
    return replace(default, **changes)  # type: ignore[type-var]


def _value(word: str, kinds: set[Any]) -> Any:
    """A word as the number or the None that a field of these types takes, or as it is."""
    if word.lower() == "none" and type(None) in kinds:
        return None
    numbers = [int] if kinds & {int, 1} else []
    for kind in [*numbers, *([float] if float in kinds else [])]:
        with suppress(ValueError):
            return kind(word)
    return word


def classes_in_words() -> str:
    """For the help of commands that take a class."""
    width = max(map(len, CLASSES))
    lines = [f"  {name:{width}}  {' '.join(f'--{o}' for o in options)}" for name, (_, options) in CLASSES.items()]
    return "\n".join(["Image classes (--class NAME), each with its options:", *lines])
