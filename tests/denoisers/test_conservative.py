"""Conservative denoisers: the gradient of an energy, a symmetric Jacobian, and f(y) = S y, to rounding."""

import copy
import math

import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory.jacobians.symmetric import SymmetricJacobian
from gahb_theory.training import loop as training

NETWORKS = {
    "unet": lambda c=1: gt.UNet(4, 2, c, seed=1),
    "bfcnn": lambda c=1: gt.BFCNN(4, 5, c, seed=1),
    "windowed": lambda c=1: gt.WindowedCNN(4, (3, 1, 3, 3), c, seed=1),
    "dilated": lambda c=1: gt.DilatedUNet(4, c, seed=1),
    "staged": lambda c=1: gt.StagedCNN(4, 2, 2, seed=1),
    "full": lambda c=1: gt.FullyConnected(16, 32, 3, c, seed=1),
    "linear": lambda c=1: gt.LinearDenoiser(16, c),
}
EVERY = pytest.mark.parametrize("build", NETWORKS.values(), ids=NETWORKS.keys())
BOTH = pytest.mark.parametrize(("dtype", "allowed"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])


def scrambled(network):
    """All weights moved, and deviations of the normalisation that are not 1, so that no layer is close to nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        for module in network.modules():
            if isinstance(module, gt.BiasFreeNorm):
                module.gamma.copy_(0.5 + torch.rand(module.gamma.shape, generator=generator))
                module.running_sd.copy_(0.5 + torch.rand(module.gamma.shape, generator=generator))
    return network.eval()


def noise(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def relative(a, b):
    return float(((a - b).norm() / b.norm()).detach())


def by_autograd(f, y):
    return torch.autograd.functional.jacobian(lambda x: f(x, 0.1), y).reshape(y.numel(), y.numel())


@EVERY
def test_is_the_symmetric_part_of_the_network_applied_to_y(build):
    """f(y) = (J + J^T) y / 2, with J the Jacobian of N, formed on its own by reverse mode."""
    network = scrambled(build()).double()
    y = noise(1, 1, 16, 16)
    j = by_autograd(network, y)
    assert relative(j, j.mT) > 1e-3, "the network itself is not symmetric"
    f = gt.Conservative(network)
    assert not f.training
    torch.testing.assert_close(f(y, 0.1).flatten(), (j + j.mT) / 2 @ y.flatten(), rtol=0, atol=1e-10 * float(j.norm()))
    assert relative(by_autograd(f, y), (j + j.mT) / 2) < 1e-12


@EVERY
@BOTH
def test_equation_6_is_exact(build, dtype, allowed):
    f = gt.Conservative(scrambled(build())).to(dtype)
    y = noise(1, 1, 16, 16, dtype=dtype)
    matrix = by_autograd(f, y)
    assert relative(matrix, matrix.mT) < allowed
    J = gt.jacobian(f, y, 0.1)
    assert J.homogeneity_error() < allowed
    assert J.asymmetry() < allowed
    assert relative(J.matrix(), matrix) < allowed
    assert relative(f(3 * y, 0.1), 3 * f(y, 0.1)) < allowed
    E = J.eigenbasis()
    shrunk = E.atoms.mT @ (E.eigenvalues * (E.atoms @ y.flatten()))
    assert relative(shrunk, f(y, 0.1).flatten()) < 10 * allowed


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("build", [NETWORKS["unet"], NETWORKS["bfcnn"]], ids=["unet", "bfcnn"])
def test_jacobian_by_the_recorded_network(build, channels):
    """All readings agree with the matrix that automatic differentiation of f itself gives."""
    f = gt.Conservative(scrambled(build(channels))).double()
    y = noise(1, channels, 8, 8)
    expected = by_autograd(f, y)
    J = gt.jacobian(f, y, 0.1)
    assert isinstance(J, SymmetricJacobian)
    assert J.engine == "frozen"
    v = noise(len(expected), 3, seed=1)
    torch.testing.assert_close(J.matvec(v), expected @ v)
    torch.testing.assert_close(J.rmatvec(v), expected @ v)
    torch.testing.assert_close(J.rows([0, 5]), expected[[0, 5]])
    torch.testing.assert_close(J.columns([7]), expected[:, [7]])
    torch.testing.assert_close(J.diagonal(), expected.diagonal())
    assert J.trace() == pytest.approx(float(expected.trace()))
    torch.testing.assert_close(torch.as_tensor(J.sparse_matrix().toarray()), expected)
    matrix = J.matrix()
    torch.testing.assert_close(matrix, expected)
    assert torch.equal(matrix, matrix.mT)
    torch.testing.assert_close(torch.as_tensor(J.sparse_matrix().toarray()), expected)
    torch.testing.assert_close(J.diagonal(), expected.diagonal())


def test_a_product_passes_the_network_once_in_each_direction():
    f = gt.Conservative(scrambled(NETWORKS["unet"]())).double()
    J = gt.jacobian(f, noise(1, 1, 16, 16), 0.1)
    network, passes = J._products.network, []
    push, pull = network.push, network.pull
    network.push = lambda v: passes.append("push") or push(v)
    network.pull = lambda v: passes.append("pull") or pull(v)
    J.matvec(noise(256))
    assert sorted(passes) == ["pull", "push"]
    passes.clear()
    J.matrix()
    assert passes == [], "rows of the network by windows, then made symmetric"


def test_few_eigenpairs_take_one_product_each(monkeypatch):
    """The iteration knows that S is symmetric, and finds the pairs of the dense decomposition."""
    f = gt.Conservative(scrambled(NETWORKS["bfcnn"]())).double()
    y = noise(1, 1, 24, 24)
    J = gt.jacobian(f, y, 0.1)
    E = J.eigenbasis(4)
    assert E.asymmetry == 0.0
    calls = []
    monkeypatch.setattr(J, "rmatvec", lambda u: calls.append(u))
    J.eigenbasis(4)
    assert not calls
    torch.testing.assert_close(E.eigenvalues, gt.jacobian(f, y, 0.1).eigenbasis().eigenvalues[:4], rtol=1e-5, atol=0)


def test_within_another_function_it_is_differentiated_as_any():
    f = gt.Conservative(scrambled(NETWORKS["bfcnn"]())).double()
    y = noise(1, 1, 8, 8)
    J = gt.jacobian(lambda x, s: 0.5 * f(x, s), y, 0.1)
    assert J.engine.startswith("autograd")
    torch.testing.assert_close(J.matrix(), by_autograd(f, y) / 2)
    v = noise(64)
    torch.testing.assert_close(gt.jacobian(lambda x, s: 0.5 * f(x, s), y, 0.1).matvec(v), by_autograd(f, y) @ v / 2)


@EVERY
def test_the_score_is_the_gradient_of_the_log_density(build):
    f = gt.Conservative(scrambled(build())).double()
    y, sigma = noise(2, 1, 16, 16).requires_grad_(), torch.tensor([0.3, 0.7], dtype=torch.float64)
    score = (f(y, sigma) - y) / sigma[:, None, None, None] ** 2
    (gradient,) = torch.autograd.grad(f.log_density(y, sigma).sum(), y)
    torch.testing.assert_close(gradient, score)
    (gradient,) = torch.autograd.grad(f.energy(y).sum(), y)
    torch.testing.assert_close(gradient, f(y, sigma))
    with torch.no_grad():
        v, h = noise(2, 1, 16, 16, seed=1), 1e-6
        slope = (f.log_density(y + h * v, sigma) - f.log_density(y - h * v, sigma)) / (2 * h)
    torch.testing.assert_close(slope, (score * v).sum((1, 2, 3)), rtol=1e-4, atol=1e-3)


def test_energy_and_density_by_hand():
    """N = y - A y, so phi = ||y||^2 / 2 - <y, A y> / 2."""
    f = gt.Conservative(gt.LinearDenoiser(2)).double()
    with torch.no_grad():
        f.network.matrix.copy_(torch.tensor([[0.5, 0.2, 0, 0], [0, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]))
    y = torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64).reshape(1, 1, 2, 2)
    assert f.energy(y).item() == pytest.approx(15 - (0.5 + 0.4 + 2 + 9) / 2)
    assert f.log_density(y, 0.5).item() == pytest.approx(-(0.5 + 0.4 + 2 + 9) / 2 / 0.25)
    assert f(y, 0.5).flatten().tolist() == pytest.approx([0.3, 0.9, 0.0, 4.0])
    far = f.float().log_density(1e3 * y.float(), 1e-3)
    assert far.item() == pytest.approx(-5.95e12, rel=1e-5), "no difference of large numbers"


def gaussian_field(d=16):
    generator = torch.Generator().manual_seed(0)
    rotation = torch.linalg.qr(torch.randn(d, d, generator=generator, dtype=torch.float64)).Q
    return rotation, torch.linspace(1, 0, d, dtype=torch.float64) ** 2


def log_normal(y, covariance):
    z = y.flatten(1)
    return -0.5 * (z @ torch.linalg.inv(covariance) * z).sum(1) - 0.5 * torch.logdet(2 * math.pi * covariance)


def test_closed_form_gives_the_density_of_a_gaussian_field_up_to_a_constant():
    rotation, variances = gaussian_field()
    sigma = 0.5
    noisy = rotation @ torch.diag(variances + sigma**2) @ rotation.mT
    f = gt.Conservative(gt.LinearDenoiser(4)).double()
    with torch.no_grad():
        f.network.matrix.copy_(sigma**2 * torch.linalg.inv(noisy))
    y = noise(50, 1, 4, 4)
    gap = f.log_density(y, sigma) - log_normal(y, noisy)
    torch.testing.assert_close(gap, gap.mean().expand(50), rtol=0, atol=1e-10)


@pytest.mark.filterwarnings(
    "ignore:the images of data hold values from -2"
)  # a Gaussian distribution about 0, as is meant
def test_trained_on_a_gaussian_field_it_gives_its_density_up_to_a_constant():
    rotation, variances = gaussian_field()
    variances, sigma = variances / 100, 0.05  # intensities that training takes
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(4000, 16, generator=generator, dtype=torch.float64)
    x = (z * variances.sqrt() @ rotation.mT).reshape(-1, 1, 4, 4).float()
    level = {"sigma_min": sigma - 1e-5, "sigma_max": sigma, "learning_rate": 2e-2}
    f = (
        gt.train(gt.Conservative(gt.LinearDenoiser(4)), x, images_seen=40_000, batch_size=200, **level)
        .double()
        .requires_grad_(False)
    )
    y = gt.add_noise(x[:500].double(), sigma)
    exact = log_normal(y, rotation @ torch.diag(variances + sigma**2) @ rotation.mT)
    gap = f.log_density(y, sigma) - exact
    assert float(gap.std()) < 0.15 * float(exact.std())


@pytest.mark.parametrize("build", [NETWORKS["unet"], NETWORKS["bfcnn"]], ids=["unet", "bfcnn"])
def test_trained_it_denoises_and_is_exact(build, tmp_path):
    X = gt.Disks(size=16)
    f = gt.Conservative(build())
    before = [p.clone() for p in f.parameters()]
    g = gt.train(f, X, images_seen=1600, batch_size=16, learning_rate=5e-3, run=tmp_path / "run")
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), before, strict=True))
    x = X.sample(64, seed=99)
    y = gt.add_noise(x, 0.3, seed=5)
    with torch.no_grad():
        assert gt.psnr(x, g(y, 0.3)) > gt.psnr(x, y) + 0.5
    J = gt.jacobian(g, y[:1], 0.3)
    assert J.asymmetry() == 0 and J.homogeneity_error() < 1e-5
    matrix = by_autograd(g, y[:1])
    assert relative(matrix, matrix.mT) < 1e-5
    h = gt.load_denoiser(tmp_path / "run")
    assert type(h) is gt.Conservative and not h.training
    assert h.configuration == g.configuration
    torch.testing.assert_close(h(y, 0.3), g(y, 0.3), rtol=0, atol=1e-5)  # another memory format


def test_gradients_of_the_weights_are_those_of_differences():
    """Training differentiates through the gradient of the energy."""
    f = gt.Conservative(scrambled(gt.UNet(2, 1, seed=3)).train()).double()
    y, x = noise(2, 1, 4, 4), noise(2, 1, 4, 4, seed=1)

    def loss():
        return (f(y, 0.1) - x).square().sum()

    assert f.training
    loss().backward()
    for name, p in f.named_parameters():
        direction = noise(*p.shape, seed=2)
        expected = float((p.grad * direction).sum())
        with torch.no_grad():
            ends = []
            for h in (1e-6, -1e-6):
                p.add_(direction, alpha=h)
                ends.append(float(loss()))
                p.sub_(direction, alpha=h)
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, rel=1e-4, abs=1e-5), name


def test_images_of_a_batch_are_apart_in_training_too():
    f = gt.Conservative(scrambled(NETWORKS["unet"]())).double()
    y = noise(3, 1, 8, 8)
    f.train()
    buffers = [b.clone() for b in f.buffers()]
    together = f(y, 0.1)
    torch.testing.assert_close(together[:1], f(y[:1], 0.1))
    assert torch.equal(together, f.eval()(y, 0.1)), "what is trained is what is used"
    assert all(torch.equal(a, b) for a, b in zip(f.buffers(), buffers, strict=True))
    f.train().network.train()
    with pytest.raises(RuntimeError, match="normalisation must be frozen"):
        f(y, 0.1)
    with pytest.raises(RuntimeError, match="normalisation must be frozen"):
        f.energy(y)


def test_graphs_are_made_where_they_are_wanted_and_nowhere_else():
    f = gt.Conservative(scrambled(NETWORKS["unet"]()))
    y = noise(2, 1, 8, 8, dtype=torch.float32)
    assert f(y, 0.1).requires_grad
    with torch.no_grad():
        quiet = f(y, 0.1)
    with torch.inference_mode():
        quieter = f(y.clone(), 0.1).clone()
    assert not quiet.requires_grad and not y.requires_grad
    torch.testing.assert_close(quieter, quiet)
    frozen = copy.deepcopy(f).requires_grad_(False)
    assert not frozen(y, 0.1).requires_grad
    assert frozen(y.clone().requires_grad_(), 0.1).requires_grad
    assert torch.equal(frozen(y, 0.1), quiet)
    assert all(p.grad is None for p in f.parameters())


def test_transforms_of_torch():
    f = gt.Conservative(scrambled(NETWORKS["unet"]())).double()
    y, v = noise(2, 1, 8, 8), noise(2, 1, 8, 8, seed=1)
    plain = f(y, 0.1)
    torch.testing.assert_close(torch.func.vmap(lambda x: f(x[None], 0.1)[0])(y), plain)
    expected = torch.stack([by_autograd(f, y[i : i + 1]) @ v[i].flatten() for i in (0, 1)])
    value, tangent = torch.func.jvp(lambda x: f(x, 0.1), (y,), (v,))
    torch.testing.assert_close(value, plain)
    torch.testing.assert_close(tangent.flatten(1), expected)
    _, pull = torch.func.vjp(lambda x: f(x, 0.1), y)
    torch.testing.assert_close(pull(v)[0].flatten(1), expected)
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(y.clone(), v.clone())
        tangent = torch.autograd.forward_ad.unpack_dual(f(dual, 0.1)).tangent
    torch.testing.assert_close(tangent.flatten(1), expected)


def test_the_network_given_is_left_as_it_was():
    network = gt.UNet(4, 1)
    before = copy.deepcopy(network.state_dict())
    f = gt.Conservative(network)
    assert network.training and f.training and not f.network.training
    assert f.network is not network
    assert all(torch.equal(network.state_dict()[name], before[name]) for name in before)
    assert all(torch.equal(f.network.state_dict()[name], before[name]) for name in before)


class _Own(gt.Network):
    """A network of a user: one convolution, and what the test adds."""

    def __init__(self, change):
        super().__init__()
        self.image_channels, self.change = 1, change
        self.weight = nn.Parameter(noise(1, 1, 3, 3, dtype=torch.float32))
        self.offset = nn.Parameter(torch.zeros(1))

    def estimate(self, y, sigma):
        return self.change(self, nn.functional.conv2d(y, self.weight, padding=1), sigma)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda own, z, sigma: z + own.offset, "additive constants"),
        (lambda own, z, sigma: torch.tanh(z), "piecewise linear"),
        (lambda own, z, sigma: z / (1 + sigma), "given_sigma is False"),
        (lambda own, z, sigma: z / z.std(), "each image of a batch on its own"),
        (lambda own, z, sigma: z - z.mean(0), "each image of a batch on its own"),
        (lambda own, z, sigma: torch.cat([z, z], 1), "shape of its input"),
    ],
)
def test_own_networks_that_break_a_promise_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        gt.Conservative(_Own(change))


def test_an_own_network_that_keeps_them_is_taken_but_not_saved(tmp_path):
    f = gt.Conservative(_Own(lambda own, z, sigma: z + z.abs())).double().eval()
    y = noise(1, 1, 8, 8)
    matrix = by_autograd(f, y)
    assert relative(matrix, matrix.mT) < 1e-12
    torch.testing.assert_close(matrix @ y.flatten(), f(y, 0.1).flatten())
    with pytest.raises(TypeError, match="Conservative of _Own"):
        gt.save_denoiser(f, tmp_path)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: gt.DnCNN(4, 4), "additive constants .*BFCNN"),
        (lambda: gt.DilatedUNet(4, bias=True), "additive constants"),
        (lambda: gt.ConditionedUNet(8, 2), "additive constants"),
        (lambda: gt.WindowedCNN(4, (3, 3), 1, 1), "2 channel"),
    ],
)
def test_networks_that_cannot_be_conservative_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        gt.Conservative(build())


def test_normalisation_by_the_batch_is_refused():
    network = gt.BFCNN(4, 4)
    network.layers[3] = nn.BatchNorm2d(4, affine=False)
    with pytest.raises(ValueError, match="couples the images of a batch"):
        gt.Conservative(network)


def test_refused_types(unchecked):
    with pytest.raises(TypeError, match="must be a Network"):
        gt.Conservative(nn.ReLU())
    with pytest.raises(TypeError, match="conservative already"):
        gt.Conservative(gt.Conservative(gt.UNet(4, 1)))
    f = gt.Conservative(gt.UNet(4, 1)).eval()
    y = noise(1, 1, 8, 8, dtype=torch.float32)
    with pytest.raises(ValueError, match="must be finite"):
        f.energy(y * float("nan"))
    with pytest.raises(ValueError, match="standard deviation of the noise"):
        f.log_density(y, 0.0)


def test_training_goes_on_after_an_interruption_with_the_same_bits(tmp_path, monkeypatch):
    f, X = gt.Conservative(gt.UNet(4, 1)), gt.Disks(size=16)

    def run(folder):
        return gt.train(f, X, images_seen=160, batch_size=16, run=tmp_path / folder).state_dict()

    whole, update = run("whole"), training._update_average
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)

    def broken(averaged, recipe, step):
        if step == 6:
            raise OSError("the power failed")
        update(averaged, recipe, step)

    monkeypatch.setattr(training, "_update_average", broken)
    with pytest.raises(OSError, match="power"):
        run("broken")
    monkeypatch.setattr(training, "_update_average", update)
    assert '"images_seen": 96' in (tmp_path / "broken" / "log.jsonl").read_text().splitlines()[-1]
    again = run("broken")
    assert all(torch.equal(again[name], whole[name]) for name in whole)


def test_normalisation_is_calibrated_before_training_and_only_then():
    """On white noise every channel that a norm lets through has the deviation 0.1; what has been in use is kept."""
    f = gt.Conservative(gt.BFCNN(8, 4, seed=1))
    before = copy.deepcopy(f.state_dict())
    f.calibrate((1, 16, 16))
    y = noise(64, 1, 16, 16, dtype=torch.float32)
    with torch.no_grad():
        z = f.network.layers[:4](y)  # two convolutions, a ReLU, the first norm
    torch.testing.assert_close(z.std((0, 2, 3)), torch.full((8,), 0.1), rtol=0.05, atol=0)
    changed = {name for name, value in f.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"network.layers.{i}.{name}" for i in (3, 6) for name in ("gamma", "running_sd")}
    kept = copy.deepcopy(f.state_dict())
    f.calibrate((1, 8, 8))
    assert all(torch.equal(value, kept[name]) for name, value in f.state_dict().items())


def test_training_leaves_the_normalisation_of_a_trained_network():
    f = gt.Conservative(scrambled(gt.UNet(4, 1)))
    g = gt.train(f, gt.Disks(size=16), images_seen=32, batch_size=16)
    assert all(torch.equal(a, b) for a, b in zip(g.buffers(), f.buffers(), strict=True))
    h = gt.train(gt.Conservative(gt.UNet(4, 1)), gt.Disks(size=16), images_seen=32, batch_size=16)
    assert all(bool((b != 1).any()) for b in h.buffers())
