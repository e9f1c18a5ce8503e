"""`gahb compare`: two denoisers, two bases, or one of each, at one image."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Compare"]

BASES = ("wavelet", "dct", "fourier", "pixels")


@dataclass(frozen=True)
class Compare:
    """Compare the bases of two denoisers at one image, or that of a denoiser with wavelets, cosines, waves or pixels."""

    first: Positional[str]
    """A shipped denoiser (c_alpha, photographs), the path of a checkpoint, or wavelet, dct, fourier, pixels."""
    second: Positional[str]
    """The same."""
    image: Positional[Annotated[Path | None, arg(metavar="PATH")]] = None
    """An image file or a .npy file; by default a photograph that no shipped denoiser has seen."""
    sigma: float = 0.15
    """Noise level, for intensities in [0, 1]."""
    size: int = 32
    """Side of the square that is cut out."""
    crop: Annotated[str | None, arg(metavar="X,Y")] = None
    """Upper left corner of the square as X,Y in pixels; by default the middle is taken."""
    resize: bool = False
    """Make the image so small first that its smaller side is --size."""
    seed: int = 0
    """Names the noise."""
    run: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """Run directory; by default runs/compare-FIRST-SECOND with the options that are given."""

    def execute(self) -> str:
        """Write the page and the numbers."""
        import numpy as np

        from gahb_theory import runs, stored_results, validate
        from gahb_theory.commands.naming import command_line, run_directory, run_name, settings_of
        from gahb_theory.comparison import compare
        from gahb_theory.metrics import psnr
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.randomness import add_noise
        from gahb_theory.report.comparison_page import ARRAYS, comparison_page, found

        validate.integer(self.size, "size", 4, 128)
        sigma, words = validate.sigma_level(self.sigma), (self.first, self.second)
        denoisers = [None if word in BASES else named_denoiser(word) for word in words]
        x, place = self._image(denoisers)
        y = add_noise(x, sigma, seed=self.seed)
        outputs = [None if f is None else validate.denoised(f, y, sigma) for f in denoisers]
        left_out = {"class", "run", "image", "first", "second"}
        config = {
            "command": "compare",
            "settings": settings_of(self),
            "crop": place,
            "data": runs.fingerprint(x),
            "denoisers": [None if f is None else runs.fingerprint_parameters(f) for f in denoisers],
            "versions": runs.versions(),
            "typed": command_line("compare", self),
        }
        start = "-".join(["compare", *(Path(word).name for word in words), *([self.image.stem] if self.image else [])])
        with run_directory(self.run, run_name(start, self, left_out), config) as run:
            a, b = (_side(word, f, y, sigma) for word, f in zip(words, denoisers, strict=True))
            names = words if words[0] != words[1] else (f"{words[0]}, first", f"{words[1]}, second")
            c = compare(a, b, x, sigma, names=(Path(names[0]).name, Path(names[1]).name), seed=self.seed)
            levels = {"noisy": float(psnr(x, y))} | {
                name: float(psnr(x, out)) for name, out in zip(words, outputs, strict=True) if out is not None
            }
            runs.open_run(run, config)
            c.save(run / "comparison.json")
            stored = {f"psnr/{name}": np.asarray(value) for name, value in levels.items()}
            stored_results.write_arrays(
                run / "arrays.npz", stored_results.to_arrays(c, ARRAYS) | stored | {"place": np.asarray(place)}
            )
            page = comparison_page(c, place, levels, run / "report.html")
        return "\n".join([*found(c, place, levels), str(page)])

    def _image(self, denoisers: list[Any]) -> tuple["Tensor", str]:
        """The clean image, with channels that the denoisers take, and which it is."""
        from gahb_theory.commands.cropping import cut_out
        from gahb_theory.commands.inputs import channels_of, given_images, with_channels
        from gahb_theory.images import Photographs

        channels = {channels_of(f) or 1 for f in denoisers if f is not None} or {1}
        if len(channels) > 1:
            raise ValueError("one denoiser takes grey images and the other colour; no image suits both")
        if self.image is None:
            return with_channels(Photographs(size=self.size, split="test").sample(1), *channels), "a photograph"
        given = next(given_images([self.image], 1))
        cut = cut_out(given.image, self.size, self.crop, self.resize, str(given.source))
        return with_channels(cut.image, *channels), f"{given.source}: {cut.words}"


def _side(word: str, f: Any, y: "Tensor", sigma: float) -> Any:
    from gahb_theory.bases import DCT, Fourier, Pixels, Wavelet
    from gahb_theory.jacobians import jacobian

    bases = {"wavelet": lambda: Wavelet("sym4"), "dct": DCT, "fourier": Fourier, "pixels": Pixels}
    return bases[word]() if f is None else jacobian(f, y, sigma)
