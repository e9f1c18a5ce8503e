r"""
What no symmetric shrinkage shows
=================================

The Jacobian of a posterior mean is symmetric. That of an ordinary network is not: what does the network do beyond the
shrinkage in its eigenvectors, how does its basis turn with the noise level, and how uncertain is it?
"""

# %%
# Rows and columns
# ----------------
#
# A row of J is the filter that makes one pixel of the output: where it looks. A column is the response of the output to one
# pixel of the input: what it reaches. Were J symmetric the two pictures would be the same.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots
from gahb_theory.jacobians import eigenbasis_path, posterior_components, posterior_deviation
from gahb_theory.report import figures

size, sigma = 32, 0.1
f = gt.shipped_denoiser("photographs")
crops = gt.pretrained.shipped_class("photographs", split="test").sample(32)[:, :, 16:48, 16:48]
x = crops[crops.std(dim=(1, 2, 3)).argmax()][None].contiguous()  # the one with the most contrast
y = gt.add_noise(x, sigma)
J = gt.jacobian(f, y, sigma)
place = int(torch.nn.functional.unfold(J.output, 9)[0].var(dim=0).argmax())  # of 24 x 24 squares
place = (place // 24 + 4) * size + place % 24 + 4
figure, axes = plt.subplots(1, 3, figsize=(6.4, 2.2), layout="constrained")
figures.image(J.output[0].numpy(), axes[0], "denoised")
figures.signed_image(J.rows([place]).reshape(1, size, size).numpy(), axes[1], "row of J at an edge")
figures.signed_image(J.columns([place]).reshape(1, size, size).numpy(), axes[2], "column of J at the same pixel")
print(J.reproduction(x))

# %%
# Eigenvalues of J itself
# -----------------------
#
# Many are complex. The *departure from normality* says how much of J they do not see at all.

spectrum = J.eig()
ax = spectrum.plot()
ax.set_title(str(J.reproduction(x)).replace("; ", "\n"), fontsize=7)
print(f"complex eigenvalues hold {spectrum.complex_mass:.0%} of sum |mu|^2, departure {spectrum.departure:.2f}")
ax.figure

# %%
# Singular vectors
# ----------------
#
# They see all of J: the network looks for :math:`v_k` (above) in its input and puts :math:`u_k` (below) into its output. In
# the first pair the two differ: what is gathered all over the image goes to one place. Further down they agree.

U = J.svd()
figure, axes = plt.subplots(2, 6, figsize=(8.2, 3.3), layout="constrained")
for k, pair in zip([0, 1, 2, 4, 16, 64], axes.T, strict=True):
    figures.signed_image(U.right[k].reshape(1, size, size).numpy(), pair[0], f"$v_{{{k + 1}}}$, s = {U.values[k]:.2f}")
    agreement = float(U.left[k] @ U.right[k])
    figures.signed_image(
        U.left[k].reshape(1, size, size).numpy(), pair[1], f"$u_{{{k + 1}}}$, <u, v> = {agreement:.2f}"
    )
figure.suptitle("singular vectors of J, which reproduce all of J y = f(y)", fontsize=8)

# %%
# Along noise levels
# ------------------
#
# With one noise image at all levels the eigenvectors of S turn slowly. Twelve of them are followed from level to level;
# twelve directions at random would overlap by 12 / 1024.

path = eigenbasis_path(f, x, [0.3, 0.2, 0.14, 0.1, 0.07], k=12, tol=1e-3)
print("overlap from level to level", [round(float(overlap), 2) for overlap in path.overlaps])
path.plot().figure

# %%
# Uncertainty
# -----------
#
# If the network were the posterior mean, :math:`\sigma^2 J` would be the covariance of the clean image given the noisy one:
# large along contours, never negative. The image is walked along the first component by three standard deviations to either
# side.

walk = posterior_components(J, sigma, 1).walk(0, torch.tensor([-3.0, 3.0]))
print(f"{int(posterior_deviation(J, sigma).isnan().sum())} of {size**2} pixels have a negative variance")
plots.images(torch.cat([walk[:1], J.output, walk[1:]]), ["-3 deviations", "denoised", "+3 deviations"])

# sphinx_gallery_thumbnail_number = 3
