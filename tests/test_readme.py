"""What README, CONTRIBUTING and the first page of the documentation show runs as it stands; the README's numbers are ours."""

import csv
import json
import re
import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PROGRAM = runpy.run_path(str(ROOT / "experiments" / "readme.py"))
PAGES = ("README.md", "CONTRIBUTING.md", "docs/index.md")
SNIPPETS = [
    pytest.param(snippet, id=f"{page}-{number}")
    for page in PAGES
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL), 1)
]


TINY = {
    "images=16, sigmas=(0.1,)": "images=4, sigmas=(0.3,)",
    "images=gt.CAlpha(alpha=2.0, size=16)": "images=gt.CAlpha(alpha=2.0, size=8)",
    "sigmas=[0.03, 0.1, 0.3, 1.0]": "sigmas=[0.3]",
    "sample(4096, seed=1)": "sample(64, seed=1)",
    "size=32": "size=16",
}


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets(snippet, tmp_path, monkeypatch):
    """Each example runs, with a small budget."""
    for large, small in TINY.items():
        snippet = snippet.replace(large, small)
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):  # a user's own network may draw its weights from the global generator
        torch.default_generator.manual_seed(0)
        exec(compile(snippet, "snippet", "exec"), {"__name__": "snippet"})


def test_what_the_readme_prints_is_what_the_results_hold():
    """Outputs of the examples, every verdict and the table of what ships are written by `python experiments/readme.py`."""
    assert PROGRAM["filled"](README) == README


def test_the_other_verdict():
    """What README says of the conservative network."""
    lines = json.loads(PROGRAM["OUTPUTS"].read_text())["hypothesis of c_alpha"]
    assert lines[1] == "NOT DISCRIMINATING: cannot be told from passing: untrained network"


def test_an_output_for_each_example():
    assert len(PROGRAM["examples"](README)) == len(re.findall("```python", README)) == 3


def test_failures_come_first():
    """No claim that holds stands above one that does not, and none that has been judged is missing."""
    for name in ("verdicts", "hypotheses"):
        block = README.split(f"<!-- begin: {name} -->")[1].split(f"<!-- end: {name} -->")[0]
        order = [PROGRAM["ORDER"].index(verdict) for verdict in re.findall(r"^\| \*\*(.*?)\*\*", block, flags=re.M)]
        assert order == sorted(order)
        assert len(set(order)) >= 3
    judged = [path for path in (ROOT / "experiments" / "results").glob("*/verdict*.json") if path != PROGRAM["DECIDED"]]
    statements = re.findall(r'"statement": "(.*?)"', "".join(path.read_text() for path in judged))
    assert len(statements) > 10
    assert all(f" | {statement} | " in block for statement in statements)


def test_other_numbers_of_the_readme():
    from gahb_theory.hypotheses import catalogue
    from gahb_theory.hypotheses.benchmark import leaderboard, standard_classes

    entries = [entry for entry in leaderboard() if entry.kind != "null"]
    assert f"leaderboard](docs/benchmark.md) of {len(entries)}, which a {entries[0].name} filter leads" in README
    assert len(standard_classes()) == 6  # "six classes"
    assert len(catalogue.__all__) == 12  # "Twelve claims"
    assert len(list((ROOT / "gahb_theory" / "pretrained").glob("*/config.json"))) == 4  # "four small trained networks"
    size = sum(file.stat().st_size for file in (ROOT / "gahb_theory").rglob("*") if "__pycache__" not in file.parts)
    assert size < 14e6  # "less than 14 MB"


def test_the_numbers_of_the_shipped_denoisers():
    for name in ("c_alpha", "photographs"):
        with (ROOT / "experiments" / "results" / "shipped" / name / "psnr.csv").open() as file:
            rows = list(csv.DictReader(file))
        for key, label in (
            ("network", name),
            ("shrinkage", f"{name}, S y alone"),
            ("sym4_oracle", "sym4 oracle"),
            ("wiener", "Wiener filter"),
            ("noisy", "noisy image"),
        ):
            line = f"| {label} | " + " | ".join(f"{round(float(row[key]), 2) + 0.0:.2f}" for row in rows) + " |"
            assert line in README, f"README.md lacks the line {line}"


def test_every_file_the_readme_names_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_verdicts_of_the_readme_are_those_that_are_kept():
    """The table under "The paper's claims" is what experiments/claims.py makes of the kept verdicts, all of them."""
    from gahb_theory.report.verdict_page import table
    from gahb_theory.runs import read_json

    assert table(read_json(ROOT / "experiments" / "results" / "claims" / "verdicts.json"), short=True) in README
