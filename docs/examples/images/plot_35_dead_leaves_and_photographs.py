r"""
Dead leaves and photographs: occlusion and scale invariance
===========================================================

Photographs are not of any class with known theory. Dead leaves share two of their properties: objects hide one another,
and every scale looks alike. Their covariance is known exactly.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.report import figures

classes = {
    "dead leaves, radii from 0.03 to 0.35": gt.images.DeadLeaves(),
    "dead leaves, radii from 0.1 to 0.2": gt.images.DeadLeaves(smallest=0.1, largest=0.2),
    "photographs": gt.Photographs(),
    "photographs, shuffled": gt.Shuffled(gt.Photographs()),
}
figures.gallery({name: X.sample(8, seed=1).numpy() for name, X in classes.items()})

# %%
# Spectra
# -------
#
# Power against frequency, averaged over directions, with a window that hides the border. Natural images fall about like
# :math:`1/f^2` (Field 1987); so do edges of any shape, hidden or not.


def spectrum(images):
    """Mean power at each whole frequency."""
    window = torch.hann_window(64, periodic=False)
    centred = images[:, 0] - images.mean((1, 2, 3), keepdim=True)[:, 0]
    power = torch.fft.fft2(centred * window[:, None] * window).abs().square().mean(dim=0).flatten()
    k = torch.fft.fftfreq(64, 1 / 64)
    ring = torch.hypot(k[:, None], k).round().long().flatten()
    return (torch.bincount(ring, power) / torch.bincount(ring))[1:32].numpy()


f = np.arange(1, 32)
figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for name, X in {
    "photographs": gt.Photographs(),
    "dead leaves": gt.images.DeadLeaves(),
    "C^alpha, alpha = 2": gt.CAlpha(2.0),
}.items():
    power = spectrum(X.sample(100, seed=3))
    ax.loglog(f, power / power[2], label=name)
    slope = np.polyfit(np.log(f[2:20]), np.log(power[2:20]), 1)[0]
    print(f"{name:20} power falls like f^{slope:.2f} between 3 and 20 cycles per image")
ax.loglog(f, (f / 3.0) ** -2.0, color=figures.GREY, ls=":", label="$f^{-2}$")
ax.set(xlabel="frequency (cycles per image)", ylabel="power, relative to that of 3 cycles")
ax.legend()
