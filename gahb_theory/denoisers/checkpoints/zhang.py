"""The dialects of Zhang et al. (KAIR): CNNs that are one sequence, and DRUNet.

DnCNN, with batch normalisation or after merging it, IRCNN, FDnCNN and FFDNet are convolutions numbered through: 0.weight,
2.weight, ..., under "model." or "dncnn.". Their shapes tell FFDNet (4c + 1 channels in, 4c out) and FDnCNN (c + 1 in, c out)
from the others. The tensors do not tell

    whether the layers return the residual or the clean image,     output,
    where in the input the map of the noise level stands,          noise_map,
    dilations, so that IRCNN looks as a DnCNN of depth 7,
    what batch normalisation adds to the variance,                 epsilon.

The first three are measured by denoising. The last is asked for wherever 1e-5, torch's, and 1e-4, KAIR's, do not give the
same.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.checkpoints.building import Candidate, Choices, denoising, fill
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors
from gahb_theory.denoisers.checkpoints.unwrapping import count
from gahb_theory.denoisers.networks.drunet import DRUNet
from gahb_theory.denoisers.networks.ffdnet import FFDNet
from gahb_theory.denoisers.networks.initialisation import on_meta
from gahb_theory.denoisers.networks.ircnn import IRCNN
from gahb_theory.denoisers.networks.mohan import DnCNN

__all__ = ["chosen_by", "drunet", "is_sequence", "sequence"]

NUMBERED = re.compile(r"\d{1,6}\.(weight|bias|running_mean|running_var|num_batches_tracked)")
EPSILONS = (1e-5, 1e-4)
SAME = 1e-4


def is_sequence(tensors: Tensors) -> bool:
    """Whether these are layers numbered through that begin with a convolution."""
    return all(NUMBERED.fullmatch(name) for name in tensors) and "0.weight" in tensors and tensors["0.weight"].ndim == 4


def sequence(
    tensors: Tensors, arguments: Mapping[str, Any], source: str, choices: Choices, network: Network | None
) -> Network:
    """The CNN that these layers are."""
    places = sorted(int(name.split(".")[0]) for name, t in tensors.items() if t.ndim == 4 and name.endswith(".weight"))
    normalised = any(name.endswith("running_var") for name in tensors)
    step = 3 if normalised else 2
    depth = len(places)
    if depth < 2 or places != [0, *range(2, 2 + step * (depth - 1), step)]:
        raise ValueError(
            f"{source} is a sequence of layers with convolutions at {', '.join(map(str, places[:6]))}, ...; known are "
            "DnCNN, IRCNN, FDnCNN and FFDNet. Wrap the network that made it with gt.adapt"
        )
    tensors = _with_biases(tensors, places)
    channels, inputs = tensors["0.weight"].shape[:2]
    outputs = len(tensors[f"{places[-1]}.weight"])
    if inputs == outputs:
        return _dncnn(tensors, arguments, source, choices, network, (channels, depth, outputs), normalised)
    if normalised and outputs % 4 == 0 and inputs == outputs + outputs // 4:
        choices.only(source)
        return _ffdnet_of_ipol(tensors, places, source)
    if normalised or inputs != outputs + 1:
        raise ValueError(
            f"{source} takes {inputs} channels and returns {outputs}, which no known sequence of layers does; wrap the network "
            "that made it with gt.adapt"
        )
    scale = 1 if outputs in (1, 3) else 2
    if outputs % scale**2:
        raise ValueError(
            f"{source} returns {outputs} channels, which are no quarters of an image; wrap it with gt.adapt"
        )
    made = {"channels": channels, "depth": depth, "image_channels": outputs // scale**2, "scale": scale}
    mapped = {f"model.{name}": t for name, t in tensors.items()}
    choices.only(source, "output", "noise_map")
    candidates = [
        Candidate(FFDNet, made | {"noise_map": at, "output": output}, mapped, f'output="{output}", noise_map="{at}"')
        for output in ("clean", "residual")
        for at in ("last", "first")
        if choices.output in (None, output) and choices.noise_map in (None, at)
    ]
    return denoising(
        chosen_by(candidates, network, source),
        source,
        "what the layers return and where their map of the noise level is",
    )


def _ffdnet_of_ipol(tensors: Tensors, places: list[int], source: str) -> Network:
    """FFDNet as Tassano, Delon and Veit 2019 train it.

    It has a map of the noise level for each channel, all equal, before the image, so that one map with the sum of their
    weights is the same; and batch norms after the inner convolutions, which are merged with them.
    """
    outputs = len(tensors[f"{places[-1]}.weight"])
    merged: Tensors = {}
    for k, place in enumerate(places):
        weight, bias = (tensors[f"{place}.{name}"].double() for name in ("weight", "bias"))
        if 0 < k < len(places) - 1:
            names = ("weight", "bias", "running_mean", "running_var")
            gamma, beta, mean, variance = (tensors[f"{place + 1}.{name}"].double() for name in names)
            scale = gamma / (variance + EPSILONS[0]).sqrt()
            weight, bias = weight * scale[:, None, None, None], beta + (bias - mean) * scale
        if k == 0:
            maps = outputs // 4
            weight = torch.cat([weight[:, :maps].sum(1, keepdim=True), weight[:, maps:]], 1)
        kind = tensors[f"{place}.weight"].dtype
        merged |= {f"model.{2 * k}.weight": weight.to(kind), f"model.{2 * k}.bias": bias.to(kind)}
    made = {"channels": len(tensors["0.weight"]), "depth": len(places), "image_channels": outputs // 4}
    return fill(FFDNet, made | {"noise_map": "first", "output": "residual"}, merged, source)


def _dncnn(
    tensors: Tensors,
    arguments: Mapping[str, Any],
    source: str,
    choices: Choices,
    network: Network | None,
    sizes: tuple[int, int, int],
    normalised: bool,
) -> Network:
    channels, depth, image_channels = sizes
    choices.only(source, "output", *(["epsilon"] if normalised else []))
    made: dict[str, Any] = dict(channels=channels, depth=depth, image_channels=image_channels, normalised=normalised)
    mapped = {f"layers.{name}": t for name, t in tensors.items()}
    for name in [name for name in mapped if name.endswith(".running_var")]:  # files from before torch counted batches
        mapped.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    candidates = []
    for output in ("residual", "clean"):
        if choices.output not in (None, output):
            continue
        way = f'output="{output}"'
        epsilons = EPSILONS if normalised else EPSILONS[:1]
        epsilons = epsilons if choices.epsilon is None else (choices.epsilon,)
        if isinstance(network, DnCNN):
            epsilons = (network.epsilon,)
        made_so = made | {"output": output, "epsilon": epsilons[0]}
        if len(epsilons) > 1 and "model" not in arguments:  # Mohan et al. keep their arguments, and torch's epsilon
            _check_epsilon(Candidate(DnCNN, made_so, mapped, way), source, epsilons)
        candidates.append(Candidate(DnCNN, made_so, marked(mapped, output, epsilons[0]), way))
    if depth == 7 and not normalised and choices.output != "clean":
        renamed = {f"model.{name}": t for name, t in tensors.items()}
        candidates = [
            replace(c, way=f"network=gt.DnCNN({channels}, 7, {image_channels}, normalised=False, {c.way})")
            for c in candidates
        ]
        way = f"network=gt.IRCNN({channels}, {image_channels})"
        candidates.append(Candidate(IRCNN, {"channels": channels, "image_channels": image_channels}, renamed, way))
    return denoising(
        chosen_by(candidates, network, source), source, "whether the layers return the residual or the clean image"
    )


def chosen_by(candidates: list[Candidate], network: Network | None, source: str) -> list[Candidate]:
    """Those that are the network a caller has given; all where none is."""
    if network is None:
        return candidates
    with on_meta():
        alike = [
            c
            for c in candidates
            if type(network) is c.network and network.configuration == c.network(**c.arguments).configuration
        ]
    if not alike:
        kinds = " or ".join(dict.fromkeys(c.network.__name__ for c in candidates))
        raise ValueError(
            f"{source} fits {kinds}({candidates[0].arguments}), not the {type(network).__name__} given as network"
        )
    return alike


def marked(tensors: Tensors, output: str, epsilon: float) -> Tensors:
    """With the mark that a DnCNN of an unusual convention keeps in its state."""
    if (output, epsilon) == ("residual", 1e-5):
        return tensors
    return tensors | {"convention": torch.tensor([float(output == "clean"), epsilon], dtype=torch.float32)}


def _check_epsilon(candidate: Candidate, source: str, epsilons: tuple[float, ...]) -> None:
    """Refuse a file for which it matters what its batch norms add to the variance."""
    from gahb_theory.images import Photographs
    from gahb_theory.randomness import add_noise

    made, output = dict(candidate.arguments), str(candidate.arguments["output"])
    predicted = []
    for epsilon in epsilons:
        f = fill(DnCNN, made | {"epsilon": epsilon}, marked(candidate.tensors, output, epsilon), source)
        assert isinstance(f, DnCNN)
        x = Photographs(size=32).sample(2, seed=0).expand(-1, f.image_channels, -1, -1)
        with torch.no_grad():
            predicted.append(f.layers(add_noise(x, 0.1, seed=1).to(next(f.parameters()).dtype)))
    apart = float((predicted[0] - predicted[1]).norm() / predicted[0].norm().clamp_min(1e-30))
    if not apart <= SAME:
        raise ValueError(
            f"{source} does not show what its batch norms add to the variance, and it matters (by {apart:.1e} of the output); "
            "give load_denoiser(..., epsilon=1e-5), torch's default, or epsilon=1e-4, as KAIR trains"
        )


def _with_biases(tensors: Tensors, places: list[int]) -> Tensors:
    """With zeros for biases where the convolutions of a whole kind have none: all of them, or all but the first."""
    without = [i for i in places if f"{i}.bias" not in tensors]
    if without not in (places, places[1:], places[1:-1]):
        return tensors
    zeros = {f"{i}.bias": tensors[f"{i}.weight"].new_zeros(len(tensors[f"{i}.weight"])) for i in without}
    return tensors | zeros


def drunet(tensors: Tensors, source: str) -> Network:
    """DRUNet, by its own names."""
    channels, inputs = tensors["m_head.weight"].shape[:2]
    made = {"channels": channels, "blocks": count(tensors, "m_body.{}.res.0.weight"), "image_channels": inputs - 1}
    return fill(DRUNet, made, tensors, source)
