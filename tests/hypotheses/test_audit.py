"""Audits of planted denoisers, their page, and the two commands."""

import json
import os
from pathlib import Path

import pytest
import torch

import gahb_theory as gt
from gahb_theory.cli import main
from gahb_theory.hypotheses.audit import audit
from gahb_theory.report.audit_page import audit_page

X = gt.Disks(size=16)
IMAGES, OTHERS, TRAIN = X.sample(64, seed=1), X.sample(400, seed=2), X.sample(24, seed=3)


@pytest.fixture(scope="module")
def memoriser():
    return audit(gt.EmpiricalBayes(TRAIN), IMAGES, OTHERS, train=TRAIN, name="memoriser")


def test_an_exact_memoriser_memorises(memoriser):
    assert memoriser.answers()[0].startswith("It memorises: ")
    assert sorted(memoriser.closest_similarity)[32] > 0.99
    assert memoriser.pairs.shape == (8, 2, 1, 16, 16)


def test_a_filter_of_other_images_does_not():
    f, twin = (gt.GaussianDenoiser.fit(X.sample(2000, seed=seed)) for seed in (5, 6))
    result = audit(f, IMAGES, OTHERS, train=TRAIN, twin=twin)
    assert result.answers()[0].startswith("It generalises: ")
    assert result.assessments["symmetric"].verdict == "supported"
    assert result.assessments["adaptive"].verdict != "supported"
    assert result.assessments["agrees_with_twin"].verdict != "supported"


def test_what_is_certified_is_no_more_than_the_truth():
    """Doing nothing to a Gaussian field, whose best denoiser is known."""
    image_class = gt.GaussianField(size=16)
    f = lambda y, sigma: 1.0 * y + 0.2 * y.mean((2, 3), keepdim=True)  # noqa: E731
    result = audit(f, image_class.sample(64, seed=1), image_class.sample(600, seed=2), name="nothing")
    best = gt.GaussianDenoiser.fit(image_class.sample(20_000, seed=3))
    for c in result.certified:
        x = image_class.sample(500, seed=4)
        y = gt.add_noise(x, c.sigma)
        truth = gt.mse(f(y, c.sigma), best(y, c.sigma)).mean().item()
        assert 0 < c.excess.low < 1.05 * truth
        assert c.decibels > 1


def test_without_training_images_memory_cannot_be_told():
    result = audit(gt.GaussianDenoiser.fit(OTHERS[:300]), IMAGES[:16], OTHERS)
    assert result.answers()[0] == "Whether it memorises cannot be told: no training images were given (--train)."
    assert result.pairs.shape[0] == 0


def test_the_page_has_the_verdict_first_and_stands_alone(memoriser, tmp_path):
    text = audit_page(memoriser, tmp_path / "report.html").read_text()
    assert text.index("It memorises: ") < text.index("Evidence") < text.index("Copies beside their training images")
    assert "data:image/png;base64" in text
    assert "http" not in text.replace("http://www.w3.org", "")


def test_the_commands(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    f = gt.UNet(2, 1, seed=0).eval()
    gt.save_denoiser(f, tmp_path / "net")
    main(["test", "homogeneous", "--denoiser", "net", "--size", "16", "--output", "verdict.json"])
    assert "SUPPORTED" in capsys.readouterr().out
    assert json.loads((tmp_path / "verdict.json").read_text())["verdict"] == "supported"
    main(["audit", "net", "--size", "16", "--run", "out"])
    printed = capsys.readouterr().out
    assert printed.splitlines()[1].strip().startswith("Whether it memorises cannot be told")
    assert (tmp_path / "out" / "report.html").exists()


def test_an_own_file(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(
        "import gahb_theory as gt\n"
        "from gahb_theory.hypotheses import Criterion, Identity\n"
        "def error(f, images, sigma, seed):\n"
        "    return gt.mse(images, f(gt.add_noise(images, sigma, seed=seed), sigma)).sqrt() / sigma\n"
        "images = gt.Disks(size=16)\n"
        "subject = lambda y, sigma: y.mean((2, 3), keepdim=True) / 2 + y / 2\n"
        "hypothesis = gt.Hypothesis('It removes noise.', error, Criterion(14.4, '<'), nulls=[Identity()])\n"
    )
    main(["test", str(file)])
    assert "SUPPORTED" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["test", "symetric", "--denoiser", "c_alpha"], "the catalogue has no 'symetric'; it has "),
        (["test", "symmetric"], "give --denoiser PATH"),
        (["test", "memorises", "--denoiser", "c_alpha"], "give --train FOLDER"),
        (["test", "agrees_with_twin", "--denoiser", "c_alpha"], "give --twin PATH"),
        (["test", "missing.py"], "there is no missing.py"),
    ],
)
def test_what_is_missing_is_said(words, message, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert message in capsys.readouterr().err


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["bfdenoising_unet_biasfree_0-100.pt", "localprob_celeba160_bfcnn_rf43.pt"])
def test_published_networks(name):
    root = os.environ.get("GAHB_TEST_DATA")
    if root is None:
        pytest.skip("GAHB_TEST_DATA names no folder")
    f = gt.load_denoiser(Path(root) / "weights" / name).eval()
    photographs = Path(root) / "photographs"
    x = gt.Photographs(photographs / "set12", size=16).sample(16)
    with torch.no_grad():
        result = audit(f, x, gt.Photographs(photographs / "train400", size=16).sample(600), name=name)
    assert len(result.assessments) >= 6
    assert len(result.certified) == 2
