r"""
Dead leaves and photographs: occlusion and scale invariance
===========================================================

Photographs are not of any class with known theory. Dead leaves share two of their properties: objects hide one another,
and every scale looks alike. Their covariance is known exactly.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

classes = {
    "dead leaves, radii from 0.03 to 0.35": gt.images.DeadLeaves(),
    "dead leaves, radii from 0.1 to 0.2": gt.images.DeadLeaves(smallest=0.1, largest=0.2),
    "photographs": gt.Photographs(),
    "photographs, shuffled": gt.Shuffled(gt.Photographs()),
}
figure, axes = plt.subplots(4, 8, figsize=(8.4, 5.0), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, (name, image_class) in zip(axes, classes.items(), strict=True):
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy(), strict=True):
        plots.image(picture, ax)
    title = row[0].annotate(name, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# Verification: the covariance of dead leaves
# -------------------------------------------
#
# Two points have the same grey if they lie on one leaf, else independent ones. The formula holds for points; a pixel is a
# mean over its area, which matters at distances of a pixel.

image_class = gt.images.DeadLeaves(size=64, smallest=0.06, largest=0.35)
x = image_class.sample(160, seed=2, dtype=torch.float64)[:, 0] - 0.5
distances = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 44])
products = [x[:, :, d:] * x[:, :, :-d] for d in distances]
measured = np.array([float(p.mean()) for p in products])
error = np.array([float(p.mean((1, 2)).std()) / len(x) ** 0.5 for p in products])
grid = torch.linspace(0, 0.75, 100, dtype=torch.float64)
figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.2), layout="constrained")
axes[0].plot(64 * grid, image_class.covariance(grid), color=plots.BLUE, label="exact")
axes[0].errorbar(
    distances, measured, 2 * error, fmt=".", color=plots.VERMILION, label="160 images, two standard errors"
)
axes[0].set(xlabel="distance (pixels)", ylabel="covariance")
axes[0].legend()

# %%
# Spectra
# -------
#
# Power against frequency, averaged over directions, with a window that hides the border. Natural images fall about like
# :math:`1/f^2` (Field 1987); so do edges of any shape, hidden or not.


def spectrum(images):
    """Mean power at each whole frequency."""
    window = torch.hann_window(images.shape[-1], periodic=False)
    centred = images[:, 0] - images.mean((1, 2, 3), keepdim=True)[:, 0]
    power = torch.fft.fft2(centred * window[:, None] * window[None, :]).abs().square().mean(dim=0)
    k = torch.fft.fftfreq(images.shape[-1], 1 / images.shape[-1])
    ring = torch.hypot(k[:, None], k[None, :]).round().long().flatten()
    return (torch.bincount(ring, power.flatten()) / torch.bincount(ring))[1:32].numpy()


f = np.arange(1, 32)
for name, images, colour in (
    ("photographs", gt.Photographs().sample(400, seed=3), plots.VERMILION),
    ("dead leaves", gt.images.DeadLeaves().sample(100, seed=3), plots.BLUE),
    ("C^alpha, alpha = 2", gt.CAlpha(2.0).sample(400, seed=3), plots.GREEN),
):
    power = spectrum(images)
    axes[1].plot(f, power / power[2], color=colour, label=name)
    slope = np.polyfit(np.log(f[2:20]), np.log(power[2:20]), 1)[0]
    print(f"{name:20} power falls like f^{slope:.2f} between 3 and 20 cycles per image")
axes[1].plot(f, (f / 3.0) ** -2.0, color=plots.GREY, ls=":", label="$f^{-2}$")
axes[1].set(xscale="log", yscale="log", xlabel="frequency (cycles per image)", ylabel="power")
axes[1].legend()

# sphinx_gallery_thumbnail_number = 1
