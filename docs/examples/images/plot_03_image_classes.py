r"""
Image classes and their truth
=============================

An image class is a distribution one can sample, with the truth about every image: where its contour runs, how regular
it is, what its tangent space is. Image i is a function of the class, the seed and i alone.
"""

# %%
# Eight images of each. Optimal slopes are those of the PSNR of the best denoiser, where they are known.

import matplotlib.pyplot as plt

import gahb_theory as gt
from gahb_theory.report import figures

classes = {
    "C^alpha, alpha = 1": gt.CAlpha(alpha=1.0),
    "C^alpha, alpha = 2": gt.CAlpha(alpha=2.0),
    "C^alpha, alpha = 2, as published": gt.CAlpha(alpha=2.0, convention="paper"),
    "disks": gt.Disks(),
    "photographs": gt.Photographs(),
    "disks, shuffled": gt.Shuffled(gt.Disks()),
}
for name, X in classes.items():
    print(f"{name:34} dimension {X.dimension!s:5} optimal slope {X.optimal_slope}")
figures.gallery({name: X.sample(8, seed=1).numpy() for name, X in classes.items()})

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
    figures.image(part[0].numpy(), ax, title)
axes[1].plot(scene.contour[0] * 24 - 0.5, color=figures.VERMILION, lw=2)
m = scene.coverage
rebuilt = m * scene.backgrounds[:, :1] + (1 - m) * scene.backgrounds[:, 1:]
print(f"largest |image - (m b_1 + (1 - m) b_2)|: {float((scene.images - rebuilt).abs().max()):.1e}")

# %%
# One scene at any size
# ---------------------
#
# The Fourier coefficients do not depend on the number of pixels: a class at another size shows the same scenes, with more
# detail. This is what makes it sensible to ask how a risk depends on the resolution.

figure, axes = plt.subplots(1, 4, figsize=(9.2, 2.5), layout="constrained")
for ax, size in zip(axes, (16, 32, 64, 128), strict=True):
    figures.image(gt.CAlpha(alpha=2.0, size=size).sample(1, seed=2)[0].numpy(), ax, f"{size} x {size}")

# %%
# What regularity these images have is measured in :ref:`sphx_glr_gallery_images_plot_36_what_regularity.py`.
