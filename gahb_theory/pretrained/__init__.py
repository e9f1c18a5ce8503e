"""The small denoisers that come with the library, and the recipe that made them.

Trained on 64x64 images by `experiments/shipped_denoisers.py`:

- "c_alpha", on C^alpha images (alpha = 2, "holder"), is conservative, f = grad of 1/2 <y, N(y)>, with 478,752 parameters: its
  Jacobian is symmetric, and f(y) = sum_k lambda_k <y, e_k> e_k is an identity;
- "photographs", on 400 photographs of Berkeley (Martin et al. 2001), is conservative and given sigma: its Jacobian is
  symmetric, and f(y) = sum_k lambda_k <y, e_k> e_k + sigma df/dsigma. A blind gradient pays for photographs of unlike
  complexity (`theory.symmetry_cost`), and stays below a Wiener filter;
- "blind_photographs", on the same photographs, is blind and no gradient: f(y) = J y, with a J that is not symmetric;
- "unet_c_alpha", a plain bias-free UNet of 479,424 parameters on C^alpha images, stays for comparison.

Each folder holds the weights and a config.json with the recipe and the PSNR.
"""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import torch

from gahb_theory import validate
from gahb_theory.denoisers.checkpoints.files import load_denoiser
from gahb_theory.denoisers.networks.bias_free import UNet
from gahb_theory.denoisers.networks.conservative import Conservative
from gahb_theory.denoisers.networks.smooth import SmoothConditionedUNet, SmoothUNet
from gahb_theory.images import CAlpha, Photographs
from gahb_theory.training.loop import train
from gahb_theory.training.recipes import Recipe

__all__ = ["Shipped", "named_denoiser", "shipped_class", "shipped_denoiser", "shipped_recipe", "train_shipped"]

Shipped = Literal["c_alpha", "photographs", "blind_photographs", "unet_c_alpha"]


def shipped_denoiser(name: Shipped) -> Conservative | SmoothUNet | UNet:
    """Load a shipped denoiser, in eval mode: "c_alpha", "photographs", "blind_photographs" or "unet_c_alpha".

    See Also
    --------
    gahb_theory.load_denoiser, gahb_theory.train

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


def shipped_class(name: Shipped, split: Literal["train", "test"] = "train") -> CAlpha | Photographs:
    """Images of the kind that a shipped denoiser was trained on.

    For photographs they are the embedded ones, split into photographs for training and for testing, none of which the
    shipped denoisers have seen.
    """
    _check(name)
    validate.one_of(split, "split", ("train", "test"))
    return CAlpha(alpha=2.0, size=64) if name.endswith("c_alpha") else Photographs(size=64, split=split)


def shipped_recipe(name: Shipped) -> Recipe:
    """The recipe of a shipped denoiser: the default one up to sigma = 2, but for "unet_c_alpha".

    "photographs" has smaller steps: with those of the default recipe its gradients grew a thousandfold now and then.
    """
    _check(name)
    if name != "unet_c_alpha":
        budget = {"c_alpha": 100_000, "photographs": 100_000, "blind_photographs": 110_000}[name]
        recipe = Recipe(images_seen=budget, sigma_min=0.007, sigma_max=2.0)
        smaller = replace(recipe, learning_rate=1e-3, kernel_rate=0.03, gradient_limit=2.0)
        return smaller if name == "photographs" else recipe
    return Recipe(
        images_seen=140_000,
        optimiser="adam",
        weight_power=1.0,
        input_scale="unit",
        frozen_part=0.0,
        gradient_limit=None,
        ema_half_life=4000.0,
    )


def train_shipped(
    name: Shipped, run: str | Path | None = None, images_seen: int | None = None, folder: str | Path | None = None
) -> Conservative | SmoothUNet | UNet:
    """Train a shipped denoiser anew, by the same recipe with a budget of `images_seen` images.

    Parameters
    ----------
    name
        Which denoiser.
    run
        Folder that holds the state of the training, which goes on there.
    images_seen
        The budget, by default that of the shipped one.
    folder
        Photographs to train on, by default the embedded ones; the shipped denoisers saw 400 of Berkeley.
    """
    _check(name)
    if folder is not None and not name.endswith("photographs"):
        raise ValueError(f'folder is of use to "photographs" and "blind_photographs" alone, not to "{name}"')
    images = shipped_class(name) if folder is None else Photographs(folder, size=64)
    return train(_untrained(name), images, images_seen, recipe=shipped_recipe(name), run=run)


def _untrained(name: Shipped) -> Conservative | SmoothUNet | UNet:
    sizes = {"channels": 16, "blocks": 3}
    match name:
        case "c_alpha":
            return Conservative(SmoothUNet(**sizes))
        case "photographs":
            return Conservative(SmoothConditionedUNet(**sizes))
        case "blind_photographs":
            return SmoothUNet(**sizes)
        case _:
            return UNet(**sizes)


def _check(name: str) -> None:
    validate.one_of(name, "name", get_args(Shipped))
