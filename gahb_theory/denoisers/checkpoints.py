"""Saved denoisers: a folder with model.safetensors and config.json.

A network is loaded by its name and arguments, never by running code from a file. The configuration also stands in the
header of the safetensors file, so that file alone is a checkpoint too.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.networks import BFCNN, UNet
from gahb_theory.runs import write_bytes, write_json

__all__ = ["load_denoiser", "save_denoiser"]

NETWORKS: tuple[type[UNet] | type[BFCNN], ...] = (UNet, BFCNN)
WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save_denoiser(f: UNet | BFCNN, folder: str | Path, card: Mapping[str, Any] | None = None) -> Path:
    """Save a network as `folder`/model.safetensors and `folder`/config.json, each written whole or not at all.

    Parameters
    ----------
    f
        A network of this library.
    folder
        Created where it does not exist.
    card
        What a reader should know: data, recipe, PSNR; JSON values.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = save_denoiser(UNet(channels=4, blocks=1), folder)
    ...     load_denoiser(folder).channels
    4
    """
    from safetensors.torch import save

    if not isinstance(f, NETWORKS):
        raise TypeError(f"f must be one of {', '.join(n.__name__ for n in NETWORKS)}, got {type(f).__name__}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"network": type(f).__name__, "arguments": f.configuration, "card": dict(card or {})}
    tensors = {name: tensor.detach().contiguous() for name, tensor in f.state_dict().items()}
    write_bytes(folder / WEIGHTS, save(tensors, metadata={"config": json.dumps(config)}))
    write_json(folder / CONFIG, config)
    return folder


def load_denoiser(path: str | Path) -> UNet | BFCNN:
    """Load a network saved by this library, in eval mode, on the CPU.

    Parameters
    ----------
    path
        A folder with model.safetensors and config.json (a run directory of `gahb train` is one), or a .safetensors
        file.

    Raises
    ------
    FileNotFoundError
        If there is no such file or folder, or the folder holds no checkpoint.
    ValueError
        If the file is damaged or not a checkpoint of this library.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}; give a folder with {WEIGHTS}, or such a file")
    if (path / "denoiser").is_dir():  # a run directory of training
        path = path / "denoiser"
    file = path / WEIGHTS if path.is_dir() else path
    if not file.exists():
        raise FileNotFoundError(f"the folder {path} holds no {WEIGHTS}; it is not a saved denoiser")
    text, tensors = _read(file)
    known = {network.__name__: network for network in NETWORKS}
    try:
        config = json.loads(text)
        f: DenoiserModule = known[config["network"]](**config["arguments"])
        f.to(next(iter(tensors.values())).dtype).load_state_dict(tensors, strict=True)
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        raise ValueError(f"{file} does not fit a network of this library ({', '.join(known)}): {error}") from error
    return f.eval()  # type: ignore[return-value]


def _read(file: Path) -> tuple[str, dict[str, Tensor]]:
    """The configuration, as JSON, and the weights."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            metadata = opened.metadata() or {}
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{file} is damaged or not a safetensors file ({error}); "
            "checkpoints of this library are folders with model.safetensors and config.json"
        ) from error
    if "config" not in metadata:
        raise ValueError(f"{file} is a safetensors file without the configuration of a network of this library")
    return metadata["config"], tensors
