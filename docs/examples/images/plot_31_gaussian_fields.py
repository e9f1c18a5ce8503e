r"""
Gaussian fields and textures: covariance known exactly
======================================================

For a Gaussian distribution the Wiener filter is the optimal denoiser, and its risk
:math:`\sum_k s_k \sigma^2 / (s_k + \sigma^2)` follows from the eigenvalues of the covariance. These classes give both.
"""

# %%
# Three spectra
# -------------
#
# A power law has the same regularity at every scale, a Matern field only below its correlation length, a texture fills one
# band of frequencies.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots
from gahb_theory.theory import gaussian_mse

classes = {
    "power law, exponent 1": gt.GaussianField(1.0),
    "power law, exponent 2": gt.GaussianField(2.0),
    "Matern, exponent 1, correlation length 0.05": gt.GaussianField(1.0, spectrum="matern", correlation_length=0.05),
    "Matern, exponent 3, correlation length 0.05": gt.GaussianField(3.0, spectrum="matern", correlation_length=0.05),
    "texture, 8 cycles, bandwidth 1": gt.images.Texture(),
    "texture, 14 cycles, bandwidth 4": gt.images.Texture(frequency=14.0, bandwidth=4.0),
}
figure, axes = plt.subplots(6, 8, figsize=(8.4, 7.4), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, (name, image_class) in zip(axes, classes.items(), strict=True):
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy(), strict=True):
        plots.image(picture, ax)
    title = row[0].annotate(name, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# The covariance, and that of 2000 images
# ---------------------------------------

figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.8), layout="constrained")
for ax, name in zip(axes, list(classes)[::2], strict=True):
    image_class = classes[name]
    exact = image_class.covariance.correlation()[0] / image_class.std**2
    x = (image_class.sample(2000, seed=5, dtype=torch.float64)[:, 0] - image_class.mean) / image_class.std
    measured = [float((x[:, :, : 64 - d] * x[:, :, d:]).mean()) for d in range(0, 60, 3)]
    ax.plot(exact, color=plots.BLUE, label="exact")
    ax.plot(range(0, 60, 3), measured, ".", color=plots.VERMILION, label="2000 images")
    ax.set(title=name.split(",")[0], xlabel="distance (pixels)", ylim=(-0.6, 1.05))
axes[0].legend()

# %%
# The optimal slope
# -----------------
#
# A field of exponent :math:`\alpha` has the slope :math:`\alpha / (\alpha + 1)`, between the noise level where only few
# coefficients are left, and that where all of the pixel grid is above the noise. Dotted: the asymptotic value, from which an
# image of 48 x 48 pixels with a border stays a few hundredths away.

sigmas = torch.logspace(-3, 0, 25, dtype=torch.float64)
figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for exponent, colour in ((1.0, plots.ORANGE), (2.0, plots.BLUE), (3.0, plots.GREEN)):
    image_class = gt.GaussianField(exponent, size=48)
    variances = torch.linalg.eigvalsh(image_class.covariance.matrix()).clamp(min=0)
    ax.plot(
        sigmas, gt.local_slopes(sigmas, gaussian_mse(variances, sigmas)), color=colour, label=f"exponent {exponent:g}"
    )
    ax.axhline(image_class.optimal_slope, color=colour, ls=":", lw=1)
ax.set(xscale="log", xlabel="noise level", ylabel="local slope of the optimal risk", ylim=(0.4, 1))
ax.legend()

# %%
# Verification
# ------------

print("exponent: measured in images of 256 x 256, with a 95 % interval")
for exponent in (1.0, 1.5, 2.0, 3.0, 4.0):
    found = gt.theory.estimate_regularity(gt.GaussianField(exponent, size=256).sample(16, dtype=torch.float64))
    print(f"{exponent:8g}: {found.exponent:.2f} in [{found.low:.2f}, {found.high:.2f}], leaders {found.leaders:.2f}")
assert np.isfinite(found.exponent)

# sphinx_gallery_thumbnail_number = 1
