"""Bounds of the Bayes risk from chains over what determines the images.

Let c be what determines an image (contours, parameters), m(c) = E[x | y, c] and t(c) = tr Cov[x | y, c], both exact. The true
c_0 of a simulated image is one exact draw of p(c | y), so that a chain that begins there and leaves p(c | y) invariant is
stationary: each of its states is an exact draw too. With a and b the means of m over two such chains, independent given
(y, c_0), and u_1, u_2 the means over two independent chains that begin without the truth,

    lower   E[ t(c) + ||m(c)||^2 - <a, b> ]                          <=  R,
    upper   E[ t(c) + ||m(c)||^2 - <a + b, u> + <u_1, u_2> ]         >=  R,       u = (u_1 + u_2) / 2 .

Proof. Given y, E a = E b = E m, and given c_0 too a and b are independent and alike, so that E <a, b> = E ||E[a | y, c_0]||^2
>= ||E[m | y]||^2 by Jensen's inequality. E[u | y] is a denoiser, and the second line is its risk. No mixing is used: chains
that do not mix make the interval wide, never wrong. As the chains forget where they began both tend to R. The search for
the kernel of the chains sees y alone.

Sums are kept for at most 16 segments of equal length; when they are full, neighbours are merged. All means are over the last
half of the segments, where the begin is forgotten. They are over the same states, so that the lower bound is the mean of t plus
half the mean squared distance of two states: it is never below 0, and the norm of the images cancels.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

from gahb_theory.denoisers.exact.posterior_chain import (
    BLOCK,
    Kernel,
    Search,
    States,
    Target,
    begin,
    block,
    search,
    traces,
)
from gahb_theory.progress import progress_bar
from gahb_theory.randomness import Component, step_generator

__all__ = ["TRUE_CHAINS", "Progress", "advance", "bounds", "from_stored", "start", "to_stored"]

TRUE_CHAINS, SEGMENTS = 2, 16


@dataclass(frozen=True, eq=False)
class Progress:
    """Where the chains are: the first two of each image began at the truth; and the sums of the segments so far."""

    kernel: Kernel
    states: States
    means: Tensor
    """Sums of m, (16, n, K, d)."""
    squares: Tensor
    """Sums of ||m||^2, (16, n, K)."""
    traces: Tensor
    """Sums of t, (16, n, 2): at the chains from the truth, as no bound needs it elsewhere."""
    length: int
    """Blocks in a segment."""
    blocks: int
    accepted: Tensor
    """Sum of the shares of blocks that were accepted, (n,)."""
    seconds: float

    @property
    def steps(self) -> int:
        """Steps that each chain has made."""
        return self.blocks * BLOCK


def start(target: Target, truth: Tensor, settings: Search, *, seed: int) -> Progress:
    """Search for the kernel without the truth (n, D), then put two chains there, and the others where the search ended."""
    before = time.monotonic()
    n = len(truth)
    kernel, blind = search(target, n, settings, seed=seed)
    states = begin(target, torch.cat([truth[:, None].expand(-1, TRUE_CHAINS, -1), blind], dim=1))
    chains, d = states.mean.shape[1:]
    means = torch.zeros(SEGMENTS, n, chains, d, dtype=torch.float64)
    squares = torch.zeros(SEGMENTS, n, chains, dtype=torch.float64)
    sums = torch.zeros(SEGMENTS, n, TRUE_CHAINS, dtype=torch.float64)
    accepted = torch.zeros(n, dtype=torch.float64)
    return Progress(kernel, states, means, squares, sums, 1, 0, accepted, time.monotonic() - before)


def advance(
    target: Target,
    progress: Progress,
    steps: int,
    *,
    seed: int,
    seconds: float | None = None,
    save: Callable[[Progress], None] | None = None,
) -> Progress:
    """Go on until each chain has made `steps` steps, or `seconds` have passed; `save` is called now and then, and at the end.

    Block number b uses random numbers of its own, so that an interrupted run goes on as if it had not been.
    """
    began = saved = time.monotonic()
    total = -(-steps // BLOCK)
    if progress.blocks >= total:
        return progress
    with progress_bar(total=total, initial=progress.blocks, desc="chains", unit=" blocks") as bar:
        while progress.blocks < total and (seconds is None or time.monotonic() - began < seconds):
            before = time.monotonic()
            generator = step_generator("cpu", Component.POSTERIOR, seed, progress.blocks)
            states, share = block(target, progress.states, progress.kernel, generator)
            trace = traces(target, states.z[:, :TRUE_CHAINS])
            progress = _added(progress, states, trace, share, time.monotonic() - before)
            bar.update()
            if save is not None and time.monotonic() - saved > 60:
                save(progress)
                saved = time.monotonic()
    if save is not None:
        save(progress)
    return progress


def bounds(progress: Progress) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Lower and upper bound (n,), centre (n, d), trace (n,), and blind mean (n, d) of each image, as in `Enclosed`."""
    filled = -(-progress.blocks // progress.length)
    late = slice(filled // 2, filled)
    count = progress.blocks - (filled // 2) * progress.length
    means = progress.means[late].sum(dim=0) / count
    a, u = means[:, :TRUE_CHAINS], means[:, TRUE_CHAINS:]
    centre = a.mean(dim=1)
    energy = (progress.traces + progress.squares[:, :, :TRUE_CHAINS])[late].sum(dim=0).mean(dim=1) / count
    lower = energy - _crossed(a)
    upper = energy - 2 * (centre * u.mean(dim=1)).sum(dim=1) + _crossed(u)
    return lower, upper, centre, energy - centre.square().sum(dim=1), u.mean(dim=1)


def _crossed(means: Tensor) -> Tensor:
    """Mean of <m_i, m_j> over pairs of chains i != j, (n,)."""
    k = means.shape[1]
    return (means.sum(dim=1).square().sum(dim=1) - means.square().sum(dim=(1, 2))) / (k * (k - 1))


def _added(progress: Progress, states: States, trace: Tensor, share: Tensor, seconds: float) -> Progress:
    means, squares, sums, length = progress.means, progress.squares, progress.traces, progress.length
    if progress.blocks == SEGMENTS * length:
        merged = []
        for old in (means, squares, sums):
            new = torch.zeros_like(old)
            new[: SEGMENTS // 2] = old[::2] + old[1::2]
            merged.append(new)
        (means, squares, sums), length = merged, 2 * length
    else:
        means, squares, sums = means.clone(), squares.clone(), sums.clone()
    place = progress.blocks // length
    means[place] += states.mean
    squares[place] += states.mean.square().sum(dim=2)
    sums[place] += trace
    return replace(
        progress,
        states=states,
        means=means,
        squares=squares,
        traces=sums,
        length=length,
        blocks=progress.blocks + 1,
        accepted=progress.accepted + share,
        seconds=progress.seconds + seconds,
    )


def to_stored(progress: Progress) -> dict[str, np.ndarray]:
    """Named arrays that `from_stored` turns back."""
    kernel, states = vars(progress.kernel), vars(progress.states)
    tensors = {f"kernel/{k}": v for k, v in kernel.items() if v is not None}  # chains that do not jump have no places
    tensors |= {f"states/{k}": v for k, v in states.items()}
    tensors |= {name: getattr(progress, name) for name in ("means", "squares", "traces", "accepted")}
    numbers = {name: np.asarray(getattr(progress, name)) for name in ("length", "blocks", "seconds")}
    return {name: np.ascontiguousarray(value.numpy()) for name, value in tensors.items()} | numbers


def from_stored(arrays: Mapping[str, np.ndarray]) -> Progress:
    """The progress that `to_stored` was given."""

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): torch.from_numpy(v) for k, v in arrays.items() if k.startswith(prefix)}

    tensors = {name: torch.from_numpy(arrays[name]) for name in ("means", "squares", "traces", "accepted")}
    tensors["traces"] = tensors["traces"][:, :, :TRUE_CHAINS]  # files of former versions have those of all chains
    states = part("states/")
    return Progress(
        Kernel(**part("kernel/")),
        States(*(states[field.name] for field in fields(States))),
        length=int(arrays["length"]),
        blocks=int(arrays["blocks"]),
        seconds=float(arrays["seconds"]),
        **tensors,
    )
