"""The public checks over everything of the library, and over objects that violate each condition."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import gahb_theory as gt
from gahb_theory import bases, denoisers, images
from gahb_theory.bases import DCT, PCA, Basis, Fourier, Pixels, Wavelet
from gahb_theory.testing import check_basis, check_denoiser, check_image_class

BOTH = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
SHAPES = pytest.mark.parametrize("shape", [(1, 16, 16), (3, 8, 16)], ids=["grey", "colour"])


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def checked_beside(classes, package, check):
    """Names of the classes that a test file of their package puts through the public check."""
    texts = [file.read_text() for file in (Path(__file__).parent.parent / package).glob("test_*.py")]
    return {c.__name__ for c in classes if any(c.__name__ in text and f"{check}(" in text for text in texts)}


# --- image classes ---------------------------------------------------------------------------------------------------

CLASSES = {
    "c_alpha": gt.CAlpha(2.0, size=16),
    "c_alpha, odd": gt.CAlpha(0.7, beta=3.0, size=21, jump=0.4),
    "c_alpha, large": gt.CAlpha(1.0, size=64),
    "c_alpha, paper": gt.CAlpha(2.0, size=16, convention="paper"),
    "c_alpha, paper, large": gt.CAlpha(1.0, size=80, convention="paper"),
    "disks": gt.Disks(size=16),
    "disks, soft": gt.Disks(size=40, edge=2.0, jump=0.5),
    "photographs": gt.Photographs(size=16),
    "photographs, colour": gt.Photographs(size=24, channels=3),
    "photographs, test": gt.Photographs(size=64, split="test"),
    "shuffled": gt.Shuffled(gt.CAlpha(2.0, size=16), seed=3),
    "shuffled, colour": gt.Shuffled(gt.Photographs(size=16, channels=3)),
    "shipped, c_alpha": gt.shipped_class("c_alpha"),
    "shipped, photographs": gt.shipped_class("photographs", split="test"),
}


@pytest.mark.parametrize("image_class", CLASSES.values(), ids=CLASSES.keys())
def test_image_classes(image_class):
    check_image_class(image_class)
    assert isinstance(image_class, gt.ImageClass)


def test_no_image_class_is_forgotten():
    known = {type(image_class) for image_class in CLASSES.values()}
    public = {getattr(images, name) for name in images.__all__}
    others = {c for c in public if inspect.isclass(c) and hasattr(c, "sample")} - {images.ImageClass} - known
    assert {c.__name__ for c in others} == checked_beside(others, "images", "check_image_class")


def pictures(n, seed, start, c=1, side=6):
    """Images that are what they should be."""
    one = [normal(1, c, side, side, seed=1000 * seed + start + i, dtype=torch.float32) for i in range(n)]
    return 0.5 + 0.1 * torch.cat(one)


class Good:
    dimension = 5
    optimal_slope = 0.5

    def sample(self, n, seed=0, start=0):
        return pictures(n, seed, start)


class GlobalRandom(Good):
    """Reproducible, but by the global generator."""

    def sample(self, n, seed=0, start=0):
        images = []
        for i in range(n):
            torch.manual_seed(1000 * seed + start + i)
            images.append(torch.rand(1, 1, 6, 6))
        return torch.cat(images)


class Unseeded(Good):
    def sample(self, n, seed=0, start=0):
        return torch.rand(n, 1, 6, 6)


class ByBatch(Good):
    """One draw for the batch: image i depends on how many were asked for."""

    def sample(self, n, seed=0, start=0):
        return 0.5 + 0.1 * normal(n, 1, 6, 6, seed=1000 * seed + start, dtype=torch.float32)


class Stretched(Good):
    """Stretched between the extremes of the batch."""

    def sample(self, n, seed=0, start=0):
        x = pictures(n, seed, start)
        return (x - x.min()) / (x.max() - x.min())


class Counting(Good):
    """Every call goes on where the last one ended."""

    def __init__(self):
        self.next = 0

    def sample(self, n, seed=0, start=0):
        self.next += n
        return pictures(n, seed, self.next)


class NoSeed(Good):
    def sample(self, n, seed=0, start=0):
        return pictures(n, 0, start)


class NoIndex(Good):
    def sample(self, n, seed=0, start=0):
        return pictures(1, seed, 0).expand(n, 1, 6, 6)


class Eight(Good):
    """Intensities in 0..255."""

    def sample(self, n, seed=0, start=0):
        return 255 * pictures(n, seed, start)


class OtherScene(Good):
    def scene(self, n, seed=0, start=0):
        scene = Good()
        scene.images = pictures(n, seed, start) + 1e-6
        return scene


def replaced(**attributes):
    return type("Changed", (Good,), attributes)()


BAD_CLASSES = {
    "global": (GlobalRandom(), "must not touch the global random generator"),
    "unseeded": (Unseeded(), "must give the same images when called again"),
    "batch": (ByBatch(), "an image must be a function of \\(seed, index\\) alone"),
    "stretched": (Stretched(), "an image must be a function of \\(seed, index\\) alone"),
    "counting": (Counting(), "must give the same images when called again"),
    "no seed": (NoSeed(), "must depend on the seed"),
    "no index": (NoIndex(), "must depend on the index"),
    "eight bits": (Eight(), "must have intensities about \\[0, 1\\], got"),
    "other scene": (OtherScene(), r"scene\(...\).images must equal sample\(...\) exactly"),
    "double": (replaced(sample=lambda self, n, seed=0, start=0: pictures(n, seed, start).double()), "must be float32"),
    "flat": (replaced(sample=lambda self, n, seed=0, start=0: pictures(n, seed, start)[:, 0]), r"shape \(5, c, h, w\)"),
    "short": (replaced(sample=lambda self, n, seed=0, start=0: pictures(2, seed, start)), r"got \(2, 1, 6, 6\)"),
    "numpy": (replaced(sample=lambda self, n, seed=0, start=0: np.zeros((n, 1, 6, 6))), "must return a torch tensor"),
    "nan": (replaced(sample=lambda self, n, seed=0, start=0: pictures(n, seed, start) / 0), "must be finite"),
    "dimension": (replaced(dimension=0), "dimension must be None or a positive integer"),
    "slope": (replaced(optimal_slope=1.5), r"optimal_slope must be None or lie in \(0, 1\], got 1.5"),
    "nothing": (object(), r"must have a method sample\(n, seed=0, start=0\)"),
}


def test_a_good_image_class_passes():
    check_image_class(Good())
    check_image_class(replaced(dimension=None, optimal_slope=None))


@pytest.mark.parametrize(("image_class", "message"), BAD_CLASSES.values(), ids=BAD_CLASSES.keys())
def test_bad_image_classes_are_caught(image_class, message):
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError, match=message):
        check_image_class(image_class)


# --- bases -----------------------------------------------------------------------------------------------------------


def eigenbasis(shape, dtype):
    """The eigenvectors of a linear denoiser with eigenvalues of its own."""
    d = shape[0] * shape[1] * shape[2]
    vectors = torch.linalg.qr(normal(d, d)).Q
    covariance = ((vectors * torch.linspace(1, 0.01, d, dtype=torch.float64)) @ vectors.mT).to(dtype)
    f = gt.GaussianDenoiser(torch.zeros(1, *shape, dtype=dtype), (covariance + covariance.mT) / 2)
    return gt.jacobian(f, torch.zeros(1, *shape, dtype=dtype), 0.3).eigenbasis()


BASES = {
    "pixels": lambda shape, dtype: Pixels(),
    "fourier": lambda shape, dtype: Fourier(),
    "dct": lambda shape, dtype: DCT(),
    "haar": lambda shape, dtype: Wavelet("haar"),
    "db4": lambda shape, dtype: Wavelet("db4", levels=2),
    "sym4": lambda shape, dtype: Wavelet("sym4"),
    "pca": lambda shape, dtype: PCA.fit(normal(20, *shape, dtype=dtype)),
    "pca, partial": lambda shape, dtype: PCA.fit(normal(20, *shape, dtype=dtype), components=7),
    "eigenbasis": eigenbasis,
}


@BOTH
@SHAPES
@pytest.mark.parametrize("build", BASES.values(), ids=BASES.keys())
def test_bases(build, shape, dtype):
    check_basis(build(shape, dtype), shape, dtype)


def test_no_basis_is_forgotten():
    known = {type(build((1, 4, 4), torch.float64)) for build in BASES.values()}
    public = {getattr(bases, name) for name in bases.__all__}
    others = {c for c in public if inspect.isclass(c) and issubclass(c, Basis)} - {Basis} - known
    assert {c.__name__ for c in others} == checked_beside(others, "bases", "check_basis")


class Changed(Basis):
    """The cosine basis with something wrong."""

    def __init__(self, analysis=lambda c: c, synthesis=lambda x: x):
        self.after, self.before = analysis, synthesis

    def analysis(self, x):
        return self.after(DCT().analysis(x))

    def synthesis(self, c, shape=None):
        return self.before(DCT().synthesis(c, shape))


def padded(c):
    return torch.cat([c, c[:, :1] * 0], dim=1)


BAD_BASES = {
    "twice": (
        Changed(lambda c: 2 * c, lambda x: 2 * x),
        r"the atoms must be orthonormal: analysis\(synthesis\(c\)\) = c",
    ),
    "twice and half": (Changed(lambda c: 2 * c, lambda x: x / 2), "synthesis must be the adjoint of analysis"),
    "almost": (
        Changed(lambda c: c * (1 + 1e-8), lambda x: x * (1 + 1e-8)),
        "the relative error is [12].*e-08, allowed is 1e-10",
    ),
    "square": (Changed(lambda c: c * c.abs()), "analysis must be linear"),
    "shifted": (Changed(lambda c: c + 1), "analysis must be linear"),
    "centred": (Changed(lambda c: c - c.mean(0)), "the same coefficients alone and in a batch"),
    "detached": (Changed(lambda c: c.detach()), "must be differentiable"),
    "other dtype": (Changed(lambda c: c.float()), r"analysis must keep the dtype torch.float64, got torch.float32"),
    "not flat": (Changed(lambda c: c[:, None]), r"analysis must give \(batch, k\) coefficients, got \(3, 1, 256\)"),
    "wrong shape": (Changed(synthesis=lambda x: x[..., :-1]), r"synthesis must give images \(3, 1, 16, 16\), got"),
    "lossy": (
        Changed(lambda c: c * (c[:1] * 0 + 1), lambda x: x - x.mean((2, 3), keepdim=True)),
        "adjoint of analysis",
    ),
}


@pytest.mark.parametrize(("basis", "message"), BAD_BASES.values(), ids=BAD_BASES.keys())
def test_bad_bases_are_caught(basis, message):
    with pytest.raises(AssertionError, match=message):
        check_basis(basis)


def test_too_many_atoms_are_no_orthonormal_basis():
    class Frame(Basis):
        """Two copies of the pixels."""

        def analysis(self, x):
            return torch.cat([x.flatten(1), x.flatten(1)], dim=1) / 2**0.5

        def synthesis(self, c, shape=None):
            half = c.shape[1] // 2
            return ((c[:, :half] + c[:, half:]) / 2**0.5).reshape(-1, *shape)

    with pytest.raises(AssertionError, match="an orthonormal basis has at most 256 atoms, got 512"):
        check_basis(Frame())
    Frame.is_orthonormal = False
    check_basis(Frame())  # a tight frame that says so


def test_a_loss_of_information_is_caught():
    class Rotated(Basis):
        """Orthonormal and self-adjoint on its span, but 255 atoms padded to 256."""

        def analysis(self, x):
            return padded(DCT().analysis(x)[:, 1:])

        def synthesis(self, c, shape=None):
            return DCT().synthesis(torch.cat([c[:, :1] * 0, c[:, :-1]], dim=1), shape)

    with pytest.raises(AssertionError, match="the atoms must be orthonormal"):
        check_basis(Rotated())


# --- denoisers -------------------------------------------------------------------------------------------------------


def trained(network, dtype):
    """In eval mode, with gammas and statistics as after training."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, gt.BiasFreeNorm):
            module.running_sd.copy_(0.5 + torch.rand(module.running_sd.shape, generator=generator))
            module.gamma.data = torch.rand(module.gamma.shape, generator=generator)
    return network.to(dtype).eval()


def gaussian(shape, dtype):
    d = shape[0] * shape[1] * shape[2]
    factor = normal(d, d) / d**0.5
    return gt.GaussianDenoiser(normal(1, *shape, seed=1, dtype=dtype), (factor @ factor.mT).to(dtype))


DENOISERS = {
    "unet": lambda shape, dtype: trained(gt.UNet(4, 2, shape[0]), dtype),
    "bfcnn": lambda shape, dtype: trained(gt.BFCNN(4, 4, shape[0]), dtype),
    "smooth": lambda shape, dtype: denoisers.SmoothUNet(4, 2, shape[0]).to(dtype).eval(),
    "conservative, smooth": lambda shape, dtype: gt.Conservative(denoisers.SmoothUNet(4, 2, shape[0])).to(dtype).eval(),
    "conservative": lambda shape, dtype: gt.Conservative(trained(gt.UNet(4, 2, shape[0]), dtype)),
    "gaussian": gaussian,
    "adapted": lambda shape, dtype: denoisers.adapt(lambda y: 0.5 * y),
    "adapted, diffusion": lambda shape, dtype: denoisers.adapt_diffusion(
        lambda z, t: 0.1 * z, torch.linspace(0.999, 0.01, 100)
    ),
    "hard": lambda shape, dtype: gt.ShrinkageDenoiser(Wavelet("db4"), gt.Hard(3.0)),
    "soft": lambda shape, dtype: gt.ShrinkageDenoiser(DCT(), gt.Soft(1.5)),
    "oracle gains": lambda shape, dtype: gt.ShrinkageDenoiser(DCT(), gt.oracle_gains),
    "fixed": lambda shape, dtype: gt.ShrinkageDenoiser(
        Fourier(), gt.FixedGains(torch.linspace(1, 0, shape[0] * shape[1] * shape[2], dtype=dtype))
    ),
    "partial": lambda shape, dtype: gt.ShrinkageDenoiser(
        PCA.fit(normal(20, *shape, dtype=dtype), components=7), gt.Soft(1.0)
    ),
}


@BOTH
@SHAPES
@pytest.mark.parametrize("build", DENOISERS.values(), ids=DENOISERS.keys())
def test_denoisers(build, shape, dtype):
    f = build(shape, dtype)
    check_denoiser(f, shape, dtype)
    assert isinstance(f, gt.Denoiser)


@pytest.mark.parametrize("name", ["c_alpha", "photographs", "blind_photographs", "unet_c_alpha"])
def test_shipped_denoisers(name):
    check_denoiser(gt.shipped_denoiser(name), (1, 24, 16))


def test_no_denoiser_is_forgotten():
    known = {type(build((1, 4, 4), torch.float64)) for build in DENOISERS.values()}
    public = {getattr(denoisers, name) for name in denoisers.__all__}
    modules = {c for c in public if inspect.isclass(c) and issubclass(c, gt.DenoiserModule)}
    others = modules - {gt.DenoiserModule, denoisers.Network} - known
    others -= {denoisers.DiskBayes}  # which refuses images that are no noisy disks, such as those of the check
    assert {c.__name__ for c in others} == checked_beside(others, "denoisers", "check_denoiser")


class Module(nn.Module):
    def forward(self, y, sigma):
        return y / 2


def clamps_in_place(y, sigma):
    return y.detach().clamp_(0, 1)


def forgetful(y, sigma):
    with torch.no_grad():
        return y / 2


class Noisy:
    """Other noise at every call."""

    def __init__(self):
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, y, sigma):
        return y + 0.1 * torch.randn(y.shape, generator=self.generator)


def scalar_only(y, sigma):
    return y * (2.0 if isinstance(sigma, torch.Tensor) else 1.0)


BAD_DENOISERS = {
    "in place": (clamps_in_place, "must not change its input"),
    "mixes": (lambda y, sigma: y - y.mean(0), "an image must be denoised the same alone and in a batch"),
    "batch norm": (
        lambda y, sigma: nn.functional.batch_norm(y, None, None, training=True),
        "an image must be denoised the same alone and in a batch",
    ),
    "train mode": (Module(), r"Module or a part of it is in training mode; call .eval\(\) before"),
    "cropped": (lambda y, sigma: y[..., 1:], r"must return images of shape \(3, 1, 16, 16\), got \(3, 1, 16, 15\)"),
    "summed": (lambda y, sigma: y.sum(1), r"must return images of shape \(3, 1, 16, 16\), got \(3, 16, 16\)"),
    "dtype": (lambda y, sigma: y.double(), "must keep the dtype torch.float32, got torch.float64"),
    "tuple": (lambda y, sigma: (y, sigma), "must return a tensor, got tuple"),
    "infinite": (lambda y, sigma: y / 0, "must return finite values"),
    "random": (Noisy(), "the same input must give the same output"),
    "sigma": (scalar_only, r"sigma must be accepted as a tensor of shape \(batch,\)"),
    "detached": (lambda y, sigma: (y / 2).detach(), "must be differentiable in y"),
    "no grad": (forgetful, "must be differentiable in y"),
    "constant": (lambda y, sigma: torch.full_like(y, 0.5), "must be differentiable in y"),
    "parameter only": (
        lambda y, sigma: torch.full_like(y, 0.5).requires_grad_() * 1,
        r"must be differentiable in y \(autograd found no path",
    ),
    "root": (lambda y, sigma: (y - y).abs().sqrt() + y, "must have finite gradients"),
}


@pytest.mark.parametrize(("f", "message"), BAD_DENOISERS.values(), ids=BAD_DENOISERS.keys())
def test_bad_denoisers_are_caught(f, message):
    with pytest.raises(AssertionError, match=message):
        check_denoiser(f)


def test_a_network_with_a_part_in_train_mode_is_caught():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = gt.BiasFreeNorm(1)

        def forward(self, y, sigma):
            return y - self.norm(y)

    check_denoiser(Network().eval())
    network = Network().eval()
    network.norm.train()
    with pytest.raises(AssertionError, match="Network or a part of it is in training mode"):
        check_denoiser(network)


def test_good_denoisers_of_any_kind_pass():
    check_denoiser(lambda y, sigma: y / 2, (3, 5, 7), torch.float64)
    check_denoiser(Module().eval())
    check_denoiser(nn.Sequential(Module()).eval()[0])
