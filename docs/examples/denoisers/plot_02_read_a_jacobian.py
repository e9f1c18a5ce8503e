r"""
Read a Jacobian
===============

At one noisy image, the Jacobian J of a network without additive constants says which filters it applies at each pixel, in
which basis it shrinks, and by how much.
"""

# %%
# A small UNet, trained on images of two smooth regions and a smooth contour, comes with the library.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots
from gahb_theory.report import figures

size, sigma = 40, 0.15
f = gt.shipped_denoiser("unet_c_alpha")
scene = gt.CAlpha(alpha=2.0, size=size).scene(1, seed=21, start=258)
x, y = scene.images, gt.add_noise(scene.images, sigma)
J = gt.jacobian(f, y, sigma)
plots.images(
    torch.cat([x, y, J.output]), ["clean", f"noisy, {gt.psnr(x, y):.1f} dB", f"denoised, {gt.psnr(x, J.output):.1f} dB"]
)

# %%
# Rows: one filter for each pixel
# -------------------------------
#
# Row i of J holds the weights with which the pixels of ``y`` enter pixel i of the output. Inside a region it averages over a
# round patch; on the contour (line) it is long along the contour and short across it. Sums near 1 leave a constant image as
# it is.

contour = scene.contour[0] * size - 0.5
places = [(12, 11), (28, 31), (round(float(contour[8])), 8), (round(float(contour[29])), 29)]
figure, axes = plt.subplots(1, 4, figsize=(7.4, 2.1), layout="constrained")
for ax, (row, column) in zip(axes, places, strict=True):
    weights = J.rows([row * size + column]).reshape(1, size, size)
    figures.signed_image(weights.numpy(), ax, f"row of J, sum {weights.sum():.2f}")
    ax.plot(contour, color="black", lw=0.6, alpha=0.5)
    ax.plot(column, row, "+", color="black", ms=5)

# %%
# Eigenvectors: the basis
# -----------------------
#
# Eigenvectors of the symmetric part S of J are the basis at this image, its eigenvalues the gains. Look for oscillations
# inside the regions and along the contour that become faster as the eigenvalue falls: geometry-adaptive harmonics. The line
# above says how much of the network the shrinkage with them reproduces.

E = J.eigenbasis()
figure = plots.eigenvectors(E, clean=x)
figure.suptitle(str(J.reproduction(x)), fontsize=6)
figure

# %%
# Eigenvalues: the shrinkage
# --------------------------
#
# Beside the eigenvalues of S the gains :math:`c_k^2 / (c_k^2 + \sigma^2)` that would be best in this basis for this image.

best = gt.oracle_gains(E.analysis(x), sigma)[0]
figure, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
ax.semilogx(range(1, size**2 + 1), best, ".", ms=3, alpha=0.5, label="best gains in this basis")
ax.semilogx(range(1, size**2 + 1), E.eigenvalues, label="eigenvalues of S = (J + J$^T$)/2")
ax.set(xlabel="rank k", ylabel="gain")
ax.set_title(str(J.reproduction(x)).replace("; ", "\n"), fontsize=7)
ax.legend()

# %%
# Does the trace tell the error? For the posterior mean :math:`\sigma^2 \operatorname{tr} J` is the expected squared error.

print(f"squared error {gt.mse(x, J.output).item():.2f}, sigma^2 tr J {sigma**2 * J.trace():.2f} (one draw of noise)")
print(
    f"{int((E.eigenvalues > 0.5).sum())} of {size**2} eigenvalues above 1/2, {int((E.eigenvalues < 0).sum())} negative"
)

# %%
# What the eigenvectors do not show is in :ref:`sphx_glr_gallery_denoisers_plot_50_read_a_jacobian_in_depth.py`.
#
# sphinx_gallery_thumbnail_number = 3
