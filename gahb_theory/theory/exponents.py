"""What is known of the exponents: which representation of which images has which slope, and who showed it.

If the error of the best M terms decays as ||x - x_M||^2 ~ M^-e, the oracle risk grows as (sigma^2)^(e / (e + 1)). The
table gives e as a function of the regularity alpha. Logarithms are named where they are known; constants are not.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gahb_theory import validate

__all__ = ["EXPONENTS", "Exponent", "exponent_table"]

CARTOON = "C^alpha with C^alpha contours"
UNIFORM = "C^alpha"


@dataclass(frozen=True)
class Exponent:
    """One line of the table.

    Parameters
    ----------
    method
        The representation, or "minimax" for what no estimator surpasses.
    images
        The class of images, in two dimensions.
    error
        e as a function of alpha; NaN where nothing is claimed.
    logarithm
        The factor that multiplies M^-e or, for estimation, the risk; empty if there is none or none is known.
    source
        Who showed it, and when.
    """

    method: str
    images: str
    error: Callable[[float], float]
    logarithm: str
    source: str

    def slope(self, alpha: float) -> float:
        """The slope e / (e + 1) of log MSE against log sigma^2; NaN where nothing is claimed."""
        e = self.error(validate.positive(alpha, "alpha"))
        return 1.0 if math.isinf(e) else e / (e + 1)


EXPONENTS = (
    Exponent("minimax", UNIFORM, lambda a: a, "", "Stone 1982"),
    Exponent("minimax", CARTOON, lambda a: a, "", "Korostelev and Tsybakov 1993"),
    Exponent("Fourier, linear", UNIFORM, lambda a: a, "", "Mallat 2009"),
    Exponent("Fourier, linear", CARTOON, lambda a: min(a, 0.5), "", "Mallat 2009"),
    Exponent("wavelets", UNIFORM, lambda a: a, "", "Mallat 2009"),
    Exponent("wavelets", CARTOON, lambda a: min(a, 1.0), "", "Mallat 2009"),
    Exponent("wavelets", "bounded variation", lambda a: 1.0, "", "Cohen, DeVore, Petrushev and Xu 1999"),
    Exponent(
        "curvelets",
        CARTOON,
        lambda a: 2.0 if a >= 2 else math.nan,
        "(log M)^3",
        "Candes and Donoho 2004, for alpha = 2",
    ),
    Exponent(
        "shearlets",
        CARTOON,
        lambda a: 2.0 if a >= 2 else math.nan,
        "a power of log M",
        "Guo and Labate 2007, for alpha = 2",
    ),
    Exponent(
        "wedgelets",
        "constant, C^alpha horizon",
        lambda a: a if 1 <= a <= 2 else math.nan,
        "a power of log M",
        "Donoho 1999",
    ),
    Exponent("bandlets", CARTOON, lambda a: a, "", "Mallat and Peyre 2008"),
    Exponent(
        "bandlets, estimated",
        CARTOON,
        lambda a: a,
        "a power of log sigma",
        "Dossal, Le Pennec and Mallat 2011",
    ),
    Exponent("tangent space", "smooth manifold", lambda a: math.inf, "", "Kadkhodaie et al. 2024"),
    Exponent("Wiener", "Gaussian, amplitudes |k|^-(alpha+1)", lambda a: a, "", "Wiener 1949"),
    Exponent("Wiener", "Gaussian, amplitudes |k|^-alpha", lambda a: a - 1 if a > 1 else math.nan, "", "Wiener 1949"),
)
"""The table. "Wiener" lines are for random fields: |k|^-(alpha+1) is the convention "holder" of `CAlpha`, |k|^-alpha
that of the paper's generator, whose fields are less regular than their name by 1."""


def exponent_table(alphas: Sequence[float] = (1.0, 2.0, 3.0, 4.0)) -> str:
    """The table of slopes as text, one line for each entry and one column for each alpha.

    Parameters
    ----------
    alphas
        Regularities, each above 0.

    Examples
    --------
    >>> for line in exponent_table((1.0, 2.0)).splitlines()[:3]:
    ...     print(line)
    method               images                               alpha = 1  alpha = 2  source
    minimax              C^alpha                                  0.500      0.667  Stone 1982
    minimax              C^alpha with C^alpha contours            0.500      0.667  Korostelev and Tsybakov 1993
    """
    alphas = tuple(validate.real_array(alphas, "alphas", 1).tolist())
    head = ["method", "images", *(f"alpha = {alpha:g}" for alpha in alphas), "source"]
    rows = [head]
    for entry in EXPONENTS:
        slopes = (entry.slope(alpha) for alpha in alphas)
        source = entry.source + (f"; times {entry.logarithm}" if entry.logarithm else "")
        rows.append([entry.method, entry.images, *("" if math.isnan(s) else f"{s:.3f}" for s in slopes), source])
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = []
    for row in rows:
        cells = [cell.ljust(w) if k < 2 else cell.rjust(w) for k, (cell, w) in enumerate(zip(row, widths, strict=True))]
        cells[-1] = row[-1]
        lines.append("  ".join(cells))
    return "\n".join(lines)
