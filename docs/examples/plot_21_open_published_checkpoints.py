r"""
Open published checkpoints
==========================

Trained denoisers of this field lie about as torch files, each in the dialect of the code that made it.
:func:`~gahb_theory.load_denoiser` opens them as they are. It runs no code from a file, uses every tensor, reads the
architecture off the tensors, and refuses what it would have to guess.
"""

# %%
# The files here are written on the spot, with small random weights in the names of the published ones, so that nothing has
# to be downloaded. With a real file the last line of each block is all that is needed.

import argparse
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import torch

import gahb_theory as gt
from gahb_theory.report import figures as plots

folder = Path(tempfile.mkdtemp())
generator = torch.Generator().manual_seed(0)


def conv(outputs, inputs, side):
    """Weights of a convolution."""
    return torch.randn(outputs, inputs, side, side, generator=generator) / (side * inputs**0.5)


def scale(channels):
    """What a norm without additive terms keeps."""
    return 0.5 + torch.rand(1, channels, 1, 1, generator=generator)


# %%
# A CNN of a small receptive field
# --------------------------------
#
# The networks of Kadkhodaie et al. (2023, 2024) are lists of convolutions, some of 1 x 1 pixels, with norms beside.
# They were trained on several devices, which puts "module." before all names.

kernels = [3, 3, 1, 3, 1, 3]
state = {}
for i, side in enumerate(kernels):
    state[f"module.conv_layers.{i}.weight"] = conv(1 if i == 5 else 8, 1 if i == 0 else 8, side)
for i in range(len(kernels) - 2):
    state[f"module.BN_layers.{i}.running_sd"] = scale(8)
    state[f"module.BN_layers.{i}.gammas"] = scale(8)
torch.save(state, folder / "windowed.pt")

f = gt.load_denoiser(folder / "windowed.pt")
print(f"{type(f).__name__}, receptive field {f.receptive_field}: {f.configuration}")

# %%
# Whether a ReLU follows the first convolution is not seen in the tensors. With 1 x 1 kernels it is known from the published
# code that none does. With 3 x 3 alone both occur: then both are tried on noisy photographs, and the one that denoises is
# taken. These weights are random, so that neither does, and the file is refused with the choices.

plain = {name: tensor for name, tensor in state.items() if "conv" not in name}
plain |= {f"module.conv_layers.{i}.weight": conv(1 if i == 5 else 8, 1 if i == 0 else 8, 3) for i in range(6)}
torch.save(plain, folder / "plain.pt")
try:
    gt.load_denoiser(folder / "plain.pt")
except ValueError as refusal:
    print(str(refusal).replace(str(folder), "..."))
linear, relu = (gt.load_denoiser(folder / "plain.pt", first=first) for first in ("linear", "relu"))
print(type(linear).__name__, "or", type(relu).__name__)

# %%
# A training state
# ----------------
#
# Mohan et al. (2020) saved everything: a list with the weights, the state of the optimiser, and the arguments of the command
# line, in the format of torch before 1.6. The class of the arguments, ``argparse.Namespace``, is the one class beside
# tensors that is let through. The arguments say what the weights do not: that this UNet returns the clean image.

width = 8
shapes = [(width, 1, 5), (width, width, 3), (2 * width, width, 3), *[(2 * width, 2 * width, 3)] * 3]
shapes += [(2 * width, 2 * width, 4), (width, 3 * width, 3), (1, width, 5)]
weights = {f"conv{i}.weight": conv(*shape) for i, shape in enumerate(shapes, 1)}
training = {"model": [weights], "optimizer": [{"lr": 1e-3}], "args": argparse.Namespace(model="unet", residual=False)}
torch.save(training, folder / "unet.pt", _use_new_zipfile_serialization=False)

unet = gt.load_denoiser(folder / "unet.pt")
print(f"{type(unet).__name__}: {unet.configuration}")

# %%
# A file that would run code
# --------------------------
#
# A pickle may call any function when it is read. Such a file is refused before anything is called.


class Trap:
    """Would write a file when it is read."""

    def __reduce__(self):
        return open, (str(folder / "trapped"), "w")


torch.save({"model": [weights], "args": Trap()}, folder / "trap.pt")
try:
    gt.load_denoiser(folder / "trap.pt")
except ValueError as refusal:
    print(str(refusal).replace(str(folder), "...")[:90], "...")
print("was code run?", (folder / "trapped").exists())

# %%
# What has been opened can be read
# --------------------------------
#
# Random weights denoise nothing, but they show the architecture: the row of the Jacobian at the middle pixel lives on the
# receptive field. Without additive constants J y = f(y), which holds for all four to rounding.

y = gt.add_noise(gt.Photographs(size=32).sample(1), 0.1, seed=0)
opened = {"1 x 1 kernels": f, "linear first layer": linear, "ReLU after it": relu, "dilated UNet": unet}
figure, axes = plt.subplots(1, 4, figsize=(7.6, 2.2), layout="constrained")
for ax, (name, network) in zip(axes, opened.items(), strict=True):
    J = gt.jacobian(network, y, 0.1)
    row = J.rows([16 * 32 + 16]).reshape(32, 32)
    row[16, 16] = 0  # the pixel itself would outshine the others
    plots.signed_image(row[None].numpy(), ax, name)
    rows = int((row.abs().amax(dim=1) > 0).sum())
    print(f"{name:20} sees {rows} rows of the image; ||J y - f(y)|| / ||f(y)|| = {J.homogeneity_error():.0e}")

# %%
# Saved again, it is a folder of safetensors, a configuration and a model card: no pickle any more.

card = {"data": "made up", "recipe": "random weights", "licence": "mit"}
print(sorted(path.name for path in gt.save_denoiser(unet, folder / "ours", card).iterdir()))
