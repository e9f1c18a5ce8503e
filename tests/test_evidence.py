"""The numbers of docs/evidence.md are those of the committed results, and the tables of the pages those of the code."""

import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest

import gahb_theory as gt
from gahb_theory.hypotheses.benchmark import leaderboard
from gahb_theory.hypotheses.paper.judged_measures import decibels
from gahb_theory.hypotheses.paper.plane_summary import student
from gahb_theory.report import claims_reasons

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "experiments" / "results"
PAGE = " ".join((ROOT / "docs" / "evidence.md").read_text().split())


def read(name):
    return json.loads((RESULTS / name).read_text())


def psnr(name):
    with (RESULTS / "shipped" / name / "psnr.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {key: np.array([float(row[key]) for row in rows]) for key in rows[0]}


def asymmetry():
    found = {
        name: network["asymmetry"]["value"] for name, network in read("shrinkage/results.json")["networks"].items()
    }
    yield f"from {found['photographs']:.2f} on photographs to {found['c_alpha']:.2f} on C^alpha images"


def plane():
    results = read("memorisation_plane/results.json")
    rows, seen = {row["n"]: row for row in results["rows"]}, results["snapshots"]
    last = rows[10_000]
    cosine = np.mean(last["cosine_disjoint"], axis=0)[-1]
    yield f"samples of cosine {cosine:.3f}, two Wiener filters fitted on the same sets of {last['linear']['cosine']:.3f}"
    gap = np.mean(rows[100]["gap"], axis=(0, 2))
    yield f"is {gap[seen.index(20_000)]:.2f} dB after 20,000 images seen and {gap[seen.index(128_000)]:.2f} dB after 128,000"
    both = []
    for name in ("disks", "photographs"):
        other = read(f"plane_of_{name}/results.json")
        gap = np.mean(next(row["gap"] for row in other["rows"] if row["n"] == 100), axis=(0, 2))
        both.append((gap[other["snapshots"].index(20_000)], gap[-1]))
    yield "on disks it is {:.2f} and {:.2f} dB, on patches of photographs {:.2f} and {:.2f} dB".format(
        *both[0], *both[1]
    )
    better = np.array(last["linear"]["psnr_wiener"]) - np.mean(last["psnr_test"], axis=0)[-1]
    assert results["sigmas"][0] == 0.05
    assert results["sigmas"][-1] == 0.5
    yield f"{better[-1]:.2f} dB above the networks at sigma = 0.5, and {-better[0]:.1f} dB below them at 0.05"


def shipped():
    above = {name: psnr(name)["network"] - psnr(name)["wiener"] for name in ("c_alpha", "photographs")}
    assert all(gain.min() > 0 for gain in above.values())
    assert psnr("c_alpha")["sigma"][-1] == 1
    yield f"by {above['c_alpha'][-1]:.2f} dB on C^alpha images and {above['photographs'][-1]:.2f} dB on photographs"


def shipped_photographs():
    given, blind = psnr("photographs"), psnr("blind_photographs")
    above = given["network"] - blind["network"]
    yield f"by {above.min():.2f} to {above.max():.2f} dB (one training each, which differ in their steps as well), but its"
    lost = (given["network"] - given["shrinkage"])[list(given["sigma"]).index(0.1)]
    yield f"is {lost:.1f} dB below it at sigma = 0.1 (`shipped`)"


def cost_of_symmetry():
    rows = read("symmetry_cost/psnr.json")
    cost = {}
    for blind in (True, False):
        plain, gradient = (
            np.mean(
                [r["psnr"] for r in rows if (r["class"], r["blind"], r["gradient"]) == ("photographs", blind, g)],
                axis=0,
            )
            for g in (False, True)
        )
        cost[blind] = plain - gradient
    yield f"{cost[True].min():.1f} to {cost[True].max():.1f} dB below the plain network of its size at 16 pixels"
    yield f"with it, at most {cost[False].max():.2f} dB"
    each = {
        (r["seed"], r["gradient"]): np.array(r["psnr"]) for r in rows if r["class"] == "photographs" and not r["blind"]
    }
    given = np.array([each[seed, False] - each[seed, True] for seed in range(3)])
    yield f"three seeds that reach {max(student(column)['high'] for column in given.T):.2f}"


def equation_six():
    results = read("equation_six/results.json")
    lost = {sigma: "{:.1f} [{:.1f}, {:.1f}] dB".format(*row["S y"]) for sigma, row in results["disks"].items()}
    yield f"is {lost['0.05']} below it at sigma = 0.05, and {lost['0.3']} at 0.3"
    assert results["disks"]["1"]["S y"][1] < 0 < results["disks"]["1"]["S y"][2]
    assert all(abs(row["S (y - m) + m"][0]) < 0.01 for row in results["Gaussian field"].values())
    assert all(row["S (y - m) + m"][1] > 0.5 for row in results["disks"].values()), "nor is it about the mean"


def first_of_the_leaderboard():
    assert leaderboard()[0].name == "Wiener"
    yield f"such a filter stands first, {leaderboard()[0].total:.2f} dB above the optimum"


def near_optimal():
    results = read("near_optimal/results.json")
    slopes = results["classes"]["holder_2_48"]["slopes"]
    theory = gt.theory.optimal_slope(2.0)
    yield f"networks have {slopes['network']['value']:.2f}, where theory has {theory:.2f} and the best linear"
    yield f"given the contour {slopes['given contour']['value']:.2f} ("
    chosen = np.array(results["sigmas"]) >= 0.03
    against = {
        name: np.array(entry["against"]["bandlet oracle"]["value"])[chosen]
        for name, entry in results["classes"].items()
    }
    holder = np.concatenate([values for name, values in against.items() if name.startswith("holder")])
    yield f'{holder.min():.1f} to {holder.max():.1f} dB better on "holder" images'
    yield f"up to {-against['paper_1_48'].min():.1f} dB worse on published images of alpha = 1"


def symmetric():
    verdicts = read("symmetric/verdicts.json")
    negative, adapted = verdicts["negative part"], verdicts["adaptivity"]
    assert (negative["verdict"], adapted["verdict"]) == ("refuted", "undecided")
    assert verdicts["psnr, sigma = 0.02"]["verdict"] == "supported"
    ends = "{:.3f} [{:.3f}, {:.3f}]".format(*negative["estimate"])
    yield f"are {ends} of the sum of absolute values, of plain ones {negative['nulls']['plain'][1]:.3f}"
    yield "is undecided: {:g} [{:g}, {:g}] of the energy".format(*adapted["estimate"])
    cost = verdicts["psnr, sigma = 0.1"]
    assert cost["verdict"] == "undecided"
    value, low, high = cost["estimate"]
    yield f"it costs {-value:.3f} [{-high:.3f}, {-low:.3f}] dB"


def ends(row, digits=2, scale=float):
    value, low, high = (f"{scale(v):.{digits}f}" for v in row["estimate"])
    return f"{value} [{low}, {high}]"


def shared(rows):
    verdicts, parts = [], []
    for end in ("", ", photographs"):
        row = rows[f"shared eigenvectors{end}"]
        found = row["reference"]["shared, by N and snapshot"]
        verdicts.append(row["verdict"])
        parts.append({n: f"{v['disjoint'][-1] / v['same'][-1]:.0%}".replace("%", " %") for n, v in found.items()})
    assert set(verdicts) == {"not discriminating"}
    yield f"C^alpha images share {parts[0]['10000']}, but those of 100 images, which memorise, {parts[0]['100']}"
    yield f"On patches of photographs they share {parts[1]['100']}"
    planes = [rows[f"time of memorisation{end}"] for end in ("", ", disks", ", photographs")]
    assert [row["verdict"] for row in planes] == ["not discriminating", "supported", "supported"]
    local = [row["reference"]["exponent between two N"] for row in planes]
    first, second = ([f"{np.mean(e['memorise'][pair]):.2f}" for e in local] for pair in ("1 to 10", "10 to 100"))
    yield f"the exponent is {first[0]} on C^alpha images, {first[1]} on disks and {first[2]} on patches of photographs"
    yield f"from 10 to 100 it is {second[0]}, {second[1]} and {second[2]}"
    later = [np.mean(values) for e in local for values in e["generalise"].values()]
    yield f"has exponents between {min(later):.2f} and {max(later):.2f}"


def decided():
    rows = read("claims/verdicts.json")
    gap, more = rows["gap, N = 10,000"], rows["generalise, N = 10,000"]
    assert (gap["verdict"], more["verdict"]) == ("not discriminating", "not converged")
    assert more["reason"].endswith("at sigma = 0.5")
    linear = gap["nulls"]["Wiener filters of as many images, by theory"][1]
    yield f"it is {gap['estimate'][0]:.3f} dB for networks, and by theory {linear:.3f} dB for a Wiener filter"
    yield f"networks gain {ends(more)} dB more over that filter than they lose"
    disks, photographs = (rows[f"generalise, N = 10,000, {name}"] for name in ("disks", "photographs"))
    assert {disks["verdict"], photographs["verdict"]} == {"not converged"}
    yield f"{ends(photographs)} dB on patches of photographs and {ends(disks)} dB on disks"
    yield from shared(rows)
    for what in ("extra", "excess"):
        assert {rows[f"{what}, {name}"]["verdict"] for name in ("ray", "sine_cone")} == {"refuted"}
    yield f"they have {ends(rows['extra, ray'])} and {ends(rows['extra, sine_cone'])} more eigenvalues in (.2, .8)"
    above = [decibels(rows[f"excess, {name}"]["estimate"][0]) for name in ("ray", "sine_cone")]
    yield f"a risk {above[0]:.2f} and {above[1]:.2f} dB above it"
    symmetric, plain = (rows[f"near, alpha = 2, {kind}"] for kind in ("conservative", "plain"))
    assert (symmetric["verdict"], plain["verdict"]) == ("not converged", "supported")
    yield f"are {ends(symmetric, scale=decibels)} dB above the Bayes interval after 128,000 images"
    for alpha in ("1", "1.5", "3"):
        failed = rows[f"near, alpha = {alpha}, conservative"]["reason"]
        assert failed.startswith("beats identity, mean and Wiener filter")
        assert failed.endswith("linear Wiener filter at sigma = 0.3")
    smooth = [rows[f"near contours of regularity {alpha}"] for alpha in (2, 4)]
    assert {row["verdict"] for row in smooth} == {"refuted"}
    yield "{} and {} dB above it".format(*(ends(row, scale=decibels) for row in smooth))
    yield f"plain ones {ends(plain, scale=decibels)} dB"
    same, samples = rows["same function beyond a filter"], rows["samples, deterministic"]
    assert (same["verdict"], samples["verdict"]) == ("supported", "not discriminating")
    others = same["nulls"]["Wiener filters"][1], same["nulls"]["networks, N = 100"][1]
    yield f"{ends(same)}, where two filters have {others[0]:.2f} and networks that memorise 100 images {others[1]:.2f}"
    memorised = samples["nulls"]["networks, N = 100"][1]
    yield f"as samples by {ends(samples)} without noise on the way, but there those of 100 images have {memorised:.2f}"
    apart = rows["bifurcation"]
    assert apart["verdict"] == "not converged"
    gain = re.search(r"least gain (.*?) dB .* at sigma = 1$", apart["reason"])[1]
    yield f"their cosine is {ends(apart)}, not above 0.9; but at sigma = 1"
    yield f"the networks are {-float(gain):.2f} dB below a Wiener filter"


def test_what_is_open_has_its_reason():
    """Each verdict that decides nothing stands on the page with why, and what it would take."""
    rows = read("claims/verdicts.json")
    open_rows = {key for key, row in rows.items() if row["verdict"] in claims_reasons.OPEN}
    assert open_rows
    table = claims_reasons.reasons(rows).splitlines()
    assert len(table) == 2 + len(open_rows)
    assert all(len(line.split(" | ")[-1]) > 40 for line in table[2:])


@pytest.mark.parametrize(
    "source",
    [
        asymmetry,
        plane,
        shipped,
        shipped_photographs,
        cost_of_symmetry,
        equation_six,
        first_of_the_leaderboard,
        near_optimal,
        symmetric,
        decided,
    ],
    ids=lambda f: f.__name__,
)
def test_numbers_of_the_evidence(source):
    for sentence in source():
        assert sentence in PAGE, f"docs/evidence.md must say: {sentence}"


def tables():
    path = ROOT / "docs" / "_extensions" / "generated.py"
    spec = importlib.util.spec_from_file_location("generated", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_exponents_is_made_of_the_entries():
    """A line for each entry; what the library has is named, and what it has not is called so."""
    lines = tables().exponents().splitlines()[2:]
    assert len(lines) == len(gt.theory.exponents.EXPONENTS)
    assert any(line.startswith("| shearlets") and line.endswith("| no |") for line in lines)
    wavelets = next(line for line in lines if line.startswith("| wavelets | C^alpha with"))
    assert "| 1 | 1 | 1 |" in wavelets
    assert "{py:class}`~gahb_theory.Wavelet`" in wavelets


def test_every_class_of_the_four_packages_is_among_the_members():
    text = tables().members()
    for package in ("images", "bases", "shrinkage", "denoisers"):
        module = getattr(gt, package)
        for name in module.__all__:
            if isinstance(getattr(module, name), type):
                assert f".{name}`" in text, f"{package}.{name}"


def test_pages_have_the_places_of_their_tables():
    module = tables()
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
    assert set(re.findall(r"<!-- generated: (\w+) -->", pages)) == set(module.TABLES)
