"""How a denoiser behaves: what theory asks of the optimal one, measured on the one at hand.

    homogeneity       f(s y) = s f(y)                      networks without additive constants
    conservativity    J = J^T                              E[x | y] = y + sigma^2 grad log p is a gradient
    equivariance      f(T y) = T f(y)                      E[x | y], where the law of images does not change under T
    receptive field   d f_i / d y_j = 0 far from i         locality (Kadkhodaie et al. 2023; Kamb and Ganguli 2025)

None of these is a promise of the contract, so they are reported and not asserted. Equivariance to shifts is measured
away from the border, where padding breaks it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images import Photographs
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import Component, add_noise, step_generator

__all__ = ["Behaviour", "measure_behaviour"]

PROBES = 8


@dataclass(frozen=True)
class Behaviour:
    """Measured properties of a denoiser; all errors are relative, 0 for a property that holds.

    Parameters
    ----------
    homogeneity_error
        Distance of f(2 y, 2 sigma) / 2 and f(y, sigma).
    asymmetry
        ||J - J^T|| / ||J|| in the Frobenius norm, estimated from 8 random directions, exact where there are at most 8
        pixels. NaN where the output has another shape than the input.
    receptive_field
        Height and width of the window that the middle pixel of the output depends on; it is cut off by the image.
    clamps
        Least and greatest value where the output is cut off, None on a side without.
    shift_error, flip_error, rotation_error
        Distance of f(T y) and T f(y) for a shift by one row and one column, the larger of the two flips, and a quarter
        turn (NaN for images that are not square).
    """

    homogeneity_error: float
    asymmetry: float
    receptive_field: tuple[int, int]
    clamps: tuple[float | None, float | None]
    shift_error: float
    flip_error: float
    rotation_error: float


def measure_behaviour(
    f: Callable[[Tensor, float | Tensor], Tensor],
    shape: Sequence[int] = (1, 32, 32),
    sigma: float = 0.1,
    dtype: torch.dtype = torch.float32,
) -> Behaviour:
    """Measure how a denoiser behaves at a noisy photograph.

    Parameters
    ----------
    f
        A denoiser f(y, sigma), in eval mode.
    shape
        Images to try, (channels, height, width).
    sigma
        Noise level, in (0, 5].
    dtype
        Precision to try.

    Examples
    --------
    A moving average is linear, symmetric and local:

    >>> import torch
    >>> def f(y, sigma):
    ...     return torch.nn.functional.avg_pool2d(y, 5, stride=1, padding=2)
    >>> found = measure_behaviour(f)
    >>> found.receptive_field, found.clamps, found.asymmetry < 1e-5, found.flip_error < 1e-5
    ((5, 5), (None, None), True, True)
    """
    validate.evaluation_mode(f)
    channels, height, width = (validate.integer(s, "each of shape", 1) for s in shape)
    side = max(16, height, width)
    x = Photographs(size=side).sample(1, seed=0)[:, :, :height, :width].to(dtype).expand(-1, channels, -1, -1)
    y = add_noise(x.contiguous(), sigma, seed=0)
    with torch.no_grad():
        out = f(y, sigma)
        flips = [_relative(f(y.flip(axis), sigma), out.flip(axis)) for axis in (2, 3)]
        turned = _relative(f(y.rot90(1, (2, 3)), sigma), out.rot90(1, (2, 3))) if height == width else float("nan")
        return Behaviour(
            homogeneity_error=_relative(f(2 * y, 2 * sigma) / 2, out),
            asymmetry=_asymmetry(f, y, sigma) if out.shape == y.shape else float("nan"),
            receptive_field=_receptive_field(f, y, sigma),
            clamps=_clamps(f, y, sigma),
            shift_error=_shift_error(f, y, sigma, out),
            flip_error=max(flips),
            rotation_error=turned,
        )


def _relative(a: Tensor, b: Tensor) -> float:
    size = float(b.norm())
    return float((a - b).norm()) / size if size > 0 else float((a - b).norm())


def _asymmetry(f: Callable[[Tensor, float | Tensor], Tensor], y: Tensor, sigma: float) -> float:
    """E ||(J - J^T) v||^2 over random signs v is the squared Frobenius norm (Hutchinson 1990)."""
    J = jacobian(f, y, sigma)
    d = y.numel()
    if d <= PROBES:
        return J.asymmetry()
    generator = step_generator("cpu", Component.BEHAVIOUR)
    v = (2 * torch.randint(0, 2, (d, PROBES), generator=generator) - 1).to(y)
    forward, backward = J.matvec(v), J.rmatvec(v)
    return _relative(forward, backward) * float(backward.norm() / ((forward.norm() + backward.norm()) / 2))


def _receptive_field(f: Callable[[Tensor, float | Tensor], Tensor], y: Tensor, sigma: float) -> tuple[int, int]:
    with torch.enable_grad():
        z = y.clone().requires_grad_(True)
        out = f(z, sigma)
        middle = out[0, :, out.shape[2] // 2, out.shape[3] // 2].sum()
        (gradient,) = torch.autograd.grad(middle, z, allow_unused=True) if middle.requires_grad else (None,)
    if gradient is None:
        return 0, 0
    seen = gradient[0].abs().amax(dim=0) > 0
    spans = [torch.nonzero(seen.any(dim=1 - axis)).flatten() for axis in (0, 1)]
    height, width = (int(s[-1] - s[0]) + 1 if len(s) else 0 for s in spans)
    return height, width


def _clamps(
    f: Callable[[Tensor, float | Tensor], Tensor], y: Tensor, sigma: float
) -> tuple[float | None, float | None]:
    """A bound that many pixels of a very bright, or very dark, image meet to the last bit."""
    found: list[float | None] = []
    for factor, extreme in ((-3.0, torch.amin), (3.0, torch.amax)):
        out = f(factor * (y + 0.5), sigma)
        bound = extreme(out)
        met = float((out == bound).float().mean())
        flat = bool((out == out.flatten()[0]).all()) and bool((f(y, sigma) == bound).all())
        found.append(float(bound) if met > 0.05 and not flat else None)
    return found[0], found[1]


def _shift_error(f: Callable[[Tensor, float | Tensor], Tensor], y: Tensor, sigma: float, out: Tensor) -> float:
    """Distance of f(shifted y) and shifted f(y), on the inner half."""
    height, width = out.shape[2:]
    rows, columns = slice(height // 4, height - height // 4), slice(width // 4, width - width // 4)
    shifted, expected = f(y.roll((1, 1), (2, 3)), sigma), out.roll((1, 1), (2, 3))
    return _relative(shifted[:, :, rows, columns], expected[:, :, rows, columns])
