"""`gahb denoise`: images without their noise."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Denoise"]


@dataclass(frozen=True)
class Denoise:
    """Remove the noise of images. A grey denoiser takes each channel of a colour image by itself.

    With --add-noise the images are clean ones: noise is added first, and the PSNR before and after is said.
    """

    images: Positional[tuple[Path, ...]] = ()
    """Image files, folders of them, or .npy files."""
    sigma: float = 0.1
    """Standard deviation of the noise, for intensities in [0, 1]; that of an image in 0..255 divided by 255."""
    denoiser: Annotated[str, arg(aliases=["-d"])] = "photographs"
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """A picture, a .npy file or a folder; by default IMAGE-denoised.png or .npy, or denoised/ for several files,
    with the options that are given."""
    add_noise: bool = False
    """The images are clean: add noise of --sigma first."""
    n: Annotated[int | None, arg(aliases=["-n"], metavar="INT")] = None
    """The number of images at most; by default all files, and all images of a .npy file."""
    seed: int = 0
    """Names the noise of --add-noise."""

    def execute(self) -> str:
        """Write the denoised images, and say what was removed."""
        from gahb_theory import validate
        from gahb_theory.commands.inputs import given_images
        from gahb_theory.commands.naming import run_name
        from gahb_theory.commands.outputs import check_free, write_images
        from gahb_theory.metrics import psnr
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.progress import progress_bar
        from gahb_theory.randomness import add_noise

        sigma = validate.sigma_level(self.sigma)
        seed = validate.seed(self.seed)
        given = list(given_images(self.images, 10**9 if self.n is None else self.n))
        left_out = {"images", "output", "n"}
        files = {one.source for one in given}
        start = f"{given[0].source.stem}-denoised" if len(files) == 1 else "denoised"
        ending = "" if len(files) > 1 else ".npy" if given[0].index is not None else ".png"
        target = self.output or Path(run_name(start, self, left_out) + ending)
        check_free(target, len(given))
        f = named_denoiser(self.denoiser)
        results, removed, before, after = [], [], [], []
        bar = progress_bar(given, desc="denoising", unit=" images")
        for number, one in enumerate(bar):
            y = add_noise(one.image, sigma, seed=seed, start=number) if self.add_noise else one.image
            x_hat = _by_channel(f, y, sigma)
            results.append(x_hat)
            removed.append(float((y - x_hat).square().mean().sqrt()))
            if self.add_noise:
                before.append(float(psnr(one.image, y)))
                after.append(float(psnr(one.image, x_hat)))
        path = write_images(target, results, [one.name for one in given])
        n = len(given)
        lines = [f"{n} image{'s' if n > 1 else ''} denoised by {self.denoiser} at sigma {sigma:g}"]
        lines.append(f"removed: {sum(removed) / n:.4f} of standard deviation, where the noise has {sigma:g}")
        if before:
            lines.append(f"PSNR {sum(before) / n:.2f} -> {sum(after) / n:.2f} dB, mean over the images")
        return "\n".join([*lines, str(path)])


def _by_channel(f: Any, y: "Tensor", sigma: float) -> "Tensor":
    """f(y, sigma), whatever the sides of the image: it is continued by its mirror image and cut again."""
    import torch

    from gahb_theory import validate
    from gahb_theory.commands.inputs import channels_of, with_channels

    multiple = 2 ** int(getattr(f, "blocks", 0))
    height, width = y.shape[2:]
    margin = (0, -width % multiple, 0, -height % multiple)
    grey = y.shape[1] == 3 and bool(torch.equal(y[:, :1].expand_as(y), y))
    parts = y[:, :1] if grey else y
    channels = channels_of(f) or 1
    batch = parts if channels == parts.shape[1] else parts.transpose(0, 1) if channels == 1 else with_channels(parts, 3)
    padded = torch.nn.functional.pad(batch, margin, mode="reflect") if any(margin) else batch
    with torch.no_grad():
        x_hat = validate.denoised(f, padded.contiguous(), sigma)[:, :, :height, :width]
    return x_hat.transpose(0, 1) if channels == 1 else x_hat
