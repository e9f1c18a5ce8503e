"""Saved denoisers on the Hugging Face hub, and the model card that goes with one.

A checkpoint is a folder with model.safetensors, config.json and README.md. It holds no code: what reads it is this
library. `huggingface_hub` is asked for only when a hub id is used.
"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["PREFIX", "download", "is_hub_id", "model_card", "upload"]

PREFIX = "hf://"
FILES = ["model.safetensors", "config.json"]


def is_hub_id(path: str | Path) -> bool:
    """Whether a path names a repository of the hub: "hf://owner/name", or "owner/name" where there is no such file."""
    text = str(path)
    if isinstance(path, Path):
        return False
    parts = text.removeprefix(PREFIX).split("/")
    plain = len(parts) == 2 and all(part and not part.startswith((".", "~")) for part in parts)
    return plain and (text.startswith(PREFIX) or not Path(text).exists())


def download(name: str) -> Path:
    """The folder of a repository of the hub, fetched into its cache."""
    return Path(_hub().snapshot_download(name.removeprefix(PREFIX), allow_patterns=FILES))


def upload(folder: Path, name: str) -> None:
    """Create a repository of the hub if it does not exist, and upload a folder to it."""
    hub, repository = _hub(), name.removeprefix(PREFIX)
    hub.create_repo(repository, exist_ok=True)
    hub.upload_folder(repo_id=repository, folder_path=str(folder))


def model_card(config: Mapping[str, Any], parameters: int) -> str:
    """The README.md of a checkpoint, from its configuration.

    Parameters
    ----------
    config
        "network" and "arguments" as in config.json, and "card" with whatever is known of "data", "recipe", "psnr" (or
        "validation_psnr": noise level to dB), "licence".
    parameters
        Number of weights.

    Examples
    --------
    >>> card = {"data": "disks", "psnr": {"0.1": 35.2}, "licence": "mit"}
    >>> text = model_card({"network": "BFCNN", "arguments": {"depth": 5}, "card": card}, 1234)
    >>> print(text.splitlines()[1], "|", text.splitlines()[-1])
    license: mit | | 0.1 | 20.00 | 35.20 |
    """
    import math

    card = dict(config["card"])
    licence = card.get("licence", card.get("license"))
    psnr = card.get("psnr") or card.get("validation_psnr") or {}
    lines = ["---", f"license: {licence}" if licence else "license: unknown", "library_name: gahb-theory"]
    lines += ["tags:", "- image-denoising", "---", "", f"# {config['network']}", ""]
    lines += [f"A denoiser of {parameters:,} parameters.", "", "```python", "import gahb_theory as gt", ""]
    lines += ['f = gt.load_denoiser("path of this folder, or owner/name")', "x_hat = f(y, sigma)", "```", ""]
    lines += ["Images (n, c, h, w), intensities in [0, 1], sigma in the same units.", ""]
    lines += ["## Network", "", *_list(config["arguments"]), ""]
    for name in ("data", "recipe"):
        known = card.get(name)
        lines += [f"## {name.capitalize()}", ""]
        lines += _list(known) if isinstance(known, Mapping) else [str(known) if known else "Not stated."]
        lines += [""]
    lines += ["## Licence", "", str(licence) if licence else "Not stated.", "", "## PSNR", ""]
    if not psnr:
        return "\n".join([*lines, "Not measured.", ""])
    lines += ["| sigma | noisy image, dB | denoised, dB |", "|---|---|---|"]
    rows = [f"| {sigma} | {-20 * math.log10(float(sigma)):.2f} | {float(value):.2f} |" for sigma, value in psnr.items()]
    return "\n".join([*lines, *rows]) + "\n"


def _list(values: Mapping[str, Any]) -> list[str]:
    return [f"- {key}: {value}" for key, value in values.items()]


def _hub() -> ModuleType:
    try:
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "a hub id needs the package huggingface_hub: pip install 'gahb-theory[hub]'; or give a folder or a file"
        ) from error
    return huggingface_hub
