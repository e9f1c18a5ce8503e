import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, CycleSpinning, Wavelet
from gahb_theory.denoisers import ShrinkageDenoiser
from gahb_theory.images import CAlpha
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import Hard
from gahb_theory.testing import check_basis
from gahb_theory.theory.decay import approximation_error
from gahb_theory.theory.exact_risks import oracle_mse, projection_mse
from gahb_theory.theory.oracles import oracle_denoise


@pytest.fixture(scope="module")
def images() -> Tensor:
    return CAlpha(alpha=2.0, size=32).sample(3, seed=1, dtype=torch.float64)


def test_it_is_a_complete_frame_whose_atoms_have_norm_one() -> None:
    frame = CycleSpinning(Wavelet("db2", levels=2), side=3)
    check_basis(frame)
    check_basis(frame, (2, 8, 12))
    eye = torch.eye(64, dtype=torch.float64).reshape(64, 1, 8, 8)
    matrix = frame.analysis(eye)  # column k is atom k
    torch.testing.assert_close(matrix.square().sum(dim=0), torch.ones(matrix.shape[1], dtype=torch.float64))
    torch.testing.assert_close(matrix @ matrix.mT, 9 * torch.eye(64, dtype=torch.float64), rtol=0, atol=1e-10)


def test_thresholding_is_the_mean_of_the_denoisers_and_equals_scikit_image(images: Tensor) -> None:
    restoration = pytest.importorskip("skimage.restoration")
    basis, sigma = Wavelet("haar", levels=3), 0.1
    y = add_noise(images[:1], sigma, seed=2)
    f = ShrinkageDenoiser(basis, Hard(3.0))
    expected = restoration.cycle_spin(
        y[0, 0].numpy(),
        lambda z: f(torch.from_numpy(z.copy())[None, None], sigma)[0, 0].numpy(),
        max_shifts=3,
        workers=1,
    )
    spun = ShrinkageDenoiser(CycleSpinning(basis, side=4), Hard(3.0))(y, sigma)[0, 0]
    torch.testing.assert_close(spun, torch.from_numpy(expected), rtol=0, atol=1e-12)


def test_it_denoises_better_than_its_basis(images: Tensor) -> None:
    y = add_noise(images, 0.1, seed=2)
    errors = [
        float((ShrinkageDenoiser(basis, Hard(3.0))(y, 0.1) - images).square().sum())
        for basis in (CycleSpinning(Wavelet("db4")), Wavelet("db4"))
    ]
    assert errors[0] < errors[1]


def test_formulas_of_orthonormal_bases_refuse_it(images: Tensor, unchecked: None) -> None:
    frame = CycleSpinning(DCT())
    for refused in (
        lambda: oracle_mse(frame, images, 0.1),
        lambda: projection_mse(frame, images, 0.1),
        lambda: approximation_error(frame, images, 3),
        lambda: oracle_denoise(frame, images, images, 0.1, "attenuation"),
    ):
        with pytest.raises(ValueError, match="CycleSpinning is a redundant frame"):
            refused()
    assert oracle_denoise(frame, images, images, 0.1, "empirical").shape == images.shape
    with pytest.raises(ValueError, match="basis must be orthonormal"):
        CycleSpinning(frame)
    with pytest.raises(TypeError, match="basis must be a Basis"):
        CycleSpinning("db4")
    with pytest.raises(ValueError, match="must hold the coefficients of 16 translations, got 5"):
        frame.synthesis(torch.zeros(1, 5))
