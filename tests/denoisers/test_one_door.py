"""Every format gives the same network, and refuses the same files, in one short sentence."""

import json
import os
import pickle
import resource
import warnings
import zipfile

import pytest
import torch
from safetensors.torch import save, save_file

import gahb_theory as gt

F = gt.BFCNN(4, 3, seed=1).eval()
PUBLISHED = {
    "conv_layers.0.weight": F.layers[0].weight,
    "conv_layers.1.weight": F.layers[2].weight,
    "conv_layers.2.weight": F.layers[5].weight,
    "BN_layers.0.gammas": F.layers[3].gamma,
    "BN_layers.0.running_sd": F.layers[3].running_sd,
}
PUBLISHED = {name: t.detach().clone() for name, t in PUBLISHED.items()}
OWN = {name: t.detach().clone() for name, t in F.state_dict().items()}
PREFIXES = [
    "",
    "module.",
    "_orig_mod.",
    "model.",
    "module._orig_mod.net.",
    "_orig_mod.module.denoiser.network.",
    "a.b.c.d.",
]
WRITERS = {
    "zip": (".pt", torch.save),
    "legacy": (".pth", lambda state, file: torch.save(state, file, _use_new_zipfile_serialization=False)),
    "lightning": (".ckpt", lambda state, file: torch.save({"state_dict": state, "epoch": 3, "callbacks": {}}, file)),
    "safetensors": (".safetensors", save_file),
}
EVERY = pytest.mark.parametrize(("suffix", "write"), WRITERS.values(), ids=WRITERS.keys())


def picture():
    return torch.rand(2, 1, 12, 16, generator=torch.Generator().manual_seed(7))


def refused(path, match, **choices):
    with pytest.raises(ValueError, match=match) as refusal:
        gt.load_denoiser(path, **choices)
    text = str(refusal.value).replace(str(path.parent), "")
    assert len(text) < 400 and path.name in text, text
    return text


@EVERY
@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize(("state", "choices"), [(PUBLISHED, {"first": "relu"}), (OWN, {})], ids=["published", "own"])
def test_every_prefix_in_every_format(tmp_path, suffix, write, prefix, state, choices):
    file = tmp_path / f"m{suffix}"
    write({prefix + name: t for name, t in state.items()}, file)
    f = gt.load_denoiser(file, **choices)
    assert type(f) is gt.BFCNN and torch.equal(f(picture(), 0.1), F(picture(), 0.1))


@EVERY
def test_averages_of_averages(tmp_path, suffix, write):
    file = tmp_path / f"m{suffix}"
    nested = {"n_averaged": torch.tensor(7), "module.n_averaged": torch.tensor(3)}
    write(nested | {"module.module." + name: t for name, t in OWN.items()}, file)
    assert torch.equal(gt.load_denoiser(file)(picture(), 0.1), F(picture(), 0.1))
    write({"n_averaged": torch.tensor(0)} | {"module." + name: t for name, t in OWN.items()}, file)
    refused(file, "averaged nothing yet")


def test_a_real_averaged_model(tmp_path):
    average = torch.optim.swa_utils.AveragedModel(F)
    average.update_parameters(F)
    torch.save(average.state_dict(), tmp_path / "m.pt")
    assert torch.equal(gt.load_denoiser(tmp_path / "m.pt")(picture(), 0.1), F(picture(), 0.1))


def test_which_weights_are_meant_must_be_said(tmp_path):
    """Averaged and raw ones: under keys at any depth, under prefixes of one state, and without names."""
    double = {name: 2 * t for name, t in OWN.items()}
    files = {
        "keys": {"model": OWN, "ema": double, "optimizer": {"state": {0: {"exp_avg": torch.ones(2, 2)}}}},
        "nested": {"model": {"state_dict": OWN}, "ema": {"shadow": {"module." + n: t for n, t in double.items()}}},
        "flat": {"model." + n: t for n, t in OWN.items()} | {"ema." + n: t for n, t in double.items()},
    }
    twice = gt.BFCNN(4, 3).eval()
    twice.load_state_dict(double)
    for name, content in files.items():
        file = tmp_path / f"{name}.pt"
        torch.save(content, file)
        refused(file, r"entry='?\"?model")
        assert torch.equal(gt.load_denoiser(file, entry="model")(picture(), 0.1), F(picture(), 0.1))
        assert torch.equal(gt.load_denoiser(file, entry="ema")(picture(), 0.1), twice(picture(), 0.1))
    save_file(files["flat"], tmp_path / "flat.safetensors")
    refused(tmp_path / "flat.safetensors", r"parts side by side.*entry='(ema|model)' or entry=")
    assert torch.equal(
        gt.load_denoiser(tmp_path / "flat.safetensors", entry="ema")(picture(), 0.1), twice(picture(), 0.1)
    )
    torch.save({"model": OWN, "ema": {"decay": 0.9, "shadow_params": list(OWN.values())}}, tmp_path / "list.pt")
    refused(tmp_path / "list.pt", r"entry='model'")
    assert torch.equal(gt.load_denoiser(tmp_path / "list.pt", entry="model")(picture(), 0.1), F(picture(), 0.1))


def damaged(kind):
    w = PUBLISHED["conv_layers.1.weight"].clone()
    bad = {
        "nan": w * torch.nan,
        "one infinity": w.index_fill(0, torch.tensor([1]), torch.inf),
        "complex": w.to(torch.complex64),
        "boolean": w > 0,
        "integer": w.to(torch.int8),
    }
    if kind in bad:
        return {"conv_layers.1.weight": bad[kind]}
    return {"BN_layers.0.running_sd": {"zero sd": 0, "negative sd": -1, "nan sd": torch.nan}[kind] * torch.ones(4)}


@EVERY
@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("nan", "NaN or infinite in"),
        ("one infinity", "NaN or infinite in"),
        ("zero sd", "running_sd that is not positive"),
        ("negative sd", "running_sd that is not positive"),
        ("nan sd", "NaN or infinite in"),
        ("complex", "which is complex"),
        ("boolean", "which is boolean"),
        ("integer", "torch.int8 for real numbers"),
    ],
)
def test_numbers_that_no_network_has(tmp_path, suffix, write, kind, match):
    file = tmp_path / f"m{suffix}"
    write(PUBLISHED | damaged(kind), file)
    refused(file, match, first="relu")


@pytest.mark.parametrize("change", [lambda k, v: v * torch.nan, lambda k, v: -v if "running" in k else v])
def test_our_own_folder_is_checked_alike(tmp_path, change):
    g = gt.UNet(4, 1)
    g.load_state_dict({k: change(k, v) for k, v in g.state_dict().items()})
    with pytest.warns(UserWarning, match="it is saved, but load_denoiser will refuse it"):
        gt.save_denoiser(g, tmp_path)
    refused(tmp_path / "model.safetensors", "NaN or infinite|not positive")


def test_tensors_that_are_no_plain_memory(tmp_path):
    w = PUBLISHED["conv_layers.1.weight"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated, but in files
        quantised = torch.quantize_per_tensor(w, 0.1, 0, torch.qint8)
    for kind, t in {
        "sparse": w.to_sparse(),
        "without values": w.to("meta"),
        "quantised": quantised,
        "shows more numbers": torch.zeros(1).expand(10**6, 10**6),
    }.items():
        torch.save(PUBLISHED | {"conv_layers.1.weight": t}, tmp_path / "m.pt")
        refused(tmp_path / "m.pt", kind, first="relu")


def test_nothing_is_allocated_for_what_a_file_does_not_hold(tmp_path):
    """Headers that ask for gigabytes, or for a hundred million layers."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    asked = {
        "UNet": (
            gt.UNet(4, 1),
            {"channels": 20000, "blocks": 1},
            "it says channels=20000, but its tensors show channels=4",
        ),
        "BFCNN": (F, {"channels": 4, "depth": 10**8}, "it says depth=100000000, but its tensors show depth=3"),
        "DnCNN": (gt.DnCNN(2, 3), {"channels": 2, "depth": 2**31}, "depth=2147483648"),
        "StagedCNN": (gt.StagedCNN(2, 1, 2), {"channels": 2, "hidden": 1, "stages": 10**9}, "stages=1000000000"),
        "RecursiveCNN": (gt.RecursiveCNN(2, 1, 2), {"channels": 2, "hidden": 1, "stages": 10**9}, "stages must be"),
        "DiT": (
            gt.DiT(8, 4, 8, 1, 2),
            {"size": 40000, "patch": 4, "width": 8, "depth": 1, "heads": 2},
            "do not fit|would have",
        ),
        "FullyConnected": (
            gt.FullyConnected(4, 4, 2),
            {"size": 10**5, "width": 4, "depth": 2},
            "do not fit|would have",
        ),
        "FFDNet": (gt.FFDNet(2, 3), {"channels": 10**5, "depth": 3}, "do not fit|would have"),
        "Conservative": (gt.Conservative(F), {"network": "BFCNN", "arguments": {"depth": 10**8}}, "depth=100000000"),
        "DRUNet": (gt.DRUNet(2, 1), {"channels": 10**4, "blocks": 1}, "do not fit|would have"),
    }
    for name, (f, arguments, match) in asked.items():
        file = tmp_path / f"{name}.safetensors"
        state = {k: v.contiguous() for k, v in f.state_dict().items()}
        file.write_bytes(save(state, metadata={"config": json.dumps({"network": name, "arguments": arguments})}))
        refused(file, match)
    torch.save(gt.UNet(4, 1).state_dict() | {"encoder.0.0.weight": torch.zeros(4000, 1, 3, 3)}, tmp_path / "wide.pt")
    refused(tmp_path / "wide.pt", r"looks like UNet.*of 1,424,120,000 numbers \(the file holds 37,508\)")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_archives_that_grow_when_read(tmp_path):
    torch.save(PUBLISHED | {"conv_layers.1.weight": torch.zeros(1000, 1000)}, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as a, zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as b:
        for item in a.infolist():
            b.writestr(item.filename, a.read(item))
    refused(tmp_path / "b.pt", "a compressed archive")
    with zipfile.ZipFile(tmp_path / "c.pt", "w") as c:
        c.writestr("word/document.xml", "<a/>")
    refused(tmp_path / "c.pt", "an archive of other things")
    with zipfile.ZipFile(tmp_path / "d.pt", "w") as d:
        d.writestr("net/constants.pkl", b"")
    refused(tmp_path / "d.pt", "TorchScript archive")


def test_only_regular_files_are_opened(tmp_path):
    for name in ("model.safetensors", "model.pt", "model.safetensors.index.json"):
        folder = tmp_path / name.replace(".", "")
        folder.mkdir()
        os.mkfifo(folder / name)
        for path in (folder, folder / name):
            with pytest.raises(ValueError, match=r"is a named pipe, not a file"):
                gt.load_denoiser(path)
    (tmp_path / "f" / "model.safetensors").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"model\.safetensors is a folder, not a file"):
        gt.load_denoiser(tmp_path / "f")
    with pytest.raises(ValueError, match="/dev/zero is a device"):
        gt.load_denoiser("/dev/zero")
    (tmp_path / "model.pt").symlink_to(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match="is a link to a file that does not exist"):
        gt.load_denoiser(tmp_path)
    with pytest.raises(OSError, match="aaa"):
        gt.load_denoiser(tmp_path / ("a" * 300))
    gt.save_denoiser(F, tmp_path / "own")
    (tmp_path / "own" / "config.json").unlink()
    os.mkfifo(tmp_path / "own" / "config.json")
    with pytest.raises(ValueError, match=r"config\.json is a named pipe"):
        gt.load_denoiser(tmp_path / "own")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors", ".ckpt"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + bytes(99),
        b'{"a": 1}',
        b"PK\x03\x04",
        b"\x80\x02\x8a\x0alF",
        pickle.dumps([1]),
        b"\xff" * 64,
    ],
)
def test_files_that_are_something_else(tmp_path, suffix, content):
    (tmp_path / f"m{suffix}").write_bytes(content)
    refused(tmp_path / f"m{suffix}", "is damaged|cannot be read")


@EVERY
def test_files_cut_anywhere(tmp_path, suffix, write):
    file = tmp_path / f"m{suffix}"
    write(OWN, file)
    whole = file.read_bytes()
    for cut in range(0, len(whole) - 1, len(whole) // 23):
        file.write_bytes(whole[:cut])
        refused(file, "is damaged|cannot be read")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "config.json is not valid JSON"),
        ('{"network": "BFCNN", "arguments": {"channels": NaN}}', "config.json is not valid JSON"),
        ("[" * 100_000, "config.json is not valid JSON"),
        ("[]", "config.json does not describe the network"),
        ('{"network": "BFCNN", "arguments": {"channels": 4, "depth": 100000000}}', "config.json does not describe"),
        ('{"network": "UNet", "arguments": {}}', "config.json does not describe"),
    ],
)
def test_a_configuration_beside_that_is_wrong(tmp_path, text, match):
    gt.save_denoiser(F, tmp_path)
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=match) as refusal:
        gt.load_denoiser(tmp_path)
    assert len(str(refusal.value).replace(str(tmp_path), "")) < 300


def test_a_configuration_beside_stands_in_for_a_lost_header(tmp_path):
    f = gt.DiT(8, 4, 8, 1, 2).eval()
    gt.save_denoiser(f, tmp_path)
    save_file(f.state_dict(), tmp_path / "model.safetensors")
    assert gt.load_denoiser(tmp_path).configuration == f.configuration


def test_shards_of_safetensors(tmp_path):
    names = list(OWN)
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(names)}
    for shard in set(places.values()):
        save_file({n: OWN[n] for n in names if places[n] == shard}, tmp_path / shard)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    for path in (tmp_path, index):
        assert torch.equal(gt.load_denoiser(path)(picture(), 0.1), F(picture(), 0.1))
    for shards, match in (
        ({names[0]: "../secret.safetensors"}, "which is no safetensors file beside it"),
        ({names[0]: places[names[0]]}, "other tensors are in them"),
        ({}, "has no weight_map"),
        (3, "has no weight_map"),
    ):
        index.write_text(json.dumps({"weight_map": shards}))
        refused(index, match)
    index.write_text(json.dumps({"weight_map": places | {"x": "model-00003-of-00002.safetensors"}}))
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*00003"):
        gt.load_denoiser(index)


def test_choices_that_mean_nothing_are_refused(tmp_path, unchecked):
    torch.save(OWN, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "leave out output and stages", output="clean", stages=3)
    for wrong in ({"output": "noise"}, {"noise_map": 1}, {"first": "gelu"}):
        with pytest.raises(ValueError, match="must be"):
            gt.load_denoiser(tmp_path / "m.pt", **wrong)


def test_a_refusal_is_short_whatever_the_file_holds(tmp_path):
    long = {f"{'very_' * 40}long.layer{i}.{'x' * 300}": torch.zeros(2, 2) for i in range(300)}
    torch.save(long, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "fits no published dialect")
    torch.save({"key" * 100 + str(i): 1 for i in range(99)}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "not the named tensors of a network")
    torch.save(OWN | {f"extra.{i}": torch.zeros(1) for i in range(200)}, tmp_path / "m.pt")
    refused(tmp_path / "m.pt", "too many")


def test_saving_replaces_all_files_or_none(tmp_path, monkeypatch):
    gt.save_denoiser(F, tmp_path)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    written = []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) == 2:  # the configuration, after the weights
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="the disk is full"):
        gt.save_denoiser(gt.UNet(2, 1), tmp_path)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_reading_does_not_keep_the_file(tmp_path):
    """A later change of the file does not change the network."""
    torch.save(OWN, tmp_path / "m.pt")
    f = gt.load_denoiser(tmp_path / "m.pt")
    with (tmp_path / "m.pt").open("r+b") as opened:
        opened.write(bytes((tmp_path / "m.pt").stat().st_size))
    assert torch.equal(f(picture(), 0.1), F(picture(), 0.1))


def test_counters_of_ema_pytorch_are_no_weights(tmp_path):
    state = {f"ema_model.{name}": t for name, t in OWN.items()}
    state |= {"initted": torch.tensor(True), "step": torch.tensor(5)}
    torch.save(state, tmp_path / "a.pt")
    y = gt.Disks(size=16).sample(1)
    assert torch.equal(gt.load_denoiser(tmp_path / "a.pt")(y, 0.1), F(y, 0.1))
    torch.save(state | {f"online_model.{name}": 2 * t for name, t in OWN.items()}, tmp_path / "b.pt")
    with pytest.raises(ValueError, match=r"entry='ema_model' or entry='online_model'"):
        gt.load_denoiser(tmp_path / "b.pt")
    assert torch.equal(gt.load_denoiser(tmp_path / "b.pt", entry="ema_model")(y, 0.1), F(y, 0.1))


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_is_named(tmp_path):
    traced = torch.jit.trace(torch.nn.ReLU(), torch.zeros(1, 1, 8, 8))
    torch.jit.save(traced, str(tmp_path / "traced.pt"))
    with pytest.raises(ValueError, match=r"is a TorchScript archive, which is code; load it with torch.jit.load"):
        gt.load_denoiser(tmp_path / "traced.pt")


def test_the_refusal_of_a_whole_pickle_is_in_our_words(tmp_path):
    torch.save(F, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="holds objects beside tensors") as refusal:
        gt.load_denoiser(tmp_path / "whole.pt")
    assert "\x1b" not in str(refusal.value) and "Weights only" not in str(refusal.value)
