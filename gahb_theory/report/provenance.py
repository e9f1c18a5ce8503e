"""Where the numbers of a page come from, in words: command, file, denoiser, seed, versions, hashes."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gahb_theory import runs

__all__ = ["provenance"]

SHOWN = 16
"""Digits of a hash that are shown; config.json has all of them."""
NUMBERS = ("arrays.npz", "comparison.json", "audit.json", "benchmark.json", "assessment.json")


def provenance(run: Path, config: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What a page says of a run directory, by its config.json; versions alone where it has none.

    Parameters
    ----------
    run
        The run directory.
    config
        Its configuration, where it has been read.
    """
    file = run / "config.json"
    if config is None:
        config = json.loads(file.read_text()) if file.is_file() else {}
    settings: Mapping[str, Any] = config.get("settings", {})
    found: dict[str, str] = {}
    if "typed" in config or "command" in config:
        found["command"] = config.get("typed") or f"gahb {config['command']}"
    if settings.get("image") is not None:
        found["file"] = str(settings["image"])
    if config.get("crop"):
        found["image"] = str(config["crop"])
    for key, word in (
        ("denoiser", "denoiser"),
        ("checkpoint", "denoiser"),
        ("twin", "twin"),
        ("train", "training images"),
        ("images", "test images"),
        ("seed", "seed"),
    ):
        if settings.get(key) is not None:
            found[word] = str(settings[key])
    hashed = ("denoiser", "denoiser"), ("denoisers", "denoisers"), ("twin", "twin"), ("data", "images")
    for key, word in hashed:
        if config.get(key) is not None:
            found[f"sha256 of the {word}"] = _short(config[key])
    for name in NUMBERS:
        if (run / name).is_file():
            found[f"sha256 of {name}"] = hashlib.sha256((run / name).read_bytes()).hexdigest()[:SHOWN]
    versions = config.get("versions") or runs.versions()
    return found | {"versions": ", ".join(f"{name} {value}" for name, value in versions.items())}


def _short(value: Any) -> str:
    """A hash, or several by name, to the digits that are shown."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(entry)}" for name, entry in value.items())
    if isinstance(value, list):
        return ", ".join(_short(entry) for entry in value if entry is not None)
    return str(value)[:SHOWN]
