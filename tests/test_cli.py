"""The command line: each command does its job, helps, and refuses in one line."""

import html
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from PIL import Image

import gahb_theory as gt
from gahb_theory import cli, pretrained
from gahb_theory.commands import analyze, naming
from gahb_theory.commands.table import COMMANDS


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
        ("train", "--sigma-distribution"),
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
    page = tmp_path / "runs" / "analyze-photograph-denoiser-mine-sigma-0.1-size-16" / "report.html"
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
        (("analyze", "small.png", "--size", "8", "--sigma", "-1"), "sigma is the standard deviation"),
        (("analyze", "small.png", "--size", "8", "--seed", "-1"), "seed must be between 0 and"),
        (("analyze", "pipe.png", "--size", "8"), "no regular file"),
        (("generate", "x.npy", "--workers", "0"), "workers must be between 1 and 1024"),
        (("generate", "x" * 230 + ".npy"), "must have at most 180 bytes"),
        (("train", "--run", "r", "small.npy"), "no dataset at small.npy"),
        (("train", "--run", "r", "small.npy", "images:disks"), "either the file small.npy or an image class"),
        (("reproduce", "manifolds", "--workers", "0"), "workers must be between 1 and 1024"),
        (("--sigma", "-1"), "sigma is the standard deviation"),
        (("--test-images", "1"), "test_images must be at least 2"),
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
    os.mkfifo("pipe.png")
    before = sorted(tmp_path.rglob("*"))
    printed = refusal(capsys, *arguments)
    assert message in printed
    assert "Traceback" not in printed
    assert sorted(tmp_path.rglob("*")) == before, "a refused command leaves nothing behind"


def test_errors_of_the_system_name_their_file():
    error = OSError(36, "File name too long", "a" * 300 + ".png")
    assert cli._one_line(error) == "a" * 300 + ".png: File name too long"
    assert cli._one_line(OSError(30, "Read-only file system", b"/x/y")) == "/x/y: Read-only file system"
    assert cli._one_line(OSError(18, "Invalid cross-device link", "a", None, "b")) == "a: b: Invalid cross-device link"
    error = OSError(28, "the disk is full: cannot write x")
    error.add_note("1 of 2 blocks are kept")
    assert cli._one_line(error) == "the disk is full: cannot write x. 1 of 2 blocks are kept"
    assert cli._one_line(MemoryError()) == "MemoryError"


NAMES = ["classes", "a" * 235, "é" * 100, "a'b\"c", "<b>&amp;", "{x}{{y}}%s", "two\nlines", "$a_{$", "x\udcff"]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_may_have_any_name(name, monkeypatch, tmp_path):
    """Also that of an array of the tour, one that is too long for a folder, and characters that mean something in HTML."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pretrained, "named_denoiser", lambda name: gt.UNet(channels=4, blocks=1).eval())
    monkeypatch.setattr(analyze, "PCA_SAMPLES", 32)
    pixels = (255 * gt.Photographs(size=24).sample(1)[0, 0].numpy()).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    run("analyze", f"{name}.png", "--size", 8)
    (page,) = tmp_path.glob("runs/*/report.html")
    assert len(os.fsencode(page.parent.name)) <= 108
    title = html.escape(os.fsencode(name).decode(errors="replace").replace("\ufffd", "?"), quote=True)
    text = html.unescape(page.read_text())
    assert html.unescape(title) in text
    assert "<b>&amp;" not in page.read_text()
    before = page.read_text()
    run("report", page.parent)
    assert page.read_text() == before


def test_long_names_stay_different():
    first, second = naming.short_name("a" * 200 + "1"), naming.short_name("a" * 200 + "2")
    assert first != second
    assert len(first) == len(second) == 100
    assert naming.short_name("é" * 50) == "é" * 50


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"command": "tour"}', '{"command": 1, "versions": 2}'])
def test_a_damaged_configuration_is_named(text, tmp_path, capsys):
    (tmp_path / "config.json").write_text(text)
    np.savez(tmp_path / "arrays.npz", a=np.zeros(1))
    assert "config.json is damaged, or no configuration of the tour" in refusal(capsys, "report", tmp_path)


def test_train_on_what_generate_wrote(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run("generate", "x.npy", "--n", 20, "images:ellipses", "--images.size", 16)
    options = ("--channels", 4, "--blocks", 1, "--device", "cpu", "--recipe.images-seen", 32, "--recipe.batch-size", 16)
    run("train", "--run", "mine", *options, "x.npy")
    recipe = gt.Recipe(images_seen=32, batch_size=16)
    expected = gt.train(gt.UNet(channels=4, blocks=1, seed=recipe.seed), gt.dataset("x.npy"), recipe=recipe)
    mine = gt.load_denoiser("mine")
    for a, b in zip(mine.parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
def test_the_documented_words_for_several_processes_run(tmp_path):
    """Exactly as the help of `gahb train` says, on one process."""
    words = re.search(
        r"torchrun --nproc-per-node 8 -m -- gahb_theory train --run RUN", COMMANDS["train"].load().__doc__
    )[0].split()
    words[0] = str(Path(sys.executable).with_name("torchrun"))
    words[words.index("8")] = "1"
    words[words.index("RUN")] = str(tmp_path / "run")
    options = ["--channels", "4", "--blocks", "1", "--device", "cpu", "--recipe.images-seen", "64"]
    subprocess.run([*words, *options, "images:disks", "--images.size", "16"], check=True, timeout=120)
    assert gt.load_denoiser(tmp_path / "run").channels == 4


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("generate", "x.npy", "images:c-alpha", "--images.convention", "other")],
)
def test_the_parser_refuses_what_it_does_not_know(arguments, capsys):
    assert arguments[-1] in refusal(capsys, *arguments)


def test_the_module_is_the_command():
    printed = subprocess.run(
        [sys.executable, "-m", "gahb_theory", "--help"], check=True, capture_output=True, text=True
    ).stdout
    assert all(command in printed for command in ("tour", "generate", "train", "analyze", "report"))


def test_a_dry_run_says_what_is_left(monkeypatch, tmp_path, capsys):
    """In hours of this machine and of a GPU, with what is assumed; nothing is trained."""
    monkeypatch.chdir(tmp_path)
    run("reproduce", "shuffling", "--scale", "smoke", "--workers", 2, "--dry-run")
    printed = capsys.readouterr().out
    assert "2 networks to train and 1 measurements (1 of them of unknown length)" in printed
    assert "2 at once" in printed
    assert "assuming 300 TFLOP/s" in printed
    assert not list(tmp_path.iterdir())


def test_reproduce_in_an_empty_folder(monkeypatch, tmp_path, capsys):
    """Where there is no source, everything is made in the current folder; the page follows from the results."""
    from gahb_theory.hypotheses.paper import running

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "__file__", str(tmp_path / "a" / "b" / "c" / "running.py"))
    assert "no results in" in refusal(capsys, "reproduce", "report")
    run("reproduce", "shuffling", "--scale", "smoke", "--workers", 1)
    assert "  ours  " in capsys.readouterr().out
    run("reproduce", "report", "--scale", "smoke")
    assert capsys.readouterr().out.strip() == "runs/paper/smoke/results/report.html"
    assert [f.name for f in tmp_path.iterdir()] == ["runs"]


def test_every_experiment_has_a_command():
    from gahb_theory.hypotheses.paper import running
    from gahb_theory.report.paper_page import PICTURES

    literal, _ = get_args(get_type_hints(COMMANDS["reproduce"].load())["name"])
    names = set(get_args(literal))
    assert names == {*running.EXPERIMENTS, "report"} == {*PICTURES, "report"}


def test_verify_prints_every_equation_and_the_card_of_a_denoiser(capsys):
    cli.main(["verify"])
    assert "35 of 35 statements hold, 35 of 35 mutants are caught" in capsys.readouterr().out
    cli.main(["verify", "--denoiser", "photographs", "--n", "4", "images:disks", "--images.size", "16"])
    assert "SURE less MSE" in capsys.readouterr().out
