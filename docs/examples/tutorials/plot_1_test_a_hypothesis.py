r"""
Test a hypothesis
=================

*The basis in which a denoiser shrinks is adapted to the image that it sees.* How does one find out whether this is true of a
network, and what would the same numbers have been without any adaptation?
"""

# %%
# A measure that decides nothing
# ------------------------------
#
# A measure is a function of a denoiser, clean images, a noise level and a seed; it returns one number for each image. A first
# thought: a network that knows contours denoises images with contours well. So we measure by how much it improves the PSNR,
# and fix the criterion, 6 dB, before we see a number.
#
# Beside the network stand *null models*. They do not have the property, so the measure must fail on them. Here it is
# the Wiener filter, the best linear denoiser of the class: it does the same at every image, and adapts to none.

from dataclasses import replace

import gahb_theory as gt
from gahb_theory.hypotheses import Criterion, OtherGeometry, Plan, Trained, Untrained, Wiener
from gahb_theory.hypotheses.basis_measures import adaptivity
from gahb_theory.metrics import psnr_per_image

images = gt.CAlpha(alpha=2.0, size=16)  # two smooth regions and a smooth contour between them
network = gt.shipped_denoiser("unet_c_alpha")


def gain(f, x, sigma, seed):
    """Decibels that a denoiser gains over the noisy image."""
    y = gt.add_noise(x, sigma, seed=seed)
    return psnr_per_image(x, f(y, sigma)) - psnr_per_image(x, y)


plan = Plan(images=8, sigmas=(0.1,))
first = gt.Hypothesis("It adapts to the image.", gain, Criterion(6.0, ">"), [Wiener()], plan=plan, unit="dB")
result = gt.assess(first, network, images=images)
print(result)

# %%
# *Not discriminating*: the filter gains as much. Without it the number would have looked like a success.

result.plot().figure

# %%
# A measure that can fail
# -----------------------
#
# Adaptation is a statement on bases. ``adaptivity`` takes the eigenvectors of the Jacobian of the denoiser at the noisy
# image, and asks how much of the energy of the clean image the best eight of them hold, less what the best eight eigenvectors
# at *other* images hold. A fixed basis has 0. Its null models are a fixed basis (Wiener), the network frozen at another
# image, and a network of random weights.

second = gt.Hypothesis(
    "Its basis is adapted to the image.",
    measure=adaptivity,
    criterion=Criterion(0.02, ">"),  # 2 % of the energy
    nulls=[Wiener(), OtherGeometry(), Untrained()],
    plan=plan,
)
result = gt.assess(second, network, images=images)
print(result)

# %%
# The interval is a 95 % interval over images. All three null models fail, so that the number says something.

result.plot().figure

# %%
# Not one network, but networks of a kind
# ---------------------------------------
#
# So far the verdict is about one file of weights. A statement on an architecture or on a way of training needs several,
# with weights and noise of their own: the interval then covers both seeds and images. We train three tiny ones for seconds.

recipe = gt.Recipe(images_seen=3000, batch_size=32)
networks = Trained(lambda seed: gt.UNet(8, 2, seed=seed), images, recipe, name="UNet(8, 2)")
third = replace(second, plan=Plan(seeds=3, images=6, sigmas=(0.1,)))
result = gt.assess(third, networks)
print(result)

# %%
# What one has learned
# --------------------
#
# - A measure without a null model is a number without a meaning: 10 dB of gain are no sign of adaptation.
# - The shipped network is adapted to its image by several per cent of the energy, where a filter, another image and random
#   weights give nothing.
# - One network says nothing about others of its kind. Three seeds after so little training leave the statement open, and the
#   last line says what would decide it.
#
# To go on: claims of the literature are ready in ``gahb_theory.hypotheses.catalogue``, and ``gahb test my_hypothesis.py``
# runs a file with a hypothesis. What the claims of the paper come to stands in the results of this documentation.
