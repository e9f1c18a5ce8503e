r"""
Compare bases of your own denoiser
==================================

You have a trained network from another project. In which basis does it shrink, at one image? Is that basis better than
wavelets or cosines, and may it be read as a shrinkage at all?
"""

# %%
# Make a denoiser of it
# ---------------------
#
# A denoiser of this library is any callable ``f(y, sigma)`` on tensors (n, channels, height, width) with intensities in [0,
# 1]. The network here works on intensities from 0 to 255, takes no noise level, and returns the noise instead of the image.
# It stands for yours.

import torch

import gahb_theory as gt
from gahb_theory import plots

inside = gt.shipped_denoiser("unet_c_alpha")


def net(y255):
    """A network of another project."""
    return y255 - 255 * inside(y255 / 255, 0.1)


found = gt.probe(net)
print(found)

# %%
# ``probe`` tried each reading on images that it knows. If you know the conventions, write ``gt.Convention(high=255, ...)``
# yourself. ``check_denoiser`` looks at shape, type, each image on its own, the same answer twice, and a finite gradient.

f = gt.adapt(net, found.convention)
gt.testing.check_denoiser(f)

# %%
# Its Jacobian at one image
# -------------------------

sigma = 0.15
x = gt.CAlpha(alpha=2.0, size=40).sample(1, seed=21, start=258)  # or gt.read_image("photo.png")
y = gt.add_noise(x, sigma)
J = gt.jacobian(f, y, sigma)
plots.images(
    torch.cat([x, y, J.output]),
    ["clean", f"noisy, {gt.psnr(x, y):.1f} dB", f"denoised, {gt.psnr(x, J.output):.1f} dB"],
)

# %%
# Before any spectrum is drawn: is the equation :math:`f(y) = \sum_k \lambda_k \langle y, e_k \rangle e_k` true here?
# Eigenvectors and eigenvalues are those of the symmetric part :math:`S` of the Jacobian. How much of the output they
# reproduce is measured:

print(J.reproduction(x))

# %%
# An asymmetry of 0 is a symmetric matrix, of 1.41 a random one. Here the reading as a shrinkage is only a part of the truth,
# and the decibels that are lost say how large a part.
#
# The basis
# ---------

E = J.eigenbasis()
figure = plots.eigenvectors(E, clean=x)
figure.suptitle(str(J.reproduction(x)), fontsize=6)
figure

# %%
# Is it a good basis?
# -------------------
#
# The *oracle* knows the clean image and shrinks each coefficient by the best factor. Its error in each basis is a fair
# comparison of bases, apart from what the network does with them. Two controls show what would come out without learning: the
# eigenvectors at another image, and those of a network of random weights.

other = gt.CAlpha(alpha=2.0, size=40).sample(1, seed=3)
bases = {
    "eigenvectors": E,
    "eigenvectors at another image": gt.jacobian(f, gt.add_noise(other, sigma), sigma).eigenbasis(),
    "eigenvectors of random weights": gt.jacobian(gt.UNet(8, 2, seed=0).eval(), y, sigma).eigenbasis(),
    "wavelets": gt.Wavelet("sym4"),
    "cosines": gt.DCT(),
}
for name, basis in bases.items():
    print(f"{name:32} least error {gt.oracle_mse(basis, x, sigma).item():.2f}")
print(f"{'the network itself':32} error       {gt.mse(x, J.output).item():.2f}")

# %%
# Side by side
# ------------
#
# ``compare`` gives energies, decay, principal angles and overlaps of two bases, each beside what chance would give.

comparison = gt.compare(J, bases["wavelets"], x, sigma=sigma, eigenbasis=E)
print(comparison)
comparison.plot().figure

# %%
# What one has learned
# --------------------
#
# - How to make a denoiser of a network with other habits, and that it follows the interface.
# - The eigenvectors are not the whole of this network: its Jacobian is far from symmetric. ``gt.Conservative`` makes networks
#   for which the equation holds to rounding.
# - Whether the basis is good is read from the controls: another image, random weights, cosines. Compare their least errors
#   above with that of the eigenvectors, at one image and one draw of noise; for a verdict, take many images and a hypothesis,
#   as in :ref:`sphx_glr_gallery_tutorials_plot_1_test_a_hypothesis.py`.
#
# sphinx_gallery_thumbnail_number = 2
