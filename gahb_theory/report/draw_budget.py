"""Extra directions and excess on manifolds against the budget, with the limit of ever longer training."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gahb_theory.hypotheses.paper.judged_measures import decibels
from gahb_theory.hypotheses.paper.questions_manifolds import MANIFOLDS

__all__ = ["draw_limits"]

QUANTITIES = {"extra": "directions that the\noptimum removes", "excess": "risk above the\noptimum (dB)"}


def draw_limits(rows: Mapping[str, Any], folder: Path) -> Any:
    """The figure, one column for each manifold; None where no limit has been estimated."""
    import matplotlib.pyplot as plt

    names = [name for name in MANIFOLDS if f"limit of extra, {name}" in rows]
    if not names:
        return None
    figure, axes = plt.subplots(
        2, len(names), figsize=(3.2 * len(names), 5), sharex=True, sharey="row", layout="constrained", squeeze=False
    )
    largest = max(int(n) for name in names for n in rows[f"limit of extra, {name}"]["reference"]["by images seen"])
    for line, (what, label) in zip(axes, QUANTITIES.items(), strict=True):
        for ax, name in zip(line, names, strict=True):
            _panel(ax, rows[f"limit of {what}, {name}"], what, largest)
            if what == "extra":
                ax.set_title(name.replace("_", " "))
            else:
                ax.set_xlabel("images seen")
        line[0].set_ylabel(label)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _panel(ax: Any, row: Mapping[str, Any], what: str, largest: int) -> None:
    """One panel; the limit stands to the right of the largest budget of all panels, which share their axis."""
    scale = decibels if what == "excess" else float
    table = {int(n): [scale(v) for v in values] for n, values in row["reference"]["by images seen"].items()}
    seen = sorted(table)
    for seed, values in enumerate(np.array([table[n] for n in seen]).T):
        ax.plot(seen, values, color="C0", marker="o", ms=3, lw=1, label=None if seed else "networks, one line a seed")
    value, low, high = (scale(v) for v in row["estimate"])
    end = largest * 3
    limit = "limit of a power, 95 %"
    ax.errorbar([end], [value], [[value - low], [high - value]], color="C3", marker="s", ms=4, capsize=3, label=limit)
    ax.axhline(0, color="black", lw=1, label="exact optimum")
    ax.axhline(scale(float(row["criterion"].split()[1])), color="0.6", ls=":", label="criterion")
    ax.set_xscale("log")
    ticks = [n for n in (8000, 32_000, 128_000, 512_000) if n <= largest]
    ax.set_xticks([*ticks, end], [*(f"{n:,}" for n in ticks), "limit"], fontsize=7)
    ax.minorticks_off()
