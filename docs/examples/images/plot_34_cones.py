r"""
Cones: sine waves and a ray
===========================

The sine waves of one frequency, and the multiples of one image, are closed under multiplication, as are the outputs of a
bias-free network. They are linear spaces but for the ends of their amplitudes, of dimension 2 and 1.
"""

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

photograph = gt.Photographs(size=64, split="test").sample(1, seed=3)
classes = {
    "sine waves": gt.images.SineCone(),
    "sine waves, frequency (3, -1)": gt.images.SineCone(frequency=(3.0, -1.0)),
}
figure, axes = plt.subplots(3, 8, figsize=(8.4, 3.8), layout="constrained")
figure.get_layout_engine().set(h_pad=0.1)
figure.suptitle("eight images of each", x=0.99, ha="right", fontsize=8, color=plots.GREY)
for row, (name, image_class) in zip(
    axes, (classes | {"a photograph, darker and brighter": gt.images.Ray(photograph)}).items(), strict=True
):
    offset = 0.0 if isinstance(image_class, gt.images.Ray) else 0.5
    for ax, picture in zip(row, image_class.sample(8, seed=1).numpy() + offset, strict=True):
        plots.image(picture, ax)
    label = f"{name}: dimension {image_class.dimension}"
    title = row[0].annotate(label, (0, 1), xytext=(0, 3), xycoords="axes fraction", textcoords="offset points")
    title.set_in_layout(False)

# %%
# The intensities of waves lie in [-1/2, 1/2]; the pictures are shown with 1/2 added.
#
# Tangent spaces
# --------------
#
# The wave itself, and the wave a quarter of a period on.

scene = gt.images.SineCone(size=48).scene(1, seed=2)
figure, axes = plt.subplots(1, 3, figsize=(5.4, 1.9), layout="constrained")
plots.image(scene.images[0].numpy() + 0.5, axes[0], "wave")
for k in range(2):
    plots.signed_image(scene.tangent[0, k].reshape(1, 48, 48).numpy(), axes[k + 1], f"tangent {k + 1}")

# %%
# Verification: the risk of the projection
# ----------------------------------------
#
# The projection on the tangent space has the risk :math:`2 \sigma^2`, :math:`\sigma^2` for a ray, at every noise level: the
# spaces are flat. An optimal denoiser also knows that the amplitudes end, and does better where the noise is large.

n = 2000
for image_class in (gt.images.SineCone(size=16), gt.images.Ray(photograph[:, :, :16, :16])):
    scene = image_class.scene(n, seed=4, dtype=torch.float64)
    for sigma in (0.01, 0.1):
        y = gt.add_noise(scene.images, sigma, seed=5).flatten(1)
        inside = torch.einsum("nkd,nd->nk", scene.tangent, y)
        error = (torch.einsum("nk,nkd->nd", inside, scene.tangent) - scene.images.flatten(1)).square().sum(dim=1)
        ratio = error / sigma**2
        print(
            f"{type(image_class).__name__:9} sigma = {sigma:4}: risk / sigma^2 = {float(ratio.mean()):.3f}"
            f" +- {float(ratio.std()) / n**0.5:.3f}, dimension {image_class.dimension}"
        )

# sphinx_gallery_thumbnail_number = 1
