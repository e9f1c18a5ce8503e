r"""
Manifolds with analytic tangent spaces
======================================

Disks, ellipses and convex polygons of two intensities have 5, 7 and :math:`2 k + 2` parameters; sine waves of one frequency,
and the multiples of one image, are cones of dimension 2 and 1. At small noise the optimal denoiser projects on the tangent
space: the risk is (dimension) :math:`\sigma^2`, the PSNR slope 1.
"""

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures

classes = {
    "disks": gt.Disks(),
    "disks, exact area": gt.Disks(edge="area"),
    "ellipses": gt.Ellipses(),
    "triangles": gt.images.Polygons(corners=3),
    "sine waves": gt.images.SineCone(),
    "a photograph, darker and brighter": gt.images.Ray(gt.Photographs().sample(1, seed=3)),
}
figures.gallery({f"{name}: dimension {X.dimension}": X.sample(8, seed=1).numpy() for name, X in classes.items()})

# %%
# Intensities of sine waves lie in [-1/2, 1/2]: their dark halves are below 0.
#
# Tangent spaces
# --------------
#
# Derivatives of exact areas are integrals along the part of the contour inside a pixel. ``scene`` gives them orthonormal.

figure, axes = plt.subplots(2, 8, figsize=(9.6, 2.9), layout="constrained")
for row, X in zip(axes, (gt.Ellipses(size=48), gt.images.Polygons(size=48, corners=3)), strict=True):
    scene = X.scene(1, seed=1)
    figures.image(scene.images[0].numpy(), row[0], f"dimension {X.dimension}")
    for k, ax in enumerate(row[1:]):
        figures.signed_image(scene.tangent[0, k].reshape(1, 48, 48).numpy(), ax, f"tangent {k + 1}")

# %%
# How far is the manifold flat?
# -----------------------------
#
# The projection on the tangent space has the risk m :math:`\sigma^2` where a typical step :math:`\sqrt m \sigma` is well
# below the radius of curvature. A cone is flat. An optimal denoiser knows more, and does better where the noise is large.

scene = gt.Disks(size=48).scene(6, seed=2, dtype=torch.float64)
radii = gt.Disks(size=48).curvature_radius(scene.parameters)
print("radii of curvature of disks:", ", ".join(f"{float(r):.2f}" for r in radii))
print(f"so the risk is 5 sigma^2 for sigma well below {float(radii.min()) / 5**0.5:.2f}")
for X in (gt.Disks(size=16), gt.images.SineCone(size=16)):
    scene = X.scene(500, seed=4)
    for sigma in (0.01, 0.1):
        f = gt.denoisers.TangentDenoiser(scene.images, scene.tangent)
        risk = gt.mse(scene.images, f(gt.add_noise(scene.images, sigma), sigma)).mean().item()
        print(f"{type(X).__name__:9} sigma {sigma:4}: risk of the projection {risk / sigma**2:.2f} sigma^2")
