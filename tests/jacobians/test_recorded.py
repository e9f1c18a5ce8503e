"""The recorded linear network, against automatic differentiation."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from gahb_theory.denoisers.networks.bias_free import BFCNN, BiasFreeNorm, UNet
from gahb_theory.jacobians import jacobian

SIGMA = 0.2
EXACT = {"rtol": 1e-9, "atol": 1e-11}  # double precision, sums of some thousand terms


def normal(*shape, seed=3, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference(f, y):
    return torch.autograd.functional.jacobian(lambda x: f(x.clone(), SIGMA), y).reshape(-1, y.numel())


def lively(f, dtype=torch.float64):
    """The gammas of a new network are tiny; these let every layer be heard."""
    generator = torch.Generator().manual_seed(1)
    for module in f.modules():
        if isinstance(module, BiasFreeNorm):
            module.gamma.data = 0.9 + 0.2 * torch.rand(module.gamma.shape, generator=generator)
    return f.eval().to(dtype)


def weights(*shape, seed=0):
    return normal(*shape, seed=seed) / shape[1] ** 0.5 / 3


def odd_sizes(y, sigma):
    """A strided convolution, a dilated one, its transpose, a skip connection, zero padding and cropping."""
    x = functional.pad(y, (0, y.shape[3] % 2, 0, y.shape[2] % 2))
    skip = functional.relu(functional.conv2d(x, weights(4, 1, 5, 5), padding=2))
    z = functional.relu(functional.conv2d(skip, weights(6, 4, 3, 3, seed=1), padding=1, stride=2))
    z = functional.leaky_relu(functional.conv2d(z, weights(6, 6, 3, 3, seed=2), padding=2, dilation=2), 0.1)
    z = functional.relu(functional.conv_transpose2d(z, weights(6, 6, 4, 4, seed=3), padding=1, stride=2))
    z = functional.conv2d(torch.cat([z, skip], dim=1), weights(1, 10, 3, 3, seed=4), padding=1)
    return z[:, :, : y.shape[2], : y.shape[3]]


def resized(y, sigma):
    z = functional.relu(functional.conv2d(functional.avg_pool2d(y, 2), weights(4, 1, 3, 3), padding=1))
    z = functional.interpolate(z, scale_factor=2, mode="nearest")
    z = functional.avg_pool2d(z, 3, stride=1, padding=1) - z / 3
    return y - functional.conv2d(z, weights(4, 1, 3, 3, seed=1), padding=1, groups=4).mul(2)[:, 1:2]


def residual(y, sigma):
    z = functional.conv2d(y, weights(4, 3, 3, 3), padding=1)
    z = z + functional.silu(functional.conv2d(functional.gelu(z), weights(4, 4, 1, 3, seed=1), padding=(0, 1)))
    gate = torch.sigmoid(functional.conv2d(z, weights(4, 4, 3, 3, seed=2), padding=1))
    return functional.conv2d(gate * z, weights(3, 4, 3, 3, seed=3), padding=1).neg_().add_(y, alpha=0.5)


def noise_map(y, sigma):
    """Four channels in, three out, beside a channel that holds sigma."""
    level = torch.full_like(y[:, :1], sigma)
    z = functional.conv2d(torch.cat([y, level], dim=1), weights(5, 5, 3, 3), padding=1)
    return y[:, :3] - functional.conv2d(z.relu_(), weights(3, 5, 3, 3, seed=1), padding=1)


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Sequential(
            nn.utils.skip_init(nn.Conv2d, 1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Dropout(), nn.PReLU(4, 0.2)
        )
        self.layer[0].weight.data, self.layer[0].bias.data = weights(4, 1, 3, 3), normal(4)
        self.layer[1].running_mean, self.layer[1].running_var = normal(4), normal(4, seed=1).exp()
        self.double().eval()

    def forward(self, y, sigma):
        return self.layer(y).sum(dim=1, keepdim=True) * 0 + self.layer(y)[:, 2:3]


CASES = {
    "UNet": (lively(UNet(4, 2)), (1, 8, 12)),
    "UNet in colour": (lively(UNet(4, 1, image_channels=3)), (3, 6, 8)),
    "BFCNN": (lively(BFCNN(4, 5)), (1, 9, 14)),
    "BFCNN with frozen parameters": (lively(BFCNN(4, 4)).requires_grad_(False), (1, 9, 8)),
    "odd sizes": (odd_sizes, (1, 13, 10)),
    "resized": (resized, (1, 12, 8)),
    "residual": (residual, (3, 6, 7)),
    "noise map": (noise_map, (4, 6, 7)),
    "white": (lambda y, sigma: y / (1 + sigma), (2, 3, 4)),
}


@pytest.mark.parametrize("name", CASES)
def test_recorded_network_is_the_dense_reference(name, image):
    f, shape = CASES[name]
    y = image(*shape)
    dense = reference(f, y)
    J = jacobian(f, y, SIGMA)
    assert J.engine == "frozen"
    u, v = normal(J.shape[0], 5), normal(J.shape[1], 5, seed=4)
    torch.testing.assert_close(J.matvec(v), dense @ v, **EXACT)
    torch.testing.assert_close(J.rmatvec(u), dense.mT @ u, **EXACT)
    torch.testing.assert_close(torch.from_numpy(J.sparse_matrix().toarray()), dense, **EXACT)
    torch.testing.assert_close(J.rows([J.shape[0] - 1, 2]), dense[[-1, 2]], **EXACT)
    torch.testing.assert_close(J.columns([1]), dense[:, [1]], **EXACT)
    torch.testing.assert_close(jacobian(f, y, SIGMA, chunk=3).matrix(), dense, **EXACT)


def test_normalisation_in_eval_mode(image):
    f, y = Normalised(), image(1, 6, 5)
    J = jacobian(lambda y, sigma: f.layer(y)[:, 2:3], y, SIGMA)
    assert J.engine == "frozen"
    torch.testing.assert_close(J.matrix(), reference(lambda y, sigma: f.layer(y)[:, 2:3], y), **EXACT)


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda y, sigma: torch.fft.fft2(y).real, "is not one of those that can be recorded"),
        (lambda y, sigma: y.flip(-1), "the operation 'flip'"),
        (lambda y, sigma: y.square().sum(dim=(1, 2, 3)), "the operation 'sum'"),
    ],
)
def test_what_cannot_be_recorded_falls_back_with_a_reason(image, f, reason):
    y = image(1, 4, 5)
    J = jacobian(f, y, SIGMA)
    assert J.engine.startswith("autograd (")
    assert reason in J.engine
    torch.testing.assert_close(J.matrix(), reference(f, y), **EXACT)


def test_change_in_place_behind_a_view_is_noticed(image):
    """The recording does not follow views; the gradient does, and the two are compared."""

    def f(y, sigma):
        z = y - 0.5
        part = z[:, :, 1:3]
        z.relu_()
        return functional.pad(part, (0, 0, 1, 1)) + z

    y = image(1, 4, 5)
    J = jacobian(f, y, SIGMA)
    assert "differs from the gradient" in J.engine
    torch.testing.assert_close(J.matrix(), reference(f, y), **EXACT)


def test_operations_that_do_not_reach_the_output_do_not_matter(image):
    def f(y, sigma):
        assert bool(torch.isfinite(y).all())
        _ = torch.fft.fft2(y)
        return functional.relu(y - 0.5)

    J = jacobian(f, image(1, 4, 5), SIGMA)
    assert J.engine == "frozen"


def test_changed_parameters_are_noticed(image):
    f, v = lively(BFCNN(4, 3)), normal(30)
    J = jacobian(f, image(1, 5, 6), SIGMA)
    with torch.no_grad():
        f.layers[0].weight.mul_(2)
    for product in (J.matvec, J.rmatvec):
        with pytest.raises(RuntimeError, match="parameters of f have changed"):
            product(v)


# Windows


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("window", [((0, 2), (0, 1)), ((1, 3), (2, 4))])
def test_product_from_a_window_is_that_of_the_whole(name, image, window):
    f, shape = CASES[name]
    J = jacobian(f, image(*shape), SIGMA)
    rows, columns = window
    u = torch.zeros(4, *J.output_shape, dtype=torch.float64)
    u[:, :, slice(*rows), slice(*columns)] = normal(4, J.output_shape[0], rows[1] - rows[0], columns[1] - columns[0])
    part, ((top, bottom), (left, right)) = J._products.pull_window(u[:, :, slice(*rows), slice(*columns)], window)
    whole = J._products.pull(u)
    torch.testing.assert_close(part, whole[:, :, top:bottom, left:right], **EXACT)
    whole[:, :, top:bottom, left:right] = 0
    assert torch.equal(whole, torch.zeros_like(whole))


@pytest.mark.parametrize(("depth", "reach"), [(3, 3), (5, 5)])
def test_receptive_field_is_exact(image, depth, reach):
    """The window holds (2 depth + 1)^2 pixels, and every one of them matters."""
    f = lively(BFCNN(16, depth))
    J = jacobian(f, image(1, 17, 17), SIGMA)
    row = J.rows([8 * 17 + 8]).reshape(17, 17)
    inside = torch.zeros(17, 17, dtype=torch.bool)
    inside[8 - reach : 9 + reach, 8 - reach : 9 + reach] = True
    assert torch.equal(row != 0, inside)
    sparse = J.sparse_matrix()
    assert sparse.nnz < 17**4
    assert sparse.indices.dtype.itemsize == 4


@pytest.mark.parametrize("size", [33, 40])
def test_windows_of_wide_layers_in_single_precision(size):
    """Equal bit for bit where the library of convolutions sums in the same order at every size, else to rounding."""
    f = lively(BFCNN(64, 5, image_channels=64), torch.float32)
    y = normal(1, 64, size, size, dtype=torch.float32)
    J = jacobian(f, y, SIGMA)
    u = torch.zeros(4, 64, size, size)
    u[:, :, 10:13, 0:4] = normal(4, 64, 3, 4, dtype=torch.float32)
    part, ((top, bottom), (left, right)) = J._products.pull_window(u[:, :, 10:13, 0:4], ((10, 13), (0, 4)))
    whole = J._products.pull(u)[:, :, top:bottom, left:right]
    torch.testing.assert_close(part, whole, rtol=1e-5, atol=1e-6 * float(whole.abs().max()))


def test_adjoint_in_single_precision(image):
    f = lively(UNet(8, 2), torch.float32)
    J = jacobian(f, image(1, 16, 16, dtype=torch.float32), SIGMA)
    u, v = normal(256, 4).float(), normal(256, 4, seed=1).float()
    gap = (u * J.matvec(v)).sum(dim=0) - (J.rmatvec(u) * v).sum(dim=0)
    assert float(gap.abs().max()) < 1e-5 * float(u.norm() * v.norm())
    assert J.homogeneity_error() < 1e-5


def test_quarter_turn_of_the_image_turns_the_eigenvectors(image):
    """Kernels that a quarter turn does not change make a denoiser that commutes with it."""
    kernel = weights(6, 1, 3, 3)
    kernel = sum(torch.rot90(kernel, i, (2, 3)) for i in range(4)) / 2

    def f(y, sigma):
        z = functional.relu(functional.conv2d(y, kernel, padding=1))
        return functional.conv_transpose2d(z, kernel, padding=1)

    y = image(1, 8, 8)
    E, turned = (jacobian(f, x, SIGMA).eigenbasis(5) for x in (y, torch.rot90(y, 1, (2, 3)).contiguous()))
    torch.testing.assert_close(turned.eigenvalues, E.eigenvalues, rtol=0, atol=1e-10)
    atoms = torch.rot90(E.atom_images(range(5)), 1, (2, 3)).flatten(1)
    overlaps = (atoms * turned.atoms).sum(dim=1).abs()
    torch.testing.assert_close(overlaps, torch.ones(5, dtype=torch.float64), rtol=0, atol=1e-8)


@pytest.mark.gpu
@pytest.mark.parametrize("f", [UNet(8, 2), BFCNN(8, 6)])
def test_large_chunks_on_an_accelerator(accelerator, image, f):
    """The same matrix as on the CPU, from chunks of hundreds of directions, dense and sparse."""
    f, y = lively(f, torch.float32), image(1, 32, 32, dtype=torch.float32)
    here = jacobian(f, y, SIGMA)
    there = jacobian(copy.deepcopy(f).to(accelerator), y.to(accelerator), SIGMA)
    assert here.engine == there.engine == "frozen"
    assert there.chunk >= 4 * here.chunk or there.chunk == 256
    assert there.sparse_matrix().shape == (1024, 1024)
    v = normal(1024, 300, dtype=torch.float32)
    close = {"rtol": 1e-3, "atol": 1e-4}  # single precision, another library of convolutions
    torch.testing.assert_close(there.matvec(v.to(accelerator)).cpu(), here.matvec(v), **close)
    torch.testing.assert_close(there.rmatvec(v.to(accelerator)).cpu(), here.rmatvec(v), **close)
    torch.testing.assert_close(torch.from_numpy(there.sparse_matrix().toarray()), here.matrix(), **close)
    torch.testing.assert_close(there.matrix().cpu(), here.matrix(), **close)
