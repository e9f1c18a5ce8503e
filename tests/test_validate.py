"""What the borders refuse: each message says what was given, what is allowed and how to mend it."""

import re
import warnings
from fractions import Fraction

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


@pytest.mark.parametrize("sigma", [0, -1.0, float("inf"), float("-inf"), float("nan")])
def test_noise_levels_out_of_range(sigma):
    with refuses(ValueError, "sigma is the standard deviation of the noise", "finite and above 0", f"got {sigma:g}"):
        validate.sigma_level(sigma)


def test_noise_levels_have_no_largest_value():
    for sigma in (10.5, 78.7, 1e6):
        assert validate.sigma_level(sigma) == sigma


def test_zero_is_a_noise_level_where_it_is_allowed():
    assert validate.sigma_level(0, zero=True) == 0.0
    assert validate.levels([0, 0.1], zero=True) == (0.0, 0.1)
    assert torch.equal(validate.batch_sigma(0, X, zero=True), torch.zeros(1, 1, 1, 1))
    with refuses(ValueError, "finite and at least 0, got -0.1"):
        validate.sigma_level(-0.1, zero=True)


def test_only_large_noise_levels_on_small_images_are_suspected_of_other_units():
    with pytest.warns(UserWarning, match="sigma is 25, but no intensity of the images is above 0.5.*divide it by 255"):
        validate.warn_of_units(25.0, X)
    with pytest.warns(UserWarning, match="sigma is 25"):
        validate.warn_of_units(torch.tensor([0.1, 25.0]), X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate.warn_of_units(25.0, 25 * X)
        validate.warn_of_units(10.0, X)
        torch.func.vmap(lambda y: validate.warn_of_units(25.0, y) or y)(X)


@pytest.mark.parametrize(
    ("sigma", "dtype", "rounded"),
    [(1e-46, torch.float32, "0"), (1e-9, torch.float16, "0"), (1e5, torch.float16, "inf")],
)
def test_noise_levels_that_the_type_of_the_images_cannot_hold(sigma, dtype, rounded):
    for given in (sigma, torch.tensor([sigma, sigma], dtype=torch.float64), np.array([sigma, sigma])):
        with refuses(ValueError, f"sigma, rounded to {dtype}, is the standard deviation", f"got {rounded}"):
            validate.batch_sigma(given, X.to(dtype))
    assert validate.batch_sigma(1e-46, X.double()).item() == 1e-46


@pytest.mark.parametrize("sigma", ["0.1", b"1", True, None, [0.1], {}], ids=repr)
def test_noise_levels_that_are_no_number(sigma):
    with refuses(TypeError, "level must be a number, got ", type(sigma).__name__):
        validate.sigma_level(sigma, "level")


def test_several_noise_levels_where_one_is_asked_for():
    with refuses(ValueError, "sigma must be one number here, got shape (2,)"):
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
    for bad in (torch.ones(3), torch.ones(2, 1), torch.ones(0), torch.ones(3, 1, 1, 1), torch.ones(1, 2, 1, 1)):
        with refuses(
            ValueError, "sigma must be a number or a tensor of shape (batch,) = (2,), got shape", str(tuple(bad.shape))
        ):
            validate.batch_sigma(bad, X)
    for bad, shown in ((torch.nan, "nan"), (0.0, "0"), (-1.0, "-1"), (torch.inf, "inf")):
        with refuses(ValueError, f"must be finite and above 0, got {shown}"):
            validate.batch_sigma(torch.tensor([0.1, bad]), X)


@pytest.mark.parametrize(
    ("sigma", "kind"),
    [
        (torch.ones(2, device="meta"), "meta"),
        (torch.ones(2).to_sparse(), "sparse"),
        (torch.ones(2, dtype=torch.complex64), "complex"),
        (torch.ones(2, dtype=torch.bool), "boolean"),
        (torch.tensor(True), "boolean"),
        (torch.tensor(1.0, device="meta"), "meta"),
    ],
)
def test_noise_levels_of_tensors_that_hold_no_real_numbers(sigma, kind):
    with refuses(TypeError, "sigma must be a number or a tensor of real numbers, got a", kind):
        validate.batch_sigma(sigma, X)
    for taker in (validate.number, validate.real_array, validate.levels):
        with pytest.raises((TypeError, ValueError), match=f"sigma must .*({kind} tensor|one number)"):
            taker(sigma, "sigma")


def test_batches_of_noise_levels_of_four_axes():
    level = validate.batch_sigma(torch.tensor([0.5, 0.25]).reshape(2, 1, 1, 1), X)
    assert level.flatten().tolist() == [0.5, 0.25]
    assert validate.batch_sigma(torch.full((1, 1, 1, 1), 0.5), X).shape == (1, 1, 1, 1)
    assert validate.batch_sigma(np.array([0.5, 0.25]), X).flatten().tolist() == [0.5, 0.25]
    assert validate.batch_sigma(torch.tensor([1, 2]), X).dtype == X.dtype


@pytest.mark.parametrize("shape", [(), (2,)])
def test_noise_levels_keep_their_gradient(shape):
    sigma = torch.full(shape, 0.3, requires_grad=True)
    (validate.batch_sigma(sigma, X) * X).sum().backward()
    assert torch.equal(sigma.grad, torch.full(shape, float(X.sum()) / (2 if shape else 1)))


def test_noise_levels_that_torch_hides():
    sigma = torch.tensor([0.1, 0.2])

    def scaled(y, s):
        return validate.images(y[None]) * validate.batch_sigma(s, y[None])

    assert torch.equal(torch.func.vmap(scaled)(X, sigma)[:, 0], X * sigma.reshape(2, 1, 1, 1))
    slopes = torch.func.vmap(torch.func.grad(lambda s: (validate.batch_sigma(s, X) * X).sum()))(sigma)
    assert torch.allclose(slopes, X.sum().expand(2))


def test_compiled_code_does_not_stop_at_the_checks():
    def scaled(y, s):
        return validate.images(y) * validate.batch_sigma(s, y)

    compiled = torch.compile(scaled, backend="eager", fullgraph=True)
    for sigma in (0.5, torch.tensor(0.5), torch.tensor([0.5, 0.25])):
        assert torch.equal(compiled(X, sigma), scaled(X, sigma))


def test_checks_make_no_tensor_on_the_default_device():
    with torch.device("meta"):
        for sigma in (0.5, np.array([0.5, 0.25]), np.float32(0.5)):
            assert validate.batch_sigma(sigma, X).device == X.device


def test_levels():
    for good in (
        [0.1, 0.2],
        (0.1, 0.2),
        np.array([0.1, 0.2]),
        torch.tensor([0.1, 0.2], dtype=torch.float64),
        iter([0.1, 0.2]),
    ):
        assert validate.levels(good) == (0.1, 0.2)
    for one in (0.1, np.float32(0.5), 1):
        assert validate.levels(one) == (float(one),)
    for bad in (True, "0.1", None, {}, torch.ones(2).to_sparse(), np.array([True])):
        with refuses(TypeError, "sigmas must"):
            validate.levels(bad)
    for bad, shown in (([], "at least one noise level"), (np.ones((2, 2)), "1 axis"), (torch.tensor(0.1), "1 axis")):
        with refuses(ValueError, "sigmas must", shown):
            validate.levels(bad)
    with refuses(TypeError, "each of sigmas must be a number, got bool True"):
        validate.levels([0.1, True])
    with refuses(ValueError, "each of sigmas", "above 0, got 0"):
        validate.levels([0.1, 0.0])


def test_thresholds():
    assert validate.batch_threshold(3, X).flatten().tolist() == [3.0]
    assert validate.batch_threshold(torch.tensor([3.0, 2.0]), X).flatten().tolist() == [3.0, 2.0]
    for bad in (0, -1, torch.tensor([1.0, 0.0])):
        with refuses(ValueError, "threshold must be finite and above 0"):
            validate.batch_threshold(bad, X)


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
    for bad in (True, "2", None, 1j, np.bool_(True), np.complex64(1)):
        with refuses(TypeError, "alpha must be a number, got", type(bad).__name__):
            validate.positive(bad, "alpha")


@pytest.mark.parametrize(
    "value",
    [
        *(2, Fraction(4, 2), np.float16(2), np.float32(2), np.int64(2), np.array(2.0), np.array([2]), torch.tensor(2)),
        *(torch.tensor([[2.0]]), torch.tensor(2.0, dtype=torch.bfloat16), torch.tensor(2.0, requires_grad=True)),
    ],
    ids=repr,
)
def test_numbers_of_every_library(value):
    assert validate.number(value, "a") == 2.0
    assert type(validate.number(value, "a")) is float


def test_bounds_of_numbers():
    assert validate.number(0, "a", least=0, below=1) == 0.0
    assert validate.number(1, "a", above=0, most=1) == 1.0
    for value, bounds, words in (
        (0, {"above": 0, "most": 1}, "a must lie in (0, 1], got 0"),
        (1, {"least": 0, "below": 1}, "a must lie in [0, 1), got 1"),
        (-1, {"least": 0}, "a must be finite and at least 0, got -1"),
        (2, {"below": 2}, "a must be finite and below 2, got 2"),
        (3, {"most": 2}, "a must be finite and at most 2, got 3"),
        (float("nan"), {}, "a must be finite, got nan"),
        (10**5000, {}, "a must be a number below 1.8e308"),
        (np.ones(2), {}, "a must be one number here, got shape (2,)"),
        (torch.ones(0), {}, "a must be one number here, got shape (0,)"),
    ):
        with refuses(ValueError, words):
            validate.number(value, "a", **bounds)


def test_seeds():
    assert validate.seed(np.int64(3)) == 3
    assert type(validate.seed(np.int64(3))) is int
    assert validate.seed(2**128 - 1) == 2**128 - 1
    with refuses(TypeError, "seed must be an integer, got None; the same seed gives the same result"):
        validate.seed(None)
    for bad in (2**128, 10**5000):
        with refuses(ValueError, "seed must be between 0 and", "got"):
            validate.seed(bad)
    for bad in (True, np.bool_(False), 0.0, "0", np.float64(3)):
        with refuses(TypeError, "seed must be an integer, got", type(bad).__name__):
            validate.seed(bad)
    with refuses(ValueError, "seed must be between 0 and 9, got -1"):
        validate.seed(-1, high=9)


def test_words():
    assert validate.one_of("hard", "rule", ("soft", "hard")) == "hard"
    with refuses(ValueError, 'rule must be "soft" or "hard", got \'firm\''):
        validate.one_of("firm", "rule", ("soft", "hard"))
    with refuses(ValueError, 'rule must be "soft", "hard" or "firm", got NoneType'):
        validate.one_of(None, "rule", ("soft", "hard", "firm"))
    with refuses(ValueError, 'rule must be "soft", got list'):
        validate.one_of(["soft"], "rule", ("soft",))


@pytest.mark.parametrize(
    "value",
    [
        *([1, 2], (1.0, 2.0), np.array([1, 2]), np.float32([1, 2]), torch.tensor([1, 2])),
        *(torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([1.0, 2.0], dtype=torch.bfloat16)),
    ],
    ids=repr,
)
def test_arrays_of_every_library(value):
    array = validate.real_array(value, "values", 1)
    assert array.dtype == np.float64
    assert array.tolist() == [1.0, 2.0]


def test_arrays_are_copied():
    given = np.array([1.0, 2.0])
    validate.real_array(given, "values")[0] = 5
    assert given[0] == 1


def test_arrays_that_are_none():
    for bad in ([True], [1j], ["x"], "x", None, {}, object(), [[1, 2], [3]], [2**128], np.array([True])):
        with refuses(TypeError, "values must"):
            validate.real_array(bad, "values")
    for bad, words in (
        ([], "values must hold at least one number, got shape (0,)"),
        ([[1.0]], "values must have 1 axis, got shape (1, 1)"),
        ([1.0, np.nan, np.inf], "values must be finite, got 2 of 3 values"),
    ):
        with refuses(ValueError, words):
            validate.real_array(bad, "values", 1)
    with refuses(ValueError, "values must have 1 or 2 axes, got shape ()"):
        validate.real_array(3.0, "values", (1, 2))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X.to_sparse(), "dense tensor, got the layout torch.sparse_coo; convert it with images.to_dense()"),
        (X.to("meta"), "meta device and holds no values"),
        (X.to(torch.complex64), "take the real part"),
        (X.to(torch.float8_e4m3fn), "must be floating point"),
    ],
)
def test_images_without_values_or_of_other_numbers(x, words):
    with refuses(TypeError, "images", words):
        validate.images(x)


def test_sizes():
    assert validate.sizes((1, np.int64(2), 3), 3) == (1, 2, 3)
    assert validate.sizes(torch.Size([2, 1, 3, 3]), 4) == (2, 1, 3, 3)
    for bad in (None, "abc", 3, {}):
        with refuses(TypeError, "shape must be (channels, height, width), got", type(bad).__name__):
            validate.sizes(bad, 3)
    with refuses(ValueError, "shape must be (n, channels, height, width), got (1, 2, 3)"):
        validate.sizes((1, 2, 3), 4)
    with refuses(ValueError, "each of shape must be at least 1, got 0"):
        validate.sizes((0, 2, 3), 3)
    with refuses(ValueError, "shape must hold at most", "numbers in all, got 4.61e+18"):
        validate.sizes((1, 2**31, 2**31), 3)


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
    with refuses(ValueError, "shape must be (channels, height, width) with 24 pixels in all, got (2, 3, 5)"):
        validate.square_shape(24, (2, 3, 5))
    for bad in ((4, 6), (1, 2, 3, 4)):
        with refuses(ValueError, "shape must be (channels, height, width), got", str(bad)):
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


def test_what_a_denoiser_returns():
    assert torch.equal(validate.denoised(lambda y, sigma: y * sigma, X, 0.5), 0.5 * X)
    for out, error, words in (
        (None, TypeError, "f must return a torch tensor, got NoneType"),
        (0.5, TypeError, "f must return a torch tensor, got float 0.5"),
        (X[:, 0], ValueError, "f must return images of the shape of its input, (2, 1, 4, 4), got (2, 4, 4)"),
        (X.expand(2, 2, 4, 4), ValueError, "if it learned a variance beside, take out[:, :1]"),
        (X.double(), TypeError, "f must return the dtype of its input, torch.float32, got torch.float64"),
        (X.long(), TypeError, "f must return the dtype of its input, torch.float32, got torch.int64"),
        (X.to("meta"), ValueError, "f must return a tensor on the device of its input, cpu, got meta"),
        (X.to_sparse(), TypeError, "f must return a dense tensor"),
        (X * torch.nan, ValueError, "what f returned must be finite, got 32 of 32 values"),
    ):
        with refuses(error, words):
            validate.denoised(lambda y, sigma, out=out: out, X, 0.5)
    with refuses(TypeError, "f must be a denoiser that can be called as f(y, sigma), got str 'net.pt'"):
        validate.denoised("net.pt", X, 0.5)
    with refuses(RuntimeError, "f is in train mode"):
        validate.denoised(torch.nn.Dropout(), X, 0.5)


def test_the_errors_of_a_denoiser_pass_through():
    def broken(y, sigma):
        raise KeyError("my own")

    with refuses(KeyError, "my own"):
        validate.denoised(broken, X, 0.5)
    with pytest.raises(RuntimeError, match="size of tensor"):
        validate.denoised(lambda y, sigma: y + torch.ones(3), X, 0.5)


@pytest.mark.parametrize("f", [lambda y, s: y / (1 + s.reshape(-1, 1, 1, 1)), lambda y, s: y * sum(s)])
def test_a_denoiser_that_wants_a_tensor_of_levels_is_told_how_to_take_both(f):
    with refuses(TypeError, "f may want sigma as a tensor, and is called with a number ('float' object"):
        validate.denoised(f, X, 0.5)
    validate.denoised(lambda y, s: f(y, torch.as_tensor(s).expand(len(y))), X[:1], 0.5)


def test_an_attribute_that_is_missing_elsewhere_is_left_as_it_is():
    with refuses(AttributeError, "no attribute 'nothing'"):
        validate.denoised(lambda y, s: y.nothing, X, 0.5)


def test_a_network_of_another_type_than_the_images():
    class Filter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1, 1, 1, 1))

        def forward(self, y, sigma):
            return torch.nn.functional.conv2d(y, self.weight)

    f = Filter().eval()
    with refuses(TypeError, "f holds torch.float32, but the images are torch.float64; convert them with .to(torch.f"):
        validate.denoised(f, X.double(), 0.5)
    assert validate.denoised(f, X, 0.5).dtype == torch.float32


def test_what_an_image_class_returns():
    class Given:
        def __init__(self, x):
            self.x = x

        def sample(self, n, seed=0, start=0):
            return self.x

    assert validate.sampled(Given(X), 2) is X
    with refuses(ValueError, "Given.sample(3) must return 3 images, got 2"):
        validate.sampled(Given(X), 3)
    with refuses(TypeError, "what Given.sample(2) returned must be a torch tensor", "got NoneType"):
        validate.sampled(Given(None), 2)
    with refuses(ValueError, "what Given.sample(2) returned must be finite"):
        validate.sampled(Given(X * torch.nan), 2)
    with refuses(TypeError, "the image class must have a method sample(n, seed=0, start=0), got str 'disks'"):
        validate.sampled("disks", 2)
