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

    `gahb reproduce --scale gpu`, without an experiment, trains 15 networks of the published size on one GPU, the most wanted
    first, in calls of some minutes: status 75 says that networks are left for the next call, and 0 that all are done. `gahb
    reproduce report --scale gpu` prints what has been measured.
    """

    name: Positional[
        Literal[
            "memorisation",
            "memorisation_plane",
            "plane_of_disks",
            "plane_of_photographs",
            "shrinkage",
            "near_optimal",
            "manifolds",
            "shuffling",
            "resolution",
            "report",
        ]
        | None
    ] = None
    """The experiment; none with --scale gpu."""
    scale: Literal["smoke", "laptop", "paper", "gpu"] = "laptop"
    """smoke: a minute, to see that it runs; laptop: two cores, hours; paper: the published sizes, on GPUs, days; gpu: 15
    networks of them, counted as half an hour of one GPU."""
    photographs: Annotated[Path | None, arg(metavar="PATH")] = None
    """For memorisation and plane_of_photographs: a folder of images in place of the embedded photographs."""
    workers: Annotated[int | None, arg(metavar="INT")] = None
    """Processes; by default one for each core, or one for a GPU."""
    dry_run: bool = False
    """Print the parameters, operations, and hours of this machine and of a GPU that the networks take, and stop. With --scale
    gpu: go through every line on a CPU, with 8 channels and a thousandth of the images."""
    minutes: Annotated[float, arg(metavar="FLOAT")] = 8.5
    """How long a call with --scale gpu goes on."""
    networks: bool = False
    """With --scale gpu: keep the networks too, 15 MB each in half precision."""

    def execute(self) -> Path | str:
        """Run the experiment and return where its results are, or what it would take."""
        from gahb_theory import validate
        from gahb_theory.hypotheses.paper import running
        from gahb_theory.report.paper_page import paper_report
        from gahb_theory.workers import MOST_WORKERS

        if self.workers is not None:
            validate.integer(self.workers, "workers", 1, MOST_WORKERS)
        if self.scale == "gpu":
            if self.photographs is not None or self.workers is not None:
                raise ValueError("--scale gpu takes neither --photographs nor --workers; leave them away")
            return self._on_one_gpu()
        if self.networks or self.minutes != Reproduce.minutes:
            raise ValueError(f"--minutes and --networks belong to --scale gpu, got --scale {self.scale}")
        if self.name is None:
            raise ValueError(f"name an experiment ({', '.join(running.EXPERIMENTS)}), or give --scale gpu")
        where = running.place(self.scale)
        if self.name == "report":
            if self.photographs is not None or self.workers is not None or self.dry_run:
                raise ValueError("report draws what is kept; leave --photographs, --workers and --dry-run away")
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

    def _on_one_gpu(self) -> str:
        """Do pieces of the published sizes, and return the table of what there is."""
        import torch

        from gahb_theory import validate
        from gahb_theory.hypotheses.paper import gpu_scale, running

        if self.name not in (None, "report"):
            raise ValueError(
                f"--scale gpu takes no experiment, got {self.name}; give --scale paper for {self.name} alone"
            )
        minutes = validate.positive(self.minutes, "minutes")
        where = running.place("gpu")
        keep, out = (p / "dry" if self.dry_run else p for p in (where.runs, where.results))
        if self.name is None:
            if not self.dry_run and not torch.cuda.is_available():
                raise RuntimeError(
                    "--scale gpu needs a GPU, and none is visible; add --dry-run to go through it on a CPU"
                )
            s, minutes = (gpu_scale.DRY, 60.0) if self.dry_run else (gpu_scale.PUBLISHED, minutes)
            if not gpu_scale.do_all(s, keep, out, minutes, gpu_scale.PIECES, networks=self.networks):
                raise SystemExit(gpu_scale.UNFINISHED)
        return gpu_scale.table(out)
