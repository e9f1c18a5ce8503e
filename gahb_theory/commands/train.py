"""`gahb train`: a network trained on an image class, on photographs, or on images on disk."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import Positional, Suppress, arg

from gahb_theory.commands.classes import RECIPE, apply, image_class

__all__ = ["Train"]


@dataclass(frozen=True)
class Train:
    """Train a bias-free network on images of a class, on the photographs of a folder or on a .npy file.

    Writes a checkpoint every minute; killed at any moment, the same command goes on and ends with the same weights. A
    finished training goes on to a larger --images-seen, with the schedule of the larger budget from there on.
    On several GPUs: torchrun --nproc-per-node 8 -m -- gahb_theory train --run RUN ...
    """

    data: Positional[Annotated[Path | None, arg(metavar="PATH")]] = None
    """The same as --images."""
    images: Annotated[Path | None, arg(metavar="PATH")] = None
    """A folder of photographs, or a .npy file that `gahb generate` wrote, in place of an image class."""
    kind: Annotated[str | None, arg(name="class", metavar="NAME")] = None
    """The image class, by default c-alpha; each has options of its own, listed above."""
    run: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """Run directory: checkpoint, log.jsonl, and the denoiser, which `gahb analyze --denoiser RUN` reads. By default
    runs/train-DATA with the options that are given."""
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
    images_seen: Annotated[int, arg(aliases=["-n"])] = 100_000
    """Budget: images times passes."""
    batch_size: int = 32
    """Images per step, over all processes."""
    seed: int = 0
    """Names the weights at the start, the images, their order, the noise levels and the noise."""
    published: bool = False
    """Train by the recipe of the paper."""
    settings: Suppress[Any] = None

    def execute(self) -> str:
        """Train the network."""
        from dataclasses import replace

        from gahb_theory import runs
        from gahb_theory.commands.naming import run_name
        from gahb_theory.denoisers.networks.bias_free import BFCNN, UNet
        from gahb_theory.training.loop import train
        from gahb_theory.training.recipes import Recipe

        data, channels = self._data()
        settings = {key: value for key, value in (self.settings or {}).items() if key in RECIPE}
        start = Recipe.published() if self.published else Recipe()
        start = replace(start, images_seen=self.images_seen, batch_size=self.batch_size, seed=self.seed)
        recipe = apply(start, settings)
        f: UNet | BFCNN = (
            UNet(self.channels, self.blocks, channels, seed=self.seed)
            if self.network == "unet"
            else BFCNN(self.channels, self.depth, channels, seed=self.seed)
        )
        source = self.data or self.images
        word = (self.kind or "c-alpha") if source is None else source.stem or "images"
        left_out = {"data", "images", "kind", "run", "device", "images_seen"}  # a larger budget goes on in the same run
        run = self.run or Path("runs") / run_name(f"train-{word}", self, left_out)
        train(f.to(_device(self.device)), data, recipe=recipe, run=run)
        lines = (run / "log.jsonl").read_text().splitlines() if (run / "log.jsonl").exists() else []
        return "\n".join(_found(run, f, recipe, runs.from_json(_last(lines))))

    def _data(self) -> tuple[Any, int]:
        """What to train on, and its channels."""
        from gahb_theory.images.dataset import ImageDataset
        from gahb_theory.training.sources import training_data

        settings = {key: value for key, value in (self.settings or {}).items() if key not in RECIPE}
        if self.data is not None and self.images is not None:
            raise ValueError(f"train takes one place of images, got {self.data} and {self.images}; leave one out")
        source = self.data or self.images
        if source is None:
            images = image_class(self.kind, settings)
            return images, getattr(images, "channels", 1)
        if self.kind is not None:
            raise ValueError(f"train takes either the file {source} or an image class, got both; leave one out")
        if source.is_dir():
            photographs = image_class("photographs", settings | {"folder": [str(source)]})
            return photographs, photographs.channels
        if settings:
            raise ValueError(
                f"--{next(iter(settings))} is an option of image classes, and {source} is a file; leave it out"
            )
        data = training_data(source)
        return data, data[0].shape[0] if isinstance(data, ImageDataset) else 1


def _last(lines: list[str]) -> dict[str, Any]:
    import json

    return json.loads(lines[-1]) if lines else {}


def _found(run: Path, f: Any, recipe: Any, last: dict[str, Any]) -> list[str]:
    """What the training came to."""
    from gahb_theory import runs

    before = runs.read_object(run / "config.json").get("extended_from", []) if (run / "config.json").exists() else []
    parameters = sum(p.numel() for p in f.parameters())
    on = f", after {', '.join(map(str, before))} by the schedule of that budget" if before else ""
    lines = [f"{type(f).__name__} of {parameters:,} parameters, {recipe.images_seen:,} images seen{on}"]
    if psnr := last.get("psnr"):
        gains = ", ".join(f"{value:.2f} at {sigma}" for sigma, value in psnr.items())
        lines.append(f"PSNR (dB) on validation images at sigma: {gains}")
    return [*lines, f"its basis at an image: gahb analyze IMAGE --denoiser {run}", str(run / "denoiser")]


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device {name!r} is not available ({str(error).splitlines()[0]})") from error
    return device
