"""The command `gahb`: the tour, and one command for each arrow between the four nouns.

Every command is a frozen dataclass, which is its configuration and its help. Bad input is refused in one line.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from gahb_theory import runs, validate
from gahb_theory.analysis import read_image, reference_bases
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints import load_denoiser
from gahb_theory.denoisers.networks import BFCNN, UNet
from gahb_theory.images import (
    CAlpha,
    DeadLeaves,
    Disks,
    Ellipses,
    GaussianField,
    HolderBall,
    Photographs,
    Polygons,
    SineCone,
    Texture,
)
from gahb_theory.images import read_image as read_file
from gahb_theory.images.dataset import write_dataset
from gahb_theory.images.photographs import centre_crop
from gahb_theory.pretrained import Shipped, shipped_class, shipped_denoiser
from gahb_theory.recipes import Recipe
from gahb_theory.report.tour import tour_report
from gahb_theory.tour import PCA_SAMPLES, PCA_SEED, Tour, run_tour
from gahb_theory.training import train

__all__ = ["Analyze", "Generate", "Report", "Reproduce", "Train", "main"]

Images = CAlpha | Disks | Photographs
SampledImages = (
    CAlpha | Disks | Photographs | Ellipses | Polygons | SineCone | GaussianField | HolderBall | Texture | DeadLeaves
)


@dataclass(frozen=True)
class Generate:
    """Draw images of a class and write them to a .npy file, with a .json file that says what they are.

    Image i depends on the class, the seed and i alone. The file has the shape (n, channels, size, size). Killed at any
    moment, the same command goes on and ends with the same bytes.
    """

    output: Positional[Path]
    """The .npy file; it must not exist."""
    n: int = 1000
    """Number of images."""
    seed: int = 0
    """Names the images."""
    start: int = 0
    """Number of the first image."""
    dtype: Literal["float32", "uint8"] = "float32"
    """Type of the pixels; uint8 cuts off intensities at 0 and 1 and rounds them to 255 steps."""
    workers: int = 1
    """Number of processes; more pay from some ten thousand images on."""
    images: SampledImages = field(default_factory=CAlpha)
    """The image class."""

    def execute(self) -> Path:
        """Write the files."""
        return write_dataset(
            self.output,
            self.images,
            self.n,
            seed=self.seed,
            start=self.start,
            dtype=self.dtype,
            workers=self.workers,
        )


@dataclass(frozen=True)
class Train:
    """Train a bias-free network on images of a class, by the default recipe or one of your own.

    Writes a checkpoint every minute; killed at any moment, the same command goes on and ends with the same weights.
    On several GPUs: torchrun --nproc-per-node 8 -m gahb_theory train ...
    """

    run: Path
    """Run directory: checkpoint, log.jsonl, and the denoiser, which `gahb analyze --denoiser RUN` reads."""
    network: Literal["unet", "bfcnn"] = "unet"
    """The paper's UNet or BF-CNN."""
    channels: int = 16
    """Channels of the network; 64 in the paper."""
    blocks: int = 3
    """Scales of the UNet; 3 in the paper."""
    depth: int = 21
    """Convolutions of the BF-CNN; 21 in the paper."""
    device: str = "auto"
    """A torch device such as cpu, cuda, cuda:1 or mps; auto takes the first accelerator there is."""
    recipe: Recipe = field(default_factory=Recipe)
    """How to train."""
    images: Images = field(default_factory=CAlpha)
    """The image class to train on."""

    def execute(self) -> Path:
        """Train the network."""
        channels = self.images.channels if isinstance(self.images, Photographs) else 1
        seed = self.recipe.seed
        f: UNet | BFCNN = (
            UNet(self.channels, self.blocks, channels, seed=seed)
            if self.network == "unet"
            else BFCNN(self.channels, self.depth, channels, seed=seed)
        )
        train(f.to(_device(self.device)), self.images, recipe=self.recipe, run=self.run)
        return self.run / "denoiser"


@dataclass(frozen=True)
class Analyze:
    """Take the Jacobian of a denoiser at one noisy image and compare its eigenbasis with wavelets, cosines and PCA."""

    image: Positional[Path]
    """An image file; its centre is cut out."""
    denoiser: str = "photographs"
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    sigma: float = 0.15
    """Noise level, for intensities in [0, 1]; that of an image in 0..255 divided by 255."""
    size: int = 64
    """Side of the square that is cut out; the cost grows as its fourth power."""
    seed: int = 0
    """Names the noise."""
    run: Path | None = None
    """Run directory; by default runs/analyze-IMAGE."""

    def execute(self) -> Path:
        """Write the run directory and its report."""
        validate.integer(self.size, "size", 4, 128)
        named = self.denoiser in get_args(Shipped)
        f = shipped_denoiser(self.denoiser) if named else load_denoiser(self.denoiser)  # type: ignore[arg-type]
        channels = f.image_channels if isinstance(f, Network) else 1  # an adapted network does not say
        x = read_file(self.image, channels=channels)
        if min(x.shape[2:]) < self.size:
            raise ValueError(
                f"size must not exceed the smaller side of {self.image}, got {self.size} for {tuple(x.shape[2:])}"
            )
        x = centre_crop(x, (self.size, self.size))
        config = {
            "command": "analyze",
            "settings": {key: value for key, value in runs.describe(self).items() if key not in ("class", "run")},
            "data": runs.fingerprint(x),
            "denoiser": runs.fingerprint_parameters(f),
            "versions": runs.versions(),
        }
        run = runs.open_run(self.run or Path("runs") / f"analyze-{self.image.stem}", config)
        reading = read_image(f, x, self.sigma, reference_bases(self._samples(channels)), seed=self.seed)
        runs.write_arrays(run / "arrays.npz", runs.to_arrays(reading, f"{self.image.stem}/reading"))
        runs.write_csv(run / "metrics.csv", [{"quantity": k, "value": v} for k, v in reading.summary.items()])
        return tour_report(run)

    def _samples(self, channels: int) -> Tensor:
        """Images whose principal components are compared with: those the shipped denoiser was trained on, or photographs."""
        law = shipped_class("c_alpha") if self.denoiser == "c_alpha" else Photographs(channels=channels)  # type: ignore[arg-type]
        law = type(law)(**(vars(law) | {"size": self.size}))
        return law.sample(PCA_SAMPLES, seed=PCA_SEED)


@dataclass(frozen=True)
class Report:
    """Draw the report and the figures of a run directory again, from its numbers."""

    run: Positional[Path]
    """A run directory of the tour or of `gahb analyze`."""

    def execute(self) -> Path:
        """Write report.html and figures/."""
        return tour_report(self.run)


@dataclass(frozen=True)
class Reproduce:
    """Measure a claim of the paper; the programs lie in experiments/ of the source of this library.

    Networks are trained once and measurements made once; killed at any moment, the same command goes on. `gahb
    reproduce report` draws what has been measured on one page.
    """

    name: Positional[Literal["memorisation", "shrinkage", "near_optimal", "manifolds", "shuffling", "report"]]
    """The experiment."""
    scale: Literal["smoke", "laptop", "paper"] = "laptop"
    """smoke: a minute, to see that it runs; laptop: two cores, hours; paper: the published sizes, on a GPU."""
    photographs: Path | None = None
    """A folder of images in place of the embedded photographs."""
    workers: int | None = None
    """Processes; by default one for each core, or one for a GPU."""
    dry_run: bool = False
    """Print the parameters, memory, operations and hours of a GPU that the networks take, and stop."""

    def execute(self) -> Path:
        """Run the program and return where its results are."""
        places = (Path("experiments"), Path(__file__).parents[1] / "experiments")
        file = next((place / f"{self.name}.py" for place in places if (place / f"{self.name}.py").exists()), None)
        if file is None:
            raise FileNotFoundError(
                f"no experiments/{self.name}.py here; the experiments come with the source of the library: clone its "
                "repository and call the command there"
            )
        options = []
        if self.name != "report":
            options += ["--scale", self.scale] + (["--dry-run"] if self.dry_run else [])
            options += [] if self.photographs is None else ["--photographs", str(self.photographs)]
            options += [] if self.workers is None else ["--workers", str(self.workers)]
        code = subprocess.run([sys.executable, str(file), *options], check=False).returncode
        if code:
            raise SystemExit(code)
        return file.parent / "results"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; without one, the tour."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["tour", *given]
    try:
        commands: dict[str, Callable[..., Any]] = {
            "tour": Tour,
            "generate": Generate,
            "train": Train,
            "analyze": Analyze,
            "report": Report,
            "reproduce": Reproduce,
        }
        command = tyro.extras.subcommand_cli_from_dict(
            commands, prog="gahb", description="Why denoisers generalise. `gahb` alone is `gahb tour`.", args=given
        )
        result = run_tour(command) if isinstance(command, Tour) else command.execute()
    except KeyboardInterrupt:
        print("\ngahb: stopped; the same command goes on from here", file=sys.stderr)
        raise SystemExit(130) from None
    except (ValueError, TypeError, RuntimeError, OSError, ArithmeticError) as error:
        if os.environ.get("GAHB_TRACEBACK"):
            raise
        message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        print(f"gahb: {message}\n(GAHB_TRACEBACK=1 shows where)", file=sys.stderr)
        raise SystemExit(2) from None
    if int(os.environ.get("RANK", "0")) == 0:
        print(result)


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available here ({error}); try auto or cpu") from error
