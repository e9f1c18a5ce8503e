"""Figure 3: a denoiser is a shrinkage in a basis adapted to the image.

    python experiments/shrinkage.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/adapted_basis.py; `gahb reproduce shrinkage` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "shrinkage", *sys.argv[1:]])
