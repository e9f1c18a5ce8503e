r"""
Sampling
========

A denoiser is a score: :math:`\nabla \log p_\sigma(y) = (f(y) - y) / \sigma^2`. ``gt.sample`` climbs it from noise to an
image. First on a distribution we know, so that we see whether the samples are right; then with a network that comes with the
library.
"""

# %%
# A distribution we know
# -----------------------
#
# Images of two pixels, a mixture of two Gaussians. Its posterior mean is a formula: each Gaussian has its Wiener filter,
# weighted by how likely it is given :math:`y`.

import math

import torch

import gahb_theory as gt
from gahb_theory import plots

means, weights, variance = torch.tensor([[0.2, 0.35], [0.8, 0.65]]), torch.tensor([0.3, 0.7]), 0.01


def posterior_mean(y, sigma):
    total = variance + sigma**2
    away = y.flatten(1)[:, None] - means
    likely = torch.softmax(weights.log() - away.square().sum(-1) / (2 * total), dim=1)
    return (likely[..., None] * (means + variance / total * away)).sum(1).reshape(y.shape)


# %%
# Are weights, means and variances of the samples those of the distribution? A finite step leaves the variances too small by
# about h / 2 = 1 %, the end of the ascent by :math:`\sigma_\infty^2 / s` = 1 %. Other errors should be those of so many
# samples.

n = 1500
samples = gt.sample(posterior_mean, (n, 1, 1, 2), step=0.02, sigma_inf=0.01, batch_size=n)
x = samples.images.reshape(n, 2)
mode = torch.cdist(x, means).argmin(dim=1)
print(f"weight of the first mode {float((mode == 0).float().mean()):.3f} +- {math.sqrt(0.21 / n):.3f}, should be 0.3")
for k in (0, 1):
    near = x[mode == k]
    off, spread = (near.mean(dim=0) - means[k]).abs().max(), near.var(dim=0).mean() / variance
    print(f"mode {k + 1}: mean off by {off:.3f}, variance {spread:.3f} +- {1 / math.sqrt(len(near)):.3f} of its value")

# %%
# Images from noise
# -----------------
#
# The network is blind: it does not see :math:`\sigma`, and the sampler reads it from the length of the residual. A step
# that grows needs about a hundred steps, where the constant :math:`h = 0.01` of the paper needs three thousand. Here is
# :math:`f(y_t)`, the estimate at some moments t, with :math:`\sigma_t`.

f = gt.shipped_denoiser("unet_c_alpha")
samples = gt.sample(f, (4, 1, 48, 48), seed=1, step=gt.sampling.growing_step(0.02), every=1)
print(samples)
way = samples.trajectory
moments = torch.linspace(0, len(way.steps) - 1, 6).long()
titles = [f"t = {int(way.steps[k])}: {float(way.sigma[k, 0]):.2f}" for k in moments]
plots.images(way.denoised[moments, 0], titles)

# %%
# Two denoisers, the same noise
# -----------------------------
#
# All random numbers of a sample are a function of the seed and of its number: both networks start from the same
# noise and have the same noise put back at every step. What differs is what they have learned. Both are small,
# and their samples show no more than that.

other = gt.sample(gt.shipped_denoiser("photographs"), (4, 1, 48, 48), seed=1, step=gt.sampling.growing_step(0.02))
plots.images(torch.cat([samples.images[:3], other.images[:3]]), ["C^alpha images"] * 3 + ["photographs"] * 3)

# sphinx_gallery_thumbnail_number = 2
