"""`gahb benchmark`: how far a denoiser on disk is from the optimum."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

__all__ = ["BenchmarkCommand"]


@dataclass(frozen=True)
class BenchmarkCommand:
    """Rank a denoiser by its distance from the optimum, on images of 16 pixels whose optimum is known.

    Prints the score of each class and the place on the leaderboard, and writes one self-contained page with the numbers beside
    it.
    """

    denoiser: Positional[str]
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    classes: tuple[str, ...] = ()
    """Classes of the benchmark: gaussian, holder_ball, c_alpha_1, c_alpha_2, c_alpha_3, disks; all by default."""
    seed: int | None = None
    """Names the test images; by default those of the leaderboard. The optimum of others takes ten to twenty minutes."""
    run: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """Run directory; by default runs/benchmark-DENOISER with the options that are given."""

    def execute(self) -> Path:
        """Write the page and return its path."""
        from gahb_theory import runs, stored_results
        from gahb_theory.commands.naming import command_line, run_directory, run_name, settings_of
        from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, benchmark, standard_classes
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.report.benchmark_page import ARRAYS, benchmark_page

        f = named_denoiser(self.denoiser)
        subjects = dict.fromkeys(self.classes or standard_classes(), f)
        seed = BENCHMARK_SEED if self.seed is None else self.seed
        config = {
            "command": "benchmark",
            "settings": settings_of(self),
            "denoiser": runs.fingerprint_parameters(f),
            "versions": runs.versions(),
        }
        name = run_name(f"benchmark-{Path(self.denoiser).name}", self, {"run", "denoiser"})
        with run_directory(self.run, name, config) as run:
            result = benchmark(subjects, name=Path(self.denoiser).name, seed=seed)
            runs.open_run(run, config | {"typed": command_line("benchmark", self)})
            result.save(run / "benchmark.json")
            stored_results.write_arrays(run / "arrays.npz", stored_results.to_arrays(result, ARRAYS))
            print(result)
            return benchmark_page(result, run / "report.html")
