"""The equations of the paper, each tried on a problem whose answer is known, each beside a mistake that must be caught.

`verify_theory` computes all of them: 1 to 5, 8, 15, 16, 18, 20, 23, 24 (`scores`), 6, 7, 9, 10, 17, 19, 21, 22, 25 to 27
(`derivatives`), 11 to 13 and 28 to 34 (`shrinkages`). There is no statement to try in (14). `verify` is the card of one
denoiser (`card`): what a posterior mean has to satisfy, and whether it does.
"""

from gahb_theory.theory.identities import derivatives, scores, shrinkages
from gahb_theory.theory.identities.card import Card, verify
from gahb_theory.theory.identities.statements import Identity, Row, TheoryTable, check

__all__ = ["Card", "Identity", "Row", "TheoryTable", "check", "verify", "verify_theory"]


def verify_theory() -> TheoryTable:
    """Every equation of the paper as a line: value, expected value, tolerance, verdict, and whether a mistake is caught.

    Each line is computed when it is asked for; nothing is stored. Deterministic, a few seconds.

    Returns
    -------
    A table to print, to iterate over, or to turn into dictionaries or Markdown.

    References
    ----------
    Kadkhodaie, Guth, Simoncelli, Mallat, ICLR 2024, equations 1 to 13 and 15 to 34.

    See Also
    --------
    gahb_theory.verify

    Examples
    --------
    >>> len(verify_theory()) > 30  # doctest: +SKIP
    True
    """
    result = [*scores.identities(), *derivatives.identities(), *shrinkages.identities()]
    return check(sorted(result, key=lambda one: int(one.equation)))
