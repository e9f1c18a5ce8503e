r"""
A denoiser is a shrinkage
=========================

A basis and a shrinkage make a denoiser. The Jacobian of that denoiser gives the basis and the gains back: the two arrows
of the library are inverse to each other.
"""

# %%
# From a basis and a shrinkage to a denoiser
# ------------------------------------------
#
# A geometric image, wavelets, and the gains of the oracle, :math:`\lambda_k = c_k^2 / (c_k^2 + \sigma^2)`, which
# knows the clean coefficients :math:`c_k`. Double precision shows how exact the way back is.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots

sigma = 0.15
x = gt.CAlpha(alpha=2.0, size=32).sample(1, seed=4, dtype=torch.float64)
y = gt.add_noise(x, sigma)
basis = gt.Wavelet("db4")
gains = gt.oracle_gains(basis.analysis(x), sigma)[0]
f = gt.ShrinkageDenoiser(basis, gt.shrinkage.FixedGains(gains))
x_hat = f(y, sigma)
plots.images(
    torch.cat([x, y, x_hat]), ["clean", f"noisy, {gt.psnr(x, y):.1f} dB", f"denoised, {gt.psnr(x, x_hat):.1f} dB"]
)

# %%
# And back
# --------
#
# Now we forget how ``f`` was made and differentiate it at ``y``. The eigenvectors are the wavelets in the order of their
# gains.

J = gt.jacobian(f, y, sigma)
E = J.eigenbasis()
print(J.reproduction(x))
print(f"largest difference of eigenvalues and gains {(E.eigenvalues - gains.sort(descending=True)[0]).abs().max():.0e}")
figure = plots.eigenvectors(E, clean=x)
figure.suptitle(str(J.reproduction(x)), fontsize=7)
figure

# %%
# Gains that look at the noisy image
# ----------------------------------
#
# A denoiser that is of use cannot know :math:`c_k`; its gains depend on ``y``. The Jacobian sees the derivative of the
# shrunken coefficient, :math:`\mathrm{d}(\lambda_k c_k) / \mathrm{d} c_k`. It equals the gain where :math:`\lambda_k` is
# locally constant, as for hard thresholding. Soft thresholding subtracts a constant: its eigenvalues are no gains, and S y is
# not f(y).

figure, axes = plt.subplots(1, 2, figsize=(8.6, 2.9), layout="constrained", sharey=True)
for ax, (name, shrinkage) in zip(axes, {"hard": gt.Hard(3.0), "soft": gt.Soft(1.5)}.items(), strict=True):
    J = gt.jacobian(gt.ShrinkageDenoiser(basis, shrinkage), y, sigma)
    used = shrinkage(basis.analysis(y), sigma)[0].sort(descending=True).values
    ax.semilogx(range(1, 1025), used, lw=4, alpha=0.4, label="gains $\\lambda_k$")
    ax.semilogx(range(1, 1025), J.eigenbasis().eigenvalues, lw=1.4, label="eigenvalues of J, which is symmetric")
    reproduced = J.reproduction(x)
    ax.set(xlabel="rank k", title=f"{name}: S y {reproduced.psnr_shrinkage:.1f} dB, f(y) {reproduced.psnr:.1f} dB")
axes[1].legend()

# %%
# Networks without additive constants are homogeneous, so that f(y) = J y. Whether J is symmetric as well is another question:
# :ref:`sphx_glr_gallery_denoisers_plot_02_read_a_jacobian.py`.
#
# sphinx_gallery_thumbnail_number = 2
