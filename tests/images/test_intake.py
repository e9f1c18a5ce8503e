"""Image files of every mode, and the range of images: the right value, or a refusal that says what was found."""

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import gahb_theory as gt
from gahb_theory.images.intake import check_range, luminance


def pixels(*shape, high=256, seed=0):
    return np.random.default_rng(seed).integers(0, high, shape)


COLOUR = pixels(6, 9, 3).astype(np.uint8)
GREY = pixels(6, 9, seed=1).astype(np.uint8)


def opaque(image):
    image.putalpha(255)
    return image


READ = {
    "1": ("a.png", Image.fromarray(GREY > 100), (GREY > 100).astype(float)),
    "L": ("a.png", Image.fromarray(GREY), GREY / 255),
    "LA": ("a.png", opaque(Image.fromarray(GREY)), GREY / 255),
    "P": ("a.png", Image.fromarray(GREY).convert("P"), GREY / 255),
    "RGB": ("a.png", Image.fromarray(COLOUR), COLOUR / 255),
    "RGBA": ("a.webp", opaque(Image.fromarray(COLOUR)), COLOUR / 255),
    "I;16": ("a.png", Image.fromarray((257 * GREY.astype(int)).astype(np.uint16)), GREY / 255),
    "I;16 TIFF": ("a.tif", Image.fromarray((257 * GREY.astype(int)).astype(np.uint16)), GREY / 255),
    "I;16 PGM": ("a.pgm", Image.fromarray((257 * GREY.astype(int)).astype(np.int32)), GREY / 255),
    "F": ("a.tif", Image.fromarray((GREY / 255).astype(np.float32)), GREY / 255),
    "YCbCr": ("a.tif", Image.fromarray(GREY).convert("RGB").convert("YCbCr"), GREY / 255),
    "CMYK": ("a.tif", Image.fromarray(255 - COLOUR // 2 * 2).convert("CMYK"), (255 - COLOUR // 2 * 2) / 255),
    "RGB bitmap": ("a.bmp", Image.fromarray(COLOUR), COLOUR / 255),
    "GIF": ("a.gif", Image.fromarray(GREY), GREY / 255),
}


@pytest.mark.parametrize(("name", "image", "expected"), READ.values(), ids=READ.keys())
def test_every_mode_is_read(tmp_path, name, image, expected):
    options = {"lossless": True} if name.endswith("webp") else {}
    image.save(tmp_path / name, **options)
    x = gt.read_image(tmp_path / name, channels=3)
    wanted = expected if expected.ndim == 3 else np.repeat(expected[:, :, None], 3, axis=2)
    np.testing.assert_allclose(
        x[0].permute(1, 2, 0).numpy(), wanted, rtol=0, atol=2 / 255 if "Y" in image.mode else 1e-6
    )


def test_grey_is_the_luminance_of_pillow(tmp_path):
    """Within the half level to which Pillow rounds; exact on greys; BT.709, the mean and the green are far away."""
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    ours = 255 * gt.read_image(tmp_path / "a.png")[0, 0].double().numpy()
    pillow = np.asarray(Image.fromarray(COLOUR).convert("L"), dtype=float)
    assert np.abs(ours - pillow).max() < 0.51
    assert np.abs(ours - COLOUR @ [0.299, 0.587, 0.114]).max() < 1e-4
    for other in ([0.2125, 0.7154, 0.0721], [1 / 3] * 3):
        assert np.abs(ours - COLOUR @ other).max() > 10
    levels = np.repeat(np.arange(256)[None, :, None], 3, axis=2)
    assert (luminance(levels)[0, :, 0] == np.arange(256)).all()


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_stand_as_viewers_show_them(tmp_path, ending, orientation):
    array = np.tile(np.arange(8, dtype=np.uint8) * 30, (4, 1))
    array[0] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(array).save(tmp_path / f"a.{ending}", exif=exif, **({} if ending == "tif" else {"quality": 100}))
    turned = {1: array, 2: array[:, ::-1], 3: array[::-1, ::-1], 4: array[::-1], 5: array.T}
    turned |= {6: array.T[:, ::-1], 7: array.T[::-1, ::-1], 8: array.T[::-1]}
    x = gt.read_image(tmp_path / f"a.{ending}")[0, 0]
    assert x.shape == turned[orientation].shape
    assert np.abs(x.numpy() - turned[orientation] / 255).max() < 0.1


def frames(count=3):
    return [Image.fromarray(pixels(8, 8, seed=i).astype(np.uint8)) for i in range(count)]


@pytest.mark.parametrize("name", ["a.tif", "a.webp", "a.png", "a.gif"])
def test_several_frames_are_refused_unless_one_is_named(tmp_path, name):
    first, *rest = frames()
    first.save(tmp_path / name, save_all=True, append_images=rest, lossless=True)
    with pytest.raises(ValueError, match=r"holds 3 frames; name one, as in read_image\(path, frame=0\)"):
        gt.read_image(tmp_path / name)
    with pytest.raises(ValueError, match="holds 3 frames"):
        gt.Photographs(tmp_path, size=8).sample(1) if name != "a.gif" else gt.read_image(tmp_path / name)
    for i, frame in enumerate(frames()):
        x = gt.read_image(tmp_path / name, frame=i)[0, 0]
        np.testing.assert_allclose(x.numpy(), np.asarray(frame) / 255, atol=1.1 / 255 if name == "a.webp" else 1e-6)
    with pytest.raises(ValueError, match="holds 3 frames, so frame must be below 3, got 3"):
        gt.read_image(tmp_path / name, frame=3)


def test_the_preview_of_a_phone_is_no_frame(tmp_path):
    first, second = frames(2)
    first.save(tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=[second.resize((4, 4))], quality=100)
    assert gt.read_image(tmp_path / "phone.jpg").shape == (1, 1, 8, 8)
    first.save(tmp_path / "stereo.jpg", format="MPO", save_all=True, append_images=[second])
    with pytest.raises(ValueError, match="holds 2 frames"):
        gt.read_image(tmp_path / "stereo.jpg")


def write_png_of_16_bits(path, colour):
    """A PNG of 16 bits in colour, which Pillow cannot write: three or four channels of 2 x 2 pixels."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    channels = {2: 3, 4: 2, 6: 4}[colour]
    rows = b"".join(b"\0" + b"\xff\xff" * 2 * channels for _ in range(2))
    header = struct.pack(">IIBBBBB", 2, 2, 16, colour, 0, 0, 0)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


def write_tiff(path, bits, photometric=1, sample_format=1, samples=1):
    """A TIFF of 2 x 2 pixels, all bits set, with the given tags."""
    import struct

    data = b"\x7f" * (4 * samples * bits // 8)
    entries = [(256, 3, 1, 2), (257, 3, 1, 2), (259, 3, 1, 1), (262, 3, 1, photometric)]
    extra = struct.pack(f"<{samples}H", *[bits] * samples)
    after = 8 + 2 + 10 * 12 + 4
    entries += [(258, 3, samples, bits if samples == 1 else after), (273, 4, 1, after + len(extra))]
    entries += [(277, 3, 1, samples), (278, 3, 1, 2), (279, 4, 1, len(data)), (339, 3, 1, sample_format)]
    fields = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    path.write_bytes(b"II*\0" + struct.pack("<IH", 8, len(entries)) + fields + b"\0" * 4 + extra + data)


def test_what_would_be_cut_or_turned_over_is_refused(tmp_path):
    for colour in (2, 4, 6):
        write_png_of_16_bits(tmp_path / "deep.png", colour)
        with pytest.raises(
            ValueError, match=r"deep.png has several channels of more than 8 bits, which would be cut to 8"
        ):
            gt.read_image(tmp_path / "deep.png")
    write_tiff(tmp_path / "deep.tif", 16, photometric=2, samples=3)
    with pytest.raises(ValueError, match="several channels of more than 8 bits"):
        gt.read_image(tmp_path / "deep.tif")
    (tmp_path / "deep.ppm").write_bytes(b"P6 1 1 65535\n" + b"\x12\x34" * 3)
    with pytest.raises(ValueError, match="several channels of more than 8 bits"):
        gt.read_image(tmp_path / "deep.ppm")
    write_tiff(tmp_path / "white.tif", 16, photometric=0)
    with pytest.raises(ValueError, match="says that its level 0 is white"):
        gt.read_image(tmp_path / "white.tif")
    write_tiff(tmp_path / "signed.tif", 8, sample_format=2)
    with pytest.raises(ValueError, match="holds signed integers of 8 bits"):
        gt.read_image(tmp_path / "signed.tif")
    write_tiff(tmp_path / "good.tif", 16)
    assert float(gt.read_image(tmp_path / "good.tif").max()) == pytest.approx(0x7F7F / 65535)


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def test_levels_that_do_not_say_what_white_is_are_refused(tmp_path, unchecked):
    loud = np.linspace(0, 250, 12, dtype=np.float32).reshape(3, 4)
    file = save(tmp_path / "loud.tif", loud)
    with pytest.raises(
        ValueError, match=r"loud.tif holds values from 0 to 250, .* as in read_image\(path, scale=255\)"
    ):
        gt.read_image(file)
    np.testing.assert_allclose(gt.read_image(file, scale=255)[0, 0].numpy(), loud / 255, atol=1e-7)
    with pytest.raises(ValueError, match=r"which scale=200 does not bring into \[0, 1\]"):
        gt.read_image(file, scale=200)
    with pytest.raises(ValueError, match=r"from -125 to 125, .* save it with 0 black and 1 white"):
        gt.read_image(save(tmp_path / "signed.tif", loud - 125))
    integers = save(tmp_path / "integers.tif", (16 * loud).astype(np.int32))
    with pytest.raises(ValueError, match=r"holds integers from 0 to 4000 and does not say what white is.*scale=4095"):
        gt.read_image(integers)
    assert float(gt.read_image(integers, scale=np.int64(4000)).max()) == 1
    loud[1, 1] = np.nan
    with pytest.raises(ValueError, match="holds 1 of 12 values that are NaN or infinite"):
        gt.read_image(save(tmp_path / "nan.tif", loud / 255))


def test_unsigned_integers_of_32_bits_are_read_as_unsigned(tmp_path):
    file = tmp_path / "unsigned.tif"
    write_tiff(file, 32)
    file.write_bytes(file.read_bytes().replace(b"\x7f" * 16, b"\xff" * 16))
    with pytest.raises(ValueError, match=r"from 4.29497e\+09 to 4.29497e\+09 .* scale=4294967295"):
        gt.read_image(file)
    assert gt.read_image(file, scale=2**32 - 1).unique().tolist() == [1]


def test_transparent_pixels_are_refused(tmp_path):
    image = opaque(Image.fromarray(COLOUR))
    image.putpixel((0, 0), (1, 2, 3, 0))
    image.save(tmp_path / "a.png")
    palette = Image.fromarray(GREY).convert("P")
    palette.save(tmp_path / "b.png", transparency=int(np.asarray(palette)[0, 0]))
    Image.fromarray(GREY).save(tmp_path / "c.png", transparency=int(GREY[0, 0]))
    for name in "abc":
        with pytest.raises(ValueError, match=f"{name}.png is transparent in .* % of its pixels"):
            gt.read_image(tmp_path / f"{name}.png")
    Image.fromarray(GREY).save(tmp_path / "d.png", transparency=int(next(k for k in range(256) if k not in GREY)))
    np.testing.assert_allclose(gt.read_image(tmp_path / "d.png")[0, 0].numpy(), GREY / 255, atol=1e-7)


def test_arguments_of_read_image(tmp_path, unchecked):
    file = save(tmp_path / "a.png", GREY)
    for scale in (0, -1, np.nan, True, None):
        if scale is not None:
            with pytest.raises((ValueError, TypeError), match="scale must be"):
                gt.read_image(file, scale=scale)
    with pytest.raises(TypeError, match="frame must be an integer, got float"):
        gt.read_image(file, frame=0.0)
    with pytest.raises(TypeError, match="path must be a string or"):
        gt.read_image(3)
    assert gt.read_image(file, channels=np.int64(3)).shape == (1, 3, 6, 9)


X = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("x", "found"),
    [
        (255 * X, "from 0.* to 25.*; .* use x / 255"),
        (65535 * X, "use x / 65535"),
        (2 * X - 1, r"from -0.9.* to 0.9.*; .* in \[0, 1\], .* use \(x \+ 1\) / 2"),
        ((X - 0.45) / 0.22, "use x \\* std \\+ mean"),
        (
            torch.rand(2, 32, 32, 3, generator=torch.Generator().manual_seed(0)),
            r"channels seem to be last; use x.permute\(0, 3, 1, 2\)",
        ),
    ],
)
def test_other_units_are_refused(x, found):
    with pytest.raises(ValueError, match=found):
        check_range(x)


def test_units_that_are_right_pass():
    for image_class in (gt.CAlpha(size=16), gt.SineCone(size=16), gt.GaussianField(size=16, std=0.3)):
        check_range(image_class.sample(32))
    check_range(8 * X, sigma_max=4.0)
    wide = gt.GaussianField(size=16, mean=0.0, std=1.0).sample(8)
    with pytest.warns(UserWarning, match=r"hold values from -.* in \[0, 1\]"):
        check_range(wide, strict=False)
    with pytest.raises(ValueError, match="hold values from"):
        check_range(255 * X, strict=False)


def test_training_on_other_units_is_refused():
    x, recipe = gt.Disks(size=16).sample(16), {"images_seen": 16, "batch_size": 16}
    for bad in (255 * x, torch.utils.data.TensorDataset(255 * x)):
        with pytest.raises(ValueError, match=r"intensities are taken in \[0, 1\]"):
            gt.train(gt.UNet(4, 1), bad, **recipe)
    with pytest.warns(UserWarning, match=r"the images of data hold values from -.* use \(x \+ 1\) / 2"):
        gt.train(gt.UNet(4, 1), 2 * x - 1, **recipe)
    with pytest.raises(ValueError, match="validation images hold values"):
        gt.train(gt.UNet(4, 1), x, validation=255 * x, **recipe)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gt.train(gt.UNet(4, 1), x, **recipe)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (2 * X.numpy() - 1, r"from -0.9.* to 0.9.*; .* use \(x \+ 1\) / 2"),
        ((X.numpy() - 0.45) / 0.22, r"use x \* std \+ mean"),
        ((X.numpy() > 0.5).astype(np.uint8), "holds 0 and 1 as uint8, whose white is 255"),
    ],
)
def test_arrays_in_other_units_are_no_dataset(tmp_path, array, found):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ValueError, match=found):
        gt.dataset(tmp_path / "a.npy")
