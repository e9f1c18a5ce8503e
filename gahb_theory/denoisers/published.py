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
from gahb_theory.denoisers.foreign import listed
from gahb_theory.denoisers.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks import BFCNN, UNet
from gahb_theory.denoisers.receptive import WindowedCNN

__all__ = ["from_published"]

Tensors = dict[str, Tensor]
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
NORM_EPSILON = 1e-5
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
        return _fill(_dncnn(tensors), source)
    if "model.0.weight" in tensors:
        return _fill(_sequential_dncnn(tensors), source)
    if "conv1.weight" in tensors and "conv9.weight" in tensors:
        return _dilated(tensors, arguments, source, output)
    if "cnn.first_layer.weight" in tensors:
        return _fill(_recursive(tensors, arguments, source, stages), source)
    if "cnn_list.0.first_layer.weight" in tensors:
        return _fill(_staged(tensors), source)
    raise ValueError(
        f"{source} fits no published dialect this library knows. It has {len(tensors)} tensors: {listed(tensors)}. "
        f"Known are {DIALECTS}, each with or without the prefix 'module.'. If a wrapper has put a prefix before known "
        "names, remove it and save again; else wrap the network that made it with gt.adapt"
    )


def _count(tensors: Tensors, pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are, up to the first that is missing."""
    n = 0
    while pattern.format(n) in tensors:
        n += 1
    return n


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


def _norm(gamma: Tensor | None, sd: Tensor) -> tuple[Tensor, Tensor]:
    sd = sd.flatten()
    return torch.ones_like(sd) if gamma is None else gamma.flatten(), sd


def _unet(tensors: Tensors) -> tuple[Network, Tensors]:
    blocks = _count(tensors, "encoder.{}.0.weight")
    channels, image_channels = tensors["encoder.0.0.weight"].shape[:2]
    renamed = {}
    for name, tensor in tensors.items():
        part, *rest = name.split(".")
        if (
            part in ("upsample", "decoder") and rest[0].isdigit()
        ):  # theirs count from the finest, ours in the order of use
            rest[0] = str(blocks - 1 - int(rest[0]))
        if rest[-1] in ("gammas", "running_sd"):
            tensor = tensor.flatten()
            rest[-1] = "gamma" if rest[-1] == "gammas" else rest[-1]
        renamed[".".join(["middle" if part == "mid_block" else part, *rest])] = tensor
    return UNet(channels, blocks, image_channels), renamed


def _bias_free(tensors: Tensors, source: str, first: First | None) -> Network:
    """The two dialects with conv_layers."""
    rest = dict(tensors)
    depth = _count(rest, "conv_layers.{}.weight")
    convolutions = [rest.pop(f"conv_layers.{i}.weight") for i in range(depth)]
    modern = "BN_layers.0.running_sd" in rest or depth == 2  # without a norm the two dialects are the same
    norms = []
    for i in range(depth - 2):
        name = f"BN_layers.{i}.running_sd" if modern else f"running_sd.{i}"
        if name not in rest:
            beside = "; put the file running_sd.pt that was saved with it beside it" if not modern else ""
            raise ValueError(f"{source} has {depth} convolutions but no {name}, the scale of a normalisation{beside}")
        sd = rest.pop(name)
        gamma = next((rest.pop(g) for g in _gamma_names(i, modern) if g in rest), None)
        norms.append(_norm(gamma, sd))
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


def _dncnn(tensors: Tensors) -> tuple[Network, Tensors]:
    """DnCNN of 2020. Without biases its normalisation divides by sqrt(running_var) + eps and has no additive terms."""
    depth = _count(tensors, "hidden_layer_list.{}.weight") + 2
    channels, image_channels = tensors["first_layer.weight"].shape[:2]
    biased = "first_layer.bias" in tensors
    mapped: Tensors = {}
    for name, tensor in tensors.items():
        part, *rest = name.split(".")
        if part in ("first_layer", "last_layer"):
            mapped[f"layers.{0 if part == 'first_layer' else 3 * depth - 4}.{rest[-1]}"] = tensor
            continue
        at = 2 + 3 * int(rest[0]) if len(rest) == 2 and rest[0].isdigit() else -1
        if part == "hidden_layer_list":
            mapped[f"layers.{at}.{rest[-1]}"] = tensor
        elif part != "bn_layer_list" or at < 0:
            mapped[name] = tensor  # unknown: the strict loading names it
        elif biased:
            mapped[f"layers.{at + 1}.{rest[-1]}"] = tensor
        elif rest[-1] == "weight":
            mapped[f"layers.{at + 1}.gamma"] = tensor
        elif rest[-1] in ("gammas", "running_sd"):
            mapped[f"layers.{at + 1}.{'gamma' if rest[-1] == 'gammas' else 'running_sd'}"] = tensor.flatten()
        elif rest[-1] == "running_var":
            mapped[f"layers.{at + 1}.running_sd"] = tensor.sqrt() + NORM_EPSILON
        elif rest[-1] not in ("bias", "running_mean", "num_batches_tracked"):  # kept by their class, never used
            mapped[name] = tensor
    if biased:
        return DnCNN(channels, depth, image_channels), _count_batches(mapped)
    return BFCNN(channels, depth, image_channels), mapped


def _sequential_dncnn(tensors: Tensors) -> tuple[Network, Tensors]:
    channels, image_channels = tensors["model.0.weight"].shape[:2]
    last = max(
        int(name.split(".")[1]) for name in tensors if name.startswith("model.") and name.split(".")[1].isdigit()
    )
    mapped = {name.replace("model.", "layers.", 1): tensor for name, tensor in tensors.items()}
    return DnCNN(channels, (last + 4) // 3, image_channels), _count_batches(mapped)


def _count_batches(mapped: Tensors) -> Tensors:
    """Files older than torch 0.4.1 do not count batches; the number is not used."""
    for name in [n for n in mapped if n.endswith(".running_var")]:
        mapped.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return mapped


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


def _stage_names(prefix: str, ours: str, tensors: Tensors) -> Tensors:
    hidden = _count(tensors, prefix + "hidden_layer_list.{}.weight")
    mapped = {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            continue
        part, *rest = name.removeprefix(prefix).split(".")
        if part == "hidden_layer_list" and rest[0].isdigit():
            at = 2 + 2 * int(rest.pop(0))
        else:
            at = {"first_layer": 0, "last_layer": 2 * hidden + 2}.get(part, -1)
        mapped[f"{ours}{at}.{'.'.join(rest)}" if at >= 0 else name] = tensor
    return mapped


def _recursive(
    tensors: Tensors, arguments: Mapping[str, Any], source: str, stages: int | None
) -> tuple[Network, Tensors]:
    written = arguments.get("max_stage")
    if isinstance(written, int):
        if stages not in (None, written):
            raise ValueError(f"{source} says itself that it is applied {written} times; leave out stages={stages}")
        stages = written
    if stages is None:
        raise ValueError(
            f"{source} is a recursive CNN saved without its arguments, and how often it is applied is not seen in its "
            "weights; give load_denoiser(..., stages=4) if it is one of those published"
        )
    hidden = _count(tensors, "cnn.hidden_layer_list.{}.weight")
    network = RecursiveCNN(
        len(tensors["cnn.first_layer.weight"]), hidden, stages, bias="cnn.first_layer.bias" in tensors
    )
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith("cnn.")}
    return network, _stage_names("cnn.", "layers.", tensors) | others


def _staged(tensors: Tensors) -> tuple[Network, Tensors]:
    stages = _count(tensors, "cnn_list.{}.first_layer.weight")
    hidden = _count(tensors, "cnn_list.0.hidden_layer_list.{}.weight")
    channels = len(tensors["cnn_list.0.first_layer.weight"])
    mapped = {name: tensor for name, tensor in tensors.items() if not name.startswith("cnn_list.")}
    for i in range(stages):
        mapped |= _stage_names(f"cnn_list.{i}.", f"layers.{i}.", tensors)
    return StagedCNN(channels, hidden, stages, bias="cnn_list.0.first_layer.bias" in tensors), mapped


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
