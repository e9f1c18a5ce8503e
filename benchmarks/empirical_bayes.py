"""What the exact denoiser of a finite set costs, beside a plain sum over all images at once, in one process.

Prints seconds, ratios, and the largest resident memory. Both do the same arithmetic: two products of a (queries, d) and a
(d, images) matrix; the plain one in single precision, ours in double, in chunks.
"""

import resource
import time
from collections.abc import Callable

import torch

import gahb_theory as gt


def best_of(count: int, call: Callable[[], object]) -> float:
    """Best of several runs, in seconds."""
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def plain(y: torch.Tensor, x: torch.Tensor, sigma: float) -> torch.Tensor:
    """The posterior mean with all weights in memory."""
    logits = (y @ x.mT - x.square().sum(1) / 2) / sigma**2
    return torch.softmax(logits, dim=1) @ x


def memory() -> float:
    """Largest resident memory so far, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main() -> None:
    """Time three sizes of the set."""
    generator = torch.Generator().manual_seed(0)
    queries = 16
    print(f"{torch.get_num_threads()} threads, {queries} queries, images of 64x64, float32")
    for count in (1_000, 10_000, 100_000):
        x = torch.rand(count, 1, 64, 64, generator=generator)
        y = gt.add_noise(x[:queries], 0.2)
        f = gt.EmpiricalBayes(x)
        before = memory()
        ours = best_of(2, lambda f=f, y=y: f(y, 0.2))
        used = memory() - before
        theirs = best_of(2, lambda y=y, x=x: plain(y.flatten(1), x.flatten(1), 0.2))
        print(
            f"{count:>7} images: {ours:.2f} s, {ours / theirs:.1f} times the plain sum, {used:.2f} GiB beyond the images"
        )


if __name__ == "__main__":
    main()
