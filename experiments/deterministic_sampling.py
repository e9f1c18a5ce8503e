"""Figure 13: pairs of networks of disjoint training sets, sampled without noise on the way, and where their paths part.

    python experiments/deterministic_sampling.py

Two committed networks of N images each draw by the probability flow (Heun, Karras et al. 2022) from the same noise:
plane_N_A and plane_N_B of C^alpha images of 16 pixels, three repetitions, and photographs_N_A and photographs_N_B of 32 pixels.
Measured for each N: cosine of pairs and of samples from different noise, without mean intensities; similarity with the closest
training image (of C^alpha images: the photographs do not come with the library); share of paths that part, and at
which noise level. In grey: two Wiener filters fitted on N images each, and the empirical memorisers of the two sets. Six
minutes on one core. Results: results/deterministic_sampling/.
"""

from pathlib import Path
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.metrics.similarity import closest
from gahb_theory.runs import write_json
from gahb_theory.sampling import compare_paths, karras_levels, probability_flow

HERE = Path(__file__).parent
OUT = HERE / "results" / "deterministic_sampling"
SAMPLES, SEED, REPETITIONS = 24, 2**64 + 12, 3
FAMILIES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "c_alpha": (gt.CAlpha(alpha=2.0, size=16), (1, 10, 100, 1000, 10_000)),
    "photographs": (gt.Photographs(size=32), (1, 10, 100, 1000, 10_000, 100_000)),
}
LEVELS = karras_levels(32, sigma_0=1.0, sigma_inf=0.02)
LARGEST = 10_000
"""Of a training set, in what compares with each of its images."""


def measured(pair: tuple[gt.Denoiser, gt.Denoiser], size: int, sets: list[torch.Tensor] | None) -> dict[str, Any]:
    """Samples of two denoisers from the same noise, side by side."""
    shape = (SAMPLES, 1, size, size)
    a, b = (probability_flow(f, shape, sigmas=LEVELS, seed=SEED, every=1, dtype=torch.float32) for f in pair)
    row: dict[str, Any] = {"diverged": int((~a.converged).sum() + (~b.converged).sum())}
    if row["diverged"]:
        return row
    parting, pairs = compare_paths(a, b), gt.paired_similarity(a, b)
    row |= {
        "pairs": pairs.mean.to_dict(),
        "others": pairs.null_mean.to_dict(),
        "each_pair": pairs.pairs.tolist(),
        "sigmas": parting.sigmas.tolist(),
        "median_cosine": parting.cosine.median(dim=1).values.tolist(),
        "share_parted": parting.share_parted,
        "parted_at": [None if v != v else v for v in parting.parted_at.tolist()],
        "deviation": float(a.images.flatten(1).std(dim=1).mean()),
    }
    if sets is not None:
        near = [closest(s.images, x).similarity[:, 0] for s, x in zip((a, b), sets, strict=True)]
        row["closest_training_image"] = float(torch.cat(near).mean())
    return row


def networks(family: str, n: int) -> list[tuple[gt.Denoiser, gt.Denoiser]]:
    """The pairs that were trained on n images each."""
    names = [f"photographs_{n}_{{}}"] if family == "photographs" else [f"plane_{n}_{{}}{r}" for r in range(REPETITIONS)]
    loaded = [[gt.load_denoiser(HERE / "checkpoints" / name.format(half)) for half in "AB"] for name in names]
    return [(f, g) for f, g in loaded]


def measure(family: str) -> dict[str, Any]:
    """Each N of a family, with what linear filters and memorisers give."""
    of, counts = FAMILIES[family]
    found: dict[str, Any] = {"samples": SAMPLES, "levels": list(LEVELS), "below": 0.5, "rows": {}}
    for n in counts:
        sets = [DisjointPart(of, min(n, LARGEST), part).images() for part in range(2)]
        known = sets if family == "c_alpha" else None
        row: dict[str, Any] = {"networks": [measured(pair, of.size, known) for pair in networks(family, n)]}
        if 1 < n <= LARGEST:
            row["wiener"] = [
                measured((gt.GaussianDenoiser.fit(sets[0]), gt.GaussianDenoiser.fit(sets[1])), of.size, sets)
            ]
        if n <= 1000:
            row["memorisers"] = [measured((gt.EmpiricalBayes(sets[0]), gt.EmpiricalBayes(sets[1])), of.size, sets)]
        found["rows"][n] = row
        for kind, pairs in row.items():
            for one in pairs:
                short = {k: one.get(k) for k in ("diverged", "share_parted", "closest_training_image")}
                print(family, n, kind, short, one.get("pairs", {}).get("value"), flush=True)
    return found


def main() -> None:
    """Measure, write and draw."""
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    for family in FAMILIES:
        found = measure(family)
        write_json(OUT / f"{family}.json", found)
        draw(found, family)


def draw(found: dict[str, Any], family: str) -> None:
    """Cosine of pairs and of the closest training image against N, and the cosine along the paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for kind, colour, line in (("memorisers", "0.75", "--"), ("wiener", "0.5", "-"), ("networks", "C0", "-")):
        rows = {int(n): [p for p in row.get(kind, []) if "pairs" in p] for n, row in found["rows"].items()}
        label = {"wiener": "two Wiener filters", "networks": "two networks", "memorisers": "two memorisers"}[kind]
        for n, pairs in rows.items():
            for one in pairs:
                end = one["pairs"]
                error = [[end["value"] - end["low"]], [end["high"] - end["value"]]]
                left.errorbar([n], [end["value"]], yerr=error, color=colour, marker="o", capsize=3)
        middle = {n: sum(p["pairs"]["value"] for p in pairs) / len(pairs) for n, pairs in rows.items() if pairs}
        left.plot(list(middle), list(middle.values()), color=colour, ls=line, label=label)
        near = {
            n: [p["closest_training_image"] for p in pairs if "closest_training_image" in p]
            for n, pairs in rows.items()
        }
        near = {n: values for n, values in near.items() if values}
        if kind == "networks" and near:
            means = [sum(values) / len(values) for values in near.values()]
            left.plot(list(near), means, color="C1", marker="s", label="network, closest training image")
    left.set(xscale="log", xlabel="N, training images of each", ylabel="cosine, means removed", ylim=(-0.2, 1.05))
    left.legend(fontsize=8)
    for k, (n, row) in enumerate(found["rows"].items()):
        first = row["networks"][0]
        if "sigmas" in first:
            colour = plt.cm.viridis(k / len(found["rows"]))
            right.plot(first["sigmas"], first["median_cosine"], color=colour, label=f"N = {n}")
    right.axhline(found["below"], color="black", lw=1, ls=":")
    right.set(xscale="log", xlabel="noise level", ylabel="median cosine of the two estimates", ylim=(-0.2, 1.05))
    right.invert_xaxis()
    right.legend(fontsize=8)
    figure.savefig(OUT / f"{family}.png", dpi=110)


if __name__ == "__main__":
    main()
