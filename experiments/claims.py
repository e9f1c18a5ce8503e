"""The paper's claims, decided: trains small networks, measures them beside null models, and writes the verdicts.

    python experiments/claims.py           all of it; killed at any moment, it goes on
    python experiments/claims.py train     the networks alone, 269 of them: about four hours of one core
    python experiments/claims.py decide    what can be decided with the networks that there are
    python experiments/claims.py page      tables and figures from what is kept

Networks are kept in runs/claims, verdicts in experiments/results/claims. The modules questions_*.py of
gahb_theory/hypotheses/paper state every criterion and null model.
"""

import sys
from pathlib import Path

import torch

from gahb_theory.hypotheses.paper import decided
from gahb_theory.report.claims_page import page

HERE = Path(__file__).parent
STEPS = {"train": decided.train, "decide": decided.decide, "page": page}

if __name__ == "__main__":
    torch.set_num_threads(1)
    place = decided.Place(Path("runs") / "claims", HERE / "results" / "claims", HERE / "checkpoints")
    for step in sys.argv[1:] or STEPS:
        STEPS[step](place)
