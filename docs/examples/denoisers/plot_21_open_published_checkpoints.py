r"""
Open published checkpoints
==========================

Trained denoisers of this field lie about as torch files, each in the dialect of the code that made it.
:func:`~gahb_theory.load_denoiser` opens them as they are. It runs no code from a file, uses every tensor, reads the
architecture off the tensors, and refuses what it would have to guess.
"""

# %%
# The files here are written on the spot, with small random weights under the names of the published ones, so that nothing has
# to be downloaded. The CNNs of Kadkhodaie et al. (2023, 2024) are lists of convolutions with norms beside, and were trained
# on several devices, which puts "module." before all names.

import tempfile
from pathlib import Path

import torch

import gahb_theory as gt
from gahb_theory import plots

folder = Path(tempfile.mkdtemp())
generator = torch.Generator().manual_seed(0)


def published(kernels):
    """The tensors of a CNN with these kernels."""
    widths = [1, *[8] * (len(kernels) - 1), 1]
    state = {}
    for i, side in enumerate(kernels):
        kernel = torch.randn(widths[i + 1], widths[i], side, side, generator=generator)
        state[f"module.conv_layers.{i}.weight"] = kernel / (side * widths[i] ** 0.5)
    for i in range(len(kernels) - 2):
        state |= {f"module.BN_layers.{i}.{part}": torch.ones(1, 8, 1, 1) for part in ("running_sd", "gammas")}
    return state


torch.save(published([3, 3, 1, 3, 1, 3]), folder / "windowed.pt")
f = gt.load_denoiser(folder / "windowed.pt")
print(f"{type(f).__name__}, receptive field {f.receptive_field}: {f.configuration}")

# %%
# Whether a ReLU follows the first convolution is not seen in the tensors. With 1 x 1 kernels it is known from the published
# code that none does. With 3 x 3 alone both occur: both are tried on noisy photographs, and the one that denoises is
# taken. These weights are random, so that neither does, and the file is refused with the choices.

torch.save(published([3] * 6), folder / "plain.pt")
try:
    gt.load_denoiser(folder / "plain.pt")
except ValueError as refusal:
    print(str(refusal).replace(str(folder), "..."))

# %%
# A pickle may call any function when it is read. Such a file is refused before anything is called.


class Trap:
    """Would write a file when it is read."""

    def __reduce__(self):
        return open, (str(folder / "trapped"), "w")


torch.save({"model": [torch.zeros(1)], "args": Trap()}, folder / "trap.pt")
try:
    gt.load_denoiser(folder / "trap.pt")
except ValueError as refusal:
    print(str(refusal).replace(str(folder), "...")[:90], "... was code run?", (folder / "trapped").exists())

# %%
# What has been opened can be read. Random weights denoise nothing, but the row of the Jacobian at the middle pixel lives on
# the receptive field of the architecture.

y = gt.add_noise(gt.Photographs(size=32).sample(1), 0.1)
row = gt.jacobian(f, y, 0.1).rows([16 * 32 + 16]).reshape(1, 1, 32, 32)
plots.images(torch.cat([y, 0.5 + row / row.abs().max()]), ["noisy image", "row of J at its middle"])

# %%
# Saved again, it is a folder of safetensors, a configuration and a model card: no pickle any more.

card = {"data": "made up", "recipe": "random weights", "licence": "mit"}
print(sorted(path.name for path in gt.save_denoiser(f, folder / "ours", card).iterdir()))
