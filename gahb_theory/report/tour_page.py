"""The report of a tour or of an analysis, drawn from the run directory alone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import stored_results
from gahb_theory.comparison import Comparison, ImageAnalysis, Performance, basis_label
from gahb_theory.comparison.quantities import BASES, QUANTITIES, table_rows
from gahb_theory.jacobians.reproduction import SYMMETRIC, Reproduction
from gahb_theory.report import readings
from gahb_theory.report.draw_analysis import energy_panel, image_panels, photograph_with_box, shrinkage_panels
from gahb_theory.report.draw_performance import performance_panel
from gahb_theory.report.figures import gallery
from gahb_theory.report.page import Chart, Eigenvectors, Head, KeyFigure, Part, Picture, Section, Table, write_page
from gahb_theory.report.provenance import provenance
from gahb_theory.stored_results import format_value
from gahb_theory.theory import optimal_slope

__all__ = ["CASE", "FORMAT", "tour_report"]

CASE = "image"
"""The case of `gahb analyze`, whatever the name of its file."""

FORMAT = 3
"""Version of the names in arrays.npz; it stands in config.json."""

TITLES = {"c_alpha": "C^alpha images", "photographs": "Photographs"}
LEAD = (
    "A denoiser is a shrinkage in a basis adapted to its input. Below, the basis and the shrinkage factors of a trained "
    "network are computed from its Jacobian at a noisy image, and compared with bases known beforehand."
)
Arrays = Mapping[str, np.ndarray]


def tour_report(run: Path) -> Path:
    """Write report.html and figures/ into a run directory that holds config.json and arrays.npz; return the page's path."""
    file = run / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"{run} is not a run directory: it holds no config.json")
    arrays = stored_results.read_arrays(run / "arrays.npz")
    if not arrays:
        raise FileNotFoundError(f"{run} holds no arrays.npz: the run has not got that far; run its command again")
    config = _config(file)
    cases = list(dict.fromkeys(key.split("/analysis/")[0] for key in arrays if "/analysis/" in key))
    if not cases:
        raise ValueError(f"{run} is no run of the tour or of gahb analyze: its arrays hold no analysis of a denoiser")
    images = {key: value for key, value in arrays.items() if key.startswith("classes/") and "/analysis/" not in key}
    sections = [_classes(images)] if images else []
    name = config["settings"].get("image")
    titles = TITLES if name is None else {CASE: Path(name).stem}
    for case in cases:
        sections += _case(case, titles.get(case, case), arrays)
    if retrained := [case for case in cases if f"{case}/retrained/sigmas" in arrays]:
        sections.append(_retrained(retrained, arrays, config["settings"]["retrain_images"]))
    sections.append(_limits())
    analyses = {
        titles.get(case, case): stored_results.from_arrays(ImageAnalysis, arrays, f"{case}/analysis") for case in cases
    }
    return write_page(run / "report.html", _head(analyses), sections, provenance(run, config))


def _config(file: Path) -> dict[str, Any]:
    """The configuration of a run of the tour or of an analysis."""
    try:
        config = json.loads(file.read_text())
        command, versions = config["command"], config["versions"]
        if not (isinstance(command, str) and isinstance(versions, dict) and isinstance(config["settings"], dict)):
            raise ValueError("entries of other kinds")
        number = config.get("format", 1)
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} is damaged, or no configuration of the tour or of gahb analyze ({error}); run the command again in "
            "another directory"
        ) from error
    if number != FORMAT:
        raise ValueError(
            f"{file.parent} was written by another version of this library, in format {number}, and this one draws format "
            f"{FORMAT}; run gahb {command} again in another directory"
        )
    return config


def _classes(arrays: Arrays) -> Section:
    images = {key.removeprefix("classes/"): value for key, value in arrays.items()}
    caption = (
        "Eight images of each class. The second and the third row are both called C^2; in the published generator the "
        "backgrounds have one order of regularity less, and the contour half an order."
    )
    alt = f"rows of eight images each: {', '.join(images)}"
    picture = Picture("image_classes", gallery(images), caption, readings.of_classes(images), alt, images)
    return Section("Image classes", (LEAD,), (picture,))


def _head(analyses: Mapping[str, ImageAnalysis]) -> Head:
    """The first screen: what the network reaches, in which basis, and whether the equation is true of it."""
    compared, sparse = [], []
    for title, a in analyses.items():
        gap, basis = readings.against_fixed_bases(a)
        compared.append(f"{title}: {readings.said_difference(gap, f'the oracle in the {basis}')}")
        best, fixed, own = readings.sparsest(a)
        sparse.append(f"{title}: {own:.2%}, against {fixed:.2%} in the {best}")
    first = next(iter(analyses.values()))
    gap, basis = readings.against_fixed_bases(first)
    of = f" ({next(iter(analyses))})" if len(analyses) > 1 else ""
    answers = [
        f"How well it denoises, beside the best oracle in a fixed basis, which knows the clean image: {'; '.join(compared)}.",
        f"What the best {readings.TERMS} terms of its basis leave out of the image, beside the best fixed basis: "
        f"{'; '.join(sparse)}.",
        " ".join([_equation(first), *(_difference(title, a) for title, a in list(analyses.items())[1:])]),
    ]
    figures = [
        KeyFigure(f"{first.psnr_denoised - first.psnr_noisy:+.1f}", "dB", f"gain over the noisy image{of}"),
        KeyFigure(f"{gap:+.1f}", "dB", f"against the oracle in the {basis}{of}"),
        KeyFigure(
            f"{first.effective_dimension:.0f}",
            f"of {first.clean.size}",
            f"tr J; squared error over sigma^2 {first.error_over_variance:.0f}{of}",
        ),
        KeyFigure(f"{readings.sparsest(first)[2]:.2%}", "", f"energy that {readings.TERMS} terms leave out{of}"),
    ]
    title = f"A denoiser at {', '.join(analyses)}"
    return Head(title, "Why does this denoiser generalise?", answers, figures, "f(y) = Σₖ λₖ(y) ⟨y, eₖ(y)⟩ eₖ(y)")


def _difference(title: str, a: ImageAnalysis) -> str:
    """The error of the equation at another image, in short."""
    return f"{title}: {a.reproduction.error:.1e}."


def _equation(a: ImageAnalysis) -> str:
    """The first sentence of the page: whether the equation is true of the denoiser below, with its measured error."""
    r = a.reproduction
    if r.exact:
        return (
            "f(y) = sum_k lambda_k <y, e_k> e_k, with the eigenvalues and eigenvectors of its Jacobian: measured at the first "
            f"image below, the two sides differ by {r.error:.1e} of f(y)."
        )
    return (
        "f(y) = sum_k lambda_k <y, e_k> e_k is true of a homogeneous denoiser with a symmetric Jacobian, and not of this one: "
        f"at the first image below the two sides differ by {r.error:.1e} of f(y), and the sum, of eigenvalues and eigenvectors "
        f"of the symmetric part S, has a PSNR {a.psnr_denoised - a.psnr_shrinkage:.2f} dB lower."
    )


def _remainder(r: Reproduction) -> str:
    """What S y lacks of f(y)."""
    if r.exact:
        return ""
    if r.asymmetry > SYMMETRIC:
        return "; the rest is what the antisymmetric part of J does"
    return (
        "; the rest is no product with J: sigma df/dsigma, where f is given sigma and f(s y, s sigma) = s f(y, sigma)"
    )


def _case(case: str, title: str, arrays: Arrays) -> list[Section]:
    a = stored_results.from_arrays(ImageAnalysis, arrays, f"{case}/analysis")
    d = a.clean.size
    best = {name: 1 - side.best_energy for name, side in a.sides.items() if side.best_energy is not None}
    ordered = 1 - next(side.energy for side in a.sides.values() if side.energy is not None)
    hundred = sorted((left[min(100, d) - 1], name) for name, left in best.items())
    ranking = ", ".join(f"{value:.2%} in the {basis_label(name)}" for value, name in hundred)
    words = (
        f"At sigma = {a.sigma:g} the denoiser lifts the PSNR from {a.psnr_noisy:.2f} to {a.psnr_denoised:.2f} dB. Its "
        f"Jacobian J has tr J = {a.effective_dimension:.0f} in {d} pixels; the squared error is {a.error_over_variance:.0f} "
        "sigma^2, which an optimal denoiser's tr J equals on average (equation 10).",
        f"{a.reproduction} {a.eigenvalues_above_half} eigenvalues are above 1/2, and they run from "
        f"{a.smallest_eigenvalue:.2f} to {a.largest_eigenvalue:.2f}. That J y = f(y) holds to {a.homogeneity_error:.1e}"
        f"{_remainder(a.reproduction)}.",
        f"The best 100 terms leave out, of the energy of the image without its mean, {ranking}.",
    )
    images = {
        "clean": a.clean,
        f"noisy, {a.psnr_noisy:.1f} dB": a.noisy,
        f"denoised, {a.psnr_denoised:.1f} dB": a.denoised,
    }
    gap, basis = readings.against_fixed_bases(a)
    shown = a.atom_indices
    coverage = arrays.get(f"{case}/coverage")
    parts: tuple[Part, ...] = (
        Picture(
            f"{case}_images",
            image_panels(images),
            "One clean image, its noisy version, and the network's estimate.",
            f"The network lifts the PSNR by {a.psnr_denoised - a.psnr_noisy:.1f} dB, "
            f"{readings.said_difference(gap, f'the oracle in the {basis}')}, the best of the fixed bases.",
            f"three images side by side: clean; under noise of sigma {a.sigma:g}; denoised, without the noise",
            {"clean": a.clean, "noisy": a.noisy, "denoised": a.denoised},
        ),
        Eigenvectors(
            f"{case}_eigenvectors",
            "Eigenvectors in the order of their eigenvalues (red positive, blue negative): what the network keeps. Look for "
            f"oscillations along contours and inside regions. {a.reproduction}",
            readings.of_eigenvectors(a),
            a.eigenvectors,
            shown,
            a.eigenvalues[shown],
            a.coefficients[shown],
            a.clean,
            coverage,
        ),
        Chart(
            f"{case}_shrinkage",
            shrinkage_panels(a.eigenvalues, a.coefficients, a.sigma),
            "Left, the coefficients of the clean image in the eigenvectors of S; right, the eigenvalues of S, which are the "
            "shrinkage factors, beside the factors of an oracle that knows these coefficients. A good shrinkage keeps what "
            f"stands above the noise level sigma and removes the rest. {a.reproduction}",
            readings.of_shrinkage(a),
        ),
        Chart(
            f"{case}_approximation",
            [energy_panel(best, ordered, BASES)],
            "Energy of the clean image, without its mean, that the best M terms leave out. The dashed line keeps the first "
            "M eigenvectors of S in the order of their eigenvalues, without knowing the image; the eigenbasis has seen the "
            "noisy image, the others have not.",
            readings.of_energy(a),
        ),
        _numbers(a, ordered),
        _bases(a),
    )
    if f"{case}/photograph" in arrays:
        parts = (_crop(case, arrays), *parts)
    sections = [Section(title, words, parts)]
    if f"{case}/performance/sigmas" in arrays:
        sections.append(
            _performance(case, title, stored_results.from_arrays(Performance, arrays, f"{case}/performance"))
        )
    return sections


def _crop(case: str, arrays: Arrays) -> Picture:
    """The square that was analysed, in its photograph."""
    left, top, side = arrays[f"{case}/box"].tolist()
    caption = "The photograph, and the square of it that everything below is about."
    photograph = arrays[f"{case}/photograph"]
    height, width = photograph.shape[:2]
    reading = f"The square holds {side**2 / (height * width):.1%} of the {width} x {height} pixels."
    alt = f"the photograph with a square outlined, its upper left corner at {left:.0f}, {top:.0f}"
    drawn = photograph_with_box(photograph, left, top, side)
    return Picture(f"{case}_crop", drawn, caption, reading, alt)


def _numbers(a: ImageAnalysis, ordered: np.ndarray) -> Table:
    """Every number of the analysis that is not of one basis."""
    rows = table_rows(a)
    for k in (10, 100, 400):
        if k <= a.clean.size:
            rows.append(
                (f"energy of x, without its mean, in the first {k} eigenvectors", format_value(1 - ordered[k - 1]))
            )
    return Table(("quantity", "value"), rows)


def _bases(a: ImageAnalysis) -> Table:
    """The eigenbasis beside the other bases."""
    sides = a.sides

    def alone(name: str) -> tuple[str, ...]:
        values = [getattr(side, name) for side in sides.values()]
        return QUANTITIES[name].label, *("" if value is None else format_value(value) for value in values)

    def pair(name: str, value: Callable[[Comparison], tuple[float | None, float | None]]) -> tuple[str, ...]:
        cells = []
        for c in a.comparisons.values():
            number, chance = value(c)
            cells.append("" if number is None or chance is None else f"{number:.3f} ({chance:.3f})")
        return f"{QUANTITIES[name].label} (chance)", "", *cells

    rows = [
        ("oracle PSNR (dB)", *(f"{value:.2f}" for value in a.oracle_psnr.values())),
        alone("terms"),
        alone("energy_area"),
        ("decay exponent", *("" if s.decay is None else f"{s.decay.exponent:.2f}" for s in sides.values())),
        pair("overlap", lambda c: (c.overlap[c.index_of_rank], c.overlap_of_chance[c.index_of_rank])),
        pair("weighted_overlap", lambda c: (c.weighted_overlap, c.weighted_overlap_of_chance)),
        (
            "response of J to atoms below the noise (chance)",
            *pair("response", lambda c: (c.response, c.response_of_chance))[1:],
        ),
        pair("angle", lambda c: (float(np.median(c.angles)), float(np.median(c.angles_of_chance)))),
    ]
    ranks = ", ".join(f"{c.rank} for the {basis_label(name)}" for name, c in a.comparisons.items())
    return Table(
        ("basis", *(basis_label(name) for name in sides)),
        rows,
        "The eigenbasis of S beside fixed bases. Energies are those of the clean image without its mean. Overlap and angles "
        "are those of the first atoms of a basis with as many eigenvectors, one for each coefficient above the noise "
        f"({ranks}); weighted overlap is the part of tr S in the span of those atoms; the response is that of J to the "
        "others. In brackets: what random atoms would give.",
    )


def _performance(case: str, title: str, p: Performance) -> Section:
    slope = optimal_slope(2.0) if case == "c_alpha" else None
    fit = p.denoiser.slope
    fitted = (
        f"Between sigma = {p.window[0]:g} and {p.window[1]:g} the slope of the denoiser is {fit.slope:.3f} "
        f"(95% interval over images {fit.low:.3f} to {fit.high:.3f})."
    )
    others = ", ".join(f"{method.label} {method.slope.slope:.3f}" for method in p.references)
    if slope is not None:
        fitted += (
            f" Theory gives {slope:.3f} as sigma goes to 0 on a fine enough grid. Over the same noise levels the "
            f"references have other slopes too ({others}): at this size a slope does not identify the class."
        )
    else:
        fitted += f" No exponent is known for photographs. The references have: {others}."
    gains = {m.label: (np.asarray(p.denoiser.psnr.value) - m.psnr.value)[p.inside] for m in p.references}
    versus = "; ".join(f"{g.min():+.1f} to {g.max():+.1f} dB against the {name}" for name, g in gains.items())
    words = (
        fitted,
        f"Over these noise levels the denoiser stands at {versus}. An oracle attenuates each coefficient "
        "knowing the clean one: no attenuation in that basis does better, and one in a basis adapted to the image may.",
    )
    header = ("sigma", *(m.label for m in p.methods.values()))
    rows = _rows_by_sigma(p.sigmas, [np.asarray(m.psnr.value) for m in p.methods.values()], ".2f")
    caption = (
        f"Output against input PSNR, mean over {p.images} test images (band: 95% interval over images). Oracle: each "
        "coefficient of the clean image attenuated by c^2 / (c^2 + sigma^2). Thresholding: hard, at 3 sigma."
    )
    picture = Chart(f"{case}_performance", [performance_panel(p, slope)], caption, readings.of_performance(p))
    return Section(f"{title}: PSNR", words, (picture, Table(header, rows, "PSNR in dB.")))


def _retrained(cases: list[str], arrays: Arrays, budget: int) -> Section:
    differences = []
    sigmas: np.ndarray = np.empty(0)
    for case in cases:
        shipped = stored_results.from_arrays(Performance, arrays, f"{case}/performance")
        anew = stored_results.from_arrays(Performance, arrays, f"{case}/retrained")
        sigmas = shipped.sigmas
        differences.append(np.asarray(anew.denoiser.psnr.value) - shipped.denoiser.psnr.value)
    table = Table(
        ("sigma", *(TITLES[case] for case in cases)), _rows_by_sigma(sigmas, differences, "+.2f"), "Difference in dB."
    )
    words = f"The same recipe from scratch, with a budget of {budget:,} images: its PSNR minus that of the shipped denoiser."
    return Section("Trained anew", (words,), (table,))


def _rows_by_sigma(sigmas: np.ndarray, columns: list[np.ndarray], form: str) -> list[tuple[str, ...]]:
    """A line for each noise level, which a phone has room for."""
    return [
        (f"{s:g}", *(format(v, form) for v in row)) for s, row in zip(sigmas, zip(*columns, strict=True), strict=True)
    ]


def _limits() -> Section:
    words = (
        "Measured here: one network for each class, one image for each eigenbasis, one draw of noise per test image. The "
        "eigenvalues and the asymmetry belong to that image and that noise.",
        "Not measured here: whether two networks trained on disjoint sets agree, which is what the paper calls "
        "generalisation; bandlets; other sizes.",
        "Kadkhodaie, Guth, Simoncelli and Mallat, Generalization in diffusion models arises from geometry-adaptive harmonic "
        "representations, ICLR 2024.",
    )
    return Section("What this page shows and what it does not", words)
