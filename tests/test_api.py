"""The public namespace: complete, in order, and light."""

import ast
import importlib
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import gahb_theory as gt

SOURCE = Path(gt.__file__)


def test_all_is_what_the_package_imports():
    """Every name that __init__.py imports is public, and nothing else but the sub-packages lies in the namespace."""
    tree = ast.parse(SOURCE.read_text())
    imported = {alias.asname or alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert set(gt.__all__) == imported
    assert len(gt.__all__) == len(set(gt.__all__))
    visible = {name for name in vars(gt) if not name.startswith("_")}
    modules = {name for name in visible if isinstance(getattr(gt, name), ModuleType)}
    assert visible - modules == imported - {"testing", "__version__"}
    own = {module.name for module in pkgutil.iter_modules(gt.__path__)}
    assert modules - {"testing"} <= own | {"jaxtyping"}  # which a checked test run puts there


def test_all_is_sorted():
    """Constants, then classes, then functions, each in the order of the alphabet."""

    def rank(name):
        kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
        return kind, name

    assert gt.__all__ == sorted(gt.__all__, key=rank)


@pytest.mark.parametrize("name", gt.__all__)
def test_every_name_is_there_and_documented(name):
    thing = getattr(gt, name)
    if name != "__version__":
        assert thing.__doc__ and len(thing.__doc__) > 20
        assert not isinstance(thing, ModuleType) or name == "testing"
        if not isinstance(thing, ModuleType):
            assert thing.__module__.startswith("gahb_theory.")


def modules():
    found = pkgutil.walk_packages(gt.__path__, "gahb_theory.")
    return sorted(m.name for m in found if m.name != "gahb_theory.__main__")


@pytest.mark.parametrize("name", modules())
def test_every_module_keeps_its_all(name):
    module = importlib.import_module(name)
    assert module.__doc__
    assert all(hasattr(module, public) for public in module.__all__)


def test_the_version_is_that_of_the_distribution():
    import importlib.metadata

    assert gt.__version__ == importlib.metadata.version("gahb-theory")


def test_importing_is_light():
    """A fresh interpreter: nothing that draws, parses a command line or fits models is loaded."""
    heavy = [
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
