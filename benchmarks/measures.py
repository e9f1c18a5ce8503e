"""What sampling, splitting and traces cost, as ratios measured in one run.

    python benchmarks/measures.py

A sampling step against a forward pass of the same batch; near-duplicates through the bound of 65 numbers against products
of all pixels; exact traces of a batch against one Jacobian after the other.
"""

import importlib
import time
from collections.abc import Callable

import torch

import gahb_theory as gt
from gahb_theory.sampling.samples import scheduled_level

SPLIT = importlib.import_module("gahb_theory.images.halves")  # the function of the same name hides it


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Processor time, which other programs disturb least: best of several runs."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def sampling(channels: int, size: int, batch: int) -> None:
    """All of a step of the sampler but the denoiser, against a forward pass of the same batch."""
    f, steps = gt.UNet(channels, 3).eval(), 128
    x = torch.zeros(batch, 1, size, size)
    with torch.no_grad():
        f(x, 0.1)
        forward = seconds(lambda: f(x, 0.1), 10)

    def rest() -> None:
        # as many steps as are asked for, since what this follows is the schedule
        gt.generate(lambda y, sigma: sigma * y, x.shape, max_steps=steps, level=scheduled_level, batch_size=batch)

    ratio = 1 + seconds(rest, 3) / (steps + 1) / forward
    print(f"sampling, UNet {channels}x3, {batch} images {size}x{size}: a step takes {ratio:.3f} forward passes")


def splitting(n: int, size: int) -> None:
    """The bound against all pixels; both give the same images."""
    x = gt.CAlpha(alpha=1.0, size=size).sample(n)
    fast = seconds(lambda: gt.distinct(x), 2)
    crowded, SPLIT.CROWDED = SPLIT.CROWDED, -1.0
    try:
        dense = seconds(lambda: gt.distinct(x), 2)
    finally:
        SPLIT.CROWDED = crowded
    print(
        f"near-duplicates, {n} images {size}x{size}: {dense / fast:.1f} times as fast as with all pixels ({fast:.2f} s)"
    )


def traces(n: int, size: int) -> None:
    """A batch at once against one Jacobian after the other."""
    f, y = gt.UNet(8, 1).eval(), gt.add_noise(torch.zeros(n, 1, size, size), 0.1)
    batched = seconds(lambda: gt.exact_trace(f, y, 0.1), 2)
    looped = seconds(lambda: [gt.jacobian(f, y[i : i + 1], 0.1).trace() for i in range(n)], 2)
    probed = seconds(lambda: gt.Hutchinson(16)(f, y, 0.1), 2)
    print(
        f"traces, {n} images {size}x{size}: {looped / batched:.2f} times as fast as one Jacobian after the other, "
        f"{batched / probed:.0f} times as slow as 16 probes"
    )


def main() -> None:
    """Print one line for each case."""
    for channels, size, batch in ((16, 32, 32), (32, 32, 32), (16, 64, 16)):
        sampling(channels, size, batch)
    splitting(6000, 32)
    splitting(3000, 64)
    traces(64, 16)
    traces(2, 16)


if __name__ == "__main__":
    main()
