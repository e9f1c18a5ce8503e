"""All experiments on one page, drawn from their results alone.

    python experiments/report.py

Settings, measures and claims stand in gahb_theory/report/paper_page.py; `gahb reproduce report` is the same.
"""

import sys

from gahb_theory.cli import main

if __name__ == "__main__":
    main(["reproduce", "report", *sys.argv[1:]])
