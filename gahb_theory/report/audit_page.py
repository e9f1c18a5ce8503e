"""The page of an audit: verdicts first, the evidence beneath, copies beside their training images."""

from collections import Counter
from pathlib import Path

from gahb_theory import stored_results
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.hypotheses.audit import Audit
from gahb_theory.report.draw_verdicts import assessment_panel
from gahb_theory.report.figures import gallery
from gahb_theory.report.page import Chart, Head, KeyFigure, Picture, Section, Table, write_page
from gahb_theory.report.provenance import provenance

__all__ = ["ARRAYS", "audit_again", "audit_page", "evidence_chart"]

COPY = 0.95
ARRAYS = "audit"
"""The name under which arrays.npz holds an audit."""


def audit_page(result: Audit, path: Path) -> Path:
    """Write the page, with its figures beside it, and return its path."""
    sections = [Section("Verdicts", result.answers()), _table(result)]
    if len(result.pairs):
        sections.append(_copies(result))
    for name, a in result.assessments.items():
        gates = [f"{gate.name}: {gate.detail}" for gate in a.gates]
        sections.append(Section(a.statement, gates, [evidence_chart(name, a)]))
    if result.left_out:
        sections.append(Section("Not assessed", [f"{name}: {why}" for name, why in result.left_out.items()]))
    return write_page(path, _head(result), sections, provenance(path.parent))


def audit_again(run: Path) -> Path:
    """The page of a run of `gahb audit`, from its arrays."""
    arrays = stored_results.read_arrays(run / "arrays.npz")
    return audit_page(stored_results.from_arrays(Audit, arrays, ARRAYS), run / "report.html")


def evidence_chart(name: str, a: Assessment) -> Chart:
    """Subject and nulls of one claim beside the threshold."""
    caption = f"Smallest effect decided in 4 of 5 cases: {a.power.smallest_effect:.3g} {a.unit}. About {a.about}."
    return Chart(name, [assessment_panel(a)], caption, f"{a.verdict.capitalize()}: {a.reason}.")


def _head(result: Audit) -> Head:
    memory, *others = result.answers()
    counted = Counter(a.verdict for a in result.assessments.values())
    claims = len(result.assessments)
    verdicts = f"Of {claims} claims, {', '.join(f'{n} {verdict}' for verdict, n in counted.most_common())}."
    figures = [
        KeyFigure(f"{c.decibels:.2f}", "dB", f"from optimal at least, certified, at sigma = {c.sigma:g}")
        for c in result.certified
    ]
    recalled = result.assessments.get("memorises")
    if recalled is not None:
        gain = f"{recalled.estimate.value:+.2f}"
        figures.append(KeyFigure(gain, recalled.unit, "PSNR on training images less that on others"))
    else:
        figures.append(KeyFigure("–", "", "memory: not measured without the training images"))
    figures.append(KeyFigure(str(counted["supported"]), f"of {claims}", "claims supported"))
    certified = " ".join(others[: len(result.certified)])
    return Head(
        f"Audit of {result.name}",
        f"Does {result.name} generalise, and how far is it from the best denoiser?",
        [memory, certified, verdicts],
        figures,
    )


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
    reading = f"The closest pair has a cosine of {float(result.closest_similarity.max()):.3f}."
    alt = f"two rows of {len(pairs)} images: what the denoiser makes of noise, and the closest training image of each"
    picture = Picture("copies", shown, "The most similar pairs.", reading, alt, {"pairs": pairs})
    return Section("Copies beside their training images", [text], [picture])
