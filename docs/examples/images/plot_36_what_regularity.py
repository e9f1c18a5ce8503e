r"""
What regularity do these images have?
=====================================

A class is called :math:`C^\alpha`, a network is trained on it, and the slope of its PSNR curve is compared with
:math:`\alpha / (\alpha + 1)`. That means something only if the images have the regularity of their name. We measure it, for
the published generator ("paper") and for one that draws the exponents it says ("holder").
"""

# %%
# A filter is not a regularity
# ----------------------------
#
# The published generator filters white noise by :math:`|k|^{-\alpha}`, on a line for the contour and in the plane for the
# backgrounds. A filter of order q gains q derivatives. But white noise does not start at 0: it is as irregular as
# :math:`C^{-1/2}` on a line and :math:`C^{-1}` in the plane. So the contours are :math:`C^{\alpha - 1/2}` and the backgrounds
# :math:`C^{\alpha - 1}`. "holder" takes :math:`|k|^{-(\alpha + 1/2)}` and :math:`|k|^{-(\alpha + 1)}`.

import matplotlib.pyplot as plt
import numpy as np
import torch

import gahb_theory as gt
from gahb_theory.images.published_c_alpha import paper_fields
from gahb_theory.report import figures

figures.gallery({f'"{c}"': gt.CAlpha(2.0, convention=c).sample(8, seed=7).numpy() for c in ("paper", "holder")})

# %%
# Measured
# --------
#
# ``estimate_regularity`` reads the exponent off the decay of wavelet coefficients across octaves. Dashed: what the filter
# gives.

alphas, double = np.array([1.0, 1.5, 2.0, 3.0]), torch.float64
draw = {
    "holder": lambda a: gt.GaussianField(a, size=256, period=1).sample(6, dtype=double),
    "paper": lambda a: paper_fields(6, 256, a, dtype=double)[:, :1],
}
figure, ax = plt.subplots(figsize=(5.0, 3.4), layout="constrained")
for name, colour in (("holder", figures.BLUE), ("paper", figures.VERMILION)):
    found = [gt.theory.estimate_regularity(draw[name](a)) for a in alphas]
    exponents = np.array([r.exponent for r in found])
    ends = np.array([(r.exponent - r.low, r.high - r.exponent) for r in found]).T
    ax.errorbar(alphas, exponents, ends, fmt="o", color=colour, ms=4, label=f'"{name}"')
    ax.plot(alphas, alphas - (name == "paper"), color=colour, ls="--", lw=1)
    print(f"{name:7} backgrounds", "  ".join(f"{a:g}: {e:.2f}" for a, e in zip(alphas, exponents, strict=True)))
ax.set(title="regularity of the backgrounds", xlabel="alpha of the name", ylabel="measured")
ax.legend()

# %%
# Why it matters for slopes
# -------------------------
#
# The background is a stationary field, and the oracle in the Fourier basis shows the slope of the class: :math:`a / (a + 1)`
# for regularity a. With :math:`a = \alpha - 1` that is :math:`(\alpha - 1) / \alpha`, not :math:`\alpha / (\alpha + 1)`. The
# networks of the paper have slopes near the latter. But a contour adds a slope that goes to 1 at small noise, so that the
# agreement may come from a mixture over a finite range of noise. That is a hypothesis, and these oracles do not decide it.

sigmas = np.geomspace(0.01, 0.32, 8)
reported = {1.0: 0.46, 2.0: 0.61, 3.0: 0.75, 5.0: 0.83}  # slopes of the networks of the paper (figure 4)
for a, network in reported.items():
    x = paper_fields(12, 80, a, dtype=double)[:, :1]
    x = (x - x.amin((2, 3), keepdim=True)) / (x.amax((2, 3), keepdim=True) - x.amin((2, 3), keepdim=True))
    slope = gt.fit_slope(sigmas, torch.stack([gt.oracle_mse(gt.Fourier(), x, float(s)) for s in sigmas])).slope
    print(
        f"alpha {a:g}: oracle {slope:.2f}, (a - 1) / a {(a - 1) / a:.2f}, a / (a + 1) {a / (a + 1):.2f}, paper {network}"
    )
