"""Speed of the bandlet transform on one thread: seconds of processor time, and ratios of times in the same run.

Run ``python benchmarks/bandlets.py``. The README of the public repository GPU_Bandelet claims, for one image of 256 x 256
on other machines, 598 ms in C on one core and 22 ms on a graphics card; that of Bandlet-Transform-API 11.3 s for four
such images on a processor.
"""

import time
from collections.abc import Callable

import torch

import gahb_theory as gt

THRESHOLD = 0.3
REPEATS = 5
CLAIMS = {"GPU_Bandelet, C, one core": 0.598, "GPU_Bandelet, graphics card": 0.022, "Bandlet-Transform-API": 11.3 / 4}


def seconds(task: Callable[[], object]) -> float:
    """The best of several runs, after one that fills the caches."""
    task()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        task()
        times.append(time.process_time() - start)
    return min(times)


def images(n: int, size: int) -> torch.Tensor:
    """Geometric images with noise of level 0.1."""
    return gt.add_noise(gt.CAlpha(alpha=2.0, size=size).sample(n, seed=1), 0.1, seed=2)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    dictionary = gt.Bandlet()
    matrix = torch.randn(512, 512, generator=torch.Generator().manual_seed(0))
    flops = 2 * 512**3 / seconds(lambda: matrix @ matrix)
    print(f"one thread, float32; this core multiplies matrices at {flops / 1e9:.0f} Gflop/s in this run\n")

    print("images              search   analysis   synthesis   search and analysis   of which wavelets")
    for n, size in ((64, 64), (1, 256), (1, 512)):
        x = images(n, size)
        basis = dictionary.at(x, THRESHOLD)
        c = basis.analysis(x)
        search = seconds(lambda x=x: dictionary.at(x, THRESHOLD))
        analysis = seconds(lambda basis=basis, x=x: basis.analysis(x))
        synthesis = seconds(lambda basis=basis, c=c: basis.synthesis(c))
        wavelets = seconds(lambda x=x: gt.Wavelet("db4").analysis(x))
        label = f"{n} of {size} x {size}"
        total = f"{search + analysis:.3f} s, {1e9 * (search + analysis) / x.numel():.0f} ns a pixel"
        print(f"{label:16} {search:7.3f} s {analysis:8.3f} s {synthesis:9.3f} s   {total:>24} {wavelets:10.3f} s")
        if (n, size) == (1, 256):
            ours = search + analysis

    print("\none image of 256 x 256, published claims on other machines in proportion to search and analysis here")
    print("  ".join(f"{name}: {claim / ours:.1f}" for name, claim in CLAIMS.items()))

    print("\ntime of the search in proportion to the number of pixels, 64 x 64 images, sizes (4, 8, 16)")
    batches = (16, 32, 64, 128)
    inputs = [images(n, 64) for n in batches]
    times = [seconds(lambda x=x: dictionary.at(x, THRESHOLD)) for x in inputs]
    print("  ".join(f"{n} images: {t / times[0]:.2f}" for n, t in zip(batches, times, strict=True)))

    print("time of the search in proportion to the largest square, 4 images of 256 x 256 (linear: 1, 2, 4, 8)")
    x = images(4, 256)
    ladder = ((4,), (4, 8), (4, 8, 16), (4, 8, 16, 32))
    times = [seconds(lambda sizes=sizes: gt.Bandlet(sizes=sizes).at(x, THRESHOLD)) for sizes in ladder]
    print("  ".join(f"{sizes[-1]}: {t / times[0]:.2f}" for sizes, t in zip(ladder, times, strict=True)))


if __name__ == "__main__":
    main()
