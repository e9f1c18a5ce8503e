r"""
Bring your image class
======================

An image class is anything with ``sample(n, seed=0, start=0)``, where image i depends on (seed, i) alone. Then it can be
trained on, tested on and compared with; and if you know its truth, so can the network be.
"""

# %%
# A class in a few lines
# ----------------------
#
# Plane waves of one wavelength: :math:`x(u) = \tfrac{1}{2} + A \cos(2 \pi \omega \cdot u + \varphi)`, with random
# direction, phase and amplitude. A manifold of dimension 3. The numbers come from ``uniforms``, which gives every image a
# stream of its own.

import time
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.randomness import Component, uniforms
from gahb_theory.report import figures as plots


@dataclass(frozen=True)
class Waves:
    """Plane waves that complete `turns` periods across the image."""

    size: int = 32
    turns: float = 3.0

    dimension = 3
    optimal_slope = 1.0

    def sample(self, n, *, seed=0, start=0):
        u = uniforms(n, 3, seed=seed, start=start, component=Component.PARAMETERS)
        return self.paint(torch.stack([2 * torch.pi * u[:, 0], 2 * torch.pi * u[:, 1], 0.2 + 0.3 * u[:, 2]], dim=1))

    def paint(self, parameters):
        direction, phase, amplitude = parameters.mT[:, :, None, None]
        centre = (torch.arange(self.size) + 0.5) / self.size - 0.5
        along = direction.cos() * centre[None, None, :] + direction.sin() * centre[None, :, None]
        return (0.5 + amplitude * torch.cos(2 * torch.pi * self.turns * along + phase))[:, None]

    def tangent(self, parameters):
        """Orthonormal rows that span the tangent space at one image."""
        derivatives = torch.autograd.functional.jacobian(lambda p: self.paint(p[None]).flatten(), parameters)
        return torch.linalg.qr(derivatives).Q.mT


image_class = Waves()
figure, axes = plt.subplots(1, 8, figsize=(9.2, 1.3), layout="constrained")
for ax, picture in zip(axes, image_class.sample(8, seed=1), strict=True):
    plots.image(picture.numpy(), ax)

# %%
# ``check_image_class`` tells whether it follows the interface.

gt.testing.check_image_class(image_class)
print("Waves follows the interface")


class Careless:
    """Draws from a generator that remembers."""

    generator = torch.Generator().manual_seed(0)

    def sample(self, n, *, seed=0, start=0):
        return torch.rand(n, 1, 32, 32, generator=self.generator)


try:
    gt.testing.check_image_class(Careless())
except AssertionError as broken:
    print(f"but: {broken}")

# %%
# Train on it
# -----------
#
# A small network, some seconds. Every image is seen once.

began = time.perf_counter()
f = gt.train(
    gt.UNet(channels=8, blocks=2),
    image_class,
    images_seen=5_000,
    batch_size=8,
    learning_rate=2e-3,
    sigma_law="log_uniform",
    sigma_min=0.03,
    weight_power=1.0,
    ema_half_life=500.0,
)
print(f"trained in {time.perf_counter() - began:.0f} seconds")

# %%
# Compare with the truth
# ----------------------
#
# On a manifold of dimension m the optimal denoiser projects on the tangent space at small noise: risk
# :math:`m \sigma^2`, slope 1. A large distance from that line is what this short training leaves to learn.

d = image_class.size**2
sigmas = np.geomspace(0.03, 0.8, 9)
curve = gt.psnr_curve(f, image_class.sample(48, seed=9), sigmas)
bound = 10 * np.log10(d / (image_class.dimension * sigmas**2))
fit = gt.fit_slope(sigmas, curve.mse_per_image, (0.05, 0.5))

figure, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
ax.plot(curve.input_psnr, bound, "--", color="black", label=f"{image_class.dimension} $\\sigma^2$, slope 1")
ax.plot(curve.input_psnr, curve.psnr, "o-", color=plots.VERMILION, ms=4, label="network")
ax.plot(curve.input_psnr, curve.input_psnr, ":", color=plots.GREY, label="noisy image")
ax.set(xlabel="input PSNR (dB)", ylabel="output PSNR (dB)")
ax.legend()
print(f"network: {fit}")
print(f"below the bound by {np.min(bound - curve.psnr):.1f} to {np.max(bound - curve.psnr):.1f} dB")

# %%
# The basis it has learnt
# -----------------------
#
# Above, the tangent space at one image; below, the first eigenvectors of the network's Jacobian there.

parameters = torch.tensor([0.6, 1.0, 0.4])
x = image_class.paint(parameters[None])
T = image_class.tangent(parameters)
E = gt.jacobian(f, gt.add_noise(x, 0.2, seed=0), 0.2).eigenbasis()

figure, axes = plt.subplots(2, 6, figsize=(9.2, 3.3), layout="constrained")
plots.image(x[0].numpy(), axes[0, 0], "image")
for ax, vector, name in zip(axes[0, 1:4], T, ("direction", "phase", "amplitude"), strict=True):
    plots.signed_image(vector.reshape(1, image_class.size, image_class.size).numpy(), ax, f"tangent, {name}")
for ax in axes[0, 4:]:
    ax.set_axis_off()
for k, ax in enumerate(axes[1]):
    plots.signed_image(E.atom_images([k])[0].numpy(), ax, f"$\\lambda_{{{k + 1}}}$ = {E.eigenvalues[k]:.2f}")

for count in (3, 10, 30, 100):
    share = (E.atoms[:count] @ T.mT).square().sum() / len(T)
    print(
        f"share of the tangent space in the first {count:3} eigenvectors: {float(share):.3f} (chance {count / d:.3f})"
    )

# sphinx_gallery_thumbnail_number = 3
