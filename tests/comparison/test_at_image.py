"""A denoiser at one image, and over noise levels, beside fixed bases."""

import math

import numpy as np
import pytest
import torch

from gahb_theory import runs, stored_results
from gahb_theory.bases import DCT, Wavelet
from gahb_theory.comparison import (
    QUANTITIES,
    Comparison,
    ImageAnalysis,
    Performance,
    analyse_image,
    compare,
    compare_performance,
    reference_bases,
)
from gahb_theory.comparison.quantities import table_rows
from gahb_theory.denoisers import ShrinkageDenoiser, UNet
from gahb_theory.images import CAlpha
from gahb_theory.jacobians import jacobian
from gahb_theory.metrics import psnr, psnr_curve
from gahb_theory.randomness import add_noise
from gahb_theory.shrinkage import FixedGains, Hard, oracle_gains
from gahb_theory.theory import fit_slope, oracle_mse

SIGMA = 0.1
SIGMAS = (0.05, 0.1, 0.2, 0.4)
BASES = {"wavelet": Wavelet("db2"), "mine": DCT()}


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return CAlpha(alpha=2.0, size=16).sample(4, seed=1, dtype=torch.float64)


@pytest.fixture(scope="module")
def network() -> UNet:
    return UNet(channels=4, blocks=2, seed=3).double().eval()


@pytest.fixture(scope="module")
def analysis(x: torch.Tensor, network: UNet) -> ImageAnalysis:
    return analyse_image(network, x[:1], SIGMA, BASES, seed=5)


@pytest.fixture(scope="module")
def performance(x: torch.Tensor) -> Performance:
    f = ShrinkageDenoiser(Wavelet("db2"), Hard(2.0))
    return compare_performance(f, x, SIGMAS, BASES, window=(0.05, 0.2), seed=5)


def test_an_analysis_is_that_of_the_jacobian(analysis: ImageAnalysis, x: torch.Tensor, network: UNet) -> None:
    y = add_noise(x[:1], SIGMA, seed=5)
    J = jacobian(network, y, SIGMA)
    matrix = J.matrix()
    symmetric = (matrix + matrix.mT) / 2
    assert analysis.effective_dimension == pytest.approx(J.trace())
    assert analysis.squared_norm == pytest.approx(float(matrix.square().sum()))
    assert analysis.asymmetry == pytest.approx(J.asymmetry())
    assert analysis.homogeneity_error == pytest.approx(J.homogeneity_error())
    np.testing.assert_allclose(analysis.eigenvalues, torch.linalg.eigvalsh(symmetric).flip(0).numpy(), atol=1e-12)
    assert analysis.eigenvalues_above_half == int((analysis.eigenvalues > 0.5).sum())
    assert (analysis.largest_eigenvalue, analysis.smallest_eigenvalue) == (
        analysis.eigenvalues[0],
        analysis.eigenvalues[-1],
    )
    shrinkage = (symmetric @ y.flatten()).reshape(y.shape)
    assert analysis.psnr_shrinkage == pytest.approx(float(psnr(x[:1], shrinkage)))
    assert analysis.psnr_denoised == pytest.approx(float(psnr(x[:1], network(y, SIGMA).detach())))
    assert analysis.psnr_noisy == pytest.approx(float(psnr(x[:1], y)))


def test_its_comparisons_are_those_of_compare(analysis: ImageAnalysis, x: torch.Tensor, network: UNet) -> None:
    J = jacobian(network, add_noise(x[:1], SIGMA, seed=5), SIGMA)
    alone = compare(J, BASES["wavelet"], x[:1], SIGMA)
    found = analysis.comparisons["wavelet"]
    np.testing.assert_allclose(found.overlap, alone.overlap, atol=1e-9)
    assert found.response == pytest.approx(alone.response)
    assert (found.first.name, found.second.name) == ("eigenbasis", "wavelet")
    assert analysis.oracle_psnr["mine"] == pytest.approx(10 * math.log10(256 / float(oracle_mse(DCT(), x[:1], SIGMA))))
    assert list(analysis.oracle_psnr) == ["eigenbasis", "wavelet", "mine"]


def test_a_symmetric_homogeneous_denoiser_is_its_shrinkage(x: torch.Tensor) -> None:
    gains = oracle_gains(DCT().analysis(x[:1]), SIGMA)[0]
    found = analyse_image(ShrinkageDenoiser(DCT(), FixedGains(gains)), x[:1], SIGMA, BASES)
    assert found.psnr_shrinkage == pytest.approx(found.psnr_denoised)
    assert found.effective_dimension == pytest.approx(float(gains.sum()))
    assert found.comparisons["mine"].weighted_overlap > found.comparisons["wavelet"].weighted_overlap


def test_performance_is_measured_as_its_parts(performance: Performance, x: torch.Tensor) -> None:
    curve = psnr_curve(ShrinkageDenoiser(Wavelet("db2"), Hard(2.0)), x, SIGMAS, seed=5)
    np.testing.assert_allclose(performance.denoiser.psnr.value, curve.psnr)
    assert performance.denoiser.slope == fit_slope(SIGMAS, curve.mse_per_image, window=(0.05, 0.2))
    assert list(performance.methods) == ["denoiser", "wavelet_oracle", "mine_oracle", "wavelet_thresholding"]
    assert [m.label for m in performance.references] == ["wavelet oracle", "mine oracle", "wavelet thresholding"]
    oracle = np.stack([oracle_mse(DCT(), x, s).numpy() for s in SIGMAS])
    np.testing.assert_allclose(performance.methods["mine_oracle"].psnr.value, (10 * np.log10(256 / oracle)).mean(1))
    assert (performance.denoiser.psnr.low <= curve.psnr).all()
    assert (performance.denoiser.psnr.high >= curve.psnr).all()
    assert performance.inside.tolist() == [True, True, True, False]
    assert len(performance.rows()) == 16
    assert performance.rows()[1]["psnr"] == pytest.approx(curve.psnr[1])


def test_results_print_one_line_for_each_number(analysis: ImageAnalysis, performance: Performance) -> None:
    lines = repr(analysis).splitlines()
    assert len(lines) == 1 + len(table_rows(analysis)) + 3 + 1
    assert lines[-1].strip() == str(analysis.reproduction)
    assert any(
        line.split() == ["asymmetry", "||J", "-", "J'||", "/", "||J||", f"{analysis.asymmetry:.4g}"] for line in lines
    )
    assert repr(performance).splitlines()[0] == "Performance over 4 noise levels and 4 images"
    assert len(repr(performance).splitlines()) == 5
    assert repr(analysis.comparisons["mine"]) == analysis.comparisons["mine"].table()
    for result in (analysis, performance, analysis.comparisons["mine"], performance.denoiser.psnr):
        assert all(len(line) < 150 for line in repr(result).splitlines())
        assert "array(" not in repr(result)


@pytest.mark.parametrize("name", ["analysis", "performance"])
def test_results_are_plain_numbers_and_come_back(name: str, request: pytest.FixtureRequest, tmp_path) -> None:
    result = request.getfixturevalue(name)
    plain = result.to_dict()
    stored = runs.read_json(result.save(tmp_path / "result.json"))
    assert list(stored) == list(plain)
    arrays = stored_results.read_arrays(
        stored_results.write_arrays(tmp_path / "a.npz", stored_results.to_arrays(result, "r"))
    )
    np.testing.assert_equal(stored_results.from_arrays(type(result), arrays, "r").to_dict(), plain)


def test_every_number_has_a_label() -> None:
    for kind in (ImageAnalysis, Comparison):
        for name, form in kind.__annotations__.items():
            if form is float and name not in ("coherence", "effective_atoms"):
                assert name in QUANTITIES, f"{kind.__name__}.{name}"
    assert len({q.label for q in QUANTITIES.values()}) == len(QUANTITIES)


def test_results_are_drawn_on_the_axes_that_are_given(analysis: ImageAnalysis, performance: Performance) -> None:
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert performance.plot(ax) is ax
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), performance.denoiser.psnr.value)
    assert analysis.plot().get_xlabel().startswith("rank k of the eigenvalue of S")


def test_reference_bases_are_named_by_identifiers(x: torch.Tensor) -> None:
    assert list(reference_bases(x)) == ["wavelet", "dct", "pca"]


def test_bad_use_is_refused(x: torch.Tensor, network: UNet, unchecked: None) -> None:
    with pytest.raises(ValueError, match="bases must hold at least one basis"):
        analyse_image(network, x[:1], SIGMA, {})
    with pytest.raises(TypeError, match="bases must be a mapping from names to bases"):
        analyse_image(network, x[:1], SIGMA, [DCT()])
    with pytest.raises(TypeError, match="bases must map names to bases, got str and float"):
        compare_performance(network, x, SIGMAS, {"dct": 1.0}, window=(0.05, 0.2))
    with pytest.raises(ValueError, match=r"window must be two noise levels \(low, high\)"):
        compare_performance(network, x, SIGMAS, BASES, window=(0.2, 0.05))
    with pytest.raises(TypeError, match="eigenbasis is that of the Jacobian a"):
        compare(DCT(), Wavelet(), x, eigenbasis=DCT())
