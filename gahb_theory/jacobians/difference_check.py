"""Whether the derivative that torch computes is that of f.

Automatic differentiation sees what torch has recorded. A part of f under `no_grad`, behind `.data`, `detach`, NumPy or a
wrong `backward` is a constant to it, and a skip connection around that part still has a gradient: that of another
function. One product is therefore compared with central differences along one direction v,

    J v = D(h) + error,        D(h) = (f(y + h v) - f(y - h v)) / 2h .

The differences show their error themselves. D(2h) - D(h) bounds the truncation of a smooth f. The kink of a ReLU between
y - h v and y + h v adds to D(h) what it adds to (f(y + h v) - 2 f(y) + f(y - h v)) / 2h, up to the sign. Rounding is in
both. v is the sum of random signs and of y, along which norms and means change.

A derivative is refused if it is further from D(h) than these errors allow, and if D is additive in the direction,
D(v) + D(w) = D(v + w): where it is not, or where the one-sided differences keep their distance as h shrinks, f has no
derivative at y. Where the differences do not agree among themselves, nothing is concluded.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from gahb_theory.jacobians.engines.autograd import REPEATED, probe_direction
from gahb_theory.randomness import Component, step_generator

__all__ = ["UNCHECKED", "compare_with_differences", "direction", "refuse_memory"]

UNCHECKED = "could not be checked"
STEP, FINER = 2**-11.5, 16.0
"""The first step in units of ||y||, the square root of the machine precision in float32; the second is finer."""
CONCLUSIVE = 0.1
"""Largest error of differences that say something, relative to their size."""
WHOLE, PART = (4.0, 0.01), (10.0, 0.05)
"""What is allowed on the whole output and on a part of it, in units of the measured error and of the size."""
PARTS = 4
"""Parts of the output along each axis that are compared separately."""
WIDE, COUNT, STAIRS = (0.03, 0.06), 16, (4.0, 0.05)
"""Steps that average over the stairs of a function that rounds, in units of ||y||; their number; what is allowed."""

OTHER = 7920
"""Names another direction."""

Evaluation = Callable[[Tensor], Tensor]


def direction(y: Tensor) -> Tensor:
    """The direction of the comparison, of norm 1: random signs, the same on every device, and y, in equal parts."""
    generator = step_generator("cpu", Component.AGREEMENT)
    signs = 2 * torch.randint(2, y.shape, generator=generator, device="cpu") - 1
    v = functional.normalize(signs.to(y).flatten(), dim=0) + functional.normalize(y.flatten(), dim=0)
    return functional.normalize(v, dim=0).reshape(y.shape)


def refuse_memory(f: Evaluation, y: Tensor, output: Tensor) -> None:
    """Refuse a function that is not `output` at `y` when it is called there again, after another image."""
    f(y.flip(-1))
    again = f(y)
    precision = torch.finfo(y.dtype).eps
    allowed = max(precision**0.5, REPEATED) * float(output.norm()) + 100 * precision * float(y.norm())
    if not float((again - output).norm()) <= allowed:
        raise RuntimeError(
            "f gives another answer for y when it is called again, so it has no Jacobian; "
            "look for random numbers, a warm start or a cache inside f, and reset it at each call"
        )


def compare_with_differences(
    f: Evaluation, y: Tensor, output: Tensor, product: Tensor, sigma: float, *, stairs: bool = False
) -> str:
    """Compare J v for v = `direction(y)` with differences of `f`: 4 evaluations, more where they do not agree.

    Parameters
    ----------
    f
        A function of one image, shape (1, ...), evaluated without a gradient.
    y, output, product
        The image, f of it, and J v.
    sigma
        The noise level of y, which sets the length of the steps where y vanishes.
    stairs
        Whether f rounds; it is then compared over steps that are long beside the stairs as well, 32 evaluations.

    Returns
    -------
    "agrees with differences", or "could not be checked: " and why.

    Raises
    ------
    RuntimeError
        If the derivative is not that of f.
    """
    scale = float(y.norm()) or sigma * y.numel() ** 0.5
    v = direction(y)
    if stairs:
        return _over_stairs(f, y, output, product, v, scale)
    moved = False
    for h in (scale * step for step in _steps(y.dtype)):
        (near, bend), (far, wide) = _slope(f, y, output, v, h), _slope(f, y, output, v, 2 * h)
        size = torch.maximum(_sizes(near), _sizes(product))
        floor = torch.finfo(y.dtype).eps * (float(output.norm()) + scale) / (h * near.numel() ** 0.5)
        error = torch.maximum(_sizes(far - near), _sizes(bend)).clamp(min=floor)
        if moved and not bool(near.any()) and bool(product.any()):
            continue  # the step is lost in rounding inside f
        moved = moved or bool(near.any())
        if float(size[0]) <= 4 * floor:
            return "agrees with differences"
        if float(error[0]) > CONCLUSIVE * float(size[0]):
            continue
        gap = _sizes(product - near)
        wrong = gap > _allowed(error, size)
        if not bool(wrong.any()):
            return "agrees with differences"
        w = probe_direction(y, OTHER) / y.numel() ** 0.5
        bent = _sizes(near + _slope(f, y, output, w, h)[0] - _slope(f, y, output, v + w, h)[0])
        kink = float(_sizes(bend)[0]) > 4 * floor and float((wide - bend).norm()) < 0.25 * float(bend.norm())
        if kink or bool((bent > gap / 4)[wrong].any()):
            return f"{UNCHECKED}: f has a kink at y, and no derivative there"
        raise RuntimeError(_hidden(gap, size, wrong))
    return f"{UNCHECKED}: differences of f over several steps do not agree with each other"


def _steps(dtype: torch.dtype) -> tuple[float, ...]:
    precision = torch.finfo(dtype).eps ** 0.5
    first = max(STEP, precision)
    return (first, first / FINER) if 4 * precision > STEP else (first, first / FINER, precision)


def _slope(f: Evaluation, y: Tensor, output: Tensor, v: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """The central difference along v, and half the distance of the one-sided ones."""
    ahead, behind = f(y + h * v), f(y - h * v)
    return (ahead - behind) / (2 * h), (ahead - 2 * output + behind) / (2 * h)


def _sizes(x: Tensor) -> Tensor:
    """Root mean square of an output, then of its parts: of each channel, `PARTS` along each axis."""
    energy = x.square()
    whole = energy.mean().reshape(1)
    if x.ndim != 4 or min(x.shape[2:]) < 2 * PARTS:
        return whole.sqrt()
    return torch.cat([whole, functional.adaptive_avg_pool2d(energy, PARTS).flatten()]).sqrt()


def _allowed(error: Tensor, size: Tensor) -> Tensor:
    allowed = PART[0] * error + PART[1] * size + WHOLE[1] * size[0]
    allowed[0] = WHOLE[0] * error[0] + WHOLE[1] * size[0]
    return allowed


def _over_stairs(f: Evaluation, y: Tensor, output: Tensor, product: Tensor, v: Tensor, scale: float) -> str:
    """Rounding makes f flat between jumps; over many long steps the mean slope is that of what was rounded."""
    steps = [scale * (WIDE[0] + (WIDE[1] - WIDE[0]) * i / COUNT) for i in range(COUNT)]
    slopes, bends = (torch.stack(x) for x in zip(*(_slope(f, y, output, v, h) for h in steps), strict=True))
    mean, spread = slopes.mean(0), slopes.std(0) / COUNT**0.5
    error = torch.maximum(_sizes(spread), _sizes(bends.mean(0)))
    gap, size = _sizes(product - mean), torch.maximum(_sizes(mean), _sizes(product))
    wrong = gap > STAIRS[0] * error + STAIRS[1] * size
    if bool(wrong[0]):
        raise RuntimeError(_hidden(gap, size, wrong[:1]))
    return f"{UNCHECKED}: f rounds, and has no derivative between the steps that rounding makes"


def _hidden(gap: Tensor, size: Tensor, wrong: Tensor) -> str:
    worst = (gap / size).nan_to_num(0)[: len(wrong)].where(wrong, 0).max()
    return (
        f"the derivative of f that torch computes is that of another function: J v is {100 * float(worst):.0f} % off "
        "central differences of f. Look for no_grad, detach, .data, NumPy, rounding or a wrong backward inside f, or "
        "take difference_jacobian(f, y, sigma), which needs values alone"
    )
