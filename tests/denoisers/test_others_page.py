"""The table of the page "Denoisers of others" and the tests that exist are the same."""

import ast
import re
from pathlib import Path

import gahb_theory as gt
from gahb_theory import denoisers

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "others.md"


def rows():
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def names_in(file):
    return set(re.findall(r"^def (test_\w+)\(", file.read_text(), flags=re.M))


def test_every_row_names_tests_that_exist():
    existing = set().union(*(names_in(file) for file in TESTS.rglob("test_*.py")))
    assert len(rows()) >= 20
    for network, _, verified, engine in rows():
        named = set(re.findall(r"`(test_\w+)`", verified))
        assert named and named <= existing, f"{network}: {sorted(named - existing)}"
        assert engine.split(",")[0] in ("recorded", "automatic", "differences", ""), network


def test_every_test_of_another_package_stands_in_the_table():
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    refusals = {"test_diffusers_schedulers_of_another_kind_are_refused"}
    assert names_in(TESTS / "denoisers" / "test_other_packages.py") - refusals <= named


def test_calls_are_calls_of_names_that_exist():
    for network, call, _, _ in rows():
        tree = ast.parse(call.strip("`"), mode="eval")
        assert isinstance(tree.body, ast.Call), network
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "gt":
                assert hasattr(gt, node.attr), f"{network}: gt.{node.attr}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert hasattr(denoisers, node.func.id), f"{network}: {node.func.id}"
