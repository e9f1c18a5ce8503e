"""What a conservative denoiser costs beside the network inside: training, one call, and products with its Jacobian.

    python benchmarks/conservative.py

One thread. Both take turns, and each time is the best of several, so that the ratios mean something on a busy machine. The
least that a step of training can cost is twice that of the network: four passes instead of two, and two gradients of each
weight instead of one.
"""

import time
from collections.abc import Callable

import torch

import gahb_theory as gt

BATCH, STEPS, REPEATS = 32, 8, 3
CASES: tuple[tuple[str, gt.Network, int], ...] = (
    ("UNet(8, 2)", gt.UNet(8, 2), 16),
    ("UNet(16, 3)", gt.UNet(16, 3), 32),
    ("BFCNN(8, 8)", gt.BFCNN(8, 8), 16),
)


def seconds(task: Callable[[], object]) -> float:
    """Processor time of a task."""
    start = time.process_time()
    task()
    return time.process_time() - start


def ratios(network: gt.Network, size: int) -> list[float]:
    """How much longer each task takes for the conservative denoiser than for the network inside."""
    x = gt.CAlpha(alpha=2.0, size=size).sample(STEPS * BATCH)
    y = gt.add_noise(x[:BATCH], 0.1)
    v = torch.randn(y[0].numel(), 64, generator=torch.Generator().manual_seed(0))
    tasks: tuple[Callable[[gt.Network], object], ...] = (
        lambda f: gt.train(f, x, images_seen=len(x), batch_size=BATCH, validation=x[:1]),
        lambda f: f(y, 0.1),
        lambda f: gt.jacobian(f, y[:1], 0.1).matvec(v),
        lambda f: gt.jacobian(f, y[:1], 0.1).rows(range(10)),
        lambda f: gt.jacobian(f, y[:1], 0.1).matrix(),
        lambda f: gt.jacobian(f, y[:1], 0.1).eigenbasis(10),
    )
    both = (network.eval().requires_grad_(False), gt.Conservative(network).eval().requires_grad_(False))
    found = []
    for task in tasks:
        times = [[seconds(lambda task=task, f=f: task(f)) for f in both] for _ in range(REPEATS)]
        plain, conservative = (min(t) for t in zip(*times, strict=True))
        found.append(conservative / plain)
    return found


def main() -> None:
    """Print one line for each network."""
    torch.set_num_threads(1)
    print("network         size  training  one call    J v   10 rows   dense J   10 eigenpairs")
    for label, network, size in CASES:
        print(f"{label:15} {size:>4} " + " ".join(f"{r:9.2f}" for r in ratios(network, size)), flush=True)


if __name__ == "__main__":
    main()
