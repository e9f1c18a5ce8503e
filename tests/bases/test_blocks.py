import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, PCA, BlockDCT, LappedTransform, PatchPCA, SeparablePCA
from gahb_theory.bases.squares import cut
from gahb_theory.testing import check_basis


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_block_cosines_equal_those_of_each_square() -> None:
    x = uniform(2, 3, 16, 24)
    c = cut(BlockDCT(8).analysis(x).reshape(x.shape), 8, 8)
    for i in range(2):
        for j in range(3):
            part = x[:, :, 8 * i : 8 * i + 8, 8 * j : 8 * j + 8].contiguous()
            torch.testing.assert_close(c[:, :, i, j].flatten(1), DCT().analysis(part), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("size", "shape"), [(2, (1, 4, 4)), (4, (2, 8, 16)), (8, (1, 16, 16)), (8, (1, 40, 24))])
def test_lapped_cosines_are_orthonormal(size: int, shape: tuple[int, int, int]) -> None:
    check_basis(LappedTransform(size), shape)


def test_lapped_cosines_are_smooth_where_block_cosines_jump() -> None:
    u = torch.arange(64, dtype=torch.float64) / 64
    x = torch.sin(2 * torch.pi * (u[:, None] + 2 * u[None, :]))[None, None]

    def error(basis: BlockDCT | LappedTransform, kept: int) -> float:
        c = basis.analysis(x)
        keep = c.abs() >= c.abs().sort(dim=1, descending=True).values[:, kept - 1 : kept]
        return float((basis.synthesis(c * keep) - x).square().sum())

    assert error(LappedTransform(8), 256) < 0.7 * error(BlockDCT(8), 256)
    atom = LappedTransform(8).atom_images([8 * 64 + 8], (1, 64, 64), dtype=torch.float64)[0, 0]
    assert int((atom.abs() > 1e-12).sum()) == 16 * 16


def test_patch_components_are_those_of_the_squares() -> None:
    x = uniform(30, 2, 8, 12)
    basis = PatchPCA.fit(x, size=4)
    squares = cut(x, 4, 4).reshape(-1, 1, 4, 4)
    expected = PCA.fit(squares)
    torch.testing.assert_close(basis.variances, expected.variances)
    torch.testing.assert_close((basis.atoms @ expected.atoms.mT).abs(), torch.eye(16).double(), rtol=0, atol=1e-8)
    c = cut(basis.analysis(x).reshape(x.shape), 4, 4).reshape(-1, 16)
    torch.testing.assert_close(c.abs(), expected.analysis(squares).abs(), rtol=0, atol=1e-8)
    covariance = torch.cov(c.mT)
    torch.testing.assert_close(covariance, torch.diag(covariance.diagonal()), rtol=0, atol=1e-12)


def test_separable_components_diagonalise_a_separable_covariance() -> None:
    left, right = (torch.linalg.qr(uniform(n, n, seed=n) - 0.5)[0] for n in (6, 8))
    scale = torch.outer(torch.arange(6, 0, -1).double(), torch.arange(8, 0, -1).double())
    generator = torch.Generator().manual_seed(0)
    g = torch.randn(20_000, 6, 8, generator=generator, dtype=torch.float64)
    x = (left @ (scale * g) @ right.mT)[:, None]
    basis = SeparablePCA.fit(x)
    torch.testing.assert_close((basis.rows @ left).abs(), torch.eye(6).double(), rtol=0, atol=0.05)
    torch.testing.assert_close((basis.columns @ right).abs(), torch.eye(8).double(), rtol=0, atol=0.05)
    torch.testing.assert_close(basis.analysis(x).square().mean(0), scale.square().flatten(), rtol=0.1, atol=0.5)


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="both sides of the images must be multiples of 8, got 12 x 16"):
        BlockDCT(8).analysis(torch.zeros(1, 1, 12, 16))
    with pytest.raises(ValueError, match="size must be even, got 3"):
        LappedTransform(3)
    with pytest.raises(ValueError, match=r"both sides must be at least 2 \* size = 16, got \(8, 16\)"):
        LappedTransform(8).analysis(torch.zeros(1, 1, 8, 16))
    with pytest.raises(ValueError, match="need at least 2 vectors, got 1"):
        PatchPCA.fit(torch.zeros(1, 1, 4, 4), size=4)
    with pytest.raises(ValueError, match="fitted to images of 4 x 6 pixels, got images of 6 x 4"):
        SeparablePCA.fit(uniform(3, 1, 4, 6)).analysis(uniform(1, 1, 6, 4))
