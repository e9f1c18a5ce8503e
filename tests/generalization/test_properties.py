import math

import numpy as np
import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory import measure_behaviour


def average(y, sigma):
    return nn.functional.avg_pool2d(y, 3, stride=1, padding=1)


def test_moving_average():
    found = measure_behaviour(average, (3, 16, 16), dtype=torch.float64)
    for name in ("homogeneity_error", "asymmetry", "shift_error", "flip_error", "rotation_error"):
        assert getattr(found, name) < 1e-12, name
    assert found.receptive_field == (3, 3)
    assert found.clamps == (None, None)


def test_each_broken_property_is_seen():
    """One-sided differences: no symmetry, no flips, no turns; the other properties hold."""
    found = measure_behaviour(lambda y, sigma: y - 0.5 * y.roll(2, 3), dtype=torch.float64)
    # J = I - P/2: ||J - J^T||^2 = d/2 and ||J||^2 = 5d/4
    assert found.asymmetry == pytest.approx(math.sqrt(0.5 / 1.25), abs=0.05)
    assert found.flip_error > 0.05 and found.rotation_error > 0.05
    assert found.homogeneity_error < 1e-12 and found.shift_error < 1e-12
    assert found.receptive_field == (1, 3)

    mask = torch.rand(32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = measure_behaviour(lambda y, sigma: mask * y, dtype=torch.float64)
    assert found.shift_error > 0.1 and found.asymmetry < 1e-12

    found = measure_behaviour(lambda y, sigma: average(y, sigma) + 0.1, dtype=torch.float64)
    assert found.homogeneity_error > 0.05 and found.asymmetry < 1e-12


@pytest.mark.parametrize(
    ("f", "clamps"),
    [
        (lambda y, sigma: average(y, sigma).clamp(0, 1), (0.0, 1.0)),
        (lambda y, sigma: average(y, sigma).clamp(min=-0.25), (-0.25, None)),
        (lambda y, sigma: average(y, sigma).clamp(max=1.5), (None, 1.5)),
        (lambda y, sigma: 1 / (1 + torch.exp(-y)), (None, None)),
    ],
)
def test_hidden_clamps(f, clamps):
    assert measure_behaviour(f, dtype=torch.float64).clamps == clamps


@pytest.mark.parametrize("receptive_field", [5, 9, 13])
def test_receptive_field_of_networks(receptive_field):
    f = gt.WindowedCNN(4, gt.kernels_for(receptive_field, 9)).eval().double()
    assert f.receptive_field == receptive_field
    for parameter in f.parameters():  # so that no ReLU closes the window
        parameter.data.abs_().add_(0.1)
    found = measure_behaviour(f, dtype=torch.float64)
    assert found.receptive_field == (receptive_field, receptive_field)
    assert found.shift_error < 1e-12


def test_images_that_are_not_square_and_denoisers_with_a_condition():
    found = measure_behaviour(gt.WindowedCNN(4, (3, 3), 3, 1).eval(), (4, 16, 12))
    assert math.isnan(found.rotation_error) and math.isnan(found.asymmetry)


def test_check_denoiser_returns_it():
    found = gt.testing.check_denoiser(average, (1, 8, 8), torch.float64)
    assert found == measure_behaviour(average, (1, 8, 8), dtype=torch.float64)


def test_a_closed_relu_at_the_middle_pixel_does_not_close_the_window():
    """The middle pixel of the first image sees itself alone, the others the window of the average."""

    def f(y, sigma):
        gate = torch.ones_like(y)
        gate[:, :, 16, 16] = 0
        return gate * average(y, sigma) + (1 - gate) * y

    assert measure_behaviour(f, dtype=torch.float64).receptive_field == (3, 3)

    def late(y, sigma):
        return y if sigma < 0.15 else average(y, sigma)

    assert measure_behaviour(late, dtype=torch.float64).receptive_field == (3, 3)


def test_channels_that_cancel_are_seen():
    def f(y, sigma):
        a = average(y[:, :1], sigma)
        return torch.cat([y[:, :1] + a, y[:, 1:] - a], dim=1)

    assert measure_behaviour(f, (2, 16, 16), dtype=torch.float64).receptive_field == (3, 3)


@pytest.mark.parametrize("value", [0.0, 0.5])
@pytest.mark.parametrize("seen", [False, True])
def test_a_constant_denoiser_has_defined_values(value, seen):
    """J = 0: symmetric, no window, equivariant; homogeneous only if the constant is 0."""
    found = measure_behaviour(lambda y, sigma: 0 * y + value if seen else torch.full_like(y, value))
    assert found.asymmetry == 0
    assert found.receptive_field == (0, 0)
    assert (found.shift_error, found.flip_error, found.rotation_error) == (0, 0, 0)
    assert found.homogeneity_error == (0 if value == 0 else 0.5)


def test_refusals(unchecked):
    for arguments, error, message in (
        ({"shape": (16, 16)}, ValueError, r"shape must be \(channels, height, width\), got \(16, 16\)"),
        ({"dtype": torch.complex64}, TypeError, "dtype must be a floating-point type"),
        ({"sigma": 0.0}, ValueError, "above 0"),
        ({"sigma": True}, TypeError, "sigma must be a number, got bool"),
    ):
        with pytest.raises(error, match=message):
            measure_behaviour(average, **arguments)
    with pytest.raises(TypeError, match="what f returned must be floating point"):
        measure_behaviour(lambda y, sigma: y.to(torch.complex64))
    with pytest.raises(ValueError, match="height, width and dtype of its input"):
        measure_behaviour(lambda y, sigma: y[:, :, 1:])
    assert measure_behaviour(average, np.array([1, 16, 16]), np.float64(0.1)) == measure_behaviour(average, (1, 16, 16))
