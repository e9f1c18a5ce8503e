"""The public namespace: complete, in order, and light."""

import ast
import importlib
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gahb_theory as gt

SOURCE = Path(gt.__file__)


def test_all_is_what_the_package_imports():
    """Every name that __init__.py imports from the package is public; nothing else but the sub-packages is in sight."""
    tree = ast.parse(SOURCE.read_text())
    checked = next(n for n in tree.body if isinstance(n, ast.If))  # what type checkers see, and __getattr__ reads
    body = [*tree.body, *checked.body]
    nodes = [n for n in body if isinstance(n, ast.ImportFrom) and str(n.module).startswith("gahb_theory")]
    imported = {alias.asname or alias.name for n in nodes for alias in n.names}
    assert set(gt.__all__) == imported
    assert len(gt.__all__) == len(set(gt.__all__))
    assert all(getattr(gt, name) is not None for name in gt.__all__)  # each is imported when it is first used
    visible = {name for name in vars(gt) if not name.startswith("_")} - {"Any", "TYPE_CHECKING"}
    modules = {name for name in visible if isinstance(getattr(gt, name), ModuleType)}
    assert visible - modules == imported - {"testing", "__version__"}
    own = {module.name for module in pkgutil.iter_modules(gt.__path__)}
    assert modules - {"testing"} <= own | {"jaxtyping"}  # which a checked test run puts there


def test_completion_shows_the_public_names():
    assert dir(gt) == sorted(gt.__all__)
    assert not set(dir(gt)) & set(gt._ELSEWHERE)
    assert 55 <= len(gt.__all__) <= 80


def test_all_is_grouped_and_sorted():
    """Groups under a comment; in each constants, then classes, then functions, each in the order of the alphabet."""

    def rank(name):
        kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
        return kind, name

    listing = re.search(r"^__all__ = \[\n(.*?)^\]", SOURCE.read_text(), flags=re.DOTALL | re.MULTILINE).group(1)
    before, *groups = re.split(r"^    # .+\n", listing, flags=re.MULTILINE)
    assert before == ""
    assert len(groups) >= 8
    names = [re.findall(r'"(\w+)"', group) for group in groups]
    assert [name for group in names for name in group] == gt.__all__
    for group in names:
        assert group
        assert group == sorted(group, key=rank)


@pytest.mark.parametrize("name", gt.__all__)
def test_every_name_is_there_and_documented(name):
    thing = getattr(gt, name)
    if name != "__version__":
        assert thing.__doc__ and len(thing.__doc__) > 20
        assert not isinstance(thing, ModuleType) or name == "testing"
        if not isinstance(thing, ModuleType):
            assert thing.__module__.startswith("gahb_theory.")


@pytest.mark.parametrize("name", sorted(set(gt.__all__) - {"testing", "__version__"}))
def test_every_name_has_an_example_and_says_what_stands_beside_it(name):
    text = inspect.getdoc(getattr(gt, name))
    assert ">>> " in text
    related = re.search(r"See Also\n-+\n(.+)", text).group(1)
    for other in re.findall(r"gahb_theory\.([\w.]+)", related):
        head, _, last = other.rpartition(".")
        assert hasattr(importlib.import_module(f"gahb_theory.{head}" if head else "gahb_theory"), last), other
        assert other != name


def modules():
    found = pkgutil.walk_packages(gt.__path__, "gahb_theory.")
    return sorted(m.name for m in found if m.name != "gahb_theory.__main__")


@pytest.mark.parametrize("name", modules())
def test_every_module_keeps_its_all(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert all(hasattr(module, public) for public in module.__all__)


def test_older_flat_names_resolve_only_when_asked_for():
    """Each is the object of its package, absent from the namespace until it is used; other names are refused."""
    assert len(gt._ELSEWHERE) > 80
    for name, package in gt._ELSEWHERE.items():
        assert getattr(gt, name) is getattr(importlib.import_module(package), name)
        assert name in importlib.import_module(package).__all__, f"{package} does not export {name}"
        assert name not in vars(gt) or isinstance(vars(gt)[name], ModuleType)
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        gt.no_such_name  # noqa: B018


def test_the_reference_holds_every_public_name():
    """The page of the reference lists, for each public name, the package or module that exports it."""
    page = (SOURCE.parent.parent / "docs" / "api.md").read_text()
    listed = re.findall(r"^   (gahb_theory(?:\.\w+)+)$", page, flags=re.MULTILINE)
    shown = {id(getattr(module, name)) for module in map(importlib.import_module, listed) for name in module.__all__}
    named = set(re.findall(r"^\.\. autofunction:: gahb_theory\.(\w+)$", page, flags=re.MULTILINE))
    missing = {name for name in gt.__all__ if id(getattr(gt, name)) not in shown} - named
    assert missing == {"testing", "__version__"}


def test_the_version_is_that_of_the_distribution():
    import importlib.metadata

    assert gt.__version__ == importlib.metadata.version("gahb-theory")


def test_importing_is_light():
    """A fresh interpreter: nothing that draws, parses a command line or fits models is loaded."""
    heavy = [
        "torch",
        "numpy",
        "matplotlib",
        "sklearn",
        "PIL",
        "scipy.stats",
        "tyro",
        "jinja2",
        "safetensors.torch",
        "torchvision",
        "tests",
    ]
    code = f"import sys, gahb_theory; print([m for m in {heavy} if m in sys.modules])"
    environment = os.environ | {"PYTHONPATH": str(SOURCE.parent.parent)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
