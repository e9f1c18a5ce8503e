"""Where every sampler starts: y_0 = m + sigma_0 z, z a function of (seed, index) alone, in batches.

The samplers share it, so that paths of two denoisers, or of two samplers, that have the same seed start from the same noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Denoiser
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import LARGEST_INDEX
from gahb_theory.sampling.coarse_to_fine import sample_normals

__all__ = ["Starts", "dtype_and_device"]


@dataclass(frozen=True, eq=False)
class Starts:
    """The starts of n samples, checked; iterate over it for batches (indices in the stream of `seed`, y_0).

    Parameters
    ----------
    shape
        (n, channels, height, width).
    seed, start
        Sample i is number start + i of the stream that `seed` names.
    mean
        Mean m of the start: a number, one image, or one for each sample.
    sigma_0
        Its noise level.
    batch_size
        Number of samples at once.
    dtype, device
        Of the samples.
    """

    shape: tuple[int, ...]
    seed: int
    start: int
    mean: float | Tensor
    sigma_0: float
    batch_size: int
    dtype: torch.dtype
    device: torch.device

    def __post_init__(self) -> None:
        shape = validate.sizes(self.shape, 4)
        checked = {
            "shape": shape,
            "seed": validate.seed(self.seed),
            "start": validate.integer(self.start, "start", 0, LARGEST_INDEX - shape[0]),
            "sigma_0": validate.sigma_level(self.sigma_0, "sigma_0"),
            "batch_size": validate.integer(self.batch_size, "batch_size", 1),
            "dtype": validate.floating(self.dtype),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "mean", self._centre())

    def _centre(self) -> Tensor:
        """The mean of the start as a tensor that broadcasts over the samples."""
        mean, image = self.mean, self.shape[1:]
        if not isinstance(mean, Tensor) or mean.ndim == 0:
            value = torch.tensor(validate.number(mean, "mean"), dtype=self.dtype, device=self.device)
            return value.expand(1, *image)
        if mean.shape not in ((1, *image), self.shape):
            raise ValueError(f"mean must be a number or one image {(1, *image)}, got shape {tuple(mean.shape)}")
        return validate.images(mean, "mean").to(self.device, self.dtype)

    def first(self) -> Float[Tensor, "1 c h w"]:
        """The start of the first sample."""
        return self._batch(0, 1)[1]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = self.shape[0]
        with progress_bar(total=n, desc="sampling", unit="image") as bar:
            for first in range(0, n, self.batch_size):
                batch = self._batch(first, min(first + self.batch_size, n))
                yield batch
                bar.update(len(batch[0]))

    def _batch(self, first: int, last: int) -> tuple[Tensor, Tensor]:
        indices = torch.arange(self.start + first, self.start + last, dtype=torch.long, device="cpu")
        noise = torch.empty(last - first, *self.shape[1:], dtype=torch.float32, device=self.device)
        sample_normals(noise, indices, self.seed, 0)
        assert isinstance(self.mean, Tensor)
        mean = self.mean if len(self.mean) == 1 else self.mean[first:last]
        y = validate.finite(mean + self.sigma_0 * noise.to(self.dtype), "the start, mean + sigma_0 z,")
        return indices, y


def dtype_and_device(
    f: Denoiser, dtype: torch.dtype | None, device: torch.device | str | None
) -> tuple[torch.dtype, torch.device]:
    """Those that are given, else those of the parameters or buffers of f, else float32 on the CPU."""
    if device is not None and not isinstance(device, torch.device | str):
        raise TypeError(f"device must be a torch.device or its name, such as 'cuda', got {type(device).__name__}")
    result = torch.float32, torch.device("cpu")
    if isinstance(f, nn.Module):
        floats = (t for t in (*f.parameters(), *f.buffers()) if t.is_floating_point())
        result = next(((t.dtype, t.device) for t in floats), result)
    return (result[0] if dtype is None else dtype), (result[1] if device is None else torch.device(device))
