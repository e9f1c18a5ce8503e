"""Two bases side by side, a denoiser at one image, and a denoiser beside what fixed bases allow.

`compare` takes any two orthonormal bases, or a Jacobian and a basis, and returns a `Comparison`: principal angles and
overlaps with what chance would give, the part of the shrinkage of the first inside the span that the second keeps,
coherence, energy and decay of coefficients, oracle risks, effective dimensions, and how the atoms lie to a contour; of a
Jacobian also its response to the atoms below the noise, its asymmetry, and the error of its denoiser.
`analyse_image` takes the Jacobian of a denoiser at one noisy image and compares its eigenbasis with several bases;
`compare_performance` sets the PSNR of a denoiser beside oracles and thresholding, over noise levels.
"""

from gahb_theory.comparison.alignment import ContourAlignment, align
from gahb_theory.comparison.at_image import ImageAnalysis, analyse_image, reference_bases
from gahb_theory.comparison.measures import (
    coherence,
    effective_atoms,
    overlap_curve,
    overlap_of_chance,
    principal_angles,
    procrustes,
    weighted_overlap,
)
from gahb_theory.comparison.pair import compare
from gahb_theory.comparison.performance import Method, Performance, compare_performance
from gahb_theory.comparison.quantities import QUANTITIES, Quantity, basis_label
from gahb_theory.comparison.result import Comparison, Side

__all__ = [
    "QUANTITIES",
    "Comparison",
    "ContourAlignment",
    "ImageAnalysis",
    "Method",
    "Performance",
    "Quantity",
    "Side",
    "align",
    "analyse_image",
    "basis_label",
    "coherence",
    "compare",
    "compare_performance",
    "effective_atoms",
    "overlap_curve",
    "overlap_of_chance",
    "principal_angles",
    "procrustes",
    "reference_bases",
    "weighted_overlap",
]
