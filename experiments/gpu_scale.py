"""Figures 1, 2, 4 and 5 at the published sizes, on one GPU, in pieces of some minutes that go on where they were stopped.

    python experiments/gpu_scale.py [--minutes 8.5] [--networks] [--dry-run]

Pieces and measures stand in gahb_theory/hypotheses/paper/gpu_scale.py; `gahb reproduce --scale gpu` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "--scale", "gpu", *sys.argv[1:]])
