"""At sigma = 0, with which samplers end, a denoiser returns what its image class knows: y, or what is nearest to it."""

import pytest
import torch

import gahb_theory as gt
from gahb_theory.bases import PCA
from gahb_theory.denoisers import EDM, DiffusionConvention, FlowMatching

IMAGES = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(2))
Y = IMAGES[[3, 1]] + 0.01 * torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(3))
BASIS = PCA.fit(IMAGES, components=3)
COVARIANCE = torch.diag(torch.linspace(0.5, 1.0, 64))
TABLE = tuple(torch.linspace(0.999, 0.01, 100).tolist())


def wrong(z, t):
    """A network whose output must not matter."""
    return torch.full_like(z, 7.0)


ALIKE = {
    "hard": lambda: gt.ShrinkageDenoiser(gt.Wavelet("db2"), gt.Hard(3.0)),
    "soft": lambda: gt.ShrinkageDenoiser(gt.DCT(), gt.Soft(1.5)),
    "oracle gains": lambda: gt.ShrinkageDenoiser(gt.DCT(), gt.oracle_gains),
    "mixture": lambda: gt.mixture_of_gaussians(IMAGES[:2], torch.stack([COVARIANCE, 2 * COVARIANCE])),
    "noise": lambda: gt.adapt(wrong, DiffusionConvention(TABLE)),
    "clean": lambda: gt.adapt(wrong, DiffusionConvention(TABLE, "clean")),
    "edm": lambda: gt.adapt(wrong, EDM()),
    "flow": lambda: gt.adapt(wrong, FlowMatching()),
    "latents": lambda: gt.denoisers.adapt_latents(gt.adapt(wrong, EDM()), lambda x: x, lambda z: z),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("build", ALIKE.values(), ids=ALIKE.keys())
def test_all_images_are_possible(build, dtype):
    y, f = Y.to(dtype), build().to(dtype)
    torch.testing.assert_close(f(y, 0.0), y, rtol=0, atol=1e-5)
    torch.testing.assert_close(f(y, torch.zeros(2)), y, rtol=0, atol=1e-5)


NEAREST = {
    "images": (lambda: gt.EmpiricalBayes(IMAGES), IMAGES[[3, 1]]),
    "subspace": (lambda: gt.ShrinkageDenoiser(BASIS, gt.Soft(1.0)), BASIS.synthesis(BASIS.analysis(Y))),
}


@pytest.mark.parametrize(("build", "expected"), NEAREST.values(), ids=NEAREST.keys())
def test_few_images_are_possible(build, expected):
    torch.testing.assert_close(build()(Y, 0.0), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("build", [*ALIKE.values(), *(build for build, _ in NEAREST.values())])
def test_a_batch_may_hold_images_with_and_without_noise(build):
    f = build()
    both = f(Y, torch.tensor([0.0, 0.3]))
    torch.testing.assert_close(both[:1], f(Y[:1], 0.0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(both[1:], f(Y[1:], 0.3), rtol=1e-5, atol=1e-5)


def test_other_levels_outside_a_schedule_are_refused():
    f = gt.adapt(wrong, DiffusionConvention(TABLE))
    with pytest.raises(ValueError, match="knows noise levels in"):
        f(Y, torch.tensor([0.0, 1e-4]))
