"""What `gahb tour` takes, and the least that its two Jacobians and eigenbases take on this machine.

    python benchmarks/tour.py
    python benchmarks/tour.py --parts    # without the tour itself

A row of the Jacobian of a conservative network is one pass forwards and one back through it, whatever the curvature: at the
rate of a large matrix product the Jacobians alone take what is printed as their floor; they are taken on the square in the
middle of an image that is the default of `gahb tour`. Principal components are set beside a singular value decomposition with
all atoms, and networks from files beside the same with random weights drawn first. Seconds of the processor, the best of
three, one thread.
"""

import argparse
import tempfile
from pathlib import Path

import torch
from measures import seconds
from torch.utils.flop_counter import FlopCounterMode

import gahb_theory as gt
from gahb_theory.bases import PCA
from gahb_theory.denoisers import SmoothUNet
from gahb_theory.images.photographs import centre_crop
from gahb_theory.pretrained import shipped_class, shipped_denoiser
from gahb_theory.tour import PCA_SAMPLES, PCA_SEED, Tour, run_tour

NAMES = ("c_alpha", "photographs")


def main() -> None:
    """Print the parts, then the whole."""
    parser = argparse.ArgumentParser(description="What the tour takes.")
    parser.add_argument("--parts", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    a = torch.rand(2048, 2048)
    peak = 2 * 2048**3 / seconds(lambda: a @ a, 8)
    floor = 0.0
    for name in NAMES:
        x = centre_crop(shipped_class(name, split="test").sample(1), (Tour().side, Tour().side))
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            shipped_denoiser(name).network.estimate(x, x.new_full((1, 1, 1, 1), 0.1))
        floor += 2 * x.numel() * counter.get_total_flops() / peak
    print(f"Jacobians: at least {floor:.0f} s at {peak / 1e9:.0f} GFLOP/s, two passes a row")

    samples = shipped_class("c_alpha").sample(PCA_SAMPLES, seed=PCA_SEED)
    centred = samples.flatten(1).double()
    centred -= centred.mean(0)
    fit = seconds(lambda: PCA.fit(samples))
    whole = seconds(lambda: torch.linalg.svd(centred, full_matrices=True), 1)
    print(f"principal components: {fit:.1f} s, = all singular vectors ({whole:.1f} s) / {whole / fit:.1f}")

    with tempfile.TemporaryDirectory() as folder:
        f = gt.Conservative(SmoothUNet(16, 3))
        gt.save_denoiser(f.eval(), Path(folder) / "f")
        load, build = seconds(lambda: gt.load_denoiser(Path(folder) / "f")), seconds(lambda: SmoothUNet(16, 3))
        print(f"a network from a file: {load:.2f} s; random weights, which it no longer draws: {build:.2f} s")
        if not options.parts:
            spent = seconds(lambda: run_tour(Tour(run=Path(folder) / "tour")), 1)
            print(f"the tour: {spent:.0f} s, = {spent / floor:.2f} x the floor of its Jacobians")


if __name__ == "__main__":
    main()
