"""`gahb sample`: images drawn from the distribution that a denoiser has learned."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

__all__ = ["Sample"]


@dataclass(frozen=True)
class Sample:
    """Draw samples of a denoiser, from noise, as `gahb_theory.sample` does; images of a class are drawn by `gahb generate`.

    By the stochastic coarse-to-fine ascent of the paper. The same seed starts from the same noise, whatever the denoiser.
    With --train it is said how many samples are copies of training images.
    """

    denoiser: Annotated[str, arg(aliases=["-d"])] = "c_alpha"
    """A shipped denoiser (c_alpha, photographs), or the path of a checkpoint or of a run of `gahb train`."""
    n: Annotated[int, arg(aliases=["-n"])] = 4
    """Number of samples."""
    size: int = 64
    """Side of the samples."""
    output: Annotated[Path | None, arg(aliases=["-o"], metavar="PATH")] = None
    """A .npy file, a picture for one sample, or a folder of pictures; by default samples.npy, with the options that are
    given in its name."""
    step: float = 0.01
    """Part of the noise that a step takes away, h of the paper; larger is faster and less exact."""
    beta: float = 0.1
    """1 puts no noise back; 0.1 puts nearly all of it back, as in the paper."""
    train: Annotated[Path | None, arg(metavar="PATH")] = None
    """Training images of the denoiser, a .npy file or a folder: how many samples are copies of one?"""
    seed: int = 0
    """Names the noise."""

    def execute(self) -> str:
        """Draw and write the samples."""
        from gahb_theory import validate
        from gahb_theory.commands.deciding import training_images
        from gahb_theory.commands.inputs import channels_of
        from gahb_theory.commands.naming import run_name
        from gahb_theory.commands.outputs import check_free, write_images
        from gahb_theory.generalization import copies
        from gahb_theory.pretrained import named_denoiser
        from gahb_theory.sampling import Status, generate

        n, size = validate.integer(self.n, "n", 1), validate.integer(self.size, "size", 4)
        output = self.output or Path(run_name("samples", self, {"output", "train"}) + ".npy")
        check_free(output, n)
        f = named_denoiser(self.denoiser)
        train = None if self.train is None else training_images(f, self.train, size)
        if train is not None and n < 2:
            raise ValueError("--train needs at least 2 samples; give -n 2 or more")
        shape = (n, channels_of(f) or 1, size, size)
        samples = generate(f, shape, seed=self.seed, step=self.step, beta=self.beta)
        path = write_images(output, [samples.images[k : k + 1] for k in range(n)], [f"sample-{k}" for k in range(n)])
        done = int((samples.status == Status.CONVERGED).sum())
        x, steps = samples.images, samples.steps.double().mean()
        lines = [f"{done} of {n} samples of {self.denoiser} converged, after {float(steps):.0f} steps in the mean"]
        lines.append(f"intensities {float(x.min()):.3f} to {float(x.max()):.3f}, mean {float(x.mean()):.3f}")
        if train is not None:
            result = copies(samples, train)
            lines.append(f"copies of the {len(train)} training images: {result.share}")
        return "\n".join([*lines, str(path)])
