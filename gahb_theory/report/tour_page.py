"""The report of a tour or of an analysis, drawn from the run directory alone."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import stored_results
from gahb_theory.comparison import Comparison, ImageAnalysis, Performance, basis_label
from gahb_theory.comparison.quantities import BASES, QUANTITIES, table_rows
from gahb_theory.report.draw_analysis import (
    draw_energy_left_out,
    draw_shrinkage,
    eigenvector_panels,
    image_panels,
    photograph_with_box,
)
from gahb_theory.report.draw_performance import draw_performance
from gahb_theory.report.figures import gallery, panels, style
from gahb_theory.report.page import Picture, Section, Table, write_page
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
    headline = _equation(stored_results.from_arrays(ImageAnalysis, arrays, f"{cases[0]}/analysis"))
    footer = {"command": f"gahb {config['command']}", **config["versions"]}
    return write_page(run / "report.html", "Why does this denoiser generalise?", f"{LEAD} {headline}", sections, footer)


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
    return Section("Image classes", (), (Picture("image_classes", gallery(images), caption),))


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


def _case(case: str, title: str, arrays: Arrays) -> list[Section]:
    a = stored_results.from_arrays(ImageAnalysis, arrays, f"{case}/analysis")
    d = a.clean.size
    best = {name: 1 - side.best_energy for name, side in a.sides.items() if side.best_energy is not None}
    ordered = 1 - next(side.energy for side in a.sides.values() if side.energy is not None)
    hundred = sorted((left[min(100, d) - 1], name) for name, left in best.items())
    ranking = ", ".join(f"{value:.2%} in the {basis_label(name)}" for value, name in hundred)
    words = (
        f"At sigma = {a.sigma:g} the denoiser lifts the PSNR from {a.psnr_noisy:.2f} to {a.psnr_denoised:.2f} dB. Its "
        f"Jacobian J has an effective dimension tr J = {a.effective_dimension:.0f} out of {d} pixels.",
        f"{a.reproduction} {a.eigenvalues_above_half} eigenvalues are above 1/2, and they run from "
        f"{a.smallest_eigenvalue:.2f} to {a.largest_eigenvalue:.2f}. That J y = f(y) holds to {a.homogeneity_error:.1e}"
        f"{'' if a.reproduction.exact else '; the rest is what the antisymmetric part of J does'}.",
        f"The best 100 terms leave out, of the energy of the image without its mean, {ranking}.",
    )
    with style():
        (spectrum, spectrum_axes), (energy, energy_axes) = panels(6.6, 2.9), panels(6.6, 3.2)
        draw_shrinkage(a.eigenvalues, a.coefficients, a.sigma, spectrum_axes[0])
        draw_energy_left_out(best, ordered, energy_axes[0], BASES)
    images = {
        "clean": a.clean,
        f"noisy, {a.psnr_noisy:.1f} dB": a.noisy,
        f"denoised, {a.psnr_denoised:.1f} dB": a.denoised,
    }
    parts: tuple[Picture | Table, ...] = (
        Picture(
            f"{case}_images", image_panels(images), "One clean image, its noisy version, and the network's estimate."
        ),
        Picture(
            f"{case}_eigenvectors",
            eigenvector_panels(a.eigenvectors, a.atom_indices, a.eigenvalues),
            "Eigenvectors in the order of their eigenvalues (red positive, blue negative): what the network keeps. Look for "
            f"oscillations along contours and inside regions. {a.reproduction}",
        ),
        Picture(
            f"{case}_shrinkage",
            spectrum,
            "The coefficients of the clean image in the eigenvectors of S (blue) and the eigenvalues of S, which are the "
            "shrinkage factors (red), both in the order of the eigenvalues. A good shrinkage keeps what stands above the "
            "noise level sigma and removes the rest. "
            f"{a.reproduction}",
        ),
        Picture(
            f"{case}_approximation",
            energy,
            "Energy of the clean image, without its mean, that the best M terms leave out. The dashed line keeps the first "
            "M eigenvectors of S in the order of their eigenvalues, without knowing the image; the eigenbasis has seen the "
            "noisy image, the others have not.",
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
    return Picture(f"{case}_crop", photograph_with_box(arrays[f"{case}/photograph"], left, top, side), caption)


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
    header = ("sigma", *(f"{s:g}" for s in p.sigmas))
    rows = [(m.label, *(f"{v:.2f}" for v in np.asarray(m.psnr.value))) for m in p.methods.values()]
    caption = (
        f"Output against input PSNR, mean over {p.images} test images (band: 95% interval over images). Oracle: each "
        "coefficient of the clean image attenuated by c^2 / (c^2 + sigma^2). Thresholding: hard, at 3 sigma."
    )
    with style():
        figure, axes = panels(6.6, 3.8)
        draw_performance(p, axes[0], slope)
    picture = Picture(f"{case}_performance", figure, caption)
    return Section(f"{title}: PSNR", words, (picture, Table(header, rows, "PSNR in dB.")))


def _retrained(cases: list[str], arrays: Arrays, budget: int) -> Section:
    rows = []
    sigmas: np.ndarray = np.empty(0)
    for case in cases:
        shipped = stored_results.from_arrays(Performance, arrays, f"{case}/performance")
        anew = stored_results.from_arrays(Performance, arrays, f"{case}/retrained")
        sigmas = shipped.sigmas
        rows.append(
            (TITLES[case], *(f"{v:+.2f}" for v in np.asarray(anew.denoiser.psnr.value) - shipped.denoiser.psnr.value))
        )
    words = f"The same recipe from scratch, with a budget of {budget:,} images: its PSNR minus that of the shipped denoiser."
    return Section(
        "Trained anew", (words,), (Table(("sigma", *(f"{s:g}" for s in sigmas)), rows, "Difference in dB."),)
    )


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
