"""Adapted networks are saved with their convention, and resume."""

import json

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory.denoisers import Adapted
from gahb_theory.denoisers.checkpoints.adapted import LAYERS, described


@pytest.fixture(autouse=True)
def _own_generator():
    """The layers of torch draw from the global generator; it is put back."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class Mine(nn.Module):
    def __init__(self, width=3):
        super().__init__()
        self.enter, self.leave = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, 1, 1)

    def forward(self, u):
        return self.leave(torch.tanh(self.enter(u)))


def layered():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(4, eps=1e-3),
        nn.LeakyReLU(0.2),
        nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 4, (3, 5), padding="same", bias=False), nn.GELU("tanh")),
        nn.PReLU(),
        nn.ConvTranspose2d(4, 4, 2, stride=2),
        nn.GroupNorm(2, 4),
        nn.Softplus(beta=2),
        nn.Conv2d(4, 1, 3, padding=1),
    )


def picture():
    return torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(7))


@pytest.mark.parametrize(
    ("net", "convention"),
    [
        (nn.Conv2d(1, 1, 3, padding=1), None),
        (layered(), gt.Convention("residual", "none", -1.0, 1.0)),
        (nn.Conv2d(2, 1, 3, padding=1), gt.Convention("noise", "map", 0, 255)),
        (gt.UNet(2, 1), gt.Convention("clean", "sigma", 0, 255)),
        (gt.FFDNet(2, 3), gt.Convention("score", "sigma", -1, 1)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_saved_and_loaded(net, convention, tmp_path):
    f = gt.adapt(net.eval(), convention).eval()
    for place in (tmp_path / "folder", tmp_path / "m.safetensors"):
        before = torch.get_rng_state()
        g = gt.load_denoiser(gt.save_denoiser(f, place))
        assert torch.equal(before, torch.get_rng_state())
        assert type(g) is Adapted and g.convention == f.convention and not g.training
        assert torch.equal(g(picture(), 0.1), f(picture(), 0.1))
    config = json.loads((tmp_path / "folder" / "config.json").read_text())
    assert config["network"] == "Adapted" and config["arguments"] == described(f)


def test_a_network_of_the_user_is_given_to_load(tmp_path):
    f = gt.adapt(Mine().eval(), gt.Convention("residual"))
    gt.save_denoiser(f, tmp_path / "own")
    with pytest.raises(ValueError, match=r"weights of an adapted Mine.*network=gt\.adapt\(net, convention\)"):
        gt.load_denoiser(tmp_path / "own")
    like = gt.adapt(Mine().eval(), gt.Convention("residual"))
    g = gt.load_denoiser(tmp_path / "own", network=like)
    assert torch.equal(g(picture(), 0.1), f(picture(), 0.1))
    torch.save(f.net.state_dict(), tmp_path / "inner.pt")
    torch.save(f.state_dict(), tmp_path / "outer.pt")
    for name in ("inner.pt", "outer.pt"):
        assert torch.equal(gt.load_denoiser(tmp_path / name, network=like)(picture(), 0.1), f(picture(), 0.1))
    with pytest.raises(ValueError, match="another convention"):
        gt.load_denoiser(tmp_path / "own", network=gt.adapt(Mine().eval(), gt.Convention("clean")))
    with pytest.raises(ValueError, match="do not fit"):
        gt.load_denoiser(tmp_path / "own", network=gt.adapt(Mine(5).eval(), gt.Convention("residual")))


def test_functions_have_no_weights(tmp_path):
    with pytest.raises(TypeError, match="must have weights to be saved, got an adapted function"):
        gt.save_denoiser(gt.adapt(lambda y: y), tmp_path)


def test_a_subclass_of_a_layer_is_not_taken_for_it():
    class Conv2d(nn.Conv2d):
        def forward(self, x):
            return 2 * super().forward(x)

    hooked = nn.Conv2d(1, 1, 1)
    hooked.register_forward_hook(lambda module, inputs, out: 2 * out)
    normed = torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 1))
    for net in (Conv2d(1, 1, 1), hooked, normed, nn.Sequential(Conv2d(1, 1, 1))):
        assert set(described(gt.adapt(net))["net"]) == {"module"}


def test_every_layer_is_made_of_its_attributes():
    import inspect

    for name, arguments in LAYERS.items():
        known = inspect.signature(getattr(nn, name)).parameters
        assert set(arguments) <= set(known)


@pytest.mark.parametrize(
    "net",
    [
        {"Linear": {"in_features": 10**9, "out_features": 10**9, "bias": False}},
        {"eval": {"source": "1"}},
        {"Module": {}},
        {"ReLU": {"inplace": False, "extra": 1}},
        {"Sequential": {"a.b": {"Tanh": {}}}},
        {"network": "UNet", "arguments": {"channels": 10**5}},
        {"network": "os.system", "arguments": {}},
        {},
        None,
    ],
    ids=str,
)
def test_damaged_descriptions_are_refused(net, tmp_path):
    from safetensors.torch import save_file

    arguments = {"convention": {}, "net": net}
    save_file({"net.weight": torch.zeros(1, 1, 1, 1)}, tmp_path / "m.safetensors", metadata={
        "config": json.dumps({"network": "Adapted", "arguments": arguments})
    })  # fmt: skip
    with pytest.raises(ValueError, match=r"m\.safetensors does not fit a network of this library") as refusal:
        gt.load_denoiser(tmp_path / "m.safetensors")
    assert len(str(refusal.value).replace(str(tmp_path), "")) < 450


def test_a_trained_adapted_network_is_in_its_run(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 1, 3, padding=1))
    f = gt.adapt(net, gt.Convention("residual", high=255.0))
    budget = {"images_seen": 64, "batch_size": 16, "run": tmp_path / "r"}
    g = gt.train(f, gt.Disks(size=16), **budget)
    h = gt.load_denoiser(tmp_path / "r")
    assert h.convention == f.convention
    torch.testing.assert_close(h(picture(), 0.1), g(picture(), 0.1))  # memory formats differ
    again = gt.train(f, gt.Disks(size=16), **budget)
    assert torch.equal(again(picture(), 0.1), g(picture(), 0.1))
