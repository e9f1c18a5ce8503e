"""Figures 1 and 2 in the plane of training images and images seen, on disks.

    python experiments/plane_of_disks.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/plane_of_disks.py; `gahb reproduce
plane_of_disks` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "plane_of_disks", *sys.argv[1:]])
