"""The small denoisers that come with the library, and the recipe that made them.

Two conservative networks of 478,752 parameters, f = grad of 1/2 <y, N(y)>: their Jacobians are symmetric, and
f(y) = sum_k lambda_k <y, e_k> e_k is an identity. They were trained on 64x64 images by `experiments/shipped_denoisers.py`:
one on C^alpha images (alpha = 2, "holder"), one on the 400 training photographs of the Berkeley segmentation data set
(Martin, Fowlkes, Tal and Malik 2001). These photographs do not come with the library; the embedded ones are for tests.
"unet_c_alpha" and "unet_photographs" are plain bias-free UNets of 479,424 parameters, for comparison: their Jacobians are not
symmetric. The second has seen four embedded photographs only. Each folder holds the weights and a config.json with the recipe
and the PSNR.
"""

from pathlib import Path
from typing import Literal, get_args

import torch

from gahb_theory import validate
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.smooth import SmoothUNet
from gahb_theory.images import CAlpha, Photographs
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe

__all__ = ["Shipped", "named_denoiser", "shipped_class", "shipped_denoiser", "shipped_recipe", "train_shipped"]

Shipped = Literal["c_alpha", "photographs", "unet_c_alpha", "unet_photographs"]


def shipped_denoiser(name: Shipped) -> Conservative | UNet:
    """Load a shipped denoiser, in eval mode: "c_alpha" or "photographs", or the plain "unet_c_alpha" or "unet_photographs".

    Examples
    --------
    >>> f = shipped_denoiser("c_alpha")
    >>> sum(parameter.numel() for parameter in f.parameters())
    478752
    """
    _check(name)
    with torch.device("cpu"):  # whatever the default device
        return load_denoiser(Path(__file__).parent / name)  # type: ignore[return-value]


def named_denoiser(name: str) -> torch.nn.Module:
    """The shipped denoiser of this name, or else that of the checkpoint at this path, in eval mode."""
    shipped = get_args(Shipped)
    return (shipped_denoiser(name) if name in shipped else load_denoiser(name)).eval()  # type: ignore[arg-type]


def shipped_class(
    name: Shipped, split: Literal["train", "test"] = "train", folder: str | Path | None = None
) -> CAlpha | Photographs:
    """The images of a shipped denoiser; photographs are those of `folder`, or else the embedded ones of the split."""
    _check(name)
    validate.one_of(split, "split", ("train", "test"))
    if name.endswith("c_alpha"):
        return CAlpha(alpha=2.0, size=64)
    return Photographs(size=64, split=split) if folder is None else Photographs(folder, size=64)


def shipped_recipe(name: Literal["c_alpha", "photographs"]) -> Recipe:
    """The recipe of a shipped denoiser: the default one, up to sigma = 2, that sigma = 1 lies well inside."""
    validate.one_of(name, "name", ("c_alpha", "photographs"))
    return Recipe(images_seen={"c_alpha": 100_000, "photographs": 90_000}[name], sigma_min=0.007, sigma_max=2.0)


def train_shipped(
    name: Literal["c_alpha", "photographs"],
    run: str | Path | None = None,
    images_seen: int | None = None,
    folder: str | Path | None = None,
) -> Conservative:
    """Train a shipped denoiser anew, by the same recipe with a budget of `images_seen` images.

    The shipped one of photographs had the Berkeley photographs in `folder`; without a folder it is the embedded ones.
    """
    network = Conservative(SmoothUNet(channels=16, blocks=3))
    return train(network, shipped_class(name, folder=folder), images_seen, recipe=shipped_recipe(name), run=run)


def _check(name: str) -> None:
    validate.one_of(name, "name", get_args(Shipped))
