"""Figures take what the library returns, and show the numbers of it."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import plots

SIZE, SIGMA = 16, 0.1


@pytest.fixture(scope="module")
def E():
    f = gt.ShrinkageDenoiser(gt.DCT(), gt.shrinkage.FixedGains(torch.linspace(0.9, 0.1, SIZE**2)))
    return gt.jacobian(f, gt.Disks(size=SIZE).sample(1), SIGMA).eigenbasis()


def test_eigenvectors_stand_under_their_eigenvalues_beside_the_clean_image(E):
    clean = gt.Disks(size=SIZE).sample(1)
    figure = plots.eigenvectors(E, [0, 255], clean=clean, columns=2)
    shown = [ax for ax in figure.axes if ax.images]
    assert [ax.get_title() for ax in shown] == ["clean", r"$\lambda_{1}$ = 0.90", r"$\lambda_{256}$ = 0.10"]
    assert np.array_equal(shown[0].images[0].get_array(), clean[0, 0].numpy())
    low, high = shown[1].images[0].get_clim()
    assert low == -high  # zero is white
    assert len(figure.axes) == 2 * 2 + 1  # and the scale of the colours
    assert figure.axes[-1].get_xticklabels()[1].get_text() == "0"
    assert len([ax for ax in plots.eigenvectors(E).axes if ax.images]) == 16
    assert len([ax for ax in plots.eigenvectors(E, clean=clean).axes if ax.images]) == 16, (
        "the clean image is one of them"
    )


@pytest.mark.parametrize("ks", [[], [-1], [256]])
def test_ranks_that_are_not_there_are_refused(E, ks):
    with pytest.raises(ValueError, match="ks must be ranks from 0 to 255"):
        plots.eigenvectors(E, ks)


def test_a_clean_image_of_another_shape_is_refused(E):
    with pytest.raises(ValueError, match=r"clean must be an image of shape \(1, 16, 16\)"):
        plots.eigenvectors(E, clean=torch.zeros(1, 1, 9, 16))


def test_three_curves_on_one_axis():
    x = gt.Disks(size=SIZE).sample(3)
    # an estimate that is off by c everywhere has the PSNR -20 log10 c, whatever the noise
    exact = {c: gt.psnr_curve(lambda y, sigma, c=c: x + c, x, [0.2, 0.1]) for c in (0.1, 0.01, 0.001)}
    ax = plots.psnr_curves({str(c): curve for c, curve in exact.items()})
    noisy, *lines = ax.get_lines()
    assert noisy.get_label() == "noisy image"
    for line, expected in zip(lines, (20, 40, 60), strict=True):
        assert np.allclose(line.get_ydata(), expected, atol=1e-3)
        assert list(line.get_xdata()) == sorted(line.get_xdata(), reverse=True)
    assert len({line.get_linestyle() for line in lines}) == len({line.get_color() for line in lines}) == 3
    assert ax.get_aspect() == 1
    assert plots.psnr_curves({"one": exact[0.1]}, ax) is ax
    with pytest.raises(ValueError, match="at least one"):
        plots.psnr_curves({})


def test_images_have_one_title_each():
    x = gt.Disks(size=SIZE).sample(2)
    assert [ax.get_title() for ax in plots.images(x, ["a", "cost $"]).axes] == ["a", r"cost \$"]
    with pytest.raises(ValueError, match="one for each of the 2 images"):
        plots.images(x, ["a"])
