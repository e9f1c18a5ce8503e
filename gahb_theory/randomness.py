"""Random numbers that are pure functions of where they belong, never of how they were asked for.

Image i of a class is built from the numbers of *stream* (seed, i, component): one stream of a counter-based generator,

    u_j = Philox4x64(key = seed, counter = (j, part, i, component)),

(Salmon, Moraes, Dror, Shaw 2011). Streams never overlap, so an image is the same for any batch size, order, start or
number of workers, seeds may use 128 bits, and indices 64. No global generator is touched.

Where speed counts most the images share one long stream, image i its words i w .. i w + w - 1, w a multiple of 4: those of
consecutive images are then drawn by one call (`symmetric_uniforms`).
"""

import hashlib
from enum import IntEnum
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gahb_theory import validate
from gahb_theory.memory import check_memory
from gahb_theory.precision import takes_arrays

__all__ = [
    "Component",
    "add_noise",
    "array_generator",
    "is_double",
    "named_seed",
    "normals",
    "polar_normals",
    "step_generator",
    "symmetric_uniforms",
    "uniforms",
]

LARGEST_INDEX = 2**63 - 1
WORD = 2**64 - 1
FEW_WORDS, MANY_STREAMS = 16, 64
NEAR_WORDS = 2**12  # 32 KiB, which stay in the nearest cache


class Component(IntEnum):
    """What a stream is drawn for: every use of random numbers in the library has a stream of its own.

    At the same seed no two of them are related. A new use gets a new name here.
    """

    PARAMETERS = 0
    """Of an image: the parameters of its scene."""
    CONTOUR = 1
    FIELDS = 2
    NOISE = 3
    """Of `add_noise`."""
    PERMUTATION = 4
    """Of `Shuffled`."""
    RANDOM_BASIS = 5
    """Of `RandomBasis`, the null of `compare`."""
    SHRINKAGE_PROBES = 6
    """Signs of `stein_risk`."""
    TRAINING = 7
    """Noise and noise levels of `train`."""
    ORDER = 8
    """The order of a fixed set of images, pass after pass."""
    SAMPLING = 9
    """Noise of `generate`."""
    TRACE_PROBES = 10
    """Signs of `Hutchinson`."""
    DIRECTION = 11
    """Directions along which a Jacobian is checked."""
    KRYLOV = 12
    """Starts of the Lanczos iteration."""
    BEHAVIOUR = 13
    """Signs of `measure_behaviour`."""
    CHECKS = 14
    """Arguments of `gahb_theory.testing`."""
    DISK_PRIOR = 15
    """Of `DiskBayes`: scrambles its low-discrepancy points."""
    DISK_GEOMETRY = 16
    DISK_INTENSITY = 17
    CURVATURE = 18
    """Starts of the ascent of `Disks.curvature_radius`."""
    BOOTSTRAP = 19
    """Images drawn again for intervals over images."""
    BOOTSTRAP_SCALES = 20
    """Images drawn again for `estimate_regularity`."""
    AGREEMENT = 21
    """The direction along which a Jacobian is compared with differences."""
    PROJECTIONS = 22
    """Signs of the same comparison where only J^T can be applied."""
    CALIBRATION = 23
    """Images of noise from which a conservative network takes its normalisation."""
    WEIGHTS = 24
    """Initial weights of networks."""
    FINGERPRINT = 25
    """Signs through which an identity sees the images of a class."""
    POSTERIOR = 26
    """Chains of the posterior over contours and parameters, and samples of it."""
    PRIOR = 27
    """Images of the distribution that an exact denoiser is optimal for."""
    DISPLACEMENTS = 31
    """Of the noisy image, of `SmoothedEmpiricalBayes`."""
    LIKELIHOOD = 32
    """Noise levels and noise of integrals over all noise levels."""


def uniforms(
    n: int,
    count: int,
    *,
    seed: int,
    start: int = 0,
    component: int,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n count"]:
    """Independent numbers uniform in [0, 1): row i is the beginning of stream (seed, start + i, component, part).

    Parameters
    ----------
    n, count
        Number of streams, and of numbers from each.
    seed, start, component, part
        Name the streams. Asking for a larger `count` extends each row and keeps its beginning.
    dtype
        float32 or float64; they are different numbers of the same distribution.

    Examples
    --------
    >>> a = uniforms(3, 5, seed=1, component=0)
    >>> b = uniforms(1, 2, seed=1, start=2, component=0)
    >>> bool((a[2:, :2] == b).all())
    True
    """
    double = is_double(dtype)
    count = validate.integer(count, "count", 0)
    words = _words(n, count if double else -(-count // 2), seed, start, component, part)
    return torch.from_numpy(_unit(words if double else words.view(np.uint32))[:, :count])


def symmetric_uniforms(
    n: int, count: int, *, seed: int, start: int = 0, component: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "n count"]:
    """Independent numbers uniform in [-1, 1], by the quickest way: the stored integers of 32 or 64 bits, scaled.

    Row i is a function of (seed, start + i, component, count): unlike those of `uniforms`, rows of different `count` are
    unrelated.

    Examples
    --------
    >>> a = symmetric_uniforms(3, 5, seed=1, component=0)
    >>> b = symmetric_uniforms(1, 5, seed=1, start=2, component=0)
    >>> bool((a[2:] == b).all())
    True
    """
    double = is_double(dtype)
    count = validate.integer(count, "count", 1)
    blocks = -(-count // (4 if double else 8))
    n, seed, start = _named(n, 4 * blocks, seed, start)
    first = start * blocks
    # third word of the counter: above all indices, so that no stream of an image is met
    counter = np.array([first & WORD, first >> 64, LARGEST_INDEX + 1 + blocks, component], dtype=np.uint64)
    key = np.array([seed & WORD, seed >> 64], dtype=np.uint64)
    philox = np.random.Philox(counter=counter, key=key)
    integer, floating, scale = (np.int64, np.float64, 2.0**-63) if double else (np.int32, np.float32, 2.0**-31)
    values = np.empty(n * blocks * (4 if double else 8), dtype=floating)
    step = NEAR_WORDS if double else 2 * NEAR_WORDS
    for part in (values[first : first + step] for first in range(0, len(values), step)):
        part[:] = philox.random_raw(len(part) * floating().itemsize // 8).view(integer)
        part *= floating(scale)
    return torch.from_numpy(values.reshape(n, -1)[:, :count])


def normals(
    n: int,
    count: int,
    *,
    seed: int,
    start: int = 0,
    component: int,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "n count"]:
    """Independent standard normal numbers, `count` from each stream, by the transform of Box and Muller (1958).

    The beginning of a row does not depend on `count`.
    """
    half = -(-validate.integer(count, "count", 0) // 2)
    radius, angle = polar_normals(n, half, seed=seed, start=start, component=component, part=part, dtype=dtype)
    out = torch.empty(*radius.shape, 2, dtype=radius.dtype, device="cpu")
    torch.mul(radius, angle.cos(), out=out[:, :, 0])
    torch.mul(radius, angle.sin_(), out=out[:, :, 1])
    return out.flatten(1)[:, :count]


def polar_normals(
    n: int,
    count: int,
    *,
    seed: int,
    start: int = 0,
    component: int,
    part: int = 0,
    dtype: torch.dtype = torch.float32,
    order: Int[np.ndarray, " m"] | None = None,
) -> tuple[Float[Tensor, "n m"], Float[Tensor, "n m"]]:
    """Complex numbers z = r exp(i a) whose real and imaginary parts are independent standard normal: r and a.

    They are the pairs of `normals`. The numbers of each stream are put in `order`, an array of indices below `count`,
    if it is given: before the transform, where that is cheapest.
    """
    double = is_double(dtype)
    if order is not None and double:
        order = np.stack([2 * order, 2 * order + 1], axis=1).reshape(-1)
    words = _words(n, 2 * count if double else count, seed, start, component, part, order)
    pairs = (words if double else words.view(np.uint32)).reshape(len(words), -1, 2)
    radius = torch.from_numpy(_unit(pairs[:, :, 0])).neg_().log1p_().mul_(-2).sqrt_()
    return radius, torch.from_numpy(_unit(pairs[:, :, 1])).mul_(2 * torch.pi)


def is_double(dtype: torch.dtype) -> bool:
    """Whether `dtype` is double precision; any other than single and double is refused."""
    if not isinstance(dtype, torch.dtype):
        raise TypeError(f"dtype must be torch.float32 or torch.float64, got {type(dtype).__name__}")
    if dtype not in (torch.float32, torch.float64):
        raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}; convert the images afterwards")
    return dtype == torch.float64


def _named(n: int, count: int, seed: int, start: int) -> tuple[int, int, int]:
    """Number of streams, seed and first index as Python integers; `count` is the number of words of 64 bits of each."""
    seed, n = validate.seed(seed), validate.integer(n, "n", 0)
    check_memory(8 * n * count, f"random numbers for n = {n:,} streams", "draw fewer at a time")
    return n, seed, validate.integer(start, "start", 0, LARGEST_INDEX - n)


def _unit(words: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1) from the high 24 bits of each 32, or the high 53 of each 64."""
    if words.dtype == np.uint64:
        return (words >> np.uint64(11)) * 2.0**-53
    unit = (words >> np.uint32(8)).astype(np.float32)
    unit *= np.float32(2.0**-24)
    return unit


def _words(
    n: int, count: int, seed: int, start: int, component: int, part: int, order: np.ndarray | None = None
) -> np.ndarray:
    """The first `count` words of 64 bits of n consecutive streams, in the given order, shape (n, count or m)."""
    n, seed, start = _named(n, count, seed, start)
    if count <= FEW_WORDS and n >= MANY_STREAMS and order is None:
        return _few_words(n, count, seed, start, component, part)
    out = np.empty((n, count if order is None else len(order)), dtype=np.uint64)
    philox = np.random.Philox(key=np.array([seed & WORD, seed >> 64], dtype=np.uint64))
    state: Any = philox.state
    state["state"]["counter"][1] = part
    state["state"]["counter"][3] = component
    for row, index in zip(out, range(start, start + n), strict=True):
        state["state"]["counter"][2] = index
        philox.state = state
        if order is None:
            row[:] = philox.random_raw(count)
        else:
            np.take(philox.random_raw(count), order, out=row, mode="clip")
    return out


def _few_words(n: int, count: int, seed: int, start: int, component: int, part: int) -> np.ndarray:
    """The same words by the ten rounds of Philox4x64, for all streams at once: quicker for short rows."""
    blocks = -(-count // 4)
    counter = np.empty((4, n, blocks), dtype=np.uint64)
    counter[0] = np.arange(1, blocks + 1, dtype=np.uint64)  # numpy counts before it draws
    counter[1] = part
    counter[2] = np.arange(start, start + n, dtype=np.uint64)[:, None]
    counter[3] = component
    a, b, c, d = counter
    key = [seed & WORD, seed >> 64]
    for _ in range(10):
        (high_0, low_0), (high_1, low_1) = _wide_product(a, 0xD2E7470EE14C6C93), _wide_product(c, 0xCA5A826395121157)
        a, b, c, d = high_1 ^ b ^ np.uint64(key[0]), low_1, high_0 ^ d ^ np.uint64(key[1]), low_0
        key = [(key[0] + 0x9E3779B97F4A7C15) & WORD, (key[1] + 0xBB67AE8584CAA73B) & WORD]
    return np.ascontiguousarray(np.stack([a, b, c, d], axis=-1).reshape(n, 4 * blocks)[:, :count])


def _wide_product(x: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """High and low word of the product of each x, 64 bits, with a constant of 64 bits."""
    half, mask = np.uint64(32), np.uint64(2**32 - 1)
    f_low, f_high = np.uint64(factor & (2**32 - 1)), np.uint64(factor >> 32)
    x_low, x_high = x & mask, x >> half
    middle = x_high * f_low + ((x_low * f_low) >> half)
    crossed = (middle & mask) + x_low * f_high
    return x_high * f_high + (middle >> half) + (crossed >> half), x * np.uint64(factor)


def step_generator(device: torch.device | str, component: Component, *words: int) -> torch.Generator:
    """A torch generator on `device` whose state is a pure function of its use and of integers, such as (seed, step)."""
    return torch.Generator(device).manual_seed(named_seed(component, *words))


def array_generator(component: Component, seed: int) -> np.random.Generator:
    """A NumPy generator whose state is a pure function of its use and of a seed.

    That of `BOOTSTRAP` is `np.random.default_rng(seed)`, so that intervals keep their numbers.
    """
    seed = validate.seed(seed)
    return np.random.default_rng(seed if component is Component.BOOTSTRAP else named_seed(component, seed))


def named_seed(component: Component, *words: int) -> int:
    """A seed of 63 bits for a generator of another kind: a hash of the use and of integers.

    The words of three uses differ by their number and sign alone, (seed, step), (seed, -1, pass) and (seed, index,
    block), so that what was begun by an earlier version goes on with the same numbers; the others begin with a name. The
    weights of networks keep theirs too: their seed is the word itself.
    """
    if not isinstance(component, Component):
        raise TypeError(f"component must be a Component, which names the use, got {type(component).__name__}")
    integers = [str(int(w)) for w in words]
    if component is Component.ORDER:
        integers.insert(1, "-1")
    elif component not in (Component.TRAINING, Component.SAMPLING):
        integers.insert(0, component.name)
    if component is Component.WEIGHTS:
        return int(words[0])
    digest = hashlib.blake2b(",".join(integers).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


@takes_arrays
def add_noise(
    x: Float[Tensor, "n c h w"], sigma: float | Tensor, *, seed: int = 0, start: int = 0
) -> Float[Tensor, "n c h w"]:
    """Return y = x + sigma z with z ~ N(0, Id); z of image i depends on (seed, start + i) alone.

    The same seed gives the same z at every sigma, so that curves over sigma use paired noise.

    Parameters
    ----------
    x
        Clean images, shape (batch, channels, height, width).
    sigma
        Standard deviation of the noise in the units of x: a number or a tensor of shape (batch,), above 0.

    See Also
    --------
    gahb_theory.psnr_curve, gahb_theory.jacobian

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
