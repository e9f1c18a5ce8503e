"""Figure 21: shuffling the pixels destroys the bias and nothing else.

    python experiments/shuffling.py [--scale smoke|laptop|paper] [--workers N] [--dry-run]

Settings, measures and claims stand in gahb_theory/hypotheses/paper/shuffling.py; `gahb reproduce shuffling` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "shuffling", *sys.argv[1:]])
