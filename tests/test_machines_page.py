"""The recipes for many machines run as they stand, on a small machine."""

import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

PAGE = (Path(__file__).parent.parent / "docs" / "machines.md").read_text()
MEASURES, *RECIPES = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
SMALL = {
    'scheduler_file="s.json"': 'processes=False, n_workers=1, dashboard_address=":0"',
    'AutoExecutor("logs")': 'AutoExecutor("logs", cluster="debug")',
    "size=32": "size=16",
    "size=128": "size=16",
    "sample(100)": "sample(2)",
    "(10, 1, 32, 32), start=start": "(10, 1, 8, 8), start=start, step=0.5",
    "range(0, 1000, 10)": "range(0, 20, 10)",
    "images, 2, folder": "images, 1, folder",
}


def small(block):
    for large, little in SMALL.items():
        block = block.replace(large, little)
    return block


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("number", range(len(RECIPES)))
def test_recipes_run(number, tmp_path, monkeypatch):
    block = small(RECIPES[number])
    for package in ("distributed", "submitit"):
        if f"import {package}" in block or f"from {package}" in block:
            pytest.importorskip(package, reason="the extra `cluster` is not installed")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "measures.py").write_text(small(MEASURES))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "measures", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    try:
        exec(compile(block.replace('if __name__ == "__main__":', "if True:"), "recipe", "exec"), {"__name__": "recipe"})
    finally:
        assert isinstance(sys.modules.pop("measures", ModuleType("measures")), ModuleType)
    stored = {"traces": 2, "samples": 2, "rows": 2}
    (folder,) = [name for name in stored if (tmp_path / name).is_dir()]
    assert len(list((tmp_path / folder).glob("*.npz"))) == stored[folder]


def test_recipes_have_at_most_six_lines():
    assert len(RECIPES) == 4
    for block in RECIPES:
        lines = [line for line in block.splitlines() if line.strip() and not re.match(r"(import|from) ", line)]
        assert len(lines) <= 6
