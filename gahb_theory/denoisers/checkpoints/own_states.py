"""The arguments of a network of this library, from its tensors alone.

`torch.save(f.state_dict())` keeps no configuration. The names of the tensors tell the class, their shapes the sizes. A few
arguments leave no trace: the attention heads and the window of a `DiT`, the output of a `DilatedUNet`, the stages of a
`RecursiveCNN`. The number of channels of networks on whole images is taken to be 1 or 3.
"""

import math
from collections.abc import Callable
from itertools import takewhile
from typing import Any

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors
from gahb_theory.denoisers.checkpoints.unwrapping import count
from gahb_theory.denoisers.networks.bias_free import BFCNN, UNet
from gahb_theory.denoisers.networks.conditioned import ConditionedUNet
from gahb_theory.denoisers.networks.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks.receptive import WindowedCNN
from gahb_theory.denoisers.networks.smooth import SmoothConditionedUNet, SmoothUNet
from gahb_theory.denoisers.networks.transformer import DiT

__all__ = ["SEEN", "own_class"]


def own_class(tensors: Tensors) -> type[Network] | None:
    """The network of this library whose own names these are; None if they are not.

    Bias-free networks of 3x3 kernels with a ReLU after the first convolution are `BFCNN`, which computes the same as
    `WindowedCNN` then.
    """
    for name, network in (
        ("encoder.0.0.convolution.weight", ConditionedUNet),
        ("middle.0.weight", UNet),
        ("deepest.0.weight", SmoothUNet),
        ("fine.0.weight", DilatedUNet),
        ("layers.0.0.weight", StagedCNN),
        ("weights.0", LocallyConnected),
        ("position", DiT),
    ):
        if name in tensors:
            return SmoothConditionedUNet if network is SmoothUNet and _levels(tensors) else network
    if len(tensors) == 1 and "matrix" in tensors:
        return LinearDenoiser
    if len(tensors) == 1 and "weight" in tensors and tensors["weight"].ndim == 4:
        return LinearConvolution
    if "layers.0.weight" not in tensors:
        return None
    if tensors["layers.0.weight"].ndim == 2:
        return FullyConnected
    return _stack(tensors)


def _stack(tensors: Tensors) -> type[Network]:
    """Which of the networks that are one sequence of convolutions."""
    kernels = _convolutions(tensors)
    normed = any(name.endswith("running_var") for name in tensors)
    scaled = any(name.endswith("running_sd") for name in tensors)
    shapes = [tuple(tensors[f"layers.{i}.weight"].shape) for i in kernels]
    if normed or (kernels[-1:] and f"layers.{kernels[-1]}.bias" in tensors):
        return DnCNN
    kinds = {shape[2:] for shape in shapes}
    relu = kernels[1:2] == [2]
    if not scaled and relu and kinds == {(3, 3)} and shapes[0][1:2] == (2,) and shapes[-1][:1] == (1,):
        return RecursiveCNN
    return BFCNN if relu and kinds == {(3, 3)} and shapes[0][1:2] == shapes[-1][:1] else WindowedCNN


def _convolutions(tensors: Tensors) -> list[int]:
    """The places of the convolutions in a sequence `layers`."""
    places = [name.split(".") for name, t in tensors.items() if name.startswith("layers.") and t.ndim == 4]
    return sorted(int(p[1]) for p in places if len(p) == 3 and p[1].isdecimal() and p[2] == "weight")


def _unet(t: Tensors) -> dict[str, Any]:
    channels, image_channels = t["encoder.0.0.weight"].shape[:2]
    return {"channels": channels, "blocks": count(t, "encoder.{}.0.weight"), "image_channels": image_channels}


def _levels(t: Tensors) -> int:
    """Channels that enter a `SmoothUNet` beside those of the image that leaves it."""
    known = "encoder.0.0.weight" in t and "exit.weight" in t
    return t["encoder.0.0.weight"].shape[1] - t["exit.weight"].shape[0] if known else 0


def _smooth_conditioned(t: Tensors) -> dict[str, Any]:
    return _unet(t) | {"image_channels": t["exit.weight"].shape[0]}


def _conditioned(t: Tensors) -> dict[str, Any]:
    channels, image_channels = t["encoder.0.0.convolution.weight"].shape[:2]
    blocks = count(t, "encoder.{}.0.convolution.weight") - 1
    return {"channels": channels, "blocks": blocks, "image_channels": image_channels}


def _depth(t: Tensors) -> dict[str, Any]:
    channels, image_channels = t["layers.0.weight"].shape[:2]
    return {"channels": channels, "depth": len(_convolutions(t)), "image_channels": image_channels}


def _dncnn(t: Tensors) -> dict[str, Any]:
    seen = _depth(t)
    if seen["depth"] > 2:  # otherwise there is nothing to normalise
        seen["normalised"] = any(name.endswith("running_var") for name in t)
    if "convention" in t:
        clean, epsilon = t["convention"].tolist()
        seen |= {"output": "clean" if clean else "residual", "epsilon": float(f"{epsilon:.3g}")}
    return seen


def _windowed(t: Tensors) -> dict[str, Any]:
    places = _convolutions(t)
    kernels = [int(t[f"layers.{i}.weight"].shape[-1]) for i in places]
    channels, inputs = t["layers.0.weight"].shape[:2]
    outputs = len(t[f"layers.{places[-1]}.weight"])
    first = "relu" if places[1] == 2 else "linear"
    coarse = inputs - outputs
    return dict(channels=channels, kernels=kernels, image_channels=outputs, coarse_channels=coarse, first=first)


def _dilated(t: Tensors) -> dict[str, Any]:
    channels, image_channels = t["fine.0.weight"].shape[:2]
    return {"channels": channels, "image_channels": image_channels, "bias": "fine.0.bias" in t}


def _recursive(t: Tensors) -> dict[str, Any]:
    channels, hidden = len(t["layers.0.weight"]), len(_convolutions(t)) - 2
    return {"channels": channels, "hidden": hidden, "bias": "layers.0.bias" in t}


def _staged(t: Tensors) -> dict[str, Any]:
    stages = count(t, "layers.{}.0.weight")
    hidden = sum(name.startswith("layers.0.") and name.endswith(".weight") for name in t) - 2
    return {"channels": len(t["layers.0.0.weight"]), "hidden": hidden, "stages": stages, "bias": "layers.0.0.bias" in t}


def _image(pixels: int) -> dict[str, Any]:
    """Size and channels of square images of so many numbers, grey or in colour."""
    for image_channels in (1, 3):
        size = math.isqrt(pixels // image_channels)
        if image_channels * size**2 == pixels:
            return {"size": size, "image_channels": image_channels}
    return {}


def _linear(t: Tensors) -> dict[str, Any]:
    return _image(len(t["matrix"]))


def _kernel(t: Tensors) -> dict[str, Any]:
    return {"kernel": int(t["weight"].shape[-1]), "image_channels": len(t["weight"])}


def _perceptron(t: Tensors) -> dict[str, Any]:
    width, pixels = t["layers.0.weight"].shape
    depth = sum(1 for _ in takewhile(lambda i: f"layers.{2 * i}.weight" in t, range(len(t))))
    return _image(pixels) | {"width": width, "depth": depth}


def _local(t: Tensors) -> dict[str, Any]:
    depth = count(t, "weights.{}")
    places, channels, window = t["weights.0"].shape
    image_channels = t[f"weights.{depth - 1}"].shape[1]
    kernel, size = math.isqrt(window // image_channels), math.isqrt(places)
    return dict(size=size, channels=channels, depth=depth, kernel=kernel, image_channels=image_channels)


def _transformer(t: Tensors) -> dict[str, Any]:
    tokens, width = t["position"].shape
    seen: dict[str, Any] = {"width": width, "depth": count(t, "blocks.{}.qkv.weight")}
    token = _image(t["enter.weight"].shape[1])
    if token:
        patch = token["size"]
        seen |= {"size": math.isqrt(tokens) * patch, "patch": patch, "image_channels": token["image_channels"]}
    return seen


SEEN: dict[type[Network], Callable[[Tensors], dict[str, Any]]] = {
    UNet: _unet,
    BFCNN: _depth,
    WindowedCNN: _windowed,
    DnCNN: _dncnn,
    DilatedUNet: _dilated,
    RecursiveCNN: _recursive,
    StagedCNN: _staged,
    SmoothUNet: _unet,
    SmoothConditionedUNet: _smooth_conditioned,
    ConditionedUNet: _conditioned,
    DiT: _transformer,
    FullyConnected: _perceptron,
    LinearConvolution: _kernel,
    LinearDenoiser: _linear,
    LocallyConnected: _local,
}
"""What the tensors of each network show of its arguments."""
