r"""
Denoisers side by side
======================

Everything that can be called as ``f(y, sigma)``: a network, somebody else's network behind an adapter, exact denoisers
of distributions that are known, oracles, classical filters, and machines that know nothing but a training set. One
noisy image goes through all of them, and the Jacobian of each says what it did.
"""

# %%
# One noisy image
# ---------------
#
# A disk: its distribution has five parameters, so that more is known of it than of a photograph. The posterior mean, to
# which all others are compared, is computed by importance sampling over the five.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

size, sigma = 24, 0.15
disks = gt.Disks(size=size)
scene = disks.scene(1, seed=7, start=4)
x = scene.images
y = gt.add_noise(x, sigma, seed=0)
train = disks.sample(2000, seed=1)

# %%
# A network from elsewhere
# ------------------------
#
# This one sees intensities in 0..255 and returns the noise. ``probe`` finds that out by trying every reading on images that
# it knows, and says how sure it is. A network without additive constants works in any range, so that the readings that
# differ in the range alone are tied, and the plainest is taken.

shipped = gt.shipped_denoiser("unet_c_alpha")


def somebody_elses(y255):
    return y255 - 255 * shipped(y255 / 255, 0.1)


found = gt.probe(somebody_elses)
print(found)
print(f"tied with it: {len(found.tied)} readings, homogeneity error {found.homogeneity_error:.0e}")

# %%
# Fourteen denoisers
# ------------------

flat = train.flatten(1)
covariance = torch.cov(flat.mT)
known = train[:60]  # what the memorisers and the local machines know
denoisers = {
    "network, adapted": gt.adapt(somebody_elses, found.convention),
    "non-local means": gt.denoisers.NonLocalMeans(patch=5, window=3),
    "wavelet thresholding": gt.ShrinkageDenoiser(gt.Wavelet("sym4", levels=3), gt.Hard(3.0)),
    "Gaussian": gt.GaussianDenoiser(train.mean(dim=0, keepdim=True), (covariance + covariance.mT) / 2),
    "stationary Gaussian": gt.denoisers.StationaryGaussianDenoiser.fit(train),
    "posterior of the disks": gt.denoisers.DiskBayes(disks, samples=1024),
    "tangent space (oracle)": gt.denoisers.TangentDenoiser(x, scene.tangent),
    "memoriser": gt.EmpiricalBayes(known),
    "homogeneous memoriser": gt.denoisers.EmpiricalRays(known),
    "smoothed memoriser": gt.denoisers.SmoothedEmpiricalBayes(known, smoothing=0.1, draws=64),
    "local": gt.denoisers.PatchBayes(known, patch=7),
    "local, equivariant": gt.denoisers.EquivariantPatchBayes(known, patch=7),
    "the same, border broken": gt.denoisers.BoundaryBrokenPatchBayes(known, patch=7),
    "composite of patches": gt.denoisers.PatchComposite(known, patch=7),
}

# %%
# Torch differentiates all but one of them, and ``jacobian`` works on these. Non-local means come from scikit-image: there
# the Jacobian is taken by central differences. Where a closed form is known it is given by ``jacobian_matrix``.


def matrix(f):
    """J of any of them."""
    if hasattr(f, "jacobian_matrix"):
        return f.jacobian_matrix(y, sigma)
    if isinstance(f, gt.denoisers.NonLocalMeans):
        return gt.difference_jacobian(f, y.double(), sigma).matrix().float()
    return gt.jacobian(f, y, sigma).matrix()


shown = [0, 1, 2, 4, 9]
J = {name: matrix(f) for name, f in denoisers.items()}
figure, axes = plt.subplots(1 + len(denoisers), 2 + len(shown), figsize=(8.2, 18.2), layout="constrained")
for ax in axes[0]:
    ax.set_axis_off()
plots.image(x[0].numpy(), axes[0, 1], "clean")
plots.image(y[0].numpy(), axes[0, 2], f"noisy, {float(gt.psnr(x, y)):.1f} dB")
print(f"{'':26}{'PSNR, dB':>10}{'tr J':>8}{'largest':>10}{'asymmetry':>12}")
for row, (name, f) in zip(axes[1:], denoisers.items(), strict=True):
    with torch.no_grad():
        estimate = f(y, sigma)
    j = J[name].double()
    asymmetry = float((j - j.mT).norm() / j.norm())
    values, vectors = torch.linalg.eigh((j + j.mT) / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    quality = float(gt.psnr(x, estimate))
    print(f"{name:26}{quality:10.1f}{float(j.trace()):8.1f}{float(values[0]):10.2f}{asymmetry:12.2f}")
    row[0].text(1, 0.5, f"{name}\n{quality:.1f} dB\nasymmetry {asymmetry:.2f}", ha="right", va="center", fontsize=8)
    row[0].set_axis_off()
    plots.image(estimate[0].numpy(), row[1])
    for ax, k in zip(row[2:], shown, strict=True):
        atom = vectors[:, k].reshape(1, size, size).numpy()
        plots.signed_image(atom, ax, f"$\\lambda_{{{k + 1}}}$ = {values[k]:.2f}")

# %%
# Exact denoisers have symmetric Jacobians, as the covariance of a posterior must be. Those that see patches have not,
# though each pixel of theirs is a posterior mean too: two pixels look at different patches.
#
# The posterior has five eigenvalues that count, the dimension of its class, and its first vectors are those of the
# tangent space: they move the disk, change its radius and its intensities. The memoriser is in doubt between two
# training images: one eigenvalue is far above 1, along their difference, and hardly anything else moves it. The
# homogeneous one, the best that a network without additive constants can memorise, keeps the direction of the image
# itself, with eigenvalue 1. The local machines know the same images and compose the disk of their parts; the
# equivariant one has more parts, and is better. The disk lies away from the border, so that the boundary-broken machine
# does the same as it.
#
# How the machines see locality
# -----------------------------
#
# The row of J at one pixel of the contour is what that pixel looks at: all of the image for the memoriser, its patch for
# the local machines, and for the network what it has learned.

column = int(scene.parameters[0, 1])
pixel = int(scene.parameters[0, 0] - scene.parameters[0, 2]) * size + column
figure, axes = plt.subplots(1, 5, figsize=(8.4, 2.0), layout="constrained")
compared = ("posterior of the disks", "memoriser", "local", "local, equivariant", "network, adapted")
for ax, name in zip(axes, compared, strict=True):
    plots.signed_image(J[name][pixel].reshape(1, size, size).numpy(), ax, name)
    ax.plot(pixel % size, pixel // size, "+", color="black", ms=5)

# %%
# More images, more noise levels
# ------------------------------
#
# Gains over the noisy images, for new disks. At small noise the nearest training image is too far away, and the memoriser is
# worse than no denoiser at all; the local machines fall off later, since patches have nearer neighbours than images.

test = disks.sample(2, seed=2)
sigmas = [0.05, 0.13, 0.4]
lines = {
    "posterior of the disks": ("black", "-"),
    "Gaussian": (plots.GREEN, "-"),
    "network, adapted": (plots.VERMILION, "-"),
    "non-local means": (plots.GREY, "-"),
    "memoriser": (plots.BLUE, ":"),
    "local": (plots.BLUE, "--"),
    "local, equivariant": (plots.BLUE, "-"),
}
figure, ax = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
for name, (colour, style) in lines.items():
    with torch.no_grad():
        curve = gt.psnr_curve(denoisers[name], test, sigmas)
    ax.plot(curve.input_psnr, curve.psnr - curve.input_psnr, style, color=colour, label=name)
ax.axhline(0, color="black", lw=0.6)
ax.set(xlabel="input PSNR (dB)", ylabel="gain in PSNR (dB)")
ax.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))

# sphinx_gallery_thumbnail_number = 1
