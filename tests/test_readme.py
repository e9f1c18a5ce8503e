"""What the README shows runs as it stands, and the numbers in it are those of the results beside it."""

import csv
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_snippets(number, capsys):
    exec(compile(SNIPPETS[number], f"README.md, snippet {number + 1}", "exec"), {"__name__": "readme"})
    if number == 0:
        assert "converged True" in capsys.readouterr().out


def test_the_numbers_of_the_shipped_denoisers():
    for name in ("c_alpha", "photographs"):
        with (ROOT / "experiments" / "results" / "shipped" / name / "psnr.csv").open() as file:
            rows = list(csv.DictReader(file))
        for key, label in (("network", name), ("sym4_oracle", "sym4 oracle")):
            line = f"| {label} | " + " | ".join(f"{float(row[key]):.2f}" for row in rows) + " |"
            assert line in README, f"README.md lacks the line {line}"


def test_every_file_the_readme_names_exists():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
