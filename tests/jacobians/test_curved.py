"""Hessians of 1/2 <y, N(y)> from recorded second derivatives, against automatic differentiation."""

import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import gahb_theory as gt
from gahb_theory.denoisers import SmoothConditionedUNet, SmoothUNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.jacobians.engines.curved import CurvedProducts
from gahb_theory.jacobians.symmetric import HessianJacobian, SymmetricJacobian


def normal(*shape, seed=3, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def weights(*shape, seed=0):
    return normal(*shape, seed=seed) / shape[1] ** 0.5 / 3


class Homogeneous(gt.denoisers.Network):
    """N(y) = r z(y / r), r = ||y||, with z given."""

    homogeneous = True

    def __init__(self, z, channels=1):
        super().__init__()
        self.z, self.image_channels = z, channels
        self.gain = nn.Parameter(torch.ones((), device="cpu"))

    def estimate(self, y, sigma):
        r = torch.linalg.vector_norm(y, dim=(1, 2, 3), keepdim=True) / y[0].numel() ** 0.5
        return self.gain * r * self.z(y / r)


def gated(x):
    """A product of two values, one of them with a number for each channel."""
    z = functional.conv2d(x, weights(4, x.shape[1], 3, 3).to(x), padding=1)
    gate = torch.sigmoid(z.mean((2, 3), keepdim=True) + 0.3)
    return functional.conv2d(gate * functional.softplus(z), weights(x.shape[1], 4, 3, 3, seed=1).to(x), padding=1)


def squared(x):
    """A value times itself, divided by another."""
    z = functional.conv2d(x, weights(3, x.shape[1], 3, 3).to(x), padding=1)
    z = (z * z / (1 + z.abs().mean((2, 3), keepdim=True))).relu()
    return functional.conv2d(z, weights(x.shape[1], 3, 3, 3, seed=1).to(x), padding=1) + x.clone() * x


def single(x):
    """Activations on images of one pixel, behind convolutions with a factor for each channel."""
    z = functional.avg_pool2d(functional.conv2d(x, weights(4, x.shape[1], 3, 3).to(x), padding=1), x.shape[2:])
    z = functional.tanh(functional.conv2d(functional.elu(2 * z), weights(4, 4, 1, 1, seed=2).to(x)))
    return x + 20 * functional.conv2d(z * 0.5 + functional.silu(z), weights(x.shape[1], 4, 1, 1, seed=1).to(x))


def stirred(kind=SmoothUNet, **given):
    f = kind(4, 2, seed=1, **given)
    with torch.no_grad():
        f.exit.weight.mul_(20)
    return f


CASES = {
    "SmoothUNet": (stirred(), (1, 8, 12)),
    "SmoothUNet in colour": (stirred(image_channels=3), (3, 8, 8)),
    "SmoothConditionedUNet": (stirred(SmoothConditionedUNet), (1, 8, 12)),
    "gated": (Homogeneous(gated), (1, 7, 6)),
    "gated, in colour": (Homogeneous(gated, 3), (3, 4, 5)),
    "squared": (Homogeneous(squared), (1, 6, 5)),
    "one pixel": (Homogeneous(single), (1, 6, 5)),
}


def hessian(f, y):
    return torch.autograd.functional.hessian(lambda x: f.energy(x, 0.1).sum(), y).reshape(y.numel(), y.numel())


def conservative(network, dtype=torch.float64):
    return Conservative(network).to(dtype).eval().requires_grad_(False)


@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("name", CASES)
def test_the_recorded_hessian_is_that_of_automatic_differentiation(name, dtype, allowed, monkeypatch):
    monkeypatch.setattr("gahb_theory.denoisers.networks.conservative.SIDES", (6, 8))
    network, shape = CASES[name]
    y = normal(1, *shape)
    expected = hessian(conservative(network), y)
    f, y = conservative(network, dtype), y.to(dtype)
    J = gt.jacobian(f, y, 0.1)
    assert J.engine == "frozen" and isinstance(J, HessianJacobian)

    def error(found, correct):
        return float((found.double() - correct).norm() / correct.norm())

    v = normal(y.numel(), 5, seed=4)
    columns = v.clone()
    assert error(J.matvec(v.to(dtype)), expected @ v) < allowed
    assert torch.equal(v, columns), "directions are left as they are"
    assert error(J.rmatvec(v.to(dtype)), expected @ v) < allowed
    assert error(J.rows([3, 1]), expected[[3, 1]]) < allowed
    assert error(J.diagonal(), expected.diagonal()) < allowed
    assert error(gt.jacobian(f, y, 0.1, chunk=3).matrix(), expected) < allowed
    part = torch.autograd.functional.jacobian(lambda x: network.double()(x, 0.1), normal(1, *shape))
    part = part.reshape(expected.shape).detach()
    assert error((part + part.mT) / 2, expected) > 0.01, "the second derivatives matter"


@pytest.mark.parametrize("name", CASES)
def test_the_network_inside_is_recorded_too(name):
    network, shape = CASES[name]
    network, y = network.double().eval(), normal(1, *shape)
    J = gt.jacobian(network, y, 0.1)
    assert J.engine == "frozen"
    expected = torch.autograd.functional.jacobian(lambda x: network(x, 0.1), y).detach()
    expected = expected.reshape(J.shape)
    exact = {"rtol": 1e-9, "atol": 1e-11}
    u = normal(J.shape[0], 3, seed=4)
    torch.testing.assert_close(J.matvec(u), expected @ u, **exact)
    torch.testing.assert_close(J.rmatvec(u), expected.mT @ u, **exact)
    torch.testing.assert_close(J.rows([J.shape[0] - 1, 2]), expected[[-1, 2]], **exact)
    torch.testing.assert_close(torch.from_numpy(J.sparse_matrix().toarray()), expected, **exact)


def test_a_network_of_relus_has_no_second_derivatives():
    f = conservative(gt.UNet(4, 1))
    J = gt.jacobian(f, normal(1, 1, 8, 8), 0.1)
    assert isinstance(J, SymmetricJacobian)


def test_a_product_costs_one_push_and_one_pull(monkeypatch):
    J = gt.jacobian(conservative(stirred()), normal(1, 1, 8, 8), 0.1)
    convolutions = []
    for name in ("conv2d", "conv_transpose2d"):
        call = getattr(functional, name)
        monkeypatch.setattr(functional, name, lambda *a, call=call, **k: convolutions.append(1) or call(*a, **k))
    assert isinstance(J._products, CurvedProducts)
    J.matvec(normal(64))
    both = len(convolutions)
    J._products.network.push(normal(1, 1, 8, 8))
    assert both == 2 * (len(convolutions) - both) > 0


def test_changed_parameters_are_noticed_and_it_travels():
    f = conservative(stirred())
    J = gt.jacobian(f, normal(1, 1, 8, 8), 0.1)
    v = normal(64)
    there = pickle.loads(pickle.dumps(J))
    torch.testing.assert_close(there.matvec(v), J.matvec(v), rtol=0, atol=0)
    with torch.no_grad():
        f.network.exit.weight.mul_(2)
    with pytest.raises(RuntimeError, match="have changed"):
        J.matvec(v)
