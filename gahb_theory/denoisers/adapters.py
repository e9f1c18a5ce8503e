"""Denoisers of others, brought to the contract f(y, sigma) with intensities in [0, 1].

A network may see intensities u = low + (high - low) y, whose noise has the level s = (high - low) sigma, and may return

    clean      x                    x_hat = net(u)
    residual   s z                  x_hat = u - net(u)
    noise      z                    x_hat = u - s net(u)
    score      -z / s               x_hat = u + s^2 net(u)         (Robbins 1956, Miyasawa 1961)

A diffusion network is trained on variance-preserving states z_t = a_t u + b_t z with a_t^2 + b_t^2 = 1, and sees the
time t. A noisy image is such a state, scaled: with a^2 = 1 / (1 + s^2), a y = a x + b z, so t is the time at which
b_t / a_t = s. It may return the clean image, the noise, or the velocity v = a z - b x (Salimans and Ho 2022):

    clean      x_hat = net(a u, t)
    noise      x_hat = u - s net(a u, t)
    velocity   x_hat = a^2 u - b net(a u, t) .
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory.denoisers.base import DenoiserModule

__all__ = ["Adapted", "AdaptedDiffusion", "Convention", "adapt", "adapt_diffusion"]

Prediction = Literal["clean", "residual", "noise", "score"]
Conditioning = Literal["none", "sigma", "map"]


@dataclass(frozen=True)
class Convention:
    """How a network is called and what it returns.

    Parameters
    ----------
    prediction
        "clean", "residual", "noise" or "score", as above.
    conditioning
        "none": net(y). "sigma": net(y, sigma) with sigma of shape (batch,), as deepinv does. "map": net(y') where y'
        has one more channel that holds sigma, as FFDNet does.
    low, high
        The intensities of black and white: 0 and 1, -1 and 1, 0 and 255. The noise level is in the same units.
    """

    prediction: Prediction = "clean"
    conditioning: Conditioning = "none"
    low: int | float = 0.0
    high: int | float = 1.0

    def __post_init__(self) -> None:
        if self.prediction not in ("clean", "residual", "noise", "score"):
            raise ValueError(f'prediction must be "clean", "residual", "noise" or "score", got {self.prediction!r}')
        if self.conditioning not in ("none", "sigma", "map"):
            raise ValueError(f'conditioning must be "none", "sigma" or "map", got {self.conditioning!r}')
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise ValueError(f"low must be below high, both finite, got {self.low} and {self.high}")

    def call(self, net: Callable[..., Any], u: Tensor, s: Tensor) -> Tensor:
        """What the network returns for intensities `u` of its own range and noise levels `s` of shape (n,)."""
        if self.conditioning == "none":
            return tensor_in(net(u))
        if self.conditioning == "sigma":
            return tensor_in(net(u, s))
        level = s[:, None, None, None].expand(-1, 1, *u.shape[2:])
        return tensor_in(net(torch.cat([u, level.to(u.dtype)], dim=1)))

    def clean(self, returned: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """The estimate of the clean image that `returned` amounts to, in the range of the network."""
        s = s[:, None, None, None]
        if self.prediction == "clean":
            return returned
        if self.prediction == "residual":
            return u - returned
        return u - s * returned if self.prediction == "noise" else u + s.square() * returned


class Adapted(DenoiserModule):
    """A network of another convention as a denoiser of ours; build it with `adapt`."""

    def __init__(self, net: Callable[..., Any], convention: Convention) -> None:
        super().__init__()
        self.net = net
        self.convention = convention
        self.training = isinstance(net, nn.Module) and net.training

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n k h w"]:
        """The clean images."""
        low, width = self.convention.low, self.convention.high - self.convention.low
        u, s = low + width * y, (width * sigma).flatten().expand(len(y))
        x_hat = self.convention.clean(self.convention.call(self.net, u, s), u, s)
        return (x_hat - low) / width


class AdaptedDiffusion(DenoiserModule):
    """A variance-preserving diffusion network as a denoiser of ours; build it with `adapt_diffusion`."""

    def __init__(
        self,
        net: Callable[..., Any],
        alphas_cumprod: Float[Tensor, " t"],
        prediction: Literal["clean", "noise", "velocity"],
        low: int | float,
        high: int | float,
        times: Literal["continuous", "nearest"],
    ) -> None:
        super().__init__()
        self.net = net
        self.prediction, self.times, self.low, self.width = prediction, times, low, high - low
        self.log_levels = (
            1 / alphas_cumprod.detach().cpu().double() - 1
        ).log() / 2  # no buffer: not all devices have doubles
        self.training = isinstance(net, nn.Module) and net.training

    @property
    def sigma_range(self) -> tuple[float, float]:
        """Smallest and largest noise level, in units of intensities in [0, 1]."""
        return float(self.log_levels[0].exp()) / self.width, float(self.log_levels[-1].exp()) / self.width

    def time(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """The times at which the noise has the levels `s` of the network's own range, linear in log s between two."""
        levels = self.log_levels
        at = s.detach().cpu().to(levels.dtype).log()
        right = torch.searchsorted(levels, at).clamp(1, len(levels) - 1)
        fraction = (at - levels[right - 1]) / (levels[right] - levels[right - 1])
        exact = (right - 1 + fraction).clamp(0, len(levels) - 1)
        return (exact.round() if self.times == "nearest" else exact).to(s.dtype).to(s.device)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean images."""
        lowest, highest = self.sigma_range
        tolerance = 1e-6  # rounding of a level that was computed in single precision
        if bool((sigma < lowest * (1 - tolerance)).any()) or bool((sigma > highest * (1 + tolerance)).any()):
            raise ValueError(
                f"the schedule of this network knows noise levels in [{lowest:.4g}, {highest:.4g}], for intensities in "
                f"[0, 1], got {float(sigma.min()):.4g} to {float(sigma.max()):.4g}"
            )
        u, s = self.low + self.width * y, self.width * sigma
        a = (1 + s.square()).rsqrt()
        time = self.time(s.flatten().expand(len(y)))
        time = time.long() if self.times == "nearest" else time
        returned = tensor_in(self.net(a * u, time))
        if self.prediction == "clean":
            x_hat = returned
        elif self.prediction == "noise":
            x_hat = u - s * returned
        else:
            x_hat = a.square() * u - a * s * returned
        return (x_hat - self.low) / self.width


def adapt(net: Callable[..., Any], convention: Convention | None = None) -> Adapted:
    """A denoiser of ours from a network of another convention.

    Parameters
    ----------
    net
        Any callable on batches of images. It may return a tensor, a tuple that begins with one, or an object with a
        field `sample`, as diffusers does. A module stays as it is and is reached as `.net`; its mode is that of the
        denoiser.
    convention
        How it is called and what it returns; by default net(y) returns the clean image. `probe` finds out.

    Examples
    --------
    A network that predicts the noise, in intensities 0 to 255:

    >>> import torch
    >>> net = torch.nn.Conv2d(1, 1, 3, padding=1, bias=False).eval()
    >>> f = adapt(net, Convention(prediction="residual", high=255.0))
    >>> f(torch.rand(2, 1, 8, 8), 0.1).shape
    torch.Size([2, 1, 8, 8])
    """
    if not callable(net):
        raise TypeError(f"net must be callable, got {type(net).__name__}")
    return Adapted(net, Convention() if convention is None else convention)


def adapt_diffusion(
    net: Callable[..., Any],
    alphas_cumprod: Float[Tensor, " t"],
    prediction: Literal["clean", "noise", "velocity"] = "noise",
    low: int | float = -1.0,
    high: int | float = 1.0,
    times: Literal["continuous", "nearest"] = "continuous",
) -> AdaptedDiffusion:
    """A denoiser of ours from a network net(z_t, t) that was trained on variance-preserving noise.

    Parameters
    ----------
    net
        Called with states of shape (n, c, h, w) and times of shape (n,). It may return a tensor, a tuple that begins
        with one, or an object with a field `sample`.
    alphas_cumprod
        a_t^2 of the times 0, 1, ..., descending in (0, 1): `scheduler.alphas_cumprod` in diffusers.
    prediction
        What the network returns.
    low, high
        The intensities of black and white.
    times
        "continuous": t is interpolated, linear in the logarithm of the noise level. "nearest": t is a whole number, for
        networks that look it up in a table; the noise level is then off by up to half a step.

    Raises
    ------
    ValueError
        When called, if sigma lies outside the schedule.

    Examples
    --------
    >>> import torch
    >>> schedule = torch.linspace(0.9999, 0.01, 1000)
    >>> f = adapt_diffusion(lambda z, t: torch.zeros_like(z), schedule)
    >>> round(f.sigma_range[1], 2)
    4.97
    """
    if not callable(net):
        raise TypeError(f"net must be callable, got {type(net).__name__}")
    if prediction not in ("clean", "noise", "velocity"):
        raise ValueError(f'prediction must be "clean", "noise" or "velocity", got {prediction!r}')
    if times not in ("continuous", "nearest"):
        raise ValueError(f'times must be "continuous" or "nearest", got {times!r}')
    Convention(low=low, high=high)
    a = torch.as_tensor(alphas_cumprod)
    if a.ndim != 1 or len(a) < 2 or not bool(((a > 0) & (a < 1)).all()) or not bool((a.diff() < 0).all()):
        raise ValueError(
            "alphas_cumprod must hold at least two numbers in (0, 1), descending: the squared scale of the image at the "
            f"times 0, 1, ...; got shape {tuple(a.shape)}"
        )
    return AdaptedDiffusion(net, a, prediction, low, high, times)


def tensor_in(returned: Any) -> Tensor:
    """The tensor in what a network returns: itself, the field `sample`, or the first of a tuple."""
    if hasattr(returned, "sample") and isinstance(returned.sample, Tensor):
        return returned.sample
    while isinstance(returned, tuple | list) and returned:
        returned = returned[0]
    if not isinstance(returned, Tensor):
        raise TypeError(f"the network must return a tensor, or something that holds one, got {type(returned).__name__}")
    return returned
