"""The two bias-free networks: their sizes, homogeneity, normalisation, receptive field and borders."""

import pytest
import torch
from torch import nn

from gahb_theory import jacobian
from gahb_theory.denoisers import BFCNN, BiasFreeNorm, UNet

DOUBLE = torch.float64


def images(n=2, c=1, h=16, w=16, seed=0, dtype=torch.float32):
    return torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(dtype)


def alive(network, seed=0):
    """In eval mode, with statistics and gammas as after training: at their start they make f almost the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, BiasFreeNorm):
            module.running_sd.copy_(0.5 + torch.rand(module.running_sd.shape, generator=generator))
            module.gamma.data = 4 * (torch.rand(module.gamma.shape, generator=generator) - 0.3)
    return network.eval().requires_grad_(False)


NETWORKS = {
    "unet": lambda c=1, seed=0: UNet(4, 2, c, seed=seed),
    "unet-deep": lambda c=1, seed=0: UNet(2, 3, c, seed=seed),
    "bfcnn": lambda c=1, seed=0: BFCNN(6, 5, c, seed=seed),
    "bfcnn-shallow": lambda c=1, seed=0: BFCNN(3, 2, c, seed=seed),
}
EVERY = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS.keys())


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def test_full_size_networks_have_the_parameters_of_the_paper():
    assert parameters(UNet(channels=64, blocks=3)) == parameters(UNet()) == 7_659_264
    assert parameters(BFCNN(channels=64, depth=21)) == parameters(BFCNN()) == 702_784


@pytest.mark.parametrize(("blocks", "count"), [(1, 366_080), (2, 1_825_024)])
def test_smaller_networks_have_the_parameters_of_the_paper(blocks, count):
    """Table 1 gives 360k and 1.8M; with the gammas of the normalisations, 64 per layer of that width."""
    network = UNet(64, blocks)
    gammas = sum(m.gamma.numel() for m in network.modules() if isinstance(m, BiasFreeNorm))
    assert parameters(network) - gammas == count or parameters(network) == count


@EVERY
def test_nothing_is_added(build):
    """No parameter is a bias, and an image of zeros stays one."""
    network = build()
    assert all("bias" not in name for name, _ in network.named_parameters())
    assert not alive(network)(torch.zeros(1, 1, 16, 16), 0.1).any()


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_homogeneous_of_order_one_and_not_linear(build, channels):
    """f(s y) = s f(y) to the rounding of a few layers; the prediction is no trifle, and two images do not add up."""
    network, y = alive(build(channels)), images(2, channels)
    out = network(y, 0.1)
    size = float(out.abs().max())
    for s in (0.01, 0.3, 7.0, 255.0):
        torch.testing.assert_close(network(s * y, 0.1), s * out, rtol=0, atol=1e-5 * s * size)
    double, z = network.double(), images(2, channels, dtype=DOUBLE)
    precise = double(z, 0.1)
    torch.testing.assert_close(double(7 * z, 0.1), 7 * precise, rtol=0, atol=1e-12 * float(precise.abs().max()))
    assert float((precise - z).norm() / z.norm()) > 0.1
    other = images(2, channels, seed=1, dtype=DOUBLE) - 0.5
    assert float((double(z + other, 0.1) - precise - double(other, 0.1)).norm() / precise.norm()) > 0.01
    assert float((double(-z, 0.1) + precise).norm() / precise.norm()) > 0.01  # nor odd: only s > 0


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_the_denoiser_is_its_jacobian(build, channels):
    """J y = f(y), to 1e-12 in float64 (the sums of a few layers) and 1e-5 in float32."""
    network = alive(build(channels))
    for dtype, tolerance in ((torch.float32, 1e-5), (DOUBLE, 1e-12)):
        f, y = network.to(dtype), images(1, channels, 8, 16, dtype=dtype)
        J = jacobian(f, y, 0.1)
        out = f(y, 0.1).flatten()
        torch.testing.assert_close(J.matvec(y.flatten()), out, rtol=0, atol=tolerance * float(out.abs().max()))
        assert J.homogeneity_error() < tolerance


@EVERY
def test_a_new_network_trains_and_hardly_changes_an_image(build):
    """It starts in training mode with gammas of 0.0035, so the predicted noise is small; the running sd starts at 1."""
    network = build()
    assert network.training
    gammas = torch.cat([m.gamma.detach() for m in network.modules() if isinstance(m, BiasFreeNorm)] + [torch.zeros(1)])
    assert float(gammas.abs().max()) <= 0.025
    out = network(images(4), torch.full((4,), 0.1))
    out.square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


@EVERY
def test_seeds_name_the_weights(build):
    a, b, c = (build(seed=seed).state_dict() for seed in (3, 3, 4))
    assert a.keys() == b.keys() == c.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    differing = [name for name in a if not torch.equal(a[name], c[name])]
    assert set(differing) == {name for name in a if not name.endswith("running_sd")}


def test_weights_start_with_the_variance_of_he():
    """Normal with variance 2 / (inputs * 9): within 4 standard errors, sqrt(2 / count) of the variance."""
    for name, p in UNet(16, 2, seed=1).named_parameters():
        if "gamma" not in name and p.numel() > 2000:
            fan = p[0].numel()
            ratio = float(p.detach().square().mean()) * fan / 2
            assert abs(ratio - 1) < 4 * (2 / p.numel()) ** 0.5, name


@EVERY
def test_the_network_predicts_the_noise(build):
    """With a last convolution of zeros nothing is predicted, and the image comes back; of the opposite sign, 2y - f."""
    network, y = alive(build()).double(), images(dtype=DOUBLE)
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    out = network(y, 0.1)
    last.weight.neg_()
    torch.testing.assert_close(network(y, 0.1), 2 * y - out, rtol=0, atol=1e-12)
    last.weight.zero_()
    assert torch.equal(network(y, 0.1), y)


@EVERY
@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_shape_and_dtype_are_kept(build, dtype):
    for shape in ((1, 1, 8, 8), (3, 1, 16, 40), (2, 1, 24, 8)):
        out = alive(build()).to(dtype)(images(*shape, dtype=dtype), 0.1)
        assert out.shape == shape
        assert out.dtype == dtype


@EVERY
def test_the_noise_level_is_not_seen(build):
    network, y = alive(build()), images(3)
    out = network(y, 0.1)
    assert torch.equal(network(y, 5.0), out)
    assert torch.equal(network(y, torch.tensor([0.1, 0.5, 10.0])), out)
    network.train()
    once = network(y, 0.1)
    assert torch.equal(network(y, torch.tensor([0.1, 0.5, 10.0])), once)


@EVERY
def test_images_of_a_batch_do_not_mix(build):
    network, y = alive(build()), images(3)
    together = network(y, 0.1)
    for i in range(3):
        torch.testing.assert_close(network(y[i : i + 1], 0.1), together[i : i + 1], rtol=0, atol=1e-5)


@EVERY
def test_the_argument_is_not_changed(build):
    """The ReLUs work in place, but not on what was given."""
    network, y = alive(build()), images() - 0.5
    kept = y.clone()
    network(y, 0.1)
    assert torch.equal(y, kept)


@pytest.mark.parametrize(("depth", "side"), [(2, 5), (3, 7), (7, 15)])
def test_receptive_field_of_the_bfcnn(depth, side):
    """All weights and intensities positive, so that no path dies: one output sees exactly 2 depth + 1 pixels a side."""
    network = alive(BFCNN(2, depth)).double()
    for p in network.parameters():
        p.copy_(p.abs() + 0.1)
    y = images(1, 1, 21, 21, dtype=DOUBLE).requires_grad_()
    (gradient,) = torch.autograd.grad(network(y, 0.1)[0, 0, 10, 10], y)
    seen = (gradient[0, 0] != 0).nonzero()
    assert len(seen) == side**2
    assert (seen.amax(0) - seen.amin(0) + 1).tolist() == [side, side]
    assert (seen.amax(0) + seen.amin(0)).tolist() == [20, 20]


def test_the_bfcnn_is_equivariant_to_translations_inside():
    network = alive(BFCNN(4, 3)).double()
    y = torch.zeros(1, 1, 24, 24, dtype=DOUBLE)
    y[:, :, 8:14, 8:14] = images(1, 1, 6, 6, dtype=DOUBLE)
    torch.testing.assert_close(network(y.roll((2, -1), (2, 3)), 0.1), network(y, 0.1).roll((2, -1), (2, 3)))


def norm(x, sd, gamma):
    return x * gamma[None, :, None, None] / sd[None, :, None, None]


def test_normalisation_in_training():
    """x gamma / sd, the sd about the mean over batch, height and width (biased, plus 1e-5); the mean stays."""
    layer = BiasFreeNorm(3).double()
    layer.gamma.data = torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)
    running = torch.ones(3, dtype=DOUBLE)
    for seed in range(3):
        x = images(4, 3, 5, 6, seed, DOUBLE) * torch.tensor([1.0, 10.0, 0.001], dtype=DOUBLE)[None, :, None, None] + 3
        mean = x.sum((0, 2, 3)) / 120
        sd = (((x - mean[None, :, None, None]) ** 2).sum((0, 2, 3)) / 120 + 1e-5).sqrt()
        torch.testing.assert_close(layer(x), norm(x, sd, layer.gamma), rtol=1e-12, atol=0)
        running = 0.9 * running + 0.1 * sd
        torch.testing.assert_close(layer.running_sd, running, rtol=1e-12, atol=0)
    assert float(layer(x).detach().mean()) > 3  # an image of mean 3 over its spread keeps it


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_gradient_of_the_normalisation_in_training(form):
    """That of x gamma / sd written out, and zero where the image is a multiple of what it was: sd grows alike."""
    layer = BiasFreeNorm(3).double()
    layer.gamma.data = torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)
    x = (images(4, 3, 5, 6, dtype=DOUBLE) + 2).contiguous(memory_format=form).requires_grad_()
    weight, size = images(4, 3, 5, 6, seed=1, dtype=DOUBLE), 120
    (weight * layer(x).tanh()).sum().backward()
    y = x.detach().clone().requires_grad_()
    gamma = layer.gamma.detach().clone().requires_grad_()
    centred = y - y.sum((0, 2, 3), keepdim=True) / size
    sd = (centred.square().sum((0, 2, 3)) / size + 1e-5).sqrt()
    (weight * norm(y, sd, gamma).tanh()).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(layer.gamma.grad, gamma.grad, rtol=1e-10, atol=1e-12)
    z = (1000 * x.detach()).requires_grad_()
    (weight * layer(z)).sum().backward()
    along = z.grad * z.detach()
    assert bool((along.sum((0, 2, 3)).abs() < 1e-9 * along.abs().sum((0, 2, 3))).all())


def test_normalisation_in_training_under_autocast_and_without_values():
    layer, x = BiasFreeNorm(2), images(3, 2) + 1
    whole = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x.bfloat16().requires_grad_())
        half.sum().backward()
    torch.testing.assert_close(half.float(), whole, rtol=0.05, atol=0.05)
    assert layer.to("meta")(x.to("meta")).shape == x.shape


def test_normalisation_in_use():
    """The running mean, which makes the layer linear; nothing is updated, and images do not mix."""
    layer = BiasFreeNorm(2).double()
    layer(images(3, 2, dtype=DOUBLE))
    layer.eval()
    kept = layer.running_sd.clone()
    x = images(3, 2, seed=5, dtype=DOUBLE)
    torch.testing.assert_close(layer(x), norm(x, kept, layer.gamma), rtol=1e-12, atol=0)
    torch.testing.assert_close(layer(2 * x - x.flip(0)), 2 * layer(x) - layer(x).flip(0), rtol=1e-12, atol=1e-15)
    assert torch.equal(layer(x[:1]), layer(x)[:1])
    assert torch.equal(layer.running_sd, kept)


def test_constant_channels_are_no_danger():
    layer = BiasFreeNorm(1)
    out = layer(torch.zeros(2, 1, 4, 4))
    assert torch.equal(out, torch.zeros(2, 1, 4, 4))
    out = layer(torch.ones(2, 1, 4, 4, requires_grad=True))
    assert bool(torch.isfinite(out).all())


@EVERY
def test_the_configuration_builds_the_network_again(build):
    network = build(3, seed=1)
    again = type(network)(**network.configuration, seed=1)
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_the_order_of_the_layers_is_that_of_the_paper():
    """The first convolution has no normalisation, the last neither that nor a ReLU, all others both."""

    def kinds(sequence):
        letters = {nn.Conv2d: "c", BiasFreeNorm: "n", nn.ReLU: "r"}
        return "".join(letters[type(module)] for module in sequence)

    assert kinds(BFCNN(2, 4).layers) == "cr" + 2 * "cnr" + "c"
    unet = UNet(2, 3)
    assert [kinds(block) for block in unet.encoder] == ["crcnr", "cnrcnr", "cnrcnr"]
    assert kinds(unet.middle) == "cnrcnr"
    assert [kinds(block) for block in unet.decoder] == ["cnrcnr", "cnrcnr", "cnrc"]
    widths = [m.out_channels for m in unet.modules() if isinstance(m, nn.Conv2d)]
    assert widths == [2, 2, 4, 4, 8, 8, 16, 16, 8, 8, 4, 4, 2, 1]


def test_sizes_a_unet_cannot_take_are_refused(unchecked):
    for network in (UNet(2, 3).eval(), UNet(2, 3)):
        with pytest.raises(
            ValueError,
            match=r"multiples of 2\^blocks = 8, got \(20, 31\); crop or pad the images, for example to \(16, 24\)",
        ):
            network(images(2, 1, 20, 31), 0.1)
    with pytest.raises(ValueError, match=r"got \(4, 8\).* for example to \(8, 8\)"):
        UNet(2, 3).eval()(images(2, 1, 4, 8), 0.1)
    assert BFCNN(2, 3).eval()(images(1, 1, 5, 31), 0.1).shape == (1, 1, 5, 31)


@EVERY
def test_wrong_channels_are_refused(build, unchecked):
    for network in (build().eval(), build()):
        with pytest.raises(
            ValueError, match=r"takes images of 1 channel\(s\), got shape \(2, 3, 16, 16\); .*image_channels"
        ):
            network(images(2, 3), 0.1)
    with pytest.raises(ValueError, match=r"takes images of 3 channel\(s\), got shape \(2, 1, 16, 16\)"):
        build(3).eval()(images(), 0.1)


@EVERY
def test_bad_images_are_refused(build, unchecked):
    network = build().eval()
    with pytest.raises(ValueError, match=r"y must have shape .* add the missing axes: x\[None, None\]"):
        network(images()[0, 0], 0.1)
    with pytest.raises(ValueError, match="y must be finite"):
        network(images() * torch.nan, 0.1)
    with pytest.raises(TypeError, match="8-bit images"):
        network((255 * images()).byte(), 0.1)
    with pytest.warns(UserWarning, match=r"sigma is 25, but no intensity .* is sigma in units of 0 to 255\?"):
        network(images(), 25.0)
    with pytest.raises(ValueError, match=r"\(batch,\) = \(2,\)"):
        network(images(), torch.full((3,), 0.1))


def test_bad_parameters_are_refused(unchecked):
    with pytest.raises(ValueError, match="channels must be at least 1, got 0"):
        UNet(channels=0)
    with pytest.raises(ValueError, match="blocks must be between 1 and 8, got 0"):
        UNet(blocks=0)
    with pytest.raises(ValueError, match="depth must be at least 2, got 1"):
        BFCNN(depth=1)
    with pytest.raises(TypeError, match="image_channels must be an integer, got str"):
        BFCNN(image_channels="3")
    with pytest.raises(ValueError, match="seed must be between 0 and 9223372036854775807, got -1"):
        UNet(2, 1, seed=-1)


def test_a_layer_of_its_own_draws_its_gammas_from_a_generator():
    """Not from the global one, which every test of this library watches."""
    a, b = BiasFreeNorm(1000), BiasFreeNorm(1000, torch.Generator().manual_seed(1))
    assert not torch.equal(a.gamma, b.gamma)
    assert torch.equal(a.gamma, BiasFreeNorm(1000).gamma)
    assert float(b.gamma.detach().std()) == pytest.approx(2 / 9 / 64, rel=4 / 2000**0.5)  # 4 standard errors
    assert float(b.gamma.detach().abs().max()) <= 0.025
