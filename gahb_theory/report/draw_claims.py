"""Figures of the decided claims, from the kept verdicts alone: null models are grey, panels that are compared share axes."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.judged_measures import decibels
from gahb_theory.report.draw_budget import draw_limits
from gahb_theory.report.draw_eigenvectors import atoms_in_rows
from gahb_theory.stored_results import read_arrays

__all__ = ["draw"]

GREY, PLAIN, SYMMETRIC, EXACT = "0.6", "C0", "C3", "black"
STYLES = {
    "plain": (PLAIN, "o", "plain"),
    "conservative": (SYMMETRIC, "s", "conservative"),
    "bfcnn": ("C2", "^", "BF-CNN"),
}
TALLEST = 8.0
"""Decibels; untrained networks are far above."""


def draw(rows: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Draw what there is; captions by file name."""
    import matplotlib.pyplot as plt

    found = {}
    for name, function, caption in FIGURES:
        figure = function(rows, folder)
        if figure is not None:
            figure.savefig(folder / name, dpi=130)
            plt.close(figure)
            found[name] = caption
    return found


def _noise_axis(ax: Any, sigmas: Sequence[float]) -> None:
    ax.set(xscale="log", xlabel="noise level $\\sigma$")
    ax.set_xticks(sigmas, [f"{s:g}" for s in sigmas])
    ax.minorticks_off()


def _legend_below(figure: Any, axes: Any) -> None:
    """One legend for all panels, below them, each label once."""
    found = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    columns = int(figure.get_figwidth() // 1.8)
    figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=columns, fontsize=7, frameon=False)


def _near(rows: Mapping[str, Any]) -> dict[float, dict[str, Any]]:
    """Rows "near, alpha = A, KIND" by alpha and kind."""
    found: dict[float, dict[str, Any]] = {}
    for key, row in rows.items():
        if key.startswith("near, ") and not key.endswith("budget"):
            _, alpha, kind = key.split(", ")
            found.setdefault(float(alpha.removeprefix("alpha = ")), {})[kind] = row
    return dict(sorted(found.items()))


def _optimum(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    near = _near(rows)
    if not near:
        return None
    figure, axes = plt.subplots(
        1, len(near), figsize=(3 * len(near), 3.2), sharey=True, layout="constrained", squeeze=False
    )
    for ax, (alpha, kinds) in zip(axes[0], near.items(), strict=True):
        drawn = set()
        for place, (kind, row) in enumerate(kinds.items()):
            levels = np.array(row["levels"])
            middle, low, high = (np.array([decibels(v) for v in levels[:, k]]) for k in (1, 2, 3))
            colour, marker, label = STYLES[kind]
            x, error = levels[:, 0] * 1.05**place, [middle - low, high - middle]
            seen = re.search(r"after [\d,]+ images", row["statement"])
            judged = label if seen is None else f"{label}, {seen[0]}"
            ax.errorbar(x, middle, error, color=colour, marker=marker, ms=4, capsize=2, label=judged)
            for name, values in row["reference"]["dB_of_others"].items():
                if name.endswith("seed 0"):
                    style = ":" if name.startswith("64") else "-."
                    ax.plot(levels[:, 0], values, color=colour, ls=style, lw=1, label=f"{label}, {name}")
                elif name not in drawn and min(values) < TALLEST and kind == "plain":
                    drawn.add(name)
                    style = {"Wiener filter": "-", "untrained": ":"}.get(name, "--")
                    ax.plot(levels[:, 0], values, color=GREY, ls=style, label=name)
        ax.axhline(0, color=EXACT, lw=1)
        ax.set(title=f"$\\alpha$ = {alpha:g}", ylim=(-0.3, TALLEST))
        _noise_axis(ax, (0.03, 0.1, 0.3))
    axes[0, 0].set_ylabel("risk above the\nBayes interval (dB)")
    _legend_below(figure, axes[0])
    return figure


def _slopes(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    found = {key: row for key, row in rows.items() if key.startswith("slope, ") and not key.endswith("budget")}
    found = {key: row for key, row in found.items() if "slopes" in row.get("reference", {})}
    if not found:
        return None
    figure, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
    fine = np.linspace(0.9, 3.1, 100)
    ax.plot(fine, fine / (fine + 1), color=EXACT, ls=":", label="$\\alpha/(\\alpha+1)$")
    shown: set[float] = set()
    for key, row in found.items():
        alpha, kind = float(key.split(", ")[1].removeprefix("alpha = ")), key.split(", ")[2]
        best, error = row["reference"]["slope_of_optimum"], row["reference"]["slope_error"]
        slopes = row["reference"]["slopes"]
        if alpha not in shown:
            label = None if shown else "exact optimum, 16 pixels"
            ax.errorbar([alpha], [best], [2 * error], color=EXACT, marker="D", ms=5, capsize=3, label=label)
            for name, marker in (("Wiener filter", "x"), ("untrained", "+"), ("network of 2,000 images", "1")):
                ax.plot(
                    [alpha], [np.mean(slopes[name])], color=GREY, marker=marker, ls="", label=None if shown else name
                )
            shown.add(alpha)
        colour, marker, label = STYLES[kind]
        shift = {"plain": 0.05, "conservative": 0.1, "bfcnn": 0.15}[kind]
        known = label in ax.get_legend_handles_labels()[1]
        seeds = slopes["networks"]
        ax.plot(
            [alpha + shift] * len(seeds),
            seeds,
            color=colour,
            marker=marker,
            ms=4,
            ls="",
            label=None if known else label,
        )
    ax.set(xlabel="regularity $\\alpha$", ylabel="PSNR slope over $\\sigma$ in [0.03, 0.3]")
    _legend_below(figure, [ax])
    return figure


def _manifolds(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    found = {name: rows[f"extra, {name}"] for name in ("disks", "ray", "sine_cone") if f"extra, {name}" in rows}
    if not found:
        return None
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.3 * len(found), 3.2), sharey=True, layout="constrained", squeeze=False
    )
    styles = {
        "networks": (PLAIN, "o"),
        "exact optimum": (EXACT, "D"),
        "Wiener filter": (GREY, ""),
        "untrained": (GREY, ""),
    }
    for ax, (name, row) in zip(axes[0], found.items(), strict=True):
        for model, values in row["reference"]["eigenvalues"].items():
            colour, marker = styles[model]
            dashes = ":" if model == "untrained" else "-"
            ax.plot(range(1, len(values) + 1), values, color=colour, marker=marker, ms=3, ls=dashes, label=model)
        ax.axhspan(0.2, 0.8, color="0.95", zorder=0)
        ax.set(
            xlabel="rank k",
            title=f"{name.replace('_', ' ')}, $\\sigma$ = {row['reference']['levels'][0]:g}",
            ylim=(-0.1, 1.4),
        )
    axes[0, 0].set_ylabel("eigenvalue $\\lambda_k$ of $(J + J^T)/2$")
    _legend_below(figure, axes[0])
    return figure


def _geometry(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    found = {kind: rows[f"own, {kind}"] for kind in STYLES if f"own, {kind}" in rows}
    if not found:
        return None
    figure, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    for place, (kind, row) in enumerate(found.items()):
        levels = np.array(row["levels"])
        colour, marker, label = STYLES[kind]
        error = [levels[:, 1] - levels[:, 2], levels[:, 3] - levels[:, 1]]
        ax.errorbar(
            levels[:, 0] * 1.03 ** (place + 1),
            levels[:, 1],
            error,
            color=colour,
            marker=marker,
            ms=4,
            capsize=2,
            label=label,
        )
    reference = next(iter(found.values()))["reference"]
    sigmas = reference["levels"]
    ax.plot(
        sigmas,
        reference["energy of the exact posterior, by level"],
        color=EXACT,
        marker="D",
        ms=4,
        label="exact posterior",
    )
    bandlets = reference["energy of bandlets of the clean image, by level"]
    ax.plot(sigmas, bandlets, color="C1", marker="v", ms=4, label="bandlets of the clean image")
    for (kind, row), style in zip(found.items(), (":", "--", "-."), strict=False):
        nothing = row["reference"]["energy of untrained networks"]
        ax.plot(sigmas, nothing, color=GREY, ls=style, label=f"{STYLES[kind][2]}, untrained")
    ax.axhline(0, color=GREY, label="Wiener filter, one basis for all images")
    ax.set_ylabel("energy in 8 vectors of the own basis,\nless what others' let expect")
    _noise_axis(ax, sigmas)
    _legend_below(figure, [ax])
    return figure


def _training(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    row = rows.get("geometry during training")
    if row is None:
        return None
    figure, (first, second) = plt.subplots(1, 2, figsize=(7.2, 3.2), layout="constrained")
    energy = {int(n): v for n, v in row["reference"]["own energy by images seen"].items()}
    risk = {int(n): v for n, v in row["reference"]["dB above the optimum by images seen"].items()}
    seen = sorted(energy)
    for values in zip(*(energy[n] for n in seen), strict=True):
        first.plot([max(n, 500) for n in seen], values, color=PLAIN, marker="o", ms=3)
    second.plot([max(n, 500) for n in seen], [risk[n] for n in seen], color=PLAIN, marker="o", ms=3)
    for ax in (first, second):
        ax.set(xscale="log", xlabel="images seen")
        ax.set_xticks([500, 1000, 4000, 16_000, 32_000], ["none", "1,000", "4,000", "16,000", "32,000"], fontsize=6)
        ax.minorticks_off()
        ax.axhline(0, color=GREY if ax is first else EXACT, lw=1)
    first.set(ylabel="energy in the own basis\nless what others' let expect")
    first.set_title("three seeds; Wiener filter in grey", fontsize=8)
    second.set(ylabel="risk above the optimum (dB)")
    second.set_title("mean of the seeds; optimum in black", fontsize=8)
    return figure


def _shuffled(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    row, near = rows.get("shuffled, excess"), rows.get("near, alpha = 2, plain")
    if row is None:
        return None
    figure, ax = plt.subplots(figsize=(5.4, 3.6), layout="constrained")
    sigmas = row["reference"]["levels"]
    for k, (name, values) in enumerate(row["reference"]["dB above the optimum"].items()):
        ax.plot(
            sigmas, values, color="C1" if k < 2 else PLAIN, ls="-" if k % 2 == 0 else ":", marker="o", ms=4, label=name
        )
    if near is not None:
        ax.plot(sigmas, near["reference"]["dB_of_others"]["Wiener filter"], color=GREY, label="Wiener filter, either")
    ax.axhline(0, color=EXACT, lw=1)
    ax.set_ylabel("risk above the optimum (dB)")
    _noise_axis(ax, sigmas)
    _legend_below(figure, [ax])
    return figure


def _contours(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    row = rows.get("roughness of contours")
    if row is None:
        return None
    levels, errors = row["reference"]["levels"], row["reference"]["mean squared error near and away"]
    styles = {"networks": (PLAIN, "o", ""), "exact optimum": (EXACT, "D", "-"), "Wiener filter": (GREY, "x", "-")}
    columns = 2 * len(levels)
    figure, axes = plt.subplots(1, columns, figsize=(2.2 * columns, 3), sharey=True, layout="constrained")
    for k, ax in enumerate(axes):
        level, place = divmod(k, 2)
        for name, by_alpha in errors.items():
            colour, marker, line = styles[name]
            alphas = [float(a) for a in by_alpha]
            values = -10 * np.log10([[one[level][place] for one in found] for found in by_alpha.values()])
            for seed, own in enumerate(values.T):
                ax.plot(alphas, own, color=colour, marker=marker, ms=4, ls=line or ":", label=None if seed else name)
        ax.set(xlabel="regularity of the contour", xscale="log")
        ax.set_xticks(alphas, [f"{a:g}" for a in alphas])
        ax.minorticks_off()
        ax.set_title(f"{('within two pixels', 'elsewhere')[place]}, $\\sigma$ = {levels[level]:g}", fontsize=8)
    axes[0].set_ylabel("PSNR (dB)")
    _legend_below(figure, axes)
    return figure


def _at_contours(rows: Mapping[str, Any], folder: Path) -> Any:
    arrays = read_arrays(folder / "contours.npz")
    if not arrays:
        return None
    names = {
        name.removesuffix("/atoms"): f"regularity {name.split('/')[0]}" for name in arrays if name.endswith("/atoms")
    }
    found = {label: (arrays[f"{a}/atoms"], arrays[f"{a}/eigenvalues"]) for a, label in names.items()}
    return atoms_in_rows(found, {label: arrays[f"{a}/clean"] for a, label in names.items()})


def _eigenvectors(rows: Mapping[str, Any], folder: Path) -> Any:
    import matplotlib.pyplot as plt

    arrays = read_arrays(folder / "eigenvectors.npz")
    if not arrays:
        return None
    names = [n for n in ("exact posterior", "plain network", "conservative network", "Wiener filter", "untrained network")
             if f"{n}/vectors" in arrays]  # fmt: skip
    count = len(arrays[f"{names[0]}/vectors"])
    size = arrays["clean"].shape[0]
    figure, axes = plt.subplots(
        len(names), count + 1, figsize=(1.15 * (count + 1), 1.35 * len(names)), layout="constrained"
    )
    for line, name in zip(axes, names, strict=True):
        null = name in ("Wiener filter", "untrained network")
        line[0].imshow(arrays["clean"], cmap="gray", vmin=0, vmax=1)
        line[0].set_title(name, fontsize=6)
        for k in range(count):
            vector = arrays[f"{name}/vectors"][k].reshape(size, size)
            bound = np.abs(vector).max()
            line[k + 1].imshow(vector, cmap="gray" if null else "RdBu_r", vmin=-bound, vmax=bound)
            match = "" if name == "exact posterior" else f"\n|<u,v>| = {arrays[f'{name}/matches'][k]:.2f}"
            line[k + 1].set_title(f"$\\lambda$ = {arrays[f'{name}/values'][k]:.2f}{match}", fontsize=6)
        for ax in line:
            ax.axis("off")
    return figure


FIGURES = (
    (
        "optimum.png",
        _optimum,
        "Risk above the Bayes interval of C^alpha images, 16 pixels; intervals over 3 seeds, 32 images. Null models in grey; "
        "untrained networks, and those of 2,000 images, are beyond the axis where they are not drawn. Dotted, one seed of "
        "another budget.",
    ),
    (
        "slopes.png",
        _slopes,
        "PSNR slopes over one window, a mark for each seed, moved to the right of its alpha, beside that of the exact optimum "
        "and alpha / (alpha + 1).",
    ),
    (
        "shuffled.png",
        _shuffled,
        "The same network on images and on the same images with shuffled pixels, whose optimum is the same.",
    ),
    (
        "manifolds.png",
        _manifolds,
        "Eigenvalues on manifolds of dimension 5, 1 and 2; those in the shaded part are neither kept nor removed.",
    ),
    (
        "limits.png",
        draw_limits,
        "Eigenvalues in (.2, .8) more than the optimum has, and risk above the optimum, after ever longer training; three "
        "seeds, and the limit of a power of the budget beside a constant, whose interval is nominal.",
    ),
    (
        "geometry.png",
        _geometry,
        "How much better the basis of the same image is than those of others, at five noise levels, 32 images.",
    ),
    (
        "training.png",
        _training,
        "When eigenbases become geometric, and how far the networks are from the optimum, at sigma = 0.1.",
    ),
    (
        "contours.png",
        _contours,
        "PSNR within two pixels of contours of three regularities, and elsewhere, on the same backgrounds and with the same "
        "noise; 32 images, a line for each of three networks.",
    ),
    (
        "contour_eigenvectors.png",
        _at_contours,
        "Leading eigenvectors of small networks at one noisy image, sigma = 0.2, whose contour has regularity 1.5, 2 or 4 on "
        "the same background.",
    ),
    (
        "eigenvectors.png",
        _eigenvectors,
        "Eigenvectors at one noisy image, sigma = 0.1, at their best match with those of the exact posterior, signs aligned; "
        "clean image on the left; null models in grey.",
    ),
)
