"""What the borders refuse: each message says what was given, what is allowed and how to mend it."""

import re

import numpy as np
import pytest
import torch

from gahb_theory import validate


@pytest.fixture(autouse=True)
def _unchecked(unchecked):
    """The messages of the library, not those of the type checker."""


def refuses(error, *parts):
    """Every part of the message, in order."""
    return pytest.raises(error, match="(?s)" + ".*".join(re.escape(part) for part in parts))


X = torch.full((2, 1, 4, 4), 0.5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_good_images_pass_unchanged(dtype):
    x = X.to(dtype)
    assert validate.images(x) is x


@pytest.mark.parametrize("given", [np.zeros((1, 1, 4, 4)), [[0.0]], None])
def test_images_that_are_no_tensor(given):
    with refuses(
        TypeError,
        "pictures must be a torch tensor of shape (batch, channels, height, width), got ",
        type(given).__name__,
        "convert it with torch.as_tensor",
    ):
        validate.images(given, "pictures")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool])
def test_images_of_integers(dtype):
    with refuses(TypeError, "floating point with intensities in [0, 1]", str(dtype), "use x.float() / 255"):
        validate.images(X.to(dtype))


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((4, 4), "x[None, None]"), ((1, 4, 4), "x[:, None] or x[None]"), ((16,), "x.reshape")],
)
def test_images_with_missing_axes(shape, hint):
    with refuses(
        ValueError, "shape (batch, channels, height, width), got", str(shape), "add the missing axes: " + hint
    ):
        validate.images(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 1, 4, 4), (2, 0, 4, 4), (2, 1, 0, 4)])
def test_images_without_pixels(shape):
    with refuses(ValueError, "must hold at least one pixel, got shape", str(shape)):
        validate.images(torch.zeros(shape))


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_images_that_are_not_finite(value):
    x = X.clone()
    x[1, 0, 2, 3] = value
    with refuses(ValueError, "y must be finite, got 1 of 32 values that are NaN or infinite", "torch.isfinite"):
        validate.images(x, "y")


def test_finite_does_not_look_inside_transforms():
    doubled = torch.func.vmap(lambda x: 2 * validate.finite(x, "x"))(torch.tensor([1.0, torch.nan]))
    assert doubled[0] == 2


def test_one_image():
    y = X[:1]
    assert validate.one_image(y) is y
    with refuses(ValueError, "y must be one image of shape (1, c, h, w), got (2, 1, 4, 4); take one with y[:1]"):
        validate.one_image(X)
    with refuses(ValueError, "add the missing axes: x[None, None]"):
        validate.one_image(X[0, 0])


@pytest.mark.parametrize(
    "sigma", [0.5, 10, np.float32(0.5), torch.tensor(0.5), torch.tensor([0.5]), 1e-6, np.array(0.5)], ids=repr
)
def test_good_noise_levels(sigma):
    level = validate.sigma_level(sigma)
    assert type(level) is float
    assert level == float(sigma)


@pytest.mark.parametrize("sigma", [0, -1.0, 10.5, 1e6, float("inf"), float("-inf"), float("nan")])
def test_noise_levels_out_of_range(sigma):
    with refuses(
        ValueError, "noise standard deviation for intensities in [0, 1] and must lie in (0, 10]", f"{sigma:g}"
    ):
        validate.sigma_level(sigma)


def test_only_large_noise_levels_are_suspected_of_other_units():
    with refuses(ValueError, "got 25; is it in 0..255 units? divide it by 255"):
        validate.sigma_level(25)
    for sigma in (0.0, -3.0, float("inf"), float("nan")):
        with pytest.raises(ValueError) as caught:
            validate.sigma_level(sigma)
        assert "255" not in str(caught.value)


@pytest.mark.parametrize("sigma", ["0.1", b"1", True, None, [0.1], {}], ids=repr)
def test_noise_levels_that_are_no_number(sigma):
    with refuses(TypeError, "level must be a number, got ", type(sigma).__name__):
        validate.sigma_level(sigma, "level")


def test_several_noise_levels_where_one_is_asked_for():
    with refuses(ValueError, "sigma must be one number here, got a tensor of shape (2,)"):
        validate.sigma_level(torch.tensor([0.1, 0.2]))


@pytest.mark.parametrize(
    ("sigma", "shape"),
    [
        (0.5, (1, 1, 1, 1)),
        (torch.tensor(0.5), (1, 1, 1, 1)),
        (torch.tensor([0.5]), (1, 1, 1, 1)),
        (torch.tensor([0.5, 0.1]), (2, 1, 1, 1)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_batches_of_noise_levels(sigma, shape, dtype):
    level = validate.batch_sigma(sigma, X.to(dtype))
    assert level.shape == shape
    assert level.dtype == dtype
    assert (level + X.to(dtype)).shape == X.shape
    assert level.flatten()[0] == 0.5


def test_batches_of_noise_levels_that_do_not_fit():
    for bad in (torch.ones(3), torch.ones(2, 1), torch.ones(0)):
        with refuses(
            ValueError, "sigma must be a number or a tensor of shape (batch,) = (2,), got shape", str(tuple(bad.shape))
        ):
            validate.batch_sigma(bad, X)
    with refuses(ValueError, "must be finite, got 1 of 2"):
        validate.batch_sigma(torch.tensor([0.1, torch.nan]), X)
    with refuses(ValueError, "must lie in (0, 10], got 0"):
        validate.batch_sigma(torch.tensor([0.1, 0.0]), X)
    with refuses(ValueError, "must lie in (0, 10], got 25; is it in 0..255 units"):
        validate.batch_sigma(torch.tensor([25.0, 0.1]), X)
    with refuses(ValueError, "sigma is on meta, but the images are on cpu; move one of them with .to(device)"):
        validate.batch_sigma(torch.ones(2, device="meta"), X)


def test_same_device():
    validate.same_device(X, X, "x")
    with refuses(ValueError, "x_hat is on cpu, but the images are on meta", ".to(device)"):
        validate.same_device(X, X.to("meta"), "x_hat")


def test_positive():
    assert validate.positive(3, "alpha") == 3.0
    assert type(validate.positive(3, "alpha")) is float
    for bad in (0, -1.5, float("inf"), float("nan")):
        with refuses(ValueError, "alpha must be finite and above 0, got", str(bad)):
            validate.positive(bad, "alpha")
    for bad in (True, "2", None, torch.tensor(1.0)):
        with refuses(TypeError, "alpha must be a number, got", type(bad).__name__):
            validate.positive(bad, "alpha")


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), torch.tensor(3)], ids=repr)
def test_good_integers(value):
    assert validate.integer(value, "size", 3, 3) == 3
    assert type(validate.integer(value, "size", 3, 3)) is int


@pytest.mark.parametrize(
    "value", [3.0, True, "3", None, np.float64(3), np.array(3.7), torch.tensor(3.7), torch.tensor([3, 3])], ids=repr
)
def test_integers_that_are_none(value):
    """A tensor of a float has the method __index__, and must not be rounded."""
    with refuses(TypeError, "size must be an integer, got", type(value).__name__):
        validate.integer(value, "size", 0)


def test_integers_out_of_range():
    with refuses(ValueError, "size must be at least 4, got 3"):
        validate.integer(3, "size", 4)
    with refuses(ValueError, "size must be between 4 and 8, got 9"):
        validate.integer(9, "size", 4, 8)
    assert validate.integer(2**200, "seed", 0) == 2**200


def test_square_shape():
    assert validate.square_shape(49, None) == (1, 7, 7)
    assert validate.square_shape(24, (2, 3, 4)) == (2, 3, 4)
    with refuses(ValueError, "24 coefficients are not a square grey image; give shape=(channels, height, width)"):
        validate.square_shape(24, None)
    for bad in ((2, 3, 5), (4, 6), (1, 2, 3, 4)):
        with refuses(ValueError, "shape must be (channels, height, width) with 24 pixels in all, got", str(bad)):
            validate.square_shape(24, bad)


def test_coefficients():
    c = torch.ones(2, 5)
    assert validate.coefficients(c, 5) is c
    with refuses(TypeError, "c must be a torch tensor of shape (batch, k), got list"):
        validate.coefficients([[1.0]])
    with refuses(TypeError, "c must be floating point, got torch.int64; convert it with c.float()"):
        validate.coefficients(c.long())
    with refuses(ValueError, "shape (batch, k), one row for each image, got (5,); use c[None]"):
        validate.coefficients(c[0])
    with refuses(ValueError, "got (1, 2, 5); use c.flatten(1)"):
        validate.coefficients(c[None])
    with refuses(ValueError, "got (0, 5)"):
        validate.coefficients(c[:0])
    with refuses(ValueError, "c must hold 4 coefficients for each image, got shape (2, 5)"):
        validate.coefficients(c, 4)
    with refuses(ValueError, "gains must be finite, got 10 of 10"):
        validate.coefficients(c * torch.nan, name="gains")


def test_evaluation_mode():
    network = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Dropout())
    with refuses(
        RuntimeError, "f is in train mode, where layers such as batch normalisation mix", "call f.eval() first"
    ):
        validate.evaluation_mode(network)
    validate.evaluation_mode(network.eval())
    network[1].train()  # a part of it is enough
    with refuses(RuntimeError, "denoiser is in train mode", "call denoiser.eval() first"):
        validate.evaluation_mode(network, "denoiser")
    validate.evaluation_mode(lambda y, sigma: y)
