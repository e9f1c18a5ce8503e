r"""
A ball of the Hoelder space
===========================

A Gaussian field of exponent :math:`\alpha` is Hoelder regular only up to a factor :math:`\sqrt{\log 1/h}`: its largest
coefficients grow with their number. Minimax statements speak of a ball, every member of which has a bounded norm. A random
wavelet series with bounded coefficients lies in it by construction.
"""

import matplotlib.pyplot as plt
import numpy as np
import pywt
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

alphas = (0.5, 1.0, 2.0, 4.0)
figure, axes = plt.subplots(4, 8, figsize=(8.4, 5.0), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, alpha in zip(axes, alphas, strict=True):
    image_class = gt.HolderBall(alpha)
    x = image_class.sample(8, seed=1).numpy()
    contrast = 0.45 / float(np.abs(x - 0.5).max())
    for ax, picture in zip(row, 0.5 + contrast * (x - 0.5), strict=True):
        plots.image(picture, ax)
    label = f"alpha = {alpha:g}, norm {image_class.norm:.3g}, wavelet {image_class.wavelet}"
    label += f"; contrast enhanced {contrast:.1f} times"
    title = row[0].annotate(label, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# The norm is the largest for which no choice of signs leaves [0, 1], so that typical images have little contrast.
#
# Verification: the largest coefficient
# -------------------------------------
#
# In the wavelets of the series :math:`2^{j(\alpha + 1)} |d_j|` stays below the norm at every scale, and comes close to it.
# That of a Gaussian field of the same decay grows slowly towards fine scales.

alpha, size = 1.5, 256
ball = gt.HolderBall(alpha, size=size)
scene = ball.scene(8, dtype=torch.float64)
field = gt.GaussianField(alpha, size=size, period=1).sample(8, dtype=torch.float64)[:, 0] - 0.5
octaves = np.arange(2, 8)


def largest(coefficients):
    """2^(j (alpha + 1)) max |d_j| of arrays in the layout of pywt.coeffs_to_array, for functions on the unit square."""
    found = []
    for j in octaves:
        band = np.abs(coefficients[:, : 2 ** (j + 1), : 2 ** (j + 1)]).copy()
        band[:, : 2**j, : 2**j] = 0
        found.append(band.max() / size * 2.0 ** (j * (alpha + 1)))
    return np.array(found)


coefficients = field.numpy()
for j in range(7, 1, -1):
    part = coefficients[:, : 2 ** (j + 1), : 2 ** (j + 1)]
    low, (h, v, d) = pywt.dwt2(part, ball.wavelet, mode="periodization", axes=(1, 2))
    coefficients[:, : 2 ** (j + 1), : 2 ** (j + 1)] = np.block([[low, v], [h, d]])

in_ball, in_field = largest(scene.coefficients.numpy()), largest(coefficients)
figure, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
ax.plot(octaves, in_ball / ball.norm, "o-", color=plots.BLUE, label="Hoelder ball, in units of its norm")
ax.plot(octaves, in_field / in_field[0], "s-", color=plots.VERMILION, label="Gaussian field, in units of the first")
ax.axhline(1, color=plots.GREY, ls=":")
ax.set(xlabel="scale $2^{-j}$: j", ylabel=r"largest $2^{j(\alpha+1)} |d_j|$", ylim=(0, None))
ax.legend()

print(f"largest share of the norm in the ball: {(in_ball / ball.norm).max():.6f}")

found = gt.theory.estimate_regularity(gt.HolderBall(alpha, size=512).sample(16, dtype=torch.float64))
print(f"exponent {found.exponent:.2f} in [{found.low:.2f}, {found.high:.2f}], constructed {alpha}")
