"""Jacobians of two networks that others trained, built here by hand from their descriptions."""

import argparse
import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise

pytestmark = pytest.mark.data
SIGMA = 50 / 255


class BiasFreeUNet(nn.Module):
    """Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda (2020); returns the clean image."""

    def __init__(self):
        super().__init__()
        shapes = [(1, 32, 5, 1, 1), (32, 32, 3, 1, 1), (32, 64, 3, 2, 1), (64, 64, 3, 1, 1), (64, 64, 3, 1, 2)]
        shapes += [(64, 64, 3, 1, 4)]
        layers = [
            nn.Conv2d(a, b, k, stride=s, padding=d * (k // 2), dilation=d, bias=False) for a, b, k, s, d in shapes
        ]
        layers.append(nn.ConvTranspose2d(64, 64, 4, stride=2, padding=1, bias=False))
        layers += [nn.Conv2d(96, 32, 3, padding=1, bias=False), nn.Conv2d(32, 1, 5, padding=2, bias=False)]
        self.layers = nn.ModuleList(layers)

    def forward(self, y, sigma):
        height, width = y.shape[2:]
        z = functional.pad(y, (0, width % 2, 0, height % 2))
        z = skip = functional.relu(self.layers[1](functional.relu(self.layers[0](z))))
        for layer in self.layers[2:7]:
            z = functional.relu(layer(z))
        z = functional.relu(self.layers[7](torch.cat([z, skip], dim=1)))
        return self.layers[8](z)[:, :, :height, :width]


class BoundedCNN(nn.Module):
    """Kadkhodaie, Guth, Mallat and Simoncelli (2023); the network predicts the noise."""

    def __init__(self, state):
        super().__init__()
        stored = {name.removeprefix("module."): value for name, value in state.items()}
        self.kernels = [stored[f"conv_layers.{i}.weight"] for i in range(21)]
        scales = [stored[f"BN_layers.{i}.gammas"] / stored[f"BN_layers.{i}.running_sd"] for i in range(19)]
        self.scales = [scale.reshape(1, -1, 1, 1) for scale in scales]

    def forward(self, y, sigma):
        z = functional.conv2d(y, self.kernels[0], padding=1)
        for kernel, scale in zip(self.kernels[1:20], self.scales, strict=True):
            z = functional.relu(functional.conv2d(z, kernel, padding=1) * scale)
        return y - functional.conv2d(z, self.kernels[20], padding=1)


@pytest.fixture(scope="module")
def unet(optional_data):
    with torch.serialization.safe_globals([argparse.Namespace]):
        path = optional_data / "weights" / "bfdenoising_unet_biasfree_0-100.pt"
        stored = torch.load(path, weights_only=True, map_location="cpu")["model"]
    values = stored if isinstance(stored, Mapping) else stored[0]
    with torch.device("meta"):  # no random initial values
        f = BiasFreeUNet()
    f.load_state_dict(dict(zip(f.state_dict(), values.values(), strict=True)), assign=True)
    return f.eval()


@pytest.fixture(scope="module")
def cnn(optional_data):
    path = optional_data / "weights" / "localprob_celeba160_bfcnn_rf43.pt"
    return BoundedCNN(torch.load(path, weights_only=True, map_location="cpu")).eval()


@pytest.fixture(scope="module")
def photograph(optional_data):
    from PIL import Image

    path = optional_data / "photographs" / "set12" / "01.png"
    pixels = np.asarray(Image.open(path).convert("L"), dtype="float32") / 255

    def crop(size):
        clean = torch.from_numpy(pixels[60 : 60 + size, 60 : 60 + size].copy())[None, None]
        return clean, add_noise(clean, SIGMA, seed=0)

    return crop


@pytest.mark.parametrize(("name", "size"), [("unet", 41), ("cnn", 32)])
def test_published_network_is_recorded(request, photograph, name, size):
    """J y = f(y), the products are those of automatic differentiation, and the network denoises."""
    f = request.getfixturevalue(name)
    clean, y = photograph(size)
    J = jacobian(f, y, SIGMA)
    assert J.engine == "frozen"
    assert J.homogeneity_error() < 1e-5
    u = torch.randn(size * size, 2, generator=torch.Generator().manual_seed(0))
    leaf = y.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(leaf, SIGMA).flatten() @ u[:, 0], leaf)
    torch.testing.assert_close(J.rmatvec(u)[:, 0], gradient.flatten(), rtol=0, atol=2e-5 * float(gradient.norm()))
    gap = float(u[:, 0] @ J.matvec(u[:, 1]) - J.rmatvec(u[:, 0]) @ u[:, 1])
    assert abs(gap) < 1e-5 * float(u[:, 0].norm() * u[:, 1].norm())
    assert float((J.output - clean).norm()) < 0.5 * float((y - clean).norm())


def test_dense_jacobian_in_double_precision(unet, photograph):
    """Rows and columns against automatic differentiation, and the size of what is not symmetric."""
    f = copy.deepcopy(unet).double()
    y = photograph(20)[1].double()
    dense = torch.autograd.functional.jacobian(lambda x: f(x, SIGMA), y).reshape(400, 400)
    J = jacobian(f, y, SIGMA)
    torch.testing.assert_close(J.matrix(), dense, rtol=0, atol=1e-11)
    assert 0.3 < J.asymmetry() < 0.6
    spectrum = J.eig()
    assert spectrum.complex_mass > 0.1
    assert float(spectrum.residuals.max()) < 1e-9


def test_receptive_field_of_the_bounded_network(cnn, photograph):
    """43 x 43 pixels to the last one, at the border too, and no more."""
    size = 49
    J = jacobian(cnn, photograph(size)[1], SIGMA)
    rows = J.rows([24 * size + 24, 0, 24 * size + 48]).reshape(3, size, size)
    for row, (r, c) in zip(rows, [(24, 24), (0, 0), (24, 48)], strict=True):
        reached = row.nonzero()
        assert reached.min(dim=0).values.tolist() == [max(0, r - 21), max(0, c - 21)]
        assert reached.max(dim=0).values.tolist() == [min(size - 1, r + 21), min(size - 1, c + 21)]


def test_eigenpairs_of_the_bounded_network(cnn, photograph):
    """Matrix free, against the dense symmetric part."""
    J = jacobian(cnn, photograph(20)[1], SIGMA)
    E = J.eigenbasis(6)
    assert J._matrix is None
    matrix = J.matrix()
    dense = torch.linalg.eigvalsh((matrix + matrix.mT).double() / 2).flip(0)[:6]
    torch.testing.assert_close(E.eigenvalues.double(), dense, rtol=0, atol=2e-5)
    assert bool(E.converged.all())
    assert (E.atoms @ E.atoms.mT - torch.eye(len(E.atoms))).abs().max() < 1e-5
