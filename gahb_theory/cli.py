"""The command `gahb`: the tour, and one command for each step from images to a report.

Every command is a frozen dataclass, which is its configuration and its help. Bad input is refused in one line.
"""

import hashlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import tyro
from torch import Tensor
from tyro.conf import Positional

from gahb_theory import runs, signals, stored_results, validate
from gahb_theory.benchmarking import BenchmarkCommand
from gahb_theory.comparison import analyse_image, reference_bases
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import BFCNN, UNet
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
    read_image,
)
from gahb_theory.images.dataset import ImageDataset, dataset, write_dataset
from gahb_theory.images.photographs import centre_crop
from gahb_theory.judging import AuditCommand, ClaimCommand
from gahb_theory.pretrained import named_denoiser, shipped_class
from gahb_theory.randomness import add_noise
from gahb_theory.report.tour_page import CASE, FORMAT, tour_report
from gahb_theory.theory.identities import Card, TheoryTable, verify, verify_theory
from gahb_theory.tour import PCA_SAMPLES, PCA_SEED, Tour, run_tour
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe
from gahb_theory.workers import MOST_WORKERS

__all__ = ["Analyze", "Generate", "Report", "Reproduce", "Train", "Verify", "main"]

LONGEST_NAME = 100  # bytes

Images = (
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
    images: Images = field(default_factory=CAlpha)
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
    On several GPUs: torchrun --nproc-per-node 8 -m -- gahb_theory train --run RUN ...
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
    data: Positional[Path | None] = None
    """A .npy file that `gahb generate` wrote, in place of an image class."""
    images: Images = field(default_factory=CAlpha)
    """The image class to train on."""

    def execute(self) -> Path:
        """Train the network."""
        if self.data is not None and self.images != CAlpha():
            raise ValueError(f"train takes either the file {self.data} or an image class, got both; leave one out")
        data = self.images if self.data is None else dataset(self.data)
        channels = data[0].shape[0] if isinstance(data, ImageDataset) else getattr(data, "channels", 1)
        seed = self.recipe.seed
        f: UNet | BFCNN = (
            UNet(self.channels, self.blocks, channels, seed=seed)
            if self.network == "unet"
            else BFCNN(self.channels, self.depth, channels, seed=seed)
        )
        train(f.to(_device(self.device)), data, recipe=self.recipe, run=self.run)
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
        sigma = validate.sigma_level(self.sigma)
        if self.image.exists() and not self.image.is_file():
            raise ValueError(f"{self.image} is no regular file; give an image file")
        f = named_denoiser(self.denoiser)
        channels = f.image_channels if isinstance(f, Network) else 1  # an adapted network does not say
        x = read_image(self.image, channels=channels)
        if min(x.shape[2:]) < self.size:
            raise ValueError(
                f"size must not exceed the smaller side of {self.image}, got {self.size} for {tuple(x.shape[2:])}"
            )
        x = centre_crop(x, (self.size, self.size))
        validate.denoised(f, add_noise(x, sigma, seed=self.seed), sigma)  # refused before a directory is made
        config = {
            "command": "analyze",
            "format": FORMAT,
            "settings": {key: value for key, value in runs.describe(self).items() if key not in ("class", "run")},
            "data": runs.fingerprint(x),
            "denoiser": runs.fingerprint_parameters(f),
            "versions": runs.versions(),
        }
        run = runs.open_run(self.run or Path("runs") / f"analyze-{_short(self.image.stem)}", config)
        analysis = analyse_image(f, x, sigma, reference_bases(self._samples(channels)), seed=self.seed)
        stored_results.write_arrays(run / "arrays.npz", stored_results.to_arrays(analysis, f"{CASE}/analysis"))
        runs.write_csv(run / "metrics.csv", analysis.rows())
        return tour_report(run)

    def _samples(self, channels: int) -> Tensor:
        """Images whose principal components are compared with: those the shipped denoiser was trained on, or photographs."""
        image_class = shipped_class("c_alpha") if self.denoiser == "c_alpha" else Photographs(channels=channels)  # type: ignore[arg-type]
        image_class = type(image_class)(**(vars(image_class) | {"size": self.size}))
        return image_class.sample(PCA_SAMPLES, seed=PCA_SEED)


@dataclass(frozen=True)
class Verify:
    """Compute every equation of the paper in two ways, each beside a mistake that must be caught; or test one denoiser.

    Without a denoiser: a line for each equation, with value, expected value, tolerance and verdict; status 1 if one fails.
    With one: what theory says of the optimal denoiser, measured on it.
    """

    denoiser: str | None = None
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint."""
    sigma: float = 0.1
    """Noise level, for a denoiser."""
    n: int = 32
    """Number of images, for a denoiser."""
    seed: int = 0
    """Names images and noise, for a denoiser."""
    images: Images = field(default_factory=lambda: Photographs(size=32))
    """The image class, for a denoiser."""

    def execute(self) -> TheoryTable | Card:
        """Return the table, or the card of the denoiser."""
        if self.denoiser is None:
            table = verify_theory()
            if not table.holds:
                print(table)
                raise SystemExit(1)
            return table
        f = named_denoiser(self.denoiser)
        return verify(f, self.images.sample(self.n, seed=self.seed), self.sigma, seed=self.seed)


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
    """Measure claims of the paper: train the networks, measure them, and judge.

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
    photographs: Path | None = None
    """A folder of images in place of the embedded photographs."""
    workers: int | None = None
    """Processes; by default one for each core, or one for a GPU."""
    dry_run: bool = False
    """Print the parameters, operations, and hours of this machine and of a GPU that the networks take, and stop."""

    def execute(self) -> Path | str:
        """Run the experiment and return where its results are, or what it would take."""
        from gahb_theory.hypotheses.paper import running
        from gahb_theory.report.paper_page import paper_report

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
            print(f"\n{c.claim}\n  ours     {c.ours}\n  paper    {c.paper}\n  verdict  {c.verdict}: {c.why}")
        return where.results / self.name


KEPT = {
    Tour: "the finished parts are kept, and the same command goes on from here",
    Generate: "the finished blocks are kept, and the same command goes on from here",
    Train: "the last checkpoint is kept, and the same command goes on from it",
    Analyze: "no file is half written, and the same command begins again",
    ClaimCommand: "no file is half written, and the same command begins again",
    AuditCommand: "no file is half written, and the same command begins again",
    BenchmarkCommand: "no file is half written, and the same command begins again",
    Report: "no file is half written, and the same command begins again",
    Verify: "nothing is written, and the same command begins again",
    Reproduce: "what is trained and measured is kept, and the same command goes on from here",
}
"""What a command that is stopped says."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; without one, the tour."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--"]:  # with which torchrun ends its own options, and which some versions pass on
        del given[0]
    if not given or (given[0].startswith("-") and given[0] not in ("-h", "--help")):
        given = ["tour", *given]
    with signals.handled():
        try:
            commands: dict[str, Callable[..., Any]] = {
                "tour": Tour,
                "generate": Generate,
                "train": Train,
                "analyze": Analyze,
                "test": ClaimCommand,
                "audit": AuditCommand,
                "benchmark": BenchmarkCommand,
                "verify": Verify,
                "report": Report,
                "reproduce": Reproduce,
            }
            command = tyro.extras.subcommand_cli_from_dict(
                commands, prog="gahb", description="Why denoisers generalise. `gahb` alone is `gahb tour`.", args=given
            )
            signals.keeps(KEPT[type(command)])
            result = run_tour(command) if isinstance(command, Tour) else command.execute()
        except KeyboardInterrupt:
            raise SystemExit(signals.say(signal.SIGINT)) from None
        except signals.Stopped:
            raise SystemExit(signals.say(signal.SIGTERM)) from None
        except SystemExit as error:
            if error.code == 128 + signal.SIGTERM:  # training has waited for the end of its step
                signals.say(signal.SIGTERM)
            raise
        except (ValueError, TypeError, RuntimeError, OSError, ArithmeticError, MemoryError) as error:
            if os.environ.get("GAHB_TRACEBACK"):
                raise
            print(f"gahb: {_one_line(error)}\n(GAHB_TRACEBACK=1 shows where)", file=sys.stderr)
            raise SystemExit(2) from None
        if int(os.environ.get("RANK", "0")) == 0:
            print(result)


def _one_line(error: Exception) -> str:
    """What an error says, with the file that it is about and the notes beside it."""
    message = str(error) or type(error).__name__
    if isinstance(error, OSError) and error.strerror:
        files = [os.fsdecode(f) for f in (error.filename, error.filename2) if isinstance(f, str | bytes | os.PathLike)]
        message = ": ".join([*files, error.strerror])
    return ". ".join([message, *getattr(error, "__notes__", ())])


def _short(name: str) -> str:
    """A name of at most LONGEST_NAME bytes: the beginning of a longer one, with its hash."""
    written = os.fsencode(name)
    if len(written) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(written).hexdigest()[:8]
    return f"{written[: LONGEST_NAME - 9].decode(errors='ignore')}-{digest}"


def _device(name: str) -> torch.device:
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"device {name!r} is not available here ({error}); try auto or cpu") from error
