"""Linear measurements m = A x of images: which pixels, blocks, frequencies or projections of an image are known.

A measurement is any object with two methods, A(x) and its adjoint A_adjoint(m), <A x, m> = <x, A_adjoint m>, both for a
batch; these are the names that the operators of deepinv have. `pseudo_inverse` finds A^+ for it, with which

    P = A^+ A                                       projects orthogonally on what A measures, and
    x + A^+ (m - A x) = (Id - P) x + A^+ m          is the image nearest to x with the measurements m.

Where the rows of A are orthonormal, A^+ is the adjoint: the case of Kadkhodaie and Simoncelli (NeurIPS 2021), whose M is
the transpose of A here. Nothing depends on more than P and A^+ m, so that rows need no normalisation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.randomness import Component, normals

__all__ = [
    "BlockMeans",
    "CircularBlur",
    "Inpainting",
    "Measurement",
    "Projections",
    "check_measurement",
    "pseudo_inverse",
]

Inverse: TypeAlias = Callable[[Tensor], Tensor]
TOLERANCE, PROBES = 1e-3, 4
"""How far P may be from an orthogonal projection, on so many random images."""
MOST_ITERATIONS = 500


@runtime_checkable
class Measurement(Protocol):
    """Anything with A(x) and A_adjoint(m); a method A_dagger, if there is one, is taken for A^+ where it is right."""

    def A(self, x: Tensor, /) -> Tensor:
        """The measurements of a batch of images, n first."""
        ...

    def A_adjoint(self, m: Tensor, /) -> Tensor:
        """The adjoint, a batch of images."""
        ...


@dataclass(frozen=True, eq=False)
class Inpainting:
    """The pixels of a mask, as rows of numbers; A_adjoint puts them back into a black image.

    Parameters
    ----------
    mask
        True where a pixel is known, shape (1, channels, height, width), the same for all images.

    Examples
    --------
    >>> mask = torch.tensor([[[[True, False, True]]]])
    >>> measurement = Inpainting(mask)
    >>> m = measurement.A(torch.tensor([[[[0.1, 0.2, 0.3]]]]))
    >>> m, measurement.A_adjoint(m)
    (tensor([[0.1000, 0.3000]]), tensor([[[[0.1000, 0.0000, 0.3000]]]]))
    """

    mask: Bool[Tensor, "1 c h w"]

    def __post_init__(self) -> None:
        mask = self.mask
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.ndim != 4 or len(mask) != 1:
            raise ValueError(
                "mask must be a tensor of booleans, shape (1, channels, height, width); make one with x[:1] > 0"
            )
        if not bool(mask.any()):
            raise ValueError("mask must be True somewhere, or nothing is measured; call generate for that")

    def A(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """The known pixels."""
        _fits(x, self.mask.shape[1:])
        return x.flatten(1)[:, self.mask.flatten().to(x.device)]

    def A_adjoint(self, m: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
        """Images with the known pixels, 0 elsewhere."""
        count = int(self.mask.sum())
        if m.ndim != 2 or m.shape[1] != count:
            raise ValueError(f"the mask has {count} known pixels, got {m.shape[-1]} numbers an image")
        x = m.new_zeros(len(m), self.mask.numel())
        x[:, self.mask.flatten().to(m.device)] = m
        return x.reshape(len(m), *self.mask.shape[1:])


@dataclass(frozen=True)
class BlockMeans:
    """The means of blocks of factor x factor pixels: an image of low resolution, for super-resolution.

    Parameters
    ----------
    factor
        Side of a block; it divides the sides of the images.

    Examples
    --------
    >>> measurement = BlockMeans(2)
    >>> m = measurement.A(torch.tensor([[[[0.0, 0.2], [0.4, 0.6]]]]))
    >>> m, measurement.A_dagger(m)
    (tensor([[[[0.3000]]]]), tensor([[[[0.3000, 0.3000],
              [0.3000, 0.3000]]]]))
    """

    factor: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", validate.integer(self.factor, "factor", 1))

    def A(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c u v"]:
        """The means of the blocks."""
        if x.shape[-1] % self.factor or x.shape[-2] % self.factor:
            raise ValueError(f"the sides of images must be multiples of factor = {self.factor}, got {tuple(x.shape)}")
        return F.avg_pool2d(x, self.factor)

    def A_adjoint(self, m: Float[Tensor, "n c u v"]) -> Float[Tensor, "n c h w"]:
        """Blocks of each number, divided by the pixels of a block."""
        return self.A_dagger(m) / self.factor**2

    def A_dagger(self, m: Float[Tensor, "n c u v"]) -> Float[Tensor, "n c h w"]:
        """Blocks of each number: the smallest image with these means."""
        return m.repeat_interleave(self.factor, dim=-1).repeat_interleave(self.factor, dim=-2)


@dataclass(frozen=True, eq=False)
class CircularBlur:
    """Convolution of each channel with a kernel, the image continued periodically, for deblurring.

    Frequencies that the kernel damps to less than `floor` of the largest gain are not taken for measured: their
    measurements are dropped by A_dagger, where they would be blown up with all errors they have.

    Parameters
    ----------
    kernel
        Shape (height, width), at most that of the images; its centre is the pixel (height // 2, width // 2).
    floor
        Smallest gain that counts, relative to the largest, in (0, 1).

    Examples
    --------
    >>> blur = CircularBlur.gaussian(1.0)
    >>> x = torch.zeros(1, 1, 9, 9)
    >>> x[..., 4, 4] = 1.0
    >>> round(float(blur.A(x)[..., 4, 4]), 3), round(float(blur.A(x).sum()), 3)
    (0.159, 1.0)
    """

    kernel: Float[Tensor, "a b"]
    floor: float = 1e-2

    def __post_init__(self) -> None:
        validate.tensor(self.kernel, "kernel", ("height", "width"))
        if not bool(self.kernel.any()):
            raise ValueError("kernel must not be 0 everywhere, or nothing is measured")
        if not 0 < validate.number(self.floor, "floor") < 1:
            raise ValueError(f"floor is a share of the largest gain and must lie between 0 and 1, got {self.floor:g}")

    @classmethod
    def gaussian(cls, width: float, *, floor: float = 1e-2) -> "CircularBlur":
        """Blur by a Gaussian of this standard deviation in pixels, cut at four of them and normalised to sum 1."""
        width = validate.positive(width, "width")
        reach = max(1, round(4 * width))
        line = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, dtype=torch.float64, device="cpu") / width) ** 2)
        kernel = torch.outer(line, line)
        return cls(kernel / kernel.sum(), floor)

    def A(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The blurred images."""
        return self._filtered(x, self._gain(x))

    def A_adjoint(self, m: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Convolution with the kernel turned by half a turn."""
        return self._filtered(m, self._gain(m).conj())

    def A_dagger(self, m: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The images divided by the gain, at the frequencies that count."""
        gain = self._gain(m)
        counts = gain.abs() > self.floor * gain.abs().max()
        return self._filtered(m, torch.where(counts, 1 / torch.where(counts, gain, 1.0), 0.0))

    def _gain(self, x: Tensor) -> Tensor:
        """The Fourier transform of the kernel, its centre put at the pixel (0, 0)."""
        (a, b), (h, w) = self.kernel.shape, x.shape[-2:]
        if a > h or b > w:
            raise ValueError(f"kernel must fit into the images, got {a} x {b} for images of {h} x {w}; crop it")
        padded = F.pad(self.kernel.to(x.device, x.dtype), (0, w - b, 0, h - a))
        return torch.fft.rfft2(padded.roll((-(a // 2), -(b // 2)), dims=(0, 1)))

    def _filtered(self, x: Tensor, gain: Tensor) -> Tensor:
        return torch.fft.irfft2(torch.fft.rfft2(x) * gain, s=x.shape[-2:])


@dataclass(frozen=True, eq=False)
class Projections:
    """Inner products with orthonormal images, of compressive sensing.

    Parameters
    ----------
    rows
        The images, shape (k, channels, height, width), orthonormal.

    Examples
    --------
    >>> measurement = Projections.random((1, 4, 4), 3, seed=0)
    >>> measurement.A(torch.ones(5, 1, 4, 4)).shape
    torch.Size([5, 3])
    """

    rows: Float[Tensor, "k c h w"]

    def __post_init__(self) -> None:
        flat = validate.images(self.rows, "rows").flatten(1).double()
        error = float((flat @ flat.mT - torch.eye(len(flat), dtype=flat.dtype, device=flat.device)).abs().max())
        if error > 1e3 * torch.finfo(self.rows.dtype).eps:
            raise ValueError(f"rows must be orthonormal images, they are off by {error:.1e}; use torch.linalg.qr")

    @classmethod
    def random(cls, shape: tuple[int, int, int], count: int, *, seed: int = 0) -> "Projections":
        """Projections on a random subspace of this dimension, all directions equally likely."""
        sizes = validate.sizes(shape, 3)
        d = math.prod(sizes)
        count = validate.integer(count, "count", 1, d)
        drawn = normals(count, d, seed=seed, component=Component.MEASUREMENT, dtype=torch.float64)
        basis, triangle = torch.linalg.qr(drawn.mT)
        return cls((basis * triangle.diagonal().sign()).mT.reshape(count, *sizes))

    def A(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """The inner products."""
        _fits(x, self.rows.shape[1:])
        return x.flatten(1) @ self.rows.to(x.device, x.dtype).flatten(1).mT

    def A_adjoint(self, m: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
        """The sums of the rows with these coefficients."""
        return torch.einsum("nk,kchw->nchw", m, self.rows.to(m.device, m.dtype))


def pseudo_inverse(measurement: Measurement, like: Float[Tensor, "1 c h w"]) -> Inverse:
    """The function A^+ of a measurement, checked: A^+ A is an orthogonal projection.

    It is the adjoint if the rows of A are orthonormal, else the method A_dagger if there is one and it is right, else
    A_adjoint (A A_adjoint)^-1 by conjugate gradients.

    Parameters
    ----------
    measurement
        Any object with A(x) and A_adjoint(m); A is linear and treats each image alike.
    like
        An image of the shape, dtype and device of those to come.

    Raises
    ------
    TypeError
        If a method is missing.
    ValueError
        If none of the three is right, as where A has small singular values.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 4, 4)
    >>> pseudo_inverse(BlockMeans(2), x)(torch.ones(1, 1, 2, 2)).shape
    torch.Size([1, 1, 4, 4])
    """
    check_measurement(measurement)
    d = like[0].numel()
    probes = normals(PROBES, d, seed=0, component=Component.MEASUREMENT, part=1)
    x = probes.reshape(PROBES, *like.shape[1:]).to(like.device, like.dtype)
    m = measurement.A(x)
    if not isinstance(m, Tensor) or len(m) != PROBES or not m.is_floating_point():
        raise TypeError("measurement.A must return a tensor of real numbers, one row for each image")
    candidates = [measurement.A_adjoint, getattr(measurement, "A_dagger", None), _by_conjugate_gradients(measurement)]
    for inverse in candidates:
        if callable(inverse) and _projects(measurement, inverse, x):
            return inverse
    raise ValueError(
        "no pseudo-inverse of measurement was found: A_adjoint is not the adjoint of A, or A has small singular values; "
        "give it a method A_dagger that drops them, as CircularBlur does"
    )


def check_measurement(measurement: Measurement) -> None:
    """Refuse what lacks A or A_adjoint."""
    if not all(callable(getattr(measurement, name, None)) for name in ("A", "A_adjoint")):
        raise TypeError(f"measurement must have methods A and A_adjoint, got {type(measurement).__name__}")


def _projects(measurement: Measurement, inverse: Inverse, x: Tensor) -> bool:
    """Whether P = A^+ A is an orthogonal projection other than 0.

    For P P = P, E<P x, x - P x> = tr P - ||P||^2 is the squared distance of P from its orthogonal projection, up to sign.
    """
    once = inverse(measurement.A(x))
    if not isinstance(once, Tensor) or once.shape != x.shape or not bool(once.isfinite().all()):
        return False
    twice = inverse(measurement.A(once))
    size, of_x = once.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1)
    idempotent = (twice - once).flatten(1).norm(dim=1) <= TOLERANCE * size
    orthogonal = (once * (x - once)).flatten(1).sum(dim=1).abs() <= TOLERANCE * size * of_x
    return bool((idempotent & orthogonal & (size > 0)).all())


def _by_conjugate_gradients(measurement: Measurement) -> Inverse:
    """A_adjoint (A A_adjoint)^-1 m, each image of the batch on its own; consistent m, as all A x are, need no full rank."""

    def inverse(m: Tensor) -> Tensor:
        shape = (-1,) + (1,) * (m.ndim - 1)

        def inner(a: Tensor, b: Tensor) -> Tensor:
            return (a * b).flatten(1).sum(dim=1).reshape(shape)

        w, residual = torch.zeros_like(m), m
        direction, remainder = m, inner(m, m)
        goal = torch.finfo(m.dtype).eps ** 1.5 * remainder  # 6e-6 of the residual in float32
        for _ in range(MOST_ITERATIONS):
            if bool((remainder <= goal).all()):
                break
            image = measurement.A(measurement.A_adjoint(direction))
            curvature = inner(direction, image)
            going = (remainder > goal) & (curvature > 0)
            length = torch.where(going, remainder / torch.where(going, curvature, 1.0), 0.0)
            w, residual = w + length * direction, residual - length * image
            fresh = inner(residual, residual)
            direction = residual + fresh / torch.where(remainder > 0, remainder, 1.0) * direction
            remainder = fresh
        return measurement.A_adjoint(w)

    return inverse


def _fits(x: Tensor, shape: torch.Size) -> None:
    if x.shape[1:] != shape:
        raise ValueError(f"the measurement is of images of shape {tuple(shape)}, got {tuple(x.shape[1:])}")
