"""Properties that theory derives for the optimal denoiser, measured on a given one.

    homogeneity       f(s y) = s f(y)                      networks without additive constants
    conservativity    J = J^T                              E[x | y] = y + sigma^2 grad log p is a gradient
    equivariance      f(T y) = T f(y)                      E[x | y], where the distribution of images is invariant under T
    receptive field   d f_i / d y_j = 0 far from i         locality (Kadkhodaie et al. 2023; Kamb and Ganguli 2025)

The interface of denoisers demands none of these, so they are reported and not asserted. Equivariance to shifts is measured
away from the border, where padding breaks it. The receptive field is what gradients at several pixels of several noisy
images do not leave at 0, since at one pixel of one image a ReLU may be closed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images import Photographs
from gahb_theory.jacobians import Jacobian, jacobian
from gahb_theory.jacobians.difference_check import refuse_memory
from gahb_theory.precision import full_precision
from gahb_theory.randomness import Component, add_noise, step_generator
from gahb_theory.stored_results import Result

__all__ = ["Behaviour", "measure_behaviour"]

PROBES = 8
LARGEST = 4096
"""Pixels along each side, at most."""

Estimate = Callable[[Tensor, float | Tensor], Tensor]


@dataclass(frozen=True, repr=False)
class Behaviour(Result):
    """Measured properties of a denoiser; all errors are relative, 0 for a property that holds.

    Parameters
    ----------
    homogeneity_error
        Distance of f(2 y, 2 sigma) / 2 and f(y, sigma).
    asymmetry
        ||J - J^T|| / ||J|| in the Frobenius norm, estimated from 8 random directions, exact where there are at most 8
        pixels. 0 where J = 0, as for a constant denoiser. NaN where the output has another shape than the input.
    receptive_field
        Height and width of the window that a pixel of the output depends on, the largest of several pixels near the
        middle, each at several images together; it is cut off by the image. (0, 0) for a constant denoiser.
    clamps
        Least and greatest value where the output is cut off, None on a side without.
    shift_error, flip_error, rotation_error
        Distance of f(T y) and T f(y) for a shift by one row and one column, the larger of the two flips, and a quarter
        turn (NaN for images that are not square).
    check
        Whether J agrees with differences of f, or why that could not be checked; see `Jacobian`.
    """

    homogeneity_error: float
    asymmetry: float
    receptive_field: tuple[int, int]
    clamps: tuple[float | None, float | None]
    shift_error: float
    flip_error: float
    rotation_error: float
    check: str = ""


@full_precision
def measure_behaviour(
    f: Callable[[Tensor, float | Tensor], Tensor],
    shape: Sequence[int] = (1, 32, 32),
    sigma: float = 0.1,
    dtype: torch.dtype = torch.float32,
) -> Behaviour:
    """The measured properties of a denoiser at a noisy photograph.

    Parameters
    ----------
    f
        A denoiser f(y, sigma), in eval mode.
    shape
        Images to try, (channels, height, width).
    sigma
        Noise level; twice as much is tried, too.
    dtype
        Precision to try.

    Raises
    ------
    TypeError, ValueError
        If shape, sigma or dtype is none, or if f does not return finite real images of the height and width of y.
    RuntimeError
        If f is in train mode, is random or remembers its last call, or if a part of it is hidden from automatic
        differentiation, see `jacobian`.

    See Also
    --------
    gahb_theory.probe, gahb_theory.testing.check_denoiser

    Examples
    --------
    A moving average is linear, symmetric and local:

    >>> import torch
    >>> def f(y, sigma):
    ...     return torch.nn.functional.avg_pool2d(y, 5, stride=1, padding=2)
    >>> behaviour = measure_behaviour(f)
    >>> behaviour.receptive_field, behaviour.clamps, behaviour.asymmetry < 1e-5, behaviour.flip_error < 1e-5
    ((5, 5), (None, None), True, True)
    """
    validate.denoiser(f)
    sizes, dtype = validate.sizes(shape, 3), validate.floating(dtype)
    if max(sizes) > LARGEST:
        raise ValueError(f"each of shape must be at most {LARGEST}, got {sizes}")
    sigma = validate.sigma_level(sigma)
    channels, height, width = sizes
    x = Photographs(size=max(16, height, width)).sample(1, seed=0)[:, :, :height, :width].to(dtype)
    x = x.expand(-1, channels, -1, -1).contiguous()
    y = add_noise(x, sigma, seed=0)

    def estimate(z: Tensor, level: float | Tensor) -> Tensor:
        validate.evaluation_mode(f)
        out = validate.images(f(z, level), "what f returned")
        if out.shape[0] != z.shape[0] or out.shape[2:] != z.shape[2:] or out.dtype != z.dtype:
            raise ValueError(
                f"f must return images of the height, width and dtype of its input, {tuple(z.shape)} and {z.dtype}, "
                f"got {tuple(out.shape)} and {out.dtype}"
            )
        return out

    with torch.no_grad():
        out = estimate(y, sigma)
        flips = [_relative(estimate(y.flip(axis), sigma), out.flip(axis)) for axis in (2, 3)]
        turned = float("nan")
        if height == width:
            turned = _relative(estimate(y.rot90(1, (2, 3)), sigma), out.rot90(1, (2, 3)))
        homogeneity_error = _relative(estimate(2 * y, 2 * sigma) / 2, out)
        clamps, shift_error = _clamps(estimate, y, sigma), _shift_error(estimate, y, sigma, out)
        refuse_memory(lambda z: estimate(z, sigma), y, out)
    fields = _receptive_field(estimate, [(y, sigma), (add_noise(1 - x, 2 * sigma, seed=1), 2 * sigma)])
    constant = fields == (0, 0) and bool((estimate(2 * y, sigma) == out).all())
    J = None if constant else jacobian(f, y, sigma)
    return Behaviour(
        homogeneity_error=homogeneity_error,
        asymmetry=float("nan") if out.shape != y.shape else _asymmetry(J) if J is not None else 0.0,
        receptive_field=fields,
        clamps=clamps,
        shift_error=shift_error,
        flip_error=max(flips),
        rotation_error=turned,
        check="agrees with differences" if J is None else J.check,
    )


def _relative(a: Tensor, b: Tensor) -> float:
    size = float(b.norm())
    return float((a - b).norm()) / size if size > 0 else float((a - b).norm())


def _asymmetry(J: Jacobian) -> float:
    """E ||(J - J^T) v||^2 over random signs v is the squared Frobenius norm (Hutchinson 1990)."""
    d = J.shape[0]
    if d <= PROBES:
        return J.asymmetry()
    generator = step_generator("cpu", Component.BEHAVIOUR)
    v = (2 * torch.randint(0, 2, (d, PROBES), generator=generator, device="cpu") - 1).to(J.device, J.dtype)
    forward, backward = J.matvec(v), J.rmatvec(v)
    size = float((forward.norm() + backward.norm()) / 2)
    return float((forward - backward).norm()) / size if size > 0 else 0.0


def _receptive_field(f: Estimate, images: list[tuple[Tensor, float]]) -> tuple[int, int]:
    """The largest window, over pixels near the middle, of what a pixel depends on at any of the images."""
    height, width = images[0][0].shape[2:]
    row, column, down, right = height // 2, width // 2, height // 8, width // 8
    pixels = sorted({(row + i * down, column + j * right) for i in (-1, 0, 1) for j in (-1, 0, 1) if i * i == j * j})
    seen = torch.zeros(len(pixels), height, width, dtype=torch.bool, device=images[0][0].device)
    for y, sigma in images:
        z = y.detach().clone().requires_grad_(True)
        with torch.enable_grad():
            out = f(z, sigma)
        if not out.requires_grad:
            continue
        weights = torch.linspace(1, 2, out.shape[1], dtype=out.dtype, device=out.device)  # a plain sum may cancel
        for number, (i, j) in enumerate(pixels):
            value = (weights * out[0, :, i, j]).sum()
            (gradient,) = torch.autograd.grad(value, z, retain_graph=True, allow_unused=True)
            if gradient is not None:
                seen[number] |= (gradient[0] != 0).any(dim=0)
    return _extent(seen.any(dim=2)), _extent(seen.any(dim=1))


def _extent(hit: Tensor) -> int:
    """The largest distance of the first and the last of the places that are hit, both counted, over the rows."""
    places = torch.arange(hit.shape[1], device=hit.device)
    last, first = torch.where(hit, places, -1).amax(dim=1), torch.where(hit, places, len(places)).amin(dim=1)
    return max(0, int((last - first).max()) + 1)


def _clamps(f: Estimate, y: Tensor, sigma: float) -> tuple[float | None, float | None]:
    """A bound that many pixels of a very bright, or very dark, image meet to the last bit."""
    bounds: list[float | None] = []
    for factor, extreme in ((-3.0, torch.amin), (3.0, torch.amax)):
        out = f(factor * (y + 0.5), sigma)
        bound = extreme(out)
        met = float((out == bound).float().mean())
        flat = bool((out == out.flatten()[0]).all()) and bool((f(y, sigma) == bound).all())
        bounds.append(float(bound) if met > 0.05 and not flat else None)
    return bounds[0], bounds[1]


def _shift_error(f: Estimate, y: Tensor, sigma: float, out: Tensor) -> float:
    """Distance of f(shifted y) and shifted f(y), on the inner half."""
    height, width = out.shape[2:]
    rows, columns = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
    shifted, expected = f(y.roll((1, 1), (2, 3)), sigma), out.roll((1, 1), (2, 3))
    return _relative(shifted[:, :, rows, columns], expected[:, :, rows, columns])
