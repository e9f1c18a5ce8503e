"""How fast training is, against the machine: images a second of `gahb_theory.train`, of a bare loop, and the limit.

    python benchmarks/training.py
    python benchmarks/training.py 16 32          images of these sizes only

One thread, processor time; medians of interleaved runs, with their ranges for the ratio that matters. The limit is three times
the multiplications of a forward pass (forward, gradient of the input, gradient of the weights) at the rate of a large matrix
product measured in the same run. The bare loop does the same steps without fresh images, averaging of weights and logging.

The ratio says what a step costs in units of its own convolutions, forwards and backwards, run alone on the same arrays. A
step is the difference of two trainings of different length, so that what is done once does not count. Below it stand the
floors of what else the recipe asks for, each counted or measured alone:

    kernels     multiplications of the orthogonalised momentum (X X^T, 17 products of squares, and the product with X, for
                each kernel) at the rate of the large product; they do not depend on the number of pixels or images
    passes      the memory that normalisation and ReLU must move: 3 passes forwards (read, read and write) and 5 backwards
                (two read for the sums, two read and one written for the gradient), at the rate of a copy of the same size
    images      drawing the images, in calls of many

What is left is calls: some 700 operations, each of which costs some microseconds whatever its size.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

import gahb_theory as gt
from gahb_theory.images.stream import steps_together
from gahb_theory.training import Muon, is_kernel

CASES = ((16, 3, 16, 48), (16, 3, 32, 16), (16, 3, 64, 4), (32, 3, 32, 6))
"""Channels, blocks, size, steps."""
BATCH, REPEATS = 32, 3
FIGURES = Path(__file__).with_suffix(".json")


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


def measure(channels: int, blocks: int, size: int, steps: int, peak: float) -> dict[str, float | list[float]]:
    """Figures of one network and size; times are seconds of a step, floors in units of its convolutions."""
    f, X = gt.UNet(channels, blocks), gt.CAlpha(size=size)
    x = X.sample(BATCH)
    with FlopCounterMode(display=False) as counter:
        f.eval()(x[:1], 0.1)
    limit = 3 * counter.get_total_flops() * BATCH / peak
    few, f = 2, f.train()
    train(f, X, few, "muon")
    alone = convolutions(f, x)
    found: dict[str, list[float]] = {"muon": [], "adam": [], "bare": [], "convolutions": []}
    for _ in range(REPEATS):
        for optimiser in ("muon", "adam"):
            first, whole = (seconds(partial(train, f, X, n, optimiser)) for n in (few, few + steps))
            found[optimiser].append((whole - first) / steps)
        found["bare"].append(seconds(partial(bare, f, x, steps)) / steps)
        found["convolutions"].append(statistics.mean(seconds(alone) for _ in range(steps)))
    middle = {name: statistics.median(times) for name, times in found.items()}
    ratios = sorted(a / b for a, b in zip(found["muon"], found["convolutions"], strict=True))
    together = steps_together(x)
    return {
        **middle,
        "limit": limit,
        "ratio": statistics.median(ratios),
        "range": [ratios[0], ratios[-1]],
        "kernels": kernel_products(f) / peak / middle["convolutions"],
        "passes": passes(f, x) / middle["convolutions"],
        "images": median(partial(X.sample, together * BATCH)) / together / middle["convolutions"],
    }


def main() -> None:
    """Print a few lines for each network and size, and store the figures."""
    torch.set_num_threads(1)
    a = torch.rand(2048, 2048)
    peak = 2 * 2048**3 / min(seconds(lambda: a @ a) for _ in range(5))
    print(f"matrix product: {peak / 1e9:.0f} GFLOP/s on one thread\n")
    sizes = [int(argument) for argument in sys.argv[1:]]
    stored = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for channels, blocks, size, steps in CASES:
        if sizes and size not in sizes:
            continue
        name = f"UNet {channels}x{blocks}, {size} pixels"
        m = measure(channels, blocks, size, steps, peak)
        stored[name] = {key: [round(x, 5) for x in v] if isinstance(v, list) else round(v, 5) for key, v in m.items()}
        FIGURES.write_text(json.dumps(stored, indent=1) + "\n")
        floor = 1 + m["kernels"] + m["passes"] + m["images"]
        print(
            f"{name}: train {BATCH / m['muon']:.0f} images/s, bare loop {BATCH / m['bare']:.0f}, limit "
            f"{BATCH / m['limit']:.0f}; train / limit {m['limit'] / m['muon']:.0%}\n"
            f"  step {1e3 * m['muon']:.1f} ms, its convolutions {1e3 * m['convolutions']:.1f} ms: ratio {m['ratio']:.2f} "
            f"({m['range'][0]:.2f} to {m['range'][1]:.2f}); with Adam alone {m['adam'] / m['convolutions']:.2f}; bare loop "
            f"{m['bare'] / m['convolutions']:.2f}\n"
            f"  floor {floor:.2f} = 1 + {m['kernels']:.2f} kernels + {m['passes']:.2f} passes + {m['images']:.2f} images",
            flush=True,
        )


if __name__ == "__main__":
    main()
