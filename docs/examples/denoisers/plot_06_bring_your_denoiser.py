r"""
Bring your denoiser
===================

A denoiser is anything that can be called as ``f(y, sigma)`` and returns estimates of the clean images. If torch can
differentiate it, its Jacobian can be read. Nothing has to be inherited or registered.
"""

# %%
# A function will do
# ------------------
#
# The bilateral filter averages pixels that are near and alike. It has learned nothing, and takes some lines of torch.

import torch

import gahb_theory as gt
from gahb_theory import plots


def bilateral(y, sigma, radius=4, spread=2.0, likeness=2.5):
    """Average over pixels that are near and alike; patches of 3 x 3 tell how alike two pixels are."""
    side, pad = 2 * radius + 1, torch.nn.functional.pad
    sigma = torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1, 1)
    neighbours = torch.nn.functional.unfold(pad(y, [radius] * 4, mode="reflect"), side)
    smooth = torch.nn.functional.avg_pool2d(pad(y, [1] * 4, mode="reflect"), 3, stride=1)
    around = torch.nn.functional.unfold(pad(smooth, [radius] * 4, mode="reflect"), side)
    u = torch.arange(side, dtype=y.dtype) - radius
    near = (u[:, None] ** 2 + u[None, :] ** 2).reshape(1, -1, 1) / (2 * spread**2)
    alike = ((around - smooth.flatten(2)) / (likeness * sigma / 3)) ** 2 / 2
    return (torch.softmax(-near - alike, dim=1) * neighbours).sum(dim=1, keepdim=True).reshape(y.shape)


# %%
# ``check_denoiser`` looks at shape, dtype, each image on its own, the same answer twice, sigma as a number or one for each
# image, and a finite gradient. A function that stretches the whole batch to one peak does not pass.

gt.testing.check_denoiser(bilateral)
try:
    gt.testing.check_denoiser(lambda y, sigma: y.max() * bilateral(y / y.max(), sigma))
except AssertionError as broken:
    print(broken)

# %%
# How well it does
# ----------------
#
# Noise is paired: image i gets the same noise for every denoiser. A network with other habits, such as intensities up to 255
# or the noise as its output, is taken by ``gt.adapt``: :ref:`sphx_glr_gallery_tutorials_plot_3_bases_of_your_denoiser.py`.

x = gt.CAlpha(alpha=2.0, size=40).sample(16, seed=21)
denoisers = {
    "bilateral filter": bilateral,
    "shipped network": gt.shipped_denoiser("unet_c_alpha"),
    "wavelet thresholding": gt.ShrinkageDenoiser(gt.Wavelet("sym4"), gt.Hard(3.0)),
}
plots.psnr_curves({name: gt.psnr_curve(f, x, [0.03, 0.07, 0.15, 0.4]) for name, f in denoisers.items()}).figure

# %%
# What it does
# ------------
#
# Averaging near and alike pixels is enough to make harmonics that live on the regions and break at the contour. But the
# filter is not homogeneous, and its Jacobian not symmetric: the line above the figure says how much its shrinkage reproduces.

y = gt.add_noise(x[:1], 0.15)
for name, f in denoisers.items():
    print(name, "-", gt.jacobian(f, y, 0.15).reproduction(x[:1]))
J = gt.jacobian(bilateral, y, 0.15)
figure = plots.eigenvectors(J.eigenbasis(), clean=x[:1])
figure.suptitle(str(J.reproduction(x[:1])), fontsize=6)
figure

# sphinx_gallery_thumbnail_number = 2
