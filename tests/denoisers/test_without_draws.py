"""Networks from files are built without drawing weights that are overwritten."""

import subprocess
import sys

import pytest
import torch

import gahb_theory as gt
from gahb_theory.denoisers import SmoothUNet
from gahb_theory.denoisers.networks.controls import LocallyConnected
from gahb_theory.denoisers.networks.initialisation import building, without_draws


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: gt.UNet(8, 2, seed=seed),
        lambda seed: SmoothUNet(4, 1, seed=seed),
        lambda seed: LocallyConnected(8, channels=2, depth=3, seed=seed),
    ],
)
def test_nothing_is_drawn_and_the_next_network_is_the_usual_one(make):
    before = make(3).state_dict()
    with without_draws():
        blank = make(3)
    assert all(bool((p == 0).all()) for p in blank.parameters() if p.ndim > 1)
    after = make(3).state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_values_that_are_not_drawn_are_as_ever():
    """A buffer that is no part of a file would keep what it is given here."""
    with without_draws(), building() as generator:
        limited = torch.arange(4.0).clamp_(1, 2)
        assert float(torch.ones(3).normal_(generator=generator).abs().sum()) == 0
    assert limited.tolist() == [1, 1, 2, 2]


def test_a_loaded_network_has_the_weights_of_the_file(tmp_path):
    f = gt.Conservative(SmoothUNet(4, 1, seed=5)).eval()
    gt.save_denoiser(f, tmp_path / "f.safetensors")
    g = gt.load_denoiser(tmp_path / "f.safetensors")
    y = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(f(y, 0.1), g(y, 0.1))
    assert all(torch.equal(a, b) for a, b in zip(f.parameters(), g.parameters(), strict=True))


def test_a_sketch_loads_no_further_part_of_torch():
    code = (
        "import sys, torch; from gahb_theory.denoisers import UNet; "
        "from gahb_theory.denoisers.networks.initialisation import on_meta\n"
        "before = set(sys.modules)\n"
        "with on_meta(): UNet(8, 2)\n"
        "assert len(set(sys.modules) - before) < 50, len(set(sys.modules) - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
