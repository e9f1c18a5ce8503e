r"""Spectra of the Jacobians of two networks that others trained and published, at a photograph.

    python experiments/published_spectra.py weights=FOLDER photographs=FOLDER [size=80]    measure and draw
    python experiments/published_spectra.py                                               draw again what was measured

The denoiser of Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda (ICLR 2020), a bias-free UNet, and the noise predictor of
Kadkhodaie, Guth, Mallat and Simoncelli (ICLR 2023), a bias-free CNN of receptive field 43 x 43 trained on faces. Weights are
read from the files the authors published, photographs from the folder of the test set Set12; neither comes with the library.

For each network and noise level, on a crop of size x size pixels, 48 x 48 in the results kept here: all eigenvalues of
S = (J + J^T) / 2 and all singular values of J, with ||J - J^T|| / ||J||, ||J y - f(y)|| / ||f(y)||,
||J^T y - f(y)|| / ||f(y)||,
tr J, and the PSNR of S y beside that of f(y). The complex eigenvalues of J, which cost ten times as much, on the 32 x 32
pixels in the middle of it. About three minutes of one core at size 48, half an hour at size 80. Writes tables into
experiments/results/published and figures into docs/images.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gahb_theory as gt
from gahb_theory import runs, stored_results
from gahb_theory.report import figures as plots

NETWORKS = {
    "UNet": ("bfdenoising_unet_biasfree_0-100.pt", "bias-free UNet (2020)"),
    "CNN": ("localprob_celeba160_bfcnn_rf43.pt", "bias-free CNN, faces (2023)"),
}
PHOTOGRAPH, CENTRE, SIZE, MIDDLE = "01.png", (72, 118), 48, 32
SIGMAS = (10, 30, 50, 100)
SHOWN, SHOWN_SIGMA = (0, 1, 3, 7, 15, 31, 63, 127, 255), 50
HERE = Path(__file__).parent
RESULTS, IMAGES = HERE / "results" / "published", HERE.parent / "docs" / "images"


def photograph(folder: Path, size: int) -> Tensor:
    """The crop, shape (1, 1, size, size)."""
    top, left = (c - size // 2 for c in CENTRE)
    return gt.read_image(folder / PHOTOGRAPH)[:, :, top : top + size, left : left + size].contiguous()


def read(f: Any, x: Tensor, level: int) -> tuple[dict[str, float], dict[str, Tensor]]:
    """What the Jacobian at one noise level says: numbers, and spectra with some eigenvectors."""
    sigma = level / 255
    y = gt.add_noise(x, sigma, seed=0)
    J = gt.jacobian(f, y, sigma)
    homogeneity = J.homogeneity_error()
    matrix, output = J.matrix(), J.output.flatten()
    E, singular = J.eigenbasis(), torch.linalg.svdvals(J.matrix())
    edge = (x.shape[2] - MIDDLE) // 2
    middle = slice(edge, edge + MIDDLE)
    complex_part = gt.jacobian(f, y[:, :, middle, middle].contiguous(), sigma).eig()
    said = J.reproduction(x)
    numbers = {
        "psnr": said.psnr,
        "psnr_shrinkage": said.psnr_shrinkage,
        "reproduction": said.error,
        "asymmetry": J.asymmetry(),
        "homogeneity": homogeneity,
        "transposed": float((matrix.mT @ y.flatten() - output).norm() / output.norm()),
        "trace": J.trace(),
        "largest": float(E.eigenvalues[0]),
        "smallest": float(E.eigenvalues[-1]),
        "norm": float(singular[0]),
        "negative": float((E.eigenvalues < 0).double().mean()),
        "above_half": int((E.eigenvalues > 0.5).sum()),
        "complex_mass": complex_part.complex_mass,
        "departure": complex_part.departure,
        "residual": float(E.residuals.max()),
    }
    arrays = {"eigenvalues": E.eigenvalues, "singular": singular, "complex": torch.view_as_real(complex_part.values)}
    if level == SHOWN_SIGMA:
        arrays |= {"atoms": E.atom_images(SHOWN)[:, 0], "output": J.output[0, 0], "noisy": y[0, 0]}
    return numbers, arrays


def measure(weights: Path, photographs: Path, size: int) -> None:
    """Measure both networks and store the tables."""
    x, rows, arrays = photograph(photographs, size), [], {}
    for name, (file, _) in NETWORKS.items():
        f = gt.load_denoiser(weights / file)
        for level in SIGMAS:
            numbers, found = read(f, x, level)
            rows.append({"network": name, "sigma": level, **{key: round(v, 8) for key, v in numbers.items()}})
            arrays |= {f"{name}/{level}/{key}": value.numpy() for key, value in found.items()}
            print(rows[-1], flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    runs.write_json(
        RESULTS / "summary.json",
        {
            "photograph": PHOTOGRAPH,
            "centre": CENTRE,
            "size": size,
            "middle": MIDDLE,
            "rows": rows,
            "versions": runs.versions(),
        },
    )
    spectra = []
    for name in NETWORKS:
        for level in SIGMAS:
            values, singular = (arrays[f"{name}/{level}/{key}"] for key in ("eigenvalues", "singular"))
            for rank in np.unique(np.geomspace(1, len(values), 150).round().astype(int)):
                pair = {"eigenvalue": f"{values[rank - 1]:.5g}", "singular_value": f"{singular[rank - 1]:.5g}"}
                spectra.append({"network": name, "sigma": level, "rank": int(rank), **pair})
    runs.write_csv(RESULTS / "spectra.csv", spectra)
    runs.write_bytes(RESULTS / "table.md", table(rows).encode())
    kept = {key: a.astype("float16") for key, a in arrays.items() if not key.endswith(("eigenvalues", "singular"))}
    stored_results.write_arrays(RESULTS / "pictures.npz", {"clean": x[0, 0].numpy().astype("float16"), **kept})


def table(rows: list[dict[str, Any]]) -> str:
    """The numbers as a Markdown table."""
    lines = [
        r"| network | $255 \sigma$ | $\frac{\lVert J - J^T\rVert}{\lVert J\rVert}$ | complex mass | "
        r"$\frac{\lVert J y - f\rVert}{\lVert f\rVert}$ | $\frac{\lVert J^T y - f\rVert}{\lVert f\rVert}$ | $\mathrm{tr} J$ | "
        r"largest, smallest $\lambda$ | $\lVert J\rVert_2$ | $\lambda < 0$ | PSNR of $f(y)$, of $S y$ (dB) |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['network']} | {row['sigma']} | {row['asymmetry']:.2f} | {row['complex_mass']:.0%} | "
            f"{row['homogeneity']:.0e} | {row['transposed']:.2f} | {row['trace']:.0f} | "
            f"{row['largest']:.2f}, {row['smallest']:.2f} | {row['norm']:.2f} | {row['negative']:.0%} | "
            f"{row['psnr']:.1f}, {row['psnr_shrinkage']:.1f} |"
        )
    return "\n".join(lines) + "\n"


def draw() -> None:
    """The three figures of the documentation."""
    from matplotlib.figure import Figure

    with (RESULTS / "spectra.csv").open() as file:
        spectra = list(csv.DictReader(file))
    pictures = {key: a.astype("float32") for key, a in stored_results.read_arrays(RESULTS / "pictures.npz").items()}
    eigenvalues = {(row["network"], int(row["sigma"])): [] for row in spectra}
    singular = {key: [] for key in eigenvalues}
    ranks = sorted({int(row["rank"]) for row in spectra})
    for row in spectra:
        key = row["network"], int(row["sigma"])
        eigenvalues[key].append(float(row["eigenvalue"]))
        singular[key].append(float(row["singular_value"]))

    numbers = {(row["network"], row["sigma"]): row for row in runs.read_json(RESULTS / "summary.json")["rows"]}
    figure = Figure(figsize=(9.0, 3.8), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (name, (_, title)) in zip(axes, NETWORKS.items(), strict=True):
        for level, colour in zip(SIGMAS, (plots.BLUE, plots.GREEN, plots.ORANGE, plots.VERMILION), strict=True):
            ax.plot(ranks, eigenvalues[name, level], color=colour, label=f"{level}")
            ax.plot(ranks, singular[name, level], ":", color=colour)
        ax.axhline(0, color="black", lw=0.5)
        said = "\n".join(
            f"PSNR of {word}: {', '.join(f'{numbers[name, s][key]:.1f}' for s in SIGMAS)} dB"
            for key, word in (("psnr", "f(y)"), ("psnr_shrinkage", "S y"))
        )
        ax.set(title=f"{title}\n{said}", xscale="log", xlabel="rank")
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("eigenvalues of S (lines), singular values of J (dots)")
    axes[0].yaxis.label.set_fontsize(8)
    axes[1].legend(title="$255\\,\\sigma$")
    save(figure, "published_spectra.png")

    figure = Figure(figsize=(12.0, 2.8), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.1)
    axes = figure.subplots(2, 3 + len(SHOWN))
    for row, name in zip(axes, NETWORKS, strict=True):
        stem = f"{name}/{SHOWN_SIGMA}"
        for ax, key, title in zip(
            row, ("clean", f"{stem}/noisy", f"{stem}/output"), ("clean", "noisy", name), strict=False
        ):
            plots.image(pictures[key][None], ax, title)
        n = numbers[name, SHOWN_SIGMA]
        row[3].annotate(
            f"of S = (J + J')/2; PSNR of S y {n['psnr_shrinkage']:.1f} dB, of f(y) {n['psnr']:.1f} dB",
            (0, -0.05), xycoords="axes fraction", va="top", fontsize=8, annotation_clip=False,
        ).set_in_layout(False)  # fmt: skip
        for ax, k, atom in zip(row[3:], SHOWN, pictures[f"{stem}/atoms"], strict=True):
            # the table holds every rank of a few, and neighbours of the others
            value = float(np.interp(k + 1, ranks, eigenvalues[name, SHOWN_SIGMA]))
            plots.signed_image(atom[None], ax, f"$\\lambda_{{{k + 1}}}$ = {value:.2f}")
    save(figure, "published_eigenvectors.png")

    figure = Figure(figsize=(8.0, 2.7), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, (name, (_, title)) in zip(axes, NETWORKS.items(), strict=True):
        real, imaginary = pictures[f"{name}/{SHOWN_SIGMA}/complex"].T
        twisted = imaginary != 0
        ax.plot(real[twisted], imaginary[twisted], ".", ms=2.5, color=plots.VERMILION, label="complex")
        ax.plot(real[~twisted], imaginary[~twisted], ".", ms=2.5, color=plots.BLUE, label="real")
        ax.set(title=title, xlabel="real part")
    axes[0].set_ylabel("imaginary part")
    axes[0].legend(loc="upper right", markerscale=2)
    save(figure, "published_complex.png")


def save(figure: Any, name: str) -> None:
    """Write a figure as a small PNG."""
    import io

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    runs.write_bytes(IMAGES / name, buffer.getvalue())


if __name__ == "__main__":
    given = dict(a.split("=", 1) for a in sys.argv[1:])
    if given:
        measure(Path(given["weights"]), Path(given["photographs"]), int(given.get("size", SIZE)))
    draw()
