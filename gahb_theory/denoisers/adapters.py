"""Denoisers of others, adapted to the interface f(y, sigma) with intensities in [0, 1].

A network may see intensities u = low + (high - low) y, whose noise has the level s = (high - low) sigma, and may return

    clean      x                    x_hat = net(u)
    residual   s z                  x_hat = u - net(u)
    noise      z                    x_hat = u - s net(u)
    score      -z / s               x_hat = u + s^2 net(u)         (Robbins 1956, Miyasawa 1961)

`gahb_theory.denoisers.diffusion` has the networks that see the time of a diffusion.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule, same_kind

__all__ = ["Adapted", "Convention", "Wrapper", "adapt", "call", "clean", "returned_images"]

Prediction = Literal["clean", "residual", "noise", "score"]
Conditioning = Literal["none", "sigma", "column", "number", "map", "second map"]


@dataclass(frozen=True)
class Convention:
    """How a network is called and what it returns.

    Parameters
    ----------
    prediction
        "clean", "residual", "noise" or "score", as above.
    conditioning
        How the network is given the noise level:

        - "none": net(y);
        - "sigma": net(y, sigma) with sigma of shape (batch,), as deepinv does;
        - "column": net(y, sigma) with sigma of shape (batch, 1, 1, 1), as the FFDNet of KAIR;
        - "number": net(y, sigma) with a Python number, once for each level of the batch;
        - "map": net(y') where y' has one more channel that holds sigma, as DRUNet;
        - "second map": net(y, m) where m, of shape (batch, 1, height, width), holds sigma.
    low, high
        The intensities of black and white: 0 and 1, -1 and 1, 0 and 255. The noise level is in the same units.

    See Also
    --------
    gahb_theory.adapt, gahb_theory.probe

    Examples
    --------
    >>> import gahb_theory as gt
    >>> net = lambda y: y - 128  # returns the noise, in units of 0 to 255
    >>> f = gt.adapt(net, gt.Convention("noise", high=255))
    >>> f.convention.high
    255.0
    """

    prediction: Prediction = "clean"
    conditioning: Conditioning = "none"
    low: int | float = 0.0
    high: int | float = 1.0

    def __post_init__(self) -> None:
        validate.one_of(self.prediction, "prediction", get_args(Prediction))
        validate.one_of(self.conditioning, "conditioning", get_args(Conditioning))
        object.__setattr__(self, "low", validate.number(self.low, "low"))
        object.__setattr__(self, "high", validate.number(self.high, "high"))
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low:g} and {self.high:g}")


def call(convention: Convention, net: Callable[..., Any], u: Tensor, s: Tensor) -> Tensor:
    """Return what the network returns for intensities `u` of its own range and noise levels `s` of shape (n,)."""
    column = s[:, None, None, None]
    if convention.conditioning == "none":
        return returned_images(net(u), u)
    if convention.conditioning == "sigma":
        return returned_images(net(u, s), u)
    if convention.conditioning == "column":
        return returned_images(net(u, column), u)
    if convention.conditioning == "number":
        levels = s.tolist()
        result = torch.empty_like(u)
        for level in dict.fromkeys(levels):
            mine = torch.tensor([i for i, other in enumerate(levels) if other == level], device=u.device)
            result = result.index_copy(0, mine, returned_images(net(u[mine], level), u[mine]))
        return result
    level = column.expand(-1, 1, *u.shape[2:])
    if convention.conditioning == "map":
        return returned_images(net(torch.cat([u, level], dim=1)), u)
    return returned_images(net(u, level), u)


def clean(convention: Convention, returned: Tensor, u: Tensor, s: Tensor) -> Tensor:
    """Return the estimate of the clean image that `returned` amounts to, in the range of the network."""
    s = s[:, None, None, None]
    if convention.prediction == "clean":
        return returned
    if convention.prediction == "residual":
        return u - returned
    return u - s * returned if convention.prediction == "noise" else u + s * (s * returned)


class Wrapper(DenoiserModule):
    """What denoisers around a network of others have in common: `net`, whose mode is theirs."""

    takes_zero = True

    def __init__(self, net: Callable[..., Any]) -> None:
        super().__init__()
        self.net = validate.function(net, "net", "net(y)")
        self.training = isinstance(net, nn.Module) and net.training

    def forward(self, y: Float[Tensor, "n c h w"], sigma: float | Tensor) -> Float[Tensor, "n k h w"]:
        """Estimate the clean images; an error of the network over types or devices is explained."""
        if torch.compiler.is_compiling() or not isinstance(self.net, nn.Module):
            return super().forward(y, sigma)
        try:
            return super().forward(y, sigma)
        except RuntimeError as error:  # a network may convert images itself, so that only the error tells
            try:
                same_kind(self.net, y)
            except (TypeError, ValueError) as plain:
                raise plain from error
            raise


class Adapted(Wrapper):
    """A network of another convention as a denoiser of ours; build it with `adapt`."""

    def __init__(self, net: Callable[..., Any], convention: Convention) -> None:
        super().__init__(net)
        if not isinstance(convention, Convention):
            raise TypeError(
                f'convention must be a Convention such as Convention("residual"), got {type(convention).__name__}'
            )
        self.convention = convention

    @property
    def configuration(self) -> dict[str, Any]:
        """The class of the network and its convention, as JSON values; they do not make the network anew."""
        return {"net": class_name(self.net), "convention": asdict(self.convention)}

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """Return the clean images."""
        low, width = self.convention.low, self.convention.high - self.convention.low
        s = (width * sigma).flatten().expand(len(y))
        returned = call(self.convention, self.net, low + width * y, s)
        x_hat = clean(self.convention, returned, low + width * y, s)  # anew, if the network worked in place
        return (x_hat - low) / width


def adapt(net: Callable[..., Any], convention: Convention | None = None) -> Adapted:
    """Return a denoiser of ours from a network of another convention.

    Parameters
    ----------
    net
        Any callable on batches of images. It may return a tensor, a tuple that begins with one, or an object with a
        field `sample`, as diffusers does. A module stays as it is and is reached as `.net`; its mode is that of the
        denoiser.
    convention
        How it is called and what it returns; by default net(y) returns the clean image. `probe` finds out.

    Raises
    ------
    TypeError, ValueError
        When called, if the network returns no tensor, or one of another shape than its input.

    See Also
    --------
    gahb_theory.Convention, gahb_theory.probe, gahb_theory.adapt_diffusion, gahb_theory.load_denoiser

    Examples
    --------
    A network that predicts the noise, in intensities 0 to 255:

    >>> import torch
    >>> net = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False).eval()
    >>> f = adapt(net, Convention(prediction="residual", high=255.0))
    >>> f(torch.rand(2, 1, 8, 8), 0.1).shape
    torch.Size([2, 1, 8, 8])
    """
    return Adapted(net, Convention() if convention is None else convention)


def class_name(net: object) -> str:
    """Module and qualified name of the class of a network, or of the network where it is a function."""
    named = net if hasattr(net, "__qualname__") else type(net)
    return f"{named.__module__}.{named.__qualname__}"


def returned_images(returned: Any, u: Tensor) -> Tensor:
    """Return the images in what a network returns: itself, the field or entry `sample`, or the first of a tuple.

    They must have the shape and device of its input `u`; they come back in its precision.
    """
    if isinstance(returned, Mapping):
        if not isinstance(returned.get("sample"), Tensor):
            keys = ", ".join(str(key)[:20] for key in list(returned)[:4])
            raise TypeError(f"the network must return a tensor, or one named sample, got a mapping of {keys}; wrap it")
        returned = returned["sample"]
    if hasattr(returned, "sample") and isinstance(returned.sample, Tensor):
        returned = returned.sample
    while isinstance(returned, (tuple, list)) and returned:
        returned = returned[0]
    if not isinstance(returned, Tensor):
        raise TypeError(f"the network must return a tensor, or something that holds one, got {type(returned).__name__}")
    if not returned.is_floating_point():
        raise TypeError(f"the network must return floating-point images, got {returned.dtype}")
    if returned.shape != u.shape:
        hint, c = "", u.shape[1]
        if returned.shape == (len(u), 2 * c, *u.shape[2:]):
            hint = f"; twice the channels are a mean and a learned variance, wrap it to return out[:, :{c}]"
        elif returned.shape == (len(u), *u.shape[2:], c):
            hint = "; its channels are last, wrap it to return out.permute(0, 3, 1, 2)"
        raise ValueError(
            f"the network must return batch, channels, height and width of its input, {tuple(u.shape)}, got "
            f"{tuple(returned.shape)}{hint}"
        )
    if returned.device != u.device:
        raise ValueError(
            f"the network must return images on the device of its input, {u.device}, got {returned.device}"
        )
    return returned.to(u.dtype)
