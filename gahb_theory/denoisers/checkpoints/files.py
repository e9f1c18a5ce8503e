"""Saved denoisers: a folder with model.safetensors, config.json and a model card.

A network is loaded by its name and arguments, never by running code from a file. The configuration also stands in the
header of the safetensors file, so that file alone is a checkpoint too. Files that others have published are read by
`gahb_theory.denoisers.checkpoints.published`.
"""

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal
from uuid import uuid4

import torch
from torch import nn

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Adapted
from gahb_theory.denoisers.base import DenoiserModule, Network
from gahb_theory.denoisers.checkpoints.adapted import described
from gahb_theory.denoisers.checkpoints.building import Candidate, Choices, denoising, fill, sketched, sketched_filled
from gahb_theory.denoisers.checkpoints.configured import (
    NETWORKS,
    configured,
    conservative_configuration,
    is_adapted,
    misfit,
)
from gahb_theory.denoisers.checkpoints.hub import PREFIX, download, is_hub_id, model_card, upload
from gahb_theory.denoisers.checkpoints.own_states import SEEN, own_class
from gahb_theory.denoisers.checkpoints.published import dialect, from_published
from gahb_theory.denoisers.checkpoints.tensor_files import (
    Tensors,
    checked,
    find_weights,
    is_torch_file,
    read_json,
    read_safetensors,
    read_torch,
    short,
    widened,
)
from gahb_theory.denoisers.checkpoints.unwrapping import chosen, unwrapped, without_counters
from gahb_theory.denoisers.networks.conservative import MARK, Conservative
from gahb_theory.denoisers.networks.mohan import DilatedUNet, DnCNN, RecursiveCNN
from gahb_theory.denoisers.networks.transformer import DiT
from gahb_theory.runs import write_bytes

__all__ = ["load_denoiser", "save_denoiser"]

SAVED: tuple[type[DenoiserModule], ...] = (*NETWORKS, Conservative, Adapted)
"""What `save_denoiser` takes."""

WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
"""What torch puts around a network, and the attribute that holds it."""

WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def save_denoiser(f: nn.Module, folder: str | Path, card: Mapping[str, Any] | None = None) -> Path | str:
    """Save a network as a folder of model.safetensors, config.json and README.md, each written whole or not at all.

    Parameters
    ----------
    f
        A network of this library, or one that `adapt` has wrapped; within torch.compile or DataParallel, the network
        inside. Of a wrapped network the convention is saved, too; if it is made of layers of torch or is of this library,
        it loads by itself, otherwise `load_denoiser` is given one that was made in the same way, as `network`.
    folder
        Created where it does not exist. A name that ends in .safetensors is a file, which holds all but the card in
        words. "hf://owner/name" uploads the folder to the Hugging Face hub, where
        `huggingface_hub` is installed and logged in.
    card
        What a reader should know, JSON values: "data", "recipe", "psnr" (noise level to dB), "licence", and more. It
        goes into config.json and, in words, into README.md, the model card.

    Raises
    ------
    TypeError
        If f is of another kind.

    Notes
    -----
    Weights that are NaN or infinite, and standard deviations that are not positive, are saved with a warning, so that they
    can be looked into; `load_denoiser` refuses them.

    See Also
    --------
    gahb_theory.load_denoiser, gahb_theory.train

    Examples
    --------
    >>> import tempfile
    >>> from gahb_theory.denoisers import UNet
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_denoiser(UNet(channels=4, blocks=1), folder)
    ...     load_denoiser(folder).channels
    4
    """
    while type(f).__name__ in WRAPPERS and isinstance(inside := getattr(f, WRAPPERS[type(f).__name__]), nn.Module):
        f = inside  # the network is saved, not how it is run
    if not isinstance(f, SAVED) or (isinstance(f, Conservative) and not isinstance(f.network, NETWORKS)):
        within = f" of {type(f.network).__name__}" if isinstance(f, Conservative) else ""
        raise TypeError(
            f"f must be one of {', '.join(n.__name__ for n in NETWORKS[:3])}, or another network of this library, or one "
            f"wrapped by gt.adapt, got {type(f).__name__}{within}"
        )
    if isinstance(f, Adapted) and not isinstance(f.net, nn.Module):
        raise TypeError(
            f"f must have weights to be saved, got an adapted {type(f.net).__name__}; make it a torch.nn.Module"
        )
    if card is not None and not isinstance(card, Mapping):
        raise TypeError(f"card must be a dict of JSON values, got {type(card).__name__}")
    if isinstance(folder, str) and folder.startswith(PREFIX):
        if not is_hub_id(folder):
            raise ValueError(f"a hub id has the form {PREFIX}owner/name, got {folder!r}")
        with TemporaryDirectory() as local:
            upload(_write(f, Path(local), card), folder)
        return folder
    return _write(f, validate.path(folder, "folder"), card)


def _write(f: Any, folder: Path, card: Mapping[str, Any] | None) -> Path:
    from safetensors.torch import save

    file = folder if folder.suffix == ".safetensors" else folder / WEIGHTS
    arguments = described(f) if isinstance(f, Adapted) else f.configuration
    config = {"network": type(f).__name__, "arguments": arguments, "card": dict(card or {})}
    # shared tensors are stored once for each name
    tensors = {
        name: t.detach().cpu().clone(memory_format=torch.contiguous_format) for name, t in f.state_dict().items()
    }
    try:
        checked(tensors, f"the {type(f).__name__}", sum(t.numel() * t.element_size() for t in tensors.values()))
    except ValueError as error:  # what a diverged training leaves can be looked at, but is no denoiser
        warnings.warn(f"{error}; it is saved, but load_denoiser will refuse it", stacklevel=3)
    weights = save(tensors, metadata={"config": json.dumps(config, default=_plain)})
    file.parent.mkdir(parents=True, exist_ok=True)
    if file is folder:
        return write_bytes(file, weights)
    text = json.dumps(config, indent=2, default=_plain) + "\n"
    words = model_card(config, sum(p.numel() for p in f.parameters()))
    _write_together(folder, {WEIGHTS: weights, CONFIG: text.encode(), CARD: words.encode()})
    return folder


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files under other names first, so that a full disk leaves all those before."""
    mark = uuid4().hex
    names = {folder / f".{name}.{mark}.partial": folder / name for name in files}
    try:
        for temporary, final in names.items():
            write_bytes(temporary, files[final.name])
        for temporary, final in names.items():
            temporary.replace(final)
    except BaseException:  # also an interrupt must leave no partial files
        for temporary in names:
            with suppress(OSError):
                temporary.unlink()
        raise


def load_denoiser(
    path: str | Path,
    *,
    first: Literal["linear", "relu"] | None = None,
    output: Literal["clean", "residual"] | None = None,
    stages: int | None = None,
    entry: str | None = None,
    epsilon: int | float | None = None,
    noise_map: Literal["first", "last"] | None = None,
    network: Network | Adapted | None = None,
) -> Network | Adapted:
    """Load a network saved by this library, by torch.save(f.state_dict()), or published by others, in eval mode, on the CPU.

    Its parameters take no gradient, so that `f(y, sigma).numpy()` works. `train` trains a copy whose parameters do; for a loop
    of your own call `f.requires_grad_(True)`.

    No code from a file is run, no tensor is left out or made up, and nothing is allocated before the file is seen to hold
    it. Half precision becomes float32, exactly. The prefixes of wrappers ("module.", "_orig_mod.", "model.", ...) and the
    count of an AveragedModel are taken off. Where a file holds averaged weights beside others, `entry` says which are meant.

    Parameters
    ----------
    path
        A folder with model.safetensors and config.json (a run directory of `gahb train` is one), a .safetensors file or
        the index of several, a torch file (.pt, .pth, .ckpt) with the names of this library or of one of the dialects that
        `gahb_theory.denoisers.checkpoints.published` lists, or the name "owner/name" or "hf://owner/name" of a
        repository of the Hugging Face hub, where `huggingface_hub` is installed.
    first, output, stages, epsilon, noise_map
        What a file does not always show: whether a ReLU follows the first convolution of a BF_CNN, whether the layers
        return the clean image or the residual, how often a recursive CNN is applied, what batch normalisation adds to the
        variance, and where the map of the noise level stands in the input of an FFDNet. To be given where a file is refused.
    entry
        The key of the set of tensors that is meant, or the prefix of its names, where a file holds several.
    network
        A denoiser made in the same way, for what no tensor shows (attention heads, your network inside `adapt`); copied.

    Raises
    ------
    FileNotFoundError
        If there is no such file, or no checkpoint in the folder.
    ValueError
        If the file is damaged, unknown, ambiguous or not finite, or cannot be read without running code.

    See Also
    --------
    gahb_theory.save_denoiser, gahb_theory.shipped_denoiser, gahb_theory.adapt

    Examples
    --------
    >>> from gahb_theory import pretrained
    >>> type(load_denoiser(Path(pretrained.__file__).parent / "unet_c_alpha")).__name__
    'UNet'
    """
    choices = _choices(first, output, stages, epsilon, noise_map)
    if entry is not None and not isinstance(entry, str):
        raise TypeError(f"entry must be the key of a set of tensors, a string, got {type(entry).__name__}")
    if network is not None and not isinstance(network, SAVED):
        raise TypeError(
            f"network must be one of this library, or one wrapped by gt.adapt, got {type(network).__name__}"
        )
    given = validate.path(path, "path")
    if is_hub_id(path):
        try:
            given = download(str(path))
        except ImportError as error:
            if not str(path).startswith(PREFIX):
                raise FileNotFoundError(f"no checkpoint at {path}, and {error}") from error
            raise
    file = find_weights(given)
    source = str(file)
    arguments: Mapping[str, Any] = {}
    size = file.stat().st_size
    if is_torch_file(file):
        tensors, arguments = chosen(read_torch(file), entry, source)
        config = None
    else:
        metadata, tensors = read_safetensors(file)
        size = max(size, sum(t.numel() * t.element_size() for t in tensors.values()))  # of all files of an index
        config = _configuration(file, metadata)
        if entry is not None:
            tensors, _ = chosen(tensors, entry, source)
    tensors = widened(checked(without_counters(tensors), source, size))
    try:
        with torch.device("cpu"):  # whatever the default device
            f = _network(tensors, config, arguments, source, choices, network)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, OverflowError) as error:
        if isinstance(error, ValueError) and source in str(error):
            raise
        raise ValueError(f"{source} fits no network of this library: {short(error)}") from error
    _check_beside(file, config)
    return f


def _choices(first: Any, output: Any, stages: Any, epsilon: Any, noise_map: Any) -> Choices:
    """The choices of a caller, checked."""
    return Choices(
        first=None if first is None else validate.one_of(first, "first", ("linear", "relu")),
        output=None if output is None else validate.one_of(output, "output", ("clean", "residual")),
        stages=None if stages is None else validate.integer(stages, "stages", 1, 10_000),
        epsilon=None if epsilon is None else validate.number(epsilon, "epsilon", least=0.0),
        noise_map=None if noise_map is None else validate.one_of(noise_map, "noise_map", ("first", "last")),
    )


def _configuration(file: Path, metadata: Mapping[str, str]) -> Any:
    """The configuration in the header of a safetensors file, or beside it where the header has none; None without."""
    if "config" in metadata:
        try:
            config = json.loads(metadata["config"])
        except (ValueError, RecursionError) as error:
            raise misfit(str(file), short(error)) from error
        if not isinstance(config, dict):
            raise misfit(str(file), f"its configuration is a {type(config).__name__}")
        return config
    kind = read_json(file.with_name(CONFIG)) if _has_one_beside(file) else None
    return kind if isinstance(kind, dict) and "network" in kind else None


def _has_one_beside(file: Path) -> bool:
    return file.name == WEIGHTS and file.with_name(CONFIG).exists()


def _check_beside(file: Path, config: Any) -> None:
    """Refuse a config.json that is damaged, or is that of another network than the weights."""
    if config is None or not _has_one_beside(file):
        return
    written = read_json(file.with_name(CONFIG))
    if not isinstance(written, dict) or any(written.get(key) != config[key] for key in ("network", "arguments")):
        raise ValueError(
            f"{file.with_name(CONFIG)} does not describe the network in {file.name}; remove it, or save the denoiser again"
        )


def _network(
    tensors: Tensors,
    config: Any,
    arguments: Mapping[str, Any],
    source: str,
    choices: Choices,
    network: Network | Adapted | None,
) -> Network | Adapted:
    if config is not None and not (network is not None and is_adapted(config)):
        choices.only(source)
        return configured(tensors, config, source)
    if config is not None and isinstance(network, Adapted):
        saved = config.get("arguments")
        if not isinstance(saved, dict) or saved.get("convention") != described(network)["convention"]:
            raise ValueError(f"{source} was saved with another convention than that of the network given")
    if network is not None:
        choices.only(source)
        given = _like(tensors, network, source)
        if given is not None:
            return given
    kind: str | type[Network]
    tensors, kind = unwrapped(tensors, _recognised, source)
    if "gammas.0.weight" in tensors and "running_sd.0" not in tensors:
        tensors |= _scales_beside(Path(source).with_name("running_sd.pt"))
    if isinstance(kind, str):
        wanted = network if isinstance(network, Network) else None
        return from_published(kind, tensors, arguments, source, choices, wanted)
    return _own(kind, tensors, source, choices)


def _recognised(tensors: Tensors) -> str | type[Network] | None:
    """The network of this library whose own names these are, or the dialect of others."""
    if MARK in tensors:
        return Conservative
    return own_class(tensors) or dialect(tensors)


def _like(tensors: Tensors, network: Network | Adapted, source: str) -> Network | Adapted | None:
    """A copy of a network with the tensors, if they have its names or those of the network inside it."""
    written = set(network.state_dict())
    inner = {name.removeprefix("net.") for name in written} if isinstance(network, Adapted) else set()

    def names(tensors: Tensors) -> bool | None:
        return set(tensors) in (written, inner) or None

    try:
        tensors, _ = unwrapped(tensors, names, source)
    except ValueError:
        if isinstance(network, Network):
            return None  # another dialect, perhaps
        raise
    if set(tensors) != written:
        tensors = {f"net.{name}": tensor for name, tensor in tensors.items()}
    sketched(network, tensors, source, f"the {type(network).__name__} given as network")
    return sketched_filled(deepcopy(network), tensors)  # type: ignore[return-value]


def _own(network: type[Network], tensors: Tensors, source: str, choices: Choices) -> Network:
    """A network of this library from its own tensors alone."""
    if network is Conservative:
        inner = {name.removeprefix("network."): t for name, t in tensors.items() if name != MARK}
        kind = own_class(inner)
        if kind not in SEEN or kind in (DilatedUNet, RecursiveCNN):
            raise ValueError(
                f"{source} holds a Conservative, and the network inside is not seen in its tensors; give load_denoiser(..., "
                "network=gt.Conservative(...)), or save it with save_denoiser"
            )
        return configured(tensors, conservative_configuration(kind, SEEN[kind](inner)), source)  # type: ignore[return-value]
    arguments = SEEN[network](tensors)
    asked = {DilatedUNet: ("output",), RecursiveCNN: ("stages",), DnCNN: ("output", "epsilon")}.get(network, ())
    choices.only(source, *asked)
    arguments |= {name: getattr(choices, name) for name in asked if getattr(choices, name) is not None}
    if network is DiT:
        raise ValueError(
            f"{source} holds a DiT, whose attention heads and window are not seen in its tensors; give load_denoiser(..., "
            "network=gt.DiT(...)), or save it with save_denoiser"
        )
    if network is RecursiveCNN and choices.stages is None:
        raise ValueError(
            f"{source} holds a RecursiveCNN, and how often it is applied is not seen in its tensors; give load_denoiser(..., "
            "stages=4), or save it with save_denoiser"
        )
    if network is DilatedUNet and choices.output is None:
        both = [Candidate(network, arguments | {"output": o}, tensors, f'output="{o}"') for o in ("clean", "residual")]
        return denoising(both, source, "whether the output is the clean image or the residual")
    return fill(network, arguments, tensors, source)


def _scales_beside(file: Path) -> Tensors:
    """The running standard deviations that the oldest code saved in a file of their own."""
    if not file.exists():
        return {}
    scales = read_torch(file)
    if not isinstance(scales, list | tuple):
        raise ValueError(f"{file} holds a {type(scales).__name__}, not the standard deviations of the normalisations")
    tensors = {f"running_sd.{i}": torch.as_tensor(sd).detach() for i, sd in enumerate(scales)}
    return widened(checked(tensors, str(file), file.stat().st_size))
