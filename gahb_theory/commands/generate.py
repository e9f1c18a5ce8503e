"""`gahb generate`: images of a class on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, Suppress, arg

from gahb_theory.commands.classes import image_class

__all__ = ["Generate"]


@dataclass(frozen=True)
class Generate:
    """Draw images of a class and write them to a .npy file, with a .json file that says what they are.

    Image i depends on the class, the seed and i alone. The file has the shape (n, channels, size, size). Killed at any
    moment, the same command goes on and ends with the same bytes.
    """

    file: Positional[Annotated[Path | None, arg(metavar="PATH")]] = None
    """The .npy file, the same as --output."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """The .npy file; it must not exist."""
    kind: Annotated[str | None, arg(name="class", metavar="NAME")] = None
    """The image class, by default c-alpha; each has options of its own, listed above."""
    n: Annotated[int, arg(aliases=["-n"])] = 1000
    """Number of images."""
    seed: int = 0
    """Names the images."""
    start: int = 0
    """Number of the first image."""
    dtype: Literal["float32", "uint8"] = "float32"
    """Type of the pixels; uint8 cuts off intensities at 0 and 1 and rounds them to 255 steps."""
    workers: int = 1
    """Number of processes; more pay from some ten thousand images on."""
    settings: Suppress[Any] = None

    def execute(self) -> str:
        """Write the files."""
        from gahb_theory import runs
        from gahb_theory.images.dataset import dataset, write_dataset

        if (self.file is None) == (self.output is None):
            raise ValueError("generate needs one file to write: gahb generate --class disks -n 4 -o disks.npy")
        path = write_dataset(
            self.file or self.output,  # type: ignore[arg-type]
            images := image_class(self.kind, self.settings or {}),
            self.n,
            seed=self.seed,
            start=self.start,
            dtype=self.dtype,
            workers=self.workers,
        )
        about = runs.read_object(path.with_suffix(".json"))
        first = dataset(path).images(0, min(64, self.n))
        shape = " x ".join(map(str, about["shape"]))
        return (
            f"{shape} ({self.dtype}) of {images}\n"
            f"intensities of the first {len(first)}: {float(first.min()):.3f} to {float(first.max()):.3f}, "
            f"mean {float(first.mean()):.3f}\n"
            f"what they are: {path.with_suffix('.json')}\n{path}"
        )
