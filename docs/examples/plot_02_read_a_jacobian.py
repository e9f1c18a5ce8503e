r"""
Read a Jacobian
===============

A trained network is a black box only until it is differentiated. At one noisy image, the Jacobian of a bias-free network
says which filters it applies at each pixel, in which basis it shrinks, and by how much.
"""

# %%
# The network comes with the library. It is a small UNet without additive constants, trained on images of the class
# :math:`C^\alpha`, :math:`\alpha = 2`: two smooth regions on either side of a smooth contour. It is blind: it does not
# use ``sigma``.

import matplotlib.pyplot as plt
import numpy as np

import gahb_theory as gt
from gahb_theory.report import figures as plots

size, sigma = 40, 0.15
f = gt.shipped_denoiser("unet_c_alpha")
scene = gt.CAlpha(alpha=2.0, size=size).scene(1, seed=21, start=258)
x = scene.images
y = gt.add_noise(x, sigma, seed=0)

J = gt.jacobian(f, y, sigma)
x_hat = J.output

contour = scene.contour[0].numpy() * size - 0.5
figure, axes = plt.subplots(1, 3, figsize=(7.4, 2.7), layout="constrained")
for ax, picture, title in zip(axes, (x, y, x_hat), ("clean", "noisy", "denoised"), strict=True):
    plots.image(picture[0].numpy(), ax, f"{title}, {gt.psnr(x, picture):.1f} dB" if title != "clean" else title)

# the places of the six filters below
places = [(12, 11), (28, 31), (round(contour[8]), 8), (round(contour[20]), 20), (round(contour[29]), 29), (2, size - 3)]
axes[0].plot(np.arange(size), contour, color=plots.ORANGE, lw=1.2)
for number, (row, column) in enumerate(places):
    axes[0].annotate(
        str(number + 1), (column, row), color="white", ha="center", va="center", fontsize=7,
        bbox={"boxstyle": "circle,pad=0.2", "facecolor": plots.VERMILION, "edgecolor": "none"},
    )  # fmt: skip

# %%
# Rows: one filter for each pixel
# -------------------------------
#
# Row i of J holds the weights with which the pixels of ``y`` enter pixel i of the output. Filters 3, 4 and 5 lie on the
# contour (thin line). A filter inside a region should average over a round patch; on the contour it should be long along
# the contour and short across it. Their sums should be near 1, so that a constant image stays as it is.

filters = J.rows([row * size + column for row, column in places]).reshape(-1, 1, size, size)

figure, axes = plt.subplots(1, 6, figsize=(9.6, 1.9), layout="constrained")
for ax, weights, (row, column), number in zip(axes, filters, places, range(1, 7), strict=True):
    plots.signed_image(weights.numpy(), ax, f"filter {number}, sum {weights.sum():.2f}")
    ax.plot(np.arange(size), contour, color="black", lw=0.6, alpha=0.5)
    ax.plot(column, row, "+", color="black", ms=5)

# %%
# Eigenvectors: the basis
# -----------------------
#
# The eigenvectors of the symmetric part of J are the basis of this one image; its eigenvalues are the gains. Look for
# oscillations inside the regions and along the contour that become faster as the eigenvalue falls: the paper calls them
# geometry-adaptive harmonics.

E = J.eigenbasis()
shown = [0, 1, 2, 3, 4, 5, 7, 9, 11, 13, 16, 19, 23, 27, 32, 38, 45, 54, 64, 76, 90, 107, 127, 150]
figure, axes = plt.subplots(3, 8, figsize=(9.6, 4.0), layout="constrained")
for ax, k, atom in zip(axes.flat, shown, E.atom_images(shown), strict=True):
    plots.signed_image(atom.numpy(), ax, f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.3f}")
    ax.plot(np.arange(size), contour, color="black", lw=0.5, alpha=0.4)

# %%
# Eigenvalues: the shrinkage
# --------------------------
#
# On the left, the eigenvalues beside the gains :math:`c_k^2 / (c_k^2 + \sigma^2)` that would be best in this very basis
# for this very image. On the right, the energy of the clean image that M terms leave out: the first M eigenvectors in the
# order of their eigenvalues, and the best M in each basis, chosen knowing the clean image. Mind that the eigenbasis has
# seen the noisy image, and the others have seen nothing.

c = E.analysis(x)[0]  # of the clean image
best = gt.oracle_gains(c[None], sigma)[0]
rank = np.arange(1, x.numel() + 1)
terms = np.arange(x.numel())


def left_out(coefficients):
    """Relative energy beyond the first M terms, M = 0, 1, ..."""
    energy = coefficients.double().square()
    return (energy.flip(0).cumsum(0).flip(0) / energy.sum()).numpy()


figure, (ax, right) = plt.subplots(1, 2, figsize=(9.2, 3.2), layout="constrained")
ax.plot(rank, best, ".", color=plots.BLUE, ms=3, alpha=0.5, label="best gains in this basis")
ax.plot(rank, E.eigenvalues, color=plots.VERMILION, label="eigenvalues $\\lambda_k$")
ax.set(xscale="log", xlabel="rank k", ylabel="gain")
ax.legend(loc="lower left")
right.plot(terms, left_out(c), "--", color=plots.VERMILION, label="first M eigenvectors")
errors = {}
for name, basis, colour in (
    ("eigenvectors", E, plots.VERMILION),
    ("wavelets", gt.Wavelet("sym4"), plots.BLUE),
    ("cosines", gt.DCT(), plots.GREEN),
):
    errors[name] = left_out(basis.analysis(x)[0].abs().sort(descending=True).values)
    right.plot(terms, errors[name], color=colour, label=f"best M {name}")
right.set(xscale="log", yscale="log", xlabel="number of terms M", ylabel="$||x - x_M||^2 / ||x||^2$", ylim=(1e-5, 1.2))
right.legend(loc="lower left")

m = 100
print(f"energy left out by the first {m} eigenvectors  {left_out(c)[m]:.2e}")
for name, error in errors.items():
    print(f"energy left out by the best {m} {name:14}{error[m]:.2e}")

# %%
# What the picture hides: asymmetry
# ---------------------------------
#
# The Jacobian of a posterior mean is symmetric, a covariance divided by :math:`\sigma^2`. That of a network need not be.
# The eigenvectors above belong to its symmetric part; the singular vectors see all of it. Left singular vectors are what
# the network puts out, right ones what it looks for. Where the two agree, the reading as a shrinkage is safe.

U = J.svd()
agreement = (U.left * U.right).sum(dim=1)
count = 400

figure, (ax, right) = plt.subplots(1, 2, figsize=(9.2, 2.9), layout="constrained")
ax.plot(rank[:count], U.values[:count], color=plots.BLUE, label="singular values of J")
ax.plot(rank[:count], E.eigenvalues[:count], color=plots.VERMILION, label="eigenvalues of (J + J$^T$)/2")
ax.set(xlabel="rank k", xscale="log", ylim=(0, None))
ax.legend(loc="lower left")
right.plot(rank[:count], agreement[:count], ".", color=plots.PURPLE, ms=3)
right.set(xlabel="rank k", xscale="log", ylim=(-0.1, 1.05), ylabel="$\\langle u_k, v_k \\rangle$")
right.set_title("left against right singular vectors")

symmetric = (J.matrix() + J.matrix().mT) / 2
print(f"asymmetry ||J - J^T|| / ||J||                 {J.asymmetry():.2f}")
print(
    f"share of ||J||^2 in the symmetric part        {float(symmetric.square().sum() / J.matrix().square().sum()):.2f}"
)
print(f"||J y - f(y)|| / ||f(y)||                     {J.homogeneity_error():.1e}")
print(f"mean <u_k, v_k> of the first 20               {float(agreement[:20].mean()):.3f}")
print(f"eigenvalues above 1/2                         {int((E.eigenvalues > 0.5).sum())} of {x.numel()}")

# %%
# Does the trace tell the error?
# ------------------------------
#
# For the posterior mean, :math:`\sigma^2 \operatorname{tr} J` is the expected squared error. A network that is close to it
# should come close to this, on average over noise.

squared, traces = [], []
for seed in range(3):
    noisy = gt.add_noise(x, sigma, seed=seed)
    here = gt.jacobian(f, noisy, sigma)
    squared.append(float(gt.mse(x, here.output)))
    traces.append(sigma**2 * here.trace())
print(f"squared error, mean over {len(squared)} draws of noise      {np.mean(squared):.2f}")
print(f"sigma^2 tr J, mean over the same draws        {np.mean(traces):.2f}")

# sphinx_gallery_thumbnail_number = 3
