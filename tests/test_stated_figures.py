"""Figures that docstrings state are those of the JSON files that the benchmarks wrote."""

import json
import re
from pathlib import Path

import pytest

from gahb_theory.metrics import intervals
from gahb_theory.theory import certificates, likelihood
from gahb_theory.theory.optimum import suboptimality

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def written(name: str) -> dict:
    return json.loads((BENCHMARKS / f"{name}.json").read_text())


def table(doc: str) -> dict[str, list[float]]:
    """The rows of three digits after a name, under the numbers of images."""
    rows = re.findall(r"^ {4}(\D.*?)((?: +\.\d{3}){5})$", doc, flags=re.M)
    return {
        re.sub(r",? *deviation *| +", " ", name).strip(): [float(v) for v in values.split()] for name, values in rows
    }


@pytest.mark.parametrize(("module", "kind"), [(intervals, "mean"), (suboptimality, "gap in decibels")])
def test_coverage_of_intervals(module, kind) -> None:
    found = {
        name.replace("log-normal 0.", "log-normal ."): values
        for name, values in written("interval_coverage")[kind].items()
    }
    stated = table(module.__doc__)
    assert stated.keys() == found.keys()
    for name, by_count in found.items():
        assert list(by_count) == ["6", "8", "12", "24", "64"]
        assert stated[name] == pytest.approx(list(by_count.values()), abs=5.1e-4)


def test_certificates() -> None:
    rows = written("certificates")
    held = {name: (round(r["share_true"] * r["trials"]), r["trials"]) for name, r in rows.items()}
    rival = {name for name in rows if name.endswith("as a rival")}
    itself = {name for name in rows if name.endswith("itself")}
    shares = {n: r["certified"] / r["exact"] for n, r in rows.items() if n not in rival | itself}
    disks = [share for name, share in shares.items() if name.startswith("disks")]
    others = [share for name, share in shares.items() if not name.startswith("disks")]
    text = " ".join(certificates.__doc__.split())
    total, among = [sum(held[n][k] for n in rows) for k in (0, 1)], [sum(held[n][k] for n in rival) for k in (0, 1)]
    assert f"{total[0]:,} of {total[1]:,} certificates were not above the exact excess" in text
    assert f"{among[0]} of {among[1]} with f* as a rival" in text
    assert {held[name] for name in itself} == {(15, 15)} and len(itself) == 6
    assert "15 of 15 in each of six cases where f is f*" in text
    a, b, c, d = (f"{v:.2f}".lstrip("0") for part in (others, disks) for v in (min(part), max(part)))
    assert f"is {a} to {b} of the excess on Gaussian fields, mixtures and HolderBall, and {c} to {d} on disks" in text


def test_likelihoods() -> None:
    rows, text = written("likelihood_coverage"), " ".join(likelihood.__doc__.split())
    images = {name: r["images"]["value"] for name, r in rows["log_likelihood"].items()}
    plain = [v for name, v in images.items() if not name.startswith("HolderBall")]
    low, high = (f"{v:.2f}".lstrip("0") for v in (min(plain), max(plain)))
    ball = f"{images['HolderBall, 256 pixels, noise levels .0001 to 10']:.2f}".lstrip("0")
    mixtures = f"{rows['kl_divergence']['two mixtures']['coverage']['value'] + 1e-9:.2f}".lstrip("0")
    assert (
        f"hold log p of single images {low} to {high} times on Gaussians and mixtures, {ball} times on `HolderBall`"
        in text
    )
    assert f"KL of two mixtures {mixtures} times" in text
    open_range = rows["log_likelihood"]["HolderBall, 256 pixels, noise levels .01 to 10"]
    assert open_range["share_of_infinite_intervals"] == 1
    assert "From .01 on they are infinite for `HolderBall` of 256 pixels" in text
