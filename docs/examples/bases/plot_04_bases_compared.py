r"""
Bases compared
==============

A basis suits an image class if few of its atoms hold most of the energy. The error of the best M terms and the risk of
the oracle say the same thing twice: if one decays as :math:`M^{-\alpha}`, the other grows as
:math:`(\sigma^2)^{\alpha/(\alpha+1)}`.
"""

# %%
# Four fixed bases, five image classes. Principal components are fitted to images of each class; the others know nothing.
# The images are small, so that the complete basis of principal components takes a moment only.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

size, tested = 32, 64
classes = {
    "C^alpha, alpha = 1": gt.CAlpha(alpha=1.0, size=size),
    "C^alpha, alpha = 2": gt.CAlpha(alpha=2.0, size=size),
    "disks": gt.Disks(size=size),
    "photographs": gt.Photographs(size=size),
    "disks, shuffled": gt.Shuffled(gt.Disks(size=size)),
}
colours = {"Fourier": plots.ORANGE, "DCT": plots.GREEN, "wavelet": plots.BLUE, "PCA": plots.PURPLE}
images = {name: image_class.sample(tested, seed=1) for name, image_class in classes.items()}
bases = {
    name: {
        "Fourier": gt.Fourier(),
        "DCT": gt.DCT(),
        "wavelet": gt.Wavelet("sym4"),
        "PCA": gt.PCA.fit(image_class.sample(2048, seed=2)),
    }
    for name, image_class in classes.items()
}

# %%
# Atoms
# -----
#
# The four atoms of each basis that hold most of the energy of the class, below one image. Principal components of a class
# that has no preferred place are harmonics. They do not know where the contour of this image is, and no fixed basis can.

figure, axes = plt.subplots(5, len(classes), figsize=(8.4, 8.4), layout="constrained")
for column, (name, x) in zip(axes.T, images.items(), strict=True):
    plots.image(x[0].numpy(), column[0], name)
    for ax, basis in zip(column[1:], bases[name].values(), strict=True):
        energy = basis.analysis(x).square().mean(dim=0)
        chosen = energy.argsort(descending=True)[[1, 4, 9, 19]].tolist()
        atoms = basis.atom_images(chosen, x.shape[1:]).reshape(2, 2, size, size)
        bound = atoms.abs().flatten(2).amax(2)[:, :, None, None]
        mosaic = (atoms / bound).permute(0, 2, 1, 3).reshape(1, 2 * size, 2 * size)
        plots.signed_image(mosaic.numpy(), ax)
        ax.axhline(size - 0.5, color="white", lw=3)
        ax.axvline(size - 0.5, color="white", lw=3)
for ax, label in zip(axes[1:, 0], colours, strict=True):
    ax.annotate(label, (-0.04, 0.5), xycoords="axes fraction", rotation=90, ha="right", va="center")

# %%
# Best M terms
# ------------
#
# The error :math:`\|x - x_M\|^2 / \|x - \bar x\|^2` of the M largest coefficients, the mean over test images. The mean
# intensity is taken off, since it says nothing about geometry.


def error_of_terms(basis, x):
    """Energy beyond the best M terms, relative, M = 0 .. d - 1; mean over images."""
    centred = x - x.mean(dim=(1, 2, 3), keepdim=True)
    energy = basis.analysis(centred).double().square().sort(dim=1, descending=True).values
    left = energy.flip(1).cumsum(1).flip(1)
    return (left / left[:, :1]).mean(dim=0).numpy()


terms = np.arange(size**2)
shown = 60
figure, axes = plt.subplots(1, len(classes), figsize=(10.4, 2.8), layout="constrained", sharey=True)
for ax, (name, x) in zip(axes, images.items(), strict=True):
    errors = {label: error_of_terms(basis, x) for label, basis in bases[name].items()}
    for label, error in errors.items():
        ax.plot(terms, error, color=colours[label], label=label)
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 1.2), xlabel="M", title=name)
    ranking = ", ".join(
        f"{label} {error[shown]:.2%}" for label, error in sorted(errors.items(), key=lambda e: e[1][shown])
    )
    print(f"{name:20} left out by {shown} terms: {ranking}")
axes[0].set_ylabel("relative error")
axes[0].legend(loc="lower left")

# %%
# Oracle risks
# ------------
#
# The same bases as denoisers. The oracle attenuates each coefficient by :math:`c_k^2 / (c_k^2 + \sigma^2)`; no method
# that shrinks in this basis does better. Shown is its gain in PSNR over the noisy image.

sigmas = np.geomspace(0.02, 1, 15)
figure, axes = plt.subplots(1, len(classes), figsize=(10.4, 2.8), layout="constrained", sharey=True)
sigma = 0.1
for ax, (name, x) in zip(axes, images.items(), strict=True):
    gains = {}
    for label, basis in bases[name].items():
        risk = torch.stack([gt.oracle_mse(basis, x, s) for s in sigmas])
        gained = (10 * torch.log10(size**2 / risk)).mean(dim=1).numpy() + 20 * np.log10(sigmas)
        gains[label] = np.interp(np.log(sigma), np.log(sigmas), gained)
        ax.plot(-20 * np.log10(sigmas), gained, color=colours[label], label=label)
    ax.set(xlabel="input PSNR (dB)", title=name)
    ranking = ", ".join(f"{label} {g:.1f}" for label, g in sorted(gains.items(), key=lambda g: -g[1]))
    print(f"{name:20} oracle gain at sigma = {sigma:g} in dB: {ranking}")
axes[0].set_ylabel("gain of the oracle (dB)")
axes[0].set_ylim(bottom=0)
axes[0].legend(loc="upper right")

# %%
# Of all fixed bases the principal components keep the most energy in their first M atoms, on average over the class. To
# choose the best M atoms anew for each image is another game, which they need not win.
#
# Shuffling the pixels leaves the information as it was, and the principal components follow it: they are the shuffled
# ones. The three bases that assume a geometry lose theirs.

plain, shuffled = (float(error_of_terms(bases[n]["PCA"], images[n])[shown]) for n in ("disks", "disks, shuffled"))
print(f"left out by {shown} principal components: {plain:.2%} of disks, {shuffled:.2%} of shuffled disks")
for label in ("Fourier", "DCT", "wavelet"):
    plain, shuffled = (float(error_of_terms(bases[n][label], images[n])[shown]) for n in ("disks", "disks, shuffled"))
    print(f"left out by {shown} terms of {label:8}          {plain:.2%} of disks, {shuffled:.2%} of shuffled disks")

# sphinx_gallery_thumbnail_number = 1
