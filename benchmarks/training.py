"""How fast training is, against the machine: images a second of `gahb_theory.train`, of a bare loop, and the limit.

    python benchmarks/training.py

The limit is three times the multiplications of a forward pass (forward, gradient of the input, gradient of the weights) at the
rate of a large matrix product measured in the same run. The bare loop does the same steps without fresh images, averaging of
weights and logging: what is lost between the two is the price of those. The last column is the time of a step over that of
its own convolutions, forwards and backwards, as the profiler sees it; what the profiler itself takes counts as the rest.
"""

import time
from collections.abc import Callable

import torch
from torch.profiler import profile
from torch.utils.flop_counter import FlopCounterMode

import gahb_theory as gt

CASES = ((16, 3, 16), (16, 3, 32), (16, 3, 64), (32, 3, 32))
BATCH, STEPS = 32, 12


def seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """Best of several runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def bare(f: gt.UNet, x: torch.Tensor) -> None:
    """Training steps and nothing else."""
    f = f.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(f.parameters(), lr=1e-3)
    x = x.contiguous(memory_format=torch.channels_last)
    for _ in range(STEPS):
        optimiser.zero_grad()
        (f(x, 0.1) - x).square().sum().backward()
        optimiser.step()


def over_convolutions(f: gt.UNet, X: gt.CAlpha) -> float:
    """Time of training over the time that its convolutions take of it."""
    with profile() as found:
        gt.train(f, X, images_seen=BATCH * STEPS, batch_size=BATCH)
    times = {event.key: event.self_cpu_time_total for event in found.key_averages()}
    return sum(times.values()) / sum(t for key, t in times.items() if "convolution" in key)


def main() -> None:
    """Print one line for each network and size."""
    a = torch.rand(2048, 2048)
    peak = 2 * 2048**3 / seconds(lambda: a @ a, 8)
    print(f"matrix product: {peak / 1e9:.0f} GFLOP/s on {torch.get_num_threads()} threads\n")
    print(
        f"{'network':>12} {'size':>5} {'train':>9} {'bare loop':>10} {'limit':>9}   train / limit   step / convolutions"
    )
    for channels, blocks, size in CASES:
        f, X = gt.UNet(channels, blocks), gt.CAlpha(size=size)
        x = X.sample(BATCH)
        with FlopCounterMode(display=False) as counter:
            f.eval()(x[:1], 0.1)
        limit = peak / (3 * counter.get_total_flops())
        n = BATCH * STEPS
        train = n / seconds(lambda f=f, X=X, n=n: gt.train(f, X, images_seen=n, batch_size=BATCH))
        loop = n / seconds(lambda f=f, x=x: bare(f.train(), x))
        print(
            f"UNet {channels:>4}x{blocks} {size:>5} {train:>7.0f}/s {loop:>8.0f}/s {limit:>7.0f}/s {train / limit:>10.0%}"
            f"{over_convolutions(f, X):>20.2f}"
        )


if __name__ == "__main__":
    main()
