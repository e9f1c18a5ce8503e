"""Trials of networks that may see the time of a diffusion, for `probe`.

A schedule, a range and a prediction are tried together, at the times that the noise levels have by that schedule. At small
noise all schedules are alike (a is near 1, and the velocity near the noise), so that levels up to 0.8 decide between them;
at larger ones little more than the mean of an image can be known.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gahb_theory.denoisers.adapters import first_half, returned_images, tensor_in
from gahb_theory.denoisers.diffusion import EDM, DiffusionConvention, FlowMatching, TimeConvention
from gahb_theory.denoisers.schedules import SCHEDULES

__all__ = ["TIMES", "WIDE_LEVELS", "describe", "known_levels", "same_map", "timed_estimates"]

WIDE_LEVELS = (0.02, 0.05, 0.15, 0.4, 0.8)
TIMES: dict[str, TimeConvention] = {
    **{f"the {name} schedule": DiffusionConvention(table()) for name, table in SCHEDULES.items()},
    "flow matching, times to 1000,": FlowMatching(),
    "flow matching, times to 1,": FlowMatching(steps=1),
    "flow matching, data at 1,": FlowMatching(steps=1, noise_at=0),
    "EDM": EDM(),
}
"""The conventions of networks that see a time which are tried without being given."""


def known_levels(levels: Sequence[float], conventions: Sequence[TimeConvention]) -> tuple[float, ...]:
    """The noise levels that all conventions know, with their doubles."""
    ends = [[end / (c.high - c.low) for end in c.ends] for c in conventions]
    return tuple(s for s in levels if all(lowest <= s and 2 * s <= highest for lowest, highest in ends))


def timed_estimates(
    net: Callable[..., Any], given: TimeConvention, y: Tensor, sigma: Tensor, errors: list[str]
) -> Iterator[tuple[TimeConvention, Tensor]]:
    """The estimates of a network by one schedule, in each range and for each prediction; nothing where it ignores the time."""
    for low, high in ((-1.0, 1.0), (0.0, 1.0)):
        base = replace(given, low=low, high=high)
        u, s = low + (high - low) * y, ((high - low) * sigma)[:, None, None, None]
        if base.ends[0] > float(s.min()) or base.ends[1] < 2 * float(s.max()):
            continue
        for way in _ways(base):
            try:
                levels = (s.flatten(), s.flatten().flip(0))
                returned = [tensor_in(net(way.scale(s) * u, way.time(level))) for level in levels]
                if isinstance(way, DiffusionConvention) and returned[0].shape[1:2] == (2 * u.shape[1],):
                    way = replace(way, learned_variance=True)
                    returned = [first_half(r, u) for r in returned]
                returned = [returned_images(r, u) for r in returned]
            except Exception as error:  # whatever a network raises where it is called as it should not be
                errors.append(f"time: {type(error).__name__}: {' '.join(str(error).split())[:80]}")
                continue
            if not bool(torch.isfinite(returned[0]).all()) or same_map(*returned):
                return
            for convention in _predictions(way):
                yield convention, (convention.clean(returned[0], u, s) - low) / (high - low)
            break


def _ways(base: TimeConvention) -> list[TimeConvention]:
    """Times between those of the table first; whole times for networks that look them up."""
    if isinstance(base, DiffusionConvention):
        return [replace(base, times="continuous"), replace(base, times="nearest")]
    return [base]


def _predictions(base: TimeConvention) -> list[TimeConvention]:
    """A convention with each of its predictions."""
    if isinstance(base, EDM):
        return [replace(base, sign=1), replace(base, sign=-1)]
    return [replace(base, prediction="noise"), replace(base, prediction="clean"), replace(base, prediction="velocity")]


def describe(c: TimeConvention) -> str:
    """A convention in words."""
    same = [name for name, other in TIMES.items() if _schedule(other) == _schedule(c)]
    returned = ("F" if c.sign == 1 else "-F") if isinstance(c, EDM) else f"the {c.prediction}"
    return f"net(z, t) by {same[0] if same else 'the schedule given'} returns {returned} of images in [{c.low:g}, {c.high:g}]"


def _schedule(c: TimeConvention) -> Any:
    if isinstance(c, DiffusionConvention):
        return c.alphas_cumprod
    return ("flow", c.steps, c.noise_at) if isinstance(c, FlowMatching) else ("EDM", c.sigma_data)


def same_map(a: Tensor, b: Tensor) -> bool:
    """Whether two outputs are equal up to a thousandth."""
    return bool((a - b).norm() <= 1e-3 * b.norm())
