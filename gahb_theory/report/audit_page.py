"""The page of an audit: verdicts first, the evidence beneath, copies beside their training images."""

from pathlib import Path

from gahb_theory.hypotheses.audit import Audit
from gahb_theory.report.draw_verdicts import draw_assessment
from gahb_theory.report.figures import gallery, panels, style
from gahb_theory.report.page import Picture, Section, Table, write_page
from gahb_theory.runs import versions

__all__ = ["audit_page"]

COPY = 0.95


def audit_page(result: Audit, path: Path) -> Path:
    """Write the page, with its figures beside it, and return its path."""
    answers = result.answers()
    sections = [Section("Verdicts", answers), _table(result)]
    if len(result.pairs):
        sections.append(_copies(result))
    for name, a in result.assessments.items():
        with style():
            figure, axes = panels(6.0, 0.6 + 0.4 * (1 + len(a.nulls)))
            draw_assessment(a, axes[0])
        caption = (
            f"{a.reason}. Smallest effect decided in 4 of 5 cases: {a.power.smallest_effect:.3g} {a.unit}. {a.about}."
        )
        gates = [f"{gate.name}: {gate.detail}" for gate in a.gates]
        sections.append(Section(a.statement, gates, [Picture(name, figure, caption)]))
    if result.left_out:
        sections.append(Section("Not assessed", [f"{name}: {why}" for name, why in result.left_out.items()]))
    footer = {"command": "gahb audit", **versions()}
    return write_page(path, f"Audit of {result.name}", answers[0], sections, footer)


def _table(result: Audit) -> Section:
    rows = [
        (
            name,
            a.verdict,
            f"{a.estimate.value:.3g} [{a.estimate.low:.3g}, {a.estimate.high:.3g}]",
            a.criterion,
            ", ".join(n.name for n in a.nulls if n.passes in ("yes", "cannot be told")) or "none",
        )
        for name, a in result.assessments.items()
    ]
    header = ("claim", "verdict", "measure", "criterion", "nulls that do not fail")
    caption = "Each interval is at 95 %, over images: the verdicts are about this one denoiser."
    certified = [
        (
            f"{c.sigma:g}",
            f"{c.risk:.3g}",
            f"{c.excess.value:.3g} [{c.excess.low:.3g}, {c.excess.high:.3g}]",
            f"{c.decibels:.2f}",
        )
        for c in result.certified
    ]
    optimum = Table(
        ("sigma", "risk", "certified excess", "decibels from optimal, at least"),
        certified,
        "Certified from clean and noisy images alone, by E<f(y) - x, g>^2 / E||g||^2; summed over pixels.",
    )
    return Section("Evidence", (), [Table(header, rows, caption, align="left"), optimum])


def _copies(result: Audit) -> Section:
    pairs = result.pairs
    shown = gallery({"denoised from strong noise": pairs[:, 0], "closest training image": pairs[:, 1]})
    share = float((result.closest_similarity > COPY).mean())
    text = (
        f"What the denoiser makes of other images under strong noise: {100 * share:.0f} % of {len(result.closest_similarity)} "
        f"have a cosine above {COPY:g} with a training image, means removed."
    )
    return Section("Copies beside their training images", [text], [Picture("copies", shown, "The most similar pairs.")])
