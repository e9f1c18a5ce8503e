"""Paths as users write them: with "~", relative to a folder that is left, of other types, and no paths at all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gahb_theory import Disks, Photographs, UNet, add_noise, load_denoiser, save_denoiser, sweep, train, validate
from gahb_theory.images import read_image
from gahb_theory.images.dataset import ImageDataset, dataset


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_home_directory_is_meant_by_a_tilde(home, monkeypatch):
    elsewhere = home / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    f, x = UNet(channels=4, blocks=1).eval(), Disks(size=16).sample(4)
    save_denoiser(f, "~/saved")
    assert (home / "saved" / "model.safetensors").is_file()
    assert torch.equal(load_denoiser("~/saved")(x, 0.1), f(x, 0.1))
    train(f, x, images_seen=8, batch_size=4, run="~/run")
    assert (home / "run" / "state.safetensors").is_file()
    assert len(dataset("~/x.npy", Disks(size=16), 3)) == 3
    assert (home / "x.npy").is_file()
    assert [piece.result for piece in sweep([{"a": 1}], _twice, folder="~/sweep")] == [{"a": 2}]
    assert (home / "sweep").is_dir()
    assert not any(elsewhere.iterdir())


def _twice(config, _folder):
    return {"a": 2 * config["a"]}


def test_a_relative_folder_stays_the_same_one_after_the_directory_is_changed(tmp_path, monkeypatch):
    from PIL import Image

    for name, level in (("a", 60), ("b", 200)):
        (tmp_path / name / "photos").mkdir(parents=True)
        Image.fromarray(np.full((16, 16), level, np.uint8)).save(tmp_path / name / "photos" / "0.png")
    monkeypatch.chdir(tmp_path / "a")
    images = Photographs("photos", size=16)
    np.save("x.npy", np.full((2, 1, 16, 16), 0.25, np.float32))
    array = ImageDataset(Path("x.npy"))
    monkeypatch.chdir(tmp_path / "b")
    assert images.sample(1).unique().tolist() == [np.float32(60 / 255)]
    assert float(array[1].max()) == 0.25


@pytest.mark.parametrize("wrong", [3, None, b"name"])
def test_what_is_no_path_is_named(wrong, unchecked):
    for call in (load_denoiser, read_image, dataset, lambda p: save_denoiser(UNet(channels=4, blocks=1), p)):
        with pytest.raises(TypeError, match=r"must be a string or a pathlib.Path, got"):
            call(wrong)


@pytest.mark.parametrize("wrong", ["", "a\0b", "~nobody-of-this-name/x"])
def test_names_that_no_file_can_have_are_refused(wrong):
    with pytest.raises(ValueError, match="folder must be a path"):
        validate.path(wrong, "folder")


def test_a_sweep_takes_its_configurations_from_a_generator(tmp_path):
    found = sweep(({"a": i} for i in range(2)), _twice, folder=tmp_path)
    assert [piece.result for piece in found] == [{"a": 0}, {"a": 2}]


def test_a_compiled_network_is_saved_as_the_network_it_is(tmp_path):
    f = UNet(channels=4, blocks=1).eval()
    y = add_noise(Disks(size=16).sample(1), 0.1)
    for name, wrapped in (("compiled", torch.compile(f, backend="eager")), ("parallel", torch.nn.DataParallel(f))):
        save_denoiser(wrapped, tmp_path / name)
        assert torch.equal(load_denoiser(tmp_path / name)(y, 0.1), f(y, 0.1))
