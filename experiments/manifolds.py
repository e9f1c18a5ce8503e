"""Figures 5, 19 and 20: on manifolds a network keeps more directions than it should.

    python experiments/manifolds.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/manifolds.py; `gahb reproduce manifolds` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "manifolds", *sys.argv[1:]])
