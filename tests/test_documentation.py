"""The pages of the documentation: what they show runs, what they link to exists, and every public name has its entry."""

import ast
import io
import re
import sys
import tokenize
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

DOCS = Path(__file__).parent.parent / "docs"
TINY = {
    "size=64": "size=16",
    "size=32": "size=16",
    "images_seen=20_000": "images_seen=32, batch_size=16",
    "1000, seed=0": "3, seed=0",
    "(4, 1, 32, 32)": "(2, 1, 16, 16)",
    "sample(32)": "sample(4)",
    "sample(16)": "sample(4)",
    "step=0.2": "step=0.5",
}
BLOCKS = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in [DOCS / "howto.md", DOCS / "quickstart.md", DOCS / "others.md"]
    for number, block in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL), 1)
]


class Table:
    """Stands for pandas.DataFrame: columns of one length."""

    def __init__(self, columns):
        self.columns = columns
        assert len({len(column) for column in columns.values()}) == 1

    def to_csv(self, path, *, index):
        assert not index
        Path(path).write_text(",".join(self.columns))


@pytest.fixture
def at_work(tmp_path, monkeypatch):
    """A directory with a photograph and a folder of them."""
    from PIL import Image

    (tmp_path / "photos").mkdir()
    for name in ("photo.png", "photos/0.png", "photos/1.png"):
        Image.fromarray(np.random.default_rng(len(name)).integers(0, 255, (32, 32), dtype=np.uint8)).save(
            tmp_path / name
        )
    monkeypatch.chdir(tmp_path)
    pandas = ModuleType("pandas")
    pandas.__spec__ = ModuleSpec("pandas", None)  # torch looks for it
    pandas.DataFrame = Table
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    return tmp_path


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_run(block, at_work):
    for large, small in TINY.items():
        block = block.replace(large, small)
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(64, 64)))
    given = {"__name__": "block", "net": torch.nn.AvgPool2d(3, 1, 1), "a": q[:8], "b": q[4:12]}
    exec(compile(block, "block", "exec"), given)


def test_twelve_tasks_of_at_most_six_lines():
    """Imports and definitions of one's own class aside, as they are what the task is about."""
    tasks = re.findall(r"^## (.+?)\n.*?```python\n(.*?)```", (DOCS / "howto.md").read_text(), flags=re.DOTALL | re.M)
    assert len(tasks) == 13
    for title, block in tasks:
        lines = [line for line in block.splitlines() if line.strip() and not re.match(r"(import|from) ", line)]
        assert len(lines) <= 6, title


def test_pages_link_to_pages_that_exist():
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+\.(?:md|rst))\)", page.read_text()):
            if target.startswith("gallery/"):
                target = re.sub(r"gallery/(\w+/plot_\w+)\.rst", r"examples/\1.py", target)
                target = target.replace("gallery/index.rst", "examples/GALLERY_HEADER.rst")
            assert (DOCS / target).exists(), f"{page.name} links to {target}"


def test_every_page_is_in_a_table_of_contents():
    listed = set(re.findall(r"^([\w/]+)$", (DOCS / "index.md").read_text(), flags=re.M))
    assert {page.stem for page in DOCS.glob("*.md")} - {"index"} <= listed


def test_names_that_pages_refer_to_exist():
    import importlib

    for page in DOCS.glob("*.md"):
        for name in re.findall(r"\{py:(?:func|class|mod)\}`~?(gahb_theory[\w.]*)`", page.read_text()):
            head, _, last = name.rpartition(".")
            if head and not hasattr(importlib.import_module(head), last):
                importlib.import_module(name)


EXAMPLES = sorted((DOCS / "examples").glob("*/plot_*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_which_matrix_a_spectrum_is_of(path):
    """Fewer than forty lines of code; a figure of a spectrum comes with how much of f its shrinkage reproduces."""
    source = path.read_text()
    introduction = ast.parse(source).body[0].end_lineno
    ignored = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    code = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in ignored and token.start[0] > introduction:
            code |= set(range(token.start[0], token.end[0] + 1))
    assert len(code) < 40
    if re.search(r"\.eigenbasis\(\)|\.eig\(\)", source):
        assert ".reproduction(" in source


def test_the_gallery_is_in_order():
    """Every folder of examples has a heading and a place; the three tutorials say what one has learned."""
    configuration = (DOCS / "conf.py").read_text()
    folders = {path.parent for path in EXAMPLES}
    assert all(f'"{folder.name}"' in configuration and (folder / "GALLERY_HEADER.rst").exists() for folder in folders)
    tutorials = [path.read_text() for path in EXAMPLES if path.parent.name == "tutorials"]
    assert len(tutorials) == 3
    assert all("# What one has learned" in text for text in tutorials)
