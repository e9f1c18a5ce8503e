"""The command line by the conventions of the field: each sentence of its help is tried as a user would type it."""

import io
import json
import shlex
import subprocess
import sys
from dataclasses import fields
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gahb_theory as gt
from gahb_theory import cli, images, progress, runs
from gahb_theory.commands import analyze
from gahb_theory.commands.classes import CLASSES, RECIPE
from gahb_theory.commands.table import COMMANDS, Command
from gahb_theory.hypotheses.audit import Audit
from gahb_theory.report.tour_page import CASE
from gahb_theory.stored_results import read_arrays

SMALL = ("--channels", 4, "--blocks", 1, "--device", "cpu", "--batch-size", 16)


def run(*arguments):
    cli.main([str(argument) for argument in arguments])


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 2, "one line, and how to see more"
    return said


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(analyze, "PCA_SAMPLES", 32)
    return tmp_path


def photograph(path, size=(40, 24), colour=True):
    """A picture of red at the left, green at the right."""
    levels = np.zeros((size[1], size[0], 3), np.uint8)
    ramp = np.linspace(0, 200, size[0]).astype(np.uint8)
    levels[:, :, 0], levels[:, :, 1] = 200 - ramp, ramp
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(levels if colour else levels[:, :, 1]).save(path)
    return path


@pytest.fixture
def no_page(monkeypatch):
    """Nothing is drawn, which takes seconds."""
    monkeypatch.setattr("gahb_theory.report.tour_page.tour_report", lambda run: run / "report.html")


def network(folder, channels=1):
    f = gt.UNet(channels=4, blocks=1, image_channels=channels).eval()
    gt.save_denoiser(f, folder)
    return f


# help


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_short_and_needs_no_torch(arguments):
    """Torch alone takes two seconds."""
    code = (
        "import sys\nfrom gahb_theory.cli import main\ntry:\n    main(sys.argv[1:])\nexcept SystemExit as stop:\n"
        "    assert not stop.code\n    heavy = {'torch', 'matplotlib', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "    assert not heavy, heavy"
    )
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) <= (20 if arguments[0] == "--help" else 62)


def test_the_overview_names_every_command_and_the_version_is_told(capsys):
    with pytest.raises(SystemExit):
        run("--help")
    printed = capsys.readouterr().out
    assert all(f"\n  {name} " in printed for name in COMMANDS)
    with pytest.raises(SystemExit):
        run("--version")
    assert capsys.readouterr().out == f"gahb {gt.__version__}\n"


def test_every_command_is_a_frozen_dataclass_with_a_help_for_each_option():
    for name, command in COMMANDS.items():
        assert isinstance(command, Command)
        kind = command.load()
        assert kind.__doc__ and kind.__dataclass_params__.frozen
        assert name == "tour" or callable(kind.execute)


def test_the_words_of_the_classes_are_their_fields():
    for kind, options in CLASSES.values():
        named = [field.name.replace("_", "-") for field in fields(getattr(images, kind))]
        named = ["image-channels" if name == "channels" else name for name in named]
        assert sorted(options) == sorted(named), kind
    beside = {"images-seen", "batch-size", "seed"}
    assert set(RECIPE) | beside == {field.name.replace("_", "-") for field in fields(gt.Recipe)}


# generate


@pytest.mark.parametrize(
    "words",
    [
        "--class disks --size 16 -n 3 -o d.npy",
        "-o d.npy -n 3 --size 16 --class disks",
        "d.npy --n 3 --size=16 --class=disks",
        "--size 16 d.npy --class Disks -n 3",
        "d.npy --n 3 images:disks --images.size 16",
    ],
)
def test_options_stand_in_any_order(words, capsys):
    run("generate", *words.split())
    np.testing.assert_array_equal(np.load("d.npy"), gt.Disks(size=16).sample(3).numpy())
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "3 x 1 x 16 x 16 (float32) of Disks(size=16, edge=1.0, jump=0.2)"
    assert printed[-1] == "d.npy"
    assert len(printed) == 4


def test_every_class_takes_its_options(capsys):
    given = {"sine-cone": ["--frequency", 1, 2], "c-alpha": ["--beta", "none", "--convention", "paper"]}
    given |= {
        "disks": ["--edge", "area"],
        "gaussian-field": ["--exponent", 3, "--period", 1],
        "c_alpha": ["--alpha", 1],
    }
    for number, (name, options) in enumerate(given.items()):
        run("generate", "-o", f"{number}.npy", "-n", 1, "--class", name, "--size", 16, *options)
    about = [json.loads(Path(f"{number}.json").read_text())["class"] for number in range(len(given))]
    assert about[0]["frequency"] == [1.0, 2.0]
    assert about[1]["beta"] == 2.0 or about[1]["beta"] is None
    assert (about[1]["convention"], about[2]["edge"], about[3]["exponent"]) == ("paper", "area", 3.0)
    assert about[4]["alpha"] == 1.0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("generate d.npy --class disks --alpha 2", "disks has no option --alpha; it has --size, --edge, --jump"),
        ("generate d.npy --class disk", "there is no image class 'disk'; there are c-alpha, disks"),
        ("generate d.npy --clas disks", "has no option --clas; did you mean --class?"),
        ("generate d.npy --sigma-max 2", "generate has no option --sigma-max"),
        ("generate d.npy --class disks --size", "--size needs a value"),
        ("generate d.npy --class disks --edge 9", "edge must lie in"),
        ("generate a.npy b.npy", "no place for b.npy"),
        ("generate a.npy -o b.npy", "generate needs one file"),
        ("generate --class disks", "generate needs one file"),
        ("generat d.npy", "did you mean generate?"),
        ("analyze", "no image is given"),
        ("analyze x.png --sigam 2", "did you mean --sigma?"),
        ("analyze x.png --size 8 --crop 30", "crop must be X,Y"),
        ("analyze x.png --size 8 --crop 39,0", "the last corner is 32,16"),
        ("analyze x.png --size 8 --sigma nan", "sigma"),
        ("analyze x.png y.png --size 8 --run r", "--run names the directory of one image"),
        ("denoise x.png --sigma -1", "sigma is the standard deviation"),
        ("denoise x.png -o x.png", "x.png exists and is not overwritten"),
        ("denoise x.png -o x.gif", "must end in .npy"),
        ("denoise x.png y.png -o z.png", "holds one picture, and there are 2 images"),
        ("sample -n 0", "n must be at least 1"),
        ("sample -n 2 --size 16 -o z.png", "holds one picture, and there are 2 images"),
        ("compare c_alpha nowhere --size 16", "no checkpoint at nowhere"),
        ("compare wavelet dct x.png --size 99", "size must not exceed"),
        ("train --images nowhere", "nothing is at nowhere"),
        ("train x.npy --images F", "train takes one place of images"),
        ("train --class disks --images F", "either the file F or an image class"),
        ("train --class disks --size 16 --sigma-min 2", "sigma_min must lie in"),
        ("train --class disks --size 16 --learning-rate fast", "learning_rate must be a number, got str 'fast'"),
    ],
)
def test_refusals_say_what_to_do_and_leave_nothing(words, message, here, capsys, unchecked):
    for name in ("x.png", "y.png"):
        photograph(here / name)
    photograph(here / "F" / "1.png")
    before = sorted(here.rglob("*"))
    assert message in refusal(capsys, *words.split())
    assert sorted(here.rglob("*")) == before


# training


def test_train_on_a_folder_in_colour(here, capsys):
    for number in range(3):
        photograph(here / "F" / f"{number}.png")
    run("train", "--images", "F", "--size", 16, "--image-channels", 3, *SMALL, "-n", 32)
    printed = capsys.readouterr().out.splitlines()
    assert "32 images seen" in printed[0]
    assert "PSNR (dB)" in printed[1]
    assert gt.load_denoiser(printed[-1]).image_channels == 3
    start = gt.UNet(4, 1, 3, seed=0)
    expected = gt.train(start, gt.Photographs("F", size=16, channels=3), 32, batch_size=16)
    for a, b in zip(gt.load_denoiser(printed[-1]).parameters(), expected.parameters(), strict=True):
        assert torch.equal(a, b)


def test_what_differs_is_in_the_name_of_a_training_and_more_images_go_on(here, capsys):
    options = ("--class", "disks", "--size", 16, *SMALL)
    run("train", *options, "-n", 16, "--sigma-max", 0.5)
    run("train", *options, "-n", 16)
    assert len(list(here.glob("runs/*"))) == 2
    run("train", *options, "-n", 32)
    assert len(list(here.glob("runs/*"))) == 2
    assert "32 images seen, after 16 by the schedule of that budget" in capsys.readouterr().out
    said = refusal(capsys, "train", *options, "-n", 16)
    assert "trained on 32 images, and fewer were asked for: 16" in said
    run("train", *options, "-n", 32, "-o", "mine")
    said = refusal(capsys, "train", *options, "-n", 32, "-o", "mine", "--sigma-max", 0.5)
    assert "recipe.sigma_max: 1.0 there, 0.5 now" in said
    assert len(said) < 250


def test_the_published_recipe(here):
    run("train", "--class", "disks", "--size", 16, *SMALL, "-n", 16, "--published", "-o", "mine", "--sigma-max", 0.9)
    recipe = json.loads((here / "mine" / "config.json").read_text())["recipe"]
    assert (recipe["sigma_law"], recipe["optimiser"], recipe["sigma_max"]) == ("square", "adam", 0.9)


# images in, images out


def test_two_noise_levels_of_one_photograph_are_two_runs(here, capsys, no_page):
    network("net")
    photograph(here / "x.png")
    options = ("--size", 8, "-d", "net")
    run("analyze", "x.png", *options, "--sigma", 1.5)
    run("analyze", "x.png", *options, "--sigma", 0.2)
    run("analyze", "x.png", *options, "--sigma", 0.2)
    assert {f.name for f in here.glob("runs/*")} == {f"analyze-x-denoiser-net-sigma-{s}-size-8" for s in (1.5, 0.2)}
    photograph(here / "G" / "x.png", colour=False)
    run("analyze", "G/x.png", *options, "--sigma", 0.2)  # another file of the same name
    assert len(list(here.glob("runs/*"))) == 3
    printed = capsys.readouterr().out.splitlines()
    assert all(line.startswith("PSNR") for line in printed[1::5])
    assert all(line.endswith("report.html") for line in printed[4::5])


def test_analyze_takes_folders_and_arrays(here, no_page):
    network("net")
    photograph(here / "F" / "a.png")
    photograph(here / "F" / "b.png", colour=False)
    run("generate", "d.npy", "-n", 3, "--class", "disks", "--size", 16)
    run("analyze", "F", "d.npy", "-d", "net", "--size", 8, "-n", 4)
    names = {f.name.split("-denoiser")[0] for f in here.glob("runs/*")}
    assert names == {"analyze-a", "analyze-b", "analyze-d-0", "analyze-d-1"}
    clean = read_arrays(next(here.glob("runs/analyze-d-1*")) / "arrays.npz")[f"{CASE}/analysis/clean"]
    np.testing.assert_array_equal(clean, gt.Disks(size=16).sample(2)[1, :, 4:12, 4:12].numpy())


def test_the_crop_is_told_and_shown_in_colour(here, capsys):
    network("net", 3)
    photograph(here / "x.png")
    run("analyze", "x.png", "-d", "net", "--size", 8, "--crop", "3,5")
    printed = capsys.readouterr().out
    assert "8 x 8 pixels at 3,5 (as asked for) of 40 x 24" in printed
    page = here / printed.splitlines()[-1]
    assert (page.parent / "figures" / "image_crop.png").exists()
    assert "The photograph, and the square of it" in page.read_text()
    arrays = read_arrays(page.parent / "arrays.npz")
    with Image.open("x.png") as picture:
        levels = np.asarray(picture)
    assert arrays[f"{CASE}/analysis/clean"].shape == (3, 8, 8)
    np.testing.assert_allclose(255 * arrays[f"{CASE}/analysis/clean"], levels[5:13, 3:11].transpose(2, 0, 1), atol=1e-3)
    np.testing.assert_array_equal(arrays[f"{CASE}/photograph"], levels)
    assert arrays[f"{CASE}/box"].tolist() == [3, 5, 8]
    run("analyze", "x.png", "-d", "net", "--size", 8, "--resize")
    assert "8 x 8 pixels at 2,0 (the middle) of 13 x 8, resized from 40 x 24" in capsys.readouterr().out


def test_denoise_keeps_colour_and_size(here, capsys):
    f = network("net")
    photograph(here / "x.png", size=(21, 17))
    run("denoise", "x.png", "-d", "net", "--sigma", 0.2, "--add-noise")
    printed = capsys.readouterr().out.splitlines()
    with Image.open(printed[-1]) as written:
        assert (written.mode, written.size) == ("RGB", (21, 17))
    assert printed[-1] == "x-denoised-sigma-0.2-denoiser-net-add-noise.png"
    x = gt.read_image("x.png", channels=3)
    assert printed[2].startswith(f"PSNR {float(gt.psnr(x, gt.add_noise(x, 0.2))):.2f} -> ")
    run("generate", "d.npy", "-n", 3, "--class", "disks", "--size", 16)
    run("denoise", "d.npy", "-d", "net", "--sigma", 0.2, "-o", "out.npy")
    with torch.no_grad():
        expected = f(gt.Disks(size=16).sample(3), 0.2)
    np.testing.assert_allclose(np.load("out.npy"), expected.numpy(), atol=1e-5)


def test_samples_are_those_of_the_function_and_copies_are_counted(here, capsys):
    run("generate", "d.npy", "-n", 4, "--class", "disks", "--size", 16)
    f = network("net")
    run("sample", "-d", "net", "-n", 2, "--size", 16, "--step", 0.5, "--beta", 1, "--train", "d.npy", "-o", "s.npy")
    printed = capsys.readouterr().out.splitlines()
    expected = gt.generate(f, (2, 1, 16, 16), step=0.5, beta=1.0)
    np.testing.assert_array_equal(np.load("s.npy"), expected.images.numpy())
    assert f"copies of the 4 training images: {gt.copies(expected, gt.Disks(size=16).sample(4)).share}" in printed
    assert printed[-1] == "s.npy"


def test_compare_two_denoisers_and_a_basis(here, capsys):
    network("a")
    network("b")
    photograph(here / "x.png")
    run("compare", "a", "wavelet", "x.png", "--size", 8)
    run("compare", "a", "b", "--size", 8, "--sigma", 0.3)
    printed = capsys.readouterr().out.splitlines()
    assert printed[3] == "runs/compare-a-wavelet-x-size-8/report.html"
    assert printed[7] == "runs/compare-a-b-sigma-0.3-size-8/report.html"
    assert printed[5].startswith("overlap of the first")
    assert "overlap of the first" in (here / printed[7]).read_text()
    assert json.loads((here / "runs/compare-a-b-sigma-0.3-size-8/comparison.json").read_text())["overlap"][
        -1
    ] == pytest.approx(1)
    run("compare", "dct", "dct", "x.png", "--size", 8)
    assert "overlap of the first" in capsys.readouterr().out


def test_an_array_is_taken_by_test_and_audit(here, capsys):
    """The first half is tested on, the second are the others."""
    network("net")
    run("generate", "d.npy", "-n", 40, "--class", "disks", "--size", 16)
    run("test", "homogeneous", "-d", "net", "--images", "d.npy", "--size", 16)
    assert "linear Wiener filter" in capsys.readouterr().out, "a null model that is fitted to the others"


@pytest.mark.parametrize(
    "words",
    [
        ["test", "homogeneous", "-d", "net", "--images", "d.npy", "--size=16", "-o", "my run"],
        ["audit", "net", "--twin", "other", "-o", "my run", "--images", "d.npy", "--size", "16"],
        ["benchmark", "-o", "my run", "net", "--classes", "gaussian"],
    ],
    ids=lambda words: words[0],
)
def test_the_page_says_which_denoiser_by_its_hash_and_the_command_as_it_was_typed(words, here, capsys, monkeypatch):
    nothing = Audit("net", {}, {"memorises": "no images."}, (), np.zeros(0), np.zeros((0, 2, 1, 8, 8), np.float32))
    monkeypatch.setattr("gahb_theory.commands.deciding.audited", lambda *given: nothing)  # which takes a minute
    f = network("net")
    other = gt.UNet(channels=4, blocks=1, seed=1).eval()
    gt.save_denoiser(other, "other")
    run("generate", "d.npy", "-n", 40, "--class", "disks", "--size", 16)
    run(*words)
    text = unescape((here / "my run" / "report.html").read_text())
    shown = text[text.index('id="provenance"') :]
    assert f"<dt>command</dt><dd>{shlex.join(['gahb', *words])}</dd>" in shown
    assert f"<dt>sha256 of the denoiser</dt><dd>{runs.fingerprint_parameters(f)[:16]}</dd>" in shown
    assert (f"<dt>sha256 of the twin</dt><dd>{runs.fingerprint_parameters(other)[:16]}</dd>" in shown) == (
        "--twin" in words
    )
    gt.save_denoiser(other, "net")
    assert "denoiser: " in refusal(capsys, *words), "the same path, another network: another run"


def test_a_run_that_fails_leaves_no_directory(here, monkeypatch, capsys):
    network("net")
    photograph(here / "x.png")

    def fail(*arguments, **options):
        raise RuntimeError("no memory")

    monkeypatch.setattr("gahb_theory.comparison.analyse_image", fail)
    assert "no memory" in refusal(capsys, "analyze", "x.png", "-d", "net", "--size", 8)
    assert not (here / "runs").exists()


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    "use",
    [
        lambda: run("verify"),
        lambda: run("analyze", "x.png", "-d", "net", "--size", 8),
        lambda: run("denoise", "x.png", "-d", "net"),
    ],
    ids=["verify", "analyze", "denoise"],
)
def test_progress_is_shown_from_two_seconds_on(use, here, monkeypatch, no_page):
    network("net")
    photograph(here / "x.png")
    original, bars = progress.tqdm, []
    monkeypatch.setattr(progress, "tqdm", lambda *a, **options: bars.append(options) or original(*a, **options))
    monkeypatch.setattr("sys.stderr", Terminal())
    use()
    assert bars
    assert all(options["delay"] == 2 for options in bars)


@pytest.mark.parametrize(
    "words",
    [
        "audit net --images nowhere",
        "audit net --train nowhere --size 8",
        "audit nowhere",
        "test memorises -d net --train nowhere -o out/x.json",
        "reproduce memorisation --scale smoke --photographs nowhere --workers 1",
        "--sigma 0",
        "--test-images 1",
    ],
)
def test_a_refused_command_makes_no_directory(words, here, capsys):
    network("net")
    before = sorted(here.rglob("*"))
    refusal(capsys, *words.split())
    assert sorted(here.rglob("*")) == before
