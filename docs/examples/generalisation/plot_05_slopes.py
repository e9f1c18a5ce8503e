r"""
Slopes, and where they can be seen
==================================

Theory speaks of exponents as the noise goes to zero; a pixel grid is finite. Where the spectrum of a class is a power law
from the first to the last coefficient, the slope comes out as it should. On geometric images of ordinary size it does not,
and local slopes show why.
"""

# %%
# A Gaussian field with a known slope
# -----------------------------------
#
# Its best denoiser is known, with the risk :math:`\sum_k s_k \sigma^2 / (s_k + \sigma^2) \sim
# (\sigma^2)^{\alpha/(\alpha+1)}`. We denoise images with it and fit the slope where the number of coefficients above the
# noise is neither small nor close to the number of pixels.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt

sigmas = np.geomspace(0.01, 0.3, 8)
for exponent in (1.0, 2.0, 3.0):
    X = gt.GaussianField(exponent, size=32, period=1)
    f = gt.GaussianDenoiser(torch.full((1, 1, 32, 32), X.mean), X.covariance.matrix().float())
    fit = gt.fit_slope(gt.psnr_curve(f, X.sample(32, seed=1), sigmas))
    print(f"exponent {exponent:g}: theory {X.optimal_slope:.3f}, {fit}")

# %%
# Geometric images: what wavelets reach
# -------------------------------------
#
# For images with edges the oracle of a wavelet basis has slope 1/2, however regular the contour: an edge crosses about
# :math:`2^j` wavelets at scale :math:`2^{-j}`. The risk needs no noise, so that we can look at noise levels far above 1,
# where only the coarse wavelets count.

levels = np.geomspace(0.01, 10, 19)
figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for size in (64, 128, 256):
    x = gt.CAlpha(alpha=2.0, size=size, contour="closed").sample(6, seed=1)
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    risk = torch.stack([gt.oracle_mse(gt.Wavelet("db4"), x, s) for s in levels])
    ax.semilogx(levels, gt.local_slopes(levels, risk), label=f"{size} x {size}")
ax.axhline(0.5, color="black", ls="--", lw=1)
ax.set(xlabel="$\\sigma$", ylabel="local slope", title="oracle in wavelets, dashed: 1/2")
ax.legend()

# %%
# At small noise all the wavelets along the contour stand above the noise down to the finest scale. There are no finer ones,
# so that the risk becomes that of a fixed number of coefficients, of slope 1. The slope 1/2 is crossed rather than reached,
# and more pixels do not help at a given noise.
#
# A trained network on the same class
# -----------------------------------

x, levels = gt.CAlpha(alpha=2.0, size=64).sample(16, seed=1), np.geomspace(0.03, 1, 8)
curve = gt.psnr_curve(gt.shipped_denoiser("unet_c_alpha"), x, levels, seed=2)
risks = {"network": curve.mse_per_image}
for name, basis in (("wavelet oracle", gt.Wavelet("sym4")), ("DCT oracle", gt.DCT())):
    risks[name] = torch.stack([gt.oracle_mse(basis, x, s) for s in levels])
figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for name, risk in risks.items():
    ax.semilogx(levels, gt.local_slopes(levels, risk), "o-", ms=3, label=name)
    print(f"{name}: {gt.fit_slope(levels, risk, (0.06, 0.6))}")
ax.axhline(gt.theory.optimal_slope(2.0), color="black", ls="--", lw=1)
ax.set(xlabel="$\\sigma$", ylabel="local slope", title="dashed: $\\alpha / (\\alpha + 1)$")
ax.legend()

# %%
# A fit over a range where the local slope runs is a mean of that range. That its value lies near :math:`\alpha/(\alpha+1)`
# says little by itself: see whether the local slope stays there, and what the slopes of other methods are over the same
# levels. The comparison at equal noise, in decibels, is the safer one.
