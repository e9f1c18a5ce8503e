"""The command line: each command does its job, helps, and refuses in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import gahb_theory as gt
from gahb_theory import cli


def run(*arguments):
    cli.main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    """The message of a command that is refused."""
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ("tour", "--retrain"),
        ("generate", "--n"),
        ("train", "--recipe.sigma-law"),
        ("analyze", "--sigma"),
        ("report", "RUN"),
        ("reproduce", "--dry-run"),
    ],
)
def test_help(command, word, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert word.lower() in capsys.readouterr().out.lower()


def test_no_arguments_are_the_tour(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr(cli, "run_tour", lambda tour: asked.append(tour) or tmp_path / "report.html")
    run()
    run("--retrain", "--sigma", 0.2)
    assert asked[0] == cli.Tour()
    assert asked[1] == cli.Tour(retrain=True, sigma=0.2)
    assert "report.html" in capsys.readouterr().out


def test_generate(tmp_path):
    run("generate", tmp_path / "x.npy", "--n", 5, "--seed", 7, "images:disks", "--images.size", 16)
    x = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(x, gt.Disks(size=16).sample(5, seed=7).numpy())
    about = json.loads((tmp_path / "x.json").read_text())
    assert about["class"] == {"class": "Disks", "size": 16, "edge": 1.0, "jump": 0.2}


def test_train_then_analyze_then_report(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ("--channels", 4, "--blocks", 1, "--device", "cpu", "--recipe.images-seen", 64, "--recipe.batch-size", 16)
    run("train", "--run", "mine", *options, "images:c-alpha", "--images.size", 16)
    f = gt.load_denoiser("mine")
    assert (f.channels, f.blocks) == (4, 1)

    pixels = (255 * gt.Photographs(size=24).sample(1)[0, 0].numpy()).astype(np.uint8)
    Image.fromarray(pixels).save("photograph.png")
    run("analyze", "photograph.png", "--denoiser", "mine", "--size", 16, "--sigma", 0.1)
    page = tmp_path / "runs" / "analyze-photograph" / "report.html"
    assert "At sigma = 0.1 the denoiser lifts the PSNR" in page.read_text()
    page.unlink()
    run("report", page.parent)
    assert page.exists()
    assert str(page.name) in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("analyze", "none.png"), "no image file"),
        (("analyze", "text.png"), "cannot be read as an image"),
        (("analyze", "small.png"), "size must not exceed"),
        (("analyze", "small.png", "--size", "8", "--sigma", "25"), "0..255"),
        (("analyze", "small.png", "--size", "8", "--denoiser", "nowhere"), "no checkpoint at nowhere"),
        (("analyze", "small.png", "--size", "12"), "multiples of 2"),
        (("generate", "x.txt"), ".npy"),
        (("generate", "x.npy", "--n", "0"), "n must be at least 1"),
        (("generate", "text.png/x.npy"), "cannot create"),
        (("train", "--run", "text.png/run"), "cannot create the run directory"),
        (("train", "--run", "r", "--device", "quantum"), "not available"),
        (("report", "nowhere"), "not a run directory"),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch, capsys, unchecked):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    Image.fromarray(np.zeros((20, 20), np.uint8)).save("small.png")
    told = refusal(capsys, *arguments)
    assert message in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("generate", "x.npy", "images:c-alpha", "--images.convention", "other")],
)
def test_the_parser_refuses_what_it_does_not_know(arguments, capsys):
    assert arguments[-1] in refusal(capsys, *arguments)


def test_the_module_is_the_command():
    told = subprocess.run(
        [sys.executable, "-m", "gahb_theory", "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert all(command in told for command in ("tour", "generate", "train", "analyze", "report"))


def test_reproduce_passes_its_options_on(monkeypatch, tmp_path, capfd):
    """The program of the current folder goes first."""
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "manifolds.py").write_text("import sys; print(sys.argv[1:])")
    monkeypatch.chdir(tmp_path)
    run("reproduce", "manifolds", "--scale", "smoke", "--workers", 2, "--dry-run")
    assert "['--scale', 'smoke', '--dry-run', '--workers', '2']" in capfd.readouterr().out


def test_reproduce_without_the_source_says_where_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "__file__", str(tmp_path / "a" / "cli.py"))
    assert "clone its repository" in refusal(capsys, "reproduce", "shrinkage")


def test_reproduce_ends_as_its_program_does(monkeypatch, tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "report.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        run("reproduce", "report")
    assert stop.value.code == 3
