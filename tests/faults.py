"""The table of faults: which tests prove what happens, read from their marks `fault(what, where)`.

python tests/faults.py        writes the table into docs/reliability.md
"""

import ast
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "reliability.md"
BEGIN, END = "<!-- faults -->", "<!-- end of faults -->"
FAULTS = (
    "full disk",
    "lost worker",
    "killed in the middle",
    "two writers",
    "a clock that jumps",
    "corrupted file",
    "power cut",
)
PLACES = ("training", "many images", "sharded Jacobian", "samples", "stored results")
NOTHING = {("lost worker", "stored results"): "one process writes a file"}
"""Where there is nothing to go wrong, and why."""


def marked() -> dict[tuple[str, str], list[str]]:
    """The tests that are marked with each fault and place, as FILE::NAME."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            if not isinstance(node, ast.FunctionDef):
                continue
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fault":
                    what, where = (ast.literal_eval(argument) for argument in decorator.args)
                    found.setdefault((what, where), []).append(f"{path.relative_to(TESTS)}::{node.name}")
    return found


def table() -> str:
    """How many tests try each fault at each place, then their names."""
    found = marked()
    lines = ["| fault | " + " | ".join(PLACES) + " |", "|---" * (len(PLACES) + 1) + "|"]
    for what in FAULTS:
        cells = ["–" if (what, where) in NOTHING else str(len(found.get((what, where), []))) for where in PLACES]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    lines += ["", "| fault | where | test |", "|---|---|---|"]
    for what in FAULTS:
        for where in PLACES:
            names = ", ".join(f"`{name}`" for name in found.get((what, where), [])) or NOTHING.get((what, where), "")
            lines.append(f"| {what} | {where} | {names} |")
    return "\n".join(lines)


def main() -> None:
    """Write the table."""
    head, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
