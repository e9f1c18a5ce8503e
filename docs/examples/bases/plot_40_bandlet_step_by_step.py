r"""
A bandlet basis, step by step
=============================

Wavelets waste coefficients along edges: they are many, and regular. Orthogonal bandlets remove that regularity with a
second transform inside each subband. We build one basis by hand and look at its parts.
"""

# %%
# An edge in a subband
# --------------------
#
# A shape with a smooth contour on a smooth background, and the subband of its wavelet transform that responds to
# horizontal edges. Red is positive, blue negative. Along the edge the coefficients are large and change slowly. The
# contour closes inside the image: periodised wavelets live on a torus, and would see a jump at its seams as one more edge.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.bases.flows import FlowBank
from gahb_theory.report import figures as plots

size, T = 256, 0.05
axis = (torch.arange(4 * size) + 0.5) / (2 * size) - 1
row, column = axis[:, None], axis[None, :]
radius = 0.62 + 0.1 * torch.cos(2 * torch.atan2(row, column) + 0.9)
fine = torch.where(torch.hypot(row, column) < radius, 0.75 + 0.15 * row, 0.25 + 0.1 * torch.cos(torch.pi * column))
x = torch.nn.functional.avg_pool2d(fine[None, None], 4)  # pixels are averages over their area
wavelet = gt.Wavelet("db4")
layout = wavelet.analysis(x).reshape(size, size)
half = size // 2
subband = layout[half:, :half]

figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.3), layout="constrained")
plots.image(x[0].numpy(), axes[0], "image")
plots.signed_image(subband[None].numpy(), axes[1], "finest subband, horizontal edges")

# %%
# A flow through a square
# -----------------------
#
# Take the square of 16 by 16 coefficients that gains the most. A flow of angle :math:`\theta` orders its pixels line by
# line: by :math:`t = -X \sin\theta + Y \cos\theta`. The Haar transform of that sequence averages along the flow first and
# across it afterwards. A permutation and a Haar transform are orthogonal, whatever the angle.
#
# The price of a square is :math:`\sum_m \min(c_m^2, T^2)`. We draw it for every flow of the bank.

squares = subband.reshape(8, 16, 8, 16).permute(0, 2, 1, 3).reshape(64, 256)
bank = FlowBank(16)
identities = squares.square().clamp(max=T**2).sum(dim=1)
every = bank.costs(squares, torch.full((64,), T))
place = int((identities - every.min(dim=0).values).argmax())
square, costs, identity = squares[place : place + 1], every[:, place], float(identities[place])
best = int(costs.argmin())
c = bank.analysis(square, torch.tensor([best]))

order = np.empty(256)
order[bank.orders[best]] = np.arange(256)
figure, axes = plt.subplots(1, 3, figsize=(9.2, 2.9), layout="constrained", width_ratios=(1, 1, 1.5))
plots.signed_image(square.reshape(1, 16, 16).numpy(), axes[0], "the square")
axes[1].imshow(order.reshape(16, 16), cmap="viridis", interpolation="nearest")
axes[1].set_title(f"order along {np.degrees(bank.angles[best]):.0f} degrees", fontsize=8, pad=2)
axes[1].set_axis_off()
axes[2].plot(np.degrees(bank.angles), costs / T**2, color=plots.BLUE, label="with a flow")
axes[2].axhline(identity / T**2, color=plots.GREY, ls=":", label="wavelet coefficients as they are")
axes[2].plot(np.degrees(bank.angles[best]), costs[best] / T**2, "o", color=plots.VERMILION)
axes[2].set(xlabel="angle of the flow (degrees)", ylabel="price in units of $T^2$", ylim=(0, None))
axes[2].legend(loc="lower right")
print(f"coefficients above T: {int((square.abs() > T).sum())} wavelets, {int((c.abs() > T).sum())} bandlets")

# %%
# The best quadtree
# -----------------
#
# Squares may have sides 4, 8 or 16, each with a flow or none. The price of the whole is a sum over squares, so the best
# of all quadtrees and flows is found exactly from small squares to large ones. ``at`` does this for all subbands of all
# images of a batch at once. We draw the quadtrees of three levels over the image: squares that have a flow are hatched
# along it.

basis = gt.Bandlet("db4").at(x, threshold=T)
geometry = basis.geometry
figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.3), layout="constrained")
for level, ax in enumerate(axes, start=1):
    plots.image(x[0].numpy(), ax, f"level {level}, horizontal edges")
    geometry.draw(ax, level=level, orientation="horizontal")
leaves, flows, bits = (int(n) for n in (geometry.total_leaves, geometry.directional_leaves, geometry.bits))
print(f"{leaves} squares, {flows} with a flow, {bits} bits")

# %%
# Atoms
# -----
#
# An atom is a wavelet spread along the flow of its square. Above, at the second finest level, the bandlets of the eight
# largest coefficients; below, the largest of the wavelets that they replace. Each is cut out of its image.

c, w = basis.analysis(x)[0], wavelet.analysis(x)[0]
bands = wavelet.bands(x.shape[1:])
changed = ((c - w).abs() > 1e-4 * float(w.abs().max())) & (bands == bands.max() - 1)
ranked = torch.where(changed, c.abs(), 0).argsort(descending=True)[:8].tolist()
replaced = torch.where(changed, w.abs(), 0).argsort(descending=True)[:8].tolist()


def cut_out(atom: np.ndarray, side: int = 72) -> np.ndarray:
    """The part of an image around its largest value."""
    row, column = np.unravel_index(np.abs(atom[0]).argmax(), atom.shape[1:])
    top, left = (int(np.clip(z - side // 2, 0, size - side)) for z in (row, column))
    return atom[:, top : top + side, left : left + side]


figure, axes = plt.subplots(2, 8, figsize=(9.2, 2.6), layout="constrained")
for row, (source, indices) in enumerate(((basis, ranked), (wavelet, replaced))):
    for ax, atom in zip(axes[row], source.atom_images(indices, x.shape[1:]).numpy(), strict=True):
        plots.signed_image(cut_out(atom), ax)
axes[0, 0].set_title("bandlets", loc="left")
axes[1, 0].set_title("wavelets", loc="left")

# %%
# What is gained
# --------------
#
# The basis is orthonormal, so energies are equal, and the error of the best M terms is the energy of the others.

print(f"||c||^2 / ||x||^2 - 1 = {float(c.square().sum() / x.square().sum()) - 1:.1e}")
terms = np.unique(np.geomspace(50, 4000, 60).astype(int))
figure, ax = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
for name, one, colour in (("wavelets", wavelet, plots.BLUE), ("bandlets", basis, plots.VERMILION)):
    ax.loglog(terms, gt.theory.approximation_error(one, x, terms.tolist())[0], color=colour, label=name)
ax.set(xlabel="number of terms M", ylabel=r"$\|x - x_M\|^2$")
ax.legend()

# %%
# Noise is not geometry
# ---------------------
#
# In a noisy image some flow always gains a little by chance. The price of a flow is what noise could gain: with the
# default, fewer than one square of pure noise in a hundred is given a flow. A price that is too low costs more than
# geometry brings; at an infinite price the basis is the wavelet basis.

sigma = 0.1
y = gt.add_noise(x, sigma, seed=0)
for label, penalty in (("a tenth of the default", 0.02), ("the default", 0.2), ("infinite", float("inf"))):
    found = gt.Bandlet("db4", penalty=penalty).at(y, threshold=3 * sigma)
    denoised = gt.ShrinkageDenoiser(found, gt.Hard(3.0))(y, sigma)
    flows = int(found.geometry.directional_leaves)
    print(f"penalty {label:22} {flows:4d} flows, {gt.psnr(x, denoised):.2f} dB")
risks = gt.theory.oracle_risks(gt.Bandlet("db4"), x, sigma)
for oracle in ("attenuation", "projection", "geometry", "empirical"):
    print(f"oracle {oracle:12} squared error {float(getattr(risks, oracle)):.2f}")
