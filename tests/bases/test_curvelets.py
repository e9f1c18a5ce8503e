import math
import sys

import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, Curvelets, CycleSpinning, Wavelet
from gahb_theory.comparison import compare
from gahb_theory.denoisers import ShrinkageDenoiser
from gahb_theory.images import CAlpha
from gahb_theory.jacobians import jacobian
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import Hard
from gahb_theory.testing import check_basis
from gahb_theory.theory.decay import approximation_error
from gahb_theory.theory.exact_risks import oracle_mse, projection_mse
from gahb_theory.theory.oracles import oracle_denoise


@pytest.fixture
def package():
    return pytest.importorskip("curvelets.torch")


def matrix_of(frame: Curvelets, side: int) -> Tensor:
    """Column k is atom k."""
    return frame.analysis(torch.eye(side**2, dtype=torch.float64).reshape(-1, 1, side, side))


def test_without_the_package_it_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "curvelets", None)
    monkeypatch.setitem(sys.modules, "curvelets.torch", None)
    with pytest.raises(ImportError, match=r"needs the package curvelets: pip install 'gahb-theory\[frames\]'"):
        Curvelets()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fp32", "fp64"])
@pytest.mark.parametrize("shape", [(1, 16, 16), (2, 32, 48), (1, 80, 80), (3, 64, 64)])
def test_it_is_complete_linear_batched_and_differentiable(package, shape, dtype) -> None:
    check_basis(Curvelets(), shape, dtype)
    check_basis(Curvelets(scales=3), shape, dtype)


def test_what_inference_mode_keeps_serves_gradients(package) -> None:
    frame = Curvelets(scales=3)
    with torch.inference_mode():
        frame.analysis(torch.zeros(1, 1, 24, 40))  # a size that no other test uses
    x = torch.zeros(1, 1, 24, 40, requires_grad=True)
    frame.synthesis(frame.analysis(x), (1, 24, 40)).sum().backward()
    torch.testing.assert_close(x.grad, torch.ones_like(x), rtol=0, atol=1e-5)


def test_its_denoiser_has_a_symmetric_jacobian(package) -> None:
    y = add_noise(CAlpha(alpha=2.0, size=16).sample(1, seed=1, dtype=torch.float64), 0.2, seed=2)
    J = jacobian(ShrinkageDenoiser(Curvelets(scales=3), Hard(3.0)), y, 0.2)
    assert J.asymmetry() == pytest.approx(0, abs=1e-12)  # A^T diag(0 or 1) A / 4
    assert 0 < J.trace() < 256


@pytest.mark.gpu
def test_it_runs_where_the_images_are(package) -> None:
    device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else None
    if device is None:
        pytest.skip("no accelerator here")
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    frame = Curvelets(scales=3)
    c = frame.analysis(x.to(device))
    torch.testing.assert_close(c.cpu(), frame.analysis(x), rtol=0, atol=1e-5)
    torch.testing.assert_close(frame.synthesis(c).cpu(), x, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("scales", "wedges", "side", "spread"), [(3, 3, 8, 0.09), (3, 3, 16, 0.05), (3, 3, 32, 0.03), (3, 6, 16, 0.09)]
)
def test_it_is_tight_and_its_atoms_have_norm_one_to_the_accuracy_told(package, scales, wedges, side, spread) -> None:
    matrix = matrix_of(Curvelets(scales, wedges), side)
    assert matrix.shape[1] == 4 * side**2
    torch.testing.assert_close(
        matrix @ matrix.mT, 4 * torch.eye(side**2, dtype=torch.float64), rtol=0, atol=1e-12
    )  # so that the adjoint divided by 4 is the pseudo-inverse
    norms = matrix.norm(dim=0)
    assert float(norms.square().mean()) == pytest.approx(1, abs=1e-12)
    assert float((norms - 1).abs().max()) < spread


def test_the_synthesis_is_the_pseudo_inverse(package) -> None:
    frame = Curvelets(scales=3)
    c = torch.randn(2, 4 * 256, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = torch.linalg.lstsq(matrix_of(frame, 16).mT, c.mT).solution.mT
    torch.testing.assert_close(frame.synthesis(c).flatten(1), expected, rtol=0, atol=1e-12)


def test_each_image_has_the_coefficients_of_the_package(package) -> None:
    x = torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    mine = Curvelets(scales=4).analysis(x)
    transform = package.UDCT((32, 48), num_scales=4, wedges_per_direction=3)
    low = 8 * 12
    for one, image in zip(mine, x, strict=True):
        theirs = 2 * transform.vect(transform.forward(image[0]))
        torch.testing.assert_close(one[:low], theirs[:low].real, rtol=0, atol=1e-12)
        torch.testing.assert_close(one[low:], torch.view_as_real(theirs[low:]).flatten(), rtol=0, atol=1e-12)


def test_noise_keeps_its_level_and_thresholding_denoises_better_than_wavelets(package) -> None:
    x, sigma = CAlpha(alpha=2.0, size=64).sample(4, seed=1), 0.1
    y = add_noise(x, sigma, seed=2)
    assert float(Curvelets().analysis(y - x).std()) == pytest.approx(sigma, rel=0.01)

    def gain(basis) -> float:
        error = (ShrinkageDenoiser(basis, Hard(3.0))(y, sigma) - x).square().mean()
        return -10 * math.log10(float(error))

    assert gain(Curvelets()) > gain(Wavelet("db4")) + 2  # 3.3 dB
    assert gain(Curvelets()) > 20 + 8  # 8 dB above the noisy image


def test_formulas_of_orthonormal_bases_refuse_it(package, unchecked: None) -> None:
    frame, x = Curvelets(scales=3), CAlpha(alpha=2.0, size=32).sample(1, seed=1)
    for refused in (
        lambda: oracle_mse(frame, x, 0.1),
        lambda: projection_mse(frame, x, 0.1),
        lambda: approximation_error(frame, x, 3),
        lambda: oracle_denoise(frame, x, x, 0.1, "attenuation"),
        lambda: compare(frame, DCT(), x),
    ):
        with pytest.raises(ValueError, match="Curvelets is a redundant frame"):
            refused()
    with pytest.raises(ValueError, match="basis must be orthonormal"):
        CycleSpinning(frame)
    with pytest.raises(ValueError, match=r"multiples of 8, and at least 16, for 4 scales and 3 wedges, got 20 x 32"):
        Curvelets().analysis(torch.zeros(1, 1, 20, 32))
    with pytest.raises(ValueError, match=r"at least 16, .* got 8 x 8; crop the images or take fewer scales"):
        Curvelets().analysis(torch.zeros(1, 1, 8, 8))
    with pytest.raises(ValueError, match="no tight frame of 80 x 80 images; take 3 wedges"):
        Curvelets(scales=3, wedges=6).analysis(torch.zeros(1, 1, 80, 80))
    with pytest.raises(ValueError, match="wedges must be a multiple of 3, got 4"):
        Curvelets(wedges=4)
    with pytest.raises(ValueError, match="scales must be between 3 and 12, got 2"):
        Curvelets(scales=2)
    with pytest.raises(ValueError, match="must hold 4 coefficients for each pixel, got 5"):
        frame.synthesis(torch.zeros(1, 5))
