import math

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
