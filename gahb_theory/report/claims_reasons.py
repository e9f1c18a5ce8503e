"""Why a verdict on the paper's claims is not decided, and what would decide it: one line for each such row.

The numbers are those of the row; what is written here, or kept in the row as "why", says what they mean. A row without such a
sentence is refused, so that no "not discriminating", "not converged" or "undecided" stands on the page unexplained.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["OPEN", "REASONS", "reasons"]

OPEN = ("not converged", "not discriminating", "undecided")
LINEAR = (
    "The class lies in a linear space, whose tangent space a Wiener filter has exactly: no angle tells a network from the "
    "filter there. On disks, where the filter fails, the row is decided."
)
SHUFFLED = (
    "Networks of shuffled images lose to the Wiener filter, which does not see the shuffling. From 32,000 images on they "
    "gain about 1 dB with each doubling, so that they would need 2,000,000 images or more: 3 networks of an hour of one core."
)
WRONG = (
    "The null model, a network trained for alpha = 3, is itself about 1 dB above the optimum of alpha = 1.5: the classes are "
    "so near that the row does not tell alpha. Twice as many images with their Bayes intervals would, at 2 minutes a level."
)
UNTRAINED = (
    "An untrained conservative network is itself a little adapted, by about the criterion, as its units close along contours. "
    "The rows beside the exact posterior, which untrained networks fail, decide."
)
SAMPLES = (
    "Wiener filters fail, as they should; but networks of 100 images, which memorise by 3.7 dB, agree in more than half of "
    "what a filter leaves, too. Three quarters, asked of functions (same function beyond a filter), would tell them apart."
)
CONTOURS = (
    "The networks were trained on 32,000 images each, and at sigma = .2 one of three does not beat the Wiener filter on smooth "
    "parts. After 128,000 images they should: 9 networks of 1 to 2 minutes of one core, and 3 of half that."
)
REASONS = {
    "samples, stochastic": SAMPLES,
    "samples, deterministic": SAMPLES,
    "gap, N = 10,000": "A Wiener filter of as many images has a smaller gap still, by theory. Decided by the row on what "
    "networks gain beyond it (generalise, N = 10,000).",
    "same function": "Outputs of two Wiener filters are as near to each other. Decided by the row on what networks do beyond a "
    "filter (same function beyond a filter).",
    "time of memorisation": "The exponent of the time of generalisation is known to .3 from three repetitions; its interval "
    "ends at the threshold. Two more repetitions, 20 networks of 1 to 2 minutes of one core, halve it.",
    "slope, alpha = 2, plain": "A slope does not see the level: networks of 2,000 images lie 8 dB above the optimum with a "
    "slope near its, and 27 of them tell no more than 9. The row on decibels above the optimum (near) decides.",
    "slope, alpha = 3, plain": "As for alpha = 2: networks of 2,000 images have the slope, 9 dB above the optimum.",
    "slope, alpha = 2, conservative": "As for plain networks: those of 2,000 images may have the slope, 6 to 8 dB above.",
    "near, alpha = 1.5, plain": WRONG,
    "slope, alpha = 1.5, plain": WRONG,
    "visible, alpha = 2, 16 pixels": "At 16 pixels the optimum of alpha = 1 has nearly the slope that alpha = 2 would have on "
    "ever finer images: no slope tells alpha there.",
    "extra, disks": "A Wiener filter, whose basis is fixed, has even more eigenvalues in between: their number does not say "
    "that a manifold was learned. Asked instead: where they lie (where, disks), and whether they last (limit of extra, disks).",
    "angle, ray": LINEAR,
    "angle, sine_cone": LINEAR,
    "own, conservative": UNTRAINED,
    "own, bandlets, conservative": UNTRAINED,
    "shuffled, excess": SHUFFLED,
    "shuffled, slope": SHUFFLED,
    "near, alpha = 3, plain": "The mean lies at the threshold. The excess falls to .8 of itself with each doubling: after "
    "512,000 images it would lie below, 3 networks of 8 minutes of one core and one of 4.",
    "geometry during training": "The mean lies at the threshold: half of the final geometry is there after about 4,000 images. "
    "To tell on which side takes 400 images, 3 hours of one core.",
    "where, disks": "The mean is above the criterion, and .33 would be the most; three seeds differ too much. Six more, "
    "3 minutes of one core each, would.",
    "limit of extra, disks": "From four budgets the limit of a power is known to 14 directions: 5 to 9 are left after 128,000 "
    "images, and the last doubling took 3. 512,000 images for three seeds, 8 minutes of one core each, halve the interval.",
    "limit of excess, disks": "The limit lies at the threshold, 1 dB. 512,000 images for three seeds, as for the directions.",
    "limit of extra, sine_cone": "The number falls faster than a power does, so that the limit of one comes out below 0: .03 "
    "to .7 are left after 128,000 images, which refutes the row of one budget.",
    "near, alpha = 2, bfcnn": "The last doubling takes .06 of .38, just more than half of the interval: two or three "
    "more, 6 networks of 15 minutes of one core for 512,000 images, would tell whether the limit is below 1 dB.",
    "excess, disks": "The excess falls to .6 to .7 of itself with each doubling, through the threshold: it is above after "
    "128,000 images and would be below after 512,000, 3 networks of 8 minutes of one core and one of 4. Its limit is another "
    "row.",
    "excess at contours": "What a Wiener filter loses it loses at contours, too, as it blurs them: a share of .25 cannot be "
    "told from the threshold of .2. Another comparison of regularities (roughness of contours) asks what no filter has.",
    "roughness of contours": CONTOURS,
    "near contours of regularity 1.5": CONTOURS,
    "near contours of regularity 2": CONTOURS,
    "near contours of regularity 4": CONTOURS,
}


def reasons(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows that are not decided, with the number that decides against it and the reason, as a Markdown table."""
    lines = ["| row | verdict | by how much | why, and what would decide |", "|---|---|---|---|"]
    for key, row in rows.items():
        if row["verdict"] in OPEN:
            more = f" ({row['needed']})" if row["verdict"] == "undecided" and row.get("needed") else ""
            lines.append(f"| {key} | {row['verdict']} | {row['reason']}{more} | {REASONS.get(key) or row['why']} |")
    return "\n".join(lines) + "\n"
