"""torch.save(f.state_dict()) of the library's own networks: the arguments follow from the tensors."""

import pytest
import torch
from safetensors.torch import save_file

import gahb_theory as gt
from gahb_theory.denoisers.checkpoints.files import NETWORKS
from gahb_theory.denoisers.checkpoints.own_states import SEEN, own_class

MADE = [
    gt.UNet(3, 1),
    gt.UNet(2, 3, 3),
    gt.denoisers.SmoothUNet(3, 1),
    gt.denoisers.SmoothUNet(2, 3, 3),
    gt.denoisers.SmoothConditionedUNet(3, 1),
    gt.denoisers.SmoothConditionedUNet(2, 2, 3),
    gt.BFCNN(4, 2),
    gt.BFCNN(3, 5, 3),
    gt.WindowedCNN(3, (3, 1, 3)),
    gt.WindowedCNN(3, (5, 3)),
    gt.WindowedCNN(3, (3, 3, 5, 1), 3, 1, "relu"),
    gt.DnCNN(3, 2),
    gt.DnCNN(4, 4, 3),
    gt.DnCNN(3, 4, normalised=False),
    gt.DnCNN(3, 7, normalised=False),
    gt.DnCNN(3, 4, output="clean", epsilon=1e-4),
    gt.DnCNN(3, 2, 2, output="clean"),
    gt.StagedCNN(3, 1, 1),
    gt.StagedCNN(3, 2, 3, bias=True),
    gt.ConditionedUNet(4, 1),
    gt.ConditionedUNet(16, 2, 3),
    gt.FullyConnected(4, 8, 2),
    gt.FullyConnected(3, 5, 4, 3),
    gt.LinearConvolution(5),
    gt.LinearConvolution(3, 3),
    gt.LinearDenoiser(4),
    gt.LinearDenoiser(3, 3),
    gt.LocallyConnected(4, 2, 2),
    gt.LocallyConnected(5, 3, 4, 5, 3),
    gt.Conservative(gt.UNet(3, 1)),
    gt.Conservative(gt.denoisers.SmoothUNet(3, 1)),
    gt.Conservative(gt.denoisers.SmoothConditionedUNet(3, 1)),
    gt.Conservative(gt.WindowedCNN(3, (3, 1, 3))),
    gt.DRUNet(2, 1),
    gt.DRUNet(2, 2, 3),
]
ASKED = [
    (gt.DilatedUNet(2), {"output": "clean"}),
    (gt.DilatedUNet(2, 3, bias=True, output="residual"), {"output": "residual"}),
    (gt.RecursiveCNN(3, 0, 3), {"stages": 3}),
    (gt.RecursiveCNN(3, 2, 2, bias=True), {"stages": 2}),
    (gt.DiT(8, 4, 8, 2, 2, 3), {"network": gt.DiT(8, 4, 8, 2, 2, 3, seed=9)}),
    (gt.DiT(8, 2, 8, 1, 4, image_channels=3), {"network": gt.DiT(8, 2, 8, 1, 4, image_channels=3, seed=9)}),
    (gt.Conservative(gt.DilatedUNet(2)), {"network": gt.Conservative(gt.DilatedUNet(2, seed=9))}),
    (gt.IRCNN(3), {"network": gt.IRCNN(3, seed=9)}),
    (gt.FFDNet(3, 3), {"output": "clean", "noise_map": "last"}),
    (gt.FFDNet(3, 4, 3, noise_map="first"), {"output": "clean", "noise_map": "first"}),
    (gt.FFDNet(3, 3, scale=1, output="residual"), {"output": "residual", "noise_map": "last"}),
    (gt.FFDNet(3, 3), {"network": gt.FFDNet(3, 3, seed=9)}),
]


def name(value):
    return f"{type(value).__name__}-{value.configuration}" if isinstance(value, torch.nn.Module) else ""


def stirred(f):
    """The network with numbers that no fresh one has."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for key, t in f.state_dict().items():
            if t.is_floating_point() and key != "convention":
                t.add_(0.05 * torch.rand(t.shape, generator=draw))
    return f.eval()


def pictures(f):
    channels = f.image_channels + getattr(f, "coarse_channels", 0)
    side = getattr(f, "size", 16)
    return torch.rand(2, channels, side, side, generator=torch.Generator().manual_seed(1))


def test_every_network_is_here():
    assert {type(f) for f in MADE} | {type(f) for f, _ in ASKED} == {*NETWORKS, gt.Conservative}


@pytest.mark.parametrize("f", MADE, ids=name)
def test_a_bare_state_loads_by_itself(f, tmp_path):
    stirred(f)
    state = f.state_dict()
    torch.save(state, tmp_path / "a.pt")
    torch.save({"model_state_dict": {"module." + k: v for k, v in state.items()}}, tmp_path / "b.ckpt")
    save_file({"_orig_mod.net." + k: v.contiguous() for k, v in state.items()}, tmp_path / "c.safetensors")
    y = pictures(f)
    sigma = torch.tensor([0.1, 0.3])
    for file in ("a.pt", "b.ckpt", "c.safetensors"):
        g = gt.load_denoiser(tmp_path / file)
        assert not g.training and g.configuration == f.configuration
        assert torch.equal(g(y, sigma), f(y, sigma))
    assert type(gt.load_denoiser(gt.save_denoiser(f, tmp_path / "own"))) is type(f)


@pytest.mark.parametrize(("f", "answer"), ASKED, ids=name)
def test_what_tensors_do_not_show_is_asked_for(f, answer, tmp_path):
    stirred(f)
    torch.save(f.state_dict(), tmp_path / "m.pt")
    with pytest.raises(ValueError, match=r"load_denoiser\(\.\.\., ") as refusal:
        gt.load_denoiser(tmp_path / "m.pt")
    text = str(refusal.value).replace(str(tmp_path), "")
    assert len(text) < 400 and all(key + "=" in text for key in answer if key != "network")
    g = gt.load_denoiser(tmp_path / "m.pt", **answer)
    assert type(g) is type(f) and g.configuration == f.configuration
    with torch.no_grad():  # products of matrices are rounded otherwise where the weights can be trained
        torch.testing.assert_close(g(pictures(f), 0.2), f(pictures(f), 0.2), rtol=0, atol=1e-6)


def test_a_network_given_keeps_its_weights(tmp_path):
    f, given = stirred(gt.DiT(8, 4, 8, 2, 2)), gt.DiT(8, 4, 8, 2, 2, seed=5)
    before = {k: v.clone() for k, v in given.state_dict().items()}
    torch.save({"state_dict": {"model." + k: v for k, v in f.state_dict().items()}}, tmp_path / "m.ckpt")
    g = gt.load_denoiser(tmp_path / "m.ckpt", network=given)
    assert g is not given and given.training and not g.training
    assert all(torch.equal(v, given.state_dict()[k]) for k, v in before.items())
    with pytest.raises(ValueError, match=r"looks like the DiT given as network, but its tensors do not fit"):
        gt.load_denoiser(tmp_path / "m.ckpt", network=gt.DiT(8, 4, 16, 2, 2))


def test_half_precision_becomes_float32(tmp_path):
    f = stirred(gt.DnCNN(3, 4, output="clean", epsilon=1e-4)).half()
    torch.save(f.state_dict(), tmp_path / "m.pt")
    for g in (gt.load_denoiser(tmp_path / "m.pt"), gt.load_denoiser(gt.save_denoiser(f, tmp_path / "own"))):
        assert {p.dtype for p in g.parameters()} == {torch.float32}
        assert (g.output, g.epsilon) == ("clean", 1e-4)
        assert all(torch.equal(p, q.float()) for p, q in zip(g.parameters(), f.parameters(), strict=True))


def test_each_class_reads_its_own_arguments():
    for f in MADE:
        if type(f) in SEEN:
            found = SEEN[type(f)](f.state_dict())
            assert {k: f.configuration[k] for k in found} == found
            assert own_class(f.state_dict()) is type(f)
