r"""
Sampling
========

A denoiser is a score: :math:`\nabla \log p_\sigma(y) = (f(y) - y) / \sigma^2`. ``gt.generate`` climbs it from noise to
an image. First on a distribution we know, so that we see whether the samples are right; then with the two networks that
come with the library.
"""

# %%
# A distribution we know
# -----------------------
#
# Images of two pixels, a mixture of two Gaussians. Its posterior mean is a formula: each Gaussian has its Wiener filter,
# weighted by how likely it is given :math:`y`.

import math

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

means = torch.tensor([[0.2, 0.35], [0.8, 0.65]])
weights, variance = torch.tensor([0.3, 0.7]), 0.01


def posterior_mean(y, sigma):
    total = variance + sigma**2
    away = y.flatten(1)[:, None] - means
    likely = torch.softmax(weights.log() - away.square().sum(-1) / (2 * total), dim=1)
    return (likely[..., None] * (means + variance / total * away)).sum(1).reshape(y.shape)


n = 1500
samples = gt.generate(posterior_mean, (n, 1, 1, 2), step=0.02, sigma_inf=0.01, every=250, batch_size=n)
print(samples)

way = samples.trajectory
shown = [0, 2, 4, 6, len(way.steps) - 1]
figure, axes = plt.subplots(1, 5, figsize=(10.4, 2.5), layout="constrained", sharex=True, sharey=True)
for ax, k in zip(axes, shown, strict=True):
    cloud = way.noisy[k] if k < len(way.steps) - 1 else samples.images
    ax.plot(*cloud.reshape(n, 2).T, ".", ms=2, alpha=0.35, color=plots.BLUE, rasterized=True)
    sigma = float(way.sigma[k, 0])
    spread = math.sqrt(variance + (sigma**2 if k < len(way.steps) - 1 else 0))
    for mean in means:
        ax.add_patch(plt.Circle(mean.tolist(), 2 * spread, fill=False, color=plots.VERMILION, lw=1.2))
    title = f"$\\sigma_t$ = {sigma:.2f}" if k < len(way.steps) - 1 else "$f(y_T)$"
    ax.set(
        title=f"step {int(way.steps[k])}, {title}", aspect="equal", xlim=(-0.9, 1.9), ylim=(-0.9, 1.9), xlabel="pixel 1"
    )
axes[0].set_ylabel("pixel 2")

# %%
# The circles hold 86 % of each Gaussian at the noise level of the step. Are the weights, the means and the variances of the
# samples those of the distribution? A finite step leaves the variances too small by about h / 2 = 1 %, the end of the ascent by
# :math:`\sigma_\infty^2 / s` = 1 %. Other errors should be those of so many samples.

x = samples.images.reshape(n, 2)
mode = torch.cdist(x, means).argmin(dim=1)
share = float((mode == 0).float().mean())
print(
    f"weight of the first mode {share:.3f}, should be 0.3, off by {abs(share - 0.3) / math.sqrt(0.21 / n):.1f} deviations"
)
for k in (0, 1):
    own = x[mode == k]
    off = (own.mean(dim=0) - means[k]) / math.sqrt(variance / len(own))
    spread = float(own.var(dim=0).mean() / variance)
    print(
        f"mode {k + 1}: mean off by {float(off.abs().max()):.1f} deviations, "
        f"variance {spread:.3f} +- {math.sqrt(1 / len(own)):.3f} of what it should be"
    )

# %%
# Images from noise
# -----------------
#
# The networks are blind: they do not see :math:`\sigma`, and the sampler reads it from the length of the residual. A step
# that grows needs about a hundred steps, where the constant :math:`h = 0.01` of the paper needs three thousand. Above
# :math:`y_t`, below :math:`f(y_t)`, the estimate at that moment.

size = 64
samples = {
    name: gt.generate(
        gt.shipped_denoiser(name), (4, 1, size, size), seed=1, step=gt.sampling.growing_step(0.02), every=1
    )
    for name in ("unet_c_alpha", "photographs")
}
for name, result in samples.items():
    print(f"{name:12} {result}")

way = samples["unet_c_alpha"].trajectory
moments = np.linspace(0, len(way.steps) - 1, 7).astype(int)
figure, axes = plt.subplots(2, 7, figsize=(10.4, 3.2), layout="constrained")
for column, k in zip(axes.T, moments, strict=True):
    plots.image(
        way.noisy[k, 0].numpy(), column[0], f"t = {int(way.steps[k])}, $\\sigma_t$ = {float(way.sigma[k, 0]):.2f}"
    )
    plots.image(way.denoised[k, 0].numpy(), column[1])

# %%
# Two denoisers, the same noise
# -----------------------------
#
# All random numbers of a sample are a function of the seed and of its number. So both networks have started from the same
# noise and have had the same noise put back at every step; what differs is what they have learned. They were trained for
# minutes on small images, and their samples show no more than that.

figure, axes = plt.subplots(2, 4, figsize=(5.6, 2.9), layout="constrained")
for row, (name, result) in zip(axes, samples.items(), strict=True):
    for ax, image in zip(row, result.images, strict=True):
        plots.image(image.numpy(), ax)
    row[0].set_title(
        {"unet_c_alpha": "trained on $C^\\alpha$ images", "photographs": "trained on photographs"}[name], loc="left"
    )

# %%
# What a step costs
# -----------------
#
# One call of the denoiser, and no more: the noise of many steps of a sample is drawn at once, and samples that have arrived
# leave the batch.

passed = 0


def counted(y, sigma):
    global passed
    passed += len(y)
    return posterior_mean(y, sigma)


result = gt.generate(counted, (20, 1, 1, 2))
print(result)
print(f"calls of the denoiser for each step of a sample: {passed / int(result.steps.sum()):.4f}")
