"""How far an estimate is from the truth: squared errors and PSNR, confidence intervals, similarity."""

from gahb_theory.metrics.errors import PSNRCurve, Repeat, mse, psnr, psnr_curve, psnr_per_image
from gahb_theory.metrics.intervals import (
    Estimate,
    bootstrap_means,
    difference_estimate,
    draw_counts,
    linear_estimate,
    mean_estimate,
    percentiles,
    share_estimate,
)
from gahb_theory.metrics.similarity import (
    Closest,
    Vectors,
    centred_unit_vectors,
    closest,
    cosine_similarity,
    unit_vectors,
    vectors_of,
)

__all__ = [
    "Closest",
    "Estimate",
    "PSNRCurve",
    "Repeat",
    "Vectors",
    "bootstrap_means",
    "centred_unit_vectors",
    "closest",
    "cosine_similarity",
    "difference_estimate",
    "draw_counts",
    "linear_estimate",
    "mean_estimate",
    "mse",
    "percentiles",
    "psnr",
    "psnr_curve",
    "psnr_per_image",
    "share_estimate",
    "unit_vectors",
    "vectors_of",
]
