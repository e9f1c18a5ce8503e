"""The layout that CONTRIBUTING describes: every import points down, no circle, small modules, names that mean one thing."""

import ast
import re
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import gahb_theory

ROOT = Path(gahb_theory.__file__).parent
PROJECT = ROOT.parent
FLOORS = (
    {"version", "scalars", "validate", "precision", "memory", "randomness", "identity"}
    | {"runs", "stored_results", "sweeps", "many_images", "processes", "workers", "signals", "progress"},
    {"images", "bases", "shrinkage", "metrics"},
    {"denoisers", "jacobians"},
    {"theory"},
    {"training", "sampling"},
    {"comparison", "generalization"},
    {"pretrained", "testing"},
    {"hypotheses"},
    {"report", "plots"},
    {"tour", "commands", "cli", "__main__", "__init__"},
)
LONGEST = 400


def _name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for path in sorted(ROOT.rglob("*.py"))}


def _top(module):
    return module.split(".")[1] if "." in module else "__init__"


def _imports(module):
    """Modules of the package that a module imports anywhere, with whether the import stands inside a function."""

    def visit(node, inside):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "gahb_theory":
                for alias in child.names:
                    full = f"{child.module}.{alias.name}"
                    yield (full if full in MODULES else child.module), inside
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    if alias.name.split(".")[0] == "gahb_theory":
                        yield alias.name, inside
            yield from visit(child, inside or isinstance(child, ast.FunctionDef | ast.Lambda))

    return [
        (target, inside) for target, inside in visit(ast.parse(MODULES[module].read_text()), False) if target != module
    ]


def _drawn_later(target, inside):
    """A result's `plot` imports the module that draws it inside the method."""
    return inside and _top(target) == "report"


def _used(module):
    return {target for target, inside in _imports(module) if not _drawn_later(target, inside)}


def test_every_part_stands_on_one_floor():
    floors = [name for floor in FLOORS for name in floor]
    assert len(floors) == len(set(floors))
    assert {_top(module) for module in MODULES} == set(floors)


@pytest.mark.parametrize("module", MODULES)
def test_every_import_points_down(module):
    height = {name: level for level, floor in enumerate(FLOORS) for name in floor}
    for target in _used(module):
        assert _top(target) == _top(module) or height[_top(target)] <= height[_top(module)], (
            f"{module} imports {target}"
        )


def test_no_two_modules_import_each_other():
    graph = {module: _used(module) for module in MODULES if module != "gahb_theory"}
    tuple(TopologicalSorter(graph).static_order())  # raises CycleError, which names the circle


def test_no_two_parts_import_each_other():
    graph = {}
    for module in MODULES:
        graph.setdefault(_top(module), set()).update(_top(target) for target in _used(module))
    tuple(TopologicalSorter({part: used - {part} for part, used in graph.items()}).static_order())


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_short(module):
    assert len(MODULES[module].read_text().splitlines()) <= LONGEST


def test_a_name_of_a_module_means_one_thing():
    names = [path.stem for path in MODULES.values() if path.stem not in ("__init__", "base")]
    assert sorted(name for name in set(names) if names.count(name) > 1) == []


def test_no_function_hides_a_module():
    hidden = []
    for module, path in MODULES.items():
        if path.name == "__init__.py":
            parent = __import__(module, fromlist=["__all__"])
            inside = {p.stem for p in path.parent.glob("*.py")} | {p.name for p in path.parent.iterdir() if p.is_dir()}
            public = set(getattr(parent, "__all__", ())) & inside
            hidden += [f"{module}.{name}" for name in public if not hasattr(getattr(parent, name), "__path__")]
    hidden = [name for name in hidden if type(_resolve(name)).__name__ != "module"]
    assert hidden == []


def _resolve(dotted):
    module, _, name = dotted.rpartition(".")
    return getattr(__import__(module, fromlist=[name]), name)


def test_contributing_draws_the_same_floors():
    """Row n of the table names exactly the parts of floor n; what it names inside a part is no part."""
    parts = {name for floor in FLOORS for name in floor}
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", (PROJECT / "CONTRIBUTING.md").read_text(), flags=re.M)
    drawn = {int(level): set(re.findall(r"`([a-z_]+)(?:/|\.py)`", row)) & parts for level, row in rows}
    unnamed = {"__init__", "__main__", "version"}
    assert drawn == {level: floor - unnamed for level, floor in enumerate(FLOORS, 1)}
