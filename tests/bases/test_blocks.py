import pytest
import torch
from torch import Tensor

from gahb_theory.bases import DCT, PCA, BlockDCT, PatchPCA
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


def test_bases_of_squares_follow_the_interface() -> None:
    check_basis(BlockDCT(4), (2, 8, 16))
    check_basis(PatchPCA.fit(uniform(30, 2, 8, 16), size=4), (2, 8, 16))


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


def test_bad_use_is_refused(unchecked: None) -> None:
    with pytest.raises(ValueError, match="both sides of the images must be multiples of 8, got 12 x 16"):
        BlockDCT(8).analysis(torch.zeros(1, 1, 12, 16))
    with pytest.raises(ValueError, match="need at least 2 vectors, got 1"):
        PatchPCA.fit(torch.zeros(1, 1, 4, 4), size=4)
