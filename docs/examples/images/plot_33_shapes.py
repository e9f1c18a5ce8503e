r"""
Shapes: manifolds with analytic tangent spaces
==============================================

Disks, ellipses and convex polygons with two intensities have 5, 7 and :math:`2 k + 2` parameters. At small noise the
optimal denoiser projects on the tangent space: the risk is (dimension) :math:`\sigma^2`, the PSNR slope 1.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

classes = {
    "disks, smooth": gt.Disks(),
    "disks, exact area": gt.Disks(edge="area"),
    "ellipses": gt.Ellipses(),
    "triangles": gt.images.Polygons(corners=3),
    "polygons with 6 corners": gt.images.Polygons(corners=6),
}
figure, axes = plt.subplots(5, 8, figsize=(8.4, 6.2), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, (name, image_class) in zip(axes, classes.items(), strict=True):
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy(), strict=True):
        plots.image(picture, ax)
    label = f"{name}: dimension {image_class.dimension}"
    title = row[0].annotate(label, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# Three edges
# -----------
#
# The published generator tests pixel centres. Its image jumps when a pixel changes sides and stands still in between, so
# that it moves with its intensities alone: a union of planes of dimension 2. The area coverage is differentiable once, the
# smooth edge without end.

figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.6), layout="constrained", width_ratios=[1, 1, 1, 1.5])
shift = np.linspace(0, 2, 161)
edges = {"sampled": "sampled", "area": "area", "smooth": 1.0}
for (kind, edge), colour, ax in zip(edges.items(), (plots.ORANGE, plots.BLUE, plots.GREEN), axes, strict=False):
    image_class = gt.Disks(size=24, edge=edge)
    parameters = torch.tensor([[11.2, 11.7, 7.3, 1.0, 0.0]], dtype=torch.float64)
    plots.image(image_class._paint(parameters)[0].numpy(), ax, kind)
    moved = parameters + torch.tensor(shift)[:, None] * torch.tensor([0.0, 1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    axes[3].plot(shift, image_class._paint(moved)[:, 0, 11, 5], color=colour, label=kind)
axes[3].set(xlabel="shift of the disk (pixels)", title="one pixel at its edge")
axes[3].legend()

# %%
# Tangent spaces
# --------------
#
# Derivatives of exact areas are integrals along the part of the contour inside a pixel. ``scene`` gives them orthonormal.

figure, axes = plt.subplots(2, 8, figsize=(9.6, 2.9), layout="constrained")
for row, image_class in zip(axes, (gt.Ellipses(size=48), gt.images.Polygons(size=48, corners=3)), strict=True):
    scene = image_class.scene(1, seed=1)
    plots.image(scene.images[0].numpy(), row[0], f"dimension {image_class.dimension}")
    for k, ax in enumerate(row[1:]):
        plots.signed_image(scene.tangent[0, k].reshape(1, 48, 48).numpy(), ax, f"tangent {k + 1}")

# %%
# Verification: how far is the manifold flat?
# -------------------------------------------
#
# A step of length s along a geodesic leaves the tangent space by about :math:`s^2 / 2R`, R the radius of curvature. We move
# the parameters by a random amount and compare the part of the change outside of the tangent space with the bound that the
# smallest radius gives. The projection is a good denoiser where a typical step :math:`\sqrt 5 \sigma` is well below R.

image_class = gt.Disks(size=48)
scene = image_class.scene(6, seed=2, dtype=torch.float64)
radius = image_class.curvature_radius(scene.parameters)
generator = torch.Generator().manual_seed(0)
figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for i in range(6):
    u = torch.randn(40, 5, generator=generator, dtype=torch.float64) * torch.tensor([1, 1, 1, 0.03, 0.03])
    u *= torch.logspace(-2.5, 0, 40, dtype=torch.float64)[:, None]
    change = (image_class._paint(scene.parameters[i] + u) - scene.images[i]).flatten(1)
    inside = change @ scene.tangent[i].mT
    outside = (change - inside @ scene.tangent[i]).norm(dim=1)
    ax.plot(inside.norm(dim=1) / radius[i], outside / radius[i], ".", ms=4)
line = np.geomspace(0.003, 3, 20)
ax.plot(line, line**2 / 2, color=plots.GREY, ls="--", label="$s^2 / 2R$: the most curved direction")
ax.set(xscale="log", yscale="log", xlabel="step s / R along the tangent space", ylabel="distance from it / R")
ax.legend()

print("radii of curvature:", ", ".join(f"{float(r):.2f}" for r in radius))
print(f"so the risk is 5 sigma^2 for sigma well below {float(radius.min()) / 5**0.5:.2f}")

# sphinx_gallery_thumbnail_number = 1
