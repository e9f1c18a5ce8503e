"""The regularity that classes claim, measured."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.bases import Fourier
from gahb_theory.images.fields import gaussian_fields, gaussian_series
from gahb_theory.images.published_c_alpha import paper_contours, paper_fields

F64 = torch.float64
EXPONENTS = [1.0, 1.5, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("alpha", EXPONENTS)
def test_lines(alpha):
    """Contours: alpha for "holder", alpha - 1/2 for "paper", within 0.07."""
    holder = gt.estimate_regularity(gaussian_series(32, 2048, 2048, alpha, seed=0, start=0, dtype=F64))
    assert abs(holder.exponent - alpha) < 0.07
    assert abs(holder.leaders - alpha) < 0.07
    assert holder.octaves == (3, 7)
    paper = gt.estimate_regularity(paper_contours(32, 2048, alpha, dtype=F64))
    assert abs(paper.exponent - (alpha - 0.5)) < 0.07
    assert paper.low < alpha - 0.5 < paper.high
    assert abs(paper.leaders - (alpha - 0.5)) < 0.07


@pytest.mark.parametrize("alpha", EXPONENTS)
def test_images(alpha):
    """Backgrounds: alpha for "holder", alpha - 1 for "paper", within 0.07."""
    holder = gt.estimate_regularity(gaussian_fields(3, 512, alpha, seed=0, start=0, dtype=F64))
    assert abs(holder.exponent - alpha) < 0.07
    assert holder.low < alpha < holder.high
    assert abs(holder.leaders - alpha) < 0.07
    paper = gt.estimate_regularity(paper_fields(3, 512, alpha, seed=1, dtype=F64))
    assert abs(paper.exponent - (alpha - 1)) < 0.07
    if alpha > 1:  # leaders need an exponent above 0
        assert abs(paper.leaders - (alpha - 1)) < 0.07


def test_an_interval_of_few_images():
    few = gt.estimate_regularity(gt.GaussianField(2.0, size=256).sample(4, dtype=F64))
    assert few.method == "independent Gaussian coefficients"
    assert few.low < 2.0 < few.high
    many = gt.estimate_regularity(gt.GaussianField(2.0, size=128).sample(8, dtype=F64))
    assert many.method == "bootstrap over 8 images"


def test_intervals_cover():
    """95 % intervals of 40 independent sets miss about 2 of them; more than 8 has a chance below one in a thousand."""
    found = [
        gt.estimate_regularity(gaussian_series(24, 512, 512, 1.5, seed=s, start=0, dtype=F64), octaves=(3, 5))
        for s in range(40)
    ]
    assert sum(not r.low < 1.5 < r.high for r in found) <= 8


def test_across_an_edge_it_is_0():
    """Sharp disks: 0 at the edge; in the mean square 1/2, as an edge of a length meets a share 2^j of the coefficients."""
    x = gt.Disks(size=512, edge="area").sample(4, dtype=F64)
    found = gt.estimate_regularity(x, wavelet="db2", octaves=(3, 6))
    assert abs(found.uniform) < 0.07
    assert abs(found.exponent - 0.5) < 0.07


def test_away_from_the_edges_it_is_that_of_the_backgrounds():
    scene = gt.CAlpha(alpha=2.0, beta=1.5, size=256).scene(6, dtype=F64)
    edges = (scene.coverage > 0) & (scene.coverage < 1)
    away = gt.estimate_regularity(scene.images, edges=edges, wavelet="db4")
    assert abs(away.exponent - 1.5) < 0.12  # fewer coefficients: the interval holds it too
    assert away.low < 1.5 < away.high
    assert abs(away.leaders - 1.5) < 0.12
    assert gt.estimate_regularity(scene.images, wavelet="db4").uniform < 0.5


@pytest.mark.parametrize("alpha", [1.0, 2.0, 3.5])
def test_the_ball_is_uniformly_regular(alpha):
    """The bound holds in its own wavelets, exactly, and the exponent in others."""
    import pywt

    image_class = gt.HolderBall(alpha=alpha, size=256)
    scene = image_class.scene(12, dtype=F64)
    assert float(scene.images.min()) >= 0
    assert float(scene.images.max()) <= 1
    back = torch.stack(
        [torch.roll(x[0], tuple((-shift).tolist()), (0, 1)) for x, shift in zip(scene.images, scene.shift, strict=True)]
    )
    with pytest.warns(UserWarning, match="boundary effects"):
        bands = pywt.wavedec2(back.numpy() - 0.5, image_class.wavelet, mode="periodization", level=6, axes=(1, 2))
    for j, details in enumerate(bands[1:], start=2):
        largest = max(np.abs(d).max() for d in details) / 256  # L^2-normalised on the unit square
        assert 0.8 * image_class.norm < largest * 2 ** (j * (alpha + 1)) < image_class.norm * (1 + 1e-9)
    found = gt.estimate_regularity(scene.images)
    # one shift for all coefficients of an image: its octaves fluctuate together, so that the interval is wide
    assert found.low - 0.05 < alpha < found.high + 0.05
    assert found.high - found.low < 0.8


def test_the_ball_reaches_its_bound():
    """All signs aligned with the atoms at one pixel give 0 or 1 there: L is the largest that keeps [0, 1]."""
    image_class = gt.HolderBall(alpha=1.0, size=16)
    from gahb_theory.images.holder_ball import _gains, synthesis

    gains = _gains(image_class.alpha, image_class.size, image_class.wavelet)[0].numpy()
    atoms = synthesis(np.eye(256).reshape(256, 16, 16), image_class.wavelet).reshape(256, 256)
    highest = (np.abs(atoms) * gains.reshape(256, 1)).sum(axis=0)
    np.testing.assert_allclose(highest.max(), 0.5)


SIGMAS = np.geomspace(0.01, 0.32, 8)


def oracle_slope(x):
    """Slope of output against input PSNR of fields stretched to [0, 1]: where the grid ends they depend on the scale."""
    low, high = x.amin((2, 3), keepdim=True), x.amax((2, 3), keepdim=True)
    unit = (x - low) / (high - low)
    return gt.fit_slope(SIGMAS, torch.stack([gt.oracle_mse(Fourier(), unit, float(s)) for s in SIGMAS])).slope


@pytest.mark.parametrize(("alpha", "slope"), [(1.0, 0.54), (2.0, 0.67), (3.0, 0.75), (5.0, 0.83)])
def test_fourier_oracle_slopes_of_holder_backgrounds(alpha, slope):
    """Output against input PSNR of the oracle at 80 x 80: alpha / (alpha + 1) but for the grid, which alpha = 1 feels."""
    assert abs(oracle_slope(gt.GaussianField(alpha, size=80, period=1).sample(24, dtype=F64)) - slope) < 0.02


@pytest.mark.parametrize(("alpha", "slope"), [(1.0, 0.68), (2.0, 0.54), (3.0, 0.67), (5.0, 0.80)])
def test_fourier_oracle_slopes_of_paper_backgrounds(alpha, slope):
    """(alpha - 1) / alpha but for the grid: the published backgrounds are of regularity alpha - 1."""
    x = gt.CAlpha(alpha, size=80, convention="paper").scene(24, dtype=F64).backgrounds[:, :1]
    assert abs(oracle_slope(x) - slope) < 0.02


def test_bad_input_is_refused(unchecked):
    x = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    edges = torch.zeros(2, 1, 64, 64, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"a side of 16 has 0 octaves .* use longer"):
        gt.estimate_regularity(x[:, :, :16, :16])
    with pytest.raises(ValueError, match="wavelet must be orthogonal"):
        gt.estimate_regularity(x, wavelet="bior2.2")
    with pytest.raises(ValueError, match=r"octaves must be \(first, last\)"):
        gt.estimate_regularity(x, octaves=(2, 1))
    with pytest.raises(ValueError, match="octaves must be between 1 and 2"):
        gt.estimate_regularity(x, octaves=(1, 9))
    with pytest.raises(ValueError, match="nothing is left at an octave"):
        gt.estimate_regularity(x, edges=~edges)
    with pytest.raises(ValueError, match="nothing is left at an octave"):
        gt.estimate_regularity(torch.ones_like(x))
    with pytest.raises(ValueError, match="edges must be booleans"):
        gt.estimate_regularity(x, edges=edges.float())
    with pytest.raises(ValueError, match="edges are for images"):
        gt.estimate_regularity(x[0, 0], edges=edges)
    with pytest.raises(ValueError, match="x must be finite"):
        gt.estimate_regularity(x / 0)
