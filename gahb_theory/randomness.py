"""Random numbers that are pure functions of where they belong, never of how they were asked for.

Image i of a class is built from the numbers of *stream* (seed, i, component): one stream of a counter-based generator,

    u_j = Philox4x64(key = seed, counter = (j, 0, i, component)),

(Salmon, Moraes, Dror, Shaw 2011). Streams never overlap, so an image is the same for any batch size, order, start or
number of workers, seeds may use 128 bits, and indices 64. No global generator is touched.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate

__all__ = ["Component", "add_noise", "normals", "seeded", "step_generator", "uniforms"]

LARGEST_SEED = 2**128 - 1
LARGEST_INDEX = 2**63 - 1


class Component(IntEnum):
    """Which part of an image a stream draws."""

    PARAMETERS = 0
    CONTOUR = 1
    FIELDS = 2
    NOISE = 3
    PERMUTATION = 4


def uniforms(
    n: int, count: int, *, seed: int, start: int = 0, component: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n count"]:
    """Independent numbers uniform in [0, 1): row i is the beginning of stream (seed, start + i, component).

    Parameters
    ----------
    n, count
        Number of streams, and of numbers from each.
    seed, start, component
        Name the streams. Asking for a larger `count` extends each row and keeps its beginning.
    dtype
        float32 or float64; they are different numbers of the same law.

    Examples
    --------
    >>> a = uniforms(3, 5, seed=1, component=0)
    >>> b = uniforms(1, 2, seed=1, start=2, component=0)
    >>> bool((a[2:, :2] == b).all())
    True
    """
    validate.integer(seed, "seed", 0, LARGEST_SEED)
    validate.integer(n, "n", 0)
    validate.integer(start, "start", 0, LARGEST_INDEX - n)
    validate.integer(count, "count", 0)
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}; convert the images afterwards")
    out = np.empty((n, count), dtype=np.float64 if dtype == torch.float64 else np.float32)
    philox = np.random.Philox(key=np.array([seed & (2**64 - 1), seed >> 64], dtype=np.uint64))
    generator, state = np.random.Generator(philox), philox.state
    state["state"]["counter"][3] = component
    for row, index in zip(out, range(start, start + n), strict=True):
        state["state"]["counter"][2] = index
        philox.state = state
        generator.random(out=row, dtype=out.dtype.type)
    return torch.from_numpy(out)


def normals(
    n: int, count: int, *, seed: int, start: int = 0, component: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n count"]:
    """Independent standard normal numbers, `count` from each stream, by the transform of Box and Muller (1958).

    The beginning of a row does not depend on `count`.
    """
    half = -(-count // 2)
    u = uniforms(n, 2 * half, seed=seed, start=start, component=component, dtype=dtype)
    radius = torch.log1p(-u[:, 0::2]).mul_(-2).sqrt_()
    angle = u[:, 1::2] * (2 * torch.pi)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=-1).reshape(n, 2 * half)[:, :count]


def step_generator(device: torch.device | str, *words: int) -> torch.Generator:
    """A torch generator on `device` whose state is a pure function of the given integers, such as (seed, step)."""
    digest = hashlib.blake2b(",".join(str(int(w)) for w in words).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "little") >> 1)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let code that can only use the global CPU generator of torch draw from `seed`, and put the generator back."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(validate.integer(seed, "seed", 0, 2**63 - 1))
        yield


def add_noise(
    x: Float[Tensor, "n c h w"], sigma: float | Tensor, seed: int = 0, start: int = 0
) -> Float[Tensor, "n c h w"]:
    """Return y = x + sigma z with z ~ N(0, Id); z of image i depends on (seed, start + i) alone.

    The same seed gives the same z at every sigma, so that curves over sigma use paired noise.

    Parameters
    ----------
    x
        Clean images, shape (batch, channels, height, width).
    sigma
        Standard deviation of the noise in the units of x: a number or a tensor of shape (batch,), in (0, 10].

    Examples
    --------
    >>> import torch
    >>> y = add_noise(torch.zeros(1, 1, 64, 64), sigma=0.5)
    >>> round(float(y.std()), 1)
    0.5
    """
    validate.images(x, "x")
    level = validate.batch_sigma(sigma, x)
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    z = normals(x.shape[0], x[0].numel(), seed=seed, start=start, component=Component.NOISE, dtype=dtype)
    return x + level * z.reshape(x.shape).to(x)
