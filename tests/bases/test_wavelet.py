import numpy as np
import pytest
import pywt
import torch
from torch import Tensor

from gahb_theory.bases import Wavelet

NAMES = ["haar", "db1", "db2", "db4", "db10", "db38", "sym2", "sym5", "sym20", "coif1", "coif5", "coif17"]
SHAPES = [((2, 2), 1), ((16, 16), 2), ((40, 24), 3), ((8, 80), 3), ((48, 64), 4)]


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def reference(x: Tensor, name: str, levels: int) -> Tensor:
    """The transform of PyWavelets in the Mallat layout, one row for each image."""
    pyramid = pywt.wavedec2(x.numpy(), name, mode="periodization", level=levels)
    array, _ = pywt.coeffs_to_array(pyramid, axes=(-2, -1))
    return torch.from_numpy(array).flatten(1)


@pytest.mark.filterwarnings("ignore:Level value of")  # PyWavelets warns where a filter is longer than the image
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("sides", "levels"), SHAPES)
def test_equals_pywavelets(name: str, sides: tuple[int, int], levels: int) -> None:
    x = uniform(2, 3, *sides)
    expected = reference(x, name, levels)
    scale = float(expected.abs().max())
    basis = Wavelet(name, levels)
    torch.testing.assert_close(basis.analysis(x), expected, rtol=0, atol=1e-12 * scale)
    single = basis.analysis(x.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), expected, rtol=0, atol=1e-6 * scale)


@pytest.mark.parametrize("name", NAMES)
def test_reconstruction(name: str) -> None:
    # the symlet filters of PyWavelets are orthonormal to 1e-11 only, the others to rounding
    tolerance = 1e-10 if name.startswith("sym") else 1e-12
    x = uniform(2, 1, 32, 48)
    basis = Wavelet(name)
    c = basis.analysis(x)
    torch.testing.assert_close(basis.synthesis(c, (1, 32, 48)), x, rtol=0, atol=tolerance)
    torch.testing.assert_close(c.square().sum(), x.square().sum(), rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    ("sides", "levels"),
    [
        ((64, 64), 4),
        ((80, 80), 4),
        ((40, 40), 3),
        ((96, 96), 4),
        ((16, 64), 2),
        ((6, 6), 1),
        ((2, 2), 1),
        ((12, 512), 1),
    ],
)
def test_default_levels(sides: tuple[int, int], levels: int) -> None:
    assert Wavelet().levels_for(*sides) == levels
    x = uniform(1, 1, *sides)
    torch.testing.assert_close(Wavelet().analysis(x), Wavelet(levels=levels).analysis(x), rtol=0, atol=0)


@pytest.mark.parametrize(("sides", "levels"), [((8, 8), 1), ((16, 24), 2), ((24, 40), 3)])
def test_bands_follow_the_layout_of_pywavelets(sides: tuple[int, int], levels: int) -> None:
    pyramid = [np.zeros([side >> levels for side in sides])]
    for scale in range(1, levels + 1):
        details = np.full([side >> (levels + 1 - scale) for side in sides], scale)
        pyramid.append((details,) * 3)
    array, _ = pywt.coeffs_to_array(pyramid)
    bands = Wavelet("haar", levels).bands((2, *sides))
    assert bands.dtype == torch.int64
    assert torch.equal(bands, torch.from_numpy(np.tile(array.ravel(), 2)).long())


def test_a_constant_image_has_no_details() -> None:
    basis = Wavelet("db3", levels=2)
    c = basis.analysis(torch.full((1, 1, 16, 16), 0.7, dtype=torch.float64))
    coarse = basis.bands((1, 16, 16)) == 0
    torch.testing.assert_close(c[:, ~coarse], torch.zeros(1, 240, dtype=torch.float64), rtol=0, atol=1e-10)
    torch.testing.assert_close(c[:, coarse], torch.full((1, 16), 0.7 * 4, dtype=torch.float64))


def test_equal_parameters_are_equal_bases() -> None:
    assert Wavelet("db4") == Wavelet("db4", levels=None) != Wavelet("db4", levels=1)
    assert repr(Wavelet("db4", 2)) == "Wavelet(name='db4', levels=2)"


@pytest.mark.parametrize("name", ["bior4.4", "rbio1.3", "dmey", "mexh"])
def test_wavelets_without_orthonormal_filters_are_refused(name: str, unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"orthonormal wavelets are haar, db1 to db38, sym2 to sym20, coif1 to coif17"):
        Wavelet(name)


@pytest.mark.parametrize(
    ("name", "suggestion"), [("bd4", "db4"), ("DB4", "db4"), ("symlet4", "sym4"), ("hara", "haar")]
)
def test_unknown_wavelets_get_a_suggestion(name: str, suggestion: str, unchecked: None) -> None:
    with pytest.raises(ValueError, match=f"unknown wavelet '{name}'; did you mean .*{suggestion}"):
        Wavelet(name)


def test_hopeless_names_get_the_families(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"unknown wavelet 'curvelet'; orthonormal wavelets are haar, db1"):
        Wavelet("curvelet")
    with pytest.raises(TypeError, match="must be the name of a wavelet, got int"):
        Wavelet(4)


def test_sizes_that_do_not_divide_are_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"needs even sides, got 8 x 5; crop or pad the images, or use Fourier\(\)"):
        Wavelet().analysis(torch.zeros(1, 1, 8, 5))
    with pytest.raises(ValueError, match=r"4 levels need sides divisible by 16, got 40 x 80; .* allow levels 1 to 3"):
        Wavelet(levels=4).analysis(torch.zeros(1, 1, 40, 80))
    with pytest.raises(ValueError, match="4 levels need sides divisible by 16"):
        Wavelet(levels=4).synthesis(torch.zeros(1, 64))
    with pytest.raises(ValueError, match="levels must be between 1 and 30, got 0"):
        Wavelet(levels=0)
    with pytest.raises(ValueError, match=r"shape must be \(channels, height, width\)"):
        Wavelet().bands((8, 8))
