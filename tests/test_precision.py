"""Results do not depend on autocast, on the default device or on the default dtype, and sums are wide enough."""

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import precision
from gahb_theory.theory.exact_risks import gaussian_mse

X = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
SMALL = torch.rand(20, 1, 4, 4, generator=torch.Generator().manual_seed(1))


def dense_basis() -> gt.DenseBasis:
    return gt.DenseBasis(torch.linalg.qr(SMALL[:16].flatten(1).mT).Q.mT.contiguous(), (1, 4, 4))


BASES = {
    "Wavelet": (gt.Wavelet, X),
    "DCT": (gt.DCT, X),
    "Fourier": (gt.Fourier, X),
    "BlockDCT": (lambda: gt.BlockDCT(4), X),
    "Bandlet": (lambda: gt.Bandlet().at(X, 0.1), X),
    "WaveletPackets": (lambda: gt.WaveletPackets().at(X, 0.1), X),
    "CycleSpinning": (lambda: gt.CycleSpinning(gt.Wavelet("haar"), 2), X),
    "PCA": (lambda: gt.PCA.fit(SMALL), SMALL),
    "PatchPCA": (lambda: gt.PatchPCA.fit(X, 4), X),
    "DenseBasis": (dense_basis, SMALL),
    "RandomBasis": (lambda: gt.RandomBasis.draw((1, 4, 4)), SMALL),
}


@pytest.mark.parametrize("name", BASES)
def test_bases_are_the_same_inside_autocast(name: str) -> None:
    make, x = BASES[name]
    basis = make()
    c = basis.analysis(x)
    back = basis.synthesis(c, tuple(x.shape[1:]))
    with torch.autocast("cpu", torch.bfloat16):
        again = make()
        assert torch.equal(again.analysis(x), c)
        assert torch.equal(again.synthesis(c, tuple(x.shape[1:])), back)


def test_risks_are_the_same_inside_autocast() -> None:
    calls = (
        lambda: gt.oracle_mse(gt.Bandlet(), X, 0.1),
        lambda: gt.projection_mse(gt.Wavelet(), X, 0.1),
        lambda: gt.oracle_risks(gt.Wavelet(), X, 0.1).empirical,
        lambda: gt.stein_risk(gt.Soft(), X.flatten(1), 0.1),
        lambda: gt.approximation_error(gt.DCT(), X, [3, 7]),
        lambda: gt.cosine_similarity(X, X.flip(0)),
        lambda: gt.closest(X, X.flip(0)).similarity,
        lambda: torch.from_numpy(gt.paired_similarity(X, X.flip(0)).null),
        lambda: torch.from_numpy(gt.compare(gt.DCT(), gt.Wavelet(), X, 0.1).overlap),
    )
    for call in calls:
        expected = call()
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(call(), expected)


@pytest.mark.parametrize("name", BASES)
def test_bases_are_the_same_with_other_defaults(name: str) -> None:
    make, x = BASES[name]
    basis = make()
    c = basis.analysis(x)
    indices = [] if basis.is_adapted and name in ("Bandlet", "WaveletPackets") else [0, 1]  # adapted to two images
    atoms = basis.atom_images(indices, tuple(x.shape[1:])) if indices else None
    torch.set_default_dtype(torch.float64)
    try:
        with torch.device("meta"):
            again = make()
            assert torch.equal(again.analysis(x), c)
            assert again.synthesis(c, tuple(x.shape[1:])).device.type == "cpu"
            if atoms is not None:
                assert torch.equal(again.atom_images(indices, tuple(x.shape[1:])), atoms)
    finally:
        torch.set_default_dtype(torch.float32)


def test_measures_are_the_same_with_other_defaults() -> None:
    gaussian = gt.ConditionalKLT.from_covariance(torch.diag(torch.arange(1.0, 17.0)), (1, 4, 4))
    blocks = torch.arange(256) // 16
    calls = (
        lambda: gt.oracle_mse(gt.Bandlet(), X, 0.1),
        lambda: gt.oracle_risks(gt.Wavelet(), X, 0.1).empirical,
        lambda: gt.stein_risk(gt.BlockJamesStein(blocks), X.flatten(1), 0.1),
        lambda: gaussian_mse(gaussian.variances, 0.1),
        lambda: gt.ConditionalKLT.from_covariance(torch.diag(gaussian.variances), (1, 4, 4)).atoms,
        lambda: gt.Wedgelets().at(X, 0.1).project(X),
        lambda: gt.Wavelet().bands((1, 16, 16)),
        lambda: torch.from_numpy(gt.psnr_curve(lambda y, s: y, X, [0.1, 0.2]).psnr),
        lambda: torch.from_numpy(gt.function_distance(lambda y, s: y, lambda y, s: 0.9 * y, X, [0.1]).per_image),
        lambda: torch.from_numpy(gt.copies(X, X).similarity),
        lambda: torch.from_numpy(gt.compare(gt.DCT(), gt.Wavelet(), X, 0.1).angles),
        lambda: torch.from_numpy(gt.terms_above(gt.DCT(), X, [0.1, 0.3])),
        lambda: gt.generate(lambda y, s: 0.5 * y, (2, 1, 4, 4), step=0.2, every=3).images,
    )
    for call in calls:
        expected = call()
        torch.set_default_dtype(torch.float64)
        try:
            with torch.device("meta"):
                got = call()
        finally:
            torch.set_default_dtype(torch.float32)
        assert got.dtype == expected.dtype
        assert torch.equal(got, expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_risks_of_half_precision_are_summed_in_float32(dtype: torch.dtype) -> None:
    x = torch.full((1, 1, 512, 512), 1.0, dtype=dtype)
    expected = 512**2 / 2  # x^2 sigma^2 / (x^2 + sigma^2) in each pixel; above 65504, and beyond the steps of bfloat16
    for risk in (gt.oracle_mse(gt.Pixels(), x, 1.0), 0.5 * gt.projection_mse(gt.Pixels(), x, 1.0)):
        assert risk.dtype == torch.float32
        assert float(risk) == expected
    assert float(gt.approximation_error(gt.Pixels(), x, 0)) == 512**2
    assert float(gt.cosine_similarity(300 * x, 300 * x, gt.unit_vectors)) == pytest.approx(1, abs=1e-4)
    half = gt.shrinkage_mse(torch.zeros(512**2, dtype=dtype), x.flatten(1), 1.0)
    assert float(half) == 512**2


def test_wide() -> None:
    for dtype in (torch.float32, torch.float64):
        x = torch.ones(2, dtype=dtype)
        assert precision.wide(x) is x


def test_gains_of_extreme_coefficients_are_right() -> None:
    c = torch.tensor([[1e-30, 1e30, 0.0]])
    assert gt.oracle_gains(c, 1e-30)[0].tolist() == pytest.approx([0.5, 1.0, 0.0])
    assert gt.Garrote(1.0)(torch.tensor([[2e30]]), 1e30).item() == pytest.approx(0.75)


def test_matrices_that_are_not_orthonormal_are_no_basis(unchecked: None) -> None:
    matrix = torch.eye(16)
    for wrong in (2 * matrix, matrix + 0.01, torch.cat([matrix[:1], matrix[:15]]), torch.zeros(16, 16)):
        with pytest.raises(ValueError, match=r"atoms must be orthonormal rows, got an error of .*torch.linalg.qr"):
            gt.DenseBasis(wrong, (1, 4, 4))
    with pytest.raises(ValueError, match="atoms must be orthonormal rows"):
        gt.PatchPCA(2 * matrix, torch.ones(16))
    mended = torch.linalg.qr((matrix + 0.01).mT).Q.mT.contiguous()
    assert gt.DenseBasis(mended, (1, 4, 4)).analysis(SMALL).shape == (20, 16)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        gt.DenseBasis(mended.to(dtype), (1, 4, 4))


def test_numbers_of_numpy_are_parameters(unchecked: None) -> None:
    for kind in (np.float16, np.float32, np.float64, np.int64):
        assert type(gt.Hard(kind(3)).threshold) is float
        assert gt.Hard(kind(3)) == gt.Hard(3.0)
    assert gt.BlockDCT(np.int64(4)) == gt.BlockDCT(4)
    assert gt.Bandlet(sizes=(np.int64(4), np.int64(8))).sizes == (4, 8)
    with pytest.raises(TypeError, match="threshold must be a number, got bool"):
        gt.Hard(np.bool_(True))


def test_frames_have_no_number_of_terms(unchecked: None) -> None:
    frame = gt.CycleSpinning(gt.Wavelet("haar"), 2)
    with pytest.raises(ValueError, match="CycleSpinning is a redundant frame"):
        gt.terms_above(frame, X, [0.1])


@pytest.mark.parametrize("name", ["Wavelet", "DCT", "Fourier", "BlockDCT"])
def test_bases_take_half_precision(name: str) -> None:
    make, x = BASES[name]
    half = make().analysis(x.half())
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), make().analysis(x), atol=2e-2, rtol=2e-2)
    assert make().synthesis(half, tuple(x.shape[1:])).dtype == torch.float16
