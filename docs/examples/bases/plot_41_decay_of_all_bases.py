r"""
How fast M terms approximate an image
=====================================

The error of the best M terms decays like :math:`M^{-e}`, and theory knows the exponent :math:`e` of each basis on each
class of images. At sizes that fit into a computer the asymptotic exponents are mostly not visible.
"""

# %%
# Fixed bases have one curve. An adaptive dictionary has another best basis for each threshold :math:`T`, and its curve is
# that of :math:`M(T)` against the error at :math:`T`; there :math:`M` counts the geometry too, two parameters for each square
# with a flow.

import matplotlib.pyplot as plt
import numpy as np

import gahb_theory as gt

size, images = 128, 4
terms = np.unique(np.geomspace(20, 2000, 24).astype(int))
classes = {
    r"$C^1$ images": gt.CAlpha(alpha=1.0, size=size),
    r"$C^2$ images": gt.CAlpha(alpha=2.0, size=size),
    r"$C^3$ images": gt.CAlpha(alpha=3.0, size=size),
    "disks": gt.Disks(size=size),
    "photographs": gt.Photographs(size=size),
    r"$C^2$, shuffled": gt.Shuffled(gt.CAlpha(alpha=2.0, size=size), seed=0),
}
fixed = {"DCT": gt.DCT(), "block DCT": gt.bases.BlockDCT(8), "wavelets": gt.Wavelet("db4")}


def bandlets(x):
    """Numbers of terms with their geometry, and errors, for several thresholds."""
    points = []
    for T in np.geomspace(1.0, 0.02, 10).tolist():
        basis = gt.Bandlet("db4").at(x, threshold=T)
        c = basis.analysis(x)
        geometry = 2 * int(basis.geometry.directional_leaves.sum())
        points.append((int((c.abs() > T).sum()) + geometry, float((c * (c.abs() <= T)).square().sum())))
    return np.array(points).T / images


figure, axes = plt.subplots(2, 3, figsize=(9.2, 6.0), layout="constrained", sharex=True)
for ax, (name, X) in zip(axes.flat, classes.items(), strict=True):
    x = X.sample(images, seed=2).double()
    for label, basis in fixed.items():
        error = gt.theory.approximation_error(basis, x, terms.tolist()).mean(dim=0).numpy()
        ax.loglog(terms, error, label=label)
        early, late = (-np.polyfit(np.log(terms[w]), np.log(error[w]), 1)[0] for w in (slice(12), slice(12, None)))
        print(f"{name:16} {label:10} exponent {early:.2f} up to {terms[11]} terms, {late:.2f} beyond")
    ax.loglog(*bandlets(x), "o-", ms=3, label="bandlets")
    ax.set(title=name, xlim=(20, 2000), xlabel="number of terms M", ylabel=r"$\|x - x_M\|^2$")
axes[0, 0].legend()

# %%
# Theory has 1/2 for cosines, 1 for wavelets and :math:`\alpha` for bandlets on images with :math:`C^\alpha` contours. The
# slopes steepen from the first window to the second: at 128 pixels there are too few scales between the size of the image and
# that of a pixel. With a few hundred terms all scales of an edge are kept, and what remains decays faster than any of the
# power laws. So the order of the bases at equal M is worth reading, and the slope is not evidence for or against an exponent.
#
# The slope of a field without edges is visible, because there all coefficients follow one power law:

fields = gt.GaussianField(2.0, size=size, period=1).sample(16, seed=3).double()
print(gt.theory.decay_exponent(gt.Fourier(), fields - fields.mean(dim=(1, 2, 3), keepdim=True), window=(30, 1000)))
