"""Photographs: patches that can be found in the files they come from, and folders of every kind."""

import os

import numpy as np
import pytest
import pywt
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from gahb_theory.images import Photographs, read_image
from gahb_theory.images.intake import luminance
from gahb_theory.images.photographs import SCALES, centre_crop

BT601 = np.array([0.299, 0.587, 0.114])


def noise(*shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape)


def save(path, array, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array if mode == "I;16" else array.astype(np.uint8)).save(path)
    return path


def places(patch, photograph):
    """Corners at which a patch (size, size), or its mirror image, stands in a photograph: (row, column, mirrored)."""
    size = patch.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(photograph, (size, size))
    found = []
    for mirrored in (False, True):
        wanted = patch[:, ::-1] if mirrored else patch
        corner = np.argwhere(windows[:, :, 0, 0] == wanted[0, 0])
        found += [(int(r), int(c), mirrored) for r, c in corner if np.array_equal(windows[r, c], wanted)]
    return found


def test_names_of_the_embedded_photographs():
    assert Photographs(size=16).names == ("aero", "ascent", "camera", "china", "flower")
    assert Photographs(size=16, channels=3).names == ("china", "flower")


def test_train_and_test_are_disjoint_and_complete(tmp_path):
    train, test = (Photographs(size=16, split=split).names for split in ("train", "test"))
    assert test == ("camera",)
    assert set(train) | set(test) == set(Photographs(size=16).names)
    assert not set(train) & set(test)
    for i in range(12):
        save(tmp_path / f"{i:02d}.png", noise(16, 16, seed=i))
    names = {split: Photographs(tmp_path, 16, split=split).names for split in ("all", "train", "test")}
    assert names["test"] == ("02.png", "07.png")
    assert sorted(names["train"] + names["test"]) == list(names["all"]) == [f"{i:02d}.png" for i in range(12)]


def test_patches_of_the_test_photograph_are_not_among_those_of_training():
    scene = Photographs(size=24, split="test").scene(30, seed=1)
    camera = pywt.data.camera().astype(np.float32) / 255
    kept = scene.images[scene.scale == 1, 0].numpy()
    assert len(kept) > 2
    assert all(places(patch, camera) for patch in kept)


def test_embedded_patches_stand_in_their_photographs():
    """At scale 1 every patch is found, to the bit, in the photograph that the scene names."""
    china = load_sample_image("china.jpg").astype(np.float32)
    flower = load_sample_image("flower.jpg").astype(np.float32)
    grey = {"aero": pywt.data.aero(), "ascent": pywt.data.ascent(), "camera": pywt.data.camera()}
    grey |= {"china": luminance(china)[..., 0], "flower": luminance(flower)[..., 0]}
    grey = {name: image.astype(np.float32) / 255 for name, image in grey.items()}
    image_class = Photographs(size=24)
    scene = image_class.scene(80, seed=2)
    assert scene.images.dtype == torch.float32
    whole = scene.scale == 1
    assert set(scene.photograph[whole].tolist()) == {0, 1, 2, 3, 4}
    for patch, index in zip(scene.images[whole, 0].numpy(), scene.photograph[whole].tolist(), strict=True):
        assert places(patch, grey[image_class.names[index]])

    image_class = Photographs(size=24, channels=3)
    scene = image_class.scene(40, seed=2)
    assert scene.images.shape == (40, 3, 24, 24)
    for patch, index in zip(scene.images[scene.scale == 1], scene.photograph[scene.scale == 1].tolist(), strict=True):
        colour = (china, flower)[index] / 255
        found = [set(places(patch[c].numpy(), colour[:, :, c])) for c in range(3)]
        assert found[0] & found[1] & found[2]  # the three channels at the same place


def test_every_place_and_both_orientations_occur(tmp_path):
    """A 17 x 18 image has 2 x 3 patches of 16 x 16, twice with the mirrored ones: 300 draws find all twelve."""
    array = noise(17, 18)
    save(tmp_path / "a.png", array)
    images = Photographs(tmp_path, 16).sample(300, seed=0)
    unit = array.astype(np.float32) / 255
    found = [places(patch, unit) for patch in images[:, 0].numpy()]
    assert all(len(f) == 1 for f in found)
    counts = {place: sum(f == [place] for f in found) for place in {f[0] for f in found}}
    assert set(counts) == {(r, c, m) for r in (0, 1) for c in (0, 1, 2) for m in (False, True)}
    assert min(counts.values()) > 25 - 4 * 25**0.5  # uniform, within 4 standard errors
    assert max(counts.values()) < 25 + 4 * 25**0.5


def test_photographs_and_scales_are_drawn_evenly(tmp_path):
    """Each photograph equally often, whatever its size, and each scale that leaves room for a patch; 4 standard errors."""
    save(tmp_path / "large.png", noise(80, 90))
    save(tmp_path / "small.png", noise(20, 20))
    scene = Photographs(tmp_path, 16).scene(2000, seed=1)
    assert abs(float((scene.photograph == 0).double().mean()) - 0.5) < 4 * 0.5 / 2000**0.5
    large = scene.scale[scene.photograph == 0]
    fitting = [s for s in SCALES if round(s * 80) >= 16]
    assert fitting == list(SCALES)
    for scale in fitting:
        share = float((large == torch.tensor(scale)).double().mean())
        assert abs(share - 0.2) < 4 * 0.4 / len(large) ** 0.5
    assert set(scene.scale[scene.photograph == 1].tolist()) == {1.0}


def test_smaller_scales_are_the_photograph_shrunk(tmp_path):
    """A linear ramp stays one when it is shrunk: slope times 1 / scale, within 2% away from the borders."""
    ramp = np.tile(np.arange(0, 240, 3, dtype=np.uint8), (80, 1))
    save(tmp_path / "ramp.png", ramp)
    scene = Photographs(tmp_path, 16).scene(200, seed=3)
    step = scene.images[:, 0].diff(dim=2).abs()[:, :, 4:-4].mean((1, 2)) * 255 / 3
    for scale in SCALES:
        middle = step[scene.scale == torch.tensor(scale)]
        assert float(middle.mean()) == pytest.approx(1 / scale, rel=0.03)


def test_intensities_stay_in_range_at_every_scale(tmp_path):
    save(tmp_path / "a.png", 255 * noise(100, 100, high=2))
    x = Photographs(tmp_path, 16).sample(100)
    assert float(x.min()) == 0
    assert float(x.max()) == 1


def test_patches_are_functions_of_seed_and_index():
    image_class = Photographs(size=16)
    x = image_class.sample(6, seed=2**80, start=10**10)
    assert torch.equal(image_class.scene(6, seed=2**80, start=10**10).images, x)
    assert torch.equal(image_class.sample(2, seed=2**80, start=10**10 + 2), x[2:4])
    assert not torch.equal(image_class.sample(6, seed=1, start=10**10), x)
    with torch.inference_mode():
        Photographs(size=17).sample(1)
    assert not Photographs(size=17).sample(1).is_inference()


def test_double_precision_holds_the_same_patches():
    image_class = Photographs(size=16, channels=3)
    single, double = image_class.scene(5, seed=1), image_class.scene(5, seed=1, dtype=torch.float64)
    assert double.images.dtype == torch.float64
    assert torch.equal(double.images, single.images.double())
    assert torch.equal(image_class.sample(5, seed=1, dtype=torch.float64), double.images)
    with pytest.raises(ValueError, match=r"dtype must be torch.float32 or torch.float64, got torch.float16"):
        image_class.sample(1, dtype=torch.float16)


def test_blocks_and_memory(monkeypatch):
    image_class = Photographs(size=16)
    whole = image_class.scene(9, seed=2, start=3)
    monkeypatch.setattr("gahb_theory.images.batches.BLOCK_PIXELS", 1)
    assert all(
        torch.equal(value, vars(whole)[name]) for name, value in vars(image_class.scene(9, seed=2, start=3)).items()
    )
    assert torch.equal(image_class.sample(9, seed=2, start=3), whole.images)
    with pytest.raises(ValueError, match="draw fewer at a time"):
        image_class.sample(10**12)


def test_a_folder_of_every_kind(tmp_path):
    """Grey, colour, alpha, 16 bits, palette, bilevel, JPEG, in sub-folders: each is what it should be at scale 1."""
    grey, colour = noise(20, 20, seed=1), noise(20, 20, 3, seed=2)
    save(tmp_path / "a_grey.png", grey)
    save(tmp_path / "deep" / "er" / "b_colour.PNG", colour)
    save(tmp_path / "c_alpha.png", np.concatenate([colour, np.full((20, 20, 1), 255)], axis=2))
    deep = noise(20, 20, seed=4, high=65536).astype(np.uint16)
    save(tmp_path / "d_deep.png", deep, "I;16")
    palette = Image.fromarray(noise(20, 20, seed=5, high=4).astype(np.uint8), mode=None).convert("P")
    palette.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 30, 60, 90])
    palette.save(tmp_path / "e_palette.png")
    Image.fromarray(noise(20, 20, seed=6, high=2).astype(bool)).save(tmp_path / "f_bilevel.png")
    Image.fromarray(np.full((24, 24, 3), 128, np.uint8)).save(tmp_path / "g.jpeg")
    (tmp_path / "notes.txt").write_text("not an image, and not looked at")
    image_class = Photographs(tmp_path, 20)
    assert image_class.names == (
        "a_grey.png",
        "c_alpha.png",
        "d_deep.png",
        "deep/er/b_colour.PNG",
        "e_palette.png",
        "f_bilevel.png",
        "g.jpeg",
    )
    scene = image_class.scene(100, seed=0)
    indexed = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [30, 60, 90]])[noise(20, 20, seed=5, high=4)]
    expected = {
        "a_grey.png": grey / 255,
        "c_alpha.png": colour @ BT601 / 255,
        "d_deep.png": deep / 65535,
        "deep/er/b_colour.PNG": colour @ BT601 / 255,
        "e_palette.png": indexed @ BT601 / 255,
        "f_bilevel.png": noise(20, 20, seed=6, high=2),
    }
    seen = set()
    for patch, index in zip(scene.images[:, 0].numpy(), scene.photograph.tolist(), strict=True):
        name = image_class.names[index]
        seen.add(name)
        if name in expected:
            gap = min(np.abs(patch - side).max() for side in (expected[name], expected[name][:, ::-1]))
            assert gap < 1e-6, name  # float32 rounding of intensities
    assert seen == set(image_class.names)
    assert Photographs(tmp_path, 20, channels=3).sample(3).shape == (3, 3, 20, 20)


def test_images_too_small_for_a_patch_are_left_out(tmp_path):
    save(tmp_path / "a_small.png", noise(10, 40))
    save(tmp_path / "b_large.png", noise(20, 20))
    image_class = Photographs(tmp_path, 16)
    assert image_class.names == ("b_large.png",)
    assert set(image_class.scene(20).photograph.tolist()) == {0}
    assert Photographs(tmp_path, 10).names == ("a_small.png", "b_large.png")
    with pytest.raises(ValueError, match="smaller side of the photographs, here 20 pixels at most, got 21"):
        Photographs(tmp_path, 21).sample(1)


def test_folders_without_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no image found in .*; the endings looked for are .png, .jpg"):
        Photographs(tmp_path, 16).sample(1)
    with pytest.raises(ValueError, match=r"folder must be a directory of images, got .*nowhere, which does not exist"):
        Photographs(tmp_path / "nowhere", 16).sample(1)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"folder must be a directory .* or is a file"):
        _ = Photographs(str(tmp_path / "file"), 16).names


@pytest.mark.parametrize("content", [b"", b"not an image", "half"], ids=["empty", "text", "truncated"])
def test_unreadable_files_are_named(content, tmp_path):
    good = save(tmp_path / "good.png", noise(20, 20))
    bad = tmp_path / "bad.png"
    bad.write_bytes(good.read_bytes()[:200] if content == "half" else content)
    with pytest.raises(ValueError, match=r"bad.png cannot be read as an image .*; remove it or convert it to PNG"):
        Photographs(tmp_path, 16).sample(1)


def test_splits_that_leave_nothing_are_refused(tmp_path):
    save(tmp_path / "a.png", noise(20, 20))
    with pytest.raises(
        ValueError, match=r'split="test" leaves no photograph of the 1 in .*; use split="all" or give more'
    ):
        Photographs(tmp_path, 16, split="test").sample(1)
    with pytest.raises(ValueError, match=r'split="test" leaves no photograph of the 2 in the embedded set'):
        Photographs(size=16, channels=3, split="test").sample(1)


def test_bad_parameters_are_refused(unchecked):
    with pytest.raises(ValueError, match="size must be between 4 and 4096, got 2"):
        Photographs(size=2)
    with pytest.raises(ValueError, match=r"channels must be 1 \(grey\) or 3 \(colour\), got 2"):
        Photographs(channels=2)
    with pytest.raises(ValueError, match='split must be "all", "train" or "test", got \'valid\''):
        Photographs(split="valid")
    with pytest.raises(ValueError, match="n must be at least 1, got 0"):
        Photographs(size=16).sample(0)
    assert Photographs().dimension is None
    assert Photographs().optimal_slope is None


@pytest.mark.parametrize("channels", [1, 3])
def test_read_image(channels, tmp_path, unchecked):
    colour = noise(5, 7, 3)
    file = save(tmp_path / "a.png", colour)
    x = read_image(file, channels)
    assert x.shape == (1, channels, 5, 7)
    assert x.dtype == torch.float32
    expected = colour.transpose(2, 0, 1) / 255 if channels == 3 else (colour @ BT601)[None] / 255
    np.testing.assert_allclose(x[0].numpy(), expected, rtol=0, atol=1e-6)
    grey = read_image(save(tmp_path / "b.png", colour[:, :, 0]), channels)
    np.testing.assert_allclose(grey[0].numpy(), np.tile(colour[None, :, :, 0] / 255, (channels, 1, 1)), atol=1e-6)
    floating = np.linspace(0, 1, 35, dtype=np.float32).reshape(5, 7)
    Image.fromarray(floating).save(tmp_path / "c.tif")
    np.testing.assert_allclose(read_image(str(tmp_path / "c.tif"), channels)[0, 0].numpy(), floating, atol=1e-6)
    with pytest.raises(FileNotFoundError, match=r"no image file at .*none.png"):
        read_image(tmp_path / "none.png", channels)
    with pytest.raises(ValueError, match=r"cannot be read as an image .*; remove it or convert it to PNG"):
        read_image(tmp_path, channels)
    with pytest.raises(ValueError, match=r"channels must be 1 \(grey\) or 3 \(colour\), got 4"):
        read_image(file, 4)


def test_centre_crop():
    x = torch.arange(5.0 * 8).reshape(1, 1, 5, 8)
    assert torch.equal(centre_crop(x, (3, 4)), x[:, :, 1:4, 2:6])
    assert torch.equal(centre_crop(x, (5, 8)), x)


def test_a_changed_folder_gives_the_new_photographs(tmp_path, monkeypatch):
    """Of the same object and of a new one, by the content and not by name, size and date; through a link too."""

    def level(image_class):
        return round(float(image_class.sample(1).mean()) * 255)

    folder = tmp_path / "photographs"
    file = save(folder / "a.png", np.full((32, 32), 10))
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    image_class, linked = Photographs(folder, 16), Photographs(tmp_path / "link", 16)
    assert level(image_class) == level(linked) == 10
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    Image.fromarray(np.full((32, 32), 200, np.uint8)).save(file)
    os.utime(file, ns=times)
    assert level(image_class) == level(linked) == level(Photographs(folder, 16)) == 200
    save(folder / "b.png", np.full((40, 40), 90))
    assert image_class.names == ("a.png", "b.png")
    save(tmp_path / "elsewhere" / "photographs" / "a.png", np.full((32, 32), 60))
    for place, expected in ((tmp_path, {200, 90}), (tmp_path / "elsewhere", {60})):
        monkeypatch.chdir(place)
        relative = Photographs("photographs", 16).sample(20)
        assert set((relative.mean((1, 2, 3)) * 255).round().int().tolist()) == expected


def test_photographs_that_have_not_changed_are_read_once(tmp_path, monkeypatch):
    save(tmp_path / "a.png", noise(32, 32))
    x = Photographs(tmp_path, 16).sample(3)
    monkeypatch.setattr("gahb_theory.images.photographs.read_file", None)
    assert torch.equal(Photographs(tmp_path, 16).sample(3), x)
    os.utime(tmp_path / "a.png")  # touched, and the same
    assert torch.equal(Photographs(tmp_path, 16).sample(3), x)
