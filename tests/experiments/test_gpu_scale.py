"""The program for one GPU: each line of it runs on a CPU, what was begun goes on, and its Wiener filter is the exact one."""

import os
import signal
from dataclasses import replace
from threading import Timer

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import cli, runs
from gahb_theory.hypotheses.paper import gpu_scale

SMALL = replace(gpu_scale.DRY, size=16, channels=4, blocks=1, images_seen=64)


def test_the_filter_is_that_of_the_set(monkeypatch):
    """Of the images of the set, not of the fresh ones; in single precision as the samples are."""
    x, seen = gt.Disks(size=16).sample(20), []
    monkeypatch.setattr(
        gpu_scale, "generate", lambda g, shape, **_: seen.append(g) or gt.generate(g, shape, max_steps=1)
    )
    f = gt.UNet(4, 1).eval()
    found, _ = gpu_scale.measured(gpu_scale.Piece("disks", 20), f, x, replace(SMALL, test_images=20), "cpu")
    fitted = gt.GaussianDenoiser.fit(x)
    assert seen[1].atoms.dtype == torch.float32
    torch.testing.assert_close(seen[1].variances.double(), fitted.variances, atol=1e-6, rtol=0)
    expected = gt.psnr_curve(fitted, x, gpu_scale.SIGMAS, seed=gpu_scale.NOISE_SEED).psnr
    assert found["psnr_seen_wiener"] == pytest.approx(expected, abs=1e-3)


def test_smaller_sets_are_the_first_of_larger_ones(tmp_path):
    """Blocks are drawn once, sets A and B are disjoint, and images keep half precision."""
    piece = gpu_scale.Piece("disks", 120_000, "A")
    large = gpu_scale.training_set(piece, SMALL, tmp_path, 1)
    assert large.shape == (120, 1, 16, 16)
    fresh = gpu_scale.training_set(replace(piece, n=20_000), SMALL, tmp_path, 1)
    assert torch.equal(large[:20], fresh)
    other = gpu_scale.training_set(replace(piece, n=20_000, half="B"), SMALL, tmp_path, 1)
    assert float((other[:, None] - fresh[None]).abs().flatten(2).amax(2).min()) > 0.01
    assert float((large - gt.Disks(size=16).sample(120, seed=gpu_scale.IMAGE_SEED)).abs().max()) < 1e-3


def test_a_piece_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    """What a call without time leaves goes on at the next, and is the same in the end; who interrupts by hand is heard."""
    piece, x = gpu_scale.PIECES[0], gt.Disks(size=16).sample(20)
    long = replace(SMALL, images_seen=1000)
    monkeypatch.setattr(gpu_scale, "AFTER_TRAINING", 0.0)
    monkeypatch.setattr(gpu_scale, "Timer", lambda seconds, ring, arguments: Timer(0.15, ring, arguments))
    assert gpu_scale.trained(piece, x, long, tmp_path / "a", "cpu", gpu_scale.Clock(1.0)) is None
    monkeypatch.undo()
    Timer(0.15, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        gpu_scale.trained(piece, x, long, tmp_path / "a", "cpu", gpu_scale.Clock(60.0))
    f, rate = gpu_scale.trained(piece, x, long, tmp_path / "a", "cpu", gpu_scale.Clock(60.0))
    g, _ = gpu_scale.trained(piece, x, long, tmp_path / "b", "cpu", gpu_scale.Clock(60.0))
    assert rate > 0
    assert all(torch.equal(a, b) for a, b in zip(f.state_dict().values(), g.state_dict().values(), strict=True))


def test_every_line_of_it(tmp_path, monkeypatch, capsys):
    """The command: two networks on disjoint sets and one on disks, numbers, samples, table; what is done is not done again."""
    monkeypatch.chdir(tmp_path)
    names = ["c_alpha_2_1000_A", "c_alpha_2_1000_B", "disks_100000_A"]
    monkeypatch.setattr(gpu_scale, "DRY", SMALL)
    monkeypatch.setattr(gpu_scale, "PIECES", tuple(p for p in gpu_scale.PIECES if p.name in names))
    cli.main(["reproduce", "--scale", "gpu", "--dry-run", "--networks"])
    first = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in first[:3]] == names
    out = tmp_path / "runs" / "paper" / "gpu" / "results" / "dry"
    numbers = runs.read_json(out / f"{names[0]}.json")
    assert numbers["settings"]["n"] == 1
    assert numbers["card"].startswith(("CPU", "NVIDIA"))
    assert len(numbers["psnr_fresh_network"]) == len(gpu_scale.SIGMAS)
    assert gt.load_denoiser(out / names[2]).channels == 4
    assert sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) < 3 * 16e6
    for name in ((), ("report",)):
        cli.main(["reproduce", *name, "--scale", "gpu", "--dry-run"])
        assert capsys.readouterr().out.splitlines() == first[3:]
    table = first[3:]
    assert len([line for line in table if line.startswith("| ")]) == 1 + 3
    assert np.isfinite(float(table[2].rstrip(" |").rsplit(" ", 1)[1]))


def test_a_call_that_leaves_pieces_says_so(tmp_path, monkeypatch, capsys):
    """Status 75, as the text of the command has it, and nothing written of the piece that is left."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gpu_scale, "do", lambda piece, *_, **__: piece is gpu_scale.PIECES[0])
    with pytest.raises(SystemExit) as stop:
        cli.main(["reproduce", "--scale", "gpu", "--dry-run"])
    assert stop.value.code == gpu_scale.UNFINISHED == 75
    lines = capsys.readouterr().out.splitlines()
    assert "done" in lines[0]
    assert lines[1] == f"{gpu_scale.PIECES[1].name}: goes on at the next call"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["manifolds", "--scale", "gpu"], "takes no experiment"),
        (["--scale", "gpu", "--minutes", "0"], "minutes must be"),
        (["--scale", "paper"], "name an experiment"),
        (["--scale", "gpu", "--workers", "2"], "takes neither"),
        (["manifolds", "--networks"], "belong to --scale gpu"),
        (["manifolds", "--minutes", "3"], "belong to --scale gpu"),
        (["manifolds", "--photographs", "nowhere"], "has no photographs"),
        (["report", "--dry-run"], "draws what is kept"),
    ],
)
def test_what_the_command_refuses(words, message, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["reproduce", *words])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is visible")
def test_without_a_gpu_there_is_the_dry_run(capsys):
    with pytest.raises(SystemExit):
        cli.main(["reproduce", "--scale", "gpu"])
    assert "--dry-run" in capsys.readouterr().err


def test_pieces_are_those_of_the_paper():
    """80 pixels, UNet(64, 3), N = 1 to 10^5 on two disjoint sets, and alpha = 1, 2, 3 and disks at the largest."""
    assert (gpu_scale.PUBLISHED.size, gpu_scale.PUBLISHED.channels, gpu_scale.PUBLISHED.blocks) == (80, 64, 3)
    assert {p.n for p in gpu_scale.PIECES if p.half == "B"} == {10**k for k in range(6)}
    assert {p.images for p in gpu_scale.PIECES if p.n == 10**5} == {"c_alpha_1", "c_alpha_2", "c_alpha_3", "disks"}
    assert len({p.name for p in gpu_scale.PIECES}) == len(gpu_scale.PIECES) == 15
