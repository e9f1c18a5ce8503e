"""Figure 13: pairs of networks of disjoint training sets, sampled without noise on the way, and where their paths part.

    python experiments/deterministic_sampling.py

The committed networks photographs_N_A and photographs_N_B draw by the probability flow (Heun, Karras et al. 2022) from the same
noise. Measured for each N: cosine of pairs and of samples from different noise, without mean intensities; similarity with the
closest training image; share of paths that part, and at which noise level. In grey: two Wiener filters fitted on N patches
each, and the empirical memorisers of the two sets. Five minutes on one core. Results: results/deterministic_sampling/.
"""

import json
from pathlib import Path
from typing import Any

import torch

import gahb_theory as gt
from gahb_theory.hypotheses.training_sets import DisjointPart
from gahb_theory.identity import fingerprint
from gahb_theory.metrics.similarity import closest
from gahb_theory.runs import write_json
from gahb_theory.sampling import compare_paths, karras_levels, probability_flow

HERE = Path(__file__).parent
OUT = HERE / "results" / "deterministic_sampling"
COUNTS, SAMPLES, SEED = (1, 10, 100, 1000, 10_000, 100_000), 24, 2**64 + 12
PATCHES, SHAPE = gt.Photographs(size=32), (SAMPLES, 1, 32, 32)
LEVELS = karras_levels(32, sigma_0=1.0, sigma_inf=0.02)
LARGEST = 10_000
"""Of a training set, in what compares with each of its images."""


def measured(pair: tuple[gt.Denoiser, gt.Denoiser], sets: list[torch.Tensor] | None) -> dict[str, Any]:
    """Samples of two denoisers from the same noise, side by side."""
    a, b = (probability_flow(f, SHAPE, sigmas=LEVELS, seed=SEED, every=1, dtype=torch.float32) for f in pair)
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
        "parted_at": parting.parted_at.tolist(),
        "deviation": float(a.images.flatten(1).std(dim=1).mean()),
    }
    if sets is not None:
        near = [closest(s.images, x).similarity[:, 0] for s, x in zip((a, b), sets, strict=True)]
        row["closest_training_image"] = float(torch.cat(near).mean())
    return row


def main() -> None:
    """Measure, write and draw."""
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    stored = json.loads((HERE / "results" / "memorisation" / "results.json").read_text())
    hashes = {row["n"]: row["hashes"] for row in stored["rows"]}
    found: dict[str, Any] = {"samples": SAMPLES, "levels": list(LEVELS), "below": 0.5, "rows": {}}
    for n in COUNTS:
        halves = [DisjointPart(PATCHES, n, part).images() for part in range(2)]
        known = hashes.get(n) == [fingerprint(x) for x in halves]  # are they what the networks were trained on?
        sets = [x[:LARGEST] for x in halves]
        networks = [gt.load_denoiser(HERE / "checkpoints" / f"photographs_{n}_{half}") for half in "AB"]
        row = {"same_training_images": known, "networks": measured((networks[0], networks[1]), sets if known else None)}
        if n > 1:
            row["wiener"] = measured((gt.GaussianDenoiser.fit(sets[0]), gt.GaussianDenoiser.fit(sets[1])), sets)
        if n <= 1000:
            row["memorisers"] = measured((gt.EmpiricalBayes(sets[0]), gt.EmpiricalBayes(sets[1])), sets)
        found["rows"][n] = row
        for kind in ("networks", "wiener", "memorisers"):
            if kind in row:
                short = {
                    k: v for k, v in row[kind].items() if k in ("diverged", "share_parted", "closest_training_image")
                }
                print(n, kind, short, row[kind].get("pairs", {}).get("value"), flush=True)
    write_json(OUT / "deterministic_sampling.json", found)
    draw(found)


def draw(found: dict[str, Any]) -> None:
    """Cosine of pairs and of the closest training image against N, and the cosine along the paths."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for kind, colour, line in (("memorisers", "0.75", "--"), ("wiener", "0.5", "-"), ("networks", "C0", "-")):
        rows = {int(n): row[kind] for n, row in found["rows"].items() if "pairs" in row.get(kind, {})}
        ends = [row["pairs"] for row in rows.values()]
        value = [e["value"] for e in ends]
        error = [[e["value"] - e["low"] for e in ends], [e["high"] - e["value"] for e in ends]]
        label = {"wiener": "two Wiener filters", "networks": "two networks", "memorisers": "two memorisers"}[kind]
        left.errorbar(list(rows), value, yerr=error, color=colour, ls=line, marker="o", capsize=3, label=label)
        near = {n: row["closest_training_image"] for n, row in rows.items() if "closest_training_image" in row}
        if kind == "networks" and near:
            left.plot(list(near), list(near.values()), color="C1", marker="s", label="network, closest training image")
    left.set(xscale="log", xlabel="N, training patches of each", ylabel="cosine, means removed", ylim=(-0.2, 1.05))
    left.legend(fontsize=8)
    for k, (n, row) in enumerate(found["rows"].items()):
        if "sigmas" in row["networks"]:
            right.plot(
                row["networks"]["sigmas"],
                row["networks"]["median_cosine"],
                color=plt.cm.viridis(k / 6),
                label=f"N = {n}",
            )
    right.axhline(found["below"], color="black", lw=1, ls=":")
    right.set(xscale="log", xlabel="noise level", ylabel="median cosine of the two estimates", ylim=(-0.2, 1.05))
    right.invert_xaxis()
    right.legend(fontsize=8)
    figure.savefig(OUT / "deterministic_sampling.png", dpi=110)


if __name__ == "__main__":
    main()
