r"""
Slopes, and where they can be seen
==================================

Theory speaks of exponents as the noise goes to zero; a pixel grid is finite. Where the law of a class is a power law from
the first to the last coefficient, the slope comes out as it should. On geometric images of ordinary size it does not, and
local slopes show why.
"""

# %%
# A Gaussian field with a known slope
# -----------------------------------
#
# Cosine coefficients with variances :math:`s_k = A\,k^{-(\alpha+1)}` make a field whose best denoiser is known: gains
# :math:`s_k / (s_k + \sigma^2)`, risk :math:`\sum_k s_k \sigma^2 / (s_k + \sigma^2) \sim (\sigma^2)^{\alpha/(\alpha+1)}`.
# A shrinkage is any callable of the coefficients and sigma, so this one takes a line.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots
from gahb_theory.theory import gaussian_mse, power_law_oracle_risk

size, count = 64, 32
d = size**2
sigmas = np.geomspace(0.003, 1, 26)
alphas = {1.0: plots.BLUE, 2.0: plots.VERMILION, 3.0: plots.GREEN}

# rank of each cosine: low frequencies first
k1, k2 = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
rank = torch.from_numpy(np.argsort(np.argsort((k1**2 + k2**2).ravel(), kind="stable")) + 1.0).float()
white = torch.randn(count, d, generator=torch.Generator().manual_seed(0))

figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.0), layout="constrained")
fields = {}
for ax, alpha in zip(axes, alphas, strict=True):
    variances = rank ** -(alpha + 1)
    variances = variances * 0.1 * d / variances.sum()
    fields[alpha] = gt.DCT().synthesis(white * variances.sqrt()), variances
    image = fields[alpha][0][0, 0].numpy()
    ax.imshow(image, cmap="gray")
    ax.set_title(f"$\\alpha$ = {alpha:g}")
    ax.set_axis_off()

# %%
# We denoise them and fit the slope where the power law can hold: where the number of coefficients above the noise,
# :math:`M(\sigma)`, is neither small nor close to the number of pixels. Dotted: the formula with its exact constant.

figure, (ax, right) = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained")
for alpha, colour in alphas.items():
    x, variances = fields[alpha]
    f = gt.ShrinkageDenoiser(gt.DCT(), lambda c, sigma, s=variances: (s / (s + sigma**2)).expand_as(c))
    curve = gt.psnr_curve(f, x, sigmas, seed=1)
    kept = np.array([int((variances > s**2).sum()) for s in sigmas])
    inside = sigmas[(kept >= 8) & (kept <= d / 8)]
    window = (inside.min(), inside.max())
    fit = gt.fit_slope(sigmas, curve.mse_per_image, window)
    theory = gt.theory.optimal_slope(alpha)
    verdict = "inside" if fit.low <= theory <= fit.high else "outside"
    print(f"alpha = {alpha:g}: theory {theory:.3f}, {verdict} the interval\n    {fit}")

    risk = gaussian_mse(variances, torch.tensor(sigmas, dtype=torch.float32))
    ax.plot(sigmas, curve.mse_per_image.mean(axis=1), "o", color=colour, ms=3.5, label=f"$\\alpha$ = {alpha:g}")
    ax.plot(sigmas, risk, color=colour, lw=1)
    ax.plot(sigmas, power_law_oracle_risk(float(variances.max()), alpha, sigmas), ":", color="black", lw=1)
    right.plot(sigmas, gt.local_slopes(sigmas, risk), color=colour, lw=1)
    right.plot(inside, np.interp(inside, sigmas, gt.local_slopes(sigmas, risk)), color=colour, lw=4, alpha=0.5)
    right.axhline(theory, color=colour, ls="--", lw=1)
ax.set(xscale="log", yscale="log", xlabel="$\\sigma$", ylabel="mean squared error")
ax.legend()
right.set(xscale="log", xlabel="$\\sigma$", ylabel="local slope", ylim=(0, 1.05), title="thick: window of the fit")

# %%
# Geometric images: what wavelets reach
# -------------------------------------
#
# For images with edges the oracle of a wavelet basis has slope 1/2, however regular the contour: an edge crosses about
# :math:`2^j` wavelets at scale :math:`2^{-j}`. The risk needs no noise, so we can look at noise levels far above 1, where
# only the coarse wavelets count. We look for the slope 1/2.

alpha, sizes = 2.0, (64, 128, 256)
levels = np.geomspace(0.01, 10, 19)
figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained", width_ratios=[1, 1.6])
for n, colour in zip(sizes, (plots.BLUE, plots.GREEN, plots.VERMILION), strict=True):
    x = gt.CAlpha(alpha=alpha, size=n).sample(6, seed=1)
    x = x - x.mean(dim=(1, 2, 3), keepdim=True)
    # mirror images continue the image without a jump at the border, which periodic wavelets would see as an edge
    mirrored = torch.cat([x, x.flip(3)], dim=3)
    mirrored = torch.cat([mirrored, mirrored.flip(2)], dim=2)
    risk = torch.stack([gt.oracle_mse(gt.Wavelet("db4"), mirrored, s) for s in levels]).mean(dim=1) / 4
    slopes = gt.local_slopes(levels, risk)
    axes[1].plot(levels, slopes, color=colour, label=f"{n} x {n}")
    near = levels[np.abs(slopes - 0.5) < 0.05]
    where = f"for sigma from {near.min():.2g} to {near.max():.2g}" if len(near) > 1 else "hardly anywhere"
    small = float(np.interp(np.log(0.1), np.log(levels), slopes))
    print(f"{n} x {n}: local slope within 0.05 of 1/2 {where}; at sigma = 0.1 it is {small:.2f}")
plots.image((x[3] + 0.5).numpy(), axes[0], f"one of them, {sizes[-1]} x {sizes[-1]}")
axes[1].axhline(0.5, color="black", ls="--", lw=1)
axes[1].set(
    xscale="log", xlabel="$\\sigma$", ylabel="local slope", title="wavelet oracle, images mirrored at their borders"
)
axes[1].legend()

# %%
# At small noise all the wavelets along the contour stand above the noise down to the finest scale. There are no finer ones,
# so the risk becomes that of a fixed number of coefficients, of slope 1. More pixels do not help at a given noise per
# pixel, as the three curves show: they only make room for the power law at larger noise.
#
# A trained network on the same class
# -----------------------------------
#
# The shipped denoiser, on 64 x 64 images, over the noise levels one would use in practice.

n = 64
f = gt.shipped_denoiser("unet_c_alpha")
x = gt.CAlpha(alpha=alpha, size=n).sample(32, seed=1)
levels = np.geomspace(0.03, 1, 10)
curve = gt.psnr_curve(f, x, levels, seed=2)
window = (0.06, 0.6)
risks = {
    "network": (curve.mse_per_image, plots.VERMILION),
    "wavelet oracle": (torch.stack([gt.oracle_mse(gt.Wavelet("sym4"), x, s) for s in levels]), plots.BLUE),
    "DCT oracle": (torch.stack([gt.oracle_mse(gt.DCT(), x, s) for s in levels]), plots.GREEN),
}
target = gt.theory.optimal_slope(alpha)
figure, (ax, right) = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained")
for name, (risk, colour) in risks.items():
    output = (10 * np.log10(n**2 / np.asarray(risk))).mean(axis=1)
    ax.plot(-20 * np.log10(levels), output, color=colour, label=name)
    slopes = gt.local_slopes(levels, risk)
    right.plot(levels, slopes, color=colour)
    fit = gt.fit_slope(levels, risk, window)
    inside = (levels >= window[0]) & (levels <= window[1])
    print(f"{name}: local slopes from {slopes[inside].min():.2f} to {slopes[inside].max():.2f},\n    {fit}")
right.axhline(target, color="black", ls="--", lw=1)
right.annotate("$\\alpha / (\\alpha + 1)$", (levels[-1], target), ha="right", xytext=(0, 3), textcoords="offset points")
right.axvspan(*window, color=plots.GREY, alpha=0.12, lw=0)
right.set(xscale="log", xlabel="$\\sigma$", ylabel="local slope", title="grey: window of the fits")
ax.set(xlabel="input PSNR (dB)", ylabel="output PSNR (dB)")
ax.legend()

# %%
# A fit over a range where the local slope runs is a mean of that range. That its value lies near :math:`\alpha/(\alpha+1)`
# says little by itself: see whether the local slope stays there, and what the slopes of other methods are over the same
# levels. The comparison at equal noise, in decibels, is the safer one.

gain = curve.psnr - (10 * torch.log10(n**2 / risks["wavelet oracle"][0])).mean(dim=1).numpy()
print("sigma                              ", " ".join(f"{s:6.2f}" for s in levels))
print("network minus wavelet oracle, in dB", " ".join(f"{g:+6.1f}" for g in gain))

# sphinx_gallery_thumbnail_number = 2
