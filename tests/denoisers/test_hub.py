import json
import shutil
import sys
from types import ModuleType

import pytest
import torch

import gahb_theory as gt

CARD = {
    "data": {"class": "Disks", "size": 16},
    "recipe": {"images_seen": 1000, "sigma_distribution": "square"},
    "psnr": {"0.1": 33.123, "0.5": 22.0},
    "licence": "mit",
}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Stands for huggingface_hub: repositories are folders."""
    store = tmp_path / "store"

    def snapshot_download(name, allow_patterns):
        assert allow_patterns == ["model.safetensors", "config.json"]
        if not (store / name).exists():
            raise FileNotFoundError(f"404: {name}")
        return str(store / name)

    def upload_folder(repo_id, folder_path):
        shutil.copytree(folder_path, store / repo_id, dirs_exist_ok=True)

    module = ModuleType("huggingface_hub")
    module.snapshot_download, module.upload_folder = snapshot_download, upload_folder
    module.create_repo = lambda name, exist_ok: (store / name).mkdir(parents=True, exist_ok=exist_ok)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.chdir(tmp_path)
    return store


def test_folder_holds_weights_configuration_and_card(tmp_path):
    f = gt.BFCNN(4, 3).eval()
    folder = gt.save_denoiser(f, tmp_path / "mine", CARD)
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "config.json", "README.md"}
    assert json.loads((folder / "config.json").read_text()) == {
        "network": "BFCNN",
        "arguments": f.configuration,
        "card": CARD,
    }
    text = (folder / "README.md").read_text()
    for part in ("license: mit", "# BFCNN", "A denoiser of 220 parameters", "- depth: 3", "- class: Disks"):
        assert part in text
    assert (
        "- sigma_distribution: square" in text
        and "| 0.1 | 20.00 | 33.12 |" in text
        and "| 0.5 | 6.02 | 22.00 |" in text
    )
    y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for place in (folder, folder / "model.safetensors", str(folder)):
        assert torch.equal(gt.load_denoiser(place)(y, 0.1), f(y, 0.1))


def test_a_card_without_facts_says_so(tmp_path):
    text = (gt.save_denoiser(gt.BFCNN(4, 3), tmp_path) / "README.md").read_text()
    assert "license: unknown" in text and text.count("Not stated.") == 3 and "Not measured." in text


def test_one_file(tmp_path):
    f = gt.BFCNN(4, 3).eval()
    assert gt.save_denoiser(f, tmp_path / "new" / "mine.safetensors", CARD) == tmp_path / "new" / "mine.safetensors"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["mine.safetensors"]
    assert gt.load_denoiser(tmp_path / "new" / "mine.safetensors").depth == 3


def test_to_the_hub_and_back(hub):
    f = gt.UNet(4, 1).eval()
    assert gt.save_denoiser(f, "hf://lab/unet", CARD) == "hf://lab/unet"
    assert (hub / "lab" / "unet" / "README.md").exists()
    y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for name in ("lab/unet", "hf://lab/unet"):
        assert torch.equal(gt.load_denoiser(name)(y, 0.1), f(y, 0.1))


def test_a_path_that_exists_is_not_looked_up(hub, tmp_path):
    f = gt.BFCNN(4, 3).eval()
    gt.save_denoiser(f, "lab/unet")
    assert (tmp_path / "lab" / "unet" / "README.md").exists() and not hub.exists()
    assert gt.load_denoiser("lab/unet").depth == 3
    with pytest.raises(FileNotFoundError, match="404: lab/other"):
        gt.load_denoiser("lab/other")


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at lab/unet, and a hub id needs.*gahb-theory\[hub\]"):
        gt.load_denoiser("lab/unet")
    for use in (lambda: gt.load_denoiser("hf://lab/unet"), lambda: gt.save_denoiser(gt.BFCNN(4, 3), "hf://lab/unet")):
        with pytest.raises(ImportError, match="a hub id needs the package huggingface_hub"):
            use()


def test_refusals(tmp_path, unchecked):
    with pytest.raises(ValueError, match="a hub id has the form hf://owner/name"):
        gt.save_denoiser(gt.BFCNN(4, 3), "hf://unet")
    with pytest.raises(TypeError, match=r"f must be one of UNet, .*got GaussianDenoiser"):
        gt.save_denoiser(gt.GaussianDenoiser(torch.zeros(1, 1, 1, 1), torch.eye(1)), tmp_path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        gt.load_denoiser(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"holds no model\.safetensors"):
        gt.load_denoiser(tmp_path)
