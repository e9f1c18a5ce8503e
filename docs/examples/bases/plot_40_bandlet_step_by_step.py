r"""
A bandlet basis, step by step
=============================

Wavelets waste coefficients along edges: they are many, and regular. Orthogonal bandlets remove that regularity with a
second transform inside each subband.
"""

# %%
# An edge in a subband
# --------------------
#
# A shape with a smooth contour, and the subband of its wavelet transform that responds to horizontal edges. Along the edge
# the coefficients are large and change slowly. At the lower border the background has a seam, as periodised wavelets live on
# a torus.

import matplotlib.pyplot as plt

import gahb_theory as gt
from gahb_theory.report import figures

size, T = 256, 0.05
x = gt.CAlpha(alpha=3.0, size=size, contour="closed").sample(1, seed=4)
wavelet = gt.Wavelet("db4")
subband = wavelet.analysis(x).reshape(size, size)[size // 2 :, : size // 2]
figure, axes = plt.subplots(1, 2, figsize=(6.6, 3.3), layout="constrained")
figures.image(x[0].numpy(), axes[0], "image")
figures.signed_image(subband[None].numpy(), axes[1], "finest subband, horizontal edges")

# %%
# The best quadtree
# -----------------
#
# Subbands are cut into squares of sides 4, 8 or 16. Each has a flow or none; with a flow of angle :math:`\theta` its
# coefficients are ordered line by line along it and Haar-transformed, which is orthogonal whatever the angle. The price of a
# square is :math:`\sum_m \min(c_m^2, T^2)`, that of the whole a sum, so that ``at`` finds the best of all quadtrees and flows
# exactly. Squares with a flow are hatched along it.

basis = gt.Bandlet("db4").at(x, threshold=T)
geometry = basis.geometry
figure, axes = plt.subplots(1, 3, figsize=(9.2, 3.3), layout="constrained")
for level, ax in enumerate(axes, start=1):
    figures.image(x[0].numpy(), ax, f"level {level}, horizontal edges")
    geometry.draw(ax, level=level, orientation="horizontal")
print(
    f"{int(geometry.total_leaves)} squares, {int(geometry.directional_leaves)} with a flow, {int(geometry.bits)} bits"
)

# %%
# What is gained
# --------------
#
# The basis is orthonormal, so the error of the best M terms is the energy of the others.

c, w = basis.analysis(x), wavelet.analysis(x)
print(f"||c||^2 / ||x||^2 - 1 = {float(c.square().sum() / x.square().sum()) - 1:.1e}")
print(f"coefficients above T: {int((w.abs() > T).sum())} wavelets, {int((c.abs() > T).sum())} bandlets")
terms = [50, 100, 200, 400, 800, 1600, 3200]
figure, ax = plt.subplots(figsize=(6.0, 3.2), layout="constrained")
for name, one in (("wavelets", wavelet), ("bandlets", basis)):
    ax.loglog(terms, gt.theory.approximation_error(one, x, terms)[0], label=name)
ax.set(xlabel="number of terms M", ylabel=r"$\|x - x_M\|^2$")
ax.legend()

# %%
# Noise is not geometry
# ---------------------
#
# In a noisy image some flow always gains a little by chance. The price of a flow is what noise could gain: a price that is
# too low costs more than geometry brings; at an infinite price the basis is the wavelet basis.

sigma = 0.1
y = gt.add_noise(x, sigma)
for label, penalty in (("a tenth of the default", 0.02), ("the default", 0.2), ("infinite", float("inf"))):
    found = gt.Bandlet("db4", penalty=penalty).at(y, threshold=3 * sigma)
    quality = gt.psnr(x, gt.ShrinkageDenoiser(found, gt.Hard(3.0))(y, sigma))
    print(f"price {label:22} {int(found.geometry.directional_leaves):4d} flows, {quality:.2f} dB")
print(gt.theory.oracle_risks(gt.Bandlet("db4"), x, sigma))

# sphinx_gallery_thumbnail_number = 2
