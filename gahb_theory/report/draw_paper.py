"""The pictures of the experiments on the paper, drawn from their results alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gahb_theory.report import figures as plots
from gahb_theory.report.curves import Mark, Panel, Series, with_equal_limits
from gahb_theory.report.draw_eigenvectors import atoms_in_rows
from gahb_theory.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from gahb_theory.report.page import Chart, Part, Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["manifolds", "memorisation", "near_optimal", "shuffling"]

Results = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]
INPUT, OUTPUT = "input PSNR (dB)", "output PSNR (dB)"
SHOWN = 2
"""Pairs of samples that are drawn for each size of the training set."""
ALIKE = {"pairs": ("samples of A and B", BLUE), "closest": ("sample and closest training image", ORANGE)}
COLOURS = {
    "network": VERMILION,
    "wavelet oracle": BLUE,
    "wavelet thresholding": BLUE,
    "bandlet oracle": GREEN,
    "bandlet thresholding": GREEN,
    "given contour": "black",
}


def memorisation(results: Results, arrays: Arrays) -> list[Part]:
    """Curves, measures against N, samples, histograms."""
    counts = [row["n"] for row in results["rows"]]
    return [
        Chart(
            "memorisation_psnr",
            _curves_by_count(results["sigmas"], counts, arrays),
            "PSNR on training images (left) and on others (right), for training sets of N images. Dotted: the noisy "
            "image.",
        ),
        Chart(
            "memorisation_measures",
            _measures(results),
            "Against N: what having seen an image adds to its PSNR; the distance of two networks trained on disjoint "
            "sets, relative to their risk; the cosine of their samples from the same noise, that of unpaired samples, "
            "and the share of copies. Bars: 95 % intervals over images.",
        ),
        Picture(
            "memorisation_samples",
            _samples(counts, arrays),
            "Samples of two networks trained on disjoint sets A and B of N images, from the same noise, with the "
            "closest training image of each (means removed).",
            alt=f"a row for each of {len(counts)} sizes of the training set; in it, {SHOWN} times side by side, a sample of "
            "network A, one of network B, and the training image closest to each",
            arrays={f"N_{n}": arrays[f"{n}/grid"] for n in counts},
        ),
        Chart(
            "memorisation_histograms",
            _histograms(counts, arrays),
            "Shares of samples by cosine, in bins of 0.05: of the two networks' samples from the same noise, and of each "
            "sample with the closest of its training images.",
        ),
    ]


def _curves_by_count(sigmas: Sequence[float], counts: list[int], arrays: Arrays) -> list[Panel]:
    given = -20 * np.log10(sigmas)
    return with_equal_limits(
        [
            Panel(
                [
                    *(
                        Series(f"N = {n:,}", given, arrays[f"{n}/{kind}"], colour=colour, marker="o")
                        for n, colour in zip(counts, _shades(len(counts)), strict=True)
                    ),
                    _noisy(given),
                ],
                INPUT,
                OUTPUT,
                title=f"{kind} images",
            )
            for kind in ("train", "test")
        ]
    )


def _measures(results: Results) -> list[Panel]:
    rows, sigmas = results["rows"], np.array(results["sigmas"])
    counts = [row["n"] for row in rows]
    seen = [_bars(counts, [row["mean_seen"] for row in rows], VERMILION, "mean over σ")]
    distances = []
    for sigma, colour in zip((0.03, 0.1, 0.3), (BLUE, GREEN, ORANGE), strict=True):
        at = int(np.argmin(np.abs(sigmas - sigma)))
        part = [{k: v[at] for k, v in row["distance_ratio"].items()} for row in rows]
        distances.append(_bars(counts, part, colour, f"σ = {sigmas[at]:g}"))
    similar = [
        _bars(counts, [row["pairs"] for row in rows], BLUE, "cosine of pairs"),
        _bars(counts, [row["pairs_null"] for row in rows], GREY, "of no pairs"),
        _bars(counts, [row["copies"] for row in rows], ORANGE, "share of copies"),
    ]
    label = "training images N"
    return [
        Panel(seen, label, "PSNR_A − PSNR_B (dB)", title="images of A", xlog=True, marks=[Mark("y", 0.0)]),
        Panel(distances, label, "E‖f_A − f_B‖² / risk", xlog=True, ylog=True),
        Panel(similar, label, "cosine, or share", xlog=True, ylim=(-0.1, 1.05)),
    ]


def _bars(
    x: Sequence[float | int],
    values: Sequence[Mapping[str, float]],
    colour: str,
    label: str,
    line: Literal["-", "--"] = "-",
) -> Series:
    value, low, high = (np.array([v[key] for v in values], dtype=float) for key in ("value", "low", "high"))
    return Series(label, np.asarray(x, dtype=float), value, low, high, colour, line, "o", bars=True)


def _samples(counts: list[int], arrays: Arrays) -> "Figure":
    names = ("closest in A", "sample of A", "sample of B", "closest in B")
    with plots.style():
        figure, axes = plots.panels(0.8 * len(names) * SHOWN, 0.8 * len(counts) + 0.3, len(counts), len(names) * SHOWN)
        axes = axes.reshape(len(counts), len(names) * SHOWN)
        for place, n in zip(axes, counts, strict=True):
            for column, ax in enumerate(place):
                plots.image(arrays[f"{n}/grid"][column % len(names), column // len(names)], ax)
            place[0].text(
                -0.1, 0.5, f"N = {n:,}", transform=place[0].transAxes, rotation=90, ha="right", va="center", fontsize=8
            )
        for column, ax in enumerate(axes[0]):
            ax.set_title(names[column % len(names)], fontsize=7)
        return figure


def _histograms(counts: list[int], arrays: Arrays) -> list[Panel]:
    bins = np.linspace(-0.5, 1, 31)
    middle = (bins[1:] + bins[:-1]) / 2
    found = []
    for n in counts:
        shares = {key: np.histogram(arrays[f"{n}/{key}"], bins)[0] / len(arrays[f"{n}/{key}"]) for key in ALIKE}
        series = [Series(word, middle, shares[key], colour=colour) for key, (word, colour) in ALIKE.items()]
        found.append(Panel(series, "cosine", "share of samples", title=f"N = {n:,}", ylim=(0, 1)))
    return found


def near_optimal(results: Results, arrays: Arrays) -> list[Part]:
    """Curves, slopes, eigenvectors."""
    return [
        Chart(
            "near_optimal_psnr",
            _optimality(results, arrays),
            "PSNR of the noisy image subtracted. Solid: oracles, which know the clean image. Dashed: thresholding at 3 "
            "sigma. Black: the best linear denoiser of somebody who knows the contour, on fewer images.",
        ),
        Chart(
            "near_optimal_slopes",
            _slopes(results),
            "Fitted slopes with 95 % intervals over images, each in the window 8 < M < d / 8 of its own curve. Dotted: "
            "alpha / (alpha + 1); dash-dotted: (alpha - 1) / alpha.",
        ),
        *(
            Picture(
                f"near_optimal_eigenvectors_{name}",
                atoms_in_rows(
                    {
                        "network": (arrays[f"{name}/atoms"], arrays[f"{name}/eigenvalues"]),
                        "given contour": (
                            arrays[f"{name}/given_contour_atoms"],
                            arrays[f"{name}/given_contour_eigenvalues"],
                        ),
                    },
                    arrays[f"{name}/clean"],
                ),
                f"alpha = {row['alpha']:g}: leading eigenvectors of the network's Jacobian, and of the best linear denoiser "
                "that knows the contour.",
                alt="the clean image, and beside it two rows of eigenvectors, red and blue: those of the network, and those "
                "of the linear denoiser that knows the contour",
                arrays={key: arrays[f"{name}/{key}"] for key in ("clean", "atoms", "given_contour_atoms")},
            )
            for name, row in results["classes"].items()
            if row["convention"] == "holder"
        ),
    ]


def _optimality(results: Results, arrays: Arrays) -> list[Panel]:
    classes, sigmas = results["classes"], np.array(results["sigmas"])
    given = -20 * np.log10(sigmas)
    found = []
    for name, row in sorted(classes.items(), key=lambda item: (item[1]["convention"], item[1]["alpha"])):
        series = [
            Series(
                key,
                given,
                arrays[f"{name}/psnr.{key}"] - given,
                colour=colour,
                line=_line(key),
                width=2.4 if key == "network" else 1.2,
            )
            for key, colour in COLOURS.items()
            if f"{name}/psnr.{key}" in arrays
        ]
        found.append(Panel(series, INPUT, "gain (dB)", title=f"α = {row['alpha']:g}, {row['convention']}"))
    return with_equal_limits(found)


def _slopes(results: Results) -> list[Panel]:
    alpha = np.linspace(1, 3.2, 50)
    found = []
    for kind in ("holder", "paper"):
        rows = [row for row in results["classes"].values() if row["convention"] == kind]
        series = []
        for shift, (name, colour) in enumerate(COLOURS.items()):
            fits = [(r["alpha"], r["slopes"][name]) for r in rows if "value" in r["slopes"].get(name, {})]
            if fits:
                places = [a + 0.04 * (shift - 2) for a, _ in fits]
                series.append(_bars(places, [f for _, f in fits], colour, name, _line(name)))
        series.append(Series("α / (α + 1)", alpha, alpha / (alpha + 1), line=":"))
        if kind == "paper":
            series.append(Series("(α − 1) / α", alpha, (alpha - 1) / alpha, line="-."))
        found.append(Panel(series, "α", "slope", title=kind, ylim=(0, 1)))
    return found


def _line(method: str) -> Literal["-", "--"]:
    """Dashed for what does not know the clean image but is no network."""
    return "--" if "thresholding" in method else "-"


def manifolds(results: Results, arrays: Arrays) -> list[Part]:
    """Eigenvalues, curves, tangent spaces."""
    return [
        Chart(
            "manifolds_eigenvalues",
            _spectra(results, arrays),
            "Eigenvalues of the networks' Jacobians at several images (thin) and their mean (thick). Dotted: the "
            "dimension of the manifold. Black: the exact posterior mean at one image.",
        ),
        Chart(
            "manifolds_psnr",
            _manifold_curves(results, arrays),
            "PSNR of the networks, of the optimal projection on the tangent space, 10 log10(d / k) above the input, "
            "and of the exact posterior mean of disks.",
        ),
        *(
            Picture(
                f"manifolds_{name}",
                atoms_in_rows(
                    {
                        "tangent space": (arrays[f"{name}/tangent"], None),
                        "network": (arrays[f"{name}/atoms"], arrays[f"{name}/eigenvalues"][0]),
                    },
                    arrays[f"{name}/clean"],
                ),
                f"{name.replace('_', ' ').capitalize()}: an orthonormal basis of the tangent space, and the leading "
                "eigenvectors.",
                alt=f"the clean image, and beside it two rows, red and blue: {len(arrays[f'{name}/tangent'])} directions of "
                "the tangent space, and eigenvectors of the network",
                arrays={key: arrays[f"{name}/{key}"] for key in ("clean", "tangent", "atoms")},
            )
            for name in results["manifolds"]
        ),
    ]


def _spectra(results: Results, arrays: Arrays) -> list[Panel]:
    found = []
    for name, row in results["manifolds"].items():
        values = arrays[f"{name}/eigenvalues"]
        index = np.arange(1, values.shape[1] + 1)
        low, high = values.min(axis=0), values.max(axis=0)
        series = [Series("networks, mean and range", index, values.mean(axis=0), low, high, VERMILION, width=2.2)]
        if "exact_eigenvalues" in row:
            series.append(Series("posterior mean", index, np.array(row["exact_eigenvalues"]), colour="black", width=1))
        found.append(
            Panel(
                series,
                "number of the eigenvalue",
                "eigenvalue",
                title=name.replace("_", " "),
                marks=[Mark("x", row["k"] + 0.5, f"k = {row['k']}")],
            )
        )
    return with_equal_limits(found)


def _manifold_curves(results: Results, arrays: Arrays) -> list[Panel]:
    rows, sigmas = results["manifolds"], np.array(results["sigmas"])
    given = -20 * np.log10(sigmas)
    found = []
    for name, row in rows.items():
        optimal = given + 10 * np.log10(row["dimension"] / row["k"])
        series = [
            Series("network", given, arrays[f"{name}/psnr"], colour=VERMILION, marker="o"),
            Series("risk kσ²", given, optimal, colour=BLUE, line="--"),
        ]
        if f"{name}/exact_psnr" in arrays:
            series.append(Series("posterior mean", given, arrays[f"{name}/exact_psnr"], colour="black", width=1))
        found.append(Panel([*series, _noisy(given)], INPUT, OUTPUT, title=name.replace("_", " ")))
    return with_equal_limits(found)


def shuffling(results: Results, arrays: Arrays) -> list[Part]:
    """Curves, spectra, eigenvectors."""
    return [
        Chart(
            "shuffling_psnr",
            _shuffled(results, arrays),
            "Left: PSNR on C^alpha images, on the same images shuffled, and of the best linear denoiser, which is the "
            "same for both. Right: eigenvalues of the two Jacobians at one image.",
        ),
        Picture(
            "shuffling_eigenvectors",
            atoms_in_rows(
                {name: (arrays[f"{name}/atoms"], arrays[f"{name}/eigenvalues"]) for name in ("plain", "shuffled")},
                arrays["clean"],
            ),
            "Leading eigenvectors at one image; those of the network for shuffled images are shown unshuffled.",
            alt="the clean image, and beside it two rows of eigenvectors, red and blue: of the plain network, and of the one "
            "for shuffled images",
            arrays={"clean": arrays["clean"]} | {name: arrays[f"{name}/atoms"] for name in ("plain", "shuffled")},
        ),
    ]


def _shuffled(results: Results, arrays: Arrays) -> list[Panel]:
    given = -20 * np.log10(results["sigmas"])
    colours = {"plain": VERMILION, "shuffled": PURPLE, "linear": GREY}
    curves = [Series(name, given, arrays[f"{name}/psnr"], colour=colour) for name, colour in colours.items()]
    spectra = []
    for name in ("plain", "shuffled"):
        values = arrays[f"{name}/eigenvalues"]
        spectra.append(Series(name, np.arange(1, len(values) + 1), values, colour=colours[name]))
    return [
        Panel([*curves, _noisy(given)], INPUT, OUTPUT),
        Panel(spectra, "number of the eigenvalue", "eigenvalue", xlog=True),
    ]


def _noisy(given: np.ndarray) -> Series:
    """The line of the noisy image."""
    return Series("noisy image", given, given, line=":", width=1)


def _shades(n: int) -> list[str]:
    """Colours from dark to light, in the order of n numbers."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["viridis"](v)) for v in np.linspace(0.0, 0.85, n)]
