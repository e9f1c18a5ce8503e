r"""
Denoisers side by side
======================

A network, exact denoisers of distributions that are known, an oracle, and a memoriser of its training set. One
noisy disk goes through all of them, and the Jacobian of each says what it did.
"""

# %%
# A disk has five parameters, so that more is known of it than of a photograph. Its posterior mean is computed by importance
# sampling over the five; the oracle projects on the tangent space at the clean image.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import denoisers, plots
from gahb_theory.report import figures

size, sigma = 24, 0.15
disks = gt.Disks(size=size)
scene = disks.scene(1, seed=7, start=4)
x, y = scene.images, gt.add_noise(scene.images, sigma)
train = disks.sample(2000, seed=1)
fs = {
    "posterior": denoisers.DiskBayes(disks, samples=1024),
    "oracle: tangent": denoisers.TangentDenoiser(x, scene.tangent),
    "Wiener filter": gt.GaussianDenoiser.fit(train),
    "memoriser": gt.EmpiricalBayes(train[:60]),
    "network": gt.shipped_denoiser("unet_c_alpha"),
    "wavelets": gt.ShrinkageDenoiser(gt.Wavelet("sym4", levels=3), gt.Hard(3.0)),
}
plots.images(torch.cat([x, y, *(f(y, sigma).detach() for f in fs.values())]), ["clean", "noisy", *fs])

# %%
# Eigenvectors of the symmetric part of each Jacobian, and what is reproduced by the shrinkage with them.

shown = [0, 1, 2, 4, 9]
figure, axes = plt.subplots(len(fs), len(shown) + 1, figsize=(7.2, 8.0), layout="constrained")
for row, (name, f) in zip(axes, fs.items(), strict=True):
    J = gt.jacobian(f, y, sigma)
    E, reproduced = J.eigenbasis(), J.reproduction(x)
    print(f"{name:24} tr J {J.trace():6.1f}   {reproduced}")
    for ax, k, atom in zip(row[1:], shown, E.atom_images(shown).numpy(), strict=True):
        figures.signed_image(atom, ax, f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.2f}")
    said = f"{name}\nf(y) {reproduced.psnr:.1f} dB\nS y {reproduced.psnr_shrinkage:.1f} dB"
    row[0].text(1, 0.5, said, ha="right", va="center", fontsize=8)
    row[0].set_axis_off()

# %%
# Exact denoisers have symmetric Jacobians, as the covariance of a posterior must be. The posterior has five eigenvalues that
# count, the dimension of its class. The memoriser is in doubt between few training images, and hardly anything else moves it.
# Where S y and f(y) differ, the spectrum tells only a part of what the denoiser does.
#
# More images, more noise levels
# ------------------------------
#
# At small noise the nearest training image is too far away, and the memoriser is worse than no denoiser at all.

test = disks.sample(4, seed=2)
chosen = ("posterior", "Wiener filter", "memoriser", "network")
plots.psnr_curves({name: gt.psnr_curve(fs[name], test, [0.05, 0.13, 0.4]) for name in chosen}).figure

# sphinx_gallery_thumbnail_number = 2
