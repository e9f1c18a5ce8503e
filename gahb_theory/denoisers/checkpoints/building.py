"""Networks built from the tensors of a file: nothing is allocated before the file is seen to hold it.

A network is sketched on the meta device, where tensors have shapes but no memory, and its names and shapes are compared
with those of the file; only then is it built. Where several networks have the same tensors, as those that return the clean
image or the residual, each is tried on noisy photographs, and the one that clearly denoises is taken.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
from torch import nn

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule, Network
from gahb_theory.denoisers.checkpoints.tensor_files import Tensors, short
from gahb_theory.denoisers.networks.initialisation import on_meta, without_draws

__all__ = ["Candidate", "Choices", "denoising", "fill", "sketched", "sketched_filled"]

LARGEST_HIDDEN = 2**28
LEVELS = (0.05, 0.1, 0.2, 0.4)
GAIN_DB, MARGIN_DB = 1.0, 2.0


@dataclass(frozen=True)
class Candidate:
    """A network that tensors may belong to.

    Parameters
    ----------
    network
        Its class.
    arguments
        What makes it.
    tensors
        Its tensors, by its own names.
    way
        The argument of `load_denoiser` that chooses it.
    """

    network: type[Network]
    arguments: Mapping[str, Any]
    tensors: Tensors
    way: str


@dataclass(frozen=True)
class Choices:
    """What a caller says of facts that tensors do not show; see `load_denoiser`."""

    first: Literal["linear", "relu"] | None = None
    output: Literal["clean", "residual"] | None = None
    stages: int | None = None
    epsilon: int | float | None = None
    noise_map: Literal["first", "last"] | None = None

    @classmethod
    def checked(cls, first: Any, output: Any, stages: Any, epsilon: Any, noise_map: Any) -> "Choices":
        """The choices of a caller, checked."""
        return cls(
            first=None if first is None else validate.one_of(first, "first", ("linear", "relu")),
            output=None if output is None else validate.one_of(output, "output", ("clean", "residual")),
            stages=None if stages is None else validate.integer(stages, "stages", 1, 10_000),
            epsilon=None if epsilon is None else validate.number(epsilon, "epsilon", least=0.0),
            noise_map=None if noise_map is None else validate.one_of(noise_map, "noise_map", ("first", "last")),
        )

    def only(self, source: str, *names: str) -> None:
        """Refuse arguments that mean nothing for the file."""
        extra = [f.name for f in fields(self) if getattr(self, f.name) is not None and f.name not in names]
        if extra:
            raise ValueError(f"{source} says itself what it is; leave out {' and '.join(extra)}")


def fill(network: Callable[..., Network], arguments: Mapping[str, Any], tensors: Tensors, source: str) -> Network:
    """Build a network of these arguments with these tensors, in eval mode; every name and shape must be the same.

    Raises
    ------
    ValueError
        Before anything is allocated, if the tensors are not those of the network.
    """
    with on_meta():
        sketch = network(**arguments)
    sketched(sketch, tensors, source, f"{getattr(network, '__name__', 'a network')}({_words(arguments)})")
    with without_draws():
        blank = network(**arguments)
    return sketched_filled(blank, tensors)  # type: ignore[return-value]


def sketched_filled(network: nn.Module, tensors: Tensors) -> nn.Module:
    """The network in the precision of the tensors, with them as its state, in eval mode, its parameters without gradient."""
    network.to(next((t.dtype for t in tensors.values() if t.is_floating_point()), torch.float32)).load_state_dict(
        tensors, strict=True
    )
    return network.eval().requires_grad_(False)


def sketched(sketch: nn.Module, tensors: Tensors, source: str, name: str) -> None:
    """Refuse tensors that are not those of a network: other names, shapes or kinds of numbers."""
    expected = sketch.state_dict()
    wrong = [f"no {key}" for key in expected if key not in tensors]
    wrong += [f"{key} too many" for key in tensors if key not in expected]
    wrong += [
        f"{key} of shape {tuple(tensors[key].shape)} for {tuple(wanted.shape)}"
        for key, wanted in expected.items()
        if key in tensors and tensors[key].shape != wanted.shape
    ]
    wrong += [
        f"{key} of {tensors[key].dtype} for real numbers"
        for key, wanted in expected.items()
        if key in tensors and wanted.is_floating_point() and not tensors[key].is_floating_point()
    ]
    if wrong:
        numbers = sum(t.numel() for t in expected.values())
        held = sum(t.numel() for t in tensors.values())
        first = ", ".join(wrong[:2]) + (f", and {len(wrong) - 2} more" if len(wrong) > 2 else "")
        raise ValueError(
            f"{source} looks like {name}, but its tensors do not fit that network of {numbers:,} numbers (the file holds "
            f"{held:,}): {short(first, 150)}"
        )
    hidden = sum(b.numel() for b in sketch.buffers()) - sum(t.numel() for t in expected.values())
    if hidden > LARGEST_HIDDEN:
        raise ValueError(f"{source} looks like {name}, which needs a table of more than {LARGEST_HIDDEN:,} numbers")


def denoising(candidates: Sequence[Candidate], source: str, question: str) -> Network:
    """The one network among candidates that removes noise from photographs, clearly better than any other.

    Raises
    ------
    ValueError
        If none or several do; the message says what to choose.
    """
    networks = [fill(c.network, c.arguments, c.tensors, source) for c in candidates]
    if len(networks) == 1:
        return networks[0]
    gains = [_gain(network) for network in networks]
    ranked = sorted(range(len(gains)), key=lambda i: gains[i], reverse=True)
    if gains[ranked[0]] > GAIN_DB and gains[ranked[0]] - gains[ranked[1]] > MARGIN_DB:
        return networks[ranked[0]]
    measured = ", ".join(f"{gain:+.1f}" for gain in gains)
    raise ValueError(
        f"{source} does not show {question}, and trying on noisy photographs does not tell ({measured} dB); "
        f"give load_denoiser(..., {' or '.join(c.way for c in candidates)}), or wrap your own network with gt.adapt"
    )


def _words(arguments: Mapping[str, Any]) -> str:
    text = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return text if len(text) <= 90 else text[:87] + "..."


def _gain(f: DenoiserModule) -> float:
    """The improvement of the PSNR in dB over a few photographs at the noise level where it is best."""
    from gahb_theory.images import Photographs
    from gahb_theory.metrics.errors import psnr_per_image
    from gahb_theory.randomness import add_noise

    weight = next(f.parameters())
    x = Photographs(size=64).sample(4, seed=0).to(weight.dtype).expand(-1, int(f.image_channels), -1, -1)  # type: ignore[arg-type]
    gains = []
    with torch.no_grad():
        for sigma in LEVELS:
            y = add_noise(x, sigma, seed=1)
            x_hat = f(y, sigma)
            if not bool(torch.isfinite(x_hat).all()):
                return -float("inf")
            gains.append(float((psnr_per_image(x, x_hat) - psnr_per_image(x, y)).mean()))
    return max(gains)
