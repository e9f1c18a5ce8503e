"""The committed figures of the conditional sampler: what the documentation says of them, and that the nulls fail."""

import json
from pathlib import Path

import pytest

STORED = Path(__file__).parents[2] / "experiments" / "results" / "posteriors" / "posteriors.json"
PUBLISHED, SMALL = "published: h grows from .01, beta = .01", "h = .02, beta = .1"


@pytest.fixture(scope="module")
def found():
    return json.loads(STORED.read_text())


def test_mean_and_variance(found):
    for row in found["moments"].values():
        published, small = row["constants"][PUBLISHED], row["constants"][SMALL]
        assert published["mean_error"] < 0.04
        assert 0.53 < published["variance_share"] < 0.575
        assert small["mean_error"] < 0.13
        assert 0.895 < small["variance_share"] < 1.115
        ignoring = row["ignoring the measurements"]
        assert ignoring["mean_error"] > 3 * small["mean_error"]


def test_calibration(found):
    statistics = found["calibration"]["statistics"]
    assert all(row["exact posterior samples"]["chi2_p"] > 0.01 for row in statistics.values())
    assert statistics["a pixel of the hole"][PUBLISHED]["coverage_90"]["value"] == pytest.approx(0.79)
    assert statistics["a pixel of the hole"][PUBLISHED]["chi2_p"] < 1e-5
    assert statistics["along the posterior mean"]["prior samples, the measurements ignored"]["chi2_p"] < 1e-5
    assert all(sum(one["counts"]) == 300 for row in statistics.values() for one in row.values())


def test_mode_weights_are_drawn_towards_the_prior(found):
    for row in found["mixture"]["rows"]:
        if abs(row["exact"] - row["prior"]) > 0.1:
            for drawn in row["drawn"].values():
                assert abs(drawn["value"] - row["prior"]) < abs(row["exact"] - row["prior"])
    (near,) = (row for row in found["mixture"]["rows"] if row["measured"] == 0.5)
    assert near["exact"] == pytest.approx(0.92, abs=0.005)
    assert [near["drawn"][k]["value"] for k in (PUBLISHED, SMALL)] == pytest.approx([0.76, 0.66], abs=0.01)
