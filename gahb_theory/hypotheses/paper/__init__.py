"""The experiments on the claims of Kadkhodaie, Guth, Simoncelli and Mallat (ICLR 2024), one module for each group of figures.

Each has NAME and TITLE, `SCALES` (its settings by scale), `trainings` and `tasks` (its plan), `collect` (numbers and arrays
from what the tasks found) and `claims` (what the numbers say). `gahb_theory.hypotheses.paper.running` does the rest.
"""

__all__: list[str] = []
