"""`gahb reproduce`: the claims of the paper."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

__all__ = ["Reproduce"]


@dataclass(frozen=True)
class Reproduce:
    """Measure claims of the paper: train the networks, and set what is measured beside what the paper reports.

    Networks are trained once and measurements made once; killed at any moment, the same command goes on. In a clone of the
    source the results of the scale laptop are those of experiments/; elsewhere all is in runs/paper/SCALE. `gahb reproduce
    report` draws what has been measured on one page.
    """

    name: Positional[
        Literal["memorisation", "memorisation_plane", "shrinkage", "near_optimal", "manifolds", "shuffling", "report"]
    ]
    """The experiment."""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: a minute, to see that it runs; laptop: two cores, hours; paper: the published sizes, on a GPU."""
    photographs: Annotated[Path | None, arg(metavar="PATH")] = None
    """A folder of images in place of the embedded photographs."""
    workers: Annotated[int | None, arg(metavar="INT")] = None
    """Processes; by default one for each core, or one for a GPU."""
    dry_run: bool = False
    """Print the parameters, operations, and hours of this machine and of a GPU that the networks take, and stop."""

    def execute(self) -> Path | str:
        """Run the experiment and return where its results are, or what it would take."""
        from gahb_theory import validate
        from gahb_theory.hypotheses.paper import running
        from gahb_theory.report.paper_page import paper_report
        from gahb_theory.workers import MOST_WORKERS

        if self.workers is not None:
            validate.integer(self.workers, "workers", 1, MOST_WORKERS)
        where = running.place(self.scale)
        if self.name == "report":
            return paper_report(where.results)
        experiment = running.EXPERIMENTS[self.name]
        s = running.settings(experiment, self.scale, self.photographs)
        if self.dry_run:
            return running.plan(experiment, s, where, self.workers)
        with running.laboratory(where, self.workers) as lab:
            numbers = running.run(experiment, s, self.scale, where, lab)
        for c in experiment.claims(numbers):
            print(f"\n{c.claim}\n  ours     {c.ours}\n  paper    {c.paper}\n  note     {c.why}")
        return where.results / self.name
