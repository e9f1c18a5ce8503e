"""Samples of the distribution that a denoiser has learned, by stochastic coarse-to-fine ascent."""

from gahb_theory.sampling.coarse_to_fine import Ascent, Level, Samples, Status, Trajectory
from gahb_theory.sampling.samples import generate, growing_step, residual_level, scheduled_level

__all__ = [
    "Ascent",
    "Level",
    "Samples",
    "Status",
    "Trajectory",
    "generate",
    "growing_step",
    "residual_level",
    "sample",
    "scheduled_level",
]

sample = generate
"""`generate` in the word of the command line: `gahb sample` draws from a denoiser, `gahb generate` images of a class, as the
method `sample` of the class does."""
