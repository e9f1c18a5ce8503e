"""Adapted networks as JSON: the convention, and the network inside where it can be made anew without code from a file.

A network of this library is described by its arguments, a module of torch's own layers by the arguments of each layer:

    {"convention": {"prediction": "residual", ...},
     "net": {"Sequential": {"0": {"Conv2d": {"in_channels": 1, ...}}, "1": {"ReLU": {}}}}}

Any other module is named, {"module": "MyNet"}. Its weights are saved all the same; to load them the caller gives the
network.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import nn

from gahb_theory.denoisers.adapters import Adapted, Convention, adapt
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.initialisation import on_meta

__all__ = ["adapted_from", "described"]

SLIDING = ("kernel_size", "stride", "padding", "dilation")
CONVOLUTION = ("in_channels", "out_channels", *SLIDING, "groups", "bias", "padding_mode")
BATCH_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
LAYERS: dict[str, tuple[str, ...]] = {
    "Conv2d": CONVOLUTION,
    "ConvTranspose2d": (*CONVOLUTION, "output_padding"),
    "Linear": ("in_features", "out_features", "bias"),
    "BatchNorm2d": BATCH_NORM,
    "InstanceNorm2d": BATCH_NORM,
    "GroupNorm": ("num_groups", "num_channels", "eps", "affine"),
    "AvgPool2d": (*SLIDING[:3], "ceil_mode", "count_include_pad"),
    "MaxPool2d": (*SLIDING, "ceil_mode"),
    "Upsample": ("scale_factor", "mode", "align_corners"),
    "PixelShuffle": ("upscale_factor",),
    "PixelUnshuffle": ("downscale_factor",),
    "Flatten": ("start_dim", "end_dim"),
    "LeakyReLU": ("negative_slope", "inplace"),
    "ELU": ("alpha", "inplace"),
    "PReLU": ("num_parameters",),
    "ReLU": ("inplace",),
    "SiLU": ("inplace",),
    "GELU": ("approximate",),
    "Softplus": ("beta", "threshold"),
    "Sigmoid": (),
    "Tanh": (),
    "Identity": (),
    "Dropout": ("p", "inplace"),
}
"""The layers of torch that are described, each with the arguments that make it, which are its attributes too."""

DEEPEST = 20


def described(f: Adapted) -> dict[str, Any]:
    """The arguments of an adapted network as JSON values."""
    return {"convention": asdict(f.convention), "net": _described(f.net, 0)}


def adapted_from(arguments: Mapping[str, Any], networks: Mapping[str, type[Network]]) -> Adapted:
    """The adapted network that `described` has described, with new weights.

    Raises
    ------
    ValueError
        If the network inside is the user's own, or the description is damaged.
    """
    net = arguments["net"]
    if set(net) == {"module"}:
        raise ValueError(
            f"it holds the weights of an adapted {str(net['module'])[:60]}, which is not of this library; make that network "
            "and give load_denoiser(..., network=gt.adapt(net, convention))"
        )
    return adapt(_made(net, networks, 0), Convention(**arguments["convention"]))


def _described(net: Any, depth: int) -> dict[str, Any]:
    name = type(net).__name__
    reference = {"module": name}
    if isinstance(net, Network) and type(net).__module__.startswith("gahb_theory."):
        return {"network": name, "arguments": net.configuration}
    if not isinstance(net, nn.Module) or type(net) is not getattr(nn, name, None):
        return reference
    if depth > DEEPEST or net._forward_hooks or net._forward_pre_hooks or set(net._parameters) - {"weight", "bias"}:
        return reference
    if name == "Sequential":
        parts = {key: _described(part, depth + 1) for key, part in net.named_children()}
        return reference if any(set(part) == {"module"} for part in parts.values()) else {name: parts}
    if name not in LAYERS:
        return reference
    values = {key: getattr(net, key) for key in LAYERS[name]}
    if "bias" in values:
        values["bias"] = net.bias is not None
    values = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
    return {name: values} if all(_is_plain(v) for v in values.values()) else reference


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float | None) or (
        isinstance(value, list) and all(isinstance(v, int | float) for v in value)
    )


def _made(description: Mapping[str, Any], networks: Mapping[str, type[Network]], depth: int) -> nn.Module:
    if depth > DEEPEST:
        raise ValueError(f"its layers are nested more than {DEEPEST} deep")
    if "network" in description:
        return networks[description["network"]](**description["arguments"])
    ((name, values),) = description.items()
    if name == "Sequential":
        made = nn.Sequential()
        for key, part in values.items():
            made.add_module(key, _made(part, networks, depth + 1))
        return made
    if name not in LAYERS or set(values) != set(LAYERS[name]) or not all(_is_plain(v) for v in values.values()):
        raise ValueError(f"its layer {str(name)[:60]} is not one that this library makes")
    with on_meta():  # draws no random numbers
        layer: nn.Module = getattr(nn, name)(
            **{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
        )
    return layer.to_empty(device="cpu")
