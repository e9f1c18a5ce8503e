r"""
Measures of generalisation
==========================

Has a denoiser learned the distribution of its training images, or the images themselves? Train two on disjoint halves
and compare. Here the two denoisers are formulas, so that we know the answer and see how each measure tells it.
"""

# %%
# Two halves, two kinds of learning
# ---------------------------------
#
# ``gt.images.split`` removes near-duplicates and makes two disjoint sets. From :math:`N` images of a set we make
#
# - the *memoriser*: the posterior mean of these images, which is what perfect training would give;
# - the *linear denoiser*: the Wiener filter of their mean and covariance, the best that a linear function can do.
#
# The first never learns anything but its images. The second has :math:`d (d + 1) / 2` numbers to learn, and does so when
# :math:`N` is large against :math:`d`.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

size = 16
d = size**2
images = gt.CAlpha(alpha=1.0, size=size).sample(5000, seed=1)
halves = gt.images.split(images, n=2048)
between = slice(int(halves.first_indices[-1]) + 1, int(halves.second_indices[0]))
fresh = images[between][gt.images.distinct(images[between])][:128]
print(f"{len(halves.removed)} near-duplicates of {len(images)} images removed, {len(fresh)} images kept for testing")
print("sha256 of the halves:", *(h[:12] for h in halves.hashes))


class Memoriser(torch.nn.Module):
    """The posterior mean of a finite set of images."""

    def __init__(self, images):
        super().__init__()
        self.register_buffer("images", images.flatten(1))
        self.eval()

    def forward(self, y, sigma):
        away = torch.cdist(y.flatten(1), self.images).square()
        return (torch.softmax(-away / (2 * sigma**2), dim=1) @ self.images).reshape(y.shape)


def wiener(images):
    """The best linear denoiser of a set of images."""
    mean = images.mean(dim=0, keepdim=True)
    centred = (images - mean).flatten(1).double()
    return gt.GaussianDenoiser(mean, (centred.mT @ centred / len(images)).float())


# %%
# The measures, for growing N
# ---------------------------

numbers = [2, 8, 32, 128, 512, 2048]
sigmas, drawn = [0.05, 0.1, 0.2, 0.4], 48
learners = {"memoriser": Memoriser, "linear": wiener}
measured = {name: [] for name in learners}
kept = {}
for name, learn in learners.items():
    for count in numbers:
        sets = halves.first[:count], halves.second[-count:]
        f, g = (learn(part) for part in sets)
        seen = sets[0].repeat(-(-64 // count), 1, 1, 1)[:128]
        a, b = (gt.generate(h, (drawn, 1, size, size), step=0.1, beta=0.5, batch_size=drawn).images for h in (f, g))
        measured[name].append(
            {
                "gap": gt.psnr_gap(f, seen, fresh, sigmas).gap,
                "distance": gt.function_distance(f, g, fresh, sigmas).ratio,
                "pairs": gt.generalization.paired_similarity(a, b),
                "copies": gt.copies(a, sets[0]),
            }
        )
        kept[name, count] = a, b, sets

# %%
# Four ways to see the same thing. The gap is at :math:`\sigma = 0.1`; where the memoriser returns its images to the last
# bit it is infinite. The distance of the two functions is relative to their risk: at 2 all of it comes from
# the choice of the training set. Bands are 95 % intervals.

colours = {"memoriser": plots.VERMILION, "linear": plots.BLUE}
figure, axes = plt.subplots(1, 4, figsize=(10.6, 2.9), layout="constrained")


def curve(ax, estimates, colour, label=None, line="-"):
    """A line with its band, over N."""
    value, low, high = (np.array([getattr(e, part) for e in estimates]) for part in ("value", "low", "high"))
    good = np.isfinite(value)
    at = np.array(numbers)
    ax.plot(at[good], value[good], line, color=colour, marker="o", ms=3, label=label)
    ax.fill_between(at[good], low[good], np.minimum(high[good], 1e3), color=colour, alpha=0.2, lw=0)
    ax.set(xscale="log", xlabel="training images N")


def at_level(estimate, k):
    """One noise level of an estimate."""
    parts = (estimate.value, estimate.low, estimate.high, estimate.standard_error)
    return gt.Estimate(*(float(part[k]) for part in parts), estimate.confidence, estimate.method)


level = sigmas.index(0.1)
for name, results in measured.items():
    colour = colours[name]
    curve(axes[0], [at_level(r["gap"], level) for r in results], colour, name)
    curve(axes[1], [at_level(r["distance"], level) for r in results], colour, name)
    curve(axes[2], [r["pairs"].mean for r in results], colour)
    curve(axes[2], [r["pairs"].null_mean for r in results], colour, line=":")
    curve(axes[3], [r["copies"].share for r in results], colour, name)
titles = ("PSNR gap (dB)", "function distance / risk", "similarity of paired samples", "share of copies")
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
    ax.axvline(d, color=plots.GREY, lw=0.8, ls="--")
axes[0].set_yscale("symlog", linthresh=1)
axes[1].legend(loc="lower left")
axes[0].text(
    0.97, 0.95, "memoriser: infinite", color=plots.VERMILION, ha="right", va="top", transform=axes[0].transAxes
)
axes[2].plot([], [], color=plots.GREY, label="same noise")
axes[2].plot([], [], ":", color=plots.GREY, label="other noise")
axes[2].legend(loc="center right", bbox_to_anchor=(1, 0.32))

for name, results in measured.items():
    last = results[-1]
    print(f"{name}, N = {numbers[-1]}")
    print(f"    gap at sigma = 0.1 (dB)     {at_level(last['gap'], level)}")
    print(f"    distance / risk             {at_level(last['distance'], level)}")
    print(f"    similarity of pairs         {last['pairs'].mean}")
    print(f"    similarity, not paired      {last['pairs'].null_mean}")
    print(f"    share of copies             {last['copies'].share}")

# %%
# The dashed line is :math:`N = d`. Some way beyond it the linear denoiser no longer depends on which images it was given: no
# gap, no distance, the same sample from the same noise. The memoriser depends on them at every :math:`N` here. Its pairs
# grow more alike all the same, since among more images there are two that are alike, one in each set: the similarity of
# pairs alone is no proof, and neither is the share of copies, which is 0 for the linear denoiser of 8 images.

# %%
# The samples themselves
# ----------------------
#
# Samples of the two denoisers from the same noise, between the closest images of their training sets.

figure, axes = plt.subplots(4, 12, figsize=(10.6, 3.9), layout="constrained")
for block, (name, count) in enumerate([("memoriser", 2048), ("linear", 8), ("linear", 2048)]):
    a, b, sets = kept[name, count]
    columns = axes[:, 4 * block : 4 * block + 4]
    nearest = [part[gt.metrics.closest(x[:4], part).indices[:, 0]] for x, part in zip((a, b), sets, strict=True)]
    for row, pictures in zip(columns, (nearest[0], a, b, nearest[1]), strict=True):
        for ax, picture in zip(row, pictures, strict=False):
            plots.image(picture.numpy(), ax)
    columns[0, 0].set_title(f"{name}, N = {count}", loc="left")
for ax, label in zip(axes[:, 0], ("closest in A", "sample of A", "sample of B", "closest in B"), strict=True):
    ax.set_axis_on()
    ax.set(xticks=[], yticks=[])
    ax.set_ylabel(label, rotation=0, ha="right", va="center")
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)

# %%
# A network
# ---------
#
# The shipped network was trained on photographs without "camera", which is kept for testing. Its gap mixes two things,
# memorisation and the difference between photographs, and with one photograph for the test no number can tell them apart.
# The interval over patches is wide enough to say so.
#
# The distance from a memoriser of 2000 of its training patches says more. A function of :math:`y` such as :math:`f_N` is
# orthogonal to the error of the posterior mean: for that one, :math:`E\|f - f_N\|^2 + E\|x - f\|^2 = E\|x - f_N\|^2`, so
# that the two shares below sum to 1. A denoiser that has memorised these patches has a share of 0 in the place of the first.

f = gt.shipped_denoiser("photographs")
train, test = (gt.pretrained.shipped_class("photographs", split).sample(24, seed=3) for split in ("train", "test"))
gap = gt.psnr_gap(f, train, test, [0.1, 0.2])
print("PSNR gap in dB at sigma = 0.1 and 0.2:", gap.gap)
memoriser = Memoriser(gt.pretrained.shipped_class("photographs").sample(2000, seed=4))
distance = gt.generalization.memoriser_distance(f, memoriser, train, [0.1, 0.2])
print("distance from the memoriser:          ", distance.ratio)
print("risk of the network, same units:      ", gap.train.mse_per_image.mean(axis=1) / distance.reference.value)

# %%
# What a denoiser has learned in place of its images is the theme of the other examples: see its Jacobian.
