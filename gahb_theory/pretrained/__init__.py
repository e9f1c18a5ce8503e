"""The small denoisers that come with the library, and the recipe that made them.

Two bias-free UNets of 479,424 parameters, trained on 64x64 images by `experiments/shipped_denoisers.py`: one on
C^alpha images (alpha = 2, "holder"), one on the embedded photographs without "camera", which is used for testing.
Each folder holds the weights and a config.json with the recipe and the PSNR.
"""

from pathlib import Path
from typing import Literal, get_args

import torch

from gahb_theory import validate
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.images import CAlpha, Photographs
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe

__all__ = ["Shipped", "named_denoiser", "shipped_class", "shipped_denoiser", "shipped_recipe", "train_shipped"]

Shipped = Literal["c_alpha", "photographs"]


def shipped_denoiser(name: Shipped) -> UNet:
    """Load the denoiser "c_alpha" or "photographs", in eval mode.

    Examples
    --------
    >>> shipped_denoiser("c_alpha").channels
    16
    """
    _check(name)
    with torch.device("cpu"):  # whatever the default device
        return load_denoiser(Path(__file__).parent / name)  # type: ignore[return-value]


def named_denoiser(name: str) -> torch.nn.Module:
    """The shipped denoiser of this name, or else that of the checkpoint at this path, in eval mode."""
    shipped = get_args(Shipped)
    return (shipped_denoiser(name) if name in shipped else load_denoiser(name)).eval()  # type: ignore[arg-type]


def shipped_class(name: Shipped, split: Literal["train", "test"] = "train") -> CAlpha | Photographs:
    """The images a shipped denoiser was trained on; photographs for testing are others than those for training."""
    _check(name)
    validate.one_of(split, "split", ("train", "test"))
    return CAlpha(alpha=2.0, size=64) if name == "c_alpha" else Photographs(size=64, split=split)


def shipped_recipe(name: Shipped) -> Recipe:
    """The recipe of a shipped denoiser: log-uniform noise levels, weighted by 1 / sigma."""
    _check(name)
    budget = {"c_alpha": 140_000, "photographs": 220_000}[name]
    return Recipe(
        images_seen=budget,
        batch_size=32,
        optimiser="adam",
        learning_rate=2e-3,
        schedule="cosine",
        sigma_law="log_uniform",
        sigma_min=0.01,
        sigma_max=1.0,
        weight_power=1.0,
        input_scale="unit",
        frozen_part=0.0,
        gradient_limit=None,
        ema_half_life=4000.0,
        seed=0,
    )


def train_shipped(name: Shipped, run: str | Path | None = None, images_seen: int | None = None) -> UNet:
    """Train a shipped denoiser anew, by the same recipe with a budget of `images_seen` images."""
    return train(UNet(channels=16, blocks=3), shipped_class(name), images_seen, recipe=shipped_recipe(name), run=run)


def _check(name: str) -> None:
    validate.one_of(name, "name", get_args(Shipped))
