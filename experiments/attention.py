"""Whether attention is less geometry-adaptive than convolution at equal size.

    gahb test experiments/attention.py -o experiments/results/attention/verdict.json

Two kinds of networks of about 28,000 parameters are trained on images of C^2 contours, three seeds each. The measure is how
much more of an image its eigenbasis holds than the eigenbases of other images do. The nulls are convolutions, which cannot
be less adaptive than convolutions: with another seed, and trained ten times less. Minutes on two cores.
"""

import gahb_theory as gt
from gahb_theory.hypotheses import AnotherSeed, BeatsSimple, BudgetDoubled, Criterion, LessTrained, Plan, Trained
from gahb_theory.hypotheses.basis_measures import adaptivity

images = gt.CAlpha(alpha=2.0, size=16)
recipe = gt.Recipe(images_seen=20_000)
rival = Trained(lambda seed: gt.UNet(8, 2, seed=seed), images, recipe, name="convolution")
subject = Trained(lambda seed: gt.DiT(16, 4, 26, 2, 2, seed=seed), images, recipe, name="attention")
hypothesis = gt.Hypothesis(
    "Attention is less geometry-adaptive than convolution at equal size.",
    measure=adaptivity,
    criterion=Criterion(-0.01, "<"),
    nulls=[AnotherSeed(), LessTrained(10)],
    gates=[BeatsSimple(), BudgetDoubled()],
    plan=Plan(seeds=3, images=32, sigmas=(0.1, 0.3)),
)
