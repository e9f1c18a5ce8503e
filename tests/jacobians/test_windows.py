"""Rows, blocks and spectra of a window, against the dense Jacobian."""

import pytest
import torch
from torch.nn import functional

from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.jacobians import (
    jacobian,
    local_eigenbasis,
    receptive_window,
    window_block,
    window_pieces,
    window_rows,
)
from gahb_theory.jacobians.traces import Hutchinson
from gahb_theory.jacobians.windows import checked_window

SIGMA = 0.2
EXACT = {"rtol": 1e-9, "atol": 1e-12}
WINDOW = ((7, 10), (2, 6))


def numbers(window, shape):
    """Numbers of the pixels of a window."""
    grid = torch.arange(shape[0] * shape[1] * shape[2]).reshape(shape)
    (top, bottom), (left, right) = window
    return grid[:, top:bottom, left:right].flatten()


@pytest.mark.parametrize("colour", [1, 2])
def test_rows_of_a_window(network, image, colour):
    f, y = network(colour, colour), image(colour, 20, 24)
    J, shape = jacobian(f, y, SIGMA), (colour, 20, 24)
    R = window_rows(J, WINDOW)
    chosen = numbers(WINDOW, shape)
    dense = jacobian(f, y, SIGMA).matrix()
    assert R.reached == receptive_window(J, WINDOW) == ((4, 13), (0, 9))  # three layers of 3 x 3
    assert R.values.shape == (12 * colour, colour, 9, 9)
    torch.testing.assert_close(R.matrix(), dense[chosen], **EXACT)
    torch.testing.assert_close(R.block(), dense[chosen][:, chosen], **EXACT)
    J.matrix()
    torch.testing.assert_close(window_rows(J, WINDOW).matrix(), dense[chosen], **EXACT)


def test_rows_without_a_recording(network, image, by_autograd):
    f, y = network(), image(1, 20, 24)
    J = by_autograd(f, y, SIGMA)
    R = window_rows(J, WINDOW)
    assert R.reached == ((0, 20), (0, 24))
    torch.testing.assert_close(R.matrix(), jacobian(f, y, SIGMA).matrix()[numbers(WINDOW, (1, 20, 24))], **EXACT)
    assert receptive_window(J, WINDOW) == ((4, 13), (0, 9))  # measured


def test_rows_in_pieces_within_a_limit(network, image):
    """Each piece keeps the limit, and together they are the window; one pixel that does not fit is refused."""
    J = jacobian(network(), image(1, 20, 24), SIGMA)
    limit = 3000.0
    pieces = [window_rows(J, part) for part in window_pieces(J, WINDOW, limit=limit)]
    assert len(pieces) > 1
    assert all(p.values.numel() * 8 <= limit for p in pieces)
    found = torch.cat([numbers(p.window, (1, 20, 24)) for p in pieces])
    assert sorted(found.tolist()) == sorted(numbers(WINDOW, (1, 20, 24)).tolist())
    rows = torch.cat([p.matrix() for p in pieces])
    torch.testing.assert_close(rows, J.rows(found), **EXACT)
    with pytest.raises(ValueError, match="are allowed; take window_pieces"):
        window_rows(J, WINDOW, limit=limit)
    with pytest.raises(ValueError, match="are allowed"):
        window_pieces(J, WINDOW, limit=300.0)


@pytest.mark.parametrize(
    "window", [((0, 0), (0, 3)), ((0, 21), (0, 3)), ((-1, 3), (0, 3)), (0, 3), "a window", ((0.5, 2), (0, 3))]
)
def test_windows_that_are_none(window):
    with pytest.raises(ValueError, match="a window must"):
        checked_window(window, (1, 20, 24))


@pytest.mark.parametrize(
    "make", [lambda n: n(2, 2), lambda n: Conservative(UNet(2, 1, image_channels=2).double().eval()).eval()]
)
def test_block_of_a_window(network, image, make):
    f, y = make(network), image(2, 16, 16)
    J = jacobian(f, y, SIGMA)
    B = window_block(J, WINDOW)
    chosen = numbers(WINDOW, (2, 16, 16))
    dense = jacobian(f, y, SIGMA).matrix()[chosen][:, chosen]
    v = torch.linspace(-1, 1, 24, dtype=torch.float64)
    torch.testing.assert_close(B.matvec(v), dense @ v, **EXACT)
    torch.testing.assert_close(B.rmatvec(v), dense.mT @ v, **EXACT)
    torch.testing.assert_close(B.matrix(), dense, **EXACT)
    assert window_block(J, WINDOW).trace() == pytest.approx(float(dense.trace()), rel=1e-9)


def test_local_spectrum_is_exact_with_the_receptive_field(network, image):
    f, y = network(2, 2), image(2, 40, 48)
    local = local_eigenbasis(f, y, SIGMA, ((18, 22), (20, 25)), margin=4, multiple=1)
    assert local.exact
    assert local.crop == ((14, 26), (16, 29))
    assert local.shift == 0
    assert local.value_error < 1e-12
    chosen = numbers(local.window, (2, 40, 48))
    dense = jacobian(f, y, SIGMA).rows(chosen)[:, chosen]
    values = torch.linalg.eigvalsh((dense + dense.mT) / 2).flip(0)
    torch.testing.assert_close(local.basis.eigenvalues, values, **EXACT)
    assert local.basis.image_shape == (2, 4, 5)


def test_error_of_a_crop_that_is_too_small(network, image):
    """Measured with random directions, it is the Frobenius distance of the two blocks, and bounds the eigenvalues."""
    f, y, window = network(), image(1, 24, 24), ((10, 14), (10, 14))
    local = local_eigenbasis(f, y, SIGMA, window, margin=0, multiple=1, probes=400)
    assert not local.exact
    assert local.crop == window
    chosen = numbers(window, (1, 24, 24))
    dense = jacobian(f, y, SIGMA).matrix()[chosen][:, chosen]
    cut = jacobian(f, y[:, :, 10:14, 10:14], SIGMA).matrix()
    whole, part = ((m + m.mT) / 2 for m in (dense, cut))
    truth = float((whole - part).norm())
    assert truth > 0.01
    assert abs(local.shift - truth) < 4 * local.shift_error
    assert local.shift_error < 0.1 * truth
    assert local.relative == pytest.approx(truth / float(part.norm()), rel=0.2)
    values = torch.linalg.eigvalsh(whole).flip(0)
    assert float((local.basis.eigenvalues - values).abs().max()) <= truth
    torch.testing.assert_close(local.basis.eigenvalues, torch.linalg.eigvalsh(part).flip(0), **EXACT)


def test_error_of_a_crop_falls_with_the_margin(image):
    """A DRUNet sees further than the crop; its grid of every second pixel is that of the whole image."""
    f, y, window = DRUNet(2, 1, seed=1).double().eval(), image(1, 64, 64), ((30, 33), (30, 33))
    near, far = (local_eigenbasis(f, y, SIGMA, window, margin=m, probes=16) for m in (0, 16))
    assert near.crop == ((24, 40), (24, 40))
    assert far.crop == ((8, 56), (8, 56))
    assert near.shift > 2 * far.shift
    whole = window_rows(jacobian(f, y, SIGMA), window).block()
    cut = window_rows(jacobian(f, y[:, :, 8:56, 8:56], SIGMA), ((22, 25), (22, 25))).block()
    truth = float((whole + whole.mT - cut - cut.mT).norm()) / 2
    assert abs(far.shift - truth) < 4 * far.shift_error < truth
    assert local_eigenbasis(f, y, SIGMA, window, margin=34).exact  # the whole image


def test_position_is_noticed(image):
    """A network that knows where it is gives other values on a crop, however large the margin."""
    kernel = torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64)

    def f(y, sigma):
        place = torch.linspace(0, 1, y.shape[2], dtype=y.dtype)[:, None]
        return functional.conv2d(y, kernel, padding=1) * place

    local = local_eigenbasis(f, image(1, 40, 40), SIGMA, ((18, 20), (18, 20)), margin=8)
    assert not local.exact
    assert local.value_error > 0.01
    assert local.shift > 0


def test_trace_from_products(network, image):
    """The same signs give the same estimate as the graph of f."""
    f, y, estimator = network(), image(1, 12, 10), Hutchinson(5, seed=3)
    J = jacobian(f, y, SIGMA, chunk=2)
    ours, theirs = estimator.of(J), estimator.estimate(f, y, SIGMA)
    torch.testing.assert_close(ours.value, theirs.value, **EXACT)
    torch.testing.assert_close(ours.standard_error, theirs.standard_error, **EXACT)
