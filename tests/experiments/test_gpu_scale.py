"""The program for one GPU: each line of it runs on a CPU, what was begun goes on, and its Wiener filter is the exact one."""

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
import torch

import gahb_theory as gt
from gahb_theory import runs

PATH = Path(__file__).parents[2] / "experiments" / "gpu_scale.py"


@pytest.fixture(scope="module")
def program():
    spec = importlib.util.spec_from_file_location("gpu_scale", PATH)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_scale"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["gpu_scale"]


@pytest.fixture
def small(program):
    return replace(program.DRY, size=16, channels=4, blocks=1, images_seen=64)


@pytest.mark.parametrize("n", [5, 400])
def test_filter_is_that_of_the_covariance(program, n):
    """Fewer images than pixels, and more: as the library's filter of the same mean and covariance."""
    x = gt.Disks(size=16).sample(n)
    y = gt.add_noise(gt.Disks(size=16).sample(3, seed=9), 0.2, seed=1)
    covariance = torch.cov(x.flatten(1).double().mT, correction=0)
    exact = gt.GaussianDenoiser(x.double().mean(dim=0, keepdim=True), covariance)
    found = program.wiener(x, "cpu")(y, torch.tensor([0.2, 0.2, 0.2]))
    assert float((found - exact(y.double(), 0.2)).abs().max()) < 1e-4


def test_smaller_sets_are_the_first_of_larger_ones(program, small, tmp_path):
    """Blocks are drawn once, sets A and B are disjoint, and images keep half precision."""
    piece = program.Piece("disks", 120_000, "A")
    large = program.training_set(piece, small, tmp_path, 1)
    assert large.shape == (120, 1, 16, 16)
    fresh = program.training_set(replace(piece, n=20_000), small, tmp_path, 1)
    assert torch.equal(large[:20], fresh)
    other = program.training_set(replace(piece, n=20_000, half="B"), small, tmp_path, 1)
    assert float((other[:, None] - fresh[None]).abs().flatten(2).amax(2).min()) > 0.01
    assert float((large - gt.Disks(size=16).sample(120, seed=program.IMAGE_SEED)).abs().max()) < 1e-3


def test_a_piece_goes_on_where_it_was_stopped(program, small, tmp_path, monkeypatch):
    """A call without time leaves the training for the next, and the network is the same as without the stop."""
    piece, x = program.PIECES[0], gt.Disks(size=16).sample(20)
    long = replace(small, images_seen=1000)
    monkeypatch.setattr(program, "AFTER_TRAINING", 0.0)
    monkeypatch.setattr(program, "Timer", lambda seconds, ring, arguments: Timer(0.15, ring, arguments))
    assert program.trained(piece, x, long, tmp_path / "a", "cpu", program.Clock(1.0)) is None
    monkeypatch.undo()
    f, rate = program.trained(piece, x, long, tmp_path / "a", "cpu", program.Clock(60.0))
    g, _ = program.trained(piece, x, long, tmp_path / "b", "cpu", program.Clock(60.0))
    assert rate > 0
    assert all(torch.equal(a, b) for a, b in zip(f.state_dict().values(), g.state_dict().values(), strict=True))


def test_every_line_of_it(program, small, tmp_path, monkeypatch, capsys):
    """Two networks on disjoint sets and one on disks: numbers, samples, the table; what is done is not done again."""
    monkeypatch.setattr(program, "DRY", small)
    names = ["c_alpha_2_1000_A", "c_alpha_2_1000_B", "disks_100000_A"]
    words = ["--dry-run", "--keep", str(tmp_path / "keep"), "--out", str(tmp_path / "out"), "--networks"]
    assert program.main([*words, "--pieces", *names]) == 0
    out = tmp_path / "out" / "dry"
    numbers = runs.read_json(out / f"{names[0]}.json")
    assert numbers["settings"]["n"] == 1
    assert numbers["card"].startswith(("CPU", "NVIDIA"))
    assert len(numbers["psnr_fresh_network"]) == len(program.SIGMAS)
    assert gt.load_denoiser(out / names[2]).channels == 4
    capsys.readouterr()
    assert program.main([*words, "--pieces", *names]) == 0
    assert "done" not in capsys.readouterr().out
    assert program.main(["--table", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3
    assert np.isfinite(float(lines[2].rstrip(" |").rsplit(" ", 1)[1]))


def test_pieces_are_those_of_the_paper(program):
    """80 pixels, UNet(64, 3), N = 1 to 10^5 on two disjoint sets, and alpha = 1, 2, 3 and disks at the largest."""
    assert (program.PUBLISHED.size, program.PUBLISHED.channels, program.PUBLISHED.blocks) == (80, 64, 3)
    assert {p.n for p in program.PIECES if p.half == "B"} == {10**k for k in range(6)}
    assert {p.images for p in program.PIECES if p.n == 10**5} == {"c_alpha_1", "c_alpha_2", "c_alpha_3", "disks"}
    assert len({p.name for p in program.PIECES}) == len(program.PIECES) == 15
