r"""
Image classes and their truth
=============================

An image class is a distribution one can sample, with the truth about every image: where its contour runs, how regular
it is, what its tangent space is. Image i is a function of the class, the seed and i alone.
"""

# %%
# The classes
# -----------
#
# The third row is called :math:`C^2` as the second is, and its optimal slope is that of its name. What regularity it has
# is measured below.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

classes = {
    "C^alpha, alpha = 1": gt.CAlpha(alpha=1.0),
    "C^alpha, alpha = 2": gt.CAlpha(alpha=2.0),
    "C^alpha, alpha = 2, as published": gt.CAlpha(alpha=2.0, convention="paper"),
    "disks": gt.Disks(),
    "photographs": gt.Photographs(),
    "disks, shuffled": gt.Shuffled(gt.Disks()),
}
figure, axes = plt.subplots(6, 8, figsize=(8.4, 7.4), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
for row, (name, image_class) in zip(axes, classes.items(), strict=True):
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy(), strict=True):
        plots.image(picture, ax)
    title = row[0].annotate(name, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

for name, image_class in classes.items():
    slope = "unknown" if image_class.optimal_slope is None else f"{image_class.optimal_slope:.3f}"
    print(f"{name:40} dimension {image_class.dimension!s:5} optimal PSNR slope {slope}")

# %%
# The truth of a geometric image
# ------------------------------
#
# ``scene`` gives what the image is made of: two backgrounds, and the part of each pixel that lies below the contour.

scene = gt.CAlpha(alpha=2.0, size=24).scene(1, seed=21, start=258)
figure, axes = plt.subplots(1, 4, figsize=(9.2, 2.5), layout="constrained")
parts = (scene.images, scene.coverage, scene.backgrounds[:, :1], scene.backgrounds[:, 1:])
titles = ("image", "coverage and contour", "background below", "background above")
for ax, part, title in zip(axes, parts, titles, strict=True):
    plots.image(part[0].numpy(), ax, title)
axes[1].plot(np.arange(24), scene.contour[0] * 24 - 0.5, color=plots.VERMILION, lw=2)

m = scene.coverage
rebuilt = m * scene.backgrounds[:, :1] + (1 - m) * scene.backgrounds[:, 1:]
print(f"largest |image - (m b_1 + (1 - m) b_2)|: {float((scene.images - rebuilt).abs().max()):.1e}")

# %%
# One scene at any size
# ---------------------
#
# The Fourier coefficients do not depend on the number of pixels: a class at another size shows the same scenes, with more
# detail. This is what makes it sensible to ask how a risk depends on the resolution. The published generator draws its
# white noise on the pixel grid: every size is another scene, of another amplitude.

sizes = (16, 32, 64, 128)
figure, axes = plt.subplots(2, 5, figsize=(9.2, 3.9), layout="constrained", width_ratios=[1, 1, 1, 1, 1.2])
for row, convention in zip(axes, ("holder", "paper"), strict=True):
    for size, ax in zip(sizes, row, strict=False):
        scene = gt.CAlpha(alpha=2.0, size=size, convention=convention).scene(1, seed=3, start=8)
        plots.image(scene.images[0].numpy(), ax, f"{convention}, {size} x {size}")
        row[4].plot((np.arange(size) + 0.5) / size, scene.contour[0], lw=12 / size**0.5, alpha=0.8, label=str(size))
    row[4].set(ylim=(1, 0), title="contours", xticks=[0, 1], yticks=[0, 1])
axes[1, 4].legend(loc="upper center", ncols=2, fontsize=7)

spread = {
    (convention, size): float(gt.CAlpha(2.0, size=size, convention=convention).scene(60).contour.std(dim=1).mean())
    for convention in ("holder", "paper")
    for size in sizes
}
for convention in ("holder", "paper"):
    values = ", ".join(f"{spread[convention, size]:.3f} at {size}" for size in sizes)
    print(f'"{convention}": standard deviation along a contour, relative to the image: {values}')

# %%
# Two conventions, two regularities
# ---------------------------------
#
# A random series with amplitudes :math:`|k|^{-q}` in dimension D has regularity :math:`q - D/2`, and not q. The published
# generator takes :math:`q = \alpha` in both dimensions, so its contours have regularity :math:`\alpha - 1/2` and its
# backgrounds :math:`\alpha - 1`. The convention "holder" takes :math:`q = \alpha + 1/2` and :math:`q = \alpha + 1`.
#
# We can measure it. Where the regularity is a, differences of order p > a between points s pixels apart are of the order
# :math:`s^a`, in any dimension. We take p = 3.

alpha, size, count = 2.0, 256, 24
lags = np.array([1, 2, 4, 8, 16, 32])
chosen = slice(3, None)  # the finest lags see the pixel grid


def third_differences(values):
    """Root mean square of third differences along the last axis, for each lag."""
    v = values.double().numpy()
    return np.array([
        np.sqrt(np.mean((v[..., 3 * s :] - 3 * v[..., 2 * s : -s] + 3 * v[..., s : -2 * s] - v[..., : -3 * s]) ** 2))
        for s in lags
    ])  # fmt: skip


figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.4), layout="constrained")
print(f"regularity measured at lags from {lags[chosen][0]} to {lags[-1]} pixels, for alpha = {alpha:g}:")
for convention, colour in (("holder", plots.BLUE), ("paper", plots.VERMILION)):
    scene = gt.CAlpha(alpha=alpha, size=size, convention=convention).scene(count, seed=5)
    lost = convention == "paper"
    parts = {"background": (scene.backgrounds, alpha - lost), "contour": (scene.contour, alpha - lost / 2)}
    for ax, (part, (values, regularity)) in zip(axes, parts.items(), strict=True):
        differences = third_differences(values)
        fitted = np.polyfit(np.log(lags[chosen]), np.log(differences[chosen]), 1)[0]
        print(f"  {convention:8}{part:12}{fitted:5.2f}, by construction {regularity:.2f}")
        ax.plot(lags, differences, "o", color=colour, ms=5, label=f'"{convention}"')
        ax.plot(lags, differences[-2] * (lags / lags[-2]) ** regularity, "--", color=colour, lw=1)
        ax.set(xlabel="lag (pixels)", title=f"third differences of the {part}")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
rounding = np.sqrt(20 / 12) / size
axes[1].axhline(rounding, color=plots.GREY, ls=":")
axes[1].annotate("rounding to whole pixels", (1, rounding), xytext=(0, 3), textcoords="offset points", fontsize=8)
axes[0].legend()

# %%
# Dashed: the power law :math:`s^a`. The published generator rounds its contours to whole pixels. To fine differences this is
# white noise (dotted line), below which the regularity of the contour cannot be seen, by us or by a network.

# %%
# A manifold and its tangent space
# --------------------------------
#
# A disk has five parameters. Its tangent space at an image is spanned by five images, and at small noise the optimal
# denoiser projects on it. ``scene`` gives an orthonormal basis of it.

scene = gt.Disks(size=48).scene(1, seed=2, start=1)
figure, axes = plt.subplots(1, 6, figsize=(9.6, 1.95), layout="constrained")
plots.image(scene.images[0].numpy(), axes[0], "disk")
names = ("row", "column", "radius", "inside", "outside")
for name, tangent, ax in zip(names, scene.tangent[0].reshape(5, 1, 48, 48), axes[1:], strict=True):
    plots.signed_image(tangent.numpy(), ax, f"tangent, {name}")

# %%
# How flat is the manifold? We shift the disk and ask how much of the change lies in the tangent space. The wider the edge,
# the flatter the manifold, and the larger the noise up to which the projection is a good denoiser.

print("edge (pixels)   share of a shift by one pixel inside the tangent space")
for edge in (0.5, 1.0, 2.0, 3.0):
    scene = gt.Disks(size=48, edge=edge).scene(1, seed=2, start=1)
    change = torch.roll(scene.images, 1, dims=2) - scene.images
    inside = (scene.tangent[0] @ change.flatten()).square().sum() / change.square().sum()
    print(f"{edge:8.1f}        {float(inside):.3f}")

# sphinx_gallery_thumbnail_number = 1
