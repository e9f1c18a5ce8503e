import math

import pytest
import torch
from torch import Tensor

from gahb_theory.bases import ConditionalKLT, DenseBasis, RandomBasis, Tangent
from gahb_theory.denoisers import ShrinkageDenoiser
from gahb_theory.images import CAlpha, Disks
from gahb_theory.images.c_alpha import BACKGROUND_STD
from gahb_theory.images.fields import lattice, power_law
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import FixedGains
from gahb_theory.testing import check_basis
from gahb_theory.theory.exact_risks import gaussian_mse


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_random_basis_is_orthonormal_reproducible_and_follows_its_seed() -> None:
    basis = RandomBasis.draw((1, 16, 16), seed=3)
    check_basis(basis, dtype=torch.float32)
    assert torch.equal(basis.atoms, RandomBasis.draw((1, 16, 16), seed=3).atoms)
    assert not torch.equal(basis.atoms, RandomBasis.draw((1, 16, 16), seed=4).atoms)
    check_basis(RandomBasis.draw((2, 8, 4), components=7), (2, 8, 4), torch.float32)


def test_a_random_basis_prefers_no_direction() -> None:
    # r atoms hold r/d of the energy of any vector, in the mean; the variance is that of a Beta(r/2, (d - r)/2) number
    vector = torch.zeros(1, 1, 6, 6)
    vector[0, 0, 0, 0] = 1
    energies = torch.tensor(
        [float(RandomBasis.draw((1, 6, 6), components=9, seed=s).analysis(vector).square().sum()) for s in range(400)]
    )
    spread = math.sqrt(2 * 9 * 27 / (36**2 * 38) / 400)
    assert abs(float(energies.mean()) - 9 / 36) < 4 * spread
    firsts = torch.tensor([float(RandomBasis.draw((1, 6, 6), components=1, seed=s).atoms[0, 0]) for s in range(400)])
    assert abs(float(firsts.mean())) < 4 / math.sqrt(400 * 36)


def test_tangent_directions_come_first() -> None:
    scene = Disks(size=16).scene(2, seed=1)
    basis = Tangent.complete(scene.tangent[1], (1, 16, 16))
    assert basis.dimension == 5
    torch.testing.assert_close(basis.atoms[:5], scene.tangent[1], rtol=0, atol=1e-5)
    check_basis(basis, dtype=torch.float32)
    skewed = torch.tensor([[1.0, 0, 0, 0], [1.0, 2.0, 0, 0]])
    atoms = Tangent.complete(skewed, (1, 2, 2)).atoms
    torch.testing.assert_close(atoms[:2].abs(), torch.eye(4)[:2], rtol=0, atol=1e-6)


def test_the_tangent_projection_has_five_times_the_noise_variance_on_disks() -> None:
    scene = Disks(size=32).scene(1, seed=2)
    basis, sigma = Tangent.complete(scene.tangent[0], (1, 32, 32)), 0.003
    gains = torch.zeros(1024)
    gains[:5] = 1
    noise = add_noise(torch.zeros(400, 1, 32, 32), sigma, seed=1)
    # the first-order denoiser x + P (y - x): its error is the projected noise
    error = ShrinkageDenoiser(basis, FixedGains(gains))(noise, sigma).square().sum((1, 2, 3))
    assert float(error.mean()) == pytest.approx(5 * sigma**2, rel=4 * math.sqrt(2 / 5 / 400))


def planted(d: int) -> tuple[Tensor, Tensor, Tensor]:
    atoms = torch.linalg.qr(normal(d, d))[0].mT
    variances = torch.linspace(1, 0, d, dtype=torch.float64) ** 2
    return atoms.mT @ torch.diag(variances) @ atoms, atoms, variances


def test_a_planted_covariance_is_diagonalised() -> None:
    covariance, atoms, variances = planted(16)
    basis = ConditionalKLT.from_covariance(covariance, (1, 4, 4))
    torch.testing.assert_close(basis.variances, variances, rtol=0, atol=1e-12)
    torch.testing.assert_close((basis.atoms @ atoms.mT).abs(), torch.eye(16, dtype=torch.float64), rtol=0, atol=1e-8)
    check_basis(basis, (1, 4, 4))
    operator = ConditionalKLT.from_covariance(lambda v: v @ covariance, (1, 4, 4), components=3)
    assert operator.atoms.dtype == torch.float32
    torch.testing.assert_close(operator.atoms.double(), basis.atoms[:3], rtol=0, atol=1e-6)


def background_covariance(size: int, alpha: float) -> Tensor:
    """Exact covariance of the backgrounds of C^alpha images: stationary, from the amplitudes of their series."""
    lags = torch.fft.ifft2(lattice(size, power_law(alpha)).square(), norm="forward").real
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    return BACKGROUND_STD**2 * lags[rows[:, None] - rows, columns[:, None] - columns]


def means_covariance(jump: float) -> Tensor:
    """Exact covariance of the two means: a common centre, and a gap of random sign."""
    centre, gap = 0.2**2 / 12, (0.5**3 - jump**3) / (3 * (0.5 - jump))
    return torch.tensor([[centre + gap / 4, centre - gap / 4], [centre - gap / 4, centre + gap / 4]]).double()


@pytest.fixture(scope="module")
def given_contour() -> tuple[ConditionalKLT, Tensor]:
    """The basis given one contour, and many images with that contour and mean 0."""
    image_class = CAlpha(alpha=1.5, size=16)
    coverage = image_class.scene(1, seed=5, dtype=torch.float64).coverage
    backgrounds = image_class.scene(4000, seed=6, dtype=torch.float64).backgrounds - 0.5
    images = coverage * backgrounds[:, :1] + (1 - coverage) * backgrounds[:, 1:]
    return ConditionalKLT.given_contour(
        coverage, background_covariance(16, 1.5), means_covariance(image_class.jump)
    ), images


def test_the_covariance_given_the_contour_is_that_of_the_distribution(
    given_contour: tuple[ConditionalKLT, Tensor],
) -> None:
    basis, images = given_contour
    c = basis.analysis(images)
    squares = c.square()
    spread = squares.std(dim=0) / math.sqrt(len(c))
    assert float(((squares.mean(dim=0) - basis.variances) / spread).abs().max()) < 4.5  # 256 variances
    assert float((squares.sum(dim=1).mean() / basis.variances.sum()) - 1) == pytest.approx(0, abs=0.03)
    normed = c / basis.variances.sqrt()
    correlation = normed.mT @ normed / len(c)
    correlation.fill_diagonal_(0)
    # 32640 correlations of standard error 0.016; products with the two non-Gaussian means have heavier tails
    assert float(correlation.abs().max()) < 0.1


def test_no_basis_denoises_linearly_better_given_the_contour(given_contour: tuple[ConditionalKLT, Tensor]) -> None:
    basis, images = given_contour
    sigma = 0.05
    y = add_noise(images, sigma, seed=9)
    gains = basis.variances / (basis.variances + sigma**2)
    errors = (ShrinkageDenoiser(basis, FixedGains(gains))(y, sigma) - images).square().sum((1, 2, 3))
    expected = float(gaussian_mse(basis.variances, sigma))
    assert float(errors.mean()) == pytest.approx(expected, abs=4 * float(errors.std()) / math.sqrt(len(errors)))
    other = RandomBasis.draw((1, 16, 16))
    variances = other.analysis(images).square().mean(dim=0)
    assert float(gaussian_mse(variances, sigma)) > 2 * expected


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match=r"covariance must have shape \(4, 4\), got \(3, 3\)"):
        ConditionalKLT.from_covariance(torch.eye(3), (1, 2, 2))
    with pytest.raises(ValueError, match="covariance must be symmetric"):
        ConditionalKLT.from_covariance(torch.triu(torch.ones(4, 4)), (1, 2, 2))
    with pytest.raises(ValueError, match="covariance must have no negative eigenvalue, got -1"):
        ConditionalKLT.from_covariance(-torch.eye(4), (1, 2, 2))
    with pytest.raises(ValueError, match=r"means must have shape \(2, 2\), got \(3, 3\)"):
        ConditionalKLT.given_contour(torch.zeros(1, 1, 2, 2), torch.eye(4), torch.eye(3))
    with pytest.raises(ValueError, match="2 directions of tangent must be linearly independent"):
        Tangent.complete(torch.ones(2, 4), (1, 2, 2))
    with pytest.raises(ValueError, match=r"atoms of this basis are images of shape \(1, 2, 2\), got .* \(1, 3, 3\)"):
        DenseBasis(torch.eye(4), (1, 2, 2)).analysis(torch.zeros(1, 1, 3, 3))
    with pytest.raises(ValueError, match=r"shape must be \(channels, height, width\), got \(4, 4\)"):
        RandomBasis.draw((4, 4))
