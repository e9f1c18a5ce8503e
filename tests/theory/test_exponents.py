"""The table of exponents: consistent with itself and with the rest of the library."""

import math

import pytest

import gahb_theory as gt
from gahb_theory.theory.exponents import EXPONENTS, exponent_table

ALPHAS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)


def lines(method, images=""):
    return [entry for entry in EXPONENTS if entry.method.startswith(method) and images in entry.images]


@pytest.mark.parametrize("alpha", ALPHAS)
def test_nothing_beats_the_minimax_rate(alpha):
    for bound in lines("minimax"):
        assert bound.slope(alpha) == pytest.approx(gt.optimal_slope(alpha))
        for entry in EXPONENTS:
            # beyond alpha = 2 the classes with C^alpha contours are smaller, and only exponents up to alpha are claimed
            if entry.images == bound.images and not math.isnan(entry.slope(alpha)):
                assert entry.slope(alpha) <= bound.slope(alpha) + 1e-12


def test_known_values():
    (wavelets,) = lines("wavelets", "contours")
    assert [wavelets.slope(a) for a in (1.0, 2.0, 5.0)] == [0.5, 0.5, 0.5]
    (fourier,) = lines("Fourier", "contours")
    assert fourier.slope(2.0) == pytest.approx(1 / 3)
    (bandlets,) = lines("bandlets", "contours")[:1]
    assert bandlets.slope(3.0) == 0.75
    (tangent,) = lines("tangent")
    assert tangent.slope(1.0) == gt.Disks(size=16).optimal_slope == 1.0
    (paper,) = lines("Wiener", "|k|^-alpha")
    assert paper.slope(2.0) == 0.5
    assert math.isnan(paper.slope(1.0))


def test_every_line_has_a_source_with_a_year():
    for entry in EXPONENTS:
        assert any(word[:4].isdigit() for word in entry.source.split()), entry


def test_the_table_holds_all_lines_and_columns():
    table = exponent_table(ALPHAS).splitlines()
    assert len(table) == len(EXPONENTS) + 1
    assert all(f"alpha = {alpha:g}" in table[0] for alpha in ALPHAS)
    starts = {line.index(entry.source) for line, entry in zip(table[1:], EXPONENTS, strict=True)}
    assert len(starts) == 1  # columns are aligned
    with pytest.raises(ValueError, match="alpha must be finite and above 0"):
        exponent_table((0.0,))
