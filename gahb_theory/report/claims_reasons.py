"""Why a verdict on the paper's claims is not decided, and what would decide it: one line for each such row.

The numbers are those of the rows: a sentence names them in braces, and `FACTS` says from which row each is taken. A row without
such a sentence, here or in the row as "why", is refused, so that no "not discriminating", "not converged" or "undecided" stands
on the page unexplained.
"""

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.judged_measures import decibels

__all__ = ["FACTS", "OPEN", "REASONS", "reasons"]

OPEN = ("not converged", "not discriminating", "undecided")
FEW = "network of 2,000 images"
"""The null model of few images, as its name begins in the rows."""
Rows = Mapping[str, Mapping[str, Any]]


def _null(row: Mapping[str, Any], name: str) -> list[float]:
    """Value and ends of a null model, known by how its name begins."""
    return next([float(v) for v in e[1:]] for label, e in row["nulls"].items() if label.startswith(name))


def _few(rows: Rows, key: str) -> str:
    """How far networks of 2,000 images are above the optimum."""
    return f"{decibels(_null(rows[key], FEW)[0]):.0f} dB"


def _by_doubling(rows: Rows) -> str:
    """What networks of shuffled images gain from 32,000 to 64,000 images, mean over noise levels."""
    found = rows["shuffled, excess"]["reference"]["dB above the optimum"]
    return f"{np.mean(found['shuffled, 32,000 images']) - np.mean(found['shuffled, 64,000 images']):.1f} dB"


def _half(e: list[float]) -> float:
    return (e[2] - e[1]) / 2


def _left(rows: Rows, key: str, digits: int) -> str:
    """The least and the most of a quantity over seeds at the largest budget."""
    table = rows[key]["reference"]["by images seen"]
    seen = max(table, key=int)
    return f"{min(table[seen]):.{digits}f} to {max(table[seen]):.{digits}f} are left after {int(seen):,} images"


def _halfway(rows: Rows) -> str:
    """The least number of images at which half of the final geometry is there, of those that were looked at."""
    table = rows["geometry during training"]["reference"]["own energy by images seen"]
    seen = sorted(table, key=int)
    final = np.mean(table[seen[-1]])
    return f"{int(next(n for n in seen if np.mean(table[n]) > final / 2)):,}"


def _images_for(row: Mapping[str, Any], name: str) -> str:
    """How many images would tell a null model from the threshold if its interval shrank as their square root does."""
    e, threshold = _null(row, name), float(row["criterion"].split()[1])
    return f"{10 * round(row['images'] * (_half(e) / (e[0] - threshold)) ** 2 / 10)}"


def _shared(row: Mapping[str, Any], n: int) -> str:
    """What disjoint sets share of what the same set shares, at the end of training."""
    found = row["reference"]["shared, by N and snapshot"][str(n)]
    return f"{found['disjoint'][-1] / found['same'][-1]:.0%}"


FACTS: dict[str, Callable[[Rows], str]] = {
    "memorised": lambda rows: f"{rows['gap, N = 100']['estimate'][0]:.1f} dB",
    "doubling": _by_doubling,
    "shared": lambda rows: _shared(rows["shared eigenvectors"], 100),
    "shared, disks": lambda rows: _shared(rows["shared eigenvectors, disks"], 100),
    "shared, photographs": lambda rows: _shared(rows["shared eigenvectors, photographs"], 100),
    "wrong": lambda rows: f"{decibels(_null(rows['near, alpha = 1.5, plain'], 'plain network trained')[0]):.1f} dB",
    "wrong, images": lambda rows: _images_for(rows["near, alpha = 1.5, plain"], "plain network trained"),
    "generalised": lambda rows: f"{_half(_null(rows['time of memorisation'], 'time at which')):.1f}",
    "few, 2": lambda rows: _few(rows, "near, alpha = 2, plain"),
    "few, 3": lambda rows: _few(rows, "near, alpha = 3, plain"),
    "few, conservative": lambda rows: _few(rows, "near, alpha = 2, conservative"),
    "halfway": _halfway,
    "extra, disks": lambda rows: _left(rows, "limit of extra, disks", 0),
    "extra, disks, half": lambda rows: f"{_half(rows['limit of extra, disks']['estimate']):.0f} directions",
    "extra, sine_cone": lambda rows: _left(rows, "limit of extra, sine_cone", 2),
    "at contours": lambda rows: f"{_null(rows['excess at contours'], 'linear Wiener filter')[0]:.2f}",
    "extra, filter": lambda rows: f"{_null(rows['extra, disks'], 'linear Wiener filter')[0]:.0f}",
}
"""What the sentences name, from the rows."""
LINEAR = (
    "The class lies in a linear space, whose tangent space a Wiener filter has exactly: no angle tells a network from the "
    "filter there. On disks, where the filter fails, the row is decided."
)
SHUFFLED = (
    "Networks of shuffled images lose to the Wiener filter, which does not see the shuffling. From 32,000 to 64,000 images "
    "they gain {doubling}: they would have to be trained on many times more."
)
WRONG = (
    "The null model, a network trained for alpha = 3, is itself {wrong} above the optimum of alpha = 1.5: the classes are so "
    "near that 32 images do not tell alpha."
)
UNTRAINED = (
    "An untrained conservative network is itself a little adapted, by about the criterion, as its units close along contours. "
    "The rows beside the exact posterior, which untrained networks fail, decide."
)
SAMPLES = (
    "Wiener filters fail, as they should; but networks of 100 images, which memorise by {memorised}, agree in more than half "
    "of what a filter leaves, too. Three quarters, asked of functions (same function beyond a filter), would tell them apart."
)
FILTER = (
    "At sigma = .3 three conservative networks are not told from a Wiener filter: they have half the channels of plain ones. "
    "Longer training, or more channels, would tell."
)
BEGIN = (
    "At sigma = 1, where samples begin, the networks do not beat a Wiener filter. Larger networks, or training with more "
    "weight on strong noise, would tell."
)
LINEAR_WINS = (
    "At sigma = .5 the networks are not better than a Wiener filter of as many images, and the gate asks for every level. "
    "Longer training, or larger networks, would tell."
)
FALLS = (
    "The excess still falls from 64,000 to 128,000 images, by more than half its interval. Longer training would tell."
)
REASONS = {
    "samples, stochastic": BEGIN,
    "bifurcation": BEGIN,
    "samples, deterministic": SAMPLES,
    "gap, N = 10,000": "A Wiener filter of as many images has a smaller gap still, by theory. Decided by the row on what "
    "networks gain beyond it (generalise, N = 10,000).",
    "same function": "Outputs of two Wiener filters are as near to each other. Decided by the row on what networks do beyond a "
    "filter (same function beyond a filter).",
    "time of memorisation": "The exponent of the time of generalisation is known to {generalised} from three repetitions, "
    "and its interval holds the threshold. More repetitions would tell.",
    "gap, N = 10,000, disks": "As on C^alpha images: the gap of a Wiener filter is small as well. Asked instead: generalise.",
    "gap, N = 10,000, photographs": "As on C^alpha images. What networks gain beyond a filter is asked by "
    "another row (generalise).",
    "same function, photographs": "Outputs of two Wiener filters are as near to each other, and those of networks that "
    "memorise 100 images may be: on photographs the distance says less still.",
    "generalise, N = 10,000": LINEAR_WINS,
    "generalise, N = 10,000, disks": LINEAR_WINS,
    "generalise, N = 10,000, photographs": LINEAR_WINS,
    "same function, disks": "Outputs of two Wiener filters are as near to each other. What networks do beyond a filter is "
    "compared on C^alpha images alone (same function beyond a filter).",
    "slope, alpha = 2, plain": "A slope does not see the level: networks of 2,000 images lie {few, 2} above the optimum with a "
    "slope near its, and 27 of them tell no more than 9. The row on decibels above the optimum (near) decides.",
    "slope, alpha = 3, plain": "As for alpha = 2: networks of 2,000 images have the slope, {few, 3} above the optimum.",
    "slope, alpha = 2, conservative": "As for plain networks: those of 2,000 images may have the slope, {few, conservative} "
    "above.",
    "near, alpha = 1.5, plain": WRONG + " About {wrong, images} images with their Bayes intervals would.",
    "visible, alpha = 2, 16 pixels": "At 16 pixels the optimum of alpha = 1 has nearly the slope that alpha = 2 would have on "
    "ever finer images: no slope tells alpha there.",
    "extra, disks": "A Wiener filter, whose basis is fixed, has {extra, filter} eigenvalues in between: their number does "
    "not say that a manifold was learned. Asked instead: where they lie (where, disks), and whether they last (limit of "
    "extra, disks).",
    "angle, ray": LINEAR,
    "angle, sine_cone": LINEAR,
    "own, conservative": UNTRAINED,
    "own, bandlets, conservative": UNTRAINED,
    "shuffled, excess": SHUFFLED,
    "shuffled, slope": SHUFFLED,
    "geometry during training": "The mean lies at the threshold: half of the final geometry is there after about {halfway} "
    "images. More images of the test would tell on which side.",
    "where, disks": "The mean lies at the criterion; three seeds and 16 images do not tell on which side.",
    "limit of extra, disks": "The limit of a power is known to {extra, disks, half}: {extra, disks}. Longer training, or more "
    "seeds, narrow it.",
    "limit of excess, disks": "The limit lies at the threshold, 1 dB. Longer training, or more seeds, narrow it.",
    "limit of extra, sine_cone": "The number falls faster than a power does, so that the limit of one comes out below 0: "
    "{extra, sine_cone}, which refutes the row of one budget.",
    "near, alpha = 2, bfcnn": "The last doubling takes just more than half of the interval. Two or three more, 512,000 "
    "images for each of six seeds, would tell whether the limit is below 1 dB.",
    "excess, disks": "The excess falls with each doubling of the budget, through the threshold, at which it now lies. Its "
    "limit is another row.",
    "excess at contours": "What a Wiener filter loses it loses at contours, too, as it blurs them: a share of {at contours} "
    "cannot be told from the threshold of .2. Another comparison of regularities (roughness of contours) asks what no filter "
    "has.",
    "roughness of contours": "The gates are passed, and the mean does not meet the criterion; images differ so much in what is "
    "lost at their contour that six seeds do not tell.",
    "near contours of regularity 1.5": FALLS,
    "near, alpha = 2, conservative": FALLS,
    "near, alpha = 1, conservative": FILTER,
    "near, alpha = 1.5, conservative": FILTER,
    "near, alpha = 3, conservative": FILTER,
    "slope, alpha = 1, conservative": FILTER,
    "slope, alpha = 1.5, conservative": FILTER,
    "slope, alpha = 3, conservative": FILTER,
    "slope, alpha = 1.5, plain": WRONG,
    "shared eigenvectors": "Networks of 100 images, which memorise by {memorised}, share {shared} of what those of the same "
    "set share: three quarters do not tell them apart.",
    "shared eigenvectors, disks": "As on C^alpha images: networks of 100 images, which memorise, share {shared, disks}.",
    "shared eigenvectors, photographs": "Networks of 100 images share {shared, photographs}: their interval just holds "
    "three quarters. More repetitions would tell.",
}


def reasons(rows: Rows) -> str:
    """The rows that are not decided, with the number that decides against it and the reason, as a Markdown table."""
    lines = ["| row | verdict | by how much | why, and what would decide |", "|---|---|---|---|"]
    for key, row in rows.items():
        if row["verdict"] in OPEN:
            more = f" ({row['needed']})" if row["verdict"] == "undecided" and row.get("needed") else ""
            lines.append(f"| {key} | {row['verdict']} | {row['reason']}{more} | {_sentence(key, row, rows)} |")
    return "\n".join(lines) + "\n"


def _sentence(key: str, row: Mapping[str, Any], rows: Rows) -> str:
    """The reason of a row, with its numbers."""
    known = REASONS.get(key)
    if known is None:
        return str(row["why"])
    named = {name for _, name, _, _ in Formatter().parse(known) if name}
    return known.format_map({name: FACTS[name](rows) for name in named})
