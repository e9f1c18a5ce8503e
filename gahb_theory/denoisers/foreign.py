"""Torch files of others, read as plain tensors.

A pickle can run any code when it is read. Here torch reads it with `weights_only`, with one class allowed beside tensors
and plain containers: argparse.Namespace, which holds the arguments of a training run and does nothing.
"""

import argparse
import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["listed", "read_foreign"]


def read_foreign(file: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """The tensors of a torch file and the arguments saved beside them, by names without "module.", on the CPU.

    Raises
    ------
    ValueError
        If the file is damaged, would have to run code to be read, or holds no named tensors.
    """
    content = _load(file)
    arguments: Mapping[str, Any] = {}
    if isinstance(content, Mapping) and not _is_state(content):
        saved = content.get("args")
        arguments = vars(saved) if isinstance(saved, argparse.Namespace) else {}
        for name in ("model", "state_dict", "model_state_dict"):
            if name in content:
                content = content[name]
                break
    if isinstance(content, Sequence) and len(content) == 1:
        content = content[0]
    if not isinstance(content, Mapping) or not _is_state(content):
        held = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            held += f" with the keys {listed(map(str, content))}"
        raise ValueError(f"{file} holds {held}, not the named tensors of a network; save net.state_dict()")
    tensors = {str(name): cast(Tensor, tensor).detach() for name, tensor in content.items()}
    while all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    beside = file.with_name("running_sd.pt")
    if "gammas.0.weight" in tensors and "running_sd.0" not in tensors and beside.exists():
        tensors |= {f"running_sd.{i}": torch.as_tensor(sd).detach() for i, sd in enumerate(_load(beside))}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{file} holds values that are NaN or infinite in {name}; the training has diverged")
    return tensors, arguments


def listed(names: Iterable[str]) -> str:
    """The first six names, and how many more there are."""
    names = list(names)
    return ", ".join(names[:6]) + (f", ... and {len(names) - 6} more" if len(names) > 6 else "")


@contextmanager
def _allowing(cls: type) -> Iterator[None]:
    """Let torch.load build one harmless class more; the list of allowed ones is put back afterwards."""
    before = torch.serialization.get_safe_globals()
    torch.serialization.add_safe_globals([cls])
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


def _load(file: Path) -> Any:
    try:
        with _allowing(argparse.Namespace):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).split("\n")[0]
        raise ValueError(
            f"{file} cannot be read without running code from it, which this library never does ({reason}); "
            "load it in the code that made it and save net.state_dict()"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(f"{file} is damaged or not a torch file ({error})") from error


def _is_state(content: Mapping[Any, Any]) -> bool:
    return len(content) > 0 and all(isinstance(value, Tensor) for value in content.values())
