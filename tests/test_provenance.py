"""Everything that is stored has a program that writes it: the table of experiments/results/README.md, settings, and keys."""

import json
import re
import shlex
from collections import Counter
from fnmatch import fnmatch
from pathlib import Path

import pytest

from gahb_theory.hypotheses.paper import questions_samples
from gahb_theory.hypotheses.paper.judged_networks import Settings, plan
from gahb_theory.hypotheses.paper.running import COMMITTED, EXPERIMENTS
from gahb_theory.identity import identity

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "experiments" / "results" / "README.md"
FOLDERS = ("experiments/results", "experiments/checkpoints", "docs/images", "benchmarks", "gahb_theory")
WRITTEN_BY_HAND = (".py", ".typed", ".html", ".js", ".css")
"""Of the package and the benchmarks: sources. The page report.html stands in experiments/results."""
OF_PHOTOGRAPHS = "photographs_"
OF_A_FOLDER = ("memorisation", "plane_of_photographs")


def table() -> list[tuple[str, str]]:
    """Each pattern of files with its command."""
    rows = re.findall(r"^\| `([^`]*)`(?: of `([^`]*)`)? \| `([^`]*)` \|$", PAGE.read_text(), flags=re.M)
    assert len(rows) == PAGE.read_text().count("\n| `")
    names = [(files, command, name) for files, of, command in rows for name in (of.split() if of else [""])]
    return [(files.replace("NAME", name), command.replace("NAME", name)) for files, command, name in names]


def stored() -> list[str]:
    """What lies in the folders and is no source."""
    found = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*") if file.is_file() and file != PAGE]
    found = [f for f in found if "__pycache__" not in f.parts and not f.name.startswith(".")]
    return [
        f.relative_to(ROOT).as_posix()
        for f in found
        if f.suffix not in WRITTEN_BY_HAND or f.is_relative_to(ROOT / "experiments" / "results")
    ]


def test_every_stored_file_has_one_command():
    rows, files = table(), stored()
    matches = {file: [command for pattern, command in rows if fnmatch(file, pattern)] for file in files}
    assert {file: commands for file, commands in matches.items() if len(commands) != 1} == {}
    idle = [pattern for pattern, _ in rows if not any(fnmatch(file, pattern) for file in files)]
    assert idle == []


def test_every_command_runs_a_program_that_is_there():
    for _, command in table():
        words = [word for word in shlex.split(command) if "=" not in word]
        assert words[0] in ("python", "gahb"), command
        program = words[1] if words[0] == "python" else words[2]
        assert (ROOT / program).is_file(), command


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_results_are_of_the_settings_of_the_program(name):
    results = json.loads((PAGE.parent / name / "results.json").read_text())
    assert results["scale"] == COMMITTED
    now = json.loads(json.dumps(identity(EXPERIMENTS[name].SCALES[COMMITTED], "settings")))
    if name in OF_A_FOLDER:  # which does not come with the library: it is a hash of its files
        assert results["settings"]["of"].pop("folder")["files"] > 0 and now["of"].pop("folder") is None
    assert results["settings"] == now


def test_every_committed_network_is_that_of_a_training_of_its_program():
    """By the hash of network, data and recipe, which its card holds; a recipe that is changed later has another."""
    s = Settings()
    trainings = {name: module.trainings(module.SCALES[COMMITTED]) for name, module in EXPERIMENTS.items()}
    pairs = [seed for pair in questions_samples.PAIRS for seed in pair]
    trainings["claims"] = [*plan(s), *questions_samples.JUDGED.trainings(s, pairs)]
    known = {t.key: name for name, group in trainings.items() for t in group}
    commands = dict(table())
    counts: Counter[str] = Counter()
    for card in sorted((ROOT / "experiments" / "checkpoints").glob("*/config.json")):
        if card.parent.name.startswith(OF_PHOTOGRAPHS):
            continue
        program = known[json.loads(card.read_text())["card"]["key"]]
        (command,) = [c for p, c in commands.items() if fnmatch(card.relative_to(ROOT).as_posix(), p)]
        assert command.endswith(f"/{program}.py"), card.parent.name
        counts[program] += 1
    assert min(counts[name] for name in ("claims", "near_optimal", "manifolds", "shuffling", "resolution")) > 1
