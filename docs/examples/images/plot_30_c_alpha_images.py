r"""
Geometric images: contours and regions
======================================

A :math:`C^\alpha` image is made of regions with backgrounds of regularity :math:`\beta`, between contours of regularity
:math:`\alpha`. The optimal denoiser has the PSNR slope :math:`a / (a + 1)`, :math:`a = \min(\alpha, \beta)`.
"""

# %%
# One contour or several, open or closed
# --------------------------------------
#
# Graphs are tilted alternately, so that neighbours cross. Every region has a background of its own, and the means of
# neighbours differ by at least ``jump``. Contour and background may differ in regularity.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

classes = {
    "alpha = 1, one graph": gt.CAlpha(alpha=1.0),
    "alpha = 3, three graphs": gt.CAlpha(alpha=3.0, contours=3),
    "alpha = 2, closed": gt.CAlpha(alpha=2.0, contour="closed"),
    "alpha = 2, three closed": gt.CAlpha(alpha=2.0, contour="closed", contours=3),
    "alpha = 1.5, beta = 8": gt.CAlpha(alpha=1.5, beta=8.0),
    "alpha = 4, beta = 1": gt.CAlpha(alpha=4.0, beta=1.0),
}
figure, axes = plt.subplots(6, 8, figsize=(8.4, 7.4), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, (name, image_class) in zip(axes, classes.items(), strict=True):
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy(), strict=True):
        plots.image(picture, ax)
    label = f"{name}; optimal slope {image_class.optimal_slope:.3f}"
    title = row[0].annotate(label, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# The contour as a function
# -------------------------
#
# ``scene`` gives the contours as functions: points, normals and curvature at any parameter, whatever the pixels. The
# coverage is the exact area of each pixel on one side.

size = 48
t = torch.linspace(0, 1, 400)
figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.6), layout="constrained")
for pair, kind in zip(axes.reshape(2, 2), ("graph", "closed"), strict=True):
    scene = gt.CAlpha(alpha=3.0, size=size, contour=kind).scene(1, seed=4)
    row, column = size * scene.contours.points(t)[0, 0].T - 0.5
    plots.image(scene.coverage[0].numpy(), pair[0], f"coverage, {kind}")
    pair[0].plot(column, row, color=plots.VERMILION, lw=1.5)
    normals = scene.contours.normals(t[::20])[0, 0]
    pair[0].quiver(column[::20], row[::20], normals[:, 1], -normals[:, 0], color=plots.BLUE, scale=14, width=0.008)
    pair[1].plot(t, scene.contours.curvature(t)[0, 0], color=plots.VERMILION)
    pair[1].set(title=f"curvature, {kind}", xlabel="parameter t")

# %%
# One scene at any size
# ---------------------
#
# The coefficients do not depend on the number of pixels. Means over 2 x 2 pixels of the larger image give the smaller
# one, but for the frequencies it cannot hold.

print("root mean square difference between an image of n x n pixels and the reduced one of 2n x 2n:")
for alpha in (1.0, 2.0, 3.0):
    scenes = [gt.CAlpha(alpha=alpha, size=n).sample(20, seed=2) for n in (32, 64, 128)]
    reduced = [torch.nn.functional.avg_pool2d(x, 2) for x in scenes[1:]]
    errors = [float((a - b).square().mean().sqrt()) for a, b in zip(scenes, reduced, strict=False)]
    print(f"  alpha = {alpha:g}: {errors[0]:.5f} at n = 32, {errors[1]:.5f} at n = 64")

# %%
# The covariance, given the contour
# ---------------------------------
#
# Given its contours an image has an exactly known covariance. Its eigenvectors are harmonics of the two regions, cut at
# the contour: this is the basis of the best linear denoiser which knew the contour. The means of the regions are not
# Gaussian, so that a nonlinear one does better still, and the risk of the linear one bounds nothing.

scene = gt.CAlpha(alpha=2.0, size=32).scene(1, seed=6, dtype=torch.float64)
values, vectors = torch.linalg.eigh(scene.covariance.matrix()[0])
figure, axes = plt.subplots(1, 8, figsize=(9.6, 1.6), layout="constrained")
plots.image(scene.images[0].numpy(), axes[0], "image")
for k, ax in enumerate(axes[1:], start=1):
    plots.signed_image(vectors[:, -k].reshape(1, 32, 32).numpy(), ax, f"variance {float(values[-k]):.2g}")

# %%
# Verification
# ------------
#
# Wavelet coefficients across octaves measure the regularity. Away from the contour it is that of the backgrounds; the
# largest coefficients sit on the contour and do not decay, which is the exponent 0 of a jump.

figure, ax = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
for beta, colour in ((1.0, plots.ORANGE), (2.0, plots.BLUE), (3.0, plots.GREEN)):
    scene = gt.CAlpha(alpha=3.0, beta=beta, size=512).scene(6, seed=3, dtype=torch.float64)
    edges = (scene.coverage > 0) & (scene.coverage < 1)
    away = gt.theory.estimate_regularity(scene.images, edges=edges, wavelet="db4")
    octaves = np.arange(away.octaves[0], away.octaves[1] + 1)
    ax.plot(octaves, np.log2(away.energy) / 2 - octaves, "o-", color=colour, label=f"beta = {beta:g}")
    print(f"beta = {beta:g}: {away.exponent:.2f} in [{away.low:.2f}, {away.high:.2f}] away from the contour")
ax.set(xlabel="octave j", ylabel="log2 of coefficients, 2$^{-j}$ d$_j$", xticks=octaves)
ax.legend()

sharp = gt.Disks(size=512, edge="area").sample(4, dtype=torch.float64)
print(f"across the edge of disks: {gt.theory.estimate_regularity(sharp, wavelet='db2', octaves=(3, 6)).uniform:.2f}")

# sphinx_gallery_thumbnail_number = 1
