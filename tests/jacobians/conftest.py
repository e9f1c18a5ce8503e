"""Small denoisers with weights from a generator of their own."""

import pytest
import torch
from torch import nn

from gahb_theory.jacobians import Jacobian
from gahb_theory.jacobians.engines.autograd import AutogradProducts


class Network(nn.Module):
    """Convolutions with ReLU in place; `bias` and `smooth` take the homogeneity and the piecewise linearity away."""

    def __init__(self, channels_in=1, channels_out=1, *, bias=False, smooth=False, seed=0, dtype=torch.float64):
        super().__init__()
        self.first = nn.utils.skip_init(nn.Conv2d, channels_in, 4, 3, padding=1, bias=bias)
        self.second = nn.utils.skip_init(nn.Conv2d, 4, 4, 3, padding=1, bias=bias)
        self.last = nn.utils.skip_init(nn.Conv2d, 4, channels_out, 3, padding=1, bias=bias)
        self.activation = nn.Tanh() if smooth else nn.ReLU(inplace=True)
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator).to(dtype) / 3
        self.eval()

    def forward(self, y, sigma):
        return self.last(self.activation(self.second(self.activation(self.first(y))))) / (1 + sigma)


@pytest.fixture
def network():
    return Network


@pytest.fixture
def image():
    def make(*shape, seed=7, dtype=torch.float64):
        return torch.rand(1, *shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)

    return make


@pytest.fixture
def by_autograd():
    """The Jacobian by automatic differentiation, also of networks that can be recorded."""

    def make(f, y, sigma, *, chunk=64):
        products = AutogradProducts(f, y, sigma, probes=min(2, chunk))
        return Jacobian(products, y, products.output, chunk=chunk)

    return make


@pytest.fixture
def linear():
    """The denoiser y -> matrix y, on flattened images."""

    def make(matrix):
        return lambda y, sigma: (y.flatten(1) @ matrix.mT).reshape(len(y), 1, 1, -1)

    return make


@pytest.fixture
def orthogonal():
    def make(d, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q

    return make
