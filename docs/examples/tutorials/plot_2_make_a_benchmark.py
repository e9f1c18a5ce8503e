r"""
Make a benchmark with a known optimum
=====================================

The PSNR of two denoisers says which one is better. How much is left to gain only the best denoiser of the class of images
could tell: the posterior mean :math:`f^*(y) = E[x \mid y]`, whose risk is the *Bayes risk*. On some classes it is known.
"""

# %%
# Where the optimum is a formula
# ------------------------------
#
# Images of a stationary Gaussian field are denoised best by a linear filter. ``optimality`` gives decibels above the Bayes
# risk, :math:`10 \log_{10} (E\|f(y) - x\|^2 / R)`, at each noise level with a 95 % interval. A benchmark should be tried on a
# denoiser that is optimal first: it has to come out at 0.

import torch

import gahb_theory as gt
from gahb_theory import plots

sigmas = [0.03, 0.1, 0.3, 1.0]
fields = gt.GaussianField(2.0, size=16)
mean = torch.full((1, 1, 16, 16), fields.mean)
exact = gt.GaussianDenoiser(mean, fields.covariance.matrix().float())
print("exact filter", gt.optimality(exact, fields, sigmas))

# %%
# How many images does it take to learn that filter?

for n in (256, 1024, 4096):
    fitted = gt.GaussianDenoiser.fit(fields.sample(n, seed=1))
    print(f"fitted on {n} images: {gt.optimality(fitted, fields, [0.1]).gap.upper.value[0]:.2f} dB at sigma = 0.1")

# %%
# Where the optimum lies between two bounds
# -----------------------------------------
#
# Images of two regions and a contour have no formula. Markov chains over contours give a lower and an upper bound of the
# Bayes risk, which hold whether or not the chains mix; for this class and size they come with the library, less than 0.1 dB
# apart.

images = gt.CAlpha(alpha=2.0, size=16)
plots.images(images.sample(6, seed=1))

# %%
# Three denoisers: a network that was trained on such images of 64 pixels, the Wiener filter, and thresholds in a wavelet
# basis.

denoisers = {
    "network": gt.shipped_denoiser("c_alpha"),
    "Wiener filter": gt.GaussianDenoiser.fit(images.sample(4096, seed=1)),
    "wavelets": gt.ShrinkageDenoiser(gt.Wavelet("sym4", levels=4), gt.Hard(3.0)),
}
results = {name: gt.optimality(f, images, sigmas) for name, f in denoisers.items()}
for name, result in results.items():
    print(name, result)

# %%
# The network beside the bounds. Divided by :math:`\sigma^2` the risk is a number of dimensions: what is left of the noise.

results["network"].plot().figure

# %%
# The same as decibels above the optimum, for all three:

import matplotlib.pyplot as plt

figure, ax = plt.subplots(figsize=(5.4, 3.2), layout="constrained")
for name, result in results.items():
    ax.fill_between(sigmas, result.gap.lower.low, result.gap.upper.high, alpha=0.2, lw=0)
    ax.plot(sigmas, result.gap.upper.value, "o-", label=name)
ax.set(xscale="log", xlabel="noise level $\\sigma$", ylabel="dB above the optimum", ylim=(0, None))
ax.legend()

# %%
# A score and a place
# -------------------
#
# ``benchmark`` does this on six classes, with images that no training of the library draws, and looks up the place among
# those who have been there before.

print(gt.benchmark(denoisers["wavelets"], name="wavelets"))

# %%
# What one has learned
# --------------------
#
# - A benchmark with a known optimum is trusted because the optimal denoiser has 0 dB on it, within the interval.
# - The network is further from the optimum than a linear filter, at a size that it was not trained on. A table of PSNRs
#   beside wavelets, which both beat, would have hidden that.
# - Network and filter have the most to gain where the noise is weak.
#
# For a class of your own the bounds are computed on the spot; see :func:`gahb_theory.bayes_risk`. On photographs no optimum
# is known, and :func:`gahb_theory.excess_risk` certifies a distance from it from below.
#
# sphinx_gallery_thumbnail_number = 3
