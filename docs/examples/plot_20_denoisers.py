r"""
Denoisers side by side
======================

Everything that can be called as ``f(y, sigma)``: a network, somebody else's network behind an adapter, exact denoisers of
laws that are known, oracles, classical filters, and machines that know nothing but a training set. One noisy image goes
through all of them, and the Jacobian of each says what it did.
"""

# %%
# One noisy image
# ---------------
#
# A disk: its law has five parameters, so that more is known of it than of a photograph. The posterior mean, to which all
# others are compared, is computed by importance sampling over the five.

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory import plots

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

shipped = gt.shipped_denoiser("c_alpha")


def somebody_elses(y255):
    return y255 - 255 * shipped(y255 / 255, 0.1)


found = gt.probe(somebody_elses)
print(found)
print(f"tied with it: {len(found.tied)} readings, homogeneity error {found.homogeneity_error:.0e}")

# %%
# Twelve denoisers
# ----------------

flat = train.flatten(1)
covariance = torch.cov(flat.mT)
machines = 200  # images that the memorisers and the local machines know
known = train[:machines]
denoisers = {
    "network, adapted": gt.adapt(somebody_elses, found.convention),
    "non-local means": gt.NonLocalMeans(patch=5, window=6),
    "wavelet thresholding": gt.ShrinkageDenoiser(gt.Wavelet("sym4", levels=3), gt.Hard(3.0)),
    "Gaussian law": gt.GaussianDenoiser(train.mean(dim=0, keepdim=True), (covariance + covariance.mT) / 2),
    "stationary Gaussian law": gt.StationaryGaussianDenoiser.fit(train),
    "posterior of the disks": gt.DiskBayes(disks, samples=1024),
    "tangent space (oracle)": gt.TangentDenoiser(x, scene.tangent),
    "memoriser": gt.EmpiricalBayes(known),
    "homogeneous memoriser": gt.EmpiricalRays(known),
    "local": gt.PatchBayes(known, patch=9),
    "local, equivariant": gt.EquivariantPatchBayes(known, patch=9),
    "the same, border broken": gt.BoundaryBrokenPatchBayes(known, patch=9),
}

# %%
# Torch differentiates all but one of them, and ``jacobian`` works on these. Non-local means come from scikit-image: there
# the Jacobian is taken by central differences. Where a closed form is known it is given by ``jacobian_matrix``.


def matrix(f):
    """J of any of them."""
    if hasattr(f, "jacobian_matrix"):
        return f.jacobian_matrix(y, sigma)
    if isinstance(f, gt.NonLocalMeans):
        return gt.difference_jacobian(f, y.double(), sigma).matrix().float()
    return gt.jacobian(f, y, sigma).matrix()


shown = [0, 1, 2, 4, 9]
figure, axes = plt.subplots(len(denoisers), 2 + len(shown), figsize=(8.2, 14.6), layout="constrained")
print(f"{'':26}{'PSNR, dB':>10}{'tr J':>8}{'largest':>10}{'asymmetry':>12}")
for row, (name, f) in zip(axes, denoisers.items(), strict=True):
    with torch.no_grad():
        estimate = f(y, sigma)
    J = matrix(f)
    asymmetry = float((J - J.mT).norm() / J.norm())
    values, vectors = torch.linalg.eigh((J + J.mT).double() / 2)
    values, vectors = values.flip(0), vectors.flip(1)
    quality = float(gt.psnr(x, estimate))
    print(f"{name:26}{quality:10.1f}{float(J.trace()):8.1f}{float(values[0]):10.2f}{asymmetry:12.2f}")
    row[0].text(1.0, 0.5, f"{name}\n{quality:.1f} dB\n$\\|J-J^T\\|/\\|J\\|$ = {asymmetry:.2f}", ha="right", va="center", fontsize=8)
    row[0].set_axis_off()
    plots.image(estimate[0].numpy(), row[1])
    for ax, k in zip(row[2:], shown, strict=True):
        plots.signed_image(vectors[:, k].reshape(1, size, size).float().numpy(), ax, f"$\\lambda_{{{k + 1}}}$ = {values[k]:.2f}")

# %%
# Exact denoisers have symmetric Jacobians, as the covariance of a posterior must be. Those that see patches have not,
# though each pixel of theirs is a posterior mean too: two pixels look at different patches.
#
# The memoriser has found a training image and moves little: its eigenvalues are near 0 but for the few directions to its
# neighbours. The homogeneous one, which is the best that a network without additive constants can memorise, keeps the
# direction of the image itself, with eigenvalue 1. The local machines are better with the same images, since they
# compose the disk of parts, and doing so their eigenvectors are harmonics along the contour.
#
# How the machines see locality
# -----------------------------
#
# The row of J at one pixel of the contour is what that pixel looks at: all of the image for the memoriser, its patch for
# the local machine, the same patch but narrower for the equivariant one, and for the network what it has learned.

column = int(scene.parameters[0, 1])
pixel = int(scene.parameters[0, 0] - scene.parameters[0, 2]) * size + column
figure, axes = plt.subplots(1, 5, figsize=(8.4, 2.0), layout="constrained")
for ax, name in zip(axes, ("posterior of the disks", "memoriser", "local", "local, equivariant", "network, adapted"), strict=True):
    plots.signed_image(matrix(denoisers[name])[pixel].reshape(1, size, size).numpy(), ax, name)
    ax.plot(pixel % size, pixel // size, "+", color="black", ms=5)

# %%
# More images, more noise levels
# ------------------------------
#
# Gains over the noisy images, for new disks. At large noise the memorisers are as good as any; at small noise the nearest
# training image is too far away, and they are worse than no denoiser at all.

test = disks.sample(8, seed=2)
sigmas = [0.05, 0.1, 0.2, 0.4]
lines = {
    "posterior of the disks": ("black", "-"),
    "Gaussian law": (plots.GREEN, "-"),
    "network, adapted": (plots.VERMILION, "-"),
    "non-local means": (plots.GREY, "-"),
    "memoriser": (plots.BLUE, ":"),
    "local": (plots.BLUE, "--"),
    "the same, border broken": (plots.BLUE, "-"),
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
