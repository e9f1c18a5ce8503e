r"""
How fast M terms approximate an image
=====================================

The error of the best M terms decays like :math:`M^{-e}`, and theory knows the exponent :math:`e` of each basis on each
class of images. The oracle risk then has slope :math:`e / (e + 1)`. We measure the decay for all bases on all classes and
put the theory beside it. At sizes that fit into a computer the asymptotic exponents are mostly not visible, and the table
says so.
"""

# %%
# Curves
# ------
#
# Fixed bases have one curve. An adaptive dictionary has another best basis for each threshold :math:`T`, and its curve is
# that of :math:`M(T)` against the error at :math:`T`. There :math:`M` counts the geometry too: two parameters, an angle and
# a place in the quadtree, for each square with a flow, two for each line of a wedgelet, one for each split of a packet.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

size, images = 128, 4
thresholds = np.geomspace(2.0, 0.01, 16).tolist()
terms = np.unique(np.geomspace(10, 6000, 60).astype(int))


def fixed(basis: gt.Basis, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    return terms, gt.theory.approximation_error(basis, x, terms.tolist()).mean(dim=0).numpy()


def adaptive(dictionary: gt.Bandlet | gt.bases.WaveletPackets, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    points = []
    for T in thresholds:
        basis = dictionary.at(x, threshold=T)
        c = basis.analysis(x)
        if isinstance(basis, gt.Bandlet):
            geometry = 2 * int(basis.geometry.directional_leaves.sum())
        else:
            geometry = sum(int(split.sum()) for split in basis.splits)
        small = c.abs() <= T
        points.append(((int((~small).sum()) + geometry) / images, float((c * small).square().sum()) / images))
    m, error = np.array(points).T
    return m, error


def wedgelets(x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    points = []
    for T in np.geomspace(8.0, 0.05, 8).tolist():
        partition = gt.bases.Wedgelets(sizes=(2, 4, 8, 16)).at(x, threshold=T)
        error = (partition.project(x) - x).square().sum(dim=(1, 2, 3))
        points.append((float(partition.pieces.double().mean()), float(error.mean())))
    m, error = np.array(points).T
    return m, error


def curves(image_class: gt.ImageClass, x: torch.Tensor) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    patches = gt.bases.PatchPCA.fit(image_class.sample(64, seed=1).double(), size=8)
    return {
        "DCT": fixed(gt.DCT(), x),
        "block DCT": fixed(gt.bases.BlockDCT(8), x),
        "patch PCA": fixed(patches, x),
        "wavelets db4": fixed(gt.Wavelet("db4"), x),
        "wavelet packets": adaptive(gt.bases.WaveletPackets("db4", levels=4), x),
        "wedgelets": wedgelets(x),
        "bandlets": adaptive(gt.Bandlet("db4"), x),
    }


# %%
# Classes
# -------
#
# Geometric images of three regularities, disks, photographs; and one of the classes with its pixels shuffled: the best
# denoiser of that one is as good as before, but no basis here knows the permutation, and none approximates.

classes = {
    r"$C^1$ images": gt.CAlpha(alpha=1.0, size=size),
    r"$C^2$ images": gt.CAlpha(alpha=2.0, size=size),
    r"$C^3$ images": gt.CAlpha(alpha=3.0, size=size),
    "disks": gt.Disks(size=size),
    "photographs": gt.Photographs(size=size),
    r"$C^2$, shuffled": gt.Shuffled(gt.CAlpha(alpha=2.0, size=size), seed=0),
}
data = {name: image_class.sample(images, seed=2).double() for name, image_class in classes.items()}
results = {name: curves(classes[name], data[name]) for name in classes}

colours = {
    "DCT": plots.GREEN,
    "block DCT": "#56B4E9",
    "patch PCA": plots.PURPLE,
    "wavelets db4": plots.BLUE,
    "wavelet packets": "black",
    "wedgelets": plots.ORANGE,
    "bandlets": plots.VERMILION,
}
figure, axes = plt.subplots(2, 3, figsize=(9.2, 6.2), layout="constrained", sharex=True)
for ax, (name, found) in zip(axes.flat, results.items(), strict=True):
    energy = float((data[name] - data[name].mean(dim=(2, 3), keepdim=True)).square().sum()) / images
    for basis, (m, error) in found.items():
        ax.loglog(m, error / energy, color=colours[basis], lw=2 if basis == "bandlets" else 1.1, label=basis)
    ax.set(title=name, ylim=(1e-5, 1.5), xlim=(10, 6000))
for ax in axes[1]:
    ax.set_xlabel("number of terms M")
for ax in axes[:, 0]:
    ax.set_ylabel("energy outside")
axes[0, 0].legend(fontsize=7, loc="lower left")

# %%
# Theory and measurement
# ----------------------
#
# The exponents of theory, for images of regularity :math:`\alpha` away from contours of the same regularity. Logarithms
# are left out.
#
# =======================  ===========================  ==========================
# basis                    contours :math:`C^\alpha`    disks
# =======================  ===========================  ==========================
# Fourier, DCT, PCA        1/2                          1/2
# wavelets                 1                            1
# wedgelets                1 (constants on regions)     2
# bandlets, as here        min(:math:`\alpha`, 2)       2
# bandlets, full theory    :math:`\alpha`               as many as the flows bend
# =======================  ===========================  ==========================
#
# Measured are slopes in two windows of M. If they differ, neither is an asymptotic exponent.

windows = ((20, 200), (200, 2000))


def exponent(m: np.ndarray, error: np.ndarray, window: tuple[float, float]) -> float:
    inside = (m >= window[0]) & (m <= window[1]) & (error > 1e-9)
    if inside.sum() < 3:
        return float("nan")  # fewer than three points of the curve lie in the window
    return -float(np.polyfit(np.log(m[inside]), np.log(error[inside]), 1)[0])


alphas = {r"$C^1$ images": 1.0, r"$C^2$ images": 2.0, r"$C^3$ images": 3.0}


def theory(name: str, basis: str) -> str:
    if name not in alphas and name != "disks":
        return "-"
    edge = {"DCT": 0.5, "wavelets db4": 1.0, "bandlets": min(alphas.get(name, 2.0), 2.0), "wedgelets": 1.0}
    if name == "disks":
        edge["wedgelets"] = 2.0
    return f"{edge[basis]:.1f}" if basis in edge else "-"


print(f"{'class':16} {'basis':16} theory   M in 20..200   M in 200..2000")
for name, found in results.items():
    for basis, (m, error) in found.items():
        measured = [exponent(m, error, window) for window in windows]
        early, late = ("-" if np.isnan(slope) else f"{slope:.2f}" for slope in measured)
        print(f"{name:16} {basis:16} {theory(name, basis):>6} {early:>12} {late:>16}")

# %%
# What the figures say
# --------------------
#
# Bases of blocks pay 256 terms for the constants of their blocks before anything else, and wedgelets 64 for their largest
# squares. Where an edge is what remains, bandlets need the fewest terms, and the cosines of the whole image the most;
# between, at a hundred terms and for one smooth contour, the order is another.
#
# The slopes steepen from the first window to the second in almost every row: at 128 pixels there are too few scales
# between the size of the image and that of a pixel. With a few hundred terms all scales of an edge are kept, and what
# remains decays like the last scale, faster than any of the power laws. So the order of the bases at equal M is worth reading,
# and the slope is not evidence for or against an exponent. It would take thousands of pixels on a side. The slope of a
# field without edges is visible, because there all coefficients follow one power law:

fields = gt.CAlpha(alpha=2.0, size=size).scene(16, seed=3, dtype=torch.float64).backgrounds[:, :1]
fit = gt.theory.decay_exponent(gt.DCT(), fields, window=(30, 1000))
print(f"backgrounds of regularity 2 alone, DCT: {fit}")
