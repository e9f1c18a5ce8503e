"""Two bases side by side.

`compare` takes any two orthonormal bases, or a Jacobian and a basis, and returns a `Comparison`: principal angles and
overlaps with what chance would give, the part of the shrinkage of the first inside the span that the second keeps,
coherence, energy and decay of coefficients, oracle risks, effective dimensions, and how the atoms lie to a contour; of a
Jacobian also its response to the atoms below the noise, its asymmetry, and the error of its denoiser.
The functions it is made of are in `measures` and `alignment`.
"""

from gahb_theory.comparison.alignment import ContourAlignment, align
from gahb_theory.comparison.measures import (
    coherence,
    effective_atoms,
    effective_dimensions,
    overlap_curve,
    overlap_of_chance,
    principal_angles,
    procrustes,
    weighted_overlap,
)
from gahb_theory.comparison.pair import compare
from gahb_theory.comparison.result import Comparison, Side

__all__ = [
    "Comparison",
    "ContourAlignment",
    "Side",
    "align",
    "coherence",
    "compare",
    "effective_atoms",
    "effective_dimensions",
    "overlap_curve",
    "overlap_of_chance",
    "principal_angles",
    "procrustes",
    "weighted_overlap",
]
