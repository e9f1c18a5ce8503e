"""What the Jacobian of a large network costs at a large image, first counted, then measured.

    python benchmarks/large.py                       counts at 512 x 512 in colour, and says what fits into 15 minutes
    python benchmarks/large.py run size=128          counts, then measures all tasks at 128 x 128
    python benchmarks/large.py one size=512          counts, then times one product in each direction

The network is a DRUNet of 32.6 million parameters with random weights, the image a colour image with noise of level 50 / 255.
The tasks are the receptive field of one pixel, the trace with its standard error, the top 20 eigenpairs, the posterior
components, and the rows of a window. What has been computed lies in runs/large_SIZE_CHANNELS_BLOCKS and is not computed again:
the eigenpairs, the trace and the rows go on where they were interrupted. The results go to large.json beside this file.

Further settings: k=20 pairs, tol=0.001 their accuracy, probes=16 of the trace, side=4 of the window of rows, rate=190e9
operations a second for the floor (two cores in single precision; measured by a matrix product if 0), limit=16e9 bytes,
channels=64 and blocks=4 of the network, device=cpu.
"""

import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import gahb_theory as gt
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.jacobians import (
    Jacobian,
    JacobianCosts,
    PosteriorComponents,
    eigenbasis,
    jacobian_costs,
    receptive_window,
    window_pieces,
    window_rows,
)
from gahb_theory.runs import read_json, versions, write_json
from gahb_theory.stored_results import read_arrays, write_arrays

SIGMA = 50 / 255
MINUTES = 15
SETTINGS = {
    "size": 512.0,
    "k": 20.0,
    "tol": 1e-3,
    "probes": 16.0,
    "side": 4.0,
    "rate": 190e9,
    "limit": 16e9,
    "channels": 64.0,
    "blocks": 4.0,
}


def settings() -> tuple[dict[str, float], str]:
    """The numbers given on the command line, and the device."""
    chosen, device = dict(SETTINGS), "cpu"
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        if name == "device":
            device = value
        elif name in chosen:
            chosen[name] = float(value)
        elif word not in ("run", "one"):
            raise SystemExit(f"{word!r} is none of {', '.join(SETTINGS)}, device, run, one")
    return chosen, device


def matrix_rate(device: str) -> float:
    """Operations a second of a large matrix product."""
    a = torch.rand(2048, 2048, device=device)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        float((a @ a)[0, 0])
        times.append(time.perf_counter() - began)
    return 2 * 2048**3 / min(times)


def window(size: int, side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """A window in the middle of the image."""
    start = (size - side) // 2
    return (start, start + side), (start, start + side)


def plan(costs: JacobianCosts, s: dict[str, float], rate: float) -> None:
    """Print what each task needs, at least, and refuse what is over the limit."""
    k, probes, side = int(s["k"]), int(s["probes"]), int(s["side"])
    tasks = {
        f"top {k} eigenpairs": costs.eigenpairs(k),
        f"trace, {probes} probes": costs.trace(probes),
        f"rows of {side} x {side} pixels": costs.rows(3 * side**2),
    }
    print(
        f"one product: {costs.operations / 1e9:.0f} GFLOP, {costs.operations / rate:.2f} s at {rate / 1e9:.0f} GFLOP/s"
    )
    print(f"J: {costs.making / 2**30:.2f} GiB to make, {costs.held / 2**30:.2f} GiB held, engine {costs.engine}")
    for name, cost in tasks.items():
        cost.check(s["limit"])
        print(
            f"{name:26} {cost.bytes / 2**30:6.2f} GiB, at least {cost.products} products, "
            f"{cost.operations / 1e12:.1f} TFLOP, {cost.seconds(rate):.0f} s"
        )
    print("the posterior components are those eigenpairs; the receptive field needs no product")
    print(f"{MINUTES} minutes hold {60 * MINUTES * rate / costs.operations:.0f} products")


def timed(name: str, folder: Path, work: Callable[[], dict[str, object]]) -> dict[str, object]:
    """The result of a task, from its file if it was done before."""
    path = folder / f"{name}.json"
    if path.exists():
        stored = read_json(path)
        print(f"{name}: done before, {stored}")
        return stored
    began, spent = time.perf_counter(), time.process_time()
    result = work() | {
        "seconds": round(time.perf_counter() - began, 2),
        "processor": round(time.process_time() - spent, 2),
    }
    write_json(path, result)
    print(f"{name}: {result}", flush=True)
    return result


def pairs(J: Jacobian, k: int, tol: float, folder: Path) -> dict[str, object]:
    """The top k eigenpairs and the posterior components, which are the same vectors."""
    E = eigenbasis(J, k, tol=tol, checkpoint=folder / "pairs.npz")
    P = PosteriorComponents(J.output, E, SIGMA**2 * E.eigenvalues)
    return {
        "eigenvalues": [round(v, 5) for v in E.eigenvalues.tolist()],
        "largest residual": float(E.residuals.max()),
        "converged": int(E.converged.sum()),
        "products": E.matvecs,
        "posterior variance": float(P.variances[0]),
    }


def trace(J: Jacobian, probes: int, folder: Path) -> dict[str, object]:
    """The trace from pairs of probes, each stored."""
    values = []
    for i in range(probes // 2):
        path = folder / f"probe_{i}.json"
        if not path.exists():
            estimate = gt.Hutchinson(2, seed=i).of(J)
            write_json(path, {"value": float(estimate.value), "standard_error": float(estimate.standard_error)})
        values.append(read_json(path)["value"])
    each = torch.tensor(values, dtype=torch.float64)
    return {"trace": float(each.mean()), "standard error": float(each.std()) / len(each) ** 0.5, "products": probes}


def rows(J: Jacobian, size: int, side: int, limit: float, folder: Path) -> dict[str, object]:
    """The rows of a window, each piece stored."""
    count, reached = 0, 0
    for part in window_pieces(J, window(size, side), limit=limit):
        (top, bottom), (left, right) = part
        path = folder / f"rows_{top}_{bottom}_{left}_{right}.npz"
        if not path.exists():
            write_arrays(path, {"values": window_rows(J, part).values})
        shape = read_arrays(path)["values"].shape
        count, reached = count + shape[0], max(reached, shape[1] * shape[2] * shape[3])
    return {"rows": count, "numbers in each": reached}


def measure(
    f: torch.nn.Module, y: torch.Tensor, s: dict[str, float], costs: JacobianCosts, *, everything: bool
) -> None:
    """Make the Jacobian, and time one product in each direction, or all tasks."""
    size = int(s["size"])
    folder = Path("runs") / f"large_{size}_{int(s['channels'])}_{int(s['blocks'])}"
    folder.mkdir(parents=True, exist_ok=True)
    before = peak()
    began = time.perf_counter()
    J = gt.jacobian(f, y, SIGMA)
    print(f"jacobian: {time.perf_counter() - began:.1f} s, engine {J.engine}, {J.chunk} directions at once, {J.check}")
    v = torch.ones_like(y).flatten()
    for name, product in {"J v": J.matvec, "J^T u": J.rmatvec}.items():
        began, spent = time.perf_counter(), time.process_time()
        float(product(v)[0])
        wall, work = time.perf_counter() - began, time.process_time() - spent
        print(f"{name}: {wall:.2f} s, {work:.2f} s of the processor, {costs.operations / work / 1e9:.0f} GFLOP/s of it")
    if everything:
        middle = window(size, 1)
        tasks: dict[str, Callable[[], dict[str, object]]] = {
            "receptive field": lambda: {"window": receptive_window(J, middle)},
            "trace": lambda: trace(J, int(s["probes"]), folder),
            "rows": lambda: rows(J, size, int(s["side"]), s["limit"] / 4, folder),
            "pairs": lambda: pairs(J, int(s["k"]), s["tol"], folder),
        }
        results = {name: timed(name, folder, task) for name, task in tasks.items()}
        about = {"settings": s, "foreseen": {"held": costs.held, "pairs": costs.eigenpairs(int(s["k"])).bytes}}
        write_json(Path(__file__).with_suffix(".json"), about | results | {"versions": versions()})
    print(f"peak memory of the process {peak() / 2**30:.2f} GiB, {before / 2**30:.2f} GiB of it before the Jacobian")


def peak() -> int:
    """Largest number of bytes that the process has had."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    """Count, and measure what was asked for."""
    s, device = settings()
    size = int(s["size"])
    f = DRUNet(int(s["channels"]), int(s["blocks"]), image_channels=3).eval().to(device)
    parameters = sum(p.numel() for p in f.parameters())
    print(
        f"DRUNet of {parameters / 1e6:.1f} M parameters, {size} x {size} in colour, {torch.get_num_threads()} thread(s)"
    )
    like = torch.empty(0, device=device)
    costs = jacobian_costs(f, (3, size, size), SIGMA, like=like)
    plan(costs, s, s["rate"] or matrix_rate(device))
    if {"run", "one"} & set(sys.argv):
        smooth = torch.rand(1, 3, size // 16, size // 16, generator=torch.Generator().manual_seed(0))
        x = torch.nn.functional.interpolate(smooth, size=(size, size), mode="bicubic").clamp(0, 1)
        y = gt.add_noise(x, SIGMA).to(device)
        measure(f, y, s, costs, everything="run" in sys.argv)


if __name__ == "__main__":
    main()
