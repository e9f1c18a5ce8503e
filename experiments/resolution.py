"""Figure 15 and table 1: capacity and resolution, by the gap between seen and fresh images and the distance from the optimum.

    python experiments/resolution.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/resolution.py; `gahb reproduce resolution` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "resolution", *sys.argv[1:]])
