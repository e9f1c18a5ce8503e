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

BATCH, STEPS, REPEATS = 32, 8, 5
CASES: tuple[tuple[str, gt.Network, int], ...] = (
    ("UNet(8, 2)", gt.UNet(8, 2), 16),
    ("UNet(16, 3)", gt.UNet(16, 3), 32),
    ("UNet(32, 3)", gt.UNet(32, 3), 32),
    ("BFCNN(16, 10)", gt.BFCNN(16, 10), 32),
)


def ratio(plain: Callable[[], object], conservative: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the plain task, and how much longer the other takes."""
    best = [float("inf"), float("inf")]
    for _ in range(REPEATS):
        for i, task in enumerate((plain, conservative)):
            start = time.process_time()
            task()
            best[i] = min(best[i], time.process_time() - start)
    return best[0], best[1] / best[0]


def main() -> None:
    """Print one line for each network."""
    torch.set_num_threads(1)
    print("network          size   training   one call   J v   J dense   10 rows   100 eigenpairs")
    for label, network, size in CASES:
        X = gt.CAlpha(alpha=2.0, size=size)
        both = (network, gt.Conservative(network))
        n = STEPS * BATCH
        x = X.sample(n)
        training = ratio(*(lambda f=f: gt.train(f, x, images_seen=n, batch_size=BATCH, validation=x[:1]) for f in both))
        y = gt.add_noise(x[:BATCH], 0.1)
        with torch.no_grad():
            call = ratio(*(lambda f=f: f.eval()(y, 0.1) for f in both))
        J = [gt.jacobian(f.eval(), y[:1], 0.1) for f in both]
        v = torch.randn(y[0].numel(), 64, generator=torch.Generator().manual_seed(0))
        product = ratio(*(lambda j=j: j.matvec(v) for j in J))
        rows = ratio(*(lambda j=j: j.rows(range(10)) for j in J))
        dense = ratio(*(lambda f=f: gt.jacobian(f, y[:1], 0.1).matrix() for f in both))
        pairs = ratio(*(lambda f=f: gt.jacobian(f, y[:1], 0.1).eigenbasis(size**2 // 10) for f in both))
        columns = (training[1], call[1], product[1], dense[1], rows[1], pairs[1])
        print(f"{label:16} {size:>4} " + " ".join(f"{c:9.2f}" for c in columns))


if __name__ == "__main__":
    main()
