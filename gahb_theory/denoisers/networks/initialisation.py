"""Initial weights as a pure function of the seed, whatever surrounds the constructor.

torch draws the weights of its layers from one global generator, which all threads share. In here they come from a
generator of the network's own; every parameter is in single precision on the CPU, whatever the default precision and
device, and can be trained, even if it is made under `no_grad` or `inference_mode`.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.randomness import Component, step_generator

__all__ = ["MOST_LAYERS", "MOST_PARAMETERS", "bounded", "building", "on_meta", "without_draws"]

MOST_PARAMETERS = 2 * 10**9
MOST_LAYERS = 10_000
LARGEST_SEED = 2**63 - 1
SEEDS_OF_TORCH = 2**32  # its generator on the CPU ignores the bits above
FACTORIES = {torch.empty, torch.zeros, torch.ones, torch.full, torch.eye, torch.randn, torch.rand}
DRAWS = {"normal_", "uniform_", "kaiming_normal_", "kaiming_uniform_", "randn", "rand"}
UNSEEN = DRAWS | {"clamp_"}
"""What sets values, and would load a part of torch on the meta device, which has none."""

_device: ContextVar[str] = ContextVar("device", default="cpu")
_blank: ContextVar[bool] = ContextVar("blank", default=False)


class _Private(TorchFunctionMode):
    """Let every draw of this thread come from one generator, and every new tensor be in single precision."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in FACTORIES and kwargs.get("dtype") is None:
            kwargs["dtype"] = torch.float32
        name = getattr(func, "__name__", "")
        if name in (UNSEEN if _device.get() == "meta" else DRAWS if _blank.get() else ()):
            if not name.endswith("_"):
                return torch.zeros(*args, **{key: value for key, value in kwargs.items() if key != "generator"})
            with torch.no_grad():
                return (kwargs["tensor"] if "tensor" in kwargs else args[0]).zero_()
        if name in DRAWS and kwargs.get("generator") is None:
            kwargs["generator"] = self.generator
        return func(*args, **kwargs)


@contextmanager
def building(*, seed: int = 0) -> Iterator[torch.Generator]:
    """Return a generator named by `seed`, from which all that is built in this context draws its weights."""
    seed = validate.integer(seed, "seed", 0, LARGEST_SEED)
    if seed >= SEEDS_OF_TORCH:
        seed = int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=4).digest(), "little")
    generator = step_generator("cpu", Component.WEIGHTS, seed)
    with torch.inference_mode(False), torch.enable_grad(), torch.device(_device.get()), _Private(generator):
        yield generator


@contextmanager
def on_meta() -> Iterator[None]:
    """Let networks be built without values, on the meta device, so that shapes can be looked at before memory is taken.

    Examples
    --------
    >>> from gahb_theory.denoisers.networks.bias_free import BFCNN
    >>> with on_meta():
    ...     BFCNN(channels=64, depth=21).layers[0].weight.device
    device(type='meta')
    """
    before = _device.set("meta")
    try:
        with torch.device("meta"):
            yield
    finally:
        _device.reset(before)


@contextmanager
def without_draws() -> Iterator[None]:
    """Let networks be built with zeros in the place of random weights, which take time: for weights from a file.

    Examples
    --------
    >>> from gahb_theory.denoisers.networks.bias_free import BFCNN
    >>> with without_draws():
    ...     float(BFCNN(channels=4, depth=3).layers[0].weight.detach().abs().max())
    0.0
    """
    before = _blank.set(True)
    try:
        yield
    finally:
        _blank.reset(before)


def bounded(network: Network, parameters: int, layers: int) -> None:
    """Refuse a network that is too large before it is built, and say how many parameters it would have."""
    if parameters > MOST_PARAMETERS or layers > MOST_LAYERS:
        values = {key: value for key, value in network.configuration.items() if isinstance(value, int | list)}
        given = ", ".join(f"{key}={_short(value)}" for key, value in values.items())
        raise ValueError(
            f"{type(network).__name__} would have {_count(parameters)} parameters in {_count(layers)} layers with "
            f"{given}; at most {MOST_PARAMETERS:.0e} parameters in {MOST_LAYERS:,} layers are built"
        )


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value)} of at most {max(value)}"
    return str(value) if value < 10**15 else _count(value)


def _count(n: int) -> str:
    return f"{n:,}" if n < 10**15 else f"about 10^{math.log10(n):.0f}"
