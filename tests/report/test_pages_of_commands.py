"""The page of each command: question, three sentences from its numbers also when they are bad, and drawn again the same."""

import hashlib
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

import gahb_theory as gt
from gahb_theory import cli, runs, stored_results
from gahb_theory.commands.analyze import Analyze
from gahb_theory.commands.naming import command_line
from gahb_theory.commands.settings_of_tour import Tour
from gahb_theory.hypotheses.assessment import Assessment
from gahb_theory.hypotheses.audit import Audit, Certified
from gahb_theory.hypotheses.gates import GateResult
from gahb_theory.hypotheses.verdicts import NullResult, Power
from gahb_theory.metrics import Estimate
from gahb_theory.report import assessment_page, audit_page, benchmark_page, comparison_page, readings
from gahb_theory.report.readings_of_paper import readings_of_paper


def estimate(value, spread=0.1):
    return Estimate(value, value - spread, value + spread, spread / 2, 0.95, "means")


def assessment(verdict="refuted"):
    nulls = (NullResult("identity", estimate(0.2), "no"), NullResult("Wiener filter", None, "not run", "no images"))
    return Assessment(
        "It is symmetric.",
        "theory",
        "dB",
        verdict,
        "the interval lies above",
        "one denoiser",
        "< 0.5",
        estimate(0.9),
        nulls,
        (GateResult("enough images", True, "16"),),
        Power(0.25, ""),
        (0.1, 0.3),
        np.zeros((1, 2, 4)),
    )


def audited():
    certified = (Certified(0.1, estimate(1.0), 4.0, 1.25), Certified(0.3, estimate(0.0), 9.0, 0.0))
    claims = {"symmetric": assessment(), "homogeneous": assessment("supported")}
    left_out = {"memorises": "no training images were given (--train)."}
    return Audit("net", claims, left_out, certified, np.zeros(0), np.zeros((0, 2, 1, 8, 8), np.float32))


def benchmarked():
    return gt.benchmark({"gaussian": lambda y, sigma: y}, name="doing nothing")


def compared():
    return gt.compare(
        gt.DCT(), gt.Wavelet("db2"), gt.Disks(size=16).sample(1), sigma=0.1, names=("cosines", "wavelets")
    )


CASES = {
    "test": (assessment, assessment_page.assessment_page, assessment_page.ARRAYS),
    "audit": (audited, audit_page.audit_page, audit_page.ARRAYS),
    "benchmark": (benchmarked, benchmark_page.benchmark_page, benchmark_page.ARRAYS),
    "compare": (
        compared,
        lambda c, path: comparison_page.comparison_page(c, "a disk", {"noisy": 20.0}, path),
        comparison_page.ARRAYS,
    ),
}
SAID = {
    "test": ("Refuted: the interval lies above.", "The measure is 0.9 dB [0.8, 1]", "1 of 2 null models fail"),
    "audit": (
        "Whether it memorises cannot be told",
        "At sigma = 0.1 it is at least 1.25 dB from optimal, certified. At sigma = 0.3 no distance",
        "Of 2 claims, 1 refuted, 1 supported.",
    ),
    "benchmark": ("dB above the optimum [", "It was judged on one class, gaussian.", "farther from the optimum than"),
    "compare": ("share", "terms for 99 % of the energy", "oracle"),
}


@pytest.mark.parametrize("command", CASES)
def test_each_page_answers_first_and_is_drawn_again(command, tmp_path, check_page, downloads, capsys):
    make, write, arrays = CASES[command]
    result = make()
    config = {
        "command": command,
        "typed": f"gahb {command} 'my net'",
        "settings": {"seed": 7},
        "versions": runs.versions(),
    }
    runs.open_run(tmp_path, config)
    stored = stored_results.to_arrays(result, arrays)
    if command == "compare":
        stored |= {"psnr/noisy": np.asarray(20.0), "place": np.asarray("a disk")}
    stored_results.write_arrays(tmp_path / "arrays.npz", stored)
    text = write(result, tmp_path / "report.html").read_text()
    parsed = check_page(text)
    first = text[text.index("<h1>") : text.index("<nav")]
    answers = first[first.index("<ol") : first.index("</ol>")]
    assert answers.count("<li>") == 3 and first.count("<dt>") == 4
    for sentence in SAID[command]:
        assert sentence in answers
    assert text.count("<figure") == text.count('class="reading"') <= len(downloads(parsed))
    numbers = hashlib.sha256((tmp_path / "arrays.npz").read_bytes()).hexdigest()[:16]
    shown = text[text.index('id="provenance"') :]
    for word in (f"gahb {command} &#39;my net&#39;", "<dd>7</dd>", numbers, "gahb_theory"):
        assert word in shown
    (tmp_path / "report.html").unlink()
    cli.main(["report", str(tmp_path)])
    assert capsys.readouterr().out.strip().endswith("report.html")
    assert (tmp_path / "report.html").read_text() == text


def test_a_run_without_arrays_is_refused(tmp_path, capsys):
    runs.open_run(tmp_path, {"command": "audit", "settings": {}, "versions": {}})
    with pytest.raises(SystemExit):
        cli.main(["report", str(tmp_path)])
    assert "holds no arrays.npz: run gahb audit again" in capsys.readouterr().err


@pytest.mark.parametrize(
    "typed",
    ["analyze 'my photo.png' b.npy --sigma 0.2 --resize", "tour --seed 3", "compare a b --crop 3,5", "audit net"],
)
def test_the_command_that_is_shown_is_the_one_to_type(typed):
    name, *options = shlex.split(typed)
    command = cli.parse(name, options)
    assert command_line(name, command) == f"gahb {typed}"
    assert cli.parse(name, shlex.split(command_line(name, command))[2:]) == command
    assert command_line("analyze", Analyze()) == "gahb analyze"
    assert command_line("tour", Tour(run=Path("x"))) == "gahb tour --run x"


def test_how_a_command_was_typed_does_not_make_another_run(tmp_path):
    config = {"command": "tour", "settings": {"seed": 1}}
    runs.open_run(tmp_path, config | {"typed": "gahb"})
    runs.open_run(tmp_path, config | {"typed": "gahb tour --run x"})
    assert json.loads((tmp_path / "config.json").read_text())["typed"] == "gahb"
    with pytest.raises(FileExistsError, match="seed"):
        runs.open_run(tmp_path, {"command": "tour", "settings": {"seed": 2}})


def test_sentences_say_wins_losses_and_draws():
    assert readings.said_difference(4.21, "the oracle") == "4.2 dB above the oracle"
    assert readings.said_difference(-4.21, "the oracle") == "4.2 dB below the oracle"
    assert readings.said_difference(0.04, "the oracle") == "level with the oracle"
    x = gt.Disks(size=16).sample(1)
    bases = {"dct": gt.DCT()}
    poor = gt.comparison.analyse_image(lambda y, sigma: 0.5 * y, x, 0.1, bases)
    gap, basis = readings.against_fixed_bases(poor)
    assert basis == "DCT" and gap < -3
    assert gap == pytest.approx(poor.psnr_denoised - poor.oracle_psnr["dct"])
    assert "0 of 256 eigenvalues are above 1/2" in readings.of_eigenvectors(poor)
    best, fixed, own = readings.sparsest(poor)
    assert (best, fixed) == ("DCT", pytest.approx(1 - poor.sides["dct"].best_energy[99]))
    assert ("times more than" if own > fixed else "times less than") in readings.of_energy(poor)


def test_sentences_of_the_experiments_have_their_numbers():
    rows = [
        {"n": 1, "mean_seen": {"value": 28.0}, "pairs": {"value": 0.1}, "copies": {"value": 1.0}},
        {"n": 10_000, "mean_seen": {"value": -0.2}, "pairs": {"value": 0.95}, "copies": {"value": 0.0}},
    ]
    x, y = np.random.default_rng(0).standard_normal((2, 1, 8, 8))
    arrays = {
        f"{n}/grid": np.array([[a], [x], [b], [x]]) for n, a, b in ((1, 2 + x, y - y.mean()), (10_000, -x, 3 * x))
    }
    arrays |= {"1/pairs": np.array([0.1]), "1/closest": np.array([1.0])}
    arrays |= {"10000/pairs": np.array([0.9]), "10000/closest": np.array([0.6])}
    said = readings_of_paper("memorisation", {"rows": rows}, arrays)
    assert (
        "of 1.00 with their closest training images at N = 1; 1.00 and -1.00 at N = 10,000"
        in said["memorisation_samples"]
    )
    assert "for 1 of 2 sizes of the training set, the smallest N = 10,000" in said["memorisation_histograms"]
    assert said["memorisation_psnr"] == "Having seen an image adds 28.0 dB at N = 1, and -0.2 dB at N = 10,000."
    assert "from 0.10 to 0.95, the share of copies from 100% to 0%" in said["memorisation_measures"]
    arrays = {"ray/eigenvalues": np.array([[1.0, 0.5], [1.0, 0.3]]), "ray/psnr": np.array([38.0])}
    units = np.eye(4).reshape(4, 1, 2, 2)
    arrays |= {"ray/tangent": 2 * units[:1], "ray/atoms": np.array([units[0] + units[1], units[2]])}
    disks = {"sigmas": [0.1], "manifolds": {"ray": {"k": 1, "dimension": 100}}}
    said = readings_of_paper("manifolds", disks, arrays)
    assert "is 0.40 (ray) on average" in said["manifolds_eigenvalues"]
    assert said["manifolds_ray"] == (
        "The first eigenvector holds 50.0% of the tangent space, of dimension 1; by chance 25.0%."
    )
    assert "at -2.0 dB (ray)" in said["manifolds_psnr"], "20 dB at the input and 20 dB for 1 of 100 dimensions"
    fits = [{"low": 0.6, "high": 0.7}, {"low": 0.1, "high": 0.2}]
    classes = {f"c{i}": {"alpha": 2.0, "slopes": {"network": fit | {"value": 0.5}}} for i, fit in enumerate(fits)}
    curves = {
        f"c{i}/psnr.{m}": np.array([v]) for i in (0, 1) for m, v in (("network", 20.0 + i), ("wavelet oracle", 20.5))
    }
    curves |= {"c1/atoms": units[:2], "c1/given_contour_atoms": units[1:3]}
    said = readings_of_paper("near_optimal", {"classes": classes}, curves)
    assert "50% of the network's 2 leading eigenvectors" in said["near_optimal_eigenvectors_c1"]
    assert "by chance 50.0% would" in said["near_optimal_eigenvectors_c1"]
    assert "in 1 of 2 classes" in said["near_optimal_psnr"] and "by +0.0 dB" in said["near_optimal_psnr"]
    assert "in 1 of 2 classes" in said["near_optimal_slopes"]
    levels = {"plain/psnr": np.array([30.0]), "shuffled/psnr": np.array([25.0]), "linear/psnr": np.array([26.0])}
    flat, fine = np.zeros((1, 8, 8)), np.indices((1, 8, 8)).sum(axis=0) % 2
    levels |= {"plain/atoms": np.array([flat + 1]), "shuffled/atoms": np.array([fine - 0.5])}
    said = readings_of_paper("shuffling", {}, levels)
    assert "costs the network 5.0 dB on average" in said["shuffling_psnr"]
    assert said["shuffling_eigenvectors"].startswith("0% of the plain network's 1 leading eigenvectors")
    assert said["shuffling_eigenvectors"].endswith("not 0.0.")
