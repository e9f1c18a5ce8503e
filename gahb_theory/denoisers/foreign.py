"""Torch files of others, read as plain tensors.

A pickle can run any code when it is read. Here torch reads it with `weights_only`, with one class allowed beside tensors
and plain containers: argparse.Namespace, which holds the arguments of a training run and does nothing.
"""

import argparse
import pickle
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

__all__ = ["Tensors", "count", "listed", "one_axis", "read_foreign"]

Tensors = dict[str, Tensor]


def read_foreign(file: Path, entry: str | None = None) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    """The tensors of a torch file and the arguments saved beside them, by the names of the bare network, on the CPU.

    The prefixes that nn.DataParallel and torch.compile add, "module." and "_orig_mod.", are taken off.

    Parameters
    ----------
    file
        A file that torch.save wrote: named tensors, or a training state that holds such sets under keys of its own.
    entry
        The key of the set that is meant, where there are several.

    Raises
    ------
    ValueError
        If the file is damaged, would have to run code to be read, or holds no named tensors, or several sets of them.
    """
    content = _load(file)
    arguments: Mapping[str, Any] = {}
    if isinstance(content, Mapping) and not _is_state(content):
        saved = content.get("args")
        arguments = (
            vars(saved) if isinstance(saved, argparse.Namespace) else saved if isinstance(saved, Mapping) else {}
        )
        content = _chosen(content, entry, file)
    elif entry is not None:
        raise ValueError(f"{file} holds one set of named tensors; leave out entry={entry!r}")
    else:
        content = _single(content)
    if not _is_state(content):
        held = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            held += f" with the keys {listed(map(str, content))}"
        raise ValueError(f"{file} holds {held}, not the named tensors of a network; save net.state_dict()")
    tensors = {str(name): cast(Tensor, tensor).detach() for name, tensor in content.items()}
    for prefix in ("module.", "_orig_mod.") * 2:
        while all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
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


def count(tensors: Tensors, pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are, up to the first that is missing."""
    n = 0
    while pattern.format(n) in tensors:
        n += 1
    return n


def one_axis(scale: Tensor) -> Tensor:
    """Scales of shape (n,) or (1, n, 1, 1) as (n,); others stay as they are, and do not fit."""
    return scale.flatten() if scale.numel() == max(scale.shape, default=0) else scale


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


def _chosen(content: Mapping[Any, Any], entry: str | None, file: Path) -> Any:
    """The one set of named tensors in a training state, or the one that is asked for."""
    found = {str(key): _single(value) for key, value in content.items()}
    sets = [key for key, value in found.items() if _is_state(value) and any(t.ndim > 1 for t in value.values())]
    if entry is not None:
        if entry not in sets:
            raise ValueError(f"{file} holds no set of named tensors {entry!r}; it holds {listed(sets) or 'none'}")
        return found[entry]
    if len(sets) > 1:
        choices = " or ".join(f"entry={name!r}" for name in sets)
        raise ValueError(
            f"{file} holds several sets of named tensors, as of a network and of its running average; "
            f"give load_denoiser(..., {choices})"
        )
    return found[sets[0]] if sets else content


def _single(content: Any) -> Any:
    """What a list of one holds, or the content itself."""
    return content[0] if isinstance(content, list | tuple) and len(content) == 1 else content


def _is_state(content: Any) -> bool:
    """Whether this is a mapping of names to tensors and of nothing else."""
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )
