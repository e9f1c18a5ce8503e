"""`gahb analyze`: the basis to which a denoiser adapts, at images of yours."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from torch import Tensor

    from gahb_theory.commands.inputs import Given

__all__ = ["Analyze"]

PCA_SAMPLES = 1024
PCA_SEED = 2**41


@dataclass(frozen=True)
class Analyze:
    """Take the Jacobian of a denoiser at a noisy image and compare its eigenbasis with wavelets, cosines and PCA.

    Takes image files, folders and .npy files of `gahb generate`, and writes a page for each image. Of a large photograph
    the middle is cut out, or the square that --crop names; --resize makes it smaller first.
    """

    images: Positional[tuple[Path, ...]] = ()
    """Image files, folders of them, or .npy files."""
    denoiser: Annotated[str, arg(aliases=["-d"])] = "photographs"
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    sigma: float = 0.15
    """Noise level, for intensities in [0, 1]; that of an image in 0..255 divided by 255."""
    size: int = 64
    """Side of the square that is cut out; the cost grows as its fourth power."""
    crop: Annotated[str | None, arg(metavar="X,Y")] = None
    """Upper left corner of the square as X,Y in pixels; by default the middle is taken."""
    resize: bool = False
    """Make the image so small first that its smaller side is --size."""
    n: Annotated[int | None, arg(aliases=["-n"], metavar="INT")] = None
    """The number of images at most; by default all files, and the first image of a .npy file."""
    seed: int = 0
    """Names the noise."""
    run: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """Run directory; by default runs/analyze-IMAGE with the options that are given. For one image only."""

    def execute(self) -> str:
        """Write the run directories and their pages."""
        from gahb_theory import validate
        from gahb_theory.commands.inputs import given_images
        from gahb_theory.pretrained import named_denoiser

        validate.integer(self.size, "size", 4, 128)
        validate.sigma_level(self.sigma)
        validate.seed(self.seed)
        given = list(given_images(self.images, self.n))
        if self.run is not None and len(given) > 1:
            raise ValueError(f"--run names the directory of one image, and {len(given)} are given; leave it out")
        f = named_denoiser(self.denoiser)
        prepared = [self._prepared(f, one) for one in given]  # all are refused before one is computed
        return "\n".join(self._analyzed(f, one, *cut) for one, cut in zip(given, prepared, strict=True))

    def _prepared(self, f: Any, given: "Given") -> tuple[Any, "Tensor"]:
        """The square of an image, and it with the channels of the denoiser, which has been tried."""
        from gahb_theory import validate
        from gahb_theory.commands.cropping import cut_out
        from gahb_theory.commands.inputs import channels_of, with_channels
        from gahb_theory.randomness import add_noise

        cut = cut_out(given.image, self.size, self.crop, self.resize, str(given.source))
        x = with_channels(cut.image, channels_of(f) or 1)  # an adapted network does not say
        validate.denoised(f, add_noise(x, self.sigma, seed=self.seed), self.sigma)
        return cut, x

    def _analyzed(self, f: Any, given: "Given", cut: Any, x: "Tensor") -> str:
        """The page of one image, and what was found in a few lines."""
        import numpy as np

        from gahb_theory import runs, stored_results
        from gahb_theory.commands.findings import found_at_image
        from gahb_theory.commands.naming import command_line, run_directory, run_name
        from gahb_theory.comparison import analyse_image, reference_bases
        from gahb_theory.report.tour_page import CASE, FORMAT, tour_report

        left_out = {"class", "run", "images", "n"}
        settings = {key: value for key, value in runs.describe(self).items() if key not in left_out}
        config = {
            "command": "analyze",
            "format": FORMAT,
            "settings": settings | {"image": str(given.source), "index": given.index},
            "crop": cut.words,
            "data": runs.fingerprint(x),
            "denoiser": runs.fingerprint_parameters(f),
            "versions": runs.versions(),
            "typed": command_line("analyze", self),
        }
        name = run_name(f"analyze-{given.name}", self, left_out)
        with run_directory(self.run, name, config) as run:
            bases = reference_bases(_samples(self.denoiser, self.size, x.shape[1]))
            analysis = analyse_image(f, x, self.sigma, bases, seed=self.seed)
            arrays = stored_results.to_arrays(analysis, f"{CASE}/analysis")
            if cut.shown.shape[:2] != x.shape[2:]:
                arrays |= {f"{CASE}/photograph": cut.shown, f"{CASE}/box": np.array(cut.box)}
            runs.open_run(run, config)
            stored_results.write_arrays(run / "arrays.npz", arrays)
            runs.write_csv(run / "metrics.csv", analysis.rows())
            page = tour_report(run)
        return f"{given.source}: {cut.words}\n{found_at_image(analysis)}\n{page}"


def _samples(denoiser: str, size: int, channels: int) -> "Tensor":
    """Images whose principal components are compared with: those the shipped denoiser was trained on, or photographs."""
    from dataclasses import replace

    from gahb_theory.images import CAlpha, Photographs
    from gahb_theory.pretrained import shipped_class

    image_class: CAlpha | Photographs = Photographs(channels=3 if channels == 3 else 1)
    if denoiser in ("c_alpha", "unet_c_alpha"):
        image_class = shipped_class("c_alpha")
    return replace(image_class, size=size).sample(PCA_SAMPLES, seed=PCA_SEED)
