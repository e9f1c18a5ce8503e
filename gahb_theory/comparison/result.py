"""The result of a comparison: a table, a figure, a JSON file."""

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from gahb_theory.comparison.quantities import QUANTITIES, Result
from gahb_theory.jacobians.dimension import SubspaceDimension
from gahb_theory.jacobians.reproduction import Reproduction
from gahb_theory.theory import DecayFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison", "Side"]


@dataclass(frozen=True, eq=False, repr=False)
class Side(Result):
    """One of the two bases by itself; None where the images or the noise level were not given."""

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
    decay: DecayFit | None
    """Fitted exponent of ||x - x_M||^2 ~ M^-alpha with its interval and window."""
    oracle_mse: float | None
    """Risk of the oracle at the noise level, mean over images, summed over pixels."""
    gains: Float[np.ndarray, " k"] | None
    """Shrinkage factors: eigenvalues of a Jacobian, or the gains of the oracle, in the order of the atoms."""
    dimensions: SubspaceDimension | None
    """Effective dimensions of the gains."""
    band_energy: Float[np.ndarray, " shown"] | None
    """Energy of the first atoms in a band around the contour."""
    alignment: Float[np.ndarray, " shown"] | None
    """Mean squared cosine of the angle of the gradients of the first atoms with the normal of the contour."""
    frequency: Float[np.ndarray, " shown"] | None
    """Mean frequency of the first atoms along the contour, in cycles across the image."""
    asymmetry: float | None
    """||J - J^T|| / ||J||; this and the next four only of a side given as a Jacobian."""
    homogeneity_error: float | None
    """||J y - f(y)|| / ||f(y)||."""
    error: float | None
    """Squared error ||f(y) - x||^2 of the denoiser itself, summed over pixels, if one image x is given."""
    excess: float | None
    """`error` less `oracle_mse`: what the gains lose to the oracle in the same basis. The first is of one draw of the noise,
    the second a mean over draws."""
    reproduction: Reproduction | None
    """Which matrix the gains are the eigenvalues of, and how much of f(y) the shrinkage with them reproduces."""


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Result):
    """Two orthonormal bases side by side; print it, `plot` it, `save` it."""

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
        lines = self.lines()
        widths = [max(len(line[i]) for line in lines) for i in range(3)]
        rows = [f"{line[0]:{widths[0]}}  {line[1]:>{widths[1]}}  {line[2]:>{widths[2]}}".rstrip() for line in lines]
        if self.first.reproduction is not None:
            rows.append(str(self.first.reproduction))
        return "\n".join(rows)

    def lines(self) -> list[tuple[str, str, str]]:
        """Return the main figures as words: of each basis under their names, then of both under "both" and "chance"."""
        a, b = self.first, self.second
        lines: list[tuple[str, str, str]] = [("", a.name, b.name), ("atoms", str(a.atoms), str(b.atoms))]

        def row(name: str, one: Any, two: Any, form: str, suffix: str = "") -> None:
            if one is not None or two is not None:
                label, unit = QUANTITIES[name]
                label += suffix + (f" ({unit})" if unit else "")
                lines.append(
                    (label, "" if one is None else format(one, form), "" if two is None else format(two, form))
                )

        forms = {"oracle_mse": ".4g", "error": ".4g", "excess": ".4g", "asymmetry": ".2g", "homogeneity_error": ".2g"}
        for name, form in (forms | {"terms": "d", "energy_area": ".4f"}).items():
            row(name, getattr(a, name), getattr(b, name), form)
        exponents = [None if s.decay is None else s.decay.exponent for s in (a, b)]
        row("exponent", exponents[0], exponents[1], ".2f")
        for field in fields(SubspaceDimension):
            row(field.name, getattr(a.dimensions, field.name, None), getattr(b.dimensions, field.name, None), ".1f")
        for name in ("band_energy", "alignment", "frequency"):
            means = [None if getattr(s, name) is None else float(np.nanmean(getattr(s, name))) for s in (a, b)]
            row(name, means[0], means[1], ".3f")
        lines.append(("", "both", "chance"))
        at = self.index_of_rank
        row("overlap", self.overlap[at], self.overlap_of_chance[at], ".3f", f" of {self.ranks[at]} atoms")
        row("weighted_overlap", self.weighted_overlap, self.weighted_overlap_of_chance, ".3f")
        row("response", self.response, self.response_of_chance, ".3g")
        row("angle", np.median(self.angles), np.median(self.angles_of_chance), ".1f")
        row("coherence", self.coherence, None, ".2f")
        row("effective_atoms", self.effective_atoms, None, ".1f")
        row("procrustes", self.procrustes, None if self.procrustes is None else math.sqrt(2), ".3f")
        return lines

    @property
    def index_of_rank(self) -> int:
        """Where `rank` stands in `ranks`."""
        return int(np.argmin(np.abs(self.ranks - self.rank)))

    @property
    def weighted_overlap_of_chance(self) -> float | None:
        """What `weighted_overlap` is for a random span of dimension `weighted_rank`."""
        return None if self.weighted_rank is None else self.weighted_rank / self.dimension

    def __repr__(self) -> str:
        return self.table()

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the overlap of the first r atoms of both, beside that of random spans, and return the axes.

        `gahb_theory.report.draw_comparison.comparison_figure` draws angles, energies and gains too.
        """
        from gahb_theory.report.draw_comparison import draw_overlap
        from gahb_theory.report.figures import axes_or_new

        return draw_overlap(self, axes_or_new(ax))
