r"""
What regularity do these images have?
=====================================

A class is called :math:`C^\alpha`, a network is trained on it, and the slope of its PSNR curve is compared with
:math:`\alpha / (\alpha + 1)`. That means something only if the images have the regularity of their name. We measure it, for
the published generator ("paper") and for one that draws the exponents it says ("holder").
"""

# %%
# A filter is not a regularity
# ----------------------------
#
# The published generator filters white noise by :math:`|k|^{-\alpha}`, on a line for the contour and in the plane for the
# backgrounds. A filter of order q gains q derivatives. But white noise does not start at 0: it is as irregular as
# :math:`C^{-1/2}` on a line and :math:`C^{-1}` in the plane. So the contours are :math:`C^{\alpha - 1/2}` and the backgrounds
# :math:`C^{\alpha - 1}`. "holder" takes :math:`|k|^{-(\alpha + 1/2)}` and :math:`|k|^{-(\alpha + 1)}`.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.bases import Fourier
from gahb_theory.images.fields import gaussian_fields, gaussian_series
from gahb_theory.images.published_c_alpha import paper_contours, paper_fields
from gahb_theory.report import figures as plots

figure, axes = plt.subplots(2, 8, figsize=(8.8, 2.7), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, convention in zip(axes, ("paper", "holder"), strict=True):
    for ax, picture in zip(row, gt.CAlpha(2.0, convention=convention).sample(8, seed=7).numpy(), strict=True):
        plots.image(picture, ax)
    label = f'"{convention}", alpha = 2'
    title = row[0].annotate(label, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# Measured
# --------
#
# ``estimate_regularity`` reads the exponent off the decay of wavelet coefficients across octaves. Contours are measured
# before they are rounded to whole pixels, which the published generator does: what is left of their regularity below one
# pixel is none.

alphas = (1.0, 1.5, 2.0, 3.0, 4.0)
double = torch.float64
conventions = {
    "holder": (
        lambda a: gaussian_series(32, 2048, 2048, a, seed=0, start=0, dtype=double),
        lambda a: gaussian_fields(6, 256, a, seed=0, start=0, dtype=double),
    ),
    "paper": (
        lambda a: paper_contours(32, 2048, a, dtype=double),
        lambda a: paper_fields(6, 256, a, dtype=double),
    ),
}
figure, axes = plt.subplots(1, 2, figsize=(9.2, 3.6), layout="constrained", sharey=True)
for (convention, parts), colour in zip(conventions.items(), (plots.BLUE, plots.VERMILION), strict=True):
    for ax, draw, part, loss in zip(axes, parts, ("contour", "background"), (0.5, 1.0), strict=True):
        found = [gt.theory.estimate_regularity(draw(a)) for a in alphas]
        exponents = np.array([r.exponent for r in found])
        ends = np.array([(r.exponent - r.low, r.high - r.exponent) for r in found]).T
        ax.errorbar(alphas, exponents, ends, fmt="o", color=colour, ms=4, label=f'"{convention}"')
        theory = np.array(alphas) - (loss if convention == "paper" else 0)
        ax.plot(alphas, theory, color=colour, ls="--", lw=1)
        ax.set(title=f"regularity of the {part}", xlabel="alpha of the name")
        print(f"{convention:7} {part:11}", "  ".join(f"{a:g}: {e:.2f}" for a, e in zip(alphas, exponents, strict=True)))
axes[0].legend()

# %%
# Dashed: :math:`\alpha`, and what the filter really gives.

# %%
# Why it matters for slopes
# -------------------------
#
# The background is a stationary field: the Fourier basis is as good as any, and the oracle in it shows the slope of the
# class. For fields of regularity a it is :math:`a / (a + 1)`. With :math:`a = \alpha - 1` the published backgrounds have
# :math:`(\alpha - 1) / \alpha`, not :math:`\alpha / (\alpha + 1)`. Backgrounds alone, 80 x 80 pixels, periodic, stretched to
# [0, 1], noise levels from 0.01 to 0.32:

sigmas = np.geomspace(0.01, 0.32, 8)
networks = {1.0: 0.46, 2.0: 0.61, 3.0: 0.75, 5.0: 0.83}  # slopes that the paper reports for its trained networks


def oracle_slope(x):
    """Slope of the Fourier oracle on fields stretched between their extremes."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    unit = (x - low) / (high - low)
    return gt.fit_slope(sigmas, torch.stack([gt.oracle_mse(Fourier(), unit, float(s)) for s in sigmas])).slope


print("alpha   a/(a+1)   holder   (a-1)/a   paper   networks of the paper")
measured = {"holder": [], "paper": []}
for a in networks:
    measured["holder"].append(oracle_slope(gt.GaussianField(a, size=80, period=1).sample(24, dtype=double)))
    measured["paper"].append(oracle_slope(paper_fields(24, 80, a, dtype=double)[:, :1]))
    print(
        f"{a:5g}   {a / (a + 1):7.3f}   {measured['holder'][-1]:6.2f}   {(a - 1) / a:7.3f}   {measured['paper'][-1]:5.2f}"
        f"   {networks[a]:.2f}"
    )

grid = np.linspace(1, 5, 100)
figure, ax = plt.subplots(figsize=(5.8, 3.8), layout="constrained")
ax.plot(grid, grid / (grid + 1), color=plots.BLUE, ls="--", lw=1, label=r"$\alpha / (\alpha + 1)$")
ax.plot(grid, (grid - 1) / grid, color=plots.VERMILION, ls="--", lw=1, label=r"$(\alpha - 1) / \alpha$")
ax.plot(list(networks), measured["holder"], "o", color=plots.BLUE, label='oracle on "holder" backgrounds')
ax.plot(list(networks), measured["paper"], "s", color=plots.VERMILION, label='oracle on "paper" backgrounds')
ax.plot(list(networks), list(networks.values()), "k*", ms=9, label="networks, whole images (paper, figure 4)")
ax.set(xlabel=r"$\alpha$ of the name", ylabel="PSNR slope", ylim=(0, 1))
ax.legend(loc="lower right")

# %%
# The networks of the paper were trained on images with contours and backgrounds of its generator, and their slopes agree
# with :math:`\alpha / (\alpha + 1)`. Their backgrounds alone would have other slopes, and a contour adds a slope that goes to
# 1 at small noise, where its few parameters are all above the noise. So the agreement may come from a mixture of the two over
# a finite range of noise, rather than from the asymptotic power law. That is a hypothesis, and these oracles do not decide it.
#
# The point at :math:`\alpha = 1` of the published fields is no slope at all: regularity 0, where every coefficient of the
# grid lies above the noise for part of the range. It depends on the scale of the intensities and on the window:

figure, ax = plt.subplots(figsize=(5.8, 3.4), layout="constrained")
levels = np.geomspace(0.003, 1, 24)
for a, colour in ((1.0, plots.ORANGE), (2.0, plots.VERMILION), (3.0, plots.PURPLE)):
    x = paper_fields(24, 80, a, dtype=double)[:, :1]
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    mse = torch.stack([gt.oracle_mse(Fourier(), (x - low) / (high - low), float(s)) for s in levels])
    ax.plot(levels, gt.local_slopes(levels, mse), color=colour, label=rf'"paper", $\alpha$ = {a:g}')
    ax.axhline((a - 1) / a, color=colour, ls=":", lw=1)
ax.axvspan(0.01, 0.32, color=plots.GREY, alpha=0.12, lw=0)
ax.set(xscale="log", xlabel="noise level", ylabel="local slope of the oracle", ylim=(-0.05, 1))
ax.legend()

# %%
# Dotted: :math:`(\alpha - 1) / \alpha`; grey: the window of the fits. Look at local slopes before trusting a fitted one.

# sphinx_gallery_thumbnail_number = 3
