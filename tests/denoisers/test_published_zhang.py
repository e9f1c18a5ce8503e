"""The networks of Zhang et al. under the names of KAIR, against forward passes that are written here once more."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gahb_theory as gt


def sequence(channels, depth, inputs, outputs, dilations=None, norms=False, bias=True):
    layers = []
    for i in range(depth):
        a, b = inputs if i == 0 else channels, outputs if i == depth - 1 else channels
        d = dilations[i] if dilations else 1
        layers.append(nn.Conv2d(a, b, 3, padding=d, dilation=d, bias=bias))
        if norms and 0 < i < depth - 1:
            norm = nn.BatchNorm2d(channels, eps=norms)
            norm.running_var.uniform_(2e-4, 2e-3)
            norm.running_mean.normal_(0, 0.01)
            norm.weight.data.uniform_(0.01, 0.05)
            layers.append(norm)
        if i < depth - 1:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers).eval()


class KairFFDNet(nn.Module):
    """As KAIR's network_ffdnet: pad to even sides, unshuffle, append the map, shuffle, crop."""

    def __init__(self, image_channels, channels, depth):
        super().__init__()
        self.model = sequence(channels, depth, 4 * image_channels + 1, 4 * image_channels)

    def forward(self, x, sigma):
        h, w = x.shape[-2:]
        x = F.pad(x, (0, -w % 2, 0, -h % 2), mode="replicate")
        x = F.pixel_unshuffle(x, 2)
        x = torch.cat((x, sigma.repeat(1, 1, x.shape[-2], x.shape[-1])), 1)
        return F.pixel_shuffle(self.model(x), 2)[..., :h, :w]


@pytest.fixture(autouse=True)
def _own_generator():
    """The layers of torch draw from the global generator; it is put back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class ResBlock(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.res = nn.Sequential(nn.Conv2d(c, c, 3, 1, 1, bias=False), nn.ReLU(), nn.Conv2d(c, c, 3, 1, 1, bias=False))

    def forward(self, x):
        return x + self.res(x)


class KairUNetRes(nn.Module):
    """As KAIR's network_unet.UNetRes, with strided and transposed convolutions."""

    def __init__(self, inputs, outputs, nc, nb):
        super().__init__()

        def blocks(c):
            return [ResBlock(c) for _ in range(nb)]

        self.m_head = nn.Conv2d(inputs, nc[0], 3, 1, 1, bias=False)
        self.m_down1 = nn.Sequential(*blocks(nc[0]), nn.Conv2d(nc[0], nc[1], 2, 2, bias=False))
        self.m_down2 = nn.Sequential(*blocks(nc[1]), nn.Conv2d(nc[1], nc[2], 2, 2, bias=False))
        self.m_down3 = nn.Sequential(*blocks(nc[2]), nn.Conv2d(nc[2], nc[3], 2, 2, bias=False))
        self.m_body = nn.Sequential(*blocks(nc[3]))
        self.m_up3 = nn.Sequential(nn.ConvTranspose2d(nc[3], nc[2], 2, 2, bias=False), *blocks(nc[2]))
        self.m_up2 = nn.Sequential(nn.ConvTranspose2d(nc[2], nc[1], 2, 2, bias=False), *blocks(nc[1]))
        self.m_up1 = nn.Sequential(nn.ConvTranspose2d(nc[1], nc[0], 2, 2, bias=False), *blocks(nc[0]))
        self.m_tail = nn.Conv2d(nc[0], outputs, 3, 1, 1, bias=False)

    def forward(self, x0):
        x1 = self.m_head(x0)
        x2 = self.m_down1(x1)
        x3 = self.m_down2(x2)
        x4 = self.m_down3(x3)
        x = self.m_up3(self.m_body(x4) + x4)
        x = self.m_up1(self.m_up2(x + x3) + x2)
        return self.m_tail(x + x1)


def noisy(channels=1, height=12, width=16):
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(7))


SIGMA = torch.tensor([0.1, 0.3])


def assert_same(f, y, expected, sigma=SIGMA):
    with torch.no_grad():
        torch.testing.assert_close(f(y, sigma), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prefix", ["model.", "dncnn.", "module.model.", ""])
@pytest.mark.parametrize("output", ["residual", "clean"])
def test_merged_dncnn(tmp_path, prefix, output):
    net, y = sequence(4, 6, 1, 1), noisy()
    torch.save({prefix + k: v for k, v in net.state_dict().items()}, tmp_path / "m.pth")
    with pytest.raises(ValueError, match=r'output="residual" or output="clean"') as refusal:
        gt.load_denoiser(tmp_path / "m.pth")
    assert len(str(refusal.value).replace(str(tmp_path), "")) < 400 and "gt.adapt" in str(refusal.value)
    f = gt.load_denoiser(tmp_path / "m.pth", output=output)
    assert (f.depth, f.normalised, f.output) == (6, False, output)
    with torch.no_grad():
        assert_same(f, y, net(y) if output == "clean" else y - net(y))


@pytest.mark.parametrize("epsilon", [1e-5, 1e-4, 1e-3])
@pytest.mark.parametrize("image_channels", [1, 3])
def test_epsilon_of_the_batch_norms_is_asked_for(tmp_path, epsilon, image_channels):
    net, y = sequence(4, 5, image_channels, image_channels, norms=epsilon), noisy(image_channels)
    torch.save({"model." + k: v for k, v in net.state_dict().items()}, tmp_path / "500_G.pth")
    with pytest.raises(ValueError, match=r"epsilon=1e-5\), torch's default, or epsilon=1e-4, as KAIR trains"):
        gt.load_denoiser(tmp_path / "500_G.pth", output="residual")
    f = gt.load_denoiser(tmp_path / "500_G.pth", output="residual", epsilon=epsilon)
    with torch.no_grad():
        assert_same(f, y, y - net(y))
    again = gt.load_denoiser(gt.save_denoiser(f, tmp_path / "ours"))
    assert torch.equal(again(y, 0.1), f(y, 0.1))


def test_sequences_without_biases(tmp_path):
    net, y = sequence(4, 4, 1, 1, norms=1e-5, bias=False), noisy()
    torch.save({"dncnn." + k: v for k, v in net.state_dict().items()}, tmp_path / "m.pth")
    f = gt.load_denoiser(tmp_path / "m.pth", output="residual", epsilon=1e-5)
    with torch.no_grad():
        assert_same(f, y, y - net(y))


@pytest.mark.parametrize("output", ["residual", "clean"])
def test_what_denoises_shows_its_output(tmp_path, output):
    """A moving average, as layers that return the average or y minus it."""
    delta = torch.zeros(3, 3)
    delta[1, 1] = 1
    kernel = torch.ones(3, 3) / 9 if output == "clean" else delta - 1 / 9
    net = sequence(2, 3, 1, 1)
    for p in net.parameters():
        p.data.zero_()
    net[0].weight.data[:, 0] = torch.stack([delta, -delta])
    net[2].weight.data[0, 0], net[2].weight.data[0, 1] = kernel, -kernel
    net[2].weight.data[1] = -net[2].weight.data[0]
    net[4].weight.data[0] = torch.stack([delta, -delta])
    torch.save({"model." + k: v for k, v in net.state_dict().items()}, tmp_path / "m.pth")
    f = gt.load_denoiser(tmp_path / "m.pth")
    assert f.output == output
    torch.testing.assert_close(f(noisy(), 0.1), F.avg_pool2d(noisy(), 3, 1, 1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("image_channels", [1, 3])
def test_ircnn_is_no_dncnn(tmp_path, image_channels):
    net = sequence(4, 7, image_channels, image_channels, dilations=(1, 2, 3, 4, 3, 2, 1))
    y = noisy(image_channels)
    state = {"model." + k: v for k, v in net.state_dict().items()}
    torch.save(state, tmp_path / "m.pth")
    with pytest.raises(ValueError, match=rf"network=gt\.IRCNN\(4, {image_channels}\)"):
        gt.load_denoiser(tmp_path / "m.pth")
    f = gt.load_denoiser(tmp_path / "m.pth", network=gt.IRCNN(4, image_channels))
    with torch.no_grad():
        assert_same(f, y, y - net(y))
    torch.save(
        {"0": state, "1": {k: 2 * v for k, v in state.items()}}, tmp_path / "ircnn_gray.pth"
    )  # one for each level
    with pytest.raises(ValueError, match=r"entry='0' or entry='1'"):
        gt.load_denoiser(tmp_path / "ircnn_gray.pth")
    f = gt.load_denoiser(tmp_path / "ircnn_gray.pth", network=gt.IRCNN(4, image_channels), entry="0")
    with torch.no_grad():
        assert_same(f, y, y - net(y))


@pytest.mark.parametrize(("image_channels", "height", "width"), [(1, 12, 16), (3, 12, 8), (1, 11, 9), (3, 7, 10)])
def test_ffdnet(tmp_path, image_channels, height, width):
    net, y = KairFFDNet(image_channels, 6, 4).eval(), noisy(image_channels, height, width)
    torch.save(net.state_dict(), tmp_path / "ffdnet.pth")
    with pytest.raises(ValueError, match=r'output="clean", noise_map="last" or .*noise_map="first"') as refusal:
        gt.load_denoiser(tmp_path / "ffdnet.pth")
    assert len(str(refusal.value).replace(str(tmp_path), "")) < 450
    f = gt.load_denoiser(tmp_path / "ffdnet.pth", output="clean", noise_map="last")
    with torch.no_grad():
        assert_same(f, y, net(y, SIGMA[:, None, None, None]))
        assert_same(f, y, net(y, torch.full((2, 1, 1, 1), 0.2)), 0.2)


class IpolFFDNet(nn.Module):
    """As the FFDNet of IPOL: a map for each channel, then the quarters of each channel; the residual; batch norms."""

    def __init__(self, image_channels, channels, depth):
        super().__init__()
        self.image_channels = image_channels
        layers = [nn.Conv2d(5 * image_channels, channels, 3, padding=1, bias=False), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            inner = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            layers += [inner, nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        layers.append(nn.Conv2d(channels, 4 * image_channels, 3, padding=1, bias=False))
        self.intermediate_dncnn = nn.Module()
        self.intermediate_dncnn.itermediate_dncnn = nn.Sequential(*layers)
        generator = torch.Generator().manual_seed(1)
        for norm in (m for m in self.modules() if isinstance(m, nn.BatchNorm2d)):
            for t in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                t.copy_(0.2 + torch.rand(t.shape, generator=generator))

    def forward(self, x, sigma):
        n, c, h, w = x.shape
        quarters = [x[:, k : k + 1, i::2, j::2] for k in range(c) for i in (0, 1) for j in (0, 1)]
        maps = sigma.view(n, 1, 1, 1).repeat(1, c, h // 2, w // 2)
        out = self.intermediate_dncnn.itermediate_dncnn(torch.cat([maps, *quarters], 1))
        noise = torch.empty_like(x)
        for place, (k, i, j) in enumerate((k, i, j) for k in range(c) for i in (0, 1) for j in (0, 1)):
            noise[:, k, i::2, j::2] = out[:, place]
        return x - noise


@pytest.mark.parametrize("image_channels", [1, 3])
def test_ffdnet_of_ipol(tmp_path, image_channels):
    net, y = IpolFFDNet(image_channels, 6, 5).eval(), noisy(image_channels, 12, 16)
    torch.save({"module." + k: v for k, v in net.state_dict().items()}, tmp_path / "net.pth")
    f = gt.load_denoiser(tmp_path / "net.pth")
    with torch.no_grad():
        assert_same(f, y, net(y, SIGMA))
        assert_same(f, y, net(y, torch.full((2,), 0.2)), 0.2)
        odd = y[
            ..., :11, :15
        ]  # the program of IPOL appends the last row and column again, and cuts them off the result
        even = torch.cat([odd, odd[..., -1:, :]], dim=-2)
        even = torch.cat([even, even[..., -1:]], dim=-1)
        assert_same(f, odd, net(even, SIGMA)[..., :11, :15])


@pytest.mark.parametrize("image_channels", [1, 3])
def test_fdncnn(tmp_path, image_channels):
    net, y = sequence(4, 4, image_channels + 1, image_channels), noisy(image_channels)
    torch.save({"model." + k: v for k, v in net.state_dict().items()}, tmp_path / "m.pth")
    f = gt.load_denoiser(tmp_path / "m.pth", output="clean", noise_map="last")
    level = SIGMA[:, None, None, None].expand(-1, 1, *y.shape[2:])
    with torch.no_grad():
        assert_same(f, y, net(torch.cat([y, level], 1)))


@pytest.mark.parametrize("image_channels", [1, 3])
def test_drunet(tmp_path, image_channels):
    net, y = KairUNetRes(image_channels + 1, image_channels, (2, 4, 8, 16), 2).eval(), noisy(image_channels, 16, 24)
    torch.save(net.state_dict(), tmp_path / "drunet.pth")
    f = gt.load_denoiser(tmp_path / "drunet.pth")
    assert f.configuration == {"channels": 2, "blocks": 2, "image_channels": image_channels}
    level = SIGMA[:, None, None, None].expand(-1, 1, *y.shape[2:])
    with torch.no_grad():
        assert_same(f, y, net(torch.cat([y, level], 1)))
        torch.testing.assert_close(f(3 * y, 3 * SIGMA), 3 * f(y, SIGMA), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="multiples of 8"):
        f(y[..., :12], 0.1)


def test_published_sizes():
    """KAIR's numbers of parameters."""
    counted = {
        gt.FFDNet(): 485_316,
        gt.FFDNet(96, 12, 3): 852_108,
        gt.IRCNN(): 185_857,
        gt.DnCNN(64, 17, normalised=False): 555_137,
        gt.DRUNet(): 32_638_656,
    }
    assert all(sum(p.numel() for p in f.parameters()) == n for f, n in counted.items())


def test_other_sequences_are_refused_in_a_sentence(tmp_path):
    for net in (
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 1, 3)),
        sequence(4, 3, 1, 3),
        sequence(4, 3, 4, 3, norms=1e-5),
    ):
        torch.save({"model." + k: v for k, v in net.state_dict().items()}, tmp_path / "m.pth")
        with pytest.raises(ValueError, match=r"m\.pth .*gt\.adapt") as refusal:
            gt.load_denoiser(tmp_path / "m.pth")
        assert len(str(refusal.value).replace(str(tmp_path), "")) < 400
