"""The page of the decided claims: what is said before the verdicts, and what is not run."""

from gahb_theory import runs
from gahb_theory.hypotheses.paper.decided import Place, publish_all
from gahb_theory.hypotheses.paper.judged_networks import Settings, plan
from gahb_theory.report import draw_claims, verdict_page

__all__ = ["LEAD", "LIMITS", "MISSING", "page", "untrained"]

LEAD = """`python experiments/claims.py`. Small networks on images of 16 pixels, three seeds with weights, images and noise of
their own; a verdict needs null models that fail, networks that beat identity, mean and Wiener filter at every judged noise
level, and a measure that twice the budget does not change. Intervals are 95 %, over seeds and images together. Plain networks
are `UNet(16, 2)`, conservative ones `Conservative(SmoothUNet(8, 2))`, both after 32,000 images, all of them new; those of
the memorisation plane are `UNet(8, 2)` after 128,000. Excesses over the Bayes risk are shown in decibels, and lie above the
upper end of the Bayes interval. The window is sigma in [.03, .3] for all classes.

Changed after numbers were seen: the slope is judged on both sides, since an untrained network passed the one-sided criterion;
near-copies are counted, since a mean hid them; networks of N = 1,000 are no null models of samples, since they do not memorise;
eigenbases are to be judged after 64,000 images and beside nine untrained networks, since at 32,000 they do not pass the gate
at sigma = .3 and three untrained ones cannot be told apart. A verdict that is kept from before such a change has the older
criterion and null models in its row, and `python experiments/claims.py` replaces it. Twice the budget is trained for the first
seed alone, but for plain networks of alpha = 2."""
LIMITS = """## What these verdicts leave open

- Networks judged at twice the budget are gated against the budget itself, not against four times it: the gate says that the
  last doubling changed nothing, not that the next one would not.
- The null model of the wrong alpha is always a plain network, beside conservative networks and BF-CNNs as well: for those it
  differs from the subject in architecture and in class.
- On shuffled images the criterion is 0.122 of the Bayes risk. That is .5 dB at the optimum itself, and less where the network
  of the images before shuffling is above it: .4 dB where that is 1 dB above.
- Seeds differ in weights, images and noise together, and there are three; test images are the same for all networks."""
MISSING = {
    "9": "bedrooms: not at hand; the plane on C^alpha images stands for it",
    "10": "bedrooms: not at hand",
    "11": "a BF-CNN on N images: 30 networks, 2 hours of one core",
    "12": "a BF-CNN on N images: as figure 11",
    "15": "not run: N = 100 ... 10,000 at 8, 16 and 32 pixels, 1 to 3 blocks, 3 seeds: 108 networks, 20 hours of one core",
    "17": "contours of other roughness than the background: 9 networks, 10 minutes of one core each kind; not run",
    "1": "80 x 80 pixels, N = 10^5: 30 minutes of one GPU for each network",
    "3": "photographs of faces: not at hand",
}
"""What is not run, by figure, and what it would take."""


def untrained(place: Place) -> str:
    """Which networks of the plan are not among the checkpoints."""
    names = [t.name for t in plan(Settings()) if not (place.checkpoints / t.name).exists()]
    return f"- Not trained ({len(names)} of the plan): {', '.join(names)}." if names else ""


def page(place: Place) -> None:
    """Write README.md and the figures beside the verdicts, and the networks to the checkpoints."""
    publish_all(place)
    rows = runs.read_json(place.verdicts)
    figures = draw_claims.draw(rows, place.results)
    limits = "\n".join(filter(None, [LIMITS, untrained(place)]))
    print(verdict_page.write(place.results, LEAD, limits, MISSING, figures))
    readme = place.results.parents[2] / "README.md"
    if readme.exists():
        verdict_page.into(readme, rows)
