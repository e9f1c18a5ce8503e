"""What a conservative denoiser costs beside the network inside: training, one call, and products with its Jacobian.

    python benchmarks/conservative.py
    python benchmarks/conservative.py products       without training

One thread. Both take turns, and each time is the best of several, so that the ratios mean something on a busy machine. The
least that a step of training can cost is twice that of the network: four passes instead of two, and two gradients of each
weight instead of one. A product with the Jacobian is one push and one pull through the recorded network instead of one
of the two, whether its second derivatives vanish (ReLU) or not (exponential linear units). The dense Jacobian of a
network of ReLUs is made of that of the network inside, block by block where the receptive field allows it; that of a
smooth one is made of products.
"""

import sys
import time
from collections.abc import Callable

import torch

import gahb_theory as gt
from gahb_theory.denoisers import SmoothUNet

BATCH, STEPS, REPEATS, PRODUCTS = 32, 8, 5, 40
CASES: tuple[tuple[str, gt.Network, int], ...] = (
    ("UNet(8, 2)", gt.UNet(8, 2), 16),
    ("UNet(16, 3)", gt.UNet(16, 3), 32),
    ("BFCNN(8, 8)", gt.BFCNN(8, 8), 16),
    ("SmoothUNet(8, 2)", SmoothUNet(8, 2), 16),
    ("SmoothUNet(16, 3)", SmoothUNet(16, 3), 32),
    ("SmoothUNet(16, 3)", SmoothUNet(16, 3), 64),
)
TASKS = ("training", "one call", "64 J v", "one J v", "10 rows", "dense J", "10 eigenpairs")
LARGE = 32
"""Above this size the dense matrix is not formed."""


def seconds(task: Callable[[], object]) -> float:
    """Processor time of a task."""
    start = time.process_time()
    task()
    return time.process_time() - start


def ratios(network: gt.Network, size: int, *, train: bool) -> list[float]:
    """How much longer each task takes for the conservative denoiser than for the network inside."""
    x = gt.CAlpha(alpha=2.0, size=size).sample(STEPS * BATCH)
    y = gt.add_noise(x[:BATCH], 0.1)
    v = torch.randn(y[0].numel(), 64, generator=torch.Generator().manual_seed(0))
    both = (network.eval().requires_grad_(False), gt.Conservative(network).eval().requires_grad_(False))
    J = {f: gt.jacobian(f, y[:1], 0.1) for f in both}
    tasks: tuple[Callable[[gt.Network], object] | None, ...] = (
        (lambda f: gt.train(f, x, images_seen=len(x), batch_size=BATCH, validation=x[:1])) if train else None,
        lambda f: f(y, 0.1),
        lambda f: J[f].matvec(v),
        lambda f: [J[f].matvec(v[:, 0]) for _ in range(PRODUCTS)],
        lambda f: J[f].rows(range(10)),
        (lambda f: gt.jacobian(f, y[:1], 0.1).matrix()) if size <= LARGE else None,
        lambda f: gt.jacobian(f, y[:1], 0.1).eigenbasis(10),
    )
    found = []
    for task in tasks:
        if task is None:
            found.append(float("nan"))
            continue
        times = [[seconds(lambda task=task, f=f: task(f)) for f in both] for _ in range(REPEATS)]
        plain, conservative = (min(t) for t in zip(*times, strict=True))
        found.append(conservative / plain)
    return found


def main() -> None:
    """Print one line for each network."""
    torch.set_num_threads(1)
    train = "products" not in sys.argv
    print("network           size " + " ".join(f"{task:>13}" for task in TASKS))
    for label, network, size in CASES:
        found = ratios(network, size, train=train)
        print(f"{label:17} {size:>4} " + " ".join(f"{r:13.2f}" for r in found), flush=True)


if __name__ == "__main__":
    main()
