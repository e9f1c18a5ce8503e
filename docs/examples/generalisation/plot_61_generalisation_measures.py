r"""
Measures of generalisation
==========================

Has a denoiser learned the distribution of its training images, or the images themselves? Make two from disjoint halves
and compare. Here the two denoisers are formulas, so that we know the answer and see how each measure tells it.
"""

# %%
# From N images of a half we make the *memoriser*, the posterior mean of these images, which is what perfect training would
# give, and the *linear denoiser*, the Wiener filter of their mean and covariance. The first never learns anything but its
# images. The second has :math:`d (d + 1) / 2` numbers to learn, and does so when N is large against :math:`d`.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots
from gahb_theory.generalization import paired_similarity

images = gt.CAlpha(alpha=1.0, size=16).sample(5000, seed=1).double()
halves = gt.images.split(images, n=2048)
fresh = gt.CAlpha(alpha=1.0, size=16).sample(128, seed=2).double()
print(f"{len(halves.removed)} near-duplicates of {len(images)} images removed")

# %%
# Four ways to see the same thing, for growing N. The distance of the two functions is relative to their risk: at 2 all of it
# comes from the choice of the training set. The gap of the memoriser is infinite: it
# returns its images to the last bit.

numbers, sigma, shape = [8, 32, 128, 512, 2048], 0.1, (32, 1, 16, 16)
titles = ("PSNR gap (dB)", "distance / risk", "similarity of paired samples", "share of copies")
figure, axes = plt.subplots(1, 4, figsize=(10.6, 2.9), layout="constrained")
for name, learn in {"memoriser": gt.EmpiricalBayes, "linear": gt.GaussianDenoiser.fit}.items():
    rows = []
    for n in numbers:
        sets = halves.first[:n], halves.second[-n:]
        f, g = (learn(part) for part in sets)
        a, b = (gt.sample(h, shape, step=0.1, beta=0.5, batch_size=32) for h in (f, g))
        gap = gt.psnr_gap(f, sets[0][:64], fresh, sigma).gap
        distance = gt.function_distance(f, g, fresh, sigma).ratio
        found = (gap, distance, paired_similarity(a, b).mean, gt.copies(a, sets[0]).share)
        rows.append([torch.as_tensor(estimate.value).item() for estimate in found])
    for ax, title, values in zip(axes, titles, zip(*rows, strict=True), strict=True):
        ax.semilogx(numbers, values, "o-", ms=3, label=name)
        ax.set(title=title, xlabel="training images N")
        print(f"{name:10} {title:30}", "  ".join(f"{value:7.2f}" for value in values))
axes[0].set_yscale("symlog", linthresh=1)
axes[3].legend()

# %%
# Some way beyond :math:`N = d = 256` the linear denoiser no longer depends on which images it was given: no gap, no distance,
# the same sample from the same noise. The memoriser depends on them at every N. Its pairs grow more alike all the same, since
# among more images there are two that are alike, one in each set. And the linear denoiser of 8 images has no copies: the
# similarity of pairs alone is no proof, and neither is the share of copies.
#
# Samples of the two memorisers of 2048 images from the same noise (first three and last three are paired):

a, b = (gt.sample(gt.EmpiricalBayes(part), (3, 1, 16, 16), step=0.1) for part in (halves.first, halves.second))
plots.images(torch.cat([a.images, b.images]))

# %%
# A network
# ---------
#
# The shipped network has seen neither of these two sets of photographs. A gap between them is one between photographs, and no
# memory; the interval over patches is wide enough to say so.

f = gt.shipped_denoiser("photographs")
train, test = (gt.pretrained.shipped_class("photographs", split).sample(24, seed=3) for split in ("train", "test"))
print("PSNR gap in dB at sigma = 0.1 and 0.2:", gt.psnr_gap(f, train, test, [0.1, 0.2]).gap)
