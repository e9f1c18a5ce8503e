"""The commands `gahb test` and `gahb audit`: one claim, or all that the data allows, on a denoiser on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from gahb_theory.hypotheses import Assessment

__all__ = ["AuditCommand", "ClaimCommand"]


@dataclass(frozen=True)
class ClaimCommand:
    """Decide a hypothesis: one of the catalogue on a denoiser, or one of your own.

    The names of the catalogue: symmetric, homogeneous, adaptive, sparse, near_optimal, tangent_first, no_extra_directions,
    memorises, agrees_with_twin, local, equivariant, knows_noise_level. A file defines `hypothesis`, and may define `subject`,
    `rival`, `images` and `train`, as `gahb_theory.assess` takes them; it is executed.
    """

    name: Positional[str]
    """A name of the catalogue, or a Python file."""
    denoiser: Annotated[str | None, arg(aliases=["-d"], metavar="NAME")] = None
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint."""
    train: Annotated[Path | None, arg(metavar="PATH")] = None
    """Its training images: a folder, or a .npy file of `gahb generate`."""
    twin: Annotated[str | None, arg(metavar="NAME")] = None
    """A denoiser trained on other images."""
    images: Annotated[Path | None, arg(metavar="PATH")] = None
    """A folder of photographs, or a .npy file, to test on; by default the embedded ones."""
    image_class: Annotated[Literal["disks", "c_alpha"], arg(aliases=["--law"])] = "disks"
    """The image class of the claims that need one: near_optimal, tangent_first, no_extra_directions."""
    size: int = 32
    """Side of the images."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """A folder for the page and the numbers, or a .json file for the numbers alone."""

    def execute(self) -> "Assessment | str":
        """Assess, and return what is printed."""
        from gahb_theory import runs
        from gahb_theory.commands.naming import command_line, run_directory, settings_of

        if self.output is None or self.output.suffix == ".json":
            result = self._assessed()
            if self.output is not None:
                self.output.parent.mkdir(parents=True, exist_ok=True)
                result.save(self.output)
            return result
        from gahb_theory import stored_results
        from gahb_theory.report.assessment_page import ARRAYS, assessment_page

        settings = {key: value for key, value in settings_of(self).items() if key != "output"}
        config = {"command": "test", "settings": settings, "versions": runs.versions()}
        with run_directory(self.output, "", config) as run:
            result = self._assessed()
            runs.open_run(run, config | {"typed": command_line("test", self)})
            result.save(run / "assessment.json")
            stored_results.write_arrays(run / "arrays.npz", stored_results.to_arrays(result, ARRAYS))
            return f"{result}\n{assessment_page(result, run / 'report.html')}"

    def _assessed(self) -> "Assessment":
        from gahb_theory.commands import deciding

        if self.name.endswith(".py"):
            return deciding.claim_of_file(self.name, self.denoiser)
        return deciding.claim_of_catalogue(
            self.name, self.denoiser, self.train, self.twin, self.images, self.image_class, self.size
        )


@dataclass(frozen=True)
class AuditCommand:
    """Audit a denoiser: memory, distance from the optimum, basis, and what of the theory it obeys.

    Writes one self-contained page, verdicts first, and the numbers beside it.
    """

    checkpoint: Positional[str]
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    train: Annotated[Path | None, arg(metavar="PATH")] = None
    """Its training images: a folder, or a .npy file of `gahb generate`."""
    twin: Annotated[str | None, arg(metavar="NAME")] = None
    """A denoiser trained on other images."""
    images: Annotated[Path | None, arg(metavar="PATH")] = None
    """A folder of photographs, or a .npy file, to test on, none of them trained on; by default the embedded ones."""
    size: int = 24
    """Side of the images."""
    run: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """Where the page and the numbers go; by default runs/audit-DENOISER with the options that are given."""

    def execute(self) -> Path:
        """Write the page and return its path."""
        from gahb_theory import runs, stored_results
        from gahb_theory.commands.deciding import audited
        from gahb_theory.commands.naming import command_line, run_directory, run_name, settings_of
        from gahb_theory.report.audit_page import ARRAYS, audit_page

        config = {"command": "audit", "settings": settings_of(self), "versions": runs.versions()}
        name = run_name(f"audit-{Path(self.checkpoint).name}", self, {"run", "checkpoint"})
        with run_directory(self.run, name, config) as run:
            result = audited(self.checkpoint, self.train, self.twin, self.images, self.size)
            runs.open_run(run, config | {"typed": command_line("audit", self)})
            result.save(run / "audit.json")
            stored_results.write_arrays(run / "arrays.npz", stored_results.to_arrays(result, ARRAYS))
            print(result)
            return audit_page(result, run / "report.html")
