"""Memorisation in the plane of training images N and images seen, on disks.

The same networks, budget and measures as on C^alpha images (`memorisation_plane`): whether what is found there is of the
class. Verdicts need no samples, which take longer than the training: at the laptop scale there are fewer of them, in longer
steps. The laboratory keeps the networks in runs/; with the source come the numbers alone.
"""

from dataclasses import replace

from gahb_theory.hypotheses.paper import memorisation_plane
from gahb_theory.hypotheses.paper.memorisation_plane import claims, collect, tasks, trainings
from gahb_theory.images import Disks

__all__ = ["NAME", "PUBLISHED", "SCALES", "TITLE", "claims", "collect", "tasks", "trainings"]

NAME = "plane_of_disks"
TITLE = "Memorisation in the plane, on disks"
PUBLISHED = False
"""Whether the networks come with the source."""
SCALES = {scale: replace(s, of=Disks(size=s.of.size)) for scale, s in memorisation_plane.SCALES.items()}
SCALES["laptop"] = replace(SCALES["laptop"], samples=8, step=0.2)
