"""How fast Jacobians and their eigenpairs are, against a loop over pixels by automatic differentiation.

    python benchmarks/jacobians.py             lists the tasks
    python benchmarks/jacobians.py TASK ...    runs some of them

The loop is the one everybody writes first: one forward pass, then one reverse pass for each pixel of the output. It is
exactly linear in the number of rows, so that it is timed on a few rows and multiplied. The dense Jacobian is timed on whole
blocks of rows spread evenly over the image, and multiplied likewise; in full where it is computed from both ends, where the
first rows cost more than the later ones, or with `full` after the task. The limit is that many passes of the recorded network
at the rate of a large matrix product. All ratios are of times measured in one run: wall-clock time on several threads;
processor time on one thread, which other processes do not disturb.

Weights are random, with gains that keep the signal alive: the time of a product does not depend on them, but the number of
products that an eigenpair needs does. A random network has a flat spectrum that nobody analyses, and that no iteration finds
cheap: 50 pairs of the UNet of width 64 at 80 x 80 pixels take 1204 passes with random weights and 462 after five minutes of
training on two cores, where the loop takes 6400. `top50-trained64-80` trains that network and keeps it in runs/.
`weights=FOLDER` takes published networks from a folder: the one of receptive field 43 for `bfcnn`, and a small UNet for
`top50-published-80`.

`jacobians.txt` holds what it printed on one thread of a busy machine.

Operations of a row of the network of receptive field 43 in convolutions, inside a large image: 9.0 GFLOP at 80 x 80 pixels for
a whole pass, 1.12 by windows that grow from one end from blocks of 4 x 4 pixels, and 0.43 + 0.06 from both ends, where the
second number is the product of the two halves.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import gahb_theory as gt
from gahb_theory.jacobians import Jacobian, eigenbasis, jacobian
from gahb_theory.jacobians.engines.two_ended_rows import best_cut
from gahb_theory.jacobians.engines.windowed_rows import block_side

SIGMA = 50 / 255
TASKS = {
    "unet64-40": ("dense", lambda: unet(64), 40),
    "unet64-80": ("dense", lambda: unet(64), 80),
    "unet32-40": ("dense", lambda: unet(32), 40),
    "bfcnn-80": ("dense", lambda: bfcnn(), 80),
    "bfcnn-160": ("dense", lambda: bfcnn(), 160),
    "top10-bfcnn-80": (10, lambda: bfcnn(), 80),
    "top50-bfcnn-80": (50, lambda: bfcnn(), 80),
    "top50-unet64-80": (50, lambda: unet(64), 80),
    "top50-trained64-80": (50, lambda: trained(), 80),
    "top50-published-80": (50, lambda: gt.load_denoiser(folder() / "bfdenoising_unet_biasfree_0-100.pt"), 80),
    "top10-bfcnn-256": (10, lambda: bfcnn(), 256),
    "top10-unet64-256": (10, lambda: unet(64), 256),
}


def clock() -> float:
    """Seconds: of the processor on one thread, of the wall on several."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """Best of several runs."""
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return min(times)


def alive(f: torch.nn.Module) -> torch.nn.Module:
    """Normalise each layer by the standard deviation it has on noise, as training does."""
    f.train()
    with torch.no_grad():
        for module in f.modules():
            if isinstance(module, gt.BiasFreeNorm):
                module.gamma.fill_(1.0)
        generator = torch.Generator().manual_seed(0)
        for _ in range(30):
            f(torch.rand(2, 1, 32, 32, generator=generator), SIGMA)
    return f.eval()


def unet(channels: int) -> torch.nn.Module:
    """The UNet of the paper at a width."""
    return alive(gt.UNet(channels, 3))


def trained() -> torch.nn.Module:
    """The UNet of width 64 after 200 steps, five minutes on one core; the same weights at every call."""
    recipe = gt.Recipe(
        images_seen=6400, sigma_distribution="uniform", sigma_max=0.5, weight_power=1.0, ema_half_life=500.0
    )
    return gt.train(gt.UNet(64, 3), gt.Photographs(size=24), recipe=recipe, run=Path("runs") / "benchmark_unet64")


def folder() -> Path:
    """The folder of published weights that was given."""
    given = [a.removeprefix("weights=") for a in sys.argv if a.startswith("weights=")]
    return Path(given[0]) if given else Path("weights=FOLDER was not given")


def bfcnn() -> torch.nn.Module:
    """A BF-CNN of receptive field 43."""
    f = gt.BFCNN(64, 21)
    path = folder() / "localprob_celeba160_bfcnn_rf43.pt"
    if not path.exists():
        return alive(f)
    stored = {k.removeprefix("module."): v for k, v in torch.load(path, weights_only=True, map_location="cpu").items()}
    kernels = [stored[f"conv_layers.{i}.weight"] for i in range(21)]
    with torch.no_grad():
        convolutions = [m for m in f.layers if isinstance(m, torch.nn.Conv2d)]
        norms = [m for m in f.layers if isinstance(m, gt.BiasFreeNorm)]
        for layer, kernel in zip(convolutions, kernels, strict=True):
            layer.weight.copy_(kernel)
        for i, norm in enumerate(norms):
            norm.gamma.copy_(stored[f"BN_layers.{i}.gammas"].flatten())
            norm.running_sd.copy_(stored[f"BN_layers.{i}.running_sd"].flatten())
    f.layers[1] = torch.nn.Identity()  # no ReLU after the first layer in this one
    return f.eval()


def loop_row(f: torch.nn.Module, y: torch.Tensor) -> float:
    """Seconds for one row of the loop."""
    leaf = y.clone().requires_grad_()
    output = f(leaf, SIGMA).flatten()
    places = torch.linspace(0, len(output) - 1, 6).long().tolist()
    return min(seconds(lambda i=i: torch.autograd.grad(output[i], leaf, retain_graph=True)) for i in places)


def sample(J: Jacobian, size: int) -> tuple[torch.Tensor, int]:
    """The rows of some blocks, spread evenly over the image."""
    side = block_side(J._products, (1, size, size), J.chunk, J.device)
    numbers = torch.arange(0, size, side)
    count = min(5, len(numbers))
    chosen = numbers[((torch.arange(count) + 0.5) / count * len(numbers)).long()]  # middles of equal parts of the image
    inside = torch.arange(side)
    rows = (chosen[:, None] + inside).flatten()
    rows = rows[rows < size]
    return (rows[:, None] * size + rows).flatten(), side


def dense(f: torch.nn.Module, y: torch.Tensor, size: int, *, full: bool) -> None:
    """Time the dense Jacobian."""
    J = jacobian(f, y, SIGMA)
    loop = loop_row(f, y)
    image = (1, size, size)
    least = None
    if full or best_cut(J._products, image, image, 4) is not None:
        count, how = size**2, "in full, as a sparse matrix"
        ours = seconds(lambda: J.sparse_matrix()) / count
    else:
        rows, side = sample(J, size)
        J.rows(rows[:64])
        count, how = len(rows), f"in blocks of side {side}"
        corners = [(a, min(size, a + side)) for a in range(0, size, side)]
        least = sum(J._products.work((a, b)) for a in corners for b in corners) / len(corners) ** 2
        ours = seconds(lambda: J.rows(rows)) / count
    loop = min(loop, loop_row(f, y))
    a = torch.rand(2048, 2048)
    peak = 2 * 2048**3 / seconds(lambda: a @ a, 5)
    limit = J._products.work(((0, size), (0, size))) / peak
    print(f"  loop {1e3 * loop:.1f} ms a row, {loop * size**2:.0f} s in all")
    print(f"  ours {1e3 * ours:.2f} ms a row {how}, {ours * size**2:.0f} s in all ({count} rows timed)")
    print(
        f"  loop / ours {loop / ours:.2f}; loop / limit of {size**2} whole passes {loop / limit:.2f} ({peak / 1e9:.0f} GF/s)"
    )
    if least is not None:
        print(f"  loop / convolutions of these windows at that rate {loop * peak / least:.2f}: no ratio can be larger")


def pairs(f: torch.nn.Module, y: torch.Tensor, size: int, k: int) -> None:
    """Time the top eigenpairs to a residual of 1e-3."""
    loop = loop_row(f, y) * size**2
    J = jacobian(f, y, SIGMA)
    scale = float(eigenbasis(J, 1, tol=0.1).eigenvalues[0])
    E = None

    def find() -> None:
        nonlocal E
        E = eigenbasis(J, k, tol=0.95e-3 / scale)

    ours = seconds(find)
    dense_eigh = float("nan")
    if size <= 80:
        S = torch.rand(size**2 // 2, size**2 // 2)
        dense_eigh = 8 * seconds(lambda: torch.linalg.eigh(S + S.mT))
    print(f"  loop {loop:.0f} s, eigh {dense_eigh:.0f} s (8 times that of half the size)")
    print(f"  ours {ours:.1f} s, {E.matvecs} products with J or J^T, largest residual {float(E.residuals.max()):.1e}")
    print(f"  loop / ours {loop / ours:.1f}; (loop + eigh) / ours {(loop + dense_eigh) / ours:.1f}")


def main() -> None:
    """Run the tasks that were named."""
    chosen = [a for a in sys.argv[1:] if a in TASKS]
    if not chosen:
        print("tasks:", *TASKS)
    for name in chosen:
        kind, make, size = TASKS[name]
        print(f"{name}, {torch.get_num_threads()} thread(s)")
        f = make()
        x = gt.Photographs(size=size).sample(1) if size <= 160 else gt.CAlpha(size=size).sample(1)
        y = gt.add_noise(x, SIGMA)
        if kind == "dense":
            dense(f, y, size, full="full" in sys.argv)
        else:
            pairs(f, y, size, kind)
        print(f"  peak memory of the process {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB")


if __name__ == "__main__":
    main()
