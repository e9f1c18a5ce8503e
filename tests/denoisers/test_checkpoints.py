"""Saved denoisers: they come back bit for bit, and a file that is none is refused by name."""

import errno
import json
import os
import random

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import gahb_theory as gt
from gahb_theory.denoisers import BFCNN, GaussianDenoiser, UNet, load_denoiser, save_denoiser
from gahb_theory.pretrained import shipped_denoiser

NETWORKS = {"unet": lambda c=1: UNet(2, 1, c, seed=5), "bfcnn": lambda c=1: BFCNN(3, 4, c, seed=5)}
EVERY = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS.keys())


def used(network, channels=1):
    """A network whose running statistics are not those of the start."""
    y = torch.rand(
        2, channels, 8, 8, generator=torch.Generator().manual_seed(0), dtype=next(network.parameters()).dtype
    )
    network(y, 0.1)
    return network


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(
        left[k].dtype == right[k].dtype and torch.equal(left[k], right[k]) for k in left
    )


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saved_and_loaded_bit_for_bit(build, channels, dtype, tmp_path):
    f = used(build(channels).to(dtype), channels)
    assert f.training
    folder = save_denoiser(f, tmp_path / "deep" / "denoiser")
    assert folder == tmp_path / "deep" / "denoiser"
    assert names(folder) == ["README.md", "config.json", "model.safetensors"]
    g = load_denoiser(str(folder))
    assert type(g) is type(f)
    assert g.configuration == f.configuration
    assert same(f, g)
    assert not any(module.training for module in g.modules())
    y = torch.rand(2, channels, 8, 8, generator=torch.Generator().manual_seed(1), dtype=dtype)
    assert torch.equal(g(y, 0.1), f.eval()(y, 0.1))


@EVERY
def test_one_file_is_a_checkpoint_too(build, tmp_path):
    f = used(build())
    save_denoiser(f, tmp_path / "a", {"note": "kept in the header"})
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((tmp_path / "a" / "model.safetensors").read_bytes())
    assert same(load_denoiser(alone), f)
    (tmp_path / "a" / "config.json").unlink()
    assert same(load_denoiser(tmp_path / "a"), f)


def test_the_run_directory_of_a_training_is_one(tmp_path):
    f = used(UNet(2, 1))
    save_denoiser(f, tmp_path / "denoiser")
    assert same(load_denoiser(tmp_path), f)


def test_the_configuration_beside_it(tmp_path):
    save_denoiser(BFCNN(3, 4, 3), tmp_path, {"psnr": {"0.1": 28.5}, "data": "photographs"})
    config = json.loads((tmp_path / "config.json").read_text())
    assert config == {
        "network": "BFCNN",
        "arguments": {"channels": 3, "depth": 4, "image_channels": 3},
        "card": {"psnr": {"0.1": 28.5}, "data": "photographs"},
    }


def test_a_denoiser_is_replaced_by_the_next(tmp_path):
    save_denoiser(used(UNet(2, 1, seed=1)), tmp_path)
    f = used(BFCNN(3, 4, seed=2))
    save_denoiser(f, tmp_path)
    assert same(load_denoiser(tmp_path), f)
    assert names(tmp_path) == ["README.md", "config.json", "model.safetensors"]


def test_a_full_disk_leaves_the_denoiser_before(tmp_path, monkeypatch):
    f = used(UNet(2, 1, seed=1))
    save_denoiser(f, tmp_path)

    def fsync(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=r"the disk is full: .*model.safetensors"):
        save_denoiser(used(UNet(2, 1, seed=2)), tmp_path)
    assert names(tmp_path) == ["README.md", "config.json", "model.safetensors"]
    assert same(load_denoiser(tmp_path), f)


def test_only_networks_are_saved(tmp_path, unchecked):
    gaussian = GaussianDenoiser(torch.zeros(1, 1, 2, 2), torch.eye(4))
    with pytest.raises(TypeError, match=r"f must be one of UNet, BFCNN, .*, got GaussianDenoiser"):
        save_denoiser(gaussian, tmp_path)
    assert names(tmp_path) == []


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nowhere; give a folder with model.safetensors"):
        load_denoiser(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"the folder .* holds no model.safetensors; it is not a saved denoiser"
    ):
        load_denoiser(tmp_path)
    (tmp_path / ".model.safetensors.123.partial").write_bytes(b"half")  # what a power cut may leave
    with pytest.raises(FileNotFoundError, match=r"holds no model.safetensors"):
        load_denoiser(tmp_path)


def test_foreign_files_are_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "foreign.safetensors")
    with pytest.raises(ValueError, match=r"foreign.safetensors fits no published dialect this library knows"):
        load_denoiser(tmp_path / "foreign.safetensors")
    save_file({"weight": torch.zeros(3)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="fits no published dialect"):
        load_denoiser(tmp_path / "other.safetensors")
    torch.save({"weight": torch.zeros(3)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model.pt fits no published dialect"):
        load_denoiser(tmp_path / "model.pt")


@pytest.mark.parametrize(
    "config",
    [
        {"network": "ResNet", "arguments": {}},
        {"network": "UNet", "arguments": {"channels": 2, "blocks": 2}},
        {"network": "UNet", "arguments": {"channels": 3, "blocks": 1}},
        {"network": "BFCNN", "arguments": {"channels": 2}},
        {"network": "UNet", "arguments": {"channels": 0}},
        {"network": "UNet", "arguments": {"widths": 2}},
        {"network": "UNet"},
        {"arguments": {}},
        ["UNet"],
        "UNet",
        None,
    ],
    ids=repr,
)
def test_files_that_fit_no_network_are_refused(config, tmp_path):
    """Another name, other arguments, other shapes: named, and never half loaded."""
    save_denoiser(UNet(2, 1), tmp_path)
    file = tmp_path / "model.safetensors"
    save_file(load_file(file), file, metadata={"config": json.dumps(config)})
    with pytest.raises(
        ValueError, match=r"model.safetensors does not fit a network of this library \(UNet, BFCNN, .*\): "
    ):
        load_denoiser(tmp_path)


def test_a_header_that_is_no_json_is_refused(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "a.safetensors", metadata={"config": "{"})
    with pytest.raises(ValueError, match=r"a.safetensors does not fit"):
        load_denoiser(tmp_path / "a.safetensors")


def test_weights_that_are_missing_or_too_many_are_refused(tmp_path):
    save_denoiser(UNet(2, 1), tmp_path)
    file = tmp_path / "model.safetensors"
    tensors, config = load_file(file), json.loads((tmp_path / "config.json").read_text())
    for changed in (
        {name: t for name, t in tensors.items() if "gamma" not in name},
        tensors | {"extra": torch.zeros(1)},
        {},
    ):
        save_file(changed, file, metadata={"config": json.dumps(config)})
        with pytest.raises(ValueError, match="does not fit a network of this library"):
            load_denoiser(tmp_path)


def test_damaged_files_are_refused(tmp_path):
    """Cut anywhere, empty, text, or with bytes of the header changed: named, never loaded as something else."""
    save_denoiser(UNet(1, 1), tmp_path)
    file = tmp_path / "model.safetensors"
    good = file.read_bytes()
    draw = random.Random(0)
    damaged = [good[:cut] for cut in range(0, len(good), len(good) // 25)] + [b"text", good + b"more"]
    for content in damaged:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"model.safetensors is damaged or neither a safetensors nor a torch file"):
            load_denoiser(tmp_path)
    header = 8 + int.from_bytes(good[:8], "little")
    for _ in range(60):
        content = bytearray(good)
        content[draw.randrange(header)] ^= draw.randrange(1, 256)
        file.write_bytes(content)
        try:
            load_denoiser(tmp_path)
        except ValueError as error:
            assert "model.safetensors" in str(error)


def test_a_loaded_denoiser_builds_no_graph_unless_the_image_asks_for_one(tmp_path):
    """`f(y, sigma).numpy()` works; derivatives by y are those of the saved network, and train trains a copy of it whole."""
    f = gt.UNet(channels=4, blocks=1).eval()
    gt.save_denoiser(f, tmp_path)
    g = gt.load_denoiser(tmp_path)
    y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert np.array_equal(g(y, 0.1).numpy(), f(y, 0.1).detach().numpy())
    assert torch.equal(gt.jacobian(g, y, 0.1).matrix(), gt.jacobian(f, y, 0.1).matrix())
    by_y = [torch.autograd.grad(h(x, 0.1).square().sum(), x)[0] for h in (f, g) for x in [y.clone().requires_grad_()]]
    assert torch.equal(*by_y)
    trained = [
        gt.train(h, gt.Disks(size=16), images_seen=8, batch_size=4) for h in (f, g)
    ]  # no warning of frozen weights
    assert all(torch.equal(a, b) for a, b in zip(*(h.state_dict().values() for h in trained), strict=True))
    assert not torch.equal(trained[0].encoder[0][0].weight, f.encoder[0][0].weight)
    assert not any(p.requires_grad for p in g.parameters())


def test_a_shipped_denoiser_returns_images_that_numpy_takes():
    f = shipped_denoiser("c_alpha")
    y = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    assert f(y, 0.1).numpy().shape == (2, 1, 16, 16)
    assert f(y.requires_grad_(), 0.1).requires_grad
