"""The options of `gahb tour`; `gahb_theory.tour` runs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

__all__ = ["Tour"]


@dataclass(frozen=True)
class Tour:
    """See what the library does, on its own images and denoisers. This is the default command.

    Writes a run directory with config.json, metrics.csv, arrays.npz, figures/ and report.html, within a few minutes
    on two cores. Killed at any moment, the same command goes on.
    """

    run: Annotated[Path | None, arg(metavar="PATH")] = None
    """Run directory; by default runs/tour, with a suffix where the settings below are not the default ones."""
    sigma: float = 0.15
    """Noise level at which the Jacobian is taken, for intensities in [0, 1]."""
    side: int = 48
    """Side of the square in the middle of a test image whose Jacobian is taken; 64 is all of it, and twice the time."""
    test_images: int = 64
    """Number of test images behind the PSNR curves."""
    seed: int = 1
    """Names the test images and the noise."""
    retrain: bool = False
    """Also train the shipped denoisers anew from scratch, and report how far below the shipped ones they stay."""
    retrain_images: int = 20_000
    """Budget, in images, of each denoiser that --retrain trains."""
