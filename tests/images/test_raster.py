"""Area coverage against closed forms, against an exact integral in plain numpy, and against supersampling."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gahb_theory.images.raster import area_below

# rounding of heights of a few pixels, summed over the pieces of one pixel; measured: 5e-15 and 4e-7
DTYPES = pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)])


def line(slope, offset, size, per=16, dtype=torch.float64):
    """Heights offset + slope x, in pixels, at the centres of `per` sub-columns per column."""
    x = (torch.arange(per * size, dtype=torch.float64) + 0.5) / per
    return (offset + slope * x)[None].to(dtype)


def supersampled(height, size, fine=400):
    """Fraction of the columns' points at which the pixel lies below y = height(x), rows integrated exactly."""
    x = (np.arange(fine * size) + 0.5) / fine
    covered = 1 - np.clip(height(x)[None, :] - np.arange(size)[:, None], 0, 1)
    return covered.reshape(size, size, fine).mean(axis=2)


def exact(contour, size):
    """The integral of each piece by the antiderivative of the clamp, pixel by pixel."""
    per = len(contour) // size
    inner = (contour[1:] + contour[:-1]) / 2
    ends = np.concatenate([[2 * contour[0] - inner[0]], inner, [2 * contour[-1] - inner[-1]]])

    def antiderivative(t):
        return 0.0 if t < 0 else t * t / 2 if t < 1 else t - 0.5

    covered = np.ones((size, size))
    for piece, (a, b) in enumerate(pairwise(ends)):
        for row in range(size):
            if abs(b - a) < 1e-7:
                above = min(max((a + b) / 2 - row, 0), 1)
            else:
                above = (antiderivative(b - row) - antiderivative(a - row)) / (b - a)
            covered[row, piece // per] -= above / per
    return covered


@DTYPES
@pytest.mark.parametrize("height", [0.0, 0.25, 1.0, 2.75, 5.0, 7.999, 8.0])
def test_horizontal(height, dtype, tolerance):
    covered = area_below(torch.full((1, 32), height, dtype=dtype), 8)[0]
    assert covered.dtype == dtype
    column = 1 - (height - torch.arange(8, dtype=torch.float64)).clamp(0, 1)
    torch.testing.assert_close(covered.double(), column[:, None].expand(8, 8), rtol=0, atol=tolerance)


@DTYPES
def test_diagonal_cuts_pixels_in_halves(dtype, tolerance):
    covered = area_below(line(1.0, 0.0, 6, dtype=dtype), 6)[0]
    expected = torch.tril(torch.ones(6, 6, dtype=torch.float64), -1) + torch.eye(6, dtype=torch.float64) / 2
    torch.testing.assert_close(covered.double(), expected, rtol=0, atol=tolerance)
    mirrored = area_below(line(-1.0, 6.0, 6, dtype=dtype), 6)[0]
    torch.testing.assert_close(mirrored.double(), expected.flip(1), rtol=0, atol=tolerance)


@DTYPES
@pytest.mark.parametrize("per", [1, 2, 16])
@pytest.mark.parametrize(
    ("slope", "offset"),
    [(0.3, 1.1), (-0.7, 7.3), (1.9, -3.2), (8.0, -20.5), (-30.0, 60.0), (200.0, -800.0)],
    ids=["gentle", "falling", "leaves above", "steep", "leaves both", "almost a wall"],
)
def test_slanted_lines(slope, offset, per, dtype, tolerance):
    """A straight line is exact for any number of sub-columns; 400 points per column err by slope / 400^2 / 8 at a kink."""
    covered = area_below(line(slope, offset, 8, per, dtype), 8)[0]
    expected = supersampled(lambda x: offset + slope * x, 8)
    large = max(1, abs(offset) / 20)  # the rounding of heights of hundreds of pixels
    error = abs(slope) / 400**2 / 4  # two kinks, where the line enters and leaves the pixel
    np.testing.assert_allclose(covered.double().numpy(), expected, rtol=0, atol=tolerance * large + error)


@DTYPES
@settings(max_examples=15, deadline=None)
@given(
    size=st.integers(2, 6),
    per=st.integers(1, 3),
    scale=st.sampled_from([0.2, 1.0, 5.0, 40.0]),
    centre=st.floats(-3, 9),
    seed=st.integers(0, 10**6),
)
def test_any_contour(dtype, tolerance, size, per, scale, centre, seed):
    """Also where it leaves the image above and below, and runs through many rows in one piece."""
    heights = centre + scale * np.random.default_rng(seed).standard_normal((2, size * per))
    contour = torch.from_numpy(heights).to(dtype)
    covered = area_below(contour, size)
    assert covered.shape == (2, size, size)
    expected = np.stack([exact(row, size) for row in contour.double().numpy()])
    large = max(1.0, scale / 2)  # heights up to 5 scale, and their rounding
    np.testing.assert_allclose(covered.double().numpy(), expected, rtol=0, atol=large * tolerance)


@DTYPES
def test_laws_of_random_contours(dtype, tolerance):
    """Between 0 and 1, growing down each column; the whole area is the integral of the clamped contour."""
    generator = torch.Generator().manual_seed(1)
    size, per = 16, 8
    steps = torch.randn(30, size * per, generator=generator, dtype=torch.float64)
    contour = (8 + steps.cumsum(1) / 2).to(dtype)
    assert bool((contour < 0).any()) and bool((contour > size).any())
    covered = area_below(contour, size)
    assert float(covered.min()) >= 0 and float(covered.max()) <= 1
    assert float(covered.diff(dim=1).min()) >= -tolerance
    inside = ((contour > 1) & (contour < size - 1)).all(dim=1)
    assert 3 < int(inside.sum()) < 30
    inner = (contour[:, 1:] + contour[:, :-1]) / 2
    ends = torch.cat([2 * contour[:, :1] - inner[:, :1], inner, 2 * contour[:, -1:] - inner[:, -1:]], dim=1)
    height = ((ends[:, 1:] + ends[:, :-1]) / 2).reshape(30, size, per).mean(dim=2)
    area = size - covered.sum(dim=1)
    torch.testing.assert_close(area[inside], height[inside], rtol=0, atol=size * tolerance)
    clamped = torch.from_numpy(np.stack([size - exact(row, size).sum(0) for row in contour[:5].double().numpy()]))
    torch.testing.assert_close(area[:5].double(), clamped, rtol=0, atol=size * tolerance)


@DTYPES
def test_outside_the_image(dtype, tolerance):
    above, below = torch.full((1, 8), -3.7, dtype=dtype), torch.full((1, 8), 9.2, dtype=dtype)
    covered = area_below(torch.cat([above, below]), 4)
    assert torch.equal(covered[0], torch.ones(4, 4, dtype=dtype))
    assert torch.equal(covered[1], torch.zeros(4, 4, dtype=dtype))


@DTYPES
def test_a_wall_between_two_columns(dtype, tolerance):
    """From above the image to below it within one sub-column: half of that sub-column's rows are covered on average."""
    contour = torch.tensor([[-50.0] * 8 + [54.0] * 8], dtype=dtype)
    covered = area_below(contour, 4)[0]
    assert torch.equal(covered[:, 0], torch.ones(4, dtype=dtype))
    assert torch.equal(covered[:, 3], torch.zeros(4, dtype=dtype))
    # the line from (-50) to 2 ends the last sub-column of the left half, and from 2 to 54 begins the right half
    expected = torch.from_numpy(exact(contour[0].double().numpy(), 4))
    torch.testing.assert_close(covered.double(), expected, rtol=0, atol=2 * tolerance)
    assert 0 < float(1 - covered[0, 1]) < 0.02


def test_images_of_a_batch_do_not_mix():
    contours = torch.cat([line(0.4, 1.0, 8), line(9.0, -20.0, 8), torch.full((1, 128), 30.0, dtype=torch.float64)])
    together = area_below(contours, 8)
    for i in range(3):
        assert torch.equal(together[i : i + 1], area_below(contours[i : i + 1], 8))
