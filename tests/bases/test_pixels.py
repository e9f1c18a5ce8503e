import torch

from gahb_theory.bases import Pixels


def test_coefficients_are_intensities_in_row_major_order() -> None:
    x = torch.arange(12.0).reshape(1, 2, 2, 3)
    assert Pixels().analysis(x).tolist() == [list(range(12))]


def test_synthesis_is_square_and_grey_unless_told_otherwise() -> None:
    c = torch.arange(4.0)[None]
    assert Pixels().synthesis(c).shape == (1, 1, 2, 2)
    assert Pixels().synthesis(c, (2, 1, 2)).shape == (1, 2, 1, 2)


def test_two_of_them_are_equal() -> None:
    assert Pixels() == Pixels()
    assert repr(Pixels()) == "Pixels()"
