"""Samples of the distribution that a denoiser has learned, free or with linear measurements given."""

from gahb_theory.sampling.coarse_to_fine import Ascent, Level, Samples, Status, Trajectory
from gahb_theory.sampling.flow import karras_levels, probability_flow
from gahb_theory.sampling.measurements import (
    BlockMeans,
    CircularBlur,
    Inpainting,
    Measurement,
    Projections,
    pseudo_inverse,
)
from gahb_theory.sampling.reconstruction import reconstruct
from gahb_theory.sampling.samples import generate, growing_step, residual_level, scheduled_level
from gahb_theory.sampling.trajectories import Parting, compare_paths

__all__ = [
    "Ascent",
    "BlockMeans",
    "CircularBlur",
    "Inpainting",
    "Level",
    "Measurement",
    "Parting",
    "Projections",
    "Samples",
    "Status",
    "Trajectory",
    "compare_paths",
    "generate",
    "growing_step",
    "karras_levels",
    "probability_flow",
    "pseudo_inverse",
    "reconstruct",
    "residual_level",
    "sample",
    "scheduled_level",
]

sample = generate
"""`generate` in the word of the command line: `gahb sample` draws from a denoiser, `gahb generate` images of a class, as the
method `sample` of the class does."""
