"""The page of one hypothesis: the verdict, the subject beside the null models, and the gates."""

from pathlib import Path

from gahb_theory import stored_results
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.metrics.intervals import Estimate
from gahb_theory.report.audit_page import evidence_chart
from gahb_theory.report.page import Head, KeyFigure, Part, Section, Table, write_page
from gahb_theory.report.provenance import provenance

__all__ = ["ARRAYS", "assessment_again", "assessment_page"]

ARRAYS = "assessment"
"""The name under which arrays.npz holds an assessment."""
GATES = {True: "passed", False: "not passed", None: "not looked at"}


def assessment_page(a: Assessment, path: Path) -> Path:
    """Write the page, with its figure beside it, and return its path."""
    rows = [("subject", "", _interval(a.estimate))]
    rows += [(n.name, n.passes, "" if n.estimate is None else _interval(n.estimate)) for n in a.nulls]
    unit = f" ({a.unit})" if a.unit else ""
    evidence = Table(("", "meets the criterion", f"measure{unit}"), rows, "Intervals are at 95 %.", align="left")
    gates = Table(("gate", "passed", "detail"), [(g.name, GATES[g.passed], g.detail) for g in a.gates], align="left")
    parts: list[Part] = [evidence_chart("evidence", a), evidence, *([gates] if a.gates else [])]
    return write_page(path, _head(a), [Section("Evidence", (f"About {a.about}.",), parts)], provenance(path.parent))


def assessment_again(run: Path) -> Path:
    """The page of a run of `gahb test`, from its arrays."""
    arrays = stored_results.read_arrays(run / "arrays.npz")
    return assessment_page(stored_results.from_arrays(Assessment, arrays, ARRAYS), run / "report.html")


def _interval(e: Estimate) -> str:
    return f"{e.value:.4g} [{e.low:.4g}, {e.high:.4g}]"


def _head(a: Assessment) -> Head:
    e, failing = a.estimate, sum(n.passes == "no" for n in a.nulls)
    unit = f" {a.unit}" if a.unit else ""
    answers = [
        f"{a.verdict.capitalize()}: {a.reason}.",
        f"The measure is {e.value:.4g}{unit} [{e.low:.4g}, {e.high:.4g}]; the criterion is {a.criterion}.",
        f"{failing} of {len(a.nulls)} null models fail the criterion, as they must for the measure to tell something."
        if a.nulls
        else "No null model was measured beside it.",
    ]
    figures = [
        KeyFigure(f"{e.value:.3g}", a.unit, "measure, mean over images"),
        KeyFigure(a.criterion, a.unit, "criterion"),
        KeyFigure(f"{failing}", f"of {len(a.nulls)}", "null models that fail it"),
        KeyFigure(f"{a.power.smallest_effect:.3g}", a.unit, "smallest effect decided in 4 of 5 cases"),
    ]
    return Head(f"Test: {a.verdict}", a.statement, answers, figures)
