"""What is to be read off the pictures of an analysis, in one sentence each, computed from the numbers."""

from collections.abc import Mapping

import numpy as np

from gahb_theory.comparison import ImageAnalysis, Performance, basis_label
from gahb_theory.report.browser import cycles

__all__ = [
    "against_fixed_bases",
    "left_out",
    "of_classes",
    "of_eigenvectors",
    "of_energy",
    "of_performance",
    "of_shrinkage",
    "said_difference",
    "sparsest",
]

TERMS = 100
"""Number of terms that bases are compared with."""


def said_difference(decibels: float, of_what: str) -> str:
    """A difference in words, such as "4.2 dB above the oracle"; less than .05 dB is none.

    Examples
    --------
    >>> said_difference(-1.26, "the oracle")
    '1.3 dB below the oracle'
    """
    if abs(decibels) < 0.05:
        return f"level with {of_what}"
    return f"{abs(decibels):.1f} dB {'above' if decibels > 0 else 'below'} {of_what}"


def against_fixed_bases(a: ImageAnalysis) -> tuple[float, str]:
    """PSNR of the denoiser less that of the best oracle in a fixed basis, in decibels, and the label of this basis."""
    oracles = {name: value for name, value in a.oracle_psnr.items() if name != "eigenbasis"}
    best = max(oracles, key=lambda name: oracles[name])
    return a.psnr_denoised - oracles[best], basis_label(best)


def left_out(a: ImageAnalysis) -> dict[str, float]:
    """Part of the energy that the best terms leave out, by the name of the basis."""
    return {
        name: 1 - float(side.best_energy[min(TERMS, len(side.best_energy)) - 1])
        for name, side in a.sides.items()
        if side.best_energy is not None
    }


def sparsest(a: ImageAnalysis) -> tuple[str, float, float]:
    """The label of the fixed basis that leaves out least, what it leaves out, and what the eigenbasis does."""
    left = left_out(a)
    own = left.pop("eigenbasis")
    best = min(left, key=lambda name: left[name])
    return basis_label(best), left[best], own


def of_classes(images: Mapping[str, np.ndarray]) -> str:
    """Which class is the smoothest and which the roughest."""
    steps = {
        name: float(np.mean([np.abs(np.diff(x, axis=axis)).mean() for axis in (2, 3)])) for name, x in images.items()
    }
    low, high = min(steps, key=lambda name: steps[name]), max(steps, key=lambda name: steps[name])
    return f"Neighbouring pixels differ by {steps[low]:.3f} on average in {low}, and by {steps[high]:.3f} in {high}."


def of_eigenvectors(a: ImageAnalysis) -> str:
    """How many pass, and how fast they oscillate."""
    passes = a.eigenvalues[a.atom_indices] > 0.5
    frequency = np.array([cycles(atom) for atom in a.eigenvectors])
    said = f"{a.eigenvalues_above_half} of {a.clean.size} eigenvalues are above 1/2"
    if passes.all() or not passes.any():
        return f"{said}; the eigenvectors shown oscillate {float(np.median(frequency)):.1f} times across the image."
    kept, removed = float(np.median(frequency[passes])), float(np.median(frequency[~passes]))
    return f"{said}; of the eigenvectors shown these oscillate {kept:.1f} times across the image, the others {removed:.1f}."


def of_shrinkage(a: ImageAnalysis) -> str:
    """How many coefficients stand above the noise, and how far the eigenvalues are from the factors of the oracle."""
    squares = a.coefficients.astype(float) ** 2
    distance = float(np.abs(a.eigenvalues - squares / (squares + a.sigma**2)).mean())
    above = int((squares > a.sigma**2).sum())
    return (
        f"{above} coefficients of the clean image stand above the noise level, {a.eigenvalues_above_half} eigenvalues above "
        f"1/2; an eigenvalue is {distance:.3f} from the factor of the oracle on average."
    )


def of_energy(a: ImageAnalysis) -> str:
    """Which basis needs fewer terms."""
    best, fixed, own = sparsest(a)
    if own == 0 or fixed == 0:
        return f"The best {TERMS} terms leave out {own:.2%} in the eigenbasis, and {fixed:.2%} in the {best}."
    ratio = fixed / own
    said = f"{ratio:.1f} times less than" if ratio >= 1 else f"{1 / ratio:.1f} times more than"
    return (
        f"The best {TERMS} terms leave out {own:.2%} of the energy in the eigenbasis, {said} in the best fixed basis, the "
        f"{best} ({fixed:.2%})."
    )


def of_performance(p: Performance) -> str:
    """Where the denoiser stands against the best reference, over the noise levels of the window."""
    own = np.asarray(p.denoiser.psnr.value)[p.inside].mean()
    means = {m.label: float(own - np.asarray(m.psnr.value)[p.inside].mean()) for m in p.references}
    nearest = min(means, key=lambda name: means[name])
    won = sum(value > 0 for value in means.values())
    return (
        f"Between sigma = {p.window[0]:g} and {p.window[1]:g} the network beats {won} of {len(means)} references; it stands "
        f"{said_difference(means[nearest], f'the best of them, the {nearest}')} on average."
    )
