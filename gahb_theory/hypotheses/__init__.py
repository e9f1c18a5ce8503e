"""Hypotheses on denoisers, and the laboratory in which they are tested: train once, measure once."""

from gahb_theory.hypotheses.forecast import Forecast, forecast
from gahb_theory.hypotheses.jobs import Bench, Task, Trained, Training
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.training_sets import DisjointPart

__all__ = ["Bench", "DisjointPart", "Forecast", "Laboratory", "Task", "Trained", "Training", "forecast"]
