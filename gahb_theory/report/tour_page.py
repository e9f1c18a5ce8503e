"""The report of a tour or of an analysis, drawn from the run directory alone."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory import runs
from gahb_theory.analysis import Performance, Reading
from gahb_theory.report import figures as plots
from gahb_theory.report.page import Picture, Section, Table, write_page
from gahb_theory.theory import optimal_slope

__all__ = ["CASE", "tour_report"]

CASE = "image"
"""The case of `gahb analyze`, whatever the name of its file."""

TITLES = {"c_alpha": "C^alpha images", "photographs": "Photographs"}
LEAD = (
    "A denoiser is a shrinkage in a basis adapted to its input. Below, the basis and the shrinkage factors of a trained "
    "network are read off its Jacobian at a noisy image, and compared with bases known beforehand."
)
Arrays = Mapping[str, np.ndarray]


def tour_report(run: Path) -> Path:
    """Write report.html and figures/ into a run directory that holds config.json and arrays.npz; return the page's path."""
    file = run / "config.json"
    if not file.is_file():
        raise FileNotFoundError(f"{run} is not a run directory: it holds no config.json")
    arrays = runs.read_arrays(run / "arrays.npz")
    if not arrays:
        raise FileNotFoundError(f"{run} holds no arrays.npz: the run has not got that far; run its command again")
    config = _config(file)
    cases = list(dict.fromkeys(key.split("/reading/")[0] for key in arrays if "/reading/" in key))
    if not cases:
        raise ValueError(f"{run} is no run of the tour or of gahb analyze: its arrays hold no reading of a denoiser")
    images = {key: value for key, value in arrays.items() if key.startswith("classes/") and "/reading/" not in key}
    sections = [_classes(images)] if images else []
    name = config["settings"].get("image")
    titles = TITLES if name is None else {CASE: Path(name).stem}
    for case in cases:
        sections += _case(case, titles.get(case, case), arrays)
    if retrained := [case for case in cases if f"{case}/retrained/sigmas" in arrays]:
        sections.append(_retrained(retrained, arrays, config["settings"]["retrain_images"]))
    sections.append(_reading_guide())
    footer = {"command": f"gahb {config['command']}", **config["versions"]}
    return write_page(run / "report.html", "Why does this denoiser generalise?", LEAD, sections, footer)


def _config(file: Path) -> dict[str, Any]:
    """The configuration of a run of the tour or of an analysis."""
    try:
        config = json.loads(file.read_text())
        command, versions = config["command"], config["versions"]
        if not (isinstance(command, str) and isinstance(versions, dict) and isinstance(config["settings"], dict)):
            raise ValueError("entries of other kinds")
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{file} is damaged, or no configuration of the tour or of gahb analyze ({error}); run the command again in "
            "another directory"
        ) from error
    return config


def _classes(arrays: Arrays) -> Section:
    images = {key.removeprefix("classes/"): value for key, value in arrays.items()}
    caption = (
        "Eight images of each class. The second and the third row are both called C^2; in the published generator the "
        "backgrounds have one order of regularity less, and the contour half an order."
    )
    return Section("Image classes", (), (Picture("image_classes", plots.gallery(images), caption),))


def _case(case: str, title: str, arrays: Arrays) -> list[Section]:
    r = runs.from_arrays(Reading, arrays, f"{case}/reading")
    s = r.summary
    d = r.clean.size
    hundred = {name: error[min(100, d - 1)] for name, error in r.errors.items() if "first" not in name}
    ranking = ", ".join(
        f"{value:.2%} in the {name}" for name, value in sorted(hundred.items(), key=lambda item: item[1])
    )
    words = (
        f"At sigma = {s['noise level sigma']:g} the denoiser lifts the PSNR from "
        f"{s['PSNR of the noisy image (dB)']:.2f} to {s['PSNR of the denoised image (dB)']:.2f} dB. Its Jacobian J has an "
        f"effective dimension tr J = {s['effective dimension tr J']:.0f} out of {d} pixels, and "
        f"{s['eigenvalues above 1/2']:.0f} eigenvalues above 1/2.",
        f"J is not symmetric: ||J - J'|| / ||J|| = {s[_ASYMMETRY]:.2f}. The eigenvectors are those of its symmetric part; "
        f"their eigenvalues run from {s['smallest eigenvalue']:.2f} to {s['largest eigenvalue']:.2f}. That J y = f(y), which "
        f"makes the denoiser a shrinkage, holds to {s[_HOMOGENEITY]:.1e}.",
        f"The best 100 terms leave this part of the energy of the clean image unexplained: {ranking}.",
    )
    table = Table(("quantity", "value"), [(name, _number(value)) for name, value in s.items()])
    parts = (
        Picture(f"{case}_images", plots.triple(r), "One clean image, its noisy version, and the network's estimate."),
        Picture(
            f"{case}_eigenvectors",
            plots.eigenvectors(r),
            "Eigenvectors of the Jacobian at the noisy image, in the order of their eigenvalues (red positive, blue "
            "negative): what the network keeps. Look for oscillations along contours and inside regions.",
        ),
        Picture(
            f"{case}_shrinkage",
            plots.shrinkage(r),
            "The coefficients of the clean image in the eigenbasis (blue) and the shrinkage factors (red), both in the order "
            "of the eigenvalues. A good shrinkage keeps what stands above the noise level sigma and removes the rest.",
        ),
        Picture(
            f"{case}_approximation",
            plots.approximation(r),
            "Energy of the clean image that the best M terms leave out. The dashed line keeps the first M eigenvectors in "
            "the order of their eigenvalues, without knowing the image; the eigenbasis has seen the noisy image, the others "
            "have not.",
        ),
        table,
    )
    sections = [Section(title, words, parts)]
    if f"{case}/performance/sigmas" in arrays:
        sections.append(_performance(case, title, runs.from_arrays(Performance, arrays, f"{case}/performance")))
    return sections


_ASYMMETRY = "asymmetry ||J - J'|| / ||J||"
_HOMOGENEITY = "homogeneity error ||J y - f(y)|| / ||f(y)||"


def _performance(case: str, title: str, p: Performance) -> Section:
    slope = optimal_slope(2.0) if case == "c_alpha" else None
    own, low, high = p.slopes["denoiser"]
    fitted = (
        f"Between sigma = {p.window[0]:g} and {p.window[1]:g} the slope of the denoiser is {own:.3f} "
        f"(95% interval over images {low:.3f} to {high:.3f})."
    )
    others = ", ".join(f"{name} {values[0]:.3f}" for name, values in p.slopes.items() if name != "denoiser")
    if slope is not None:
        fitted += (
            f" Theory gives {slope:.3f} as sigma goes to 0 on a fine enough grid. Over the same noise levels the "
            f"references have other slopes too ({others}): at this size a slope does not identify the class."
        )
    else:
        fitted += f" No exponent is known for photographs. The references have: {others}."
    inside = (p.sigmas >= p.window[0]) & (p.sigmas <= p.window[1])
    gains = {name: (p.psnr["denoiser"] - v)[inside] for name, v in p.psnr.items() if name != "denoiser"}
    versus = "; ".join(f"{g.min():+.1f} to {g.max():+.1f} dB against the {name}" for name, g in gains.items())
    words = (
        fitted,
        f"Over these noise levels the denoiser stands at {versus}. An oracle attenuates each coefficient "
        "knowing the clean one: no attenuation in that basis does better, and one in a basis adapted to the image may.",
    )
    header = ("sigma", *(f"{s:g}" for s in p.sigmas))
    rows = [(name, *(f"{v:.2f}" for v in values)) for name, values in p.psnr.items()]
    caption = (
        f"Output against input PSNR, mean over {p.images} test images (band: two standard errors). Oracle: each coefficient "
        "of the clean image attenuated by c^2 / (c^2 + sigma^2). Thresholding: hard, at 3 sigma."
    )
    picture = Picture(f"{case}_performance", plots.performance(p, slope), caption)
    return Section(f"{title}: PSNR", words, (picture, Table(header, rows, "PSNR in dB.")))


def _retrained(cases: list[str], arrays: Arrays, budget: int) -> Section:
    rows = []
    sigmas: np.ndarray = np.empty(0)
    for case in cases:
        shipped = runs.from_arrays(Performance, arrays, f"{case}/performance")
        anew = runs.from_arrays(Performance, arrays, f"{case}/retrained")
        sigmas = shipped.sigmas
        rows.append((TITLES[case], *(f"{v:+.2f}" for v in anew.psnr["denoiser"] - shipped.psnr["denoiser"])))
    words = f"The same recipe from scratch, with a budget of {budget:,} images: its PSNR minus that of the shipped denoiser."
    return Section(
        "Trained anew", (words,), (Table(("sigma", *(f"{s:g}" for s in sigmas)), rows, "Difference in dB."),)
    )


def _reading_guide() -> Section:
    words = (
        "Measured here: one network for each class, one image for each eigenbasis, one draw of noise per test image. The "
        "eigenvalues and the asymmetry belong to that image and that noise.",
        "Not measured here: whether two networks trained on disjoint sets agree, which is what the paper calls "
        "generalisation; bandlets; other sizes.",
        "Kadkhodaie, Guth, Simoncelli and Mallat, Generalization in diffusion models arises from geometry-adaptive harmonic "
        "representations, ICLR 2024.",
    )
    return Section("What this page shows and what it does not", words)


def _number(value: float) -> str:
    return f"{value:.2e}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"
