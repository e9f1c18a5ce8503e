"""Figures 1, 2 and 9 to 14: memorisation turns into generalisation as the training set grows.

    python experiments/memorisation.py [--scale smoke|laptop|paper] [--photographs FOLDER] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/memorisation.py; `gahb reproduce memorisation` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "memorisation", *sys.argv[1:]])
