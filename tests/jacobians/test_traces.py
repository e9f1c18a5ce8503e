"""Traces: exact ones against dense Jacobians, random ones against their theory."""

import math

import pytest
import torch

import gahb_theory as gt
from gahb_theory.jacobians import traces
from gahb_theory.jacobians.traces import Hutchinson, exact_trace


def images(n, *shape, seed=0, dtype=torch.float64):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def curved(y, sigma):
    """Not linear, not symmetric, and different in every image; sigma may be a tensor."""
    level = torch.as_tensor(sigma, dtype=y.dtype).reshape(-1, 1, 1, 1)
    return torch.sin(y) * y.roll(1, dims=-1) + level * y**2


@pytest.mark.parametrize("chunk", [1, 2, 5, 64])
@pytest.mark.parametrize("n", [1, 2, 7])
def test_the_exact_trace_is_that_of_the_dense_jacobian(monkeypatch, chunk, n):
    monkeypatch.setattr(traces, "default_chunk", lambda y: chunk)
    y = images(n, 2, 3, 3)
    expected = torch.tensor([gt.jacobian(curved, y[i : i + 1], 0.3).trace() for i in range(n)], dtype=torch.float64)
    torch.testing.assert_close(exact_trace(curved, y, 0.3), expected)
    levels = torch.linspace(0.1, 0.5, n, dtype=torch.float64)
    expected = [gt.jacobian(curved, y[i : i + 1], float(levels[i])).trace() for i in range(n)]
    torch.testing.assert_close(exact_trace(curved, y, levels), torch.tensor(expected, dtype=torch.float64))


def test_the_trace_of_a_network():
    f = gt.UNet(channels=4, blocks=1, seed=1).eval()
    y = images(3, 1, 8, 8, dtype=torch.float32)
    expected = torch.tensor([gt.jacobian(f, y[i : i + 1], 0.1).trace() for i in range(3)])
    torch.testing.assert_close(exact_trace(f, y, 0.1), expected, rtol=1e-4, atol=1e-4)
    assert all(p.grad is None and p.requires_grad for p in f.parameters())


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_the_random_trace_has_the_mean_and_the_error_it_says(monkeypatch, chunk):
    monkeypatch.setattr(traces, "default_chunk", lambda y: chunk)
    y, probes = images(4, 1, 3, 4), 400
    estimate = Hutchinson(probes=probes, seed=1).estimate(curved, y, 0.3)
    exact = exact_trace(curved, y, 0.3)
    assert bool(((estimate.value - exact).abs() < 4 * estimate.standard_error).all())
    for i in range(4):
        J = gt.jacobian(curved, y[i : i + 1], 0.3).matrix()
        off = (J + J.mT) / 2 - J.diagonal().diag()
        assert float(estimate.standard_error[i]) == pytest.approx(
            math.sqrt(2 * float(off.square().sum()) / probes), rel=0.25
        )


def test_probes_of_an_image_do_not_depend_on_the_batch(monkeypatch):
    y = images(5, 1, 3, 4)
    whole = Hutchinson(probes=3)(curved, y, 0.3)
    monkeypatch.setattr(traces, "default_chunk", lambda y: 2)
    torch.testing.assert_close(Hutchinson(probes=3)(curved, y, 0.3), whole)
    assert not torch.allclose(Hutchinson(probes=3, seed=1)(curved, y, 0.3), whole)
    same = y[:1].expand(5, 1, 3, 4)
    assert len(set(Hutchinson(probes=3)(curved, same, 0.3).tolist())) == 5  # each image has probes of its own


def test_refusals(unchecked):
    y = images(2, 1, 4, 4)
    for trace in (exact_trace, Hutchinson(probes=2)):
        with pytest.raises(RuntimeError, match="does not depend on y"):
            trace(lambda y, sigma: y.detach(), y, 0.1)
        with pytest.raises(ValueError, match=r"images of the shape of its input, \(.*, 1, 4, 4\), got \(.*, 1, 2, 4\)"):
            trace(lambda y, sigma: y[:, :, :2], y, 0.1)
        with pytest.raises(RuntimeError, match="train mode"):
            trace(gt.UNet(channels=4, blocks=1).double(), y, 0.1)
        with pytest.raises(ValueError, match="sigma is the standard deviation of the noise"):
            trace(curved, y, 0.0)
        with pytest.raises(ValueError, match="y must be finite"):
            trace(curved, y * torch.nan, 0.1)
    with pytest.raises(ValueError, match="probes must be at least 2"):
        Hutchinson(probes=1)


@pytest.mark.gpu
def test_on_an_accelerator(accelerator):
    f, y = gt.UNet(channels=4, blocks=1).eval(), images(2, 1, 8, 8, dtype=torch.float32)
    expected = exact_trace(f, y, 0.1)
    found = exact_trace(f.to(accelerator), y.to(accelerator), 0.1)
    torch.testing.assert_close(found.cpu(), expected, rtol=1e-3, atol=1e-3)
    assert Hutchinson()(f, y.to(accelerator), 0.1).device.type == accelerator.type
