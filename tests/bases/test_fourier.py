import numpy as np
import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, Fourier

SIZES = [(1, 1), (1, 7), (2, 2), (3, 3), (4, 5), (6, 4), (5, 9)]


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def dense_fourier(height: int, width: int) -> np.ndarray:
    """Atoms one by one, as the module docstring defines them."""
    rows, columns = np.mgrid[:height, :width]
    atoms = {}
    for k1, k2 in np.ndindex(height, width):
        mirror = (-k1 % height, -k2 % width)
        phase = 2 * np.pi * (k1 * rows / height + k2 * columns / width)
        if mirror == (k1, k2):
            atoms[k1, k2] = np.cos(phase) / np.sqrt(height * width)
        elif (k1, k2) not in atoms:  # of k and -k the one that comes first
            atoms[k1, k2] = np.cos(phase) * np.sqrt(2 / (height * width))
            atoms[mirror] = np.sin(phase) * np.sqrt(2 / (height * width))
    return np.stack([atoms[k].ravel() for k in np.ndindex(height, width)])


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_fourier_equals_its_definition(height: int, width: int) -> None:
    x = uniform(3, 1, height, width)
    expected = x.flatten(1) @ torch.from_numpy(dense_fourier(height, width)).mT
    torch.testing.assert_close(Fourier().analysis(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_fourier_keeps_the_layout_and_the_energy_of_fft2(height: int, width: int) -> None:
    x = uniform(1, 1, height, width)
    energy = Fourier().analysis(x).reshape(height, width).square()
    mirrored = energy.flip(0, 1).roll((1, 1), (0, 1))
    expected = torch.fft.fft2(x[0, 0], norm="ortho").abs().square()
    torch.testing.assert_close((energy + mirrored) / 2, expected)


def test_fourier_diagonalises_a_stationary_covariance() -> None:
    kernel = uniform(5, 6)
    kernel = kernel + kernel.flip(0, 1).roll((1, 1), (0, 1))
    shifts = [kernel.roll((i, j), (0, 1)).flatten() for i in range(5) for j in range(6)]
    covariance = torch.stack(shifts)
    atoms = Fourier().synthesis(torch.eye(30, dtype=torch.float64), (1, 5, 6)).flatten(1)
    rotated = atoms @ covariance @ atoms.mT
    torch.testing.assert_close(rotated, torch.diag(rotated.diagonal()), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), [*SIZES, (80, 64)])
def test_dct_equals_scipy(height: int, width: int) -> None:
    from scipy.fft import dctn

    x = uniform(2, 3, height, width)
    expected = torch.from_numpy(dctn(x.numpy(), axes=(-2, -1), norm="ortho")).flatten(1)
    torch.testing.assert_close(DCT().analysis(x), expected, rtol=0, atol=1e-12)


def test_dct_of_a_ramp_decays_faster_than_its_fourier_series() -> None:
    ramp = torch.linspace(0, 1, 64, dtype=torch.float64).expand(1, 1, 64, 64).contiguous()

    def outside_of_best(basis: DCT | Fourier) -> float:
        return float(basis.analysis(ramp).square().sort(descending=True).values[0, 8:].sum())

    assert outside_of_best(DCT()) < 1e-3 * outside_of_best(Fourier())
