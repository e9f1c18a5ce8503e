"""
A denoiser is a shrinkage
=========================

A basis and a shrinkage make a denoiser. The Jacobian of that denoiser gives the basis and the gains back: the two arrows
of the library are inverse to each other.
"""

# %%
# One arrow: from a basis and a shrinkage to a denoiser
# -----------------------------------------------------
#
# We take a geometric image, wavelets, and the gains of the oracle, :math:`\lambda_k = c_k^2 / (c_k^2 + \sigma^2)`, which
# knows the clean coefficients :math:`c_k`. Double precision lets us see how exact the way back is.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

size, sigma = 32, 0.15
x = gt.CAlpha(alpha=2.0, size=size).sample(1, seed=4, dtype=torch.float64)
y = gt.add_noise(x, sigma, seed=0)

basis = gt.Wavelet("db4")
gains = gt.oracle_gains(basis.analysis(x), sigma)[0]
f = gt.ShrinkageDenoiser(basis, gt.shrinkage.FixedGains(gains))
x_hat = f(y, sigma)

figure, axes = plt.subplots(1, 3, figsize=(6.6, 2.4), layout="constrained")
for ax, picture, title in zip(axes, (x, y, x_hat), ("clean", "noisy", "denoised"), strict=True):
    plots.image(picture[0].numpy(), ax, f"{title}, {gt.psnr(x, picture):.1f} dB" if title != "clean" else title)

# %%
# The other arrow: from the denoiser to its basis and gains
# ---------------------------------------------------------
#
# Now we forget how ``f`` was made and differentiate it at ``y``. Eigenvectors are defined up to their sign.

J = gt.jacobian(f, y, sigma)
E = J.eigenbasis()

order = gains.argsort(descending=True)
ranks = [0, 5, 14, 18, 24, 33, 48, 80]
wavelets = basis.atom_images(order[ranks].tolist(), x.shape[1:], dtype=x.dtype)
likeness = (wavelets.flatten(1) * E.atoms[ranks]).sum(dim=1)

print(f"asymmetry of J                                {J.asymmetry():.1e}")
print(f"||J y - f(y)|| / ||f(y)||                     {J.homogeneity_error():.1e}")
print(f"largest difference of eigenvalues and gains   {float((E.eigenvalues - gains[order]).abs().max()):.1e}")
print(f"smallest |<e_k, wavelet_k>| of those below    {float(likeness.abs().min()):.10f}")

# %%
# Above, wavelets of rank k in the order of their gains; below, eigenvectors of the Jacobian of the same rank in the order
# of their eigenvalues:

figure, axes = plt.subplots(2, 8, figsize=(9.2, 2.7), layout="constrained")
for column, k in enumerate(ranks):
    wavelet = wavelets[column] * likeness[column].sign()
    plots.signed_image(wavelet.numpy(), axes[0, column], f"gain$_{{{k + 1}}}$ = {gains[order[k]]:.4f}")
    plots.signed_image(
        E.atom_images([k])[0].numpy(), axes[1, column], f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.4f}"
    )

# %%
# Gains that look at the noisy image
# ----------------------------------
#
# A denoiser that is of use cannot know :math:`c_k`; its gains depend on ``y``. What the Jacobian then sees is the
# derivative of the shrunken coefficient, :math:`\mathrm{d}(\lambda_k c_k) / \mathrm{d} c_k`. It equals the gain where
# :math:`\lambda_k` is locally constant, as for hard thresholding; it does not for soft thresholding, which subtracts a
# constant. ``homogeneity_error`` tells the two cases apart without knowing how the denoiser was made.

c = basis.analysis(y)
shrinkages = {
    "oracle": gt.shrinkage.FixedGains(gains),
    "hard, 3 sigma": gt.Hard(3.0),
    "soft, 1.5 sigma": gt.Soft(1.5),
}
figure, axes = plt.subplots(1, 3, figsize=(9.2, 2.9), layout="constrained", sharey=True)
for ax, (name, shrinkage) in zip(axes, shrinkages.items(), strict=True):
    g = gt.ShrinkageDenoiser(basis, shrinkage)
    jacobian = gt.jacobian(g, y, sigma)
    used = shrinkage(c, sigma)[0].sort(descending=True).values
    rank = np.arange(1, len(used) + 1)
    ax.plot(rank, used, color=plots.BLUE, lw=4, alpha=0.4, label="gains $\\lambda_k$")
    ax.plot(rank, jacobian.eigenbasis().eigenvalues, color=plots.VERMILION, lw=1.4, label="eigenvalues of J")
    error = jacobian.homogeneity_error()
    ax.set(xscale="log", xlabel="rank k", title=f"{name}\nhomogeneity error {error:.1e}")
    print(f"{name:16} PSNR {gt.psnr(x, g(y, sigma)):5.2f} dB, homogeneity error {error:.1e}")
axes[0].legend(loc="lower left")

# %%
# Bias-free networks, the denoisers of the paper, are homogeneous. So their Jacobian may be read as a shrinkage, up to its
# asymmetry: :ref:`sphx_glr_gallery_plot_02_read_a_jacobian.py`.

# sphinx_gallery_thumbnail_number = 2
