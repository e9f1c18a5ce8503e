"""The main job on small images: what it writes, that it goes on, and that the report is drawn from the numbers alone."""

import csv
import json
import re
from dataclasses import replace
from html import escape

import numpy as np
import pytest

import gahb_theory as gt
from gahb_theory import runs, stored_results, tour
from gahb_theory.comparison import ImageAnalysis, Performance
from gahb_theory.denoisers import SmoothUNet
from gahb_theory.report.tour_page import tour_report


@pytest.fixture
def small_tour(monkeypatch, tmp_path):
    """The tour on 16x16 images with untrained networks."""
    classes = {"c_alpha": gt.CAlpha(size=16), "photographs": gt.Photographs(size=16)}
    monkeypatch.setattr(tour, "shipped_class", lambda name, split="train": classes[name])
    monkeypatch.setattr(tour, "shipped_denoiser", lambda name: gt.UNet(channels=4, blocks=2, seed=3).eval())
    monkeypatch.setattr(
        tour,
        "train_shipped",
        lambda name, run, images: gt.train(
            gt.UNet(channels=4, blocks=2), classes[name], images, run=run, batch_size=16
        ),
    )
    monkeypatch.setattr(tour, "PCA_SAMPLES", 64)
    return tour.Tour(run=tmp_path / "run", test_images=8, retrain=True, retrain_images=32)


def test_the_tour_writes_a_run_and_a_report(small_tour):
    page = tour.run_tour(small_tour)
    run = small_tour.run
    assert page == run / "report.html"
    config = json.loads((run / "config.json").read_text())
    assert config["settings"]["sigma"] == 0.15
    assert set(config["versions"]) >= {"gahb_theory", "torch", "numpy", "python"}
    assert re.fullmatch("[0-9a-f]{64}", config["data"]["c_alpha"])

    arrays = stored_results.read_arrays(run / "arrays.npz")
    analysis = stored_results.from_arrays(ImageAnalysis, arrays, "c_alpha/analysis")
    assert analysis.eigenvalues.shape == (256,)
    np.testing.assert_allclose(
        analysis.error_over_variance, 256 * 10 ** (-analysis.psnr_denoised / 10) / 0.15**2, rtol=1e-4
    )
    assert (np.diff(analysis.eigenvalues) <= 0).all()
    # the coefficients are those of the clean image in an orthonormal basis: Parseval
    np.testing.assert_allclose((analysis.coefficients**2).sum(), (analysis.clean**2).sum(), rtol=1e-4)
    assert list(analysis.sides) == ["eigenbasis", "wavelet", "dct", "pca"]
    for name, side in analysis.sides.items():
        assert (np.diff(side.best_energy) >= -1e-6).all(), f"{name}: more terms never leave more"
    measured = stored_results.from_arrays(Performance, arrays, "c_alpha/performance")
    image_class, f = gt.CAlpha(size=16), gt.UNet(channels=4, blocks=2, seed=3).eval()
    again = gt.psnr_curve(f, image_class.sample(8, seed=small_tour.seed), [0.1], seed=small_tour.seed)
    index = list(measured.sigmas).index(0.1)
    assert measured.denoiser.psnr.value[index] == pytest.approx(float(again.psnr[0]), abs=1e-4)

    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["case"] for row in rows} == {"c_alpha", "photographs"}
    assert any(row["method"] == "denoiser_retrained" for row in rows)

    html = page.read_text()
    assert html.count("<figure id=") == len(list((run / "figures").glob("*.png"))) == 11
    assert "http" not in html, "the page asks for nothing from outside"
    assert "Trained anew" in html
    assert f"tr J = {analysis.effective_dimension:.0f}" in html
    assert f"the squared error is {analysis.error_over_variance:.0f} sigma^2" in html
    r = analysis.reproduction
    said = escape(str(r)).replace("&#x27;", "&#39;")
    assert len(re.findall(f"<(?:p|figcaption)>[^<]*{re.escape(said)}", html)) == 3, "beside numbers and both pictures"
    assert f": {analysis.psnr_shrinkage:.2f} dB beside {analysis.psnr_denoised:.2f} dB of f(y)" in html
    assert not r.exact
    assert f"and not of this one: at the first image below the two sides differ by {r.error:.1e}" in html
    assert f"has a PSNR {analysis.psnr_denoised - analysis.psnr_shrinkage:.2f} dB lower" in html
    assert f"{analysis.comparisons['dct'].weighted_overlap:.3f}" in html


def test_the_equation_is_true_in_the_tour_of_conservative_denoisers(small_tour, monkeypatch):
    f = gt.Conservative(SmoothUNet(4, 2, seed=3)).eval()
    f.calibrate((1, 16, 16))
    monkeypatch.setattr(tour, "shipped_denoiser", lambda name: f)
    page = tour.run_tour(replace(small_tour, retrain=False)).read_text()
    arrays = stored_results.read_arrays(small_tour.run / "arrays.npz")
    analysis = stored_results.from_arrays(ImageAnalysis, arrays, "c_alpha/analysis")
    r = analysis.reproduction
    assert r.exact
    assert r.error < 5e-6
    assert f"the two sides differ by {r.error:.1e} of f(y)" in page
    assert "Spectrum of J, which is symmetric;" in page
    assert "not of this one" not in page
    assert "antisymmetric" not in page
    assert analysis.psnr_shrinkage == pytest.approx(analysis.psnr_denoised, abs=1e-4)


def test_the_tour_goes_on_and_the_report_needs_only_the_directory(small_tour, monkeypatch):
    tour.run_tour(small_tour)
    before = (small_tour.run / "arrays.npz").read_bytes()

    def never(*args, **kwargs):
        raise AssertionError("what is done is not done again")

    monkeypatch.setattr(tour, "analyse_image", never)
    monkeypatch.setattr(tour, "compare_performance", never)
    tour.run_tour(small_tour)
    assert (small_tour.run / "arrays.npz").read_bytes() == before
    (small_tour.run / "report.html").unlink()
    assert tour_report(small_tour.run).exists()


def test_directories_of_other_settings():
    assert str(tour._default_directory({"sigma": 0.15, "seed": 1})) == "runs/tour"
    assert str(tour._default_directory({"sigma": 0.2, "seed": 1})) == "runs/tour-sigma-0.2"


def test_refused_directories(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        tour_report(tmp_path)
    runs.write_json(tmp_path / "config.json", {"command": "tour"})
    with pytest.raises(FileNotFoundError, match="run its command again"):
        tour_report(tmp_path)


def test_a_run_in_an_older_format_is_refused(tmp_path):
    runs.write_json(tmp_path / "config.json", {"command": "tour", "settings": {}, "versions": {}})
    stored_results.write_arrays(tmp_path / "arrays.npz", {"c_alpha/reading/clean": np.zeros((1, 4, 4))})
    with pytest.raises(ValueError, match=r"in format 1, and this one draws format 3; run gahb tour again in another"):
        tour_report(tmp_path)


def test_the_tour_analyses_the_middle_of_an_image(small_tour):
    tour.run_tour(replace(small_tour, side=8, retrain=False))
    arrays = stored_results.read_arrays(small_tour.run / "arrays.npz")
    analysis = stored_results.from_arrays(ImageAnalysis, arrays, "c_alpha/analysis")
    shown = tour.SHOWN["c_alpha"] % small_tour.test_images
    x = gt.CAlpha(size=16).sample(1, seed=small_tour.seed, start=shown)
    np.testing.assert_array_equal(analysis.clean, x[0, :, 4:12, 4:12].numpy())
    assert arrays["c_alpha/coverage"].shape == (8, 8)
