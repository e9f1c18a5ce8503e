"""The dialects of Mohan et al. (2020) in the names of the networks here: DnCNN, the recursive and the staged CNN.

Their normalisation without additive terms divides by sqrt(running_var) + eps, with eps outside the root; its class keeps
means and shifts that it never uses. How often a recursive network is applied stands in the arguments saved beside it.
"""

from collections.abc import Mapping
from typing import Any

import torch

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints.building import fill
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors
from gahb_theory.denoisers.checkpoints.unwrapping import count, one_axis
from gahb_theory.denoisers.networks.bias_free import BFCNN
from gahb_theory.denoisers.networks.mohan import DnCNN, RecursiveCNN, StagedCNN

__all__ = ["dncnn", "recursive", "staged"]

NORM_EPSILON = 1e-5


def dncnn(tensors: Tensors, source: str) -> Network:
    """DnCNN by the names of its layers, with biases or, as a bias-free CNN, without."""
    depth = count(tensors, "hidden_layer_list.{}.weight") + 2
    channels, image_channels = tensors["first_layer.weight"].shape[:2]
    biased = "first_layer.bias" in tensors
    mapped: Tensors = {}
    for name, tensor in tensors.items():
        part, *tail = name.split(".")
        if part in ("first_layer", "last_layer"):
            mapped[f"layers.{0 if part == 'first_layer' else 3 * depth - 4}.{tail[-1]}"] = tensor
            continue
        at = 2 + 3 * int(tail[0]) if len(tail) == 2 and tail[0].isdigit() else -1
        if part == "hidden_layer_list":
            mapped[f"layers.{at}.{tail[-1]}"] = tensor
        elif part != "bn_layer_list" or at < 0:
            mapped[name] = tensor  # unknown: the strict loading names it
        elif biased:
            mapped[f"layers.{at + 1}.{tail[-1]}"] = tensor
        elif tail[-1] == "weight":
            mapped[f"layers.{at + 1}.gamma"] = tensor
        elif tail[-1] in ("gammas", "running_sd"):
            mapped[f"layers.{at + 1}.{'gamma' if tail[-1] == 'gammas' else 'running_sd'}"] = one_axis(tensor)
        elif tail[-1] == "running_var":
            mapped[f"layers.{at + 1}.running_sd"] = tensor.sqrt() + NORM_EPSILON
        elif tail[-1] not in ("bias", "running_mean", "num_batches_tracked"):  # kept by their class, never used
            mapped[name] = tensor
    made = {"channels": channels, "depth": depth, "image_channels": image_channels}
    return fill(DnCNN, made, _count_batches(mapped), source) if biased else fill(BFCNN, made, mapped, source)


def _count_batches(mapped: Tensors) -> Tensors:
    """Files older than torch 0.4.1 do not count batches; the number is not used."""
    for name in [n for n in mapped if n.endswith(".running_var")]:
        mapped.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    return mapped


def _stage_names(prefix: str, ours: str, tensors: Tensors) -> Tensors:
    hidden = count(tensors, prefix + "hidden_layer_list.{}.weight")
    mapped = {}
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            continue
        part, *tail = name.removeprefix(prefix).split(".")
        if part == "hidden_layer_list" and tail[0].isdigit():
            at = 2 + 2 * int(tail.pop(0))
        else:
            at = {"first_layer": 0, "last_layer": 2 * hidden + 2}.get(part, -1)
        mapped[f"{ours}{at}.{'.'.join(tail)}" if at >= 0 else name] = tensor
    return mapped


def recursive(tensors: Tensors, arguments: Mapping[str, Any], source: str, stages: int | None) -> Network:
    """One CNN for all stages; `stages` from the caller must not contradict the arguments in the file."""
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
    hidden = count(tensors, "cnn.hidden_layer_list.{}.weight")
    channels, bias = len(tensors["cnn.first_layer.weight"]), "cnn.first_layer.bias" in tensors
    others = {name: tensor for name, tensor in tensors.items() if not name.startswith("cnn.")}
    made = {"channels": channels, "hidden": hidden, "stages": stages, "bias": bias}
    return fill(RecursiveCNN, made, _stage_names("cnn.", "layers.", tensors) | others, source)


def staged(tensors: Tensors, source: str) -> Network:
    """A CNN of its own for each stage."""
    stages = count(tensors, "cnn_list.{}.first_layer.weight")
    hidden = count(tensors, "cnn_list.0.hidden_layer_list.{}.weight")
    channels = len(tensors["cnn_list.0.first_layer.weight"])
    mapped = {name: tensor for name, tensor in tensors.items() if not name.startswith("cnn_list.")}
    for i in range(stages):
        mapped |= _stage_names(f"cnn_list.{i}.", f"layers.{i}.", tensors)
    made = {"channels": channels, "hidden": hidden, "stages": stages, "bias": "cnn_list.0.first_layer.bias" in tensors}
    return fill(StagedCNN, made, mapped, source)
