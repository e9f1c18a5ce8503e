"""A derivative that is not that of f is refused; that of f is not, wherever it exists."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

import gahb_theory as gt
from gahb_theory.jacobians import difference_jacobian, dimension_by_normal_bundle, jacobian, posterior_moments
from gahb_theory.jacobians.difference_check import direction

SIGMA = 0.1
AGREES = "agrees with differences"
HIDDEN = "is that of another function.*difference_jacobian"


def noisy(size=16, channels=1, dtype=torch.float64, sigma=SIGMA):
    x = gt.Photographs(size=size, channels=channels).sample(1)
    return gt.add_noise(x.to(dtype), sigma, seed=1)


def blur(y):
    return functional.avg_pool2d(y, 3, stride=1, padding=1)


# --- what hides a part of f --------------------------------------------------------------------------------------------


class Quantised(torch.autograd.Function):
    """Rounds, and passes gradients straight through."""

    @staticmethod
    def forward(ctx, x):
        return torch.round(255 * x) / 255

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class WrongBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 0.5 * x

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class GradientStep(nn.Module):
    """y - grad g(y) whose graph is kept in training alone."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.a, self.b = (torch.randn(*s, 3, 3, generator=generator).double() / 3 for s in ((8, 1), (1, 8)))

    def forward(self, y, sigma):
        with torch.enable_grad():
            x = y if y.requires_grad else y.detach().requires_grad_()
            inner = functional.softplus(functional.conv2d(x, self.a, padding=1))
            g = 0.5 * (x - functional.conv2d(inner, self.b, padding=1)).square().sum()
            (d,) = torch.autograd.grad(g, x, create_graph=self.training)
        return y - 0.5 * d


class Kept(nn.Module):
    """Puts what it removes into a buffer, behind the back of the graph."""

    def __init__(self):
        super().__init__()
        self.register_buffer("removed", torch.zeros(1, dtype=torch.float64), persistent=False)

    def forward(self, y, sigma):
        self.removed = torch.zeros_like(y)
        self.removed.data.copy_(y - blur(y))
        return y - self.removed


def one_channel(y, sigma):
    first, rest = blur(y[:, :1]), blur(y[:, 1:])
    return torch.cat([first.detach() + 0 * first, rest], dim=1)


def one_corner(y, sigma):
    out = blur(y).clone()
    out[:, :, :4, :4] = out[:, :, :4, :4].detach()
    return out


def block_matching(y, sigma):
    """The mean of each image and a shift of it, weighted by a similarity that the graph does not know."""
    with torch.no_grad():
        similarity = torch.exp(-((y - y.roll(1, -1)) ** 2) / 0.02)
    return (y + similarity * y.roll(1, -1)) / (1 + similarity)


def norm_detached(y, sigma):
    n = y.detach().flatten(1).norm(dim=1).reshape(-1, 1, 1, 1) / 16
    return n * torch.tanh(y / n)


HIDING = {
    "gradient step": (GradientStep().eval(), 1),
    "no_grad": (lambda y, sigma: y - torch.no_grad()(lambda z: z - blur(z))(y), 1),
    "data": (lambda y, sigma: y - (y.data - blur(y.data)), 1),
    "numpy": (lambda y, sigma: y - torch.from_numpy(0.5 * y.detach().numpy()), 1),
    "buffer": (Kept().eval(), 1),
    "wrong backward": (lambda y, sigma: WrongBackward.apply(y), 1),
    "one channel": (one_channel, 3),
    "one corner": (one_corner, 1),
    "block matching": (block_matching, 1),
    "norm": (norm_detached, 1),
    "mean": (
        lambda y, sigma: y.detach().mean((1, 2, 3), keepdim=True) + 0.5 * (y - y.mean((1, 2, 3), keepdim=True)),
        1,
    ),
    "half": (lambda y, sigma: 0.5 * y + 0.5 * y.detach(), 1),
    "rounded": (lambda y, sigma: torch.round(255 * blur(y)) / 255, 1),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
@pytest.mark.parametrize(("f", "channels"), HIDING.values(), ids=HIDING.keys())
def test_a_hidden_part_is_refused(f, channels, dtype):
    y = noisy(channels=channels, dtype=dtype)
    if isinstance(f, GradientStep) and dtype == torch.float32:
        f = copy.deepcopy(f)
        f.a, f.b = f.a.float(), f.b.float()
    with pytest.raises(RuntimeError, match=HIDDEN):
        jacobian(f, y, SIGMA)


def test_every_reading_refuses_it():
    def f(y, sigma):
        return y - (y - blur(y)).data

    y = noisy()
    for call in (
        lambda: gt.exact_trace(f, y, SIGMA),
        lambda: gt.Hutchinson(probes=2)(f, y, SIGMA),
        lambda: gt.sure(f, y, SIGMA),
        lambda: gt.measure_behaviour(f, dtype=torch.float64),
        lambda: gt.testing.check_denoiser(f, dtype=torch.float64),
        lambda: gt.jacobians.eigenbasis_path(f, y, [0.2, 0.1], 2),
    ):
        with pytest.raises(RuntimeError, match=HIDDEN):
            call()
    diagonal = difference_jacobian(f, y, SIGMA).diagonal()  # the way on gives the right value
    torch.testing.assert_close(diagonal, torch.full_like(diagonal, 1 / 9), rtol=0, atol=1e-8)


def test_no_forward_product_is_no_way_around():
    """Where only J^T u can be computed, projections of J v are compared."""

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            return 0.5 * x

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, gradient):
            return ctx.factor * gradient, None

    y = noisy()
    J = jacobian(lambda y, sigma: Once.apply(y, 0.5), y, SIGMA)
    assert J.check == AGREES
    assert J.trace() == pytest.approx(128)
    with pytest.raises(RuntimeError, match=HIDDEN):
        jacobian(lambda y, sigma: Once.apply(y, 0.7), y, SIGMA)


# --- no false alarms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
def test_denoisers_of_all_kinds_agree(sigma, dtype):
    images = gt.Photographs(size=16).sample(20).to(dtype)
    denoisers = {
        "network": gt.shipped_denoiser("unet_c_alpha").to(dtype),
        "memory": gt.EmpiricalBayes(images),
        "hard": gt.ShrinkageDenoiser(gt.Wavelet("db4"), gt.Hard(3.0)),
        "soft": gt.ShrinkageDenoiser(gt.DCT(), gt.Soft(1.5)),
        "oracle": gt.ShrinkageDenoiser(gt.DCT(), gt.oracle_gains),
        "clamped": lambda y, s: (0.9 * y).clamp(0, 1),
        "two points": lambda y, s: torch.tanh(y / s**2),
        "median": lambda y, s: torch.stack([y.roll(i, -1) for i in (-1, 0, 1)]).median(0).values,
        "single precision inside": lambda y, s: torch.tanh(3 * y.float()).to(y) / 3,
    }
    for seed in (0, 1):
        y = gt.add_noise(images[:1], sigma, seed=seed)
        for name, f in denoisers.items():
            assert jacobian(f, y, sigma).check == AGREES, name


def test_published_networks_agree(optional_data):
    for path in sorted((optional_data / "weights").glob("*.pt")):
        f = gt.load_denoiser(path)
        for sigma in (0.02, 0.2):
            assert jacobian(f, noisy(24, dtype=torch.float32, sigma=sigma), sigma).check == AGREES


def test_derivatives_that_vanish_agree():
    """The nearest image of a dictionary: J is 0 but for rounding, and its products can be had."""
    f = gt.EmpiricalBayes(gt.Photographs(size=16).sample(20))
    y = noisy(dtype=torch.float32, sigma=0.05)
    J = jacobian(f, y, 0.05)
    assert J.check == AGREES
    assert float(J.matvec(torch.ones(256)).abs().max()) < 1e-4


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda y, sigma: y.abs() + 0.5 * y, "could not be checked"),
        (lambda y, sigma: torch.stack([y, y.roll(1, -1), y.roll(2, -1)]).median(0).values, "kink at y"),
        (gt.shipped_denoiser("unet_c_alpha").double(), "differences of f over several steps do not agree"),
    ],
    ids=["abs", "median", "network"],
)
def test_kinks_at_y_cannot_be_checked(f, reason):
    J = jacobian(f, torch.zeros(1, 1, 8, 8, dtype=torch.float64), SIGMA)
    assert J.check.startswith("could not be checked")
    assert reason in J.check
    assert "check='could not be checked" in repr(J)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
def test_a_gradient_straight_through_cannot_be_checked(dtype):
    """On the scale of the stairs it is right, between them it is not."""
    J = jacobian(lambda y, sigma: Quantised.apply(0.5 * y), noisy(dtype=dtype), SIGMA)
    assert J.check == "could not be checked: f rounds, and has no derivative between the steps that rounding makes"
    with pytest.warns(RuntimeWarning, match="could not be checked: f rounds"):
        gt.exact_trace(lambda y, sigma: Quantised.apply(0.5 * y), noisy(dtype=dtype), SIGMA)


def test_the_direction_sees_means_and_norms():
    y = noisy()
    v = direction(y)
    assert float(v.norm()) == pytest.approx(1)
    assert float((v * y).sum() / y.norm()) == pytest.approx(0.5**0.5, abs=0.05)
    assert float(direction(torch.zeros_like(y)).abs().std()) < 1e-15


def test_a_derivative_of_its_own_is_not_compared():
    """The samples of `DiskBayes` move with y; its gradient is the posterior covariance, not the slope of its values."""
    disks = gt.Disks(size=16)
    y, f = gt.add_noise(disks.sample(1, seed=4, dtype=torch.float64), 0.03), gt.DiskBayes(disks, samples=64)
    assert jacobian(f, y, 0.03).check.startswith("not compared")
    with pytest.raises(RuntimeError, match=HIDDEN):
        jacobian(lambda y, sigma: f(y, sigma), y, 0.03)


# --- memory ------------------------------------------------------------------------------------------------------------


class Warm(nn.Module):
    """Starts from its last answer."""

    last = None

    def forward(self, y, sigma):
        start = y if self.last is None or self.last.shape != y.shape else self.last
        self.last = (0.5 * start + 0.5 * blur(y)).detach()
        return self.last + 0.5 * y - 0.5 * y.detach()


@pytest.mark.parametrize(
    "call",
    [
        lambda f: jacobian(f, noisy(), SIGMA),
        lambda f: difference_jacobian(f, noisy(), SIGMA),
        lambda f: gt.measure_behaviour(f),
        lambda f: gt.exact_trace(f, noisy(), SIGMA),
    ],
)
def test_a_denoiser_that_remembers_is_refused(call):
    with pytest.raises(RuntimeError, match=r"another answer for y when it is called again.*warm start"):
        call(Warm().eval())


def test_check_denoiser_refuses_it():
    with pytest.raises(AssertionError, match="the same input must give the same output"):
        gt.testing.check_denoiser(Warm().eval())


# --- settings of the caller --------------------------------------------------------------------------------------------


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.enter = nn.Parameter(torch.randn(24, 1, 4, 4, generator=generator).double() / 4)
        self.leave = nn.Parameter(torch.randn(8, 1, 4, 4, generator=generator).double() / 4)

    def forward(self, y, sigma):
        z = functional.conv2d(y, self.enter.to(y), stride=4)
        q, k, v = (part.contiguous()[:, None] for part in z.flatten(2).mT.chunk(3, dim=2))
        a = functional.scaled_dot_product_attention(q, k, v)[:, 0]
        return y + functional.conv_transpose2d(a.mT.reshape(len(y), 8, *z.shape[2:]), self.leave.to(y), stride=4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["fp64", "fp32"])
def test_attention_has_both_products(dtype):
    f, y = Attention().eval().to(dtype), noisy(20, dtype=dtype)
    J = jacobian(f, y, SIGMA)
    assert J.check == AGREES
    expected = difference_jacobian(Attention().eval(), y.double(), SIGMA).matrix().to(dtype)
    tolerance = {"rtol": 0, "atol": 1e-6 if dtype == torch.float64 else 1e-4}
    v = torch.randn(400, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    torch.testing.assert_close(J.matvec(v), expected @ v, **tolerance, msg="J v")
    torch.testing.assert_close(J.rmatvec(v), expected.mT @ v, **tolerance, msg="J^T u")
    values = J.eigenbasis(3).eigenvalues
    wanted = torch.linalg.eigvalsh((expected + expected.mT) / 2).flip(0)[:3]
    torch.testing.assert_close(values, wanted, rtol=0, atol=1e-4)
    assert torch.backends.cuda.flash_sdp_enabled()  # the settings of the caller are those of before


@pytest.mark.parametrize("engine", ["frozen", "autograd"])
def test_autocast_changes_nothing(engine):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            generator = torch.Generator().manual_seed(0)
            self.conv = nn.utils.skip_init(nn.Conv2d, 1, 1, 3, padding=1, bias=False)
            self.conv.weight.data = torch.rand(1, 1, 3, 3, generator=generator) / 9

        def forward(self, y, sigma):
            out = functional.relu(self.conv(y))
            return out if engine == "frozen" else out.flip(-1).flip(-1)

    f, y, v = Net().eval(), noisy(dtype=torch.float32), torch.ones(256)

    def everything():
        J = jacobian(f, y, SIGMA)
        products = [J.matvec(v), J.rmatvec(v), J.rows([3]), J.eigenbasis(2).eigenvalues, J.svd(2).values]
        dense = [J.matrix(), J.matvec(v), J.rmatvec(v), J.diagonal(), J.polar().stretch, J.eig().residuals]
        numbers = [gt.exact_trace(f, y, SIGMA), gt.Hutchinson(probes=2)(f, y, SIGMA), gt.sure(f, y, SIGMA)]
        return [*products, *dense, *numbers]

    expected = everything()
    with torch.autocast("cpu", torch.bfloat16):
        found = everything()
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        behaviour = gt.measure_behaviour(f)
    assert behaviour == gt.measure_behaviour(f)


@pytest.mark.parametrize("make", [jacobian, difference_jacobian])
@pytest.mark.parametrize("dense", [False, True])
def test_a_pickled_jacobian_works(make, dense):
    f, y, v = gt.shipped_denoiser("unet_c_alpha"), noisy(dtype=torch.float32), torch.ones(256)
    J = make(f, y, SIGMA)
    if dense:
        J.matrix()
    expected = J.matvec(v)
    there = pickle.loads(pickle.dumps(J))
    assert torch.equal(there.matvec(v), expected)
    torch.testing.assert_close(there.rmatvec(v), J.rmatvec(v))
    assert torch.equal(copy.deepcopy(J).matvec(v), expected)


def test_a_changed_network_is_not_pickled():
    f = gt.shipped_denoiser("unet_c_alpha")
    J = jacobian(f, noisy(dtype=torch.float32), SIGMA)
    with torch.no_grad():
        next(f.parameters()).mul_(2)
    with pytest.raises(RuntimeError, match="parameters of f have changed"):
        pickle.dumps(J)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, y: difference_jacobian(f, y, SIGMA),
        lambda f, y: posterior_moments(f, y, SIGMA, torch.ones(256)),
        lambda f, y: dimension_by_normal_bundle(f, y, SIGMA),
        lambda f, y: gt.exact_trace(f, y, SIGMA),
        lambda f, y: gt.sure(f, y, SIGMA),
        lambda f, y: gt.measure_behaviour(f),
        lambda f, y: gt.jacobians.eigenbasis_path(f, y, [0.2, 0.1], 2),
    ],
)
def test_train_mode_is_refused_and_changes_nothing(call):
    f, y = gt.UNet(4, 1).train(), noisy(dtype=torch.float32)
    before = {name: value.clone() for name, value in f.state_dict().items()}
    with pytest.raises(RuntimeError, match="train mode"):
        call(f, y)
    assert all(torch.equal(value, before[name]) for name, value in f.state_dict().items())
