"""The command `gahb benchmark`: how far a denoiser on disk is from the optimum."""

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from gahb_theory.hypotheses.benchmark import BENCHMARK_SEED, benchmark, standard_classes
from gahb_theory.pretrained import named_denoiser
from gahb_theory.report.benchmark_page import benchmark_page

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
    seed: int = BENCHMARK_SEED
    """Of the test images. Another seed than the default has fresh images, whose optimum takes ten to twenty minutes."""
    run: Path = Path("runs/benchmark")
    """Where the page and the numbers go."""

    def execute(self) -> Path:
        """Write the page and return its path."""
        f = named_denoiser(self.denoiser)
        subjects = dict.fromkeys(self.classes or standard_classes(), f)
        result = benchmark(subjects, name=Path(self.denoiser).name, seed=self.seed)
        self.run.mkdir(parents=True, exist_ok=True)
        result.save(self.run / "benchmark.json")
        print(result)
        return benchmark_page(result, self.run / "report.html")
