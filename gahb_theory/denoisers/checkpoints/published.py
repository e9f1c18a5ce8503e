"""Checkpoints that others have published, read without running code from them.

The dialects of this field, recognised by the names of their tensors once the prefixes of wrappers are off:

| names | network | source |
|---|---|---|
| encoder.0.0.weight, mid_block, upsample, decoder | `UNet` | Kadkhodaie, Guth, Simoncelli, Mallat 2024 |
| conv_layers.i.weight, BN_layers.i.running_sd, .gammas | `BFCNN`, `WindowedCNN` | the same; Kadkhodaie et al. 2023 |
| conv_layers.i.weight, running_sd.i, with or without gammas.i | `BFCNN` | Kadkhodaie, Simoncelli 2021 |
| conv_layers.i.weight, gammas.i.weight; running_sd.pt beside | `BFCNN` | Mohan et al. 2020, first code |
| first_layer, hidden_layer_list.i, bn_layer_list.i, last_layer | `BFCNN`, `DnCNN` | Mohan et al. 2020 |
| i.weight: convolutions, batch norms | `DnCNN`, `IRCNN`, `FFDNet` | Zhang et al. 2017, 2018; Mohan et al.; Tassano 2019 |
| m_head, m_down, m_body, m_up, m_tail | `DRUNet` | Zhang et al. 2021 |
| conv1, ..., conv9 | `DilatedUNet` | Mohan et al. 2020 |
| cnn.first_layer, ...; cnn_list.i.first_layer, ... | `RecursiveCNN`, `StagedCNN` | Mohan et al. 2020 |

Width, depth, kernels, channels and biases follow from the shapes. Two facts are not in them: whether a ReLU
follows the first convolution of a network in the second dialect, and how often a recursive network is applied. The
latter stands in the arguments saved beside the weights. The former, and the output of a `DilatedUNet` saved without its
arguments, are measured: the network is built both ways, and the one that denoises is taken; where neither or both do,
the file is refused and the caller must say. What else the tensors do not tell is listed in
`gahb_theory.denoisers.checkpoints.zhang`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints.building import Candidate, Choices, denoising, fill
from gahb_theory.denoisers.checkpoints.mohan_2020 import dncnn, recursive, staged
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors
from gahb_theory.denoisers.checkpoints.unwrapping import count, listed, one_axis
from gahb_theory.denoisers.checkpoints.zhang import chosen_by, drunet, is_sequence, sequence
from gahb_theory.denoisers.networks.bias_free import BFCNN, UNet
from gahb_theory.denoisers.networks.mohan import DilatedUNet
from gahb_theory.denoisers.networks.receptive import WindowedCNN

__all__ = ["dialect", "from_published"]

First = Literal["linear", "relu"]

FIRST_LAYERS = {
    "encoder.0.0.weight": "unet",
    "conv_layers.0.weight": "bias-free",
    "first_layer.weight": "dncnn",
    "conv1.weight": "dilated",
    "cnn.first_layer.weight": "recursive",
    "cnn_list.0.first_layer.weight": "staged",
    "m_head.weight": "drunet",
}


def dialect(tensors: Tensors) -> str | None:
    """The dialect that the names belong to; None if it is unknown."""
    for name, kind in FIRST_LAYERS.items():
        if name in tensors and (kind != "dilated" or "conv9.weight" in tensors):
            if kind == "recursive" and tensors[name].ndim == 4 and tensors[name].shape[1] == 1:
                return None  # a DnCNN in an attribute called cnn
            return kind
    return "sequence" if is_sequence(tensors) else None


def from_published(
    kind: str,
    tensors: Tensors,
    arguments: Mapping[str, Any],
    source: str,
    choices: Choices,
    network: Network | None = None,
) -> Network:
    """Build the network that published tensors belong to; every tensor is used, and every one that is needed is there.

    Parameters
    ----------
    kind
        The dialect.
    tensors, arguments
        The tensors by the names of the bare network, and the arguments of the training saved beside them.
    source
        The name of the file.
    choices
        What the caller says of what the tensors do not show.
    network
        One of the same architecture, which chooses where several have the same tensors.

    Raises
    ------
    ValueError
        If the tensors do not fit the network, or a fact is missing that they do not show.
    """
    for name in FIRST_LAYERS:
        if name in tensors and tensors[name].ndim != 4:
            shape = tuple(tensors[name].shape)
            raise ValueError(f"{source} has {name} of shape {shape}, where a convolution has four axes")
    if kind == "sequence":
        return sequence(tensors, arguments, source, choices, network)
    if kind == "bias-free":
        choices.only(source, "first")
        return _bias_free(tensors, source, choices.first, network)
    if kind == "dilated":
        choices.only(source, "output")
        return _dilated(tensors, arguments, source, choices, network)
    if kind == "recursive":
        choices.only(source, "stages")
        return recursive(tensors, arguments, source, choices.stages)
    choices.only(source)
    build = {"unet": _unet, "dncnn": dncnn, "staged": staged, "drunet": drunet}[kind]
    return build(tensors, source)


def _unet(tensors: Tensors, source: str) -> Network:
    blocks = count(tensors, "encoder.{}.0.weight")
    channels, image_channels = tensors["encoder.0.0.weight"].shape[:2]
    renamed = {}
    for name, tensor in tensors.items():
        part, *names = name.split(".")
        if (
            part in ("upsample", "decoder") and names[0].isdigit()
        ):  # theirs count from the finest, ours in the order of use
            names[0] = str(blocks - 1 - int(names[0]))
        if names[-1] in ("gammas", "running_sd"):
            tensor = one_axis(tensor)
            names[-1] = "gamma" if names[-1] == "gammas" else names[-1]
        renamed[".".join(["middle" if part == "mid_block" else part, *names])] = tensor
    made = {"channels": channels, "blocks": blocks, "image_channels": image_channels}
    return fill(UNet, made, renamed, source)


def _bias_free(tensors: Tensors, source: str, first: First | None, network: Network | None) -> Network:
    """The two dialects with conv_layers."""
    unused = dict(tensors)
    depth = count(unused, "conv_layers.{}.weight")
    convolutions = [unused.pop(f"conv_layers.{i}.weight") for i in range(depth)]
    modern = "BN_layers.0.running_sd" in unused or depth == 2  # without a norm the two dialects are the same
    scaled = modern or any(name.startswith("gammas") for name in unused)  # the older code has a variant without gains
    norms = []
    for i in range(depth - 2):
        name = f"BN_layers.{i}.running_sd" if modern else f"running_sd.{i}"
        if name not in unused:
            beside = "; put the file running_sd.pt that was saved with it beside it" if not modern else ""
            raise ValueError(f"{source} has {depth} convolutions but no {name}, the scale of a normalisation{beside}")
        sd = unused.pop(name)
        gamma = next((unused.pop(g) for g in _gamma_names(i, modern) if g in unused), None)
        if gamma is None and scaled:
            raise ValueError(f"{source} has no {_gamma_names(i, modern)[0]}, the gain of a normalisation")
        norms.append((torch.ones_like(one_axis(sd)) if gamma is None else one_axis(gamma), one_axis(sd)))
    if unused:
        raise ValueError(f"{source} has tensors that a bias-free CNN does not have: {listed(unused)}")
    if not modern:  # the older code always has the ReLU
        if first == "linear":
            raise ValueError(
                f'{source}: in this dialect a ReLU follows the first convolution; leave out first="linear"'
            )
        first = "relu"
    shapes = [c.shape for c in convolutions]
    inputs, outputs = shapes[0][1], shapes[-1][0]
    coarse = inputs - outputs
    square = all(len(s) == 4 and s[2] == s[3] and s[2] % 2 == 1 for s in shapes)
    if not square or coarse not in (0, outputs / 3):
        raise ValueError(
            f"{source} has convolutions of shapes {listed(str(tuple(s)) for s in shapes)}; known are square odd kernels, with "
            "as many channels out as in, or three detail channels out for four in"
        )
    kernels = [s[2] for s in shapes]
    if first is None and (coarse or 1 in kernels):
        first = "linear"  # only BF_CNN_RF has conditions and 1x1 kernels, and its first layer is linear
    choices: tuple[First, ...] = ("linear", "relu") if first is None else (first,)
    candidates = [_stack(convolutions, norms, kernels, coarse, choice) for choice in choices]
    if len(candidates) > 1:
        candidates = chosen_by(candidates, network, source)
    return denoising(candidates, source, "whether a ReLU follows the first convolution")


def _gamma_names(i: int, modern: bool) -> tuple[str, ...]:
    return (f"BN_layers.{i}.gammas",) if modern else (f"gammas.{i}", f"gammas.{i}.weight")


def _stack(
    convolutions: list[Tensor], norms: list[tuple[Tensor, Tensor]], kernels: list[int], coarse: int, first: First
) -> Candidate:
    channels, inputs = convolutions[0].shape[:2]
    made: dict[str, Any] = {"channels": channels, "image_channels": inputs - coarse}
    plain = first == "relu" and coarse == 0 and set(kernels) == {3}
    made |= {"depth": len(kernels)} if plain else {"kernels": kernels, "coarse_channels": coarse, "first": first}
    at = 2 if first == "relu" else 1
    mapped = {"layers.0.weight": convolutions[0]}
    for convolution, (gamma, sd) in zip(convolutions[1:-1], norms, strict=True):
        mapped |= {f"layers.{at}.weight": convolution, f"layers.{at + 1}.gamma": gamma}
        mapped[f"layers.{at + 1}.running_sd"] = sd
        at += 3
    mapped[f"layers.{at}.weight"] = convolutions[-1]
    return Candidate(BFCNN if plain else WindowedCNN, made, mapped, f'first="{first}"')


def _dilated(
    tensors: Tensors, arguments: Mapping[str, Any], source: str, choices: Choices, network: Network | None
) -> Network:
    channels, image_channels = tensors["conv1.weight"].shape[:2]
    places = [(f"conv{i}.", place) for i, place in enumerate(
        ("fine.0.", "fine.2.", "coarse.0.", "coarse.2.", "coarse.4.", "coarse.6.", "coarse.8.", "last.0.", "last.2."), 1
    )]  # fmt: skip
    mapped = {}
    for name, tensor in tensors.items():
        theirs, ours = next(((a, b) for a, b in places if name.startswith(a)), ("", ""))
        mapped[ours + name.removeprefix(theirs)] = tensor
    outputs: tuple[str, ...] = ("clean", "residual") if choices.output is None else (choices.output,)
    if isinstance(arguments.get("residual"), bool):
        written = "residual" if arguments["residual"] else "clean"
        if choices.output not in (None, written):
            raise ValueError(f"{source} says itself that its output is {written}; leave out output={choices.output!r}")
        outputs = (written,)
    made = {"channels": channels, "image_channels": image_channels, "bias": "conv1.bias" in tensors}
    candidates = [Candidate(DilatedUNet, made | {"output": output}, mapped, f'output="{output}"') for output in outputs]
    if len(candidates) > 1:
        candidates = chosen_by(candidates, network, source)
    return denoising(candidates, source, "whether the output is the clean image or the residual")
