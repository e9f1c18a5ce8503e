"""Saved denoisers: a folder with model.safetensors, config.json and a model card.

A network is loaded by its name and arguments, never by running code from a file. The configuration also stands in the
header of the safetensors file, so that file alone is a checkpoint too. Files that others have published are read by
`gahb_theory.denoisers.published`.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeGuard

from torch import Tensor

from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.conditioned import ConditionedUNet
from gahb_theory.denoisers.conservative import Conservative, conservative_from
from gahb_theory.denoisers.controls import FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected
from gahb_theory.denoisers.foreign import read_foreign
from gahb_theory.denoisers.hub import PREFIX, download, is_hub_id, model_card, upload
from gahb_theory.denoisers.mohan import DilatedUNet, DnCNN, RecursiveCNN, StagedCNN
from gahb_theory.denoisers.networks import BFCNN, UNet
from gahb_theory.denoisers.published import from_published
from gahb_theory.denoisers.receptive import WindowedCNN
from gahb_theory.denoisers.transformer import DiT
from gahb_theory.runs import write_bytes, write_json

__all__ = ["load_denoiser", "save_denoiser"]

NETWORKS: tuple[type[Network], ...] = (
    *(UNet, BFCNN, WindowedCNN),
    *(DnCNN, DilatedUNet, RecursiveCNN, StagedCNN),
    *(ConditionedUNet, DiT),
    Conservative,
    *(FullyConnected, LinearConvolution, LinearDenoiser, LocallyConnected),
)
WEIGHTS, CONFIG, CARD = "model.safetensors", "config.json", "README.md"


def save_denoiser(f: Network, folder: str | Path, card: Mapping[str, Any] | None = None) -> Path | str:
    """Save a network as a folder of model.safetensors, config.json and README.md, each written whole or not at all.

    Parameters
    ----------
    f
        A network of this library.
    folder
        Created where it does not exist. A name that ends in .safetensors is a file, which holds all but the card in
        words. "hf://owner/name" uploads the folder to the Hugging Face hub, where
        `huggingface_hub` is installed and logged in.
    card
        What a reader should know, JSON values: "data", "recipe", "psnr" (noise level to dB), "licence", and more. It
        goes into config.json and, in words, into README.md, the model card.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_denoiser(UNet(channels=4, blocks=1), folder)
    ...     load_denoiser(folder).channels
    4
    """
    if not is_savable(f):
        inner = f" of {type(f.network).__name__}" if isinstance(f, Conservative) else ""
        raise TypeError(f"f must be one of {', '.join(n.__name__ for n in NETWORKS)}, got {type(f).__name__}{inner}")
    if isinstance(folder, str) and folder.startswith(PREFIX):
        if not is_hub_id(folder):
            raise ValueError(f"a hub id has the form {PREFIX}owner/name, got {folder!r}")
        with TemporaryDirectory() as local:
            upload(_write(f, Path(local), card), folder)
        return folder
    return _write(f, Path(folder), card)


def is_savable(f: object) -> TypeGuard[Network]:
    """Whether a denoiser, and for a `Conservative` the network inside, can be made anew from its name and arguments."""
    return isinstance(f.network if isinstance(f, Conservative) else f, NETWORKS)


def _write(f: Network, folder: Path, card: Mapping[str, Any] | None) -> Path:
    from safetensors.torch import save

    file = folder if folder.suffix == ".safetensors" else folder / WEIGHTS
    file.parent.mkdir(parents=True, exist_ok=True)
    config = {"network": type(f).__name__, "arguments": f.configuration, "card": dict(card or {})}
    tensors = {name: tensor.detach().contiguous() for name, tensor in f.state_dict().items()}
    write_bytes(file, save(tensors, metadata={"config": json.dumps(config)}))
    if file is folder:
        return file
    write_json(folder / CONFIG, config)
    write_bytes(folder / CARD, model_card(config, sum(p.numel() for p in f.parameters())).encode())
    return folder


def load_denoiser(
    path: str | Path,
    *,
    first: Literal["linear", "relu"] | None = None,
    output: Literal["clean", "residual"] | None = None,
    stages: int | None = None,
    entry: str | None = None,
) -> Network:
    """Load a network saved by this library or published by others, in eval mode, on the CPU.

    No code from a file is run, and no tensor is left out or made up. Published weights in half precision become float32,
    which holds them exactly.

    Parameters
    ----------
    path
        A folder with model.safetensors and config.json (a run directory of `gahb train` is one), a .safetensors file,
        a torch file in one of the dialects that `gahb_theory.denoisers.published` lists, or the name "owner/name" or
        "hf://owner/name" of a repository of the Hugging Face hub, where `huggingface_hub` is installed.
    first, output, stages
        What a published file does not always show: whether a ReLU follows the first convolution of a BF_CNN, whether a
        dilated UNet returns the clean image or the residual, and how often a recursive CNN is applied. To be given
        only where the file is refused without.
    entry
        The key of the set of tensors that is meant, where a torch file holds several, as a network and its running average.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the folder holds no checkpoint.
    ValueError
        If the file is damaged, unknown or ambiguous, or would have to run code to be read.
    """
    if is_hub_id(path):
        try:
            path = download(str(path))
        except ImportError as error:
            if not str(path).startswith(PREFIX):
                raise FileNotFoundError(f"no checkpoint at {path}, and {error}") from error
            raise
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}; give a folder with {WEIGHTS}, or a file")
    file = _file(path)
    if _is_torch_file(file):
        tensors, arguments = read_foreign(file, entry)
        return from_published(tensors, arguments, str(file), first=first, output=output, stages=stages)
    if entry is not None:
        raise ValueError(f"{file} is a safetensors file, which holds one set of tensors; leave out entry={entry!r}")
    text, tensors = _read(file)
    if text is None:
        return from_published(tensors, {}, str(file), first=first, output=output, stages=stages)
    if (first, output, stages) != (None, None, None):
        raise ValueError(f"{file} says itself what it is; leave out first, output and stages")
    known: dict[str, Callable[..., Network]] = {network.__name__: network for network in NETWORKS}
    known[Conservative.__name__] = partial(conservative_from, known)
    try:
        config = json.loads(text)
        f = known[config["network"]](**config["arguments"])
        f.to(next(t.dtype for t in tensors.values() if t.is_floating_point())).load_state_dict(tensors, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise ValueError(f"{file} does not fit a network of this library ({', '.join(known)}): {error}") from error
    return f.eval()


def _file(path: Path) -> Path:
    """The file with the weights: the path itself, or the one in a folder."""
    if not path.is_dir():
        return path
    for file in (path / "denoiser" / WEIGHTS, path / WEIGHTS, path / "model.pt"):
        if file.exists():
            return file
    raise FileNotFoundError(f"the folder {path} holds no {WEIGHTS}; it is not a saved denoiser")


def _is_torch_file(file: Path) -> bool:
    """Whether a file begins as torch.save writes it: a zip archive, or a pickle in older versions."""
    with file.open("rb") as opened:
        head = opened.read(4)
    return head == b"PK\x03\x04" or (head[:1], head[2:3]) == (b"\x80", b"\x8a")  # a pickle that begins with a number


def _read(file: Path) -> tuple[str | None, dict[str, Tensor]]:
    """The configuration in the header of a safetensors file, as JSON, if there is one, and the tensors."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{file} is damaged or neither a safetensors nor a torch file ({error}); "
            "checkpoints of this library are folders with model.safetensors and config.json"
        ) from error
    return metadata.get("config"), tensors
