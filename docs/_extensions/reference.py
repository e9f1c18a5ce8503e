"""The reference pages: what each module exports, under the name a user writes, and its docstrings as reStructuredText.

The docstrings of the library are plain text for a reader of the code: equations stand indented, and bars are norms.
"""

import importlib
import inspect
import re
from itertools import groupby
from typing import Any

from sphinx.application import Sphinx

import gahb_theory


def sections(module_name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """For each module behind `module_name`, its name and the (directive, name) of everything it exports."""
    module = importlib.import_module(module_name)
    exported = [(name, getattr(module, name)) for name in getattr(module, "__all__", ())]
    found: list[tuple[str, list[tuple[str, str]]]] = [] if hasattr(module, "__path__") else [(module_name, [])]

    def home(item: tuple[str, Any]) -> str:
        source = getattr(item[1], "__module__", module_name)
        return source if source.startswith(module_name) else module_name

    for source, members in groupby(sorted(exported, key=home), key=home):
        lines = [_entry(name, value, source) for name, value in members]
        if source == module_name:
            found = [(source, lines)]
        else:
            found.append((source, lines))
    order = list(_import_order(module))
    return sorted(found, key=lambda part: order.index(part[0]) if part[0] in order else -1)


def _import_order(module: Any) -> list[str]:
    return re.findall(r"^from (\S+) import", inspect.getsource(module), flags=re.MULTILINE)


def _entry(name: str, value: Any, source: str) -> tuple[str, str]:
    qualified = f"gahb_theory.{name}" if getattr(gahb_theory, name, None) is value else f"{source}.{name}"
    if inspect.isclass(value):
        return "autoclass", qualified
    return ("autofunction" if callable(value) else "autodata"), qualified


def _plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Indented paragraphs before the first numpydoc section become literal blocks; bars are escaped elsewhere."""
    out: list[str] = []
    literal, sections_begun = False, False
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if line.strip() and re.fullmatch(r"\s*-{3,}\s*", following):
            sections_begun = True
        indented = line.startswith("    ") and not sections_begun
        if indented and not literal and (not out or not out[-1].strip()):
            out += [".. code-block:: text", ""]
            literal = True
        elif line.strip() and not indented:
            literal = False
        out.append(line if literal or line.lstrip().startswith((">>>", "...")) else _escape(line))
    lines[:] = out


def _escape(line: str) -> str:
    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    return "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def setup(app: Sphinx) -> dict[str, bool]:
    """Read the docstrings before numpydoc does."""
    app.connect("autodoc-process-docstring", _plain_text, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
