"""`gahb compare`: two denoisers, two bases, or one of each, at one image."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg

if TYPE_CHECKING:
    from torch import Tensor

    from gahb_theory.comparison import Comparison

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
        from gahb_theory import runs, validate
        from gahb_theory.commands.naming import run_directory, run_name, settings_of
        from gahb_theory.comparison import compare
        from gahb_theory.metrics import psnr
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.randomness import add_noise

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
        }
        start = "-".join(["compare", *(Path(word).name for word in words), *([self.image.stem] if self.image else [])])
        with run_directory(self.run, run_name(start, self, left_out), config) as run:
            a, b = (_side(word, f, y, sigma) for word, f in zip(words, denoisers, strict=True))
            names = words if words[0] != words[1] else (f"{words[0]}, first", f"{words[1]}, second")
            c = compare(a, b, x, sigma, names=(Path(names[0]).name, Path(names[1]).name), seed=self.seed)
            errors = [
                f"{name} {float(psnr(x, out)):.2f} dB"
                for name, out in zip(words, outputs, strict=True)
                if out is not None
            ]
            at, plural = c.index_of_rank, "s" if c.rank > 1 else ""
            lines = [
                f"{place}, sigma {sigma:g}: PSNR {', '.join([f'noisy {float(psnr(x, y)):.2f} dB', *errors])}",
                f"overlap of the first {c.rank} atom{plural} {c.overlap[at]:.3f}, by chance {c.overlap_of_chance[at]:.3f}",
                f"terms for 99 % of the energy: {c.first.terms} and {c.second.terms} of {x.numel()}",
            ]
            runs.open_run(run, config)
            c.save(run / "comparison.json")
            page = _page(run, c, lines)
        return "\n".join([*lines, str(page)])

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


def _page(run: Path, c: "Comparison", lines: list[str]) -> Path:
    from gahb_theory.report.draw_comparison import comparison_figure
    from gahb_theory.report.page import Picture, Section, Table, write_page
    from gahb_theory.runs import versions

    caption = (
        "Overlap of the first r atoms of both bases, and of random spans (dotted, band of two standard deviations); their "
        "principal angles; the energy of the image that r atoms leave out; the shrinkage factors."
    )
    title = f"{c.first.name} and {c.second.name}"
    found = c.lines()
    both = next(number for number, row in enumerate(found) if row[1:] == ("both", "chance"))
    tables = [Table(rows[0], rows[1:]) for rows in (found[:both], found[both:])]
    parts: list[Picture | Table] = [Picture("comparison", comparison_figure(c), caption), *tables]
    lead = "Two bases at one image: what they share, beside what random bases would."
    footer = {"command": "gahb compare", **versions()}
    return write_page(run / "report.html", title, lead, [Section("At this image", lines, parts)], footer)
