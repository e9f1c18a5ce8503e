"""The result of a comparison: a table, a figure, a JSON file."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from gahb_theory import runs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Side"]


@dataclass(frozen=True, eq=False)
class Side:
    """What is known of one of the two bases on its own; None where the images or the noise level were not given."""

    name: str
    atoms: int
    energy: Float[np.ndarray, " k"] | None
    """Part of the energy of the images, without their means, in the first r atoms, r = 1 .. k, in the order of the basis."""
    best_energy: Float[np.ndarray, " k"] | None
    """The same with the atoms in the order of |<x, e_k>|, which is the curve of the best M terms."""
    energy_area: float | None
    """Mean of `best_energy` over log r: 1 if the first atom holds everything."""
    terms: int | None
    """Number of best terms that hold 99 % of the energy."""
    decay: dict[str, Any] | None
    """Fitted exponent of ||x - x_M||^2 ~ M^-alpha with its interval and window."""
    oracle_mse: float | None
    """Risk of the oracle at the noise level, mean over images, summed over pixels."""
    gains: Float[np.ndarray, " k"] | None
    """Shrinkage factors: eigenvalues of a Jacobian, or the gains of the oracle, in the order of the atoms."""
    dimensions: dict[str, float] | None
    """Effective dimensions of the gains."""
    band_energy: Float[np.ndarray, " shown"] | None
    """Energy of the first atoms in a band around the contour."""
    alignment: Float[np.ndarray, " shown"] | None
    """Mean squared cosine of the angle of the gradients of the first atoms with the normal of the contour."""
    frequency: Float[np.ndarray, " shown"] | None
    """Mean frequency of the first atoms along the contour, in cycles across the image."""
    asymmetry: float | None
    """||J - J^T|| / ||J||; this and the next three only of a side given as a Jacobian."""
    homogeneity_error: float | None
    """||J y - f(y)|| / ||f(y)||."""
    error: float | None
    """Squared error ||f(y) - x||^2 of the denoiser itself, summed over pixels, if one image x is given."""
    excess: float | None
    """`error` less `oracle_mse`: what the gains lose to the oracle in the same basis. The first is of one draw of the noise,
    the second a mean over draws."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two orthonormal bases side by side; print it, `plot` it, `write` it."""

    first: Side
    second: Side
    dimension: int
    """Number of pixels d."""
    images: int
    sigma: float | None
    rank: int
    """Number r of atoms of both for `angles`."""
    angles: Float[np.ndarray, " r"]
    """Principal angles between the spans of the first r atoms of both, ascending, in degrees."""
    angles_of_chance: Float[np.ndarray, " r"]
    """The same between those of the first basis and a uniformly random span."""
    ranks: Int[np.ndarray, " s"]
    overlap: Float[np.ndarray, " s"]
    """Overlap of the first r atoms of both, for r in `ranks`."""
    overlap_of_chance: Float[np.ndarray, " s"]
    overlap_spread: Float[np.ndarray, " s"]
    """Standard deviation of the overlap of random spans."""
    weighted_overlap: float | None
    """sum lambda_k ||P e_k||^2 / sum lambda_k: the part of the first shrinkage inside the span P of the atoms of the second
    whose coefficients exceed the noise."""
    weighted_rank: int | None
    """Dimension of that span; chance would give weighted_rank / dimension."""
    coherence: float
    effective_atoms: float
    """Mean number of atoms of the second that one of the first r atoms of the first is spread over."""
    response: float | None
    """Root mean square of ||J v|| over the unit atoms v of the second whose coefficients do not exceed the noise, J being the
    first: 0 if the denoiser removes all the second would. None if the first is no Jacobian, or without x and sigma."""
    response_of_chance: float | None
    """The same over all unit vectors, ||J||_F / sqrt(d)."""
    procrustes: float | None
    """Root mean squared distance of the first r atoms after the best rotation inside clusters of eigenvalues, from 0 to
    sqrt(2); None if the first has no eigenvalues."""
    band_of_chance: float | None

    def table(self) -> str:
        """Return the main figures as lines of text."""
        a, b = self.first, self.second
        lines: list[tuple[str, str, str]] = [("", a.name, b.name), ("atoms", str(a.atoms), str(b.atoms))]

        def row(label: str, one: Any, two: Any, form: str) -> None:
            if one is not None or two is not None:
                lines.append(
                    (label, "" if one is None else format(one, form), "" if two is None else format(two, form))
                )

        row("oracle risk", a.oracle_mse, b.oracle_mse, ".4g")
        row("error of the denoiser", a.error, b.error, ".4g")
        row("error less the oracle risk", a.excess, b.excess, ".4g")
        row("asymmetry", a.asymmetry, b.asymmetry, ".2g")
        row("error of homogeneity", a.homogeneity_error, b.homogeneity_error, ".2g")
        row("terms for 99 % of the energy", a.terms, b.terms, "d")
        row("area under the energy curve", a.energy_area, b.energy_area, ".4f")
        exponents = [None if s.decay is None else s.decay["exponent"] for s in (a, b)]
        row("decay exponent", exponents[0], exponents[1], ".2f")
        for name in a.dimensions or b.dimensions or {}:
            row(f"dimension, {name}", (a.dimensions or {}).get(name), (b.dimensions or {}).get(name), ".1f")
        contour = {"band_energy": "energy in the band of the contour", "alignment": "alignment with it"}
        for key, label in (contour | {"frequency": "frequency along it"}).items():
            means = [None if getattr(s, key) is None else float(np.nanmean(getattr(s, key))) for s in (a, b)]
            row(label, means[0], means[1], ".3f")
        lines.append(("", "both", "chance"))
        at = int(np.argmin(np.abs(self.ranks - self.rank)))
        row(f"overlap of {self.ranks[at]} atoms", self.overlap[at], self.overlap_of_chance[at], ".3f")
        if self.weighted_overlap is not None and self.weighted_rank is not None:
            row("weighted overlap", self.weighted_overlap, self.weighted_rank / self.dimension, ".3f")
        row("response to atoms below the noise", self.response, self.response_of_chance, ".3g")
        row("median principal angle (deg)", np.median(self.angles), np.median(self.angles_of_chance), ".1f")
        row("coherence", self.coherence, None, ".2f")
        row("atoms one is spread over", self.effective_atoms, None, ".1f")
        row(
            "Procrustes distance in clusters",
            self.procrustes,
            math.sqrt(2) if self.procrustes is not None else None,
            ".3f",
        )
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        return "\n".join(
            f"{line[0]:{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}".rstrip() for line in lines
        )

    def __str__(self) -> str:
        return self.table()

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as numbers, strings, lists and dictionaries."""

        def plain(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return [None if isinstance(v, float) and math.isnan(v) else v for v in value.tolist()]
            if isinstance(value, Side):
                return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
            if isinstance(value, dict):
                return {key: plain(entry) for key, entry in value.items()}
            return value

        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}

    def write(self, path: str | Path) -> Path:
        """Write all fields as JSON, atomically."""
        return runs.write_json(path, self.as_dict())

    def plot(self) -> "Figure":
        """Draw overlap, angles, and, where there are images, energy and gains."""
        from matplotlib.figure import Figure

        from gahb_theory.report import figures as plots

        panels = [self._draw_overlap, self._draw_angles]
        panels += [self._draw_energy] if self.first.best_energy is not None else []
        panels += [self._draw_gains] if self.first.gains is not None or self.second.gains is not None else []
        with plots.style():
            figure = Figure(figsize=(3.3 * len(panels), 2.9), layout="constrained")
            for ax, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
                panel(ax)
        return figure

    def _draw_overlap(self, ax: "Axes") -> None:
        from gahb_theory.report.figures import GREY, VERMILION

        ax.plot(self.ranks, self.overlap, color=VERMILION, label=f"{self.first.name} and\n{self.second.name}")
        low, high = (self.overlap_of_chance + 2 * sign * self.overlap_spread for sign in (-1, 1))
        ax.fill_between(self.ranks, low.clip(0), high, color=GREY, alpha=0.35, lw=0)
        ax.plot(self.ranks, self.overlap_of_chance, color=GREY, ls=":", label="random spans")
        ax.set(xscale="log", xlabel="number of atoms r", ylabel="overlap of the spans", ylim=(0, 1.05))
        ax.legend()

    def _draw_angles(self, ax: "Axes") -> None:
        from gahb_theory.report.figures import GREY, VERMILION

        index = np.arange(1, len(self.angles) + 1)
        ax.plot(index, self.angles, color=VERMILION)
        ax.plot(index, self.angles_of_chance, color=GREY, ls=":", label="random span")
        ax.set(xlabel=f"index, of {self.rank} atoms", ylabel="principal angle (degrees)", ylim=(-2, 92))
        ax.legend(loc="lower right")

    def _draw_energy(self, ax: "Axes") -> None:
        from gahb_theory.report.figures import BLUE, VERMILION

        for side, colour in ((self.first, VERMILION), (self.second, BLUE)):
            if side.best_energy is not None and side.energy is not None:
                index = np.arange(1, side.atoms + 1)
                ax.plot(index, 1 - side.best_energy, color=colour, label=f"{side.name}, best r")
                ax.plot(index, 1 - side.energy, color=colour, ls="--", lw=1, label=f"{side.name}, first r")
        ax.set(xscale="log", yscale="log", xlabel="number of atoms r", ylabel="energy outside", ylim=(1e-4, 1.3))
        ax.legend(fontsize=7)

    def _draw_gains(self, ax: "Axes") -> None:
        from gahb_theory.report.figures import BLUE, VERMILION

        for side, colour in ((self.first, VERMILION), (self.second, BLUE)):
            if side.gains is not None:
                ax.plot(np.arange(1, len(side.gains) + 1), side.gains, color=colour, label=side.name)
        ax.set(xscale="log", xlabel="number k of the atom", ylabel="shrinkage factor")
        ax.legend()
