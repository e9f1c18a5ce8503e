"""At which steps a training keeps what it has learned so far, and where.

A snapshot is the averaged network after a number of images seen, in the middle of the schedule of its run: it is not what a
run of that budget would have ended with, whose learning rate would have gone down to zero by then.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gahb_theory import validate
from gahb_theory.scalars import kind_of

if TYPE_CHECKING:
    from gahb_theory.training.recipes import Recipe

__all__ = ["geometric_snapshots", "snapshot_name", "snapshot_steps"]


def geometric_snapshots(images_seen: int, first: int = 1000) -> tuple[int, ...]:
    """Return the numbers 1, 2, 5, 10, 20, ... times `first` up to `images_seen`, and that one.

    Parameters
    ----------
    images_seen
        Budget of the run.
    first
        The first snapshot, a number of images.

    Examples
    --------
    >>> geometric_snapshots(12_000)
    (1000, 2000, 5000, 10000, 12000)
    """
    images_seen = validate.integer(images_seen, "images_seen", 1)
    first = validate.integer(first, "first", 1)
    result, power = [], 0
    while first * 10**power < images_seen:
        result += [n for n in (first * 10**power * factor for factor in (1, 2, 5)) if n < images_seen]
        power += 1
    return (*result, images_seen)


def snapshot_steps(snapshots: Sequence[int], recipe: "Recipe", place: Path | None) -> dict[int, int]:
    """Return the number of images asked for by the step after which it has been seen.

    Raises
    ------
    ValueError
        If there is no run directory to keep snapshots in, one lies beyond the budget, or two fall on one step.

    Examples
    --------
    >>> from gahb_theory.training.recipes import Recipe
    >>> snapshot_steps((32, 100), Recipe(images_seen=320, batch_size=32), Path("runs"))
    {1: 32, 4: 100}
    """
    if isinstance(snapshots, str | bytes) or not isinstance(snapshots, Sequence):
        raise TypeError(f"snapshots must be a sequence of numbers of images, got {kind_of(snapshots)}")
    if len(snapshots) and place is None:
        raise ValueError("snapshots need a directory to be kept in, got run=None; give run")
    result: dict[int, int] = {}
    for number in snapshots:
        images = validate.integer(number, "snapshots", 1)
        step = -(-images // recipe.batch_size)
        if images > recipe.images_seen:
            raise ValueError(f"snapshots must not exceed images_seen = {recipe.images_seen:,}, got {images:,}")
        if step in result:
            raise ValueError(
                f"two snapshots fall on one step of {recipe.batch_size} images: {result[step]:,} and {images:,}; "
                "leave one out"
            )
        result[step] = images
    return result


def snapshot_name(images_seen: int) -> str:
    """Return where a snapshot lies in the run directory.

    Examples
    --------
    >>> snapshot_name(1000)
    'snapshots/1000'
    """
    return f"snapshots/{images_seen}"
