"""What is to be read off the curves of the experiments on the paper, in one sentence each, computed from their results."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.plane_summary import mean_over_sigmas

__all__ = ["readings_of_paper"]

Results = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]


def readings_of_paper(experiment: str, results: Results, arrays: Arrays) -> dict[str, str]:
    """A sentence for each chart of an experiment, by the name of the chart."""
    known = {
        "memorisation": _memorisation,
        "near_optimal": _near_optimal,
        "manifolds": _manifolds,
        "shuffling": _shuffling,
        "memorisation_plane": _plane,
    }
    return known[experiment](results, arrays) if experiment in known else {}


def _memorisation(results: Results, arrays: Arrays) -> dict[str, str]:
    first, last = results["rows"][0], results["rows"][-1]
    ends = f"N = {first['n']:,}", f"N = {last['n']:,}"
    seen, pairs, copies = (
        [float(row[key]["value"]) for row in (first, last)] for key in ("mean_seen", "pairs", "copies")
    )
    return {
        "memorisation_psnr": f"Having seen an image adds {seen[0]:.1f} dB at {ends[0]}, and {seen[1]:.1f} dB at {ends[1]}.",
        "memorisation_measures": (
            f"From {ends[0]} to {ends[1]} the cosine of paired samples goes from {pairs[0]:.2f} to {pairs[1]:.2f}, the share "
            f"of copies from {copies[0]:.0%} to {copies[1]:.0%}."
        ),
    }


def _near_optimal(results: Results, arrays: Arrays) -> dict[str, str]:
    gaps, held = [], []
    for name, row in results["classes"].items():
        gaps.append(float(np.mean(arrays[f"{name}/psnr.network"] - arrays[f"{name}/psnr.wavelet oracle"])))
        fit = row["slopes"].get("network", {})
        if "value" in fit:
            held.append(fit["low"] <= row["alpha"] / (row["alpha"] + 1) <= fit["high"])
    return {
        "near_optimal_psnr": (
            f"The network is above the wavelet oracle in {sum(gap > 0 for gap in gaps)} of {len(gaps)} classes; "
            f"on average over classes and noise levels by {np.mean(gaps):+.1f} dB."
        ),
        "near_optimal_slopes": (
            f"The interval of the network's slope holds alpha / (alpha + 1) in {sum(held)} of {len(held)} classes."
        ),
    }


def _manifolds(results: Results, arrays: Arrays) -> dict[str, str]:
    given = -20 * np.log10(np.array(results["sigmas"]))
    after, lost = [], []
    for name, row in results["manifolds"].items():
        word = name.replace("_", " ")
        after.append(f"{arrays[f'{name}/eigenvalues'].mean(axis=0)[row['k']]:.2f} ({word})")
        optimal = given + 10 * np.log10(row["dimension"] / row["k"])
        lost.append(f"{float(np.mean(arrays[f'{name}/psnr'] - optimal)):+.1f} dB ({word})")
    return {
        "manifolds_eigenvalues": f"The first eigenvalue after the dimension of the manifold is {', '.join(after)} on average.",
        "manifolds_psnr": f"Against the optimal projection the network is at {', '.join(lost)} on average.",
    }


def _shuffling(results: Results, arrays: Arrays) -> dict[str, str]:
    plain, shuffled, linear = (np.asarray(arrays[f"{name}/psnr"]) for name in ("plain", "shuffled", "linear"))
    return {
        "shuffling_psnr": (
            f"Shuffling the pixels costs the network {float(np.mean(plain - shuffled)):.1f} dB on average; against the best "
            f"linear denoiser the shuffled one is at {float(np.mean(shuffled - linear)):+.1f} dB."
        )
    }


def _plane(results: Results, arrays: Arrays) -> dict[str, str]:
    rows = results["rows"]
    first, last = rows[0], rows[-1]
    gap = [
        float((mean_over_sigmas(r, "psnr_train") - mean_over_sigmas(r, "psnr_test"))[:, -1].mean())
        for r in (first, last)
    ]
    said = {
        "plane_curves": (
            f"At the end of training a seen image is {gap[0]:.1f} dB above a fresh one for N = {first['n']:,}, and "
            f"{gap[1]:.1f} dB for N = {last['n']:,}."
        )
    }
    if "cosine_disjoint" in first:
        ends = [float(np.mean([v[-1] for v in row["cosine_disjoint"]])) for row in (first, last)]
        said["plane_cosines"] = (
            f"Samples of networks on disjoint sets have a cosine of {ends[0]:.2f} at N = {first['n']:,} and of {ends[1]:.2f} "
            f"at N = {last['n']:,}; two Wiener filters reach {float(last['linear']['cosine']):.2f}."
        )
    return said
