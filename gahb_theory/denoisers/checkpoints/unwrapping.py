"""Which of the tensors in a file are the network, and what they are called without the prefixes of wrappers.

Training code keeps weights under a key (state_dict, params, ema, model_state_dict, ...), beside those of the optimiser, and
wrappers put their names before those of the network: "module." (DataParallel, AveragedModel), "_orig_mod."
(torch.compile), "model.", "net." and whatever the attribute of a class was called. Here the keys are followed at any
depth, and a component that all names share is taken off until a network is recognised.

Where a file holds several sets of weights, as of a network and of its running average, the caller must say which: nothing
in the file tells which of them was meant.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from torch import Tensor

from gahb_theory.denoisers.checkpoints.tensor_files import Tensors, short

__all__ = ["chosen", "count", "listed", "one_axis", "unwrapped", "without_counters"]

DEEPEST = 6
OPTIMISER_NAMES = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq", "momentum_buffer", "step", "square_avg", "sum"}
COUNTERS = {"initted", "step"}

Found = TypeVar("Found")


def chosen(content: Any, entry: str | None, source: str) -> tuple[Tensors, Mapping[str, Any]]:
    """The set of named tensors that is meant, and the arguments of the training that are saved beside it.

    Parameters
    ----------
    content
        What a file holds.
    entry
        The key of the set, "outer.inner" where it lies deeper, or the prefix of its names; None if there is one set.
    source
        The name of the file, for messages.

    Raises
    ------
    ValueError
        If there are no named tensors, several sets, or no set of that key.
    """
    if _is_state(content):
        return (dict(content) if entry is None else _under(content, entry, source)), {}
    if isinstance(content, list | tuple) and len(content) == 1 and _is_state(content[0]) and entry is None:
        return dict(content[0]), {}
    sets = dict(_sets(content, "", 0))
    arguments = _arguments(content)
    named = {key: value for key, value in sets.items() if value is not None}
    if entry is not None:
        fits = [key for key in named if key == entry or key.split(".")[-1] == entry or key.split(".")[0] == entry]
        fits = [entry] if entry in fits else fits
        if len(fits) != 1:
            raise ValueError(f"{source} holds no set of named tensors {entry!r}; it holds {listed(named) or 'none'}")
        return dict(named[fits[0]]), arguments
    if len(sets) > 1 and named:
        choices = " or ".join(f"entry={key!r}" for key in list(named)[:3])
        unnamed = next((key for key, value in sets.items() if value is None), None)
        beside = f" ({short(unnamed)} has no names and cannot be loaded)" if unnamed is not None else ""
        more = f", ... and {len(named) - 3} more" if len(named) > 3 else ""
        raise ValueError(
            f"{source} holds several sets of named tensors, as of a network and of its running average{beside}; "
            f"give load_denoiser(..., {choices}{more})"
        )
    if not named:
        held = f"a {type(content).__name__}"
        if isinstance(content, Mapping):
            held += f" with the keys {listed(map(str, content))}" if content else " with nothing in it"
        raise ValueError(f"{source} holds {held}, not the named tensors of a network; save net.state_dict()")
    return dict(next(iter(named.values()))), arguments


def unwrapped(tensors: Tensors, recognise: Callable[[Tensors], Found | None], source: str) -> tuple[Tensors, Found]:
    """The tensors by the names of the bare network, and what `recognise` says of them.

    A component that all names share is taken off until the rest is recognised. The count of an AveragedModel is left out.

    Raises
    ------
    ValueError
        If no part of the names is recognised, or several networks lie side by side.
    """
    given = tensors
    while True:
        tensors = _without_count(tensors, source)
        kind = recognise(tensors) if tensors else None
        if kind is not None:
            return tensors, kind
        heads = list(dict.fromkeys(name.split(".")[0] for name in tensors))
        if len(heads) != 1 or any("." not in name for name in tensors):
            break
        tensors = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    inner = {head: {n.split(".", 1)[1]: t for n, t in tensors.items() if n.startswith(head + ".")} for head in heads}
    several = [head for head, part in inner.items() if part and recognise(part) is not None]
    if several:
        choices = " or ".join(f"entry={head!r}" for head in several[:3])
        raise ValueError(
            f"{source} holds tensors of {len(heads)} parts side by side ({listed(heads)}); give load_denoiser(..., "
            f"{choices}) for the network that is meant"
        )
    raise ValueError(
        f"{source} fits no published dialect this library knows, nor a network of its own; it has {len(given)} tensors: "
        f"{listed(given)}. Wrap the network that made it with gt.adapt, or give load_denoiser(..., network=...)"
    )


def without_counters(tensors: Tensors) -> Tensors:
    """Without the two numbers that the package ema-pytorch keeps beside the weights."""
    if not tensors.keys() >= COUNTERS or any("." not in name for name in tensors.keys() - COUNTERS):
        return tensors
    return {name: tensor for name, tensor in tensors.items() if name not in COUNTERS}


def listed(names: Iterable[str]) -> str:
    """The first three names, and how many more there are."""
    names = [short(name)[:50] for name in names]
    return ", ".join(names[:3]) + (f", ... and {len(names) - 3} more" if len(names) > 3 else "")


def count(tensors: Tensors, pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are, up to the first that is missing."""
    n = 0
    while pattern.format(n) in tensors:
        n += 1
    return n


def one_axis(scale: Tensor) -> Tensor:
    """Scales of shape (n,) or (1, n, 1, 1) as (n,); others stay as they are, and do not fit."""
    return scale.flatten() if scale.numel() == max(scale.shape, default=0) else scale


def _without_count(tensors: Tensors, source: str) -> Tensors:
    """Without the number of averagings that an AveragedModel keeps, if it has averaged at all."""
    counted = tensors.get("n_averaged")
    if counted is None or counted.numel() != 1 or len(tensors) == 1:
        return tensors
    if float(counted) == 0:
        raise ValueError(f"{source} is a running average that has averaged nothing yet (n_averaged is 0)")
    return {name: tensor for name, tensor in tensors.items() if name != "n_averaged"}


def _under(tensors: Mapping[str, Tensor], entry: str, source: str) -> Tensors:
    part = {name.removeprefix(entry + "."): t for name, t in tensors.items() if name.startswith(entry + ".")}
    if not part or len(part) == len(tensors):
        raise ValueError(f"{source} holds one set of named tensors; leave out entry={entry!r}")
    return part


def _sets(content: Any, path: str, depth: int) -> Iterator[tuple[str, Tensors | None]]:
    """Every set of named tensors below `content` by its path; None stands for weights without names."""
    while isinstance(content, list | tuple) and len(content) == 1:
        content = content[0]
    if _is_state(content):
        if any(t.ndim > 1 for t in content.values()) and not set(content) <= OPTIMISER_NAMES:
            yield path, content
    elif isinstance(content, Mapping) and depth < DEEPEST:
        for key, value in content.items():
            if isinstance(key, str) and "optim" not in key.lower():
                yield from _sets(value, f"{path}.{key}" if path else key, depth + 1)
    elif (
        isinstance(content, list | tuple)
        and path
        and all(isinstance(t, Tensor) for t in content)
        and any(t.ndim > 1 for t in content)
    ):
        yield path, None


def _arguments(content: Any) -> Mapping[str, Any]:
    """The arguments of the training run, as argparse keeps them."""
    saved = content.get("args") if isinstance(content, Mapping) else None
    if isinstance(saved, argparse.Namespace):
        return vars(saved)
    return saved if isinstance(saved, Mapping) else {}


def _is_state(content: Any) -> bool:
    """Whether this is a mapping of names to tensors and of nothing else."""
    return (
        isinstance(content, Mapping)
        and len(content) > 0
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )
