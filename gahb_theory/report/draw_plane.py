"""The plane of training images N and images seen: phase pictures, curves, and samples side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.plane_summary import GAP, mean_over_sigmas
from gahb_theory.report.curves import Mark, Panel, Series, with_equal_limits
from gahb_theory.report.figures import BLUE, GREY, ORANGE, VERMILION
from gahb_theory.report.grids import Grid
from gahb_theory.report.page import Chart, Grids, Part

__all__ = ["memorisation_plane"]


def memorisation_plane(
    results: Mapping[str, Any], arrays: Mapping[str, np.ndarray], prefix: str = "plane"
) -> list[Part]:
    """Phase pictures, PSNR against images seen, cosines of samples; what the names of the figures begin with."""
    found: list[Part] = [
        Grids(
            f"{prefix}_phases",
            _phases(results),
            "Mean over repetitions and noise levels. Left: what having seen an image adds to its PSNR, with the edge at "
            f"{GAP:g} dB. Middle: share of samples that are copies of a training image, less that of fresh images. Right: "
            "distance of two networks on disjoint sets less that of two on the same set, relative to the risk.",
        ),
        Chart(
            f"{prefix}_curves",
            _curves(results),
            "PSNR on images that were trained on and on fresh ones, mean over the noise levels, for each N; bands: all "
            "repetitions. The Wiener filter is that of the largest N.",
        ),
    ]
    if "cosine_same" in results["rows"][0]:
        found.append(
            Chart(
                f"{prefix}_cosines",
                [_cosines(results)],
                "Cosine of samples from the same noise, means removed, at the end of training. Grey: two Wiener filters "
                "fitted on the two sets.",
            )
        )
    if "shared_same" in results["rows"][0]:
        found.append(
            Chart(
                f"{prefix}_shared",
                _shared(results),
                "What the first eigenvectors of two networks share that depends on the image, against images seen, for each N; "
                "bands: all repetitions. Two Wiener filters share 0.",
            )
        )
    return found


def _phases(results: Mapping[str, Any]) -> list[Grid]:
    rows = results["rows"]
    grids = {"gap (dB)": [mean_over_sigmas(row, "gap").mean(axis=0) for row in rows]}
    grids["copies above chance"] = [np.mean(row["copies"], axis=0) - row["copies_of_chance"] for row in rows]
    if "distance_same" in rows[0]:
        grids["excess distance / risk"] = [
            (mean_over_sigmas(row, "distance_disjoint") - mean_over_sigmas(row, "distance_same")).mean(axis=0)
            for row in rows
        ]
    names, seen = [f"{row['n']:,}" for row in rows], [f"{t / 1000:g}" for t in results["snapshots"]]
    axes = "training images N", "images seen (thousands)"
    lines = {"gap (dB)": GAP}
    return [Grid(np.array(v), names, seen, *axes, title, lines.get(title)) for title, v in grids.items()]


def _curves(results: Mapping[str, Any]) -> list[Panel]:
    linear = float(np.mean(results["rows"][-1]["linear"]["psnr_wiener"]))
    marks = [Mark("y", linear, "Wiener filter")]
    kinds = {"psnr_train": "seen images", "psnr_test": "fresh images"}
    return _against_images_seen(results, kinds, "PSNR (dB)", marks)


def _shared(results: Mapping[str, Any]) -> list[Panel]:
    kinds = {"shared_same": "same training set", "shared_disjoint": "disjoint training sets"}
    return _against_images_seen(results, kinds, "shared eigenvectors", [Mark("y", 0.0, "two Wiener filters")])


def _against_images_seen(
    results: Mapping[str, Any], kinds: Mapping[str, str], label: str, marks: Sequence[Mark]
) -> list[Panel]:
    """A panel for each kind of quantity, with one curve for each N."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    rows, snapshots = results["rows"], np.array(results["snapshots"], dtype=float)
    shades = [to_hex(colormaps["viridis"](v)) for v in np.linspace(0, 0.85, len(rows))]
    found = []
    for kind, title in kinds.items():
        series = []
        for row, colour in zip(rows, shades, strict=True):
            values = mean_over_sigmas(row, kind)
            middle, low, high = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
            series.append(Series(f"N = {row['n']:,}", snapshots, middle, low, high, colour, marker="o"))
        found.append(Panel(series, "images seen", label, title=title, xlog=True, marks=list(marks)))
    return with_equal_limits(found)


def _cosines(results: Mapping[str, Any]) -> Panel:
    rows = results["rows"]
    counts = np.array([row["n"] for row in rows], dtype=float)
    series = []
    for kind, label, colour in (
        ("same", "same training set", BLUE),
        ("disjoint", "disjoint training sets", VERMILION),
    ):
        values = np.array([[v[-1] for v in row[f"cosine_{kind}"]] for row in rows])
        middle, low, high = values.mean(axis=1), values.min(axis=1), values.max(axis=1)
        series.append(Series(label, counts, middle, low, high, colour, marker="o"))
    filters = np.array([row["linear"]["cosine"] for row in rows], dtype=float)
    copies = np.array([np.mean([v[-1] for v in row["copies"]]) for row in rows], dtype=float)
    series.append(Series("two Wiener filters", counts, filters, colour=GREY, line="--"))
    series.append(Series("share of copies", counts, copies, colour=ORANGE, line=":"))
    lowest = min(-0.1, *(float(np.min(s.y if s.low is None else s.low)) - 0.05 for s in series))
    return Panel(series, "training images N", "cosine of paired samples", xlog=True, ylim=(lowest, 1.05))
