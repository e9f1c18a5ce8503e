"""Figures 1 and 2 in the plane of training images and images seen: when a network begins to memorise.

    python experiments/memorisation_plane.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/memorisation_plane.py; `gahb reproduce
memorisation_plane` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "memorisation_plane", *sys.argv[1:]])
