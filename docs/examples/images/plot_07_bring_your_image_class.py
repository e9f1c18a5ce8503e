r"""
Bring your image class
======================

An image class is anything with ``sample(n, seed=0, start=0)``, where image i depends on (seed, i) alone. Then it can be
trained on, tested on and compared with; and if you know its truth, so can the network be.
"""

# %%
# Plane waves of one wavelength, :math:`x(u) = \tfrac{1}{2} + A \cos(2 \pi \omega \cdot u + \varphi)`, with random direction,
# phase and amplitude: a manifold of dimension 3. The numbers come from ``uniforms``, which gives every image a stream of its
# own.

from dataclasses import dataclass

import torch

import gahb_theory as gt
from gahb_theory import plots
from gahb_theory.randomness import Component, uniforms


@dataclass(frozen=True)
class Waves:
    """Plane waves that complete three periods across the image."""

    size: int = 32
    dimension = 3
    optimal_slope = 1.0

    def sample(self, n, *, seed=0, start=0):
        u = uniforms(n, 3, seed=seed, start=start, component=Component.PARAMETERS)
        return self.paint(torch.stack([2 * torch.pi * u[:, 0], 2 * torch.pi * u[:, 1], 0.2 + 0.3 * u[:, 2]], dim=1))

    def paint(self, parameters):
        direction, phase, amplitude = parameters.mT[:, :, None, None]
        centre = (torch.arange(self.size) + 0.5) / self.size - 0.5
        along = direction.cos() * centre[None, None, :] + direction.sin() * centre[None, :, None]
        return (0.5 + amplitude * torch.cos(6 * torch.pi * along + phase))[:, None]


waves = Waves()
gt.testing.check_image_class(waves)
plots.images(waves.sample(6, seed=1))

# %%
# Train on it
# -----------
#
# A small network, some seconds. On a manifold of dimension m the optimal denoiser projects on the tangent space at small
# noise: risk :math:`m \sigma^2`. What the network loses to it is what this short training leaves to learn.

f = gt.train(gt.UNet(channels=8, blocks=2), waves, images_seen=4_000, batch_size=16).eval()
curve = gt.psnr_curve(f, waves.sample(32, seed=9), [0.05, 0.1, 0.2, 0.4])
for sigma, risk in zip(curve.sigmas, curve.mse_per_image.mean(axis=1), strict=True):
    print(f"sigma {sigma:4}: risk / sigma^2 = {risk / sigma**2:6.1f}, the tangent space has {waves.dimension}")
plots.psnr_curves({"network": curve}).figure

# %%
# The basis it has learnt
# -----------------------
#
# How much of the tangent space at one image do the first eigenvectors hold? The derivatives come from torch.

parameters = torch.tensor([0.6, 1.0, 0.4])
x = waves.paint(parameters[None])
derivatives = torch.autograd.functional.jacobian(lambda p: waves.paint(p[None]).flatten(), parameters)
T = torch.linalg.qr(derivatives).Q.mT
J = gt.jacobian(f, gt.add_noise(x, 0.2), 0.2)
E = J.eigenbasis()
for count in (3, 10, 30, 100):
    share = float((E.atoms[:count] @ T.mT).square().sum()) / 3
    print(f"share of the tangent space in {count:3} eigenvectors: {share:.2f} (chance {count / x.numel():.2f})")
figure = plots.eigenvectors(E, clean=x)
figure.suptitle(str(J.reproduction(x)), fontsize=6)
figure

# sphinx_gallery_thumbnail_number = 1
