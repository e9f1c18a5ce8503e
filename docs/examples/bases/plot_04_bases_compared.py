r"""
Bases compared
==============

A basis suits an image class if few of its atoms hold most of the energy. The error of the best M terms and the risk of
the oracle say the same thing twice: if one decays as :math:`M^{-\alpha}`, the other grows as
:math:`(\sigma^2)^{\alpha/(\alpha+1)}`.
"""

# %%
# Four fixed bases, five image classes. Principal components are fitted to images of each class; the others know nothing.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots

size = 32
classes = {
    "C^alpha, alpha = 1": gt.CAlpha(alpha=1.0, size=size),
    "C^alpha, alpha = 2": gt.CAlpha(alpha=2.0, size=size),
    "disks": gt.Disks(size=size),
    "photographs": gt.Photographs(size=size),
    "disks, shuffled": gt.Shuffled(gt.Disks(size=size)),
}
images = {name: X.sample(64, seed=1) for name, X in classes.items()}


def bases(name):
    """Four bases, the last one fitted to other images of the class."""
    fitted = gt.PCA.fit(classes[name].sample(2048, seed=2))
    return {"Fourier": gt.Fourier(), "DCT": gt.DCT(), "wavelets": gt.Wavelet("sym4"), "PCA": fitted}


# %%
# Atoms
# -----
#
# The atoms of the principal components of disks that hold most of the energy: harmonics, as the class has no preferred place.
# They do not know where the contour of an image is, and no fixed basis can.

atoms = bases("disks")["PCA"].atom_images([1, 4, 9, 19, 39, 79], (1, size, size))
plots.images(0.5 + 0.5 * atoms / atoms.abs().amax((2, 3), keepdim=True), [f"atom {k}" for k in (2, 5, 10, 20, 40, 80)])

# %%
# Best M terms, and the oracle
# ----------------------------
#
# Above, the energy without the mean that the best M terms leave out. Below, the gain in PSNR of the oracle, which
# attenuates each coefficient by :math:`c_k^2 / (c_k^2 + \sigma^2)`: no method that shrinks in this basis does better.

M, sigmas = [1, 2, 4, 8, 16, 32, 64, 128, 256], torch.logspace(-1.7, 0, 8)
figure, axes = plt.subplots(2, 5, figsize=(10.4, 5.2), layout="constrained", sharey="row")
for (upper, lower), (name, x) in zip(axes.T, images.items(), strict=True):
    centred = x - x.mean(dim=(1, 2, 3), keepdim=True)
    energy = centred.square().sum(dim=(1, 2, 3))
    for label, basis in bases(name).items():
        left = (gt.theory.approximation_error(basis, centred, M) / energy[:, None]).mean(dim=0)
        risk = torch.stack([gt.oracle_mse(basis, x, float(s)) for s in sigmas])
        upper.loglog(M, left, label=label)
        lower.plot(-20 * sigmas.log10(), (10 * (size**2 * sigmas[:, None] ** 2 / risk).log10()).mean(dim=1))
        print(f"{name:20} {label:9} the best 64 terms leave out {float(left[6]):.2%}")
    upper.set(title=name, xlabel="M")
    lower.set(xlabel="input PSNR (dB)")
axes[0, 0].set_ylabel("energy left out")
axes[1, 0].set_ylabel("gain of the oracle (dB)")
axes[0, 0].legend()

# %%
# Shuffling the pixels leaves the information as it was, and the principal components follow it: they are the shuffled ones.
# The three bases that assume a geometry lose theirs. To choose the best M atoms anew for each image is another game than to
# keep the most energy on average, and principal components need not win it.
#
# sphinx_gallery_thumbnail_number = 2
