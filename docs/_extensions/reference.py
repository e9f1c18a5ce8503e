"""The reference pages: what each module exports, under the name a user writes, and its docstrings as reStructuredText.

The docstrings of the library are plain text for a reader of the code: equations stand indented, and bars are norms.
"""

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import gahb_theory


def listed_modules(page: Path) -> list[str]:
    """The modules that the page of the reference lists."""
    return re.findall(r"^   (gahb_theory(?:\.\w+)+)$", page.read_text(), flags=re.MULTILINE)


def sections(module_name: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The modules behind `module_name`, each with the (directive, name) of everything that is exported from it."""
    module = importlib.import_module(module_name)
    parts: dict[str, list[tuple[str, str]]] = {}
    if hasattr(module, "__path__"):  # a package: its modules in the order of their imports
        imported = re.findall(r"^from (\S+) import", inspect.getsource(module), flags=re.MULTILINE)
        parts = {source: [] for source in imported if source.startswith(module_name)}
    for name in module.__all__:
        value = getattr(module, name)
        source = getattr(value, "__module__", None)
        parts.setdefault(source if source in parts else module_name, []).append(_entry(name, value, module_name))
    return list(parts.items())


def _entry(name: str, value: Any, module_name: str) -> tuple[str, str]:
    """The directive, and the name a user writes: gahb_theory.NAME where it is public there, else that of its package."""
    public = "gahb_theory" if name in gahb_theory.__all__ and getattr(gahb_theory, name) is value else module_name
    kind = "autoclass" if inspect.isclass(value) else "autofunction" if inspect.isroutine(value) else "autodata"
    return kind, f"{public}.{name}"


def _plain_text(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Indented paragraphs before the first numpydoc section become literal blocks; bars and stars are escaped elsewhere."""
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
    if re.fullmatch(r"\*{1,2}\w+", line):  # the name of a parameter, which numpydoc escapes
        return line
    parts = re.split(r"(``.+?``|`[^`]+`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"([|*])", r"\\\1", part) for part in parts)


def _no_arguments(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, *signature: str
) -> tuple[str, None] | None:
    """A protocol is not constructed."""
    return ("", None) if getattr(obj, "_is_protocol", False) else None


def _source_links(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Links from the source to the reference: a module whose names are public in two places has anchors of both kinds."""

    def mended(link: re.Match[str]) -> str:
        module, anchor = link["module"], link["anchor"]
        name = anchor.removeprefix(module + ".") if anchor.startswith(module + ".") else anchor.partition(".")[2]
        head = name.partition(".")[0]
        value = getattr(importlib.import_module(module), head, None)
        public = _entry(head, value, module)[1].rpartition(".")[0]
        return f"{link['page']}#{public}.{name}"

    if page.startswith("_modules/"):
        pattern = r'(?P<page>href="[^"]*api/(?P<module>gahb_theory[\w.]*)\.html)#(?P<anchor>gahb_theory[\w.]+)'
        context["body"] = re.sub(pattern, mended, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Read the docstrings before numpydoc does."""
    app.connect("autodoc-process-docstring", _plain_text, priority=100)
    app.connect("autodoc-process-signature", _no_arguments)
    app.connect("html-page-context", _source_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
