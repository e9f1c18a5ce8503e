r"""
Bring your denoiser
===================

A denoiser is anything that can be called as ``f(y, sigma)`` and returns the estimate of the clean images. If torch can
differentiate it, its Jacobian can be read. Nothing has to be inherited or registered.
"""

# %%
# A function will do
# ------------------
#
# The bilateral filter averages pixels that are near and alike. It knows nothing of learning, and takes
# ten lines of torch.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots


def bilateral(y, sigma, radius=4, spread=2.0, likeness=2.5):
    """Average over pixels that are near and alike; patches of 3 x 3 tell how alike two pixels are."""
    side = 2 * radius + 1
    sigma = torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1, 1, 1)
    pad = torch.nn.functional.pad
    neighbours = torch.nn.functional.unfold(pad(y, [radius] * 4, mode="reflect"), side)
    smooth = torch.nn.functional.avg_pool2d(pad(y, [1] * 4, mode="reflect"), 3, stride=1)
    around = torch.nn.functional.unfold(pad(smooth, [radius] * 4, mode="reflect"), side)
    u = torch.arange(side, dtype=y.dtype) - radius
    near = (u[:, None] ** 2 + u[None, :] ** 2).reshape(1, -1, 1) / (2 * spread**2)
    alike = ((around - smooth.flatten(2)) / (likeness * sigma[..., 0] / 3)) ** 2 / 2
    weights = torch.softmax(-near - alike, dim=1)
    return (weights * neighbours).sum(dim=1, keepdim=True).reshape(y.shape)


# %%
# ``check_denoiser`` tells whether it follows the interface that the library relies on: shape, dtype, each image on its own,
# the same answer twice, sigma as a number or one for each image, a finite gradient.

gt.testing.check_denoiser(bilateral)
print("bilateral follows the interface")


def hasty(y, sigma):
    """Stretches the whole batch to the same peak before it denoises."""
    return y.max() * bilateral(y / y.max(), sigma)


try:
    gt.testing.check_denoiser(hasty)
except AssertionError as broken:
    print(f"hasty does not: {broken}")

# %%
# A network from elsewhere
# ------------------------
#
# Two habits differ from ours: intensities in 0..255, and networks that predict the noise. An adapter is a few lines at
# the border. A class whose ``forward(x, sigma)`` takes images in [0, 1] and returns images needs no adapter.


class PredictsNoise(torch.nn.Module):
    """A stand-in for a network of another project: y in 0..255, no sigma, returns the noise."""

    def __init__(self):
        super().__init__()
        self.inner = gt.shipped_denoiser("unet_c_alpha")

    def forward(self, y255):
        return y255 - 255 * self.inner(y255 / 255, 0.1)


class Adapter(torch.nn.Module):
    """From that habit to ours."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, y, sigma):
        return y - self.network(255 * y) / 255


theirs = Adapter(PredictsNoise()).eval()
gt.testing.check_denoiser(theirs)
print("the adapted network follows the interface")

# %%
# How well they do
# ----------------
#
# Noise is paired: image i gets the same noise for every denoiser.

size = 40
scene = gt.CAlpha(alpha=2.0, size=size).scene(24, seed=21, start=258)
x = scene.images
sigmas = np.geomspace(0.03, 0.5, 7)
denoisers = {
    "adapted network": (theirs, plots.VERMILION),
    "bilateral filter": (bilateral, plots.BLUE),
    "wavelet thresholding": (gt.ShrinkageDenoiser(gt.Wavelet("sym4"), gt.Hard(3.0)), plots.GREEN),
}
figure, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
for name, (f, colour) in denoisers.items():
    curve = gt.psnr_curve(f, x, sigmas)
    ax.errorbar(
        curve.input_psnr, curve.psnr - curve.input_psnr, 2 * curve.standard_error, color=colour, label=name, capsize=2
    )
ax.axhline(0, color=plots.GREY, ls=":")
ax.set(xlabel="input PSNR (dB)", ylabel="gain in PSNR (dB)", title="bars: two standard errors")
ax.legend()

# %%
# What they do
# ------------
#
# The Jacobian of each at the same noisy image: its row at one pixel of the contour, and its eigenvectors. Averaging near
# and alike pixels is enough to make harmonics that live on the regions and break at the contour; see what the network adds
# along it. Hard thresholding is a projection: its eigenvalues are 0 and 1, and within each of the two spaces the
# eigenvectors are arbitrary.

sigma = 0.15
y = gt.add_noise(x[:1], sigma, seed=0)
shown = [0, 4, 9, 19, 39, 79]
column = 18
on_contour = int(scene.contour[0, column] * size) * size + column
figure, axes = plt.subplots(3, 8, figsize=(10.2, 4.3), layout="constrained")
print(f"{'':22}{'PSNR':>7}{'tr J':>8}{'asymmetry':>12}{'homogeneity error':>20}{'largest eigenvalue':>20}")
for row, (name, (f, _)) in zip(axes, denoisers.items(), strict=True):
    J = gt.jacobian(f, y, sigma)
    E = J.eigenbasis()
    plots.image(J.output[0].numpy(), row[0], name)
    weights = J.rows([on_contour]).reshape(1, size, size)
    plots.signed_image(weights.numpy(), row[1], "one row of J")
    for ax, k, atom in zip(row[2:], shown, E.atom_images(shown), strict=True):
        plots.signed_image(atom.numpy(), ax, f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.2f}")
    print(
        f"{name:22}{float(gt.psnr(x[:1], J.output)):7.2f}{J.trace():8.0f}{J.asymmetry():12.2f}"
        f"{J.homogeneity_error():20.1e}{float(E.eigenvalues[0]):20.2f}"
    )

# %%
# Where the homogeneity error is not small, J y is not f(y), and the eigenvalues are derivatives rather than gains: see
# :ref:`sphx_glr_gallery_plot_01_denoiser_is_a_shrinkage.py`. Where J is not symmetric, use ``J.svd()`` as well.

# sphinx_gallery_thumbnail_number = 2
