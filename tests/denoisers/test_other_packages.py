"""Networks of other packages, where they are installed: adapted, they are what their own package makes of them."""

from pathlib import Path

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import adapt_diffusion, adapt_latents


@pytest.fixture(autouse=True)
def layers_of_torch():
    """Other packages draw their weights from the global generator of torch; it is put back."""
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.random.set_rng_state(state)


def package(name):
    """The package, if it is installed with all that it needs."""
    return pytest.importorskip(name, exc_type=ImportError)


def images(channels=3, size=16):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(2, channels, size, size, generator=generator)


def unet(diffusers, **arguments):
    network = diffusers.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=arguments.pop("out_channels", 3),
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        **arguments,
    )
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
def test_diffusers_variance_preserving(prediction):
    diffusers = package("diffusers")
    scheduler = diffusers.DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(1000)
    net = unet(diffusers)
    f = adapt_diffusion(net, scheduler).eval()
    t = 400
    a = scheduler.alphas_cumprod[t]
    z = 2 * images() - 1
    theirs = scheduler.step(net(z, t).sample, t, z).pred_original_sample
    sigma = float((1 / a - 1).sqrt()) / 2
    ours = f((z / a.sqrt() + 1) / 2, sigma)
    torch.testing.assert_close(2 * ours - 1, theirs, rtol=1e-3, atol=1e-3)


def test_diffusers_labels_and_learned_variance():
    diffusers = package("diffusers")
    net = unet(diffusers, num_class_embeds=5, out_channels=6)
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range")
    f, g = (adapt_diffusion(net, scheduler, label=k).eval() for k in (2, 4))
    y = images()
    t = f.time(torch.tensor([0.4, 0.4]))
    a = 1 / (1 + 0.4**2) ** 0.5
    returned = net(a * (2 * y - 1), t, torch.tensor([2, 2])).sample[:, :3]
    torch.testing.assert_close(f(y, 0.2), (2 * y - 1 - 0.4 * returned + 1) / 2, rtol=1e-4, atol=1e-4)
    assert (f(y, 0.2) - g(y, 0.2)).abs().max() > 1e-4


def test_diffusers_flow_matching():
    diffusers = package("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)
    net = unet(diffusers)
    f = adapt_diffusion(net, scheduler).eval()
    z = 2 * images() - 1
    scheduler.set_timesteps(4)
    k = 3  # the last step goes to no noise at all
    scheduler.set_begin_index(k)
    t, level = scheduler.timesteps[k], float(scheduler.sigmas[k])
    theirs = scheduler.step(net(z, t).sample, t, z).prev_sample
    ours = f((z / (1 - level) + 1) / 2, level / (1 - level) / 2)
    torch.testing.assert_close(2 * ours - 1, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_diffusers_edm(prediction):
    diffusers = package("diffusers")
    scheduler = diffusers.EDMEulerScheduler(prediction_type=prediction)
    net = unet(diffusers)
    f = adapt_diffusion(net, scheduler).eval()
    u, s = 2 * images() - 1, torch.tensor([0.8])
    returned = net(scheduler.precondition_inputs(u, s), scheduler.precondition_noise(s)).sample
    theirs = scheduler.precondition_outputs(u, returned, s)
    torch.testing.assert_close(2 * f((u + 1) / 2, 0.4) - 1, theirs, rtol=1e-3, atol=1e-4)


def test_diffusers_schedulers_of_another_kind_are_refused():
    diffusers = package("diffusers")
    with pytest.raises(ValueError, match="for EDM, got None"):  # consistency models have another c_skip
        adapt_diffusion(unet(diffusers), diffusers.CMStochasticIterativeScheduler())
    with pytest.raises(TypeError, match="for networks that see sigma use adapt"):
        adapt_diffusion(unet(diffusers), diffusers.ScoreSdeVeScheduler())


def test_diffusers_variance_exploding():
    """The network of score SDEs sees the level itself and, with Fourier features, returns the score."""
    diffusers = package("diffusers")
    net = unet(diffusers, time_embedding_type="fourier")
    f = gt.adapt(net, gt.Convention("score", "sigma", 0, 1))
    y = images()
    torch.testing.assert_close(f(y, 0.3), y + 0.3**2 * net(y, torch.tensor([0.3, 0.3])).sample, rtol=1e-4, atol=1e-4)


def test_diffusers_latents():
    diffusers = package("diffusers")
    vae = diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4, latent_channels=3).eval()
    f = adapt_latents(
        adapt_diffusion(unet(diffusers), diffusers.DDPMScheduler(), low=0, high=1).eval(), vae.requires_grad_(False)
    ).eval()
    x = images()
    z = f.encode(x)
    torch.testing.assert_close(z, 0.18215 * vae.encode(2 * x - 1).latent_dist.mean)
    torch.testing.assert_close(2 * f.decode(z) - 1, vae.decode(z / 0.18215).sample, rtol=1e-4, atol=1e-4)
    assert f(z, 0.3).shape == z.shape


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
@pytest.mark.parametrize("normalised", [True, False])
def test_denoising_diffusion_pytorch(objective, normalised):
    ddp = package("denoising_diffusion_pytorch")
    net = ddp.Unet(dim=8, dim_mults=(1, 2), channels=3, flash_attn=False)
    diffusion = ddp.GaussianDiffusion(net, image_size=16, objective=objective, auto_normalize=normalised)
    diffusion = diffusion.eval().requires_grad_(False)
    f = adapt_diffusion(diffusion).eval()
    assert (f.convention.low, f.convention.high) == ((-1, 1) if normalised else (0, 1))
    t = torch.full((2,), 600)
    a = diffusion.alphas_cumprod[600]
    z = diffusion.normalize(images())
    theirs = diffusion.model_predictions(z, t).pred_x_start
    y = diffusion.unnormalize(z / a.sqrt())
    sigma = float((1 / a - 1).sqrt()) / (2 if normalised else 1)
    torch.testing.assert_close(f(y, sigma), diffusion.unnormalize(theirs), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_ffdnet_with_its_weights(channels):
    """The network of IPOL takes levels of shape (n,), and detaches its input, so that torch has no derivative of it."""
    ffdnet = package("ffdnet")
    net = ffdnet.FFDNet(channels)
    net.load()
    net = net.eval().requires_grad_(False)
    found = gt.probe(net, (channels, 32, 32))
    assert found.sure and found.convention == gt.Convention("clean", "sigma") and found.uses_sigma, found
    f = gt.adapt(net, found)
    x = gt.Photographs(size=48).sample(2).expand(-1, channels, -1, -1)
    for sigma, least in ((0.05, 2.0), (0.2, 8.0)):
        y = gt.add_noise(x, sigma, seed=0)
        assert float((gt.psnr(x, f(y, sigma)) - gt.psnr(x, y)).mean()) > least
    y = gt.add_noise(x[:1, :, :8, :8], 0.1, seed=0)
    with pytest.raises(RuntimeError, match="difference_jacobian"):
        gt.jacobian(f, y, 0.1)
    weights = Path(ffdnet.__file__).with_name(f"ffdnet_weights_{'gray' if channels == 1 else 'rgb'}.pth")
    opened = gt.load_denoiser(weights)  # as a network of this library, with a derivative
    torch.testing.assert_close(opened(y, 0.1), f(y, 0.1), rtol=1e-4, atol=1e-5)
    J, v = gt.jacobian(opened, y, 0.1), torch.randn(1, *y.shape[1:], generator=torch.Generator().manual_seed(0))
    differences = (f(y + 1e-3 * v, 0.1) - f(y - 1e-3 * v, 0.1)) / 2e-3
    torch.testing.assert_close(J.matvec(v.flatten()).reshape(y.shape), differences, rtol=0, atol=0.05)


def test_topaz_with_its_weights():
    """Networks without a level for images of mean 0 and variance 1."""
    models = pytest.importorskip("topaz.denoising.models", exc_type=ImportError)
    file = Path(models.__file__).parents[1] / "pretrained" / "denoise" / "unet_small_L1_v0.2.2.sav"
    net = models.UDenoiseNetSmall(width=11, top_width=5)
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    net = net.eval().requires_grad_(False)
    f = gt.adapt(net, gt.Convention(low=-2.0, high=2.0))
    y = images(1, 32)
    torch.testing.assert_close(f(y, 0.1), (net(4 * y - 2) + 2) / 4)
    J = gt.jacobian(f, y[:1, :, :8, :8], 0.1)
    assert J.shape == (64, 64) and float(J.matrix().abs().max()) > 0
