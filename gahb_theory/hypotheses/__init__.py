"""Hypotheses about denoisers: a measure, a criterion fixed beforehand, models that must fail, and a verdict.

hypothesis    Hypothesis, Criterion, Plan
subjects      what it is about: one denoiser, several, or networks trained anew for each seed
nulls         models that do not have the property
gates         what must hold before the numbers count
crossed       intervals over seeds and images
verdicts      the five verdicts, and the power
assessment    assess, which runs all of it
jobs          networks to be trained and tasks that measure them, known by their content
laboratory    Laboratory, which trains once and measures once
benchmark     denoisers ranked by their distance from the optimum
forecast      how long a plan takes, here and on a GPU
paper         the experiments on the claims of the paper
"""

from gahb_theory.hypotheses.assessment import Assessment, assess
from gahb_theory.hypotheses.crossed import Spread, two_level
from gahb_theory.hypotheses.gates import BeatsSimple, BudgetDoubled, Gate, GateResult
from gahb_theory.hypotheses.hypothesis import Criterion, Hypothesis, Measure, Plan
from gahb_theory.hypotheses.jobs import Bench, Task, TrainedNetwork, Training
from gahb_theory.hypotheses.laboratory import Laboratory
from gahb_theory.hypotheses.nulls import (
    AnotherSeed,
    ConstantMean,
    FixedBasisOracle,
    Identity,
    LessTrained,
    Memoriser,
    NotApplicable,
    Null,
    OtherGeometry,
    ShuffledClass,
    Untrained,
    Wiener,
)
from gahb_theory.hypotheses.subjects import Given, PerSeed, Setting, Subject, Trained
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.hypotheses.verdicts import NullResult, Power, Verdict, decide, power

__all__ = [
    "AnotherSeed",
    "Assessment",
    "BeatsSimple",
    "Bench",
    "BudgetDoubled",
    "ConstantMean",
    "Criterion",
    "DisjointPart",
    "FixedBasisOracle",
    "Gate",
    "GateResult",
    "Given",
    "Hypothesis",
    "Identity",
    "Laboratory",
    "LessTrained",
    "Measure",
    "Memoriser",
    "NotApplicable",
    "Null",
    "NullResult",
    "OtherGeometry",
    "PerSeed",
    "Plan",
    "Power",
    "Setting",
    "ShuffledClass",
    "Spread",
    "Subject",
    "Task",
    "Trained",
    "TrainedNetwork",
    "Training",
    "Untrained",
    "Verdict",
    "Wiener",
    "assess",
    "decide",
    "power",
    "two_level",
]
