"""What README, CONTRIBUTING and the first page of the documentation show runs as it stands; the README's numbers are ours."""

import csv
import re
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGES = ("README.md", "CONTRIBUTING.md", "docs/index.md")
SNIPPETS = [
    pytest.param(snippet, id=f"{page}-{number}")
    for page in PAGES
    for number, snippet in enumerate(re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL), 1)
]


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_snippets(snippet, capsys):
    snippet = snippet.replace("images_seen=20_000", "images_seen=64").replace(
        "images=32, sigmas=(0.1, 0.3)", "images=4, sigmas=(0.3,)"
    )
    with torch.random.fork_rng(devices=[]):  # a user's own network may draw its weights from the global generator
        torch.default_generator.manual_seed(0)
        # the hypothesis is run with a tiny budget
        exec(compile(snippet, "snippet", "exec"), {"__name__": "snippet"})
    if "eigenbasis(k=20)" in snippet:
        assert "converged True" in capsys.readouterr().out


def test_the_numbers_of_the_shipped_denoisers():
    for name in ("c_alpha", "photographs"):
        with (ROOT / "experiments" / "results" / "shipped" / name / "psnr.csv").open() as file:
            rows = list(csv.DictReader(file))
        for key, label in (
            ("network", name),
            ("sym4_oracle", "sym4 oracle"),
            ("wiener", "Wiener filter"),
            ("noisy", "noisy image"),
        ):
            line = f"| {label} | " + " | ".join(f"{float(row[key]):.2f}" for row in rows) + " |"
            assert line in README, f"README.md lacks the line {line}"


def test_every_file_the_readme_names_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_verdicts_of_the_readme_are_those_that_are_kept():
    """The table under "The paper's claims" is what experiments/claims.py makes of the kept verdicts, all of them."""
    from gahb_theory.report.verdict_page import table
    from gahb_theory.runs import read_json

    assert table(read_json(ROOT / "experiments" / "results" / "claims" / "verdicts.json"), short=True) in README
