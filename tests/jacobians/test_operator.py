import copy
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from gahb_theory.jacobians import Jacobian, jacobian

SIGMA = 0.2


def reference(f, y):
    """The dense Jacobian by torch's own row by row loop."""
    dense = torch.autograd.functional.jacobian(lambda x: f(x.clone(), SIGMA), y)
    return dense.reshape(-1, y.numel())


def random(*shape, seed=3, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def relu_on_input(y, sigma):
    return nn.functional.relu(y.sub_(0.5), inplace=True) * y.roll(1, -1)


def denoisers(network):
    return {
        "relu": (network(), (1, 6, 5)),
        "bias": (network(bias=True), (1, 6, 5)),
        "smooth": (network(smooth=True, bias=True), (1, 5, 6)),
        "frozen": (network().requires_grad_(False), (1, 4, 4)),
        "colour": (network(3, 3), (3, 4, 3)),
        "four to three": (network(4, 3, bias=True), (4, 3, 4)),
        "smaller output": (lambda y, sigma: nn.functional.avg_pool2d(y.square(), 2), (2, 4, 6)),
        "flat output": (lambda y, sigma: y.square().sum(dim=(1, 2, 3)), (1, 3, 3)),
        "in place on its input": (relu_on_input, (1, 4, 5)),
        "fourier": (lambda y, sigma: torch.fft.ifft2(torch.fft.fft2(y).abs().sqrt()).real, (1, 4, 5)),
    }


@pytest.fixture(params=list(denoisers(lambda *_, **__: nn.Identity())))
def case(request, network, image):
    f, shape = denoisers(network)[request.param]
    return f, image(*shape)


def test_matrix_is_the_dense_reference(case):
    f, y = case
    dense = reference(f, y)
    J = jacobian(f, y, SIGMA, chunk=7)
    assert J.shape == tuple(dense.shape)
    torch.testing.assert_close(J.matrix(), dense, rtol=1e-10, atol=1e-12)


def test_products_are_those_of_the_dense_reference(case):
    f, y = case
    dense = reference(f, y)
    J = jacobian(f, y, SIGMA, chunk=3)
    v, u = random(J.shape[1], 5), random(J.shape[0], 4)
    torch.testing.assert_close(J.matvec(v), dense @ v, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(J.rmatvec(u), dense.mT @ u, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(J.matvec(v[:, 0]), dense @ v[:, 0], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(J.rmatvec(u[:, 0]), dense.mT @ u[:, 0], rtol=1e-10, atol=1e-12)
    chosen = [J.shape[0] - 1, 0, 0]
    torch.testing.assert_close(J.rows(chosen), dense[chosen], rtol=1e-10, atol=1e-12)
    chosen = [J.shape[1] - 1, 0, 0]
    torch.testing.assert_close(J.columns(chosen), dense[:, chosen], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(torch.from_numpy(J.sparse_matrix().toarray()), dense, rtol=1e-10, atol=1e-12)
    if J.shape[0] == J.shape[1]:
        torch.testing.assert_close(J.diagonal(), dense.diagonal(), rtol=1e-10, atol=1e-12)


def test_attributes(network, image):
    f, y = network(4, 3), image(4, 5, 6)
    J = jacobian(f, y, SIGMA)
    assert (J.shape, J.input_shape, J.output_shape) == ((90, 120), (4, 5, 6), (3, 5, 6))
    assert (J.dtype, J.device) == (torch.float64, torch.device("cpu"))
    torch.testing.assert_close(J.output, f(y, SIGMA).detach())
    assert repr(J) == "Jacobian(shape=(90, 120), dtype=torch.float64, device='cpu', chunk=64)"


def test_results_are_detached(network, image):
    J = jacobian(network(), image(1, 4, 4), SIGMA)
    v = random(16).requires_grad_()
    for result in (
        J.output,
        J.matvec(v),
        J.rmatvec(v),
        J.rows([1]),
        J.matrix(),
        J.matvec(v),
        J.rmatvec(v),
        J.rows([1]),
    ):
        assert not result.requires_grad
        assert result.grad_fn is None


@pytest.mark.parametrize("chunk", [1, 2, 5, 64])
def test_chunk_does_not_matter(network, image, chunk):
    f, y, v = network(smooth=True), image(1, 5, 5), random(25, 7)
    J, whole = jacobian(f, y, SIGMA, chunk=chunk), jacobian(f, y, SIGMA, chunk=25)
    torch.testing.assert_close(J.matvec(v), whole.matvec(v), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(J.rmatvec(v), whole.rmatvec(v), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(J.matrix(), whole.matrix(), rtol=1e-12, atol=1e-13)


def test_no_batch_is_larger_than_the_chunk(image, by_autograd):
    batches = []

    def f(y, sigma):
        batches.append(len(y))
        return y.square()

    J = by_autograd(f, image(1, 4, 5), SIGMA, chunk=8)
    J.matvec(random(20, 10))
    J.rmatvec(random(20, 3))
    J.matrix()
    assert batches == [2, 1, 5, 3, 7]  # two probes; 10 columns as 5 + 5; 3 columns; 20 rows as 7 + 7 + 6


def test_block_is_column_by_column(network, image):
    J, v = jacobian(network(), image(1, 5, 5), SIGMA), random(25, 6)
    columns = torch.stack([J.matvec(column) for column in v.mT], dim=1)
    torch.testing.assert_close(J.matvec(v), columns, rtol=1e-12, atol=1e-13)
    rows = torch.stack([J.rmatvec(column) for column in v.mT], dim=1)
    torch.testing.assert_close(J.rmatvec(v), rows, rtol=1e-12, atol=1e-13)


def test_same_result_at_every_call(network, image):
    f, y, v = network(dtype=torch.float32), image(1, 6, 6, dtype=torch.float32), random(36, 3, dtype=torch.float32)
    one, other = jacobian(f, y, SIGMA), jacobian(f, y, SIGMA)
    assert torch.equal(one.matvec(v), one.matvec(v))
    assert torch.equal(one.matvec(v), other.matvec(v))
    assert torch.equal(one.rmatvec(v), one.rmatvec(v))
    assert torch.equal(one.matrix(), other.matrix())


def test_matrix_is_kept(network, image):
    J = jacobian(network(), image(1, 4, 4), SIGMA)
    before, v = J.matvec(random(16)), random(16)
    assert J.matrix() is J.matrix()
    torch.testing.assert_close(J.matvec(v), before, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(J.rmatvec(v), J.matrix().mT @ v)
    torch.testing.assert_close(J.rows(torch.tensor([3, 1])), J.matrix()[[3, 1]])


def test_matrix_changed_in_place_is_noticed(network, image):
    J = jacobian(network(), image(1, 4, 4), SIGMA)
    J.matrix().sub_(1)
    with pytest.raises(RuntimeError, match=r"changed in place .* change J\.matrix\(\)\.clone\(\) instead"):
        J.trace()


def test_module_is_left_as_it_was(network, image):
    f = network(bias=True)
    f.first.weight.requires_grad_(False)
    f.last.weight.grad = torch.ones_like(f.last.weight)
    before = copy.deepcopy(f)
    versions, flags = [p._version for p in f.parameters()], [p.requires_grad for p in f.parameters()]
    state = torch.get_rng_state()
    J = jacobian(f, image(1, 5, 5), SIGMA)
    J.matvec(random(25))
    J.rmatvec(random(25))
    J.matrix()
    J.eigenbasis()
    assert not any(module.training for module in f.modules())
    assert [p.requires_grad for p in f.parameters()] == flags
    assert [p._version for p in f.parameters()] == versions
    assert {n: p.dtype for n, p in f.named_parameters()} == {n: p.dtype for n, p in before.named_parameters()}
    assert f.first.weight.grad is None
    assert torch.equal(f.last.weight.grad, torch.ones_like(f.last.weight))
    assert all(torch.equal(a, b) for a, b in zip(f.state_dict().values(), before.state_dict().values(), strict=True))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("how", ["expanded", "requires grad", "not contiguous", "channels last", "inference"])
def test_any_layout_of_y(network, how):
    base = random(1, 1, 5, 6, seed=9)
    if how == "expanded":
        y = base[:, :, :1, :].expand(1, 1, 5, 6)
    elif how == "requires grad":
        y = base.clone().requires_grad_()
    elif how == "not contiguous":
        y = random(1, 1, 6, 10, seed=9).mT[:, :, ::2]
    elif how == "channels last":
        y = base.to(memory_format=torch.channels_last)
    else:
        with torch.inference_mode():
            y = base.clone()
    before, f = y.detach().clone(), network(smooth=True)
    J = jacobian(f, y, SIGMA)
    dense = reference(f, before.contiguous())
    v = random(30)
    torch.testing.assert_close(J.matvec(v), dense @ v, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(J.matrix(), dense, rtol=1e-10, atol=1e-12)
    assert torch.equal(y, before)
    assert y.grad is None


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_any_gradient_mode_of_the_caller(network, image, mode):
    f, y = network(), image(1, 4, 4)
    dense = reference(f, y)
    with mode():
        J, v = jacobian(f, y, SIGMA), random(16)
        torch.testing.assert_close(J.matvec(v), dense @ v, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(J.rmatvec(v), dense.mT @ v, rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(J.matrix(), dense, rtol=1e-10, atol=1e-12)


def test_y_may_change_afterwards(network, image):
    f, y = network(smooth=True), image(1, 4, 4)
    dense = reference(f, y)
    J = jacobian(f, y, SIGMA)
    y.zero_()
    torch.testing.assert_close(J.matrix(), dense, rtol=1e-10, atol=1e-12)


def test_graph_dies_with_the_operator(network, image, by_autograd):
    J = by_autograd(network(), image(1, 4, 4), SIGMA)
    J.matvec(random(16))
    alive = weakref.ref(J._products._graph[0])
    assert alive() is not None
    del J
    assert alive() is None


def test_changed_parameters_are_noticed(network, image):
    f, v = network(), random(16)
    J, kept = (jacobian(f, image(1, 4, 4), SIGMA) for _ in range(2))
    before = kept.matrix() @ v
    with torch.no_grad():
        f.first.weight.mul_(2)
    for product in (J.matvec, J.rmatvec):
        with pytest.raises(RuntimeError, match=r"parameters of f have changed .* call jacobian\(f, y, sigma\) again"):
            product(v)
    torch.testing.assert_close(kept.matvec(v), before)


class OnceDifferentiable(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


class CutBackward(torch.autograd.Function):
    """A gradient that hides its own gradient, without an error."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)
        return x.square()

    @staticmethod
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient.detach()

    @staticmethod
    def jvp(ctx, tangent):
        return 2 * ctx.saved_tensors[0] * tangent


class NoForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.square()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return 2 * ctx.saved_tensors[0] * gradient


@pytest.mark.parametrize("function", [OnceDifferentiable, CutBackward])
def test_forward_mode_where_the_gradient_has_no_gradient(image, by_autograd, function):
    y, v = image(1, 3, 3), random(9, 2)
    J = by_autograd(lambda y, sigma: y.roll(1, -1) + function.apply(y), y, SIGMA)
    dense = reference(lambda y, sigma: y.roll(1, -1) + y.square(), y)
    torch.testing.assert_close(J.matvec(v), dense @ v)
    torch.testing.assert_close(J.rmatvec(v), dense.mT @ v)


def test_no_forward_product_at_all(image, by_autograd):
    y, v = image(1, 3, 3), random(9)
    J = by_autograd(lambda y, sigma: NoForward.apply(y), y, SIGMA)
    with pytest.raises(
        RuntimeError,
        match=r"J v cannot be computed .*double backward.*forward mode, You must implement the jvp.*J\.matrix",
    ):
        J.matvec(v)
    J.matrix()
    torch.testing.assert_close(J.matvec(v), 2 * y.flatten() * v)


def test_trace_and_asymmetry_of_a_planted_matrix(linear, image):
    matrix = torch.tensor([[3.0, 2.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 0.5]], dtype=torch.float64)
    J = jacobian(linear(matrix), image(1, 1, 3), SIGMA)
    assert J.trace() == pytest.approx(2.5)
    assert J.asymmetry() == pytest.approx((8 / 14.25) ** 0.5)  # J - J^T holds 2 and -2
    rotation = torch.tensor([[0.0, 1.0], [-1.0, 0.0]], dtype=torch.float64)
    assert jacobian(linear(rotation), image(1, 1, 2), SIGMA).asymmetry() == pytest.approx(2)
    symmetric = torch.tensor([[1.0, 2.0], [2.0, 5.0]], dtype=torch.float64)
    assert jacobian(linear(symmetric), image(1, 1, 2), SIGMA).asymmetry() == 0


def test_zero_denoiser(image):
    J = jacobian(lambda y, sigma: 0 * y, image(1, 3, 3), SIGMA)
    assert (J.trace(), J.asymmetry(), J.homogeneity_error()) == (0, 0, 0)


def test_homogeneity_error(network, image):
    y = image(1, 5, 5)
    assert jacobian(network(), y, SIGMA).homogeneity_error() < 1e-13
    J = jacobian(lambda y, sigma: y + 1, y, SIGMA)
    assert J.homogeneity_error() == pytest.approx(5 / float((y + 1).norm()))
    c = y.clone()
    assert jacobian(lambda y, sigma: y - c, y, SIGMA).homogeneity_error() == float("inf")


def test_to_scipy(network, image):
    J = jacobian(network(4, 3), image(4, 3, 3), SIGMA)
    operator, dense = J.to_scipy(), jacobian(network(4, 3), image(4, 3, 3), SIGMA).matrix().numpy()
    assert operator.shape == (27, 36)
    assert operator.dtype == np.float64
    v, u = random(36, 3).numpy(), random(27, 3).numpy()
    v.flags.writeable = False
    np.testing.assert_allclose(operator @ v, dense @ v, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator @ v[::-1, 0], dense @ v[::-1, 0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.T @ u, dense.T @ u, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(operator.rmatvec(u[:, 0]), dense.T @ u[:, 0], rtol=1e-10, atol=1e-12)
    single = jacobian(network(dtype=torch.float32), image(1, 3, 3, dtype=torch.float32), SIGMA).to_scipy()
    assert (single @ np.ones(9)).dtype == single.dtype == np.float32


def test_no_progress_bar_for_a_fast_matrix(network, image, capsys):
    jacobian(network(), image(1, 4, 4), SIGMA).matrix()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("shape", "dtype", "chunk"),
    [((1, 4, 4), torch.float32, 64), ((3, 80, 80), torch.float32, 15), ((1, 80, 80), torch.float64, 7)],
)
def test_default_chunk_fits_the_cache(image, shape, dtype, chunk):
    """A function that cannot be recorded counts as a network of 64 channels; of one that is, the width is known."""
    y = image(*shape, dtype=dtype)
    assert jacobian(lambda y, sigma: torch.fft.fft2(y).real, y, SIGMA).chunk == chunk
    assert jacobian(lambda y, sigma: 2 * y, y, SIGMA).chunk == 64


def test_budget_bounds_the_chunk(network, image):
    y = image(1, 40, 40, dtype=torch.float32)
    f = network(dtype=torch.float32)
    largest = 4 * 1600 * 4  # bytes of the four channels
    assert jacobian(f, y, SIGMA, budget=20.0 * 4 * largest).chunk == 20
    assert jacobian(f, y, SIGMA, budget=1.0).chunk == 1
    with pytest.raises(ValueError, match="budget must be finite and above 0, got 0"):
        jacobian(f, y, SIGMA, budget=0.0)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("MPS backend out of memory")])
def test_half_of_the_directions_where_memory_does_not_suffice(image, error):
    matrix = random(12, 12)

    class Small:
        def push(self, v):
            return self.pull(v, matrix.mT)

        def pull(self, u, factor=matrix):
            if len(u) > 3:
                raise error
            return (u.flatten(1) @ factor).reshape(u.shape)

    def make():
        return Jacobian(Small(), image(1, 3, 4), torch.zeros(1, 1, 3, 4, dtype=torch.float64), chunk=12)

    J, block = make(), random(12, 8)
    torch.testing.assert_close(J.matvec(block), matrix @ block)
    assert J.chunk == 3
    torch.testing.assert_close(make().matrix(), matrix)
    torch.testing.assert_close(make().diagonal(), matrix.diagonal())


def test_other_errors_of_the_engine_come_through(image):
    class Broken:
        def push(self, v):
            raise RuntimeError("no such kernel")

        pull = push

    J = Jacobian(Broken(), image(1, 3, 4), torch.zeros(1, 1, 3, 4, dtype=torch.float64), chunk=12)
    with pytest.raises(RuntimeError, match="no such kernel"):
        J.matvec(random(12))
    assert J.chunk == 12


def test_any_engine_will_do(image):
    matrix = random(4, 6)

    class Planted:
        def push(self, v):
            return (v.flatten(1) @ matrix.mT).reshape(-1, 2, 2)

        def pull(self, u):
            return (u.flatten(1) @ matrix).reshape(-1, 1, 2, 3)

    J = Jacobian(Planted(), image(1, 2, 3), torch.zeros(1, 2, 2, dtype=torch.float64), chunk=3)
    v = random(6, 4)
    torch.testing.assert_close(J.matvec(v), matrix @ v)
    torch.testing.assert_close(J.matrix(), matrix)


def test_sigma_reaches_the_denoiser(image):
    seen = []
    jacobian(lambda y, sigma: (seen.append(sigma), y)[1], image(1, 2, 2), torch.tensor(0.25))
    assert set(seen) == {0.25}


# What is refused


def test_refuses_train_mode(network, image):
    f = network()
    f.train()
    with pytest.raises(RuntimeError, match=r"train mode.*call f\.eval\(\) first"):
        jacobian(f, image(1, 4, 4), SIGMA)
    f.eval()
    f.second.train()
    with pytest.raises(RuntimeError, match=r"train mode.*call f\.eval\(\) first"):
        jacobian(f, image(1, 4, 4), SIGMA)
    assert f.second.training
    assert not f.training


def test_refuses_train_mode_that_comes_later(network, image, by_autograd):
    f = network()
    J = by_autograd(f, image(1, 4, 4), SIGMA)
    f.train()
    with pytest.raises(RuntimeError, match="train mode"):
        J.matvec(random(16))


def test_refuses_what_mixes_the_batch(image):
    layer = nn.BatchNorm2d(1, affine=False, track_running_stats=False)  # in train mode, and out of sight
    with pytest.raises(RuntimeError, match=r"f mixes the images of a batch.*eval mode"):
        jacobian(lambda y, sigma: layer(y), image(1, 4, 4), SIGMA)
    alone = jacobian(lambda y, sigma: layer(y), image(1, 4, 4), SIGMA, chunk=1)
    torch.testing.assert_close(alone.matrix(), reference(lambda y, sigma: layer(y), image(1, 4, 4)))


def test_refuses_what_looks_at_the_whole_batch(image):
    with pytest.raises(RuntimeError, match="f mixes the images of a batch"):
        jacobian(lambda y, sigma: y / y.detach().norm(), image(1, 4, 4), SIGMA)


def test_refuses_random_denoisers(image):
    generator = torch.Generator().manual_seed(0)

    def f(y, sigma):
        return y + sigma * torch.randn(y.shape, generator=generator, dtype=y.dtype)

    with pytest.raises(RuntimeError, match="two different answers for two copies of y"):
        jacobian(f, image(1, 4, 4), SIGMA)


@pytest.mark.parametrize(
    "f",
    [
        lambda y, sigma: y.detach() + 1,
        lambda y, sigma: torch.ones_like(y),
        torch.no_grad()(lambda y, sigma: 2 * y),
        lambda y, sigma: torch.from_numpy(2 * y.detach().numpy()),
        lambda y, sigma: torch.ones_like(y) * torch.ones(1, dtype=y.dtype, requires_grad=True),
    ],
)
def test_refuses_output_that_does_not_depend_on_y(image, f):
    with pytest.raises(RuntimeError, match="does not depend on y in a way torch can follow; look for detach"):
        jacobian(f, image(1, 4, 4), SIGMA)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        ("net.pt", TypeError, r"f must be a denoiser that can be called as f\(y, sigma\), got str"),
        (lambda y, sigma: (y, sigma), TypeError, "f must return a tensor of shape .*got tuple"),
        (lambda y, sigma: y.float(), TypeError, "f returned torch.float32 for images of torch.float64"),
        (lambda y, sigma: y[:1], ValueError, r"one output for each image .*\(1, 1, 4, 4\) for a batch of 2 images"),
        (lambda y, sigma: y.sum(), ValueError, r"one output for each image .*got shape \(\)"),
        (lambda y, sigma: y / 0, ValueError, "NaN or infinite; look at f"),
        (lambda y, sigma: y[..., :0], ValueError, "is empty"),
        (
            lambda y, sigma: (y - y.detach()).sqrt(),
            ValueError,
            "gradient of f at y is not finite; look for square roots",
        ),
    ],
)
def test_refuses_bad_denoisers(image, unchecked, f, error, message):
    with pytest.raises(error, match=message):
        jacobian(f, image(1, 4, 4), SIGMA)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        ([[[[0.0]]]], TypeError, "y must be a torch tensor.*list.*torch.as_tensor"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), TypeError, r"y must be floating point.*uint8.*x.float\(\) / 255"),
        (torch.zeros(2, 1, 4, 4), ValueError, r"y must be one image.*\(2, 1, 4, 4\); take one with y\[:1\]"),
        (torch.zeros(4, 4), ValueError, r"y must have shape .*got \(4, 4\); add the missing axes: x\[None, None\]"),
        (torch.full((1, 1, 4, 4), float("nan")), ValueError, "y must be finite, got 16 of 16"),
    ],
)
def test_refuses_bad_images(unchecked, y, error, message):
    with pytest.raises(error, match=message):
        jacobian(lambda y, sigma: y, y, SIGMA)


@pytest.mark.parametrize(
    ("sigma", "error", "message"),
    [
        (0.0, ValueError, "must be finite and above 0, got 0"),
        (-1.0, ValueError, "must be finite and above 0, got -1"),
        (float("nan"), ValueError, "must be finite and above 0"),
        (True, TypeError, "sigma must be a number, got bool"),
        (torch.tensor([0.1, 0.2]), ValueError, r"sigma must be one number here, got shape \(2,\)"),
        ("loud", TypeError, "sigma must be a number, got str"),
    ],
)
def test_refuses_bad_sigma(image, unchecked, sigma, error, message):
    with pytest.raises(error, match=message):
        jacobian(lambda y, sigma: y, image(1, 4, 4), sigma)


@pytest.mark.parametrize("chunk", [0, -3])
def test_refuses_bad_chunk(image, chunk):
    with pytest.raises(ValueError, match=f"chunk must be at least 1, got {chunk}"):
        jacobian(lambda y, sigma: y, image(1, 4, 4), SIGMA, chunk=chunk)


def test_refuses_other_dtype_than_the_parameters(network, image):
    with pytest.raises(TypeError, match=r"y is torch.float32, but the parameter first.weight of f is torch.float64"):
        jacobian(network(), image(1, 4, 4, dtype=torch.float32), SIGMA)


def test_refuses_other_device_than_the_parameters(network, image):
    with pytest.raises(ValueError, match=r"y is on cpu, but the parameter first.weight of f is on meta; move y with"):
        jacobian(network().to("meta"), image(1, 4, 4), SIGMA)


@pytest.mark.parametrize(
    ("v", "error", "message"),
    [
        (np.zeros(16), TypeError, r"v must be a torch tensor, got ndarray; J\.to_scipy\(\) takes numpy arrays"),
        (torch.zeros(16), TypeError, "v is torch.float32, but the Jacobian is torch.float64"),
        (random(15), ValueError, r"v must have shape \(16,\), or \(16, m\).*got \(15,\)"),
        (random(1, 1, 4, 4), ValueError, r"got \(1, 1, 4, 4\); flatten an image"),
        (random(16, 0), ValueError, r"got \(16, 0\)"),
        (torch.full((16,), float("inf"), dtype=torch.float64), ValueError, "v must be finite"),
        (torch.zeros(16, device="meta", dtype=torch.float64), ValueError, "v is on meta, but the Jacobian is on cpu"),
    ],
)
def test_refuses_bad_vectors(image, unchecked, v, error, message):
    J = jacobian(lambda y, sigma: y, image(1, 4, 4), SIGMA)
    with pytest.raises(error, match=message):
        J.matvec(v)
    with pytest.raises(error, match=message.replace("v ", "u ", 1)):
        J.rmatvec(v)


@pytest.mark.parametrize(
    ("indices", "message"),
    [([16], "row index must be between 0 and 15, got 16"), ([-1], "between 0 and 15"), ([], "at least one row")],
)
def test_refuses_bad_rows(image, indices, message):
    with pytest.raises(ValueError, match=message):
        jacobian(lambda y, sigma: y, image(1, 4, 4), SIGMA).rows(indices)


def test_refuses_the_trace_of_a_rectangle(network, image):
    J = jacobian(network(4, 3), image(4, 3, 3), SIGMA)
    with pytest.raises(ValueError, match=r"the trace needs a square Jacobian, got shape \(27, 36\).*use svd"):
        J.trace()
    with pytest.raises(ValueError, match="the asymmetry needs a square Jacobian"):
        J.asymmetry()


@pytest.mark.gpu
def test_accelerator(network, image):
    if not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        pytest.skip("no CUDA or MPS device")
    device = "cuda" if torch.cuda.is_available() else "mps"
    f, y = network(dtype=torch.float32), image(1, 20, 20, dtype=torch.float32)
    here = jacobian(f, y, SIGMA)
    there = jacobian(copy.deepcopy(f).to(device), y.to(device), SIGMA)
    v = random(400, 3, dtype=torch.float32)
    torch.testing.assert_close(there.matvec(v.to(device)).cpu(), here.matvec(v), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(there.rmatvec(v.to(device)).cpu(), here.rmatvec(v), rtol=1e-3, atol=1e-4)
    E, U = there.eigenbasis(4), there.svd(4)
    assert E.atoms.device.type == U.right.device.type == device
    torch.testing.assert_close(E.eigenvalues.cpu(), here.eigenbasis(4).eigenvalues, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(there.eigenbasis().eigenvalues[:4], E.eigenvalues, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(there.svd().values[:4], U.values, rtol=1e-3, atol=1e-4)
