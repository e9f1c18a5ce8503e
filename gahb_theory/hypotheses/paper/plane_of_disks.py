"""Memorisation in the plane of training images N and images seen, on disks.

The same networks, budget and measures as on C^alpha images (`memorisation_plane`): whether what is found there is of the
class. Verdicts need no samples, which take longer than the training: at the laptop scale there are fewer of them, in longer
steps. Beside it, what networks share of their eigenvectors at each snapshot (`plane_bases`). The laboratory keeps the networks
in runs/; with the source come the numbers alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gahb_theory.hypotheses.jobs import Task
from gahb_theory.hypotheses.laboratory import Result
from gahb_theory.hypotheses.paper import memorisation_plane, plane_bases
from gahb_theory.hypotheses.paper.memorisation_plane import Settings, claims, trainings
from gahb_theory.images import Disks

__all__ = ["NAME", "PUBLISHED", "SCALES", "TITLE", "claims", "collect", "tasks", "trainings"]

NAME = "plane_of_disks"
TITLE = "Memorisation in the plane, on disks"
PUBLISHED = False
"""Whether the networks come with the source."""
SCALES = {scale: replace(s, of=Disks(size=s.of.size)) for scale, s in memorisation_plane.SCALES.items()}
SCALES["laptop"] = replace(SCALES["laptop"], samples=8, step=0.2)


def tasks(s: Settings) -> list[Task]:
    """Those of the plane, and the eigenvectors of each network."""
    return [*memorisation_plane.tasks(s), *plane_bases.tasks(s)]


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plane, and what networks share of their eigenvectors."""
    results, arrays = memorisation_plane.collect(s, found)
    bases = plane_bases.collect(s, found)
    return results | {"rows": [row | bases.get(row["n"], {}) for row in results["rows"]]}, arrays
