"""The layers of the networks people have, recorded: against the dense Jacobian by automatic differentiation."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import gahb_theory as gt
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.jacobians import jacobian

SIGMA = 0.2
EXACT = {"rtol": 1e-9, "atol": 1e-11}


def normal(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def weights(*shape, seed=0):
    return normal(*shape, seed=seed) / shape[1] ** 0.5 / 2


def parametric(y, sigma):
    """A PReLU with a slope for each channel, a leaky ReLU after it, and a skip connection by concatenation."""
    z = functional.conv2d(y, weights(4, 1, 3, 3), padding=1)
    a = torch.nn.functional.prelu(z, torch.tensor([0.1, 0.2, -0.3, 0.4], dtype=torch.float64))
    a = functional.leaky_relu(functional.conv2d(a, weights(4, 4, 3, 3, seed=1), padding=1), 0.2)
    return functional.conv2d(torch.cat([z, a], dim=1), weights(1, 8, 3, 3, seed=2), padding=1)


def shuffled(y, sigma):
    """Down by an inverse pixel shuffle and up by a shuffle of factor 3, as for super-resolution."""
    z = functional.relu(functional.conv2d(functional.pixel_unshuffle(y, 2), weights(9, 4, 3, 3), padding=1))
    z = functional.relu(functional.pixel_shuffle(z, 3))
    z = functional.conv2d(z, weights(4, 1, 3, 3, seed=1), padding=1, stride=3)
    return functional.pixel_shuffle(z, 2)


def strided(y, sigma):
    """A strided convolution down, a transposed one up with an output padding, in groups."""
    z = functional.relu(functional.conv2d(y, weights(4, 1, 3, 3), padding=1, stride=2))
    z = functional.conv_transpose2d(z, weights(4, 2, 3, 3, seed=1), padding=1, stride=2, output_padding=1, groups=2)
    return functional.conv2d(functional.relu(z), weights(1, 4, 3, 3, seed=2), padding=1)


def borders(y, sigma):
    """Padding by reflection, and by repetition."""
    z = functional.relu(functional.conv2d(functional.pad(y, (1, 2, 2, 1), mode="reflect"), weights(3, 1, 4, 4)))
    return functional.conv2d(functional.pad(z, (1, 1, 1, 1), mode="replicate"), weights(1, 3, 3, 3, seed=1))


def pooled(y, sigma):
    """Maxima of overlapping blocks down, bilinear interpolation up."""
    z = functional.max_pool2d(functional.conv2d(y, weights(3, 1, 3, 3), padding=1), 3, stride=2, padding=1)
    z = functional.interpolate(functional.relu(z), scale_factor=2, mode="bilinear", align_corners=False)
    return functional.conv2d(z, weights(1, 3, 3, 3, seed=1), padding=1)


def gated(y, sigma):
    """The halves of a feature map multiplied, beside a map of the noise level, with the whole used again."""
    z = functional.conv2d(torch.cat([y, torch.full_like(y, sigma), y * 2], dim=1), weights(4, 3, 3, 3), padding=1)
    a, b = z.chunk(2, dim=1)
    return functional.conv2d(functional.relu(a) * b, weights(1, 2, 3, 3, seed=1), padding=1) + z[:, 1:2]


def views(y, sigma):
    """Some channels of a feature map go through an activation, and all are used again."""
    z = functional.conv2d(y, weights(4, 1, 3, 3), padding=1)
    return functional.relu(z[:, :1]) + functional.conv2d(z, weights(1, 4, 3, 3, seed=1), padding=1)


NETWORKS = {
    "PReLU, leaky ReLU, concatenation": (parametric, (1, 8, 9)),
    "pixel shuffle": (shuffled, (1, 8, 12)),
    "strided and transposed": (strided, (1, 10, 8)),
    "reflection and repetition": (borders, (1, 7, 9)),
    "maxima and bilinear interpolation": (pooled, (1, 8, 10)),
    "split and concatenation with a constant": (gated, (1, 6, 7)),
    "views": (views, (1, 5, 6)),
    "DRUNet": (DRUNet(2, 1, seed=1).double().eval(), (1, 16, 8)),
    "FFDNet": (gt.denoisers.FFDNet(4, 4, seed=1).double().eval(), (1, 9, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_are_recorded_exactly(name, image):
    f, shape = NETWORKS[name]
    y = image(*shape)
    dense = torch.autograd.functional.jacobian(lambda x: f(x.clone(), SIGMA), y).reshape(-1, y.numel())
    assert float(dense.norm()) > 0
    J = jacobian(f, y, SIGMA, chunk=2)
    assert J.engine == "frozen"
    u, v = normal(J.shape[0], 3), normal(J.shape[1], 3, seed=4)
    torch.testing.assert_close(J.matvec(v), dense @ v, **EXACT)
    torch.testing.assert_close(J.rmatvec(u), dense.mT @ u, **EXACT)
    torch.testing.assert_close(J.rows([J.shape[0] - 1, 2, 17]), dense[[-1, 2, 17]], **EXACT)
    torch.testing.assert_close(J.matrix(), dense, **EXACT)


class Attention(nn.Module):
    """Patches of 4 x 4 pixels, one block of attention, and back."""

    def __init__(self):
        super().__init__()
        self.inner = nn.utils.skip_init(nn.MultiheadAttention, 16, 2, batch_first=True)
        for i, parameter in enumerate(self.parameters()):
            parameter.data = normal(*parameter.shape, seed=i) / 4
        self.double().eval()

    def forward(self, y, sigma):
        z = functional.pixel_unshuffle(y, 4).flatten(2).mT
        z = z + self.inner(z, z, z, need_weights=False)[0]
        return functional.pixel_shuffle(z.mT.reshape(len(y), 16, y.shape[2] // 4, y.shape[3] // 4), 4) / 4


def test_attention_through_products(image):
    """No recording, and no matrix: the top eigenpairs are those of the dense Jacobian."""
    f, y = Attention(), image(1, 16, 20)
    J = jacobian(f, y, SIGMA)
    assert J.engine.startswith("autograd")
    E = J.eigenbasis(3)
    assert J._matrix is None
    dense = torch.autograd.functional.jacobian(lambda x: f(x, SIGMA), y).reshape(320, 320)
    values = torch.linalg.eigvalsh((dense + dense.mT) / 2).flip(0)
    torch.testing.assert_close(E.eigenvalues, values[:3], rtol=1e-6, atol=1e-7)
