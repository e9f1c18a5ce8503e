r"""
Random functions: covariance or norm known exactly
==================================================

For a Gaussian distribution the Wiener filter is the optimal denoiser, and its risk :math:`\sum_k s_k \sigma^2 / (s_k +
\sigma^2)` follows from the eigenvalues of the covariance. For a random wavelet series with bounded coefficients, a member of
a ball of the Hoelder space, it is one shrinkage for each coefficient.
"""

# %%
# A power law has the same regularity at every scale, a Matern field only below its correlation length, a texture fills one
# band of frequencies. Images of the ball have little contrast: its norm is so small that no choice of signs leaves [0, 1].

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures
from gahb_theory.theory import gaussian_mse

classes = {
    "power law, exponent 1": gt.GaussianField(1.0),
    "power law, exponent 2": gt.GaussianField(2.0),
    "Matern, exponent 3, correlation length 0.05": gt.GaussianField(3.0, spectrum="matern", correlation_length=0.05),
    "texture, 8 cycles, bandwidth 1": gt.images.Texture(),
    "ball of the Hoelder space, alpha = 1": gt.HolderBall(1.0),
}
figures.gallery({name: X.sample(8, seed=1).numpy() for name, X in classes.items()})

# %%
# The optimal slope
# -----------------
#
# A field of exponent :math:`\alpha` has the slope :math:`\alpha / (\alpha + 1)`, between the noise level where only few
# coefficients are left, and that where all of the pixel grid is above the noise. Dotted: the asymptotic value.

sigmas = torch.logspace(-3, 0, 25, dtype=torch.float64)
figure, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for exponent, colour in ((1.0, figures.ORANGE), (2.0, figures.BLUE), (3.0, figures.GREEN)):
    X = gt.GaussianField(exponent, size=32)
    risk = gaussian_mse(torch.linalg.eigvalsh(X.covariance.matrix()).clamp(min=0), sigmas)
    ax.semilogx(sigmas, gt.local_slopes(sigmas, risk), color=colour, label=f"exponent {exponent:g}")
    ax.axhline(X.optimal_slope, color=colour, ls=":", lw=1)
ax.set(xlabel="noise level $\\sigma$", ylabel="local slope of the optimal risk", ylim=(0.4, 1))
ax.legend()

# %%
# The regularity, measured
# ------------------------

for exponent in (1.0, 2.0, 3.0):
    for X in (gt.GaussianField(exponent, size=256), gt.HolderBall(exponent, size=256)):
        found = gt.theory.estimate_regularity(X.sample(16, dtype=torch.float64))
        print(
            f"{type(X).__name__:14} exponent {exponent:g}: {found.exponent:.2f} in [{found.low:.2f}, {found.high:.2f}]"
        )
