"""Fixed training sets that are described, and drawn where they are needed.

Two networks show memorisation only if their training sets are disjoint. Part p of an image class holds the images
p 10^7, p 10^7 + 1, ... of one seed; part p of photographs holds patches of every third photograph, beginning with number p,
without near-duplicates (cosine above 0.95).
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.halves import distinct
from gahb_theory.images.photographs import Photographs

__all__ = ["DisjointPart"]

PARTS, LONGEST = 3, 10**7


@dataclass(frozen=True)
class DisjointPart:
    """The first n images of part 0, 1 or 2 of an image class; no image is in two parts.

    For a smaller n they are the first of those for a larger n.

    Parameters
    ----------
    of
        An image class, or photographs.
    n
        Number of images.
    part
        Which part. By custom 0 and 1 are for training twins, and 2 for tests.

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> a, b = (DisjointPart(Disks(size=16), 4, part).images() for part in (0, 1))
    >>> a.shape, bool((a == b).all())
    (torch.Size([4, 1, 16, 16]), False)
    """

    of: Any
    n: int
    part: int = 0

    def __post_init__(self) -> None:
        validate.integer(self.n, "n", 1, LONGEST)
        validate.integer(self.part, "part", 0, PARTS - 1)

    def images(self) -> Tensor:
        """The images, shape (n, channels, height, width)."""
        if isinstance(self.of, Photographs):
            return _patches(self.of, self.n, self.part)
        return validate.sampled(self.of, self.n, start=self.part * LONGEST, name="of")

    def first(self, n: int) -> Tensor:
        """The first n of them, or all where there are fewer."""
        return replace(self, n=min(n, self.n)).images()


def _patches(of: Photographs, n: int, part: int) -> Tensor:
    """The first n patches of every third photograph, near-duplicates left out."""
    if len(of.names) < PARTS:
        raise ValueError(f"{PARTS} disjoint parts need at least {PARTS} photographs, got {len(of.names)}")
    drawn, start = torch.empty(0), 0
    while True:
        count = 4 * (n - len(drawn)) + 64
        scene = of.scene(count, start=start)
        start += count
        mine = scene.images[scene.photograph % PARTS == part]
        drawn = torch.cat([drawn.reshape(-1, *mine.shape[1:]), mine])
        if len(drawn) >= n:
            result = drawn[distinct(drawn)]
            if len(result) >= n:
                return result[:n].clone()
