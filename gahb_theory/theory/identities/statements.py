"""A statement of the theory as two numbers that must agree, and a plausible mistake that must not pass.

Each `Identity` computes its two sides in different ways: one by the library, one by quadrature, differentiation or a closed
form. Its mutant is the statement with one mistake in it, such as a missing factor 2; a check that lets the mutant pass
would be worth nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gahb_theory.progress import progress_bar

__all__ = ["Identity", "Row", "TheoryTable", "check"]

Sides = Callable[[], tuple[float, float]]


@dataclass(frozen=True)
class Identity:
    """One statement, how its two sides are computed, and a mistake.

    Parameters
    ----------
    equation
        Its number in the paper.
    statement
        The equation as text.
    problem
        What it is tried on.
    tolerance
        Largest difference of the sides, in units of the larger of 1 and the expected value.
    sides
        Computes (value, expected).
    mistake
        What the mutant gets wrong.
    mutant
        Computes both sides with the mistake.
    """

    equation: str
    statement: str
    problem: str
    tolerance: float
    sides: Sides
    mistake: str
    mutant: Sides


@dataclass(frozen=True)
class Row:
    """One line of the table: the numbers of a statement, and whether it holds and its mutant is caught."""

    equation: str
    statement: str
    problem: str
    value: float
    expected: float
    tolerance: float
    verdict: str
    """"holds" or "fails"."""
    mistake: str
    mutant_value: float
    mutant_expected: float
    caught: bool
    """Whether the same tolerance refuses the mutant."""

    def to_dict(self) -> dict[str, Any]:
        """All fields by name."""
        return asdict(self)


@dataclass(frozen=True, repr=False)
class TheoryTable:
    """The lines of `verify_theory`; print it, iterate over it, or take `to_dict()`."""

    rows: tuple[Row, ...]

    @property
    def holds(self) -> bool:
        """Whether every statement holds and every mutant is caught."""
        return all(row.verdict == "holds" and row.caught for row in self.rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self) -> list[dict[str, Any]]:
        """One dictionary for each line."""
        return [row.to_dict() for row in self.rows]

    def __repr__(self) -> str:
        lines = [f"{'eq.':6}{'value':>13}{'expected':>13}{'tolerance':>11}  verdict  mutant  statement"]
        for row in self.rows:
            caught = "caught" if row.caught else "PASSES"
            lines.append(
                f"{row.equation:6}{row.value:13.6g}{row.expected:13.6g}{row.tolerance:11.1g}  {row.verdict:7}  {caught:6}  "
                f"{row.statement}"
            )
        held, caught_all = sum(r.verdict == "holds" for r in self.rows), sum(r.caught for r in self.rows)
        lines.append(f"{held} of {len(self.rows)} statements hold, {caught_all} of {len(self.rows)} mutants are caught")
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """The table as Markdown, for the page of the documentation."""
        lines = [
            "| equation | statement | tried on | value | expected | tolerance | verdict | mutant |",
            "|" + "---|" * 8,
        ]
        for row in self.rows:
            caught = "caught" if row.caught else "**passes**"
            cells = [row.equation, row.statement, row.problem, f"{row.value:.6g}", f"{row.expected:.6g}"]
            cells += [f"{row.tolerance:.1g}", row.verdict, f"{row.mistake}: {caught}"]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")  # norms have bars, too
        return "\n".join(lines)


def check(identities: Sequence[Identity]) -> TheoryTable:
    """Compute both sides of each statement and of its mutant."""
    rows = []
    for one in progress_bar(identities, desc="verifying", unit=" statements"):
        value, expected = (float(side) for side in one.sides())
        wrong, wanted = (float(side) for side in one.mutant())
        rows.append(
            Row(
                one.equation,
                one.statement,
                one.problem,
                value,
                expected,
                one.tolerance,
                "holds" if _agree(value, expected, one.tolerance) else "fails",
                one.mistake,
                wrong,
                wanted,
                not _agree(wrong, wanted, one.tolerance),
            )
        )
    return TheoryTable(tuple(rows))


def _agree(value: float, expected: float, tolerance: float) -> bool:
    return abs(value - expected) <= tolerance * max(1.0, abs(expected))
