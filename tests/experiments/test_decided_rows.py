"""Rows of the planes of other classes, null models of the excess, and reasons with numbers of the rows."""

import json
from pathlib import Path
from string import Formatter

import numpy as np
import pytest
import torch

from gahb_theory import runs
from gahb_theory.hypotheses.crossed import two_level
from gahb_theory.hypotheses.hypothesis import Criterion
from gahb_theory.hypotheses.paper import (
    plane_of_photographs,
    plane_summary,
    questions_budget,
    questions_manifolds,
    questions_plane,
)
from gahb_theory.hypotheses.paper.questions_manifolds import APART, ForLouderNoise, optimum
from gahb_theory.hypotheses.verdicts import NullResult
from gahb_theory.images import CAlpha, Photographs, Ray
from gahb_theory.report import claims_reasons
from gahb_theory.theory.optimum import bayes_risk

RESULTS = Path(__file__).parents[2] / "experiments" / "results"


def planes(folder, **more):
    """The committed plane on C^alpha images under the names of the other classes."""
    numbers = json.loads((RESULTS / "memorisation_plane" / "results.json").read_text())
    for name, extra in {"memorisation_plane": {}, "plane_of_disks": {}, "plane_of_photographs": more}.items():
        (folder / name).mkdir()
        (folder / name / "results.json").write_text(json.dumps(numbers | extra))
    return questions_plane.rows(folder)


def test_rows_of_each_class(tmp_path, monkeypatch):
    """The same criteria under keys that name the class, and Wiener filters of the class beside them."""
    monkeypatch.setattr(plane_summary, "SPECTRUM_IMAGES", 1024)
    monkeypatch.setattr(questions_plane, "filter_memory", lambda eigenvalues, n, sigma: float(eigenvalues.sum()) / n)
    rows = planes(tmp_path, spectrum=[2.0] * 256)
    plain = {key: row for key, row in rows.items() if not key.endswith((", disks", ", photographs"))}
    assert len(rows) == 3 * len(plain)
    for key, row in plain.items():
        for where in ("disks", "photographs"):
            other = rows[f"{key}, {where}"]
            assert other["criterion"] == row["criterion"]
            assert other["estimate"][0] == row["estimate"][0]
            assert other["statement"] == f"On {where}: {row['statement']}"
            assert where in other["about"]
    filters = [
        rows[f"gap, N = 10,000{end}"]["nulls"]["Wiener filters of as many images, by theory"][1]
        for end in ("", ", disks", ", photographs")
    ]
    assert len(set(filters)) == 3
    assert filters[2] == pytest.approx(512 / 10_000)  # the spectrum that was kept


def test_photographs_leave_numbers_alone(monkeypatch):
    """Neither samples nor networks of photographs are kept, but the spectrum of their patches is."""
    X = Photographs(size=16)
    monkeypatch.setattr(plane_summary, "SPECTRUM_IMAGES", 2048)
    monkeypatch.setattr(
        plane_of_photographs.memorisation_plane, "collect", lambda s, found: ({"rows": []}, {"1/samples": np.ones(1)})
    )
    s = plane_of_photographs.SCALES["laptop"]
    results, arrays = plane_of_photographs.collect(s, {})
    assert arrays == {}
    assert not plane_of_photographs.PUBLISHED
    kept = torch.tensor(results["spectrum"])
    x = X.sample(2000, seed=5).flatten(1).double()
    assert float(kept.sum()) == pytest.approx(float(x.var(dim=0).sum()), rel=0.1)


def test_nearly_optimal_denoisers_could_be_found_far_from_it():
    """Noise a fifth stronger costs a little, eight times stronger more than 1 dB: the null model is no zero by construction."""
    X = Ray(CAlpha(alpha=2.0, size=16).sample(1, seed=77))
    b = bayes_risk(X, 0.3, 32, seed=0)
    upper = b._known().upper
    loud = ForLouderNoise(optimum(X))
    with torch.no_grad():
        little = float(((b.score(loud) - upper) / upper.mean()).mean())
        much = float(((b.score(lambda y, sigma: optimum(X)(y, 8 * sigma)) - upper) / upper.mean()).mean())
    assert 1e-4 < little < APART < much
    names = [getattr(null, "name", "") for null in questions_manifolds._nearly_optimal("ray", X)]
    assert names == ["the optimum for noise a fifth stronger", "linear Wiener filter", "memoriser of 65,536 images"]


def test_memorisers_tend_to_the_optimum(monkeypatch):
    """Far above it where images are few, and yet their limit is not: a fit that found one there would fail."""
    X = Ray(CAlpha(alpha=2.0, size=16).sample(1, seed=77))
    monkeypatch.setattr(questions_budget, "REMEMBERED", (64, 256, 1024, 4096))
    means = []

    def values(fs):
        b = bayes_risk(X, 0.05, 32, seed=0)
        upper = b._known().upper
        found = np.stack([((b.score(f) - upper) / upper.mean()).numpy() for f in fs])
        means.append(found.mean())
        return found

    limit = two_level(questions_budget._memorisers(X, values, 3))[0]
    assert np.mean(means[::4]) > 2 * APART
    assert NullResult.judged("memorisers", limit, Criterion(APART, ">")).passes == "no"


def test_reasons_have_the_numbers_of_the_rows():
    """A number in a sentence changes with its row; every fact is used; a row without a reason is refused."""
    rows = runs.read_json(RESULTS / "claims" / "verdicts.json")
    named = {name for text in claims_reasons.REASONS.values() for _, name, _, _ in Formatter().parse(text) if name}
    assert named == set(claims_reasons.FACTS)
    assert [key for key in claims_reasons.REASONS if rows[key]["verdict"] not in claims_reasons.OPEN] == []
    for fact in claims_reasons.FACTS.values():
        assert any(c.isdigit() for c in fact(rows))
    changed = rows | {"gap, N = 100": rows["gap, N = 100"] | {"estimate": [7.25, 7.0, 7.5]}}
    assert "memorise by 7.2 dB" in claims_reasons.reasons(changed)
    assert "memorise by 7.2 dB" not in claims_reasons.reasons(rows)
    with pytest.raises(KeyError):
        claims_reasons.reasons({"new": {"verdict": "undecided", "reason": "", "nulls": {}}})


def test_spectrum_of_a_class():
    """Eigenvalues sum to the variance of the class."""
    X = CAlpha(alpha=2.0, size=8)
    x = X.sample(4000, seed=3).flatten(1).double()
    assert float(plane_summary.spectrum(X).sum()) == pytest.approx(float(x.var(dim=0).sum()), rel=0.05)
