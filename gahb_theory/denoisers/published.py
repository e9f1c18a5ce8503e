"""Checkpoints that others have published, read without running code from them.

The dialects of this field, recognised by the names of their tensors, with or without the prefix "module.":

| names | network | source |
|---|---|---|
| encoder.0.0.weight, mid_block, upsample, decoder | `UNet` | Kadkhodaie, Guth, Simoncelli, Mallat 2024 |
| conv_layers.i.weight, BN_layers.i.running_sd, .gammas | `BFCNN`, `WindowedCNN` | the same; Kadkhodaie et al. 2023 |
| conv_layers.i.weight, running_sd.i, with or without gammas.i | `BFCNN` | Kadkhodaie, Simoncelli 2021 |
| conv_layers.i.weight, gammas.i.weight; running_sd.pt beside | `BFCNN` | Mohan et al. 2020, first code |
| first_layer, hidden_layer_list.i, bn_layer_list.i, last_layer | `BFCNN`, `DnCNN` | Mohan et al. 2020 |
| model.i, convolutions and batch norms in turn | `DnCNN` | Mohan et al. 2020, first code |
| conv1, ..., conv9 | `DilatedUNet` | Mohan et al. 2020 |
| cnn.first_layer, ...; cnn_list.i.first_layer, ... | `RecursiveCNN`, `StagedCNN` | Mohan et al. 2020 |

Width, depth, kernels, channels and biases are read off the shapes. Two facts are not in the tensors: whether a ReLU
follows the first convolution of a network in the second dialect, and how often a recursive network is applied. The
latter stands in the arguments saved beside the weights. The former, and the output of a `DilatedUNet` saved without its
arguments, are measured: the network is built both ways, and the one that denoises is taken; where neither or both do,
the file is refused and the caller must say.
"""

from collections.abc import Mapping
from functools import reduce
from typing import Any, Literal, cast

import torch
from torch import Tensor

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.foreign import Tensors, count, listed, one_axis
from gahb_theory.denoisers.mohan import DilatedUNet
from gahb_theory.denoisers.networks import BFCNN, UNet
from gahb_theory.denoisers.published_2020 import dncnn, recursive, sequential_dncnn, staged
from gahb_theory.denoisers.receptive import WindowedCNN

__all__ = ["from_published"]

First = Literal["linear", "relu"]
Output = Literal["clean", "residual"]

DIALECTS = (
    "UNet (encoder.0.0.weight ...), BF_CNN and BF_CNN_RF (conv_layers.0.weight with BN_layers.0.running_sd or "
    "running_sd.0), DnCNN (first_layer.weight ... or model.0.weight ...), the dilated UNet (conv1.weight ...), the "
    "recursive and the staged CNN (cnn.first_layer.weight, cnn_list.0.first_layer.weight)"
)
FIRST_LAYERS = (
    *("encoder.0.0.weight", "conv_layers.0.weight", "first_layer.weight", "model.0.weight", "conv1.weight"),
    *("cnn.first_layer.weight", "cnn_list.0.first_layer.weight"),
)
MARGIN_DB = 2.0


def from_published(
    tensors: Tensors,
    arguments: Mapping[str, Any],
    source: str,
    *,
    first: First | None = None,
    output: Output | None = None,
    stages: int | None = None,
) -> Network:
    """Build the network that published tensors belong to; every tensor is used, and every one that is needed is there.

    Raises
    ------
    ValueError
        If the names fit no dialect, the tensors do not fit the network, or a fact is missing that they do not show.
    """
    dtype = _precision(tensors)
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    for name in FIRST_LAYERS:
        if name in tensors and tensors[name].ndim != 4:
            raise ValueError(
                f"{source} has {name} of shape {tuple(tensors[name].shape)}, where a convolution has four axes"
            )
    try:
        return _recognised(tensors, arguments, source, first, output, stages)
    except ValueError as error:
        if source in str(error):
            raise
        raise ValueError(f"{source} fits no network of this library: {error}") from error


def _recognised(
    tensors: Tensors,
    arguments: Mapping[str, Any],
    source: str,
    first: First | None,
    output: Output | None,
    stages: int | None,
) -> Network:
    """The network whose dialect the names belong to."""
    if "encoder.0.0.weight" in tensors:
        return _fill(_unet(tensors), source)
    if "conv_layers.0.weight" in tensors:
        return _bias_free(tensors, source, first)
    if "first_layer.weight" in tensors:
        return _fill(dncnn(tensors), source)
    if "model.0.weight" in tensors:
        return _fill(sequential_dncnn(tensors), source)
    if "conv1.weight" in tensors and "conv9.weight" in tensors:
        return _dilated(tensors, arguments, source, output)
    if "cnn.first_layer.weight" in tensors:
        return _fill(recursive(tensors, arguments, source, stages), source)
    if "cnn_list.0.first_layer.weight" in tensors:
        return _fill(staged(tensors), source)
    raise ValueError(
        f"{source} fits no published dialect this library knows. It has {len(tensors)} tensors: {listed(tensors)}. "
        f"Known are {DIALECTS}, each with or without the prefix 'module.'. If a wrapper has put a prefix before known "
        "names, remove it and save again; else wrap the network that made it with gt.adapt"
    )


def _fill(built: tuple[Network, Tensors], source: str) -> Network:
    network, tensors = built
    try:
        network.to(_precision(tensors)).load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ValueError(
            f"{source} looks like {type(network).__name__}({network.configuration}), but its tensors do not fit that "
            f"network: {error}"
        ) from error
    return network.eval()


def _precision(tensors: Tensors) -> torch.dtype:
    """The widest of the floating-point types, at least float32."""
    return reduce(torch.promote_types, (t.dtype for t in tensors.values() if t.is_floating_point()), torch.float32)


def _unet(tensors: Tensors) -> tuple[Network, Tensors]:
    blocks = count(tensors, "encoder.{}.0.weight")
    channels, image_channels = tensors["encoder.0.0.weight"].shape[:2]
    renamed = {}
    for name, tensor in tensors.items():
        part, *rest = name.split(".")
        if (
            part in ("upsample", "decoder") and rest[0].isdigit()
        ):  # theirs count from the finest, ours in the order of use
            rest[0] = str(blocks - 1 - int(rest[0]))
        if rest[-1] in ("gammas", "running_sd"):
            tensor = one_axis(tensor)
            rest[-1] = "gamma" if rest[-1] == "gammas" else rest[-1]
        renamed[".".join(["middle" if part == "mid_block" else part, *rest])] = tensor
    return UNet(channels, blocks, image_channels), renamed


def _bias_free(tensors: Tensors, source: str, first: First | None) -> Network:
    """The two dialects with conv_layers."""
    rest = dict(tensors)
    depth = count(rest, "conv_layers.{}.weight")
    convolutions = [rest.pop(f"conv_layers.{i}.weight") for i in range(depth)]
    modern = "BN_layers.0.running_sd" in rest or depth == 2  # without a norm the two dialects are the same
    scaled = modern or any(name.startswith("gammas") for name in rest)  # the older code has a variant without gains
    norms = []
    for i in range(depth - 2):
        name = f"BN_layers.{i}.running_sd" if modern else f"running_sd.{i}"
        if name not in rest:
            beside = "; put the file running_sd.pt that was saved with it beside it" if not modern else ""
            raise ValueError(f"{source} has {depth} convolutions but no {name}, the scale of a normalisation{beside}")
        sd = rest.pop(name)
        gamma = next((rest.pop(g) for g in _gamma_names(i, modern) if g in rest), None)
        if gamma is None and scaled:
            raise ValueError(f"{source} has no {_gamma_names(i, modern)[0]}, the gain of a normalisation")
        norms.append((torch.ones_like(one_axis(sd)) if gamma is None else one_axis(gamma), one_axis(sd)))
    if rest:
        raise ValueError(f"{source} has tensors that a bias-free CNN does not have: {listed(rest)}")
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
            f"{source} has convolutions of shapes {[tuple(s) for s in shapes]}; known are square odd kernels, with as "
            "many channels out as in, or three detail channels out for four in"
        )
    kernels = [s[2] for s in shapes]
    if first is None and (coarse or 1 in kernels):
        first = "linear"  # only BF_CNN_RF has conditions and 1x1 kernels, and its first layer is linear
    candidates: dict[str, Network] = {}
    for choice in cast(tuple[First, ...], ("linear", "relu") if first is None else (first,)):
        candidates[choice] = _fill(_stack(convolutions, norms, kernels, coarse, choice), source)
    return _only_that_denoises(candidates, source, "whether a ReLU follows the first convolution", "first")


def _gamma_names(i: int, modern: bool) -> tuple[str, ...]:
    return (f"BN_layers.{i}.gammas",) if modern else (f"gammas.{i}", f"gammas.{i}.weight")


def _stack(
    convolutions: list[Tensor], norms: list[tuple[Tensor, Tensor]], kernels: list[int], coarse: int, first: First
) -> tuple[Network, Tensors]:
    channels, inputs = convolutions[0].shape[:2]
    network: Network
    if first == "relu" and coarse == 0 and set(kernels) == {3}:
        network = BFCNN(channels, len(kernels), inputs)
    else:
        network = WindowedCNN(channels, kernels, inputs - coarse, coarse, first)
    at = 2 if first == "relu" else 1
    mapped = {"layers.0.weight": convolutions[0]}
    for convolution, (gamma, sd) in zip(convolutions[1:-1], norms, strict=True):
        mapped |= {f"layers.{at}.weight": convolution, f"layers.{at + 1}.gamma": gamma}
        mapped[f"layers.{at + 1}.running_sd"] = sd
        at += 3
    mapped[f"layers.{at}.weight"] = convolutions[-1]
    return network, mapped


def _dilated(tensors: Tensors, arguments: Mapping[str, Any], source: str, output: Output | None) -> Network:
    channels, image_channels = tensors["conv1.weight"].shape[:2]
    places = [(f"conv{i}.", place) for i, place in enumerate(
        ("fine.0.", "fine.2.", "coarse.0.", "coarse.2.", "coarse.4.", "coarse.6.", "coarse.8.", "last.0.", "last.2."), 1
    )]  # fmt: skip
    mapped = {}
    for name, tensor in tensors.items():
        theirs, ours = next(((a, b) for a, b in places if name.startswith(a)), ("", ""))
        mapped[ours + name.removeprefix(theirs)] = tensor
    if isinstance(arguments.get("residual"), bool):
        written: Output = "residual" if arguments["residual"] else "clean"
        if output not in (None, written):
            raise ValueError(f"{source} says itself that its output is {written}; leave out output={output!r}")
        output = written
    candidates: dict[str, Network] = {}
    for choice in cast(tuple[Output, ...], ("clean", "residual") if output is None else (output,)):
        network = DilatedUNet(channels, image_channels, bias="conv1.bias" in tensors, output=choice)
        candidates[choice] = _fill((network, mapped), source)
    return _only_that_denoises(candidates, source, "whether the output is the clean image or the residual", "output")


def _only_that_denoises(candidates: dict[str, Network], source: str, question: str, argument: str) -> Network:
    """The one candidate that removes noise from photographs, and does so clearly better than any other."""
    if len(candidates) == 1:
        return next(iter(candidates.values()))
    gains = {name: _gain(network) for name, network in candidates.items()}
    best, second = sorted(gains, key=lambda name: gains[name], reverse=True)[:2]
    if gains[best] > 1.0 and gains[best] - gains[second] > MARGIN_DB:
        return candidates[best]
    choices = " or ".join(f'{argument}="{name}"' for name in candidates)
    measured = ", ".join(f"{name} {gain:+.1f} dB" for name, gain in gains.items())
    raise ValueError(
        f"{source} does not show {question}, and trying both on noisy photographs does not tell ({measured} over the "
        f"noisy images); give load_denoiser(..., {choices})"
    )


def _gain(f: Network) -> float:
    """Mean improvement of the PSNR in dB over a few photographs and noise levels."""
    from gahb_theory.images import Photographs
    from gahb_theory.metrics import psnr_curve

    weight = next(f.parameters())
    x = Photographs(size=64).sample(4, seed=0).to(weight.dtype)
    curve = psnr_curve(f, x.expand(-1, f.image_channels, -1, -1), (0.05, 0.1, 0.2, 0.4))
    return float((curve.psnr - curve.input_psnr).mean())
