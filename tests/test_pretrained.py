"""The shipped denoisers: their cards say what they do, and they are better than what needs no training."""

import csv
from pathlib import Path

import pytest

import gahb_theory as gt
from gahb_theory.pretrained import shipped_class, train_shipped

RESULTS = Path(__file__).parent.parent / "experiments" / "results" / "shipped"
NAMES = ("c_alpha", "photographs", "blind_photographs")


def rows(name: str) -> list[dict[str, float]]:
    with (RESULTS / name / "psnr.csv").open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", NAMES)
def test_the_weights_are_those_of_the_table(name):
    x = shipped_class(name, split="test").sample(256, seed=77)
    table = {row["sigma"]: row["network"] for row in rows(name)}
    found = gt.psnr_curve(gt.shipped_denoiser(name), x, (0.05, 0.5), seed=77).psnr
    assert found == pytest.approx([table[0.05], table[0.5]], abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_they_beat_what_needs_no_training(name):
    for row in rows(name):
        assert row["network"] > max(row["noisy"], row["wiener"]), row
        if name == "c_alpha":
            assert row["shrinkage"] == row["network"], "equation (6) is exact"
        else:
            assert row["shrinkage"] < row["network"], "and a part of it elsewhere"
        if name == "c_alpha" or 0.05 <= row["sigma"] <= 0.5:
            assert row["network"] > row["sym4_oracle"], row


@pytest.mark.parametrize("name", NAMES)
def test_each_is_less_than_3_megabytes(name):
    folder = Path(gt.pretrained.__file__).parent / name
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3e6


def test_a_folder_is_for_photographs_alone(tmp_path):
    with pytest.raises(ValueError, match='"photographs" and "blind_photographs" alone'):
        train_shipped("c_alpha", folder=tmp_path)


@pytest.mark.parametrize("name", ["c_alpha", "photographs"])
def test_what_is_called_conservative_is_a_gradient(name):
    f = gt.shipped_denoiser(name)
    assert isinstance(f, gt.Conservative)
    assert f.given_sigma == (name == "photographs")
    y = gt.add_noise(shipped_class(name, split="test").sample(1, seed=3)[..., :24, :16], 0.1, seed=0)
    assert gt.jacobian(f, y, 0.1).asymmetry() < 1e-5
    assert gt.jacobian(gt.shipped_denoiser("blind_photographs"), y, 0.1).asymmetry() > 0.1
