"""Equation 5 between two trained networks: how many nats apart two networks of disjoint training sets are, against N.

    python experiments/likelihood.py

The integral of E||f_A(y) - f_B(y)||^2 / sigma^2 over log sigma, within the noise levels .02 to 1 and no others, for the
committed networks photographs_N_A and photographs_N_B on other patches of photographs. In grey: two Wiener filters fitted on
N patches each, and two untrained networks. A minute on one core. Results: results/likelihood/.
"""

from pathlib import Path
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory.runs import write_json
from gahb_theory.theory import LogDivergence, kl_divergence

HERE = Path(__file__).parent
OUT = HERE / "results" / "likelihood"
COUNTS = (1, 10, 100, 1000, 10_000, 100_000)
RANGE, IMAGES, PATCHES = (0.02, 1.0), 24, gt.Photographs(size=32)


def apart(f: gt.Denoiser, g: gt.Denoiser, images: torch.Tensor) -> LogDivergence:
    """Nats within the range, with the interval over images and draws."""
    return kl_divergence(f, g, images, RANGE, strata=5, draws=4)


def main() -> None:
    """Measure, write and draw."""
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    images = PATCHES.sample(IMAGES, seed=2**64 + 5)
    found: dict[str, Any] = {"networks": {}, "wiener": {}, "range": list(RANGE), "images": IMAGES}
    for n in COUNTS:
        f, g = (gt.load_denoiser(HERE / "checkpoints" / f"photographs_{n}_{half}") for half in "AB")
        found["networks"][n] = apart(f, g, images).to_dict()
        print(n, found["networks"][n]["within"], flush=True)
        if 1 < n <= 10_000:
            f, g = (gt.GaussianDenoiser.fit(PATCHES.sample(n, seed=2**64 + 6 + k)) for k in range(2))
            found["wiener"][n] = apart(f, g, images).to_dict()
            print("  Wiener", found["wiener"][n]["within"], flush=True)
    found["untrained"] = apart(*(gt.UNet(16, 3, seed=k).eval() for k in range(2)), images).to_dict()
    write_json(OUT / "divergence.json", found)
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """The whole against N, and where along the noise levels it comes from."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for name, colour, label in (
        ("wiener", "0.6", "two Wiener filters of N patches"),
        ("networks", "C0", "two networks"),
    ):
        rows = found[name]
        counts = [int(n) for n in rows]
        ends = [rows[n]["within"] for n in rows]
        value = [e["value"] for e in ends]
        error = [[e["value"] - max(e["low"], 0.1 * e["value"]) for e in ends], [e["high"] - e["value"] for e in ends]]
        left.errorbar(counts, value, yerr=error, marker="o", color=colour, label=label, capsize=3)
    untrained = found["untrained"]["within"]["value"]
    left.plot([], [], color="0.6", ls="--", label=f"two untrained networks: {untrained:.0e}, they return y")
    left.set(xscale="log", yscale="log", ylim=(5, 2e5))
    left.set(xlabel="N, training patches of each", ylabel="nats apart, noise levels .02 to 1")
    left.legend()
    for k, (n, row) in enumerate(found["networks"].items()):
        right.plot(row["sigmas"], row["nats_per_octave"], marker=".", color=plt.cm.viridis(k / 6), label=f"N = {n}")
    right.set(xscale="log", yscale="log", xlabel="noise level", ylabel="nats per octave")
    right.set_xticks((0.03, 0.1, 0.3), ("0.03", "0.1", "0.3"))
    right.minorticks_off()
    right.legend()
    figure.savefig(OUT / "divergence.png", dpi=110)


if __name__ == "__main__":
    main()
