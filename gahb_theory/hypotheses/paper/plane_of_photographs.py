"""Memorisation in the plane of training images N and images seen, on patches of photographs.

The same networks, budget and measures as on C^alpha images (`memorisation_plane`), on patches of the photographs of a folder;
both sets and the test images come from different photographs. As on disks, the laptop scale has fewer samples.
Networks that memorise hold photographs, and so do their samples: numbers alone are kept, and no network is published.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from gahb_theory.hypotheses.laboratory import Result
from gahb_theory.hypotheses.paper import memorisation_plane, plane_of_disks
from gahb_theory.hypotheses.paper.memorisation_plane import Settings, claims, trainings
from gahb_theory.hypotheses.paper.plane_of_disks import tasks
from gahb_theory.hypotheses.paper.plane_summary import spectrum
from gahb_theory.images import Photographs

__all__ = ["NAME", "PUBLISHED", "SCALES", "TITLE", "claims", "collect", "tasks", "trainings"]

NAME = "plane_of_photographs"
TITLE = "Memorisation in the plane, on photographs"
PUBLISHED = False
"""Whether the networks come with the source."""
SCALES = {scale: replace(s, of=Photographs(size=s.of.size)) for scale, s in memorisation_plane.SCALES.items()}
SCALES["laptop"] = replace(SCALES["laptop"], samples=8, step=0.2)


def collect(s: Settings, found: Mapping[str, Result]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The plane without the samples, and the spectrum of the patches, from which a Wiener filter is known."""
    return plane_of_disks.collect(s, found)[0] | {"spectrum": spectrum(s.of).tolist()}, {}
