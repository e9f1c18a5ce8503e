"""All networks keep the contract, train by the same call, and are saved and loaded; each control breaks its one bias."""

import json
from dataclasses import replace

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers.checkpoints.files import NETWORKS

SMALL = {
    gt.UNet: lambda: gt.UNet(4, 1),
    gt.denoisers.SmoothUNet: lambda: gt.denoisers.SmoothUNet(4, 1),
    gt.denoisers.SmoothConditionedUNet: lambda: gt.denoisers.SmoothConditionedUNet(4, 1),
    gt.BFCNN: lambda: gt.BFCNN(4, 4),
    gt.WindowedCNN: lambda: gt.WindowedCNN(4, (3, 1, 3, 3)),
    gt.DnCNN: lambda: gt.DnCNN(4, 4),
    gt.DilatedUNet: lambda: gt.DilatedUNet(4, bias=True, output="residual"),
    gt.RecursiveCNN: lambda: gt.RecursiveCNN(4, 1, 2),
    gt.StagedCNN: lambda: gt.StagedCNN(4, 2, 2, bias=True),
    gt.ConditionedUNet: lambda: gt.ConditionedUNet(8, 2),
    gt.Conservative: lambda: gt.Conservative(gt.UNet(4, 1)),
    gt.DiT: lambda: gt.DiT(16, 4, 16, 2, 2, window=3),
    gt.IRCNN: lambda: gt.IRCNN(4),
    gt.FFDNet: lambda: gt.FFDNet(4, 4),
    gt.DRUNet: lambda: gt.DRUNet(4, 1),
    gt.FullyConnected: lambda: gt.FullyConnected(16, 32, 3),
    gt.LinearConvolution: lambda: gt.LinearConvolution(5),
    gt.LinearDenoiser: lambda: gt.LinearDenoiser(16),
    gt.LocallyConnected: lambda: gt.LocallyConnected(16, 4, 3),
}
HOMOGENEOUS = {
    *(gt.UNet, gt.denoisers.SmoothUNet, gt.BFCNN, gt.WindowedCNN, gt.RecursiveCNN, gt.Conservative, gt.DRUNet),
    *(
        gt.denoisers.SmoothConditionedUNet,
        gt.FullyConnected,
        gt.LinearConvolution,
        gt.LinearDenoiser,
        gt.LocallyConnected,
    ),
}


@pytest.fixture(params=(*NETWORKS, gt.Conservative), ids=lambda n: n.__name__)
def network(request):
    return request.param


def scrambled(f, seed=0):
    """All weights moved by a little, so that none is at its special beginning."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in f.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return f.eval()


def test_every_network_is_here():
    assert set(SMALL) == {*NETWORKS, gt.Conservative}


def test_contract_and_homogeneity(network):
    found = gt.testing.check_denoiser(scrambled(SMALL[network]()).double(), (1, 16, 16), torch.float64)
    assert (found.homogeneity_error < 1e-10) == (network in HOMOGENEOUS)
    assert network.homogeneous == (network in HOMOGENEOUS - {gt.RecursiveCNN}), "its homogeneity depends on an argument"


def test_trains_and_is_saved(network, tmp_path):
    """A short training lowers the error of the network, and what is loaded from its run is the same network."""
    f, x = SMALL[network](), gt.Disks(size=16)
    recipe = replace(gt.Recipe.published(), schedule="cosine", batch_size=16, learning_rate=3e-3, ema_half_life=100.0)
    g = gt.train(f, x, images_seen=1024, recipe=recipe, run=tmp_path / "run")
    test = x.sample(32, seed=1)
    y = gt.add_noise(test, 0.3)
    with torch.no_grad():
        before, after = (float(gt.mse(test, h(y, 0.3)).mean()) for h in (f.eval(), g))
    assert after < before
    h = gt.load_denoiser(tmp_path / "run")
    assert type(h) is network
    assert h.configuration == json.loads(json.dumps(g.configuration))
    torch.testing.assert_close(h(y, 0.3), g(y, 0.3), rtol=0, atol=1e-5)  # float32, another memory format


def test_seed_names_the_weights_and_no_global_generator(network):
    f, g = SMALL[network](), SMALL[network]()
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))
    assert f.image_channels == 1


@pytest.mark.parametrize(
    ("make", "uses"), [(SMALL[gt.ConditionedUNet], True), (SMALL[gt.DiT], True), (SMALL[gt.DnCNN], False)]
)
def test_who_uses_sigma(make, uses):
    f, y = scrambled(make()), gt.Disks(size=16).sample(2)
    assert torch.equal(f(y, 0.1), f(y, 0.5)) is not uses


@pytest.mark.filterwarnings(
    "ignore:the images of data hold values from -2"
)  # a Gaussian distribution about 0, as is meant
def test_linear_denoiser_trains_towards_the_wiener_filter():
    """At one noise level the optimum of the loss is y - sigma^2 (Sigma + sigma^2)^-1 y, for a distribution of mean 0."""
    generator = torch.Generator().manual_seed(0)
    variances = torch.linspace(1, 0, 16) ** 2
    rotation = torch.linalg.qr(torch.randn(16, 16, generator=generator)).Q
    x = 0.2 * ((torch.randn(4000, 16, generator=generator) * variances.sqrt()) @ rotation.mT).reshape(-1, 1, 4, 4)
    f = gt.train(
        gt.LinearDenoiser(4),
        x,
        images_seen=40_000,
        batch_size=200,
        learning_rate=2e-2,
        sigma_min=0.09999,
        sigma_max=0.1,
    )
    wiener = rotation @ torch.diag(variances / (variances + 0.25)) @ rotation.mT
    J = gt.jacobian(f, x[:1], 0.1).matrix()
    assert float((J - wiener).norm() / wiener.norm()) < 0.06


def test_controls_break_what_they_should():
    local = gt.measure_behaviour(scrambled(SMALL[gt.LocallyConnected]()).double(), (1, 16, 16), dtype=torch.float64)
    assert local.receptive_field == (7, 7) and local.shift_error > 0.05
    full = gt.measure_behaviour(scrambled(SMALL[gt.FullyConnected]()).double(), (1, 16, 16), dtype=torch.float64)
    assert full.receptive_field == (16, 16) and full.shift_error > 0.05
    convolution = gt.measure_behaviour(
        scrambled(SMALL[gt.LinearConvolution]()).double(), (1, 16, 16), dtype=torch.float64
    )
    assert convolution.receptive_field == (5, 5) and convolution.shift_error < 1e-10


@pytest.mark.parametrize(("window", "side"), [(1, 4), (3, 12), (None, 24)])
def test_window_of_attention(window, side):
    """One block with a window of tokens sees that window, of 4x4 pixels a token."""
    f = scrambled(gt.DiT(24, 4, 16, 1, 2, window)).double()
    found = gt.measure_behaviour(f, (1, 24, 24), dtype=torch.float64)
    assert found.receptive_field == (side, side)


def test_preconditioned_networks_begin_as_the_wiener_filter_of_pixels():
    y = gt.Disks(size=16).sample(2)
    for f in (gt.DiT(16, 4, 16, 2, 2).eval(), gt.ConditionedUNet(8, 2).eval()):
        torch.testing.assert_close(f(y, 0.25), 0.5 + (y - 0.5) / 2)


def test_refusals(unchecked):
    with pytest.raises(ValueError, match="kernels must be at least two odd sizes"):
        gt.WindowedCNN(4, (3, 2, 3))
    with pytest.raises(ValueError, match="receptive_field must be odd"):
        gt.kernels_for(8)
    with pytest.raises(ValueError, match="size must be a multiple of patch"):
        gt.DiT(10, 4)
    with pytest.raises(ValueError, match="window must be odd"):
        gt.DiT(16, 4, window=2)
    with pytest.raises(ValueError, match="kernel must be odd"):
        gt.LinearConvolution(4)
    with pytest.raises(ValueError, match="multiple of 8"):
        gt.ConditionedUNet(12)
    y = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    for make in (SMALL[gt.DiT], SMALL[gt.FullyConnected], SMALL[gt.LinearDenoiser], SMALL[gt.LocallyConnected]):
        with pytest.raises(ValueError, match=r"knows images of shape \(1, 16, 16\)"):
            make().eval()(y, 0.1)
    with pytest.raises(ValueError, match=r"multiples of 2\^blocks = 8"):
        gt.ConditionedUNet(8, 3).eval()(y, 0.1)
