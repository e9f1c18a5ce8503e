"""The pictures of the experiments on the paper, drawn from their results alone."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gahb_theory.comparison.quantities import BASES
from gahb_theory.report import draw_analysis
from gahb_theory.report import figures as plots
from gahb_theory.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, VERMILION
from gahb_theory.report.page import Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["manifolds", "memorisation", "near_optimal", "shrinkage", "shuffling"]

Results = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]
COLOURS = {
    "network": VERMILION,
    "wavelet oracle": BLUE,
    "wavelet thresholding": BLUE,
    "bandlet oracle": GREEN,
    "bandlet thresholding": GREEN,
    "given contour": "black",
}


def memorisation(results: Results, arrays: Arrays) -> list[Picture]:
    """Curves, measures against N, samples, histograms."""
    counts = [row["n"] for row in results["rows"]]
    return [
        Picture(
            "memorisation_psnr",
            _curves_by_count(results["sigmas"], counts, arrays),
            "PSNR on training images (left) and on others (right), for training sets of N images. Dotted: the noisy "
            "image.",
        ),
        Picture(
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
        ),
        Picture(
            "memorisation_histograms",
            _histograms(counts, arrays),
            "Cosine similarity of samples of the two networks (blue), and of each sample with the closest of its "
            "training images (orange).",
        ),
    ]


def _curves_by_count(sigmas: Sequence[float], counts: list[int], arrays: Arrays) -> "Figure":
    with plots.style():
        figure, axes = plots.panels(7.2, 3.3, 1, 2)
        given = -20 * np.log10(sigmas)
        for ax, kind in zip(axes, ("train", "test"), strict=True):
            for n, colour in zip(counts, _shades(len(counts)), strict=True):
                ax.plot(given, arrays[f"{n}/{kind}"], color=colour, label=f"N = {n:,}")
            _noisy(ax, given)
            ax.set_title(f"{kind} images")
        axes[0].set_ylabel("output PSNR (dB)")
        low = min(ax.get_ylim()[0] for ax in axes)
        high = max(ax.get_ylim()[1] for ax in axes)
        for ax in axes:
            ax.set_ylim(low, high)
        axes[1].legend(loc="upper left")
        return figure


def _measures(results: Results) -> "Figure":
    rows, sigmas = results["rows"], np.array(results["sigmas"])
    counts = [row["n"] for row in rows]
    with plots.style():
        figure, axes = plots.panels(8.4, 2.9, 1, 3)
        _bars(axes[0], counts, [row["mean_seen"] for row in rows], VERMILION, "mean over sigma")
        axes[0].axhline(0, color=GREY, lw=1)
        axes[0].set(ylabel="PSNR$_A$ - PSNR$_B$ on images of A (dB)")
        for sigma, colour in zip((0.03, 0.1, 0.3), (BLUE, GREEN, ORANGE), strict=True):
            at = int(np.argmin(np.abs(sigmas - sigma)))
            part = [{k: v[at] for k, v in row["distance_ratio"].items()} for row in rows]
            _bars(axes[1], counts, part, colour, f"$\\sigma$ = {sigmas[at]:g}")
        axes[1].set(ylabel="E||f$_A$ - f$_B$||$^2$ / risk", yscale="log")
        _bars(axes[2], counts, [row["pairs"] for row in rows], BLUE, "cosine of pairs")
        _bars(axes[2], counts, [row["pairs_null"] for row in rows], GREY, "of no pairs")
        _bars(axes[2], counts, [row["copies"] for row in rows], ORANGE, "share of copies")
        axes[2].set(ylim=(-0.1, 1.05))
        for ax in axes:
            ax.set(xscale="log", xlabel="training images N")
            ax.legend()
        return figure


def _bars(
    ax: "Axes",
    x: Sequence[float | int],
    values: Sequence[Mapping[str, float]],
    colour: str,
    label: str,
    line: str = "-",
) -> None:
    value, low, high = (np.array([v[key] for v in values]) for key in ("value", "low", "high"))
    spread = np.stack([value - low, high - value]).clip(min=0)
    ax.errorbar(x, value, spread, color=colour, ls=line, marker="o", ms=3, capsize=2, label=label)


def _samples(counts: list[int], arrays: Arrays) -> "Figure":
    shown = arrays[f"{counts[0]}/grid"].shape[1]
    names = ("closest in A", "sample of A", "sample of B", "closest in B")
    with plots.style():
        figure, axes = plots.panels(0.62 * shown * len(counts) + 0.5, 2.9, 4, shown * len(counts))
        for block, n in enumerate(counts):
            for row in range(4):
                for column in range(shown):
                    ax = axes[row, block * shown + column]
                    plots.image(arrays[f"{n}/grid"][row, column], ax)
            axes[0, block * shown].set_title(f"N = {n:,}", loc="left")
        for row, name in enumerate(names):
            axes[row, 0].text(-0.15, 0.5, name, transform=axes[row, 0].transAxes, ha="right", va="center", fontsize=8)
        return figure


def _histograms(counts: list[int], arrays: Arrays) -> "Figure":
    with plots.style():
        figure, axes = plots.panels(1.6 * len(counts), 1.9, 1, len(counts))
        bins = np.linspace(-0.5, 1, 31)
        for n, ax in zip(counts, axes, strict=True):
            for name, colour in (("pairs", BLUE), ("closest", ORANGE)):
                ax.hist(arrays[f"{n}/{name}"], bins, density=True, color=colour, alpha=0.6)
            ax.set(title=f"N = {n:,}", yticks=[], xlabel="cosine")
        return figure


def shrinkage(results: Results, arrays: Arrays) -> list[Picture]:
    """Images, eigenvectors, eigenvalues, and energies left out, for each network."""
    pictures = []
    sigma = results["settings"]["sigma"]
    for name in results["networks"]:
        stored = {k.removeprefix(f"{name}/reading/"): v for k, v in arrays.items() if k.startswith(f"{name}/reading/")}
        left = {k.removeprefix("errors/"): v[1:] for k, v in stored.items() if k.startswith("errors/")}
        ordered, best = left.pop("eigenvectors, first M"), left.pop("eigenvectors, best M")
        bases = {"eigenbasis": best} | {key.lower(): value for key, value in left.items()}
        clean, eigenvalues = stored["clean"], stored["eigenvalues"]
        decibels = {key: -10 * np.log10(np.mean((stored[key] - clean) ** 2)) for key in ("noisy", "denoised")}
        images = {"clean": clean} | {f"{key}, {value:.1f} dB": stored[key] for key, value in decibels.items()}
        with plots.style():
            (factors, factors_axes), (energy, energy_axes) = plots.panels(6.6, 2.9), plots.panels(6.6, 3.2)
            draw_analysis.draw_shrinkage(eigenvalues, stored["coefficients"], sigma, factors_axes[0])
            draw_analysis.draw_energy_left_out(bases, ordered, energy_axes[0], BASES)
        said = draw_analysis.spectrum_of(results["networks"][name])
        draw_analysis.write_above(said, factors_axes[0])
        title = {"c_alpha": "C^alpha image", "photographs": "photograph"}[name]
        pictures += [
            Picture(
                f"shrinkage_{name}_images",
                draw_analysis.image_panels(images),
                f"A {title}, noisy, and denoised by the network.",
            ),
            Picture(
                f"shrinkage_{name}_eigenvectors",
                draw_analysis.eigenvector_panels(stored["atoms"], stored["atom_indices"], eigenvalues),
                f"Eigenvectors of the symmetric part of its Jacobian, by eigenvalue. {said}",
            ),
            Picture(
                f"shrinkage_{name}_factors",
                factors,
                f"Eigenvalues (red) and coefficients of the clean image (blue). {said}",
            ),
            Picture(
                f"shrinkage_{name}_approximation",
                energy,
                "Energy that M terms leave out, in the eigenbasis and in fixed bases.",
            ),
        ]
    return pictures


def near_optimal(results: Results, arrays: Arrays) -> list[Picture]:
    """Curves, slopes, eigenvectors."""
    return [
        Picture(
            "near_optimal_psnr",
            _optimality(results, arrays),
            "PSNR of the noisy image subtracted. Solid: oracles, which know the clean image. Dashed: thresholding at 3 "
            "sigma. Black: the best linear denoiser of somebody who knows the contour, on fewer images.",
        ),
        Picture(
            "near_optimal_slopes",
            _slopes(results),
            "Fitted slopes with 95 % intervals over images, each in the window 8 < M < d / 8 of its own curve. Dotted: "
            "alpha / (alpha + 1); dash-dotted: (alpha - 1) / alpha.",
        ),
        *(
            Picture(
                f"near_optimal_eigenvectors_{name}",
                _rows_of_atoms(
                    {
                        "network": arrays[f"{name}/atoms"],
                        "given contour": arrays[f"{name}/given_contour_atoms"],
                    },
                    arrays[f"{name}/clean"],
                ),
                f"alpha = {row['alpha']:g}: eigenvectors of the network's Jacobian, and of the best linear denoiser "
                "that knows the contour.",
            )
            for name, row in results["classes"].items()
            if row["convention"] == "holder"
        ),
    ]


def _optimality(results: Results, arrays: Arrays) -> "Figure":
    classes, sigmas = results["classes"], np.array(results["sigmas"])
    given = -20 * np.log10(sigmas)
    alphas = sorted({row["alpha"] for row in classes.values()})
    kinds = ("holder", "paper")
    with plots.style():
        figure, axes = plots.panels(2.9 * len(alphas), 5.2, 2, len(alphas))
        axes = axes.reshape(2, len(alphas))
        for name, row in classes.items():
            ax = axes[kinds.index(row["convention"]), alphas.index(row["alpha"])]
            for key, colour in COLOURS.items():
                if f"{name}/psnr.{key}" in arrays:
                    width = 2.4 if key == "network" else 1.2
                    ax.plot(given, arrays[f"{name}/psnr.{key}"] - given, _line(key), color=colour, lw=width, label=key)
            ax.axhline(0, color=GREY, lw=1, ls=":")
            ax.set(title=f"$\\alpha$ = {row['alpha']:g}, {row['convention']}")
        for ax in axes[-1]:
            ax.set_xlabel("input PSNR (dB)")
        for ax in axes[:, 0]:
            ax.set_ylabel("gain (dB)")
        lines = max((ax.get_lines() for ax in axes.flat), key=len)[:-1]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), fontsize=7)
        return figure


def _slopes(results: Results) -> "Figure":
    with plots.style():
        figure, axes = plots.panels(7.2, 3.0, 1, 2)
        alpha = np.linspace(1, 3.2, 50)
        for ax, kind in zip(axes, ("holder", "paper"), strict=True):
            rows = [row for row in results["classes"].values() if row["convention"] == kind]
            for shift, (name, colour) in enumerate(COLOURS.items()):
                fits = [(r["alpha"], r["slopes"][name]) for r in rows if "value" in r["slopes"].get(name, {})]
                if fits:
                    places = [a + 0.04 * (shift - 2) for a, _ in fits]
                    _bars(ax, places, [f for _, f in fits], colour, name, _line(name))
            ax.plot(alpha, alpha / (alpha + 1), color=GREY, ls=":")
            if kind == "paper":
                ax.plot(alpha, (alpha - 1) / alpha, color=GREY, ls="-.")
            ax.set(xlabel="$\\alpha$", title=kind, ylim=(0, 1))
        axes[0].set_ylabel("slope")
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
        return figure


def _line(method: str) -> str:
    """Dashed for what does not know the clean image but is no network."""
    return "--" if "thresholding" in method else "-"


def _rows_of_atoms(atoms: Mapping[str, np.ndarray], clean: np.ndarray, columns: int = 10) -> "Figure":
    with plots.style():
        figure, axes = plots.panels(0.85 * (columns + 1), 0.95 * len(atoms), len(atoms), columns + 1)
        axes = axes.reshape(len(atoms), columns + 1)
        for row, (name, images) in enumerate(atoms.items()):
            plots.image(clean - min(0.0, float(clean.min())), axes[row, 0], name)
            axes[row, 0].title.set_fontsize(7)
            for k in range(columns):
                axes[row, k + 1].set_axis_off()
                if k < len(images):
                    plots.signed_image(images[k], axes[row, k + 1])
        return figure


def manifolds(results: Results, arrays: Arrays) -> list[Picture]:
    """Eigenvalues, curves, tangent spaces."""
    return [
        Picture(
            "manifolds_eigenvalues",
            _spectra(results, arrays),
            "Eigenvalues of the networks' Jacobians at several images (thin) and their mean (thick). Dotted: the "
            "dimension of the manifold. Black: the exact posterior mean at one image.",
        ),
        Picture(
            "manifolds_psnr",
            _manifold_curves(results, arrays),
            "PSNR of the networks, of the optimal projection on the tangent space, 10 log10(d / k) above the input, "
            "and of the exact posterior mean of disks.",
        ),
        *(
            Picture(
                f"manifolds_{name}",
                _rows_of_atoms(
                    {"tangent space": arrays[f"{name}/tangent"], "network": arrays[f"{name}/atoms"]},
                    arrays[f"{name}/clean"],
                ),
                f"{name.replace('_', ' ').capitalize()}: an orthonormal basis of the tangent space, and the leading "
                "eigenvectors.",
            )
            for name in results["manifolds"]
        ),
    ]


def _spectra(results: Results, arrays: Arrays) -> "Figure":
    rows = results["manifolds"]
    with plots.style():
        figure, axes = plots.panels(8.4, 2.7, 1, len(rows))
        for ax, (name, row) in zip(axes, rows.items(), strict=True):
            values = arrays[f"{name}/eigenvalues"]
            index = np.arange(1, values.shape[1] + 1)
            ax.plot(index, values.T, color=VERMILION, alpha=0.25, lw=0.8)
            ax.plot(index, values.mean(axis=0), color=VERMILION, lw=2.2)
            if "exact_eigenvalues" in row:
                ax.plot(index, row["exact_eigenvalues"], color="black", lw=1)
            ax.axvline(row["k"] + 0.5, color=GREY, ls=":")
            ax.set(title=f"{name.replace('_', ' ')}, k = {row['k']}", xlabel="number of the eigenvalue")
        axes[0].set_ylabel("eigenvalue")
        return figure


def _manifold_curves(results: Results, arrays: Arrays) -> "Figure":
    rows, sigmas = results["manifolds"], np.array(results["sigmas"])
    given = -20 * np.log10(sigmas)
    with plots.style():
        figure, axes = plots.panels(8.4, 2.9, 1, len(rows))
        for ax, (name, row) in zip(axes, rows.items(), strict=True):
            ax.plot(given, arrays[f"{name}/psnr"], color=VERMILION, label="network")
            ax.plot(
                given,
                given + 10 * np.log10(row["dimension"] / row["k"]),
                color=BLUE,
                ls="--",
                label="risk $k\\sigma^2$",
            )
            if f"{name}/exact_psnr" in arrays:
                ax.plot(given, arrays[f"{name}/exact_psnr"], color="black", lw=1, label="posterior mean")
            _noisy(ax, given)
            ax.set_title(name.replace("_", " "))
        axes[0].set_ylabel("output PSNR (dB)")
        axes[0].legend()
        return figure


def shuffling(results: Results, arrays: Arrays) -> list[Picture]:
    """Curves, spectra, eigenvectors."""
    return [
        Picture(
            "shuffling_psnr",
            _shuffled(results, arrays),
            "Left: PSNR on C^alpha images, on the same images shuffled, and of the best linear denoiser, which is the "
            "same for both. Right: eigenvalues of the two Jacobians at one image.",
        ),
        Picture(
            "shuffling_eigenvectors",
            _rows_of_atoms({"plain": arrays["plain/atoms"], "shuffled": arrays["shuffled/atoms"]}, arrays["clean"]),
            "Leading eigenvectors at one image; those of the network for shuffled images are shown unshuffled.",
        ),
    ]


def _shuffled(results: Results, arrays: Arrays) -> "Figure":
    given = -20 * np.log10(results["sigmas"])
    with plots.style():
        figure, axes = plots.panels(7.2, 3.0, 1, 2)
        for name, colour in (("plain", VERMILION), ("shuffled", PURPLE), ("linear", BLUE)):
            axes[0].plot(given, arrays[f"{name}/psnr"], color=colour, label=name)
        _noisy(axes[0], given)
        axes[0].set_ylabel("output PSNR (dB)")
        axes[0].legend()
        for name, colour in (("plain", VERMILION), ("shuffled", PURPLE)):
            values = arrays[f"{name}/eigenvalues"]
            axes[1].plot(np.arange(1, len(values) + 1), values, color=colour, label=name)
        axes[1].set(xscale="log", xlabel="number of the eigenvalue", ylabel="eigenvalue")
        axes[1].legend()
        return figure


def _noisy(ax: "Axes", given: np.ndarray) -> None:
    """The axis of input PSNR, and the line of the noisy image."""
    ax.plot(given, given, color=GREY, lw=1, ls=":")
    ax.set_xlabel("input PSNR (dB)")


def _shades(n: int) -> list[Any]:
    from matplotlib import colormaps

    return [colormaps["viridis"](v) for v in np.linspace(0.0, 0.9, n)]
