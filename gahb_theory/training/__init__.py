"""Training a denoiser: the loop, its recipes, its optimisers, its log."""

from gahb_theory.training.log import VALIDATION_SEED, TrainingLog
from gahb_theory.training.loop import train
from gahb_theory.training.optimisers import Muon, adam, is_kernel, orthogonalise
from gahb_theory.training.recipes import Recipe
from gahb_theory.training.snapshots import geometric_snapshots
from gahb_theory.training.state import has_weights, load_state, open_training, share, state_bytes

__all__ = [
    "VALIDATION_SEED",
    "Muon",
    "Recipe",
    "TrainingLog",
    "adam",
    "geometric_snapshots",
    "has_weights",
    "is_kernel",
    "load_state",
    "open_training",
    "orthogonalise",
    "share",
    "state_bytes",
    "train",
]
