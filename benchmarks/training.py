"""How fast training is, against the machine: images a second of `gahb_theory.train`, of a bare loop, and the limit.

    python benchmarks/training.py
    python benchmarks/training.py 16 32          images of these sizes only

One thread, processor time; medians of interleaved runs, with their ranges for the ratio that matters. The limit is three times
the multiplications of a forward pass (forward, gradient of the input, gradient of the weights) at the rate of a large matrix
product measured in the same run. The bare loop does the same steps without fresh images, averaging of weights and logging.

The ratio says what a step costs in units of its own convolutions, forwards and backwards, run alone on the same arrays. A step is
the difference of two trainings of different length, so that what is done once does not count. Below it stand the floors of
what else the recipe asks for, each counted or measured alone:

    kernels     multiplications of the orthogonalised momentum (X X^T, 17 products of squares, and the product with X, for
                each kernel) at the rate of the large product; they do not depend on the number of pixels or images
    passes      the memory that normalisation and ReLU must move: 3 passes forwards (read, read and write) and 5 backwards
                (two read for the sums, two read and one written for the gradient), at the rate of a copy of the same size
    images      drawing the images, in calls of many

What is left is calls: some 700 operations, each of which costs some microseconds whatever its size.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

import gahb_theory as gt
from gahb_theory.images.stream import steps_together
from gahb_theory.training import Muon, is_kernel

CASES = ((16, 3, 16, 48), (16, 3, 32, 16), (16, 3, 64, 4), (32, 3, 32, 6))
"""Channels, blocks, size, steps."""
BATCH, REPEATS = 32, 3


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    began = time.process_time()
    work()
    return time.process_time() - began


def median(work: Callable[[], object], repeats: int = 9) -> float:
    """Median of several runs, after one that does not count."""
    work()
    return statistics.median(seconds(work) for _ in range(repeats))


def train(f: gt.UNet, X: gt.CAlpha, steps: int, optimiser: str) -> None:
    """Some steps of a longer training."""
    gt.train(f, X, images_seen=BATCH * steps, batch_size=BATCH, optimiser=optimiser)


def convolutions(f: gt.UNet, x: torch.Tensor) -> Callable[[], None]:
    """A function that runs the convolutions of a step, one after the other, forwards and backwards, and nothing else."""
    calls: list[tuple[torch.Tensor, ...]] = []

    def note(m: torch.nn.Conv2d, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        last = torch.channels_last
        x, w, g = (t.detach().clone(memory_format=last) for t in (inputs[0], m.weight, output))
        transposed = isinstance(m, torch.nn.ConvTranspose2d)
        calls.append((x, w, g, (m.stride, m.padding, m.dilation, transposed, m.output_padding, m.groups)))

    layers = [m for m in f.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)]
    hooks = [m.register_forward_hook(note) for m in layers]
    f(x, 0.1)
    for hook in hooks:
        hook.remove()

    def run() -> None:
        for x, w, _, how in calls:
            torch.ops.aten.convolution(x, w, None, *how)
        for i, (x, w, g, how) in reversed(list(enumerate(calls))):
            torch.ops.aten.convolution_backward(g, x, w, None, *how, [i > 0, True, False])

    return run


def bare(f: gt.UNet, x: torch.Tensor, steps: int) -> None:
    """Training steps and nothing else."""
    f = f.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(f.parameters(), lr=1e-3)
    x = x.contiguous(memory_format=torch.channels_last)
    for _ in range(steps):
        optimiser.zero_grad()
        (f(x, 0.1) - x).square().sum().backward()
        optimiser.step()


def kernel_products(f: gt.UNet) -> int:
    """Operations of the orthogonalised momentum in a step."""
    kernels = [p for p in f.parameters() if is_kernel(p)]
    for kernel in kernels:
        kernel.grad = torch.ones_like(kernel)
    with FlopCounterMode(display=False) as counter:
        Muon(kernels).step()
    return counter.get_total_flops()


def passes(f: gt.UNet, x: torch.Tensor) -> float:
    """Seconds of the passes over memory of normalisation and ReLU: 8 halves of a copy, which reads and writes."""
    shapes: list[torch.Size] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, output: shapes.append(output.shape))
        for m in f.modules()
        if isinstance(m, gt.BiasFreeNorm)
    ]
    f(x, 0.1)
    for hook in hooks:
        hook.remove()
    values = [torch.rand(shape) for shape in shapes]
    others = [torch.empty_like(v) for v in values]
    return sum(8 / 2 * median(lambda v=v, o=o: o.copy_(v)) for v, o in zip(values, others, strict=True))


def main() -> None:
    """Print two lines for each network and size."""
    torch.set_num_threads(1)
    a = torch.rand(2048, 2048)
    peak = 2 * 2048**3 / min(seconds(lambda: a @ a) for _ in range(5))
    print(f"matrix product: {peak / 1e9:.0f} GFLOP/s on one thread\n")
    sizes = [int(argument) for argument in sys.argv[1:]]
    for channels, blocks, size, steps in CASES:
        if sizes and size not in sizes:
            continue
        f, X = gt.UNet(channels, blocks), gt.CAlpha(size=size)
        x = X.sample(BATCH)
        with FlopCounterMode(display=False) as counter:
            f.eval()(x[:1], 0.1)
        limit = peak / (3 * counter.get_total_flops())
        few, f = 2, f.train()
        train(f, X, few, "muon")
        alone = convolutions(f, x)
        found: dict[str, list[float]] = {"muon": [], "adam": [], "bare": [], "convolutions": []}
        for _ in range(REPEATS):
            for optimiser in ("muon", "adam"):
                times = [seconds(lambda n=n, o=optimiser: train(f, X, n, o)) for n in (few, few + steps)]
                found[optimiser].append((times[1] - times[0]) / steps)
            found["bare"].append(seconds(lambda: bare(f, x, steps)) / steps)
            found["convolutions"].append(seconds(lambda: [alone() for _ in range(steps)]) / steps)
        middle = {name: statistics.median(times) for name, times in found.items()}
        ratios = sorted(a / b for a, b in zip(found["muon"], found["convolutions"], strict=True))
        conv = middle["convolutions"]
        ahead = steps_together(x)
        floors = {
            "kernels": kernel_products(f) / peak / conv,
            "passes": passes(f, x) / conv,
            "images": median(lambda n=ahead, X=X: X.sample(n * BATCH)) / ahead / conv,
        }
        rate = {name: BATCH / seconds_of_a_step for name, seconds_of_a_step in middle.items()}
        print(
            f"UNet {channels}x{blocks}, {size} pixels: train {rate['muon']:.0f} images/s, bare loop {rate['bare']:.0f}, limit "
            f"{limit:.0f}; train / limit {rate['muon'] / limit:.0%}\n"
            f"  step {1e3 * middle['muon']:.1f} ms, its convolutions {1e3 * conv:.1f} ms: ratio "
            f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}); with Adam alone "
            f"{middle['adam'] / conv:.2f}; bare loop {middle['bare'] / conv:.2f}\n"
            f"  floor {1 + sum(floors.values()):.2f} = 1"
            + "".join(f" + {value:.2f} {name}" for name, value in floors.items()),
            flush=True,
        )


if __name__ == "__main__":
    main()
