"""Denoisers of this library called as deepinv 0.5 calls its own, and inside its algorithms where it is installed."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import ConditionedUNet, DiT, FlowMatching, SmoothUNet

SIZE, VARIANCE = 8, 0.04


def gaussian():
    """Independent pixels of mean 1/2 and variance 0.04."""
    d = SIZE * SIZE
    return gt.GaussianDenoiser(torch.full((1, 1, SIZE, SIZE), 0.5), VARIANCE * torch.eye(d))


DENOISERS = {
    "UNet": lambda: gt.UNet(4, 1),
    "BFCNN": lambda: gt.BFCNN(4, 3),
    "DnCNN": lambda: gt.DnCNN(4, 3),
    "ConditionedUNet": lambda: ConditionedUNet(4, 1),
    "SmoothUNet": lambda: SmoothUNet(4, 1),
    "DiT": lambda: DiT(8, 4, 16, 2, 2, window=1),
    "Conservative": lambda: gt.Conservative(gt.UNet(4, 1)),
    "GaussianDenoiser": gaussian,
    "adapted": lambda: gt.adapt(gt.BFCNN(4, 3).layers, gt.Convention("residual")),
    "flow matching": lambda: gt.adapt(lambda z, t: 0.1 * z, FlowMatching()),
}


@pytest.mark.filterwarnings("ignore:sigma is 80:UserWarning")  # images of a constant, not of that noise
@pytest.mark.parametrize("build", DENOISERS.values(), ids=DENOISERS.keys())
def test_every_way_in_which_deepinv_gives_the_noise_level(build, unchecked):
    """A number, of numpy too; tensors of shape (), (1,), (n,), (n, 1, 1, 1), in double as well; from 0 to 80."""
    f = build().eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for level in (0, 0.0, 1e-6, 0.05, 1.0, 80.0):
        y = 0.5 + max(level, 0.1) * torch.randn(3, 1, SIZE, SIZE, generator=generator)
        expected = f(y, float(level))
        assert expected.shape == y.shape and bool(torch.isfinite(expected).all())
        ways = [np.float64(level), torch.tensor(float(level)), torch.tensor(float(level), dtype=torch.float64)]
        ways += [torch.full(shape, float(level)) for shape in ((1,), (3,), (1, 1, 1, 1), (3, 1, 1, 1))]
        for sigma in ways:
            torch.testing.assert_close(f(y, sigma), expected, rtol=1e-4, atol=1e-5)
    mixed = f(y, torch.tensor([0.05, 1.0, 80.0]))
    torch.testing.assert_close(mixed[1:2], f(y[1:2], 1.0), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [0.0, 0.3, 80.0])
def test_levels_from_0_to_80_are_those_of_the_formula(level):
    y = 0.5 + max(level, 0.2) * torch.randn(2, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    expected = 0.5 + VARIANCE / (VARIANCE + level**2) * (y - 0.5)
    torch.testing.assert_close(gaussian()(y, level), expected, rtol=1e-4, atol=1e-5)


@pytest.fixture
def deepinv():
    """The package; it uses the global generators of torch and numpy, which are put back."""
    package = pytest.importorskip("deepinv", exc_type=ImportError)
    states = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    torch.manual_seed(0)
    yield package
    torch.random.set_rng_state(states[0])
    np.random.set_state(states[1])  # noqa: NPY002


def shipped():
    return gt.shipped_denoiser("photographs")


def measured(deepinv, noise=0.05):
    x = gt.Photographs(size=32).sample(1)
    mask = torch.ones(1, 1, 32, 32)
    mask[..., ::3, 1::3] = 0
    physics = deepinv.physics.Inpainting(img_size=(1, 32, 32), mask=mask)
    physics.noise_model = deepinv.physics.GaussianNoise(noise)
    return x, physics, physics(x)


@pytest.mark.parametrize("kind", ["PnP", "RED"])
def test_deepinv_plug_and_play(deepinv, kind):
    x, physics, y = measured(deepinv)
    prior = getattr(deepinv.optim.prior, kind)(denoiser=shipped())
    solver = deepinv.optim.optim_builder(
        iteration="PGD" if kind == "PnP" else "GD",
        prior=prior,
        data_fidelity=deepinv.optim.data_fidelity.L2(),
        params_algo={"stepsize": 0.9 if kind == "PnP" else 0.4, "g_param": 0.05, "lambda": 0.5},
        max_iter=30,
    )
    with torch.no_grad():
        found = solver(y, physics)
    assert float(gt.psnr(x, found)) > float(gt.psnr(x, y)) + 3


def test_deepinv_ddrm_and_diffpir(deepinv):
    x, physics, y = measured(deepinv)
    ddrm = deepinv.sampling.DDRM(shipped(), sigmas=np.linspace(1, 0, 20))  # the last level is 0
    assert float(gt.psnr(x, ddrm(y, physics))) > float(gt.psnr(x, y)) + 3
    pir = deepinv.sampling.DiffPIR(shipped(), deepinv.optim.data_fidelity.L2(), sigma=0.05, max_iter=20)
    assert float(gt.psnr(x, pir(y, physics))) > float(gt.psnr(x, y)) + 3


def test_deepinv_diffusion_from_80(deepinv):
    """The probability flow of a Gaussian: samples have its mean and variance."""
    sde = deepinv.sampling.EDMDiffusionSDE(
        variance_exploding=True,
        sigma_t=lambda t: t,
        sigma_prime_t=torch.ones_like,
        T=80,
        alpha=0.0,
        denoiser=gaussian(),
        minus_one_one=False,
        dtype=torch.float64,
    )
    times = torch.linspace(80 ** (1 / 7), 0.002 ** (1 / 7), 60, dtype=torch.float64) ** 7
    solver = deepinv.sampling.HeunSolver(timesteps=times, rng=torch.Generator().manual_seed(0))
    model = deepinv.sampling.PosteriorDiffusion(
        data_fidelity=None, sde=sde, solver=solver, minus_one_one=False, dtype=torch.float64
    )
    samples = model(y=None, physics=None, x_init=(64, 1, SIZE, SIZE), seed=1)
    count = samples.numel()
    assert float(samples.mean()) == pytest.approx(0.5, abs=4 * (VARIANCE / count) ** 0.5)
    assert float(samples.var()) == pytest.approx(VARIANCE, rel=4 * (2 / count) ** 0.5 + 0.02)
