"""Figures 4 and 16 to 18: near-optimal on geometrically regular images.

    python experiments/near_optimal.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/near_optimal.py; `gahb reproduce near_optimal` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "near_optimal", *sys.argv[1:]])
