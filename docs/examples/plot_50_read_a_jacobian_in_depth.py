r"""
Read a Jacobian in depth
========================

What a denoiser does around one noisy image, seen from every side: the filters it applies, the responses it spreads, the
basis in which it shrinks, and the part of it that no orthogonal basis can show, since the Jacobian of a network is not
symmetric. First on a photograph, then on an image of the class :math:`C^\alpha`.
"""

# %%
# Two networks of half a million parameters come with the library. Each is piecewise linear, so that its derivative is
# recorded once and applied without automatic differentiation; the operator says which engine it uses.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.jacobians import eigenbasis_path, posterior_components, posterior_deviation, subspace_dimension
from gahb_theory.report import figures as plots

size, sigma = 32, 0.1
names = ("photographs", "c_alpha")
networks = {"photographs": gt.shipped_denoiser("photographs"), "c_alpha": gt.shipped_denoiser("unet_c_alpha")}
crops = gt.pretrained.shipped_class("photographs", split="test").sample(32)[:, :, 16:48, 16:48]
clean = {
    "photographs": crops[crops.std(dim=(1, 2, 3)).argmax()][None].contiguous(),  # the one with the most contrast
    "c_alpha": gt.CAlpha(alpha=2.0, size=size).sample(1, seed=21, start=258),
}
noisy = {name: gt.add_noise(clean[name], sigma, seed=0) for name in names}
J = {name: gt.jacobian(networks[name], noisy[name], sigma) for name in names}

figure, axes = plt.subplots(2, 3, figsize=(6, 4.3), layout="constrained")
for row, name in zip(axes, names, strict=True):
    for ax, picture, title in zip(
        row, (clean[name], noisy[name], J[name].output), ("clean", "noisy", "denoised"), strict=True
    ):
        quality = "" if title == "clean" else f", {gt.psnr(clean[name], picture):.1f} dB"
        plots.image(picture[0].numpy(), ax, title + quality)

for name in names:
    print(f"{name:>12}: {J[name]}, engine {J[name].engine}")
    print(f"{'':>12}  ||J y - f(y)|| / ||f(y)|| = {J[name].homogeneity_error():.1e}")

# %%
# Rows and columns
# ----------------
#
# A row of J is the filter that makes one pixel of the output: where it looks. A column is the response of the output to one
# pixel of the input: what it reaches. Were J symmetric the two rows of pictures would be the same. On edges they are not: the
# filter is broader than the response.


def strongest_edge(image):
    """The place of the largest gradient, away from the border."""
    inner = image[0, 0, 6:-6, 6:-6]
    slope = (inner[1:, :-1] - inner[:-1, :-1]).square() + (inner[:-1, 1:] - inner[:-1, :-1]).square()
    place = int(slope.argmax())
    return place // slope.shape[1] + 6, place % slope.shape[1] + 6


def flattest(image):
    """The place around which a 7 x 7 patch varies least."""
    patches = torch.nn.functional.unfold(image, 7)[0].var(dim=0).reshape(size - 6, size - 6)
    place = int(patches.argmin())
    return place // (size - 6) + 3, place % (size - 6) + 3


figure, axes = plt.subplots(2, 4, figsize=(7.4, 3.9), layout="constrained")
for pair, name in zip((axes[:, :2], axes[:, 2:]), names, strict=True):
    for column, (where, (r, c)) in zip(
        pair.T, (("edge", strongest_edge(J[name].output)), ("flat", flattest(J[name].output))), strict=True
    ):
        row = J[name].rows([r * size + c]).reshape(1, size, size).numpy()
        response = J[name].columns([r * size + c]).reshape(1, size, size).numpy()
        for ax, picture, title in zip(column, (row, response), ("row", "column"), strict=True):
            plots.signed_image(picture, ax, f"{name}, {where}: {title}")
            ax.plot(c, r, "+", color="black", ms=5)

# %%
# Eigenvectors
# ------------
#
# The eigenvectors of the symmetric part oscillate along contours and inside regions. An eigenvalue is the factor by which
# the denoiser shrinks the image along its vector. Where two of them are closer than their residuals allow to tell, only
# the span of their vectors has a meaning; ``clusters`` names those groups.

E = {name: J[name].eigenbasis() for name in names}
chosen = [0, 1, 2, 4, 8, 16, 32, 64]
figure, axes = plt.subplots(2, 8, figsize=(9.6, 2.9), layout="constrained")
for row, name in zip(axes, names, strict=True):
    for ax, k, atom in zip(row, chosen, E[name].atom_images(chosen), strict=True):
        plots.signed_image(atom.numpy(), ax, f"$\\lambda_{{{k + 1}}}$ = {E[name].eigenvalues[k]:.2f}")

for name in names:
    groups = E[name].clusters()
    D = subspace_dimension(E[name].eigenvalues)
    print(f"{name:>12}: {len(groups)} groups of {len(E[name].eigenvalues)} eigenvalues, {D.above_half} above 1/2,")
    print(
        f"{'':>12}  trace {D.trace:.0f}, participation {D.participation:.0f}, negative {(E[name].eigenvalues < 0).sum()}"
    )

# %%
# What is not symmetric
# ---------------------
#
# The Jacobian of a posterior mean is symmetric. That of these networks is not: many of its own eigenvalues are complex, and
# its departure from normality says how much of J they do not see at all. Singular vectors do see it: the network looks for
# :math:`v_k` in its input and puts :math:`u_k` into its output.

figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.1), layout="constrained", sharex=True, sharey=True)
for ax, name in zip(axes, names, strict=True):
    S = J[name].eig()
    real = S.values.imag == 0
    ax.plot(
        S.values.real[~real].numpy(), S.values.imag[~real].numpy(), ".", ms=3, color=plots.VERMILION, label="complex"
    )
    ax.plot(S.values.real[real].numpy(), S.values.imag[real].numpy(), ".", ms=3, color=plots.BLUE, label="real")
    ax.set(title=name, xlabel="real part", ylabel="imaginary part" if name == names[0] else "")
    ax.legend()
    print(f"{name:>12}: ||J - J^T|| / ||J|| = {E[name].asymmetry:.2f}, {int((~real).sum())} complex eigenvalues")
    print(f"{'':>12}  with {S.complex_mass:.0%} of sum |mu|^2, departure from normality {S.departure:.2f}")

# %%
# Below, singular vectors on the photograph. Inside regions left and right ones agree. Along the contour they do not: the right
# ones are broad and the left ones thin. The network gathers what it knows from a band around the edge, and puts it onto the
# edge. The symmetric part averages the two.

U = J["photographs"].svd()
figure, axes = plt.subplots(2, 8, figsize=(9.6, 2.9), layout="constrained")
for k, column in zip(chosen, axes.T, strict=True):
    agreement = float(U.left[k] @ U.right[k])
    plots.signed_image(U.right[k].reshape(1, size, size).numpy(), column[0], f"$v_{{{k + 1}}}$, s = {U.values[k]:.2f}")
    plots.signed_image(
        U.left[k].reshape(1, size, size).numpy(), column[1], f"$u_{{{k + 1}}}$, <u, v> = {agreement:.2f}"
    )

# %%
# Along noise levels
# ------------------
#
# With one noise image at all levels the eigenvectors turn slowly. The same 12 pairs are followed from level to level, each
# started from the one before; the overlap says how much of the subspace stays. 12 directions at random would overlap by
# 12 / 1024, about 0.01.

sigmas = [0.3, 0.2, 0.14, 0.1, 0.07]
paths = {name: eigenbasis_path(networks[name], clean[name], sigmas, k=12, tol=1e-3) for name in names}

figure, axes = plt.subplots(1, 2, figsize=(7.4, 2.9), layout="constrained")
for ax, name in zip(axes, names, strict=True):
    P = paths[name]
    ax.plot(sigmas, P.eigenvalues[:, [0, 1, 2, 4, 7, 11]].numpy(), color=plots.BLUE, lw=1.2)
    ax.plot(
        (P.sigmas[1:] * P.sigmas[:-1]).sqrt().numpy(),
        P.overlaps.numpy(),
        "o--",
        ms=4,
        color=plots.VERMILION,
        label="overlap",
    )
    ax.set(title=name, xscale="log", xlabel="noise level $\\sigma$", ylim=(0, None))
    ax.set_xticks([0.07, 0.1, 0.2, 0.3], ["0.07", "0.1", "0.2", "0.3"])
    ax.minorticks_off()
    ax.legend(loc="lower left")
axes[0].set_ylabel("eigenvalues 1, 2, 3, 5, 8, 12")

# %%
# Uncertainty
# -----------
#
# If the network were the posterior mean, :math:`\sigma^2 J` would be the covariance of the clean image given the noisy one.
# Its diagonal is the uncertainty of each pixel, large along contours. Its first eigenvector is the direction in which the
# answer is least certain; the image is walked along it by three standard deviations to either side. White pixels of the
# third picture are negative variances, which no posterior has.

figure, axes = plt.subplots(2, 5, figsize=(8.6, 3.7), layout="constrained")
for row, name in zip(axes, names, strict=True):
    deviation = posterior_deviation(J[name], sigma)
    C = posterior_components(J[name], sigma, 1)
    walk = C.walk(0, torch.tensor([-3.0, 3.0]))
    plots.image(J[name].output[0].numpy(), row[0], "denoised")
    row[1].imshow(deviation[0, 0].numpy(), cmap="magma")
    row[1].set(title="deviation")
    row[1].set_axis_off()
    plots.signed_image(C.basis.atom_images([0])[0].numpy(), row[2], "component 1")
    plots.image(walk[0].numpy(), row[3], "-3 deviations")
    plots.image(walk[1].numpy(), row[4], "+3 deviations")
    print(f"{name:>12}: {int(deviation.isnan().sum())} of {size**2} pixels have a negative variance")
