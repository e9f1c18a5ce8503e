"""What a function does, as a JSON value: its name, compiled code, defaults and what it encloses."""

import functools
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gahb_theory.identity.hashing import digest

__all__ = ["Seen", "class_name", "describe_function", "is_function", "main_module", "unseen"]

LIBRARY = __name__.partition(".")[0]

Seen = tuple[int, ...]
Describe = Callable[[Any, str, Seen], Any]


# functions


def is_function(thing: Any) -> bool:
    """Whether a thing is a function, a method, or a part of one."""
    return isinstance(
        thing,
        types.FunctionType | types.MethodType | types.BuiltinFunctionType | types.MethodWrapperType | functools.partial,
    )


def describe_function(function: Any, name: str, seen: Seen, describe: Describe) -> Any:
    """The description of a function; `describe` is that of other things."""
    if id(function) in seen:
        return "itself"
    seen = (*seen, id(function))

    def inner(value: Any, what: str) -> Any:
        label = f"{name}, {what}"
        return describe_function(value, label, seen, describe) if is_function(value) else describe(value, label, seen)

    if isinstance(function, functools.partial):
        keywords = {key: inner(value, key) for key, value in function.keywords.items()}
        given = [inner(value, f"argument {i}") for i, value in enumerate(function.args)]
        return {"partial": inner(function.func, "its function"), "arguments": given, "keywords": keywords}
    if isinstance(function, types.MethodType):
        owner = function.__self__
        of = class_name(owner) if isinstance(owner, type) else inner(owner, "its object")
        return {"method": inner(function.__func__, "its function"), "of": of}
    if isinstance(function, types.FunctionType):
        description: dict[str, Any] = {"function": f"{_module_name(function.__module__)}.{function.__qualname__}"}
        if description["function"].startswith(f"{LIBRARY}."):
            return description
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        description["code"] = digest(_code(function.__code__))
        description["defaults"] = [inner(value, "a default") for value in function.__defaults__ or ()]
        description["defaults"] += [[key, inner(value, key)] for key, value in (function.__kwdefaults__ or {}).items()]
        description["enclosed"] = {
            label: inner(cell.cell_contents, label)
            for label, cell in cells
            if label != "__class__" and cell != types.CellType()  # the class of super(), and what is not yet there
        }
        return description
    if isinstance(function, types.BuiltinFunctionType) and isinstance(function.__self__, types.ModuleType | None):
        return {"function": f"{function.__module__}.{function.__qualname__}"}
    if is_function(function) or isinstance(function, type) or not callable(function):
        raise TypeError(unseen(function, name))
    return {"object": inner(function, "itself"), "call": inner(type(function).__call__, "its call")}


def _code(code: types.CodeType) -> Any:
    """What a compiled function does, without where it was written."""
    flags = [code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags]
    names = [list(part) for part in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)]
    return [
        flags,
        code.co_code.hex(),
        names,
        [_constant(part) for part in code.co_consts],
        code.co_exceptiontable.hex(),
    ]


def _constant(value: Any) -> Any:
    if isinstance(value, types.CodeType):
        return _code(value)
    if isinstance(value, tuple):
        return ["tuple", [_constant(part) for part in value]]
    if isinstance(value, frozenset):
        return ["set", sorted((_constant(part) for part in value), key=digest)]
    return [type(value).__name__, repr(value)]


def class_name(cls: type) -> str:
    """Module and qualified name; of a class of this library the name alone, which is short and taken once."""
    module = _module_name(cls.__module__)
    return cls.__name__ if module.partition(".")[0] == LIBRARY else f"{module}.{cls.__qualname__}"


def _module_name(module: str | None) -> str:
    """The name of a module; a program has the name of its file, in the processes that it starts, too."""
    return main_module() if module in ("__main__", "__mp_main__") else str(module)


def main_module() -> str:
    """The name of the program: that of its module or file, `__main__` where there is none (a notebook, `-c`)."""
    main = sys.modules.get("__main__")
    spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
    return spec.name if spec is not None else "__main__" if file is None else Path(file).stem


def unseen(thing: Any, name: str) -> str:
    """The refusal of a thing whose contents are unknown."""
    return (
        f"{name} is a {type(thing).__name__}, whose contents a hash cannot see; use dataclasses, mappings, numbers, "
        "strings, arrays, tensors, paths or image classes"
    )
