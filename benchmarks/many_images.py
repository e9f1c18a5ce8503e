"""What `map_images` adds to 500 small jobs, and what `sharded_jacobian` adds to the rows, as ratios measured in one run.

    python benchmarks/many_images.py

Each job denoises one image with a small network. The reference is the plain loop over the images, in this process, and in
the one worker process that the executor has: it computes all jobs in one submission, with the same number of threads. The
rounds of both alternate, and the quickest of each counts, so that other programs disturb the ratio little.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch

import gahb_theory as gt
from gahb_theory.jacobians import sharded_jacobian

JOBS, SIZE, ROUNDS = 500, 40, 3


def work(f: Callable[..., torch.Tensor], image: torch.Tensor) -> float:
    """The job: how far an image is from what the denoiser makes of it."""
    with torch.no_grad():
        return float(gt.psnr(image, f(image, 0.1)).mean())


def loop(f: Callable[..., torch.Tensor], images: torch.Tensor) -> list[float]:
    """All jobs, one after the other."""
    return [work(f, image) for image in images.split(1)]


def quickest(*calls: Callable[[], object]) -> list[float]:
    """Seconds of each, the least of some rounds in which all take turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for call, spent in zip(calls, times, strict=True):
            began = time.perf_counter()
            call()
            spent.append(time.perf_counter() - began)
    return [min(spent) for spent in times]


def jobs() -> None:
    """The overhead of 500 jobs."""
    f, images = gt.UNet(16, 2).eval(), gt.Disks(size=SIZE).sample(JOBS)

    def stored() -> None:
        with tempfile.TemporaryDirectory() as folder:
            gt.map_images(work, f, images, folder=folder)

    plain, serial, kept = quickest(lambda: loop(f, images), lambda: gt.map_images(work, f, images), lambda: stored())
    print(f"{JOBS} jobs of {1e3 * plain / JOBS:.1f} ms, in this process: {serial / plain - 1:+.1%} of overhead")
    print(f"the same, each result stored: {kept / plain - 1:+.1%}")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        executor.submit(loop, f, images[:8]).result()  # the worker is there
        plain, spread = quickest(
            lambda: executor.submit(loop, f, images).result(), lambda: gt.map_images(work, f, images, executor)
        )
    print(f"the same, in a worker process: {spread / plain - 1:+.1%}")
    try:
        import distributed
    except ImportError:
        return
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.submit(loop, f, images[:8]).result()
        plain, spread = quickest(
            lambda: client.submit(loop, f, images, pure=False).result(), lambda: gt.map_images(work, f, images, client)
        )
    print(f"the same, by a Dask worker: {spread / plain - 1:+.1%}")


def rows(name: str, f: torch.nn.Module) -> None:
    """All rows in pieces against all rows at once, in this process."""
    y = gt.add_noise(gt.Disks(size=64).sample(1), 0.1)
    whole, pieces = quickest(lambda: gt.jacobian(f, y, 0.1).matrix(), lambda: sharded_jacobian(f, y, 0.1))
    print(f"dense Jacobian of {name} at 64x64 in {64 // 8} pieces: {pieces / whole:.2f} times the whole")


def main() -> None:
    """Print one line for each case."""
    torch.set_num_threads(1)
    jobs()
    rows("UNet 16x2", gt.UNet(16, 2).eval())
    rows("BF-CNN 16, 9 layers", gt.BFCNN(16, 9).eval())


if __name__ == "__main__":
    main()
