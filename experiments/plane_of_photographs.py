"""Figures 1 and 2 in the plane of training images and images seen, on photographs.

    python experiments/plane_of_photographs.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/plane_of_photographs.py; `gahb reproduce
plane_of_photographs` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "plane_of_photographs", *sys.argv[1:]])
