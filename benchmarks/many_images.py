"""What `map_images` adds to 500 small jobs, and what `sharded_jacobian` adds to the rows, as ratios measured in one run.

    python benchmarks/many_images.py

Each job denoises one image with a small network and measures it. The reference is the plain loop over the images, in this
process or, in one submission, in the one worker process that the executor has. Times are processor time of this process and
of the worker together, which other programs disturb least; the time by the clock stands beside it.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory.jacobians import sharded_jacobian

JOBS, SIZE = 500, 32


def work(f: Callable[..., torch.Tensor], image: torch.Tensor) -> float:
    """The job: how far an image is from what the denoiser makes of it."""
    with torch.no_grad():
        return float(gt.psnr(image, f(image, 0.1)).mean())


def loop(f: Callable[..., torch.Tensor], images: torch.Tensor) -> list[float]:
    """All jobs, one after the other."""
    return [work(f, image) for image in images.split(1)]


def seconds(call: Callable[[], object]) -> float:
    """Processor time of this process."""
    began = time.process_time()
    call()
    return time.process_time() - began


def together(call: Callable[[], object], submit: Callable[..., Any]) -> tuple[float, float]:
    """Processor time of this process and the worker together, and the time by the clock."""
    clock, mine, other = time.perf_counter(), time.process_time(), submit(time.process_time).result()
    call()
    clock, mine = time.perf_counter() - clock, time.process_time() - mine
    return mine + submit(time.process_time).result() - other, clock


def jobs() -> None:
    """The overhead of 500 jobs."""
    f, images = gt.UNet(8, 2).eval(), gt.Disks(size=SIZE).sample(JOBS)
    loop(f, images[:8])
    plain = seconds(lambda: loop(f, images))
    serial = seconds(lambda: gt.map_images(work, f, images))
    with tempfile.TemporaryDirectory() as folder:
        stored = seconds(lambda: gt.map_images(work, f, images, folder=folder))
    print(f"{JOBS} jobs of {1e3 * plain / JOBS:.1f} ms, in this process: {serial / plain - 1:+.1%}", flush=True)
    print(f"the same, each result stored: {stored / plain - 1:+.1%}", flush=True)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        spread("in a worker process", executor, executor.submit, f, images)
    try:
        import distributed
    except ImportError:
        return
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        spread("by a Dask worker", client, partial(client.submit, pure=False), f, images)


def spread(name: str, executor: Any, submit: Callable[..., Any], f: gt.UNet, images: torch.Tensor) -> None:
    """The overhead in the worker that an executor has."""
    submit(loop, f, images[:8]).result()  # the worker is there
    plain, clock = together(lambda: submit(loop, f, images).result(), submit)
    mapped, mapped_clock = together(lambda: gt.map_images(work, f, images, executor), submit)
    print(f"the same, {name}: {mapped / plain - 1:+.1%} ({mapped_clock / clock - 1:+.1%} by the clock)", flush=True)


def rows(name: str, f: torch.nn.Module) -> None:
    """All rows in pieces against all rows at once, in this process."""
    y = gt.add_noise(gt.Disks(size=64).sample(1), 0.1)
    whole = seconds(lambda: gt.jacobian(f, y, 0.1).matrix())
    pieces = seconds(lambda: sharded_jacobian(f, y, 0.1))
    print(f"dense Jacobian of {name} at 64x64 in {64 // 8} pieces: {pieces / whole:.2f} times the whole", flush=True)


def main() -> None:
    """Print one line for each case."""
    torch.set_num_threads(1)
    jobs()
    rows("UNet 8x2", gt.UNet(8, 2).eval())
    rows("BF-CNN 8, 9 layers", gt.BFCNN(8, 9).eval())


if __name__ == "__main__":
    main()
