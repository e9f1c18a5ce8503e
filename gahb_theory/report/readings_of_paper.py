"""What is to be read off the figures of the experiments on the paper, in one sentence each, computed from their results."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.plane_summary import GAP, mean_over_sigmas
from gahb_theory.report.browser import cycles

__all__ = ["readings_of_paper", "share_in_span"]

Results = Mapping[str, Any]
Arrays = Mapping[str, np.ndarray]


def readings_of_paper(experiment: str, results: Results, arrays: Arrays) -> dict[str, str]:
    """A sentence for each figure of an experiment, by the name of the figure."""
    known: dict[str, Callable[[Results, Arrays], dict[str, str]]] = {
        "memorisation": _memorisation,
        "near_optimal": _near_optimal,
        "manifolds": _manifolds,
        "shuffling": _shuffling,
        "memorisation_plane": _plane,
        **{name: partial(_plane, prefix=name) for name in ("plane_of_disks", "plane_of_photographs")},
        "resolution": _resolution,
    }
    return known[experiment](results, arrays) if experiment in known else {}


def share_in_span(vectors: np.ndarray, others: np.ndarray) -> float:
    """The share of the energy of vectors, each of norm 1, that lies in the span of others, arrays (k, c, h, w).

    Examples
    --------
    >>> e = np.eye(4).reshape(4, 1, 2, 2)
    >>> share_in_span(3 * e[:2], e[1:])
    0.5
    """
    one, other = (v.reshape(len(v), -1).astype(np.float64) for v in (vectors, others))
    one = one / np.linalg.norm(one, axis=1, keepdims=True)
    inside = one @ np.linalg.qr(other.T)[0]
    return float((inside**2).sum(axis=1).mean())


def _cosine(x: np.ndarray, y: np.ndarray) -> float:
    """Cosine of two images, means removed."""
    one, other = (v.astype(np.float64).ravel() - v.astype(np.float64).mean() for v in (x, y))
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


def _memorisation(results: Results, arrays: Arrays) -> dict[str, str]:
    first, last = results["rows"][0], results["rows"][-1]
    ends = f"N = {first['n']:,}", f"N = {last['n']:,}"
    seen, pairs, copies = (
        [float(row[key]["value"]) for row in (first, last)] for key in ("mean_seen", "pairs", "copies")
    )
    counts = [row["n"] for row in results["rows"]]
    drawn = [arrays[f"{n}/grid"] for n in (counts[0], counts[-1])]
    alike, copied = ([np.mean([_cosine(a, b) for a, b in zip(g[1], g[k], strict=True)]) for g in drawn] for k in (2, 0))
    above = [n for n in counts if arrays[f"{n}/pairs"].mean() > arrays[f"{n}/closest"].mean()]
    return {
        "memorisation_samples": (
            f"Samples of A have a cosine of {alike[0]:.2f} with those of B and of {copied[0]:.2f} with their closest training "
            f"images at {ends[0]}; {alike[1]:.2f} and {copied[1]:.2f} at {ends[1]}."
        ),
        "memorisation_histograms": (
            f"Samples of the two networks are on average more alike than a sample and its closest training image for "
            f"{len(above)} of {len(counts)} sizes of the training set{f', the smallest N = {min(above):,}' if above else ''}."
        ),
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
    spans = {}
    for name in results["classes"]:
        if f"{name}/given_contour_atoms" in arrays:
            atoms, given = arrays[f"{name}/atoms"], arrays[f"{name}/given_contour_atoms"]
            spans[f"near_optimal_eigenvectors_{name}"] = (
                f"{share_in_span(atoms, given):.0%} of the network's {len(atoms)} leading eigenvectors lies in the span of the "
                f"{len(given)} of the denoiser that knows the contour; by chance {len(given) / atoms[0].size:.1%} would."
            )
    return spans | {
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
    after, lost, spans = [], [], {}
    for name, row in results["manifolds"].items():
        word = name.replace("_", " ")
        after.append(f"{arrays[f'{name}/eigenvalues'].mean(axis=0)[row['k']]:.2f} ({word})")
        optimal = given + 10 * np.log10(row["dimension"] / row["k"])
        lost.append(f"{float(np.mean(arrays[f'{name}/psnr'] - optimal)):+.1f} dB ({word})")
        if f"{name}/tangent" in arrays:
            tangent, first = arrays[f"{name}/tangent"], arrays[f"{name}/atoms"][: row["k"]]
            which = "The first eigenvector holds" if len(first) == 1 else f"The first {len(first)} eigenvectors hold"
            spans[f"manifolds_{name}"] = (
                f"{which} {share_in_span(tangent, first):.1%} of the tangent space, of dimension {row['k']}; by chance "
                f"{len(first) / first[0].size:.1%}."
            )
    return spans | {
        "manifolds_eigenvalues": f"The first eigenvalue after the dimension of the manifold is {', '.join(after)} on average.",
        "manifolds_psnr": f"Against the optimal projection the network is at {', '.join(lost)} on average.",
    }


def _shuffling(results: Results, arrays: Arrays) -> dict[str, str]:
    plain, shuffled, linear = (np.asarray(arrays[f"{name}/psnr"]) for name in ("plain", "shuffled", "linear"))
    atoms = [arrays[f"{name}/atoms"] for name in ("plain", "shuffled")]
    waves = [np.mean([cycles(atom.astype(np.float64)) for atom in each]) for each in atoms]
    return {
        "shuffling_eigenvectors": (
            f"{share_in_span(*atoms):.0%} of the plain network's {len(atoms[0])} leading eigenvectors lies in the span of "
            f"those of the network for shuffled images, which have {waves[1]:.1f} cycles across the image in the mean, not "
            f"{waves[0]:.1f}."
        ),
        "shuffling_psnr": (
            f"Shuffling the pixels costs the network {float(np.mean(plain - shuffled)):.1f} dB on average; against the best "
            f"linear denoiser the shuffled one is at {float(np.mean(shuffled - linear)):+.1f} dB."
        ),
    }


def _most_lost(results: Results) -> str:
    """Where networks of disjoint sets lose most of what they shared on the way."""
    means = {row["n"]: np.mean(row["shared_disjoint"], axis=0) for row in results["rows"]}
    n = max(means, key=lambda n: means[n].max() - means[n][-1])
    most = int(means[n].argmax())
    return (
        f"At N = {n:,} that is {means[n][-1]:.3f} after {results['snapshots'][-1]:,} images seen, and was {means[n][most]:.3f} "
        f"after {results['snapshots'][most]:,}."
    )


def _plane(results: Results, arrays: Arrays, prefix: str = "plane") -> dict[str, str]:
    rows = results["rows"]
    first, last = rows[0], rows[-1]
    gap = [
        float((mean_over_sigmas(r, "psnr_train") - mean_over_sigmas(r, "psnr_test"))[:, -1].mean())
        for r in (first, last)
    ]
    grown = [float(mean_over_sigmas(row, "gap").mean(axis=0).max()) for row in rows]
    held = [row["n"] for row, most in zip(rows, grown, strict=True) if most > GAP]
    said = {
        f"{prefix}_phases": (
            f"The gap rises above {GAP:g} dB within {results['snapshots'][-1]:,} images seen for {len(held)} of {len(rows)} "
            f"sizes of the training set{f', the largest N = {max(held):,}' if held else ''}."
        ),
        f"{prefix}_curves": (
            f"At the end of training a seen image is {gap[0]:.1f} dB above a fresh one for N = {first['n']:,}, and "
            f"{gap[1]:.1f} dB for N = {last['n']:,}."
        ),
    }
    if "cosine_disjoint" in first:
        ends = [float(np.mean([v[-1] for v in row["cosine_disjoint"]])) for row in (first, last)]
        said[f"{prefix}_cosines"] = (
            f"Samples of networks on disjoint sets have a cosine of {ends[0]:.2f} at N = {first['n']:,} and of {ends[1]:.2f} "
            f"at N = {last['n']:,}; two Wiener filters reach {float(last['linear']['cosine']):.2f}."
        )
    if "shared_same" in first:
        parts = [
            np.mean([v[-1] for v in r["shared_disjoint"]]) / np.mean([v[-1] for v in r["shared_same"]]) for r in rows
        ]
        listed = ", ".join(f"{part:.2f} at N = {row['n']:,}" for part, row in zip(parts, rows, strict=True))
        said[f"{prefix}_shared"] = (
            f"Of what networks of the same set share of their eigenvectors, networks of disjoint sets share {listed}. "
            f"{_most_lost(results)}"
        )
    return said


def _resolution(results: Results, arrays: Arrays) -> dict[str, str]:
    rows = results["rows"]
    n, widest = rows[0]["n"], max(r["channels"] for r in rows)
    line = sorted((r for r in rows if (r["n"], r["channels"]) == (n, widest)), key=lambda r: r["size"])
    gaps = ", ".join(f"{r['network']['gap']:+.1f} dB at {r['size']} pixels" for r in line)
    linear = ", ".join(f"{r['wiener']['gap']:+.1f}" for r in line)
    place = f"At N = {n:,}, networks of {widest} channels"
    said = {
        "resolution_gaps": f"{place} have a seen image above a fresh one by {gaps}; Wiener filters by {linear} dB.",
    }
    if all(r["network"]["above"] for r in rows):
        above = ", ".join(f"{float(np.mean(r['network']['above'])):.1f} dB at {r['size']} pixels" for r in line)
        said["resolution_optimum"] = f"{place} are above the optimum on fresh images by {above}."
    return said
