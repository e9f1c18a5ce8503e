r"""
Geometric images: contours and regions
======================================

A :math:`C^\alpha` image is made of regions with backgrounds of regularity :math:`\beta`, between contours of regularity
:math:`\alpha`. The optimal denoiser has the PSNR slope :math:`a / (a + 1)`, :math:`a = \min(\alpha, \beta)`.
"""

# %%
# Graphs are tilted alternately, so that neighbours cross. Every region has a background of its own, and the means of
# neighbours differ by at least ``jump``. Contour and background may differ in regularity.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures

classes = {
    "alpha = 1, one graph": gt.CAlpha(alpha=1.0),
    "alpha = 3, three graphs": gt.CAlpha(alpha=3.0, contours=3),
    "alpha = 2, three closed": gt.CAlpha(alpha=2.0, contour="closed", contours=3),
    "alpha = 1.5, beta = 8": gt.CAlpha(alpha=1.5, beta=8.0),
    "alpha = 4, beta = 1": gt.CAlpha(alpha=4.0, beta=1.0),
}
figures.gallery(
    {f"{name}; optimal slope {X.optimal_slope:.3f}": X.sample(8, seed=1).numpy() for name, X in classes.items()}
)

# %%
# The contour as a function
# -------------------------
#
# ``scene`` gives the contours as functions: points, normals and curvature at any parameter, whatever the pixels. The
# coverage is the exact area of each pixel on one side.

size, t = 48, torch.linspace(0, 1, 400)
figure, axes = plt.subplots(1, 2, figsize=(5.2, 2.6), layout="constrained")
for ax, kind in zip(axes, ("graph", "closed"), strict=True):
    scene = gt.CAlpha(alpha=3.0, size=size, contour=kind).scene(1, seed=4)
    row, column = size * scene.contours.points(t)[0, 0].T - 0.5
    normals = scene.contours.normals(t[::20])[0, 0]
    figures.image(scene.coverage[0].numpy(), ax, f"coverage, {kind}")
    ax.plot(column, row, color=figures.VERMILION, lw=1.5)
    ax.quiver(column[::20], row[::20], normals[:, 1], -normals[:, 0], color=figures.BLUE, scale=14, width=0.008)

# %%
# The covariance, given the contour
# ---------------------------------
#
# Given its contours an image has an exactly known covariance. Its eigenvectors are harmonics of the two regions, cut at
# the contour: the basis of the best *linear* denoiser which knew the contour. The means of the regions are not
# Gaussian, so that a nonlinear one does better still, and the risk of the linear one bounds nothing.

scene = gt.CAlpha(alpha=2.0, size=32).scene(1, seed=6, dtype=torch.float64)
values, vectors = torch.linalg.eigh(scene.covariance.matrix()[0])
figure, axes = plt.subplots(1, 7, figsize=(9.2, 1.7), layout="constrained")
figures.image(scene.images[0].numpy(), axes[0], "image")
for k, ax in enumerate(axes[1:], start=1):
    figures.signed_image(vectors[:, -k].reshape(1, 32, 32).numpy(), ax, f"variance {float(values[-k]):.2g}")
