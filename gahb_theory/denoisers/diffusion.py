"""Networks that see the time of a diffusion, adapted to the interface f(y, sigma) with intensities in [0, 1].

Such a network sees states z = a x + b n of clean images x in its own range and noise n ~ N(0, Id), and a time. A noisy
image u = x + s n is such a state, scaled: z = a u, at the time at which b / a = s. Three families have their convention here,
each with its estimate of x from what the network returns for z:

    variance preserving    a^2 + b^2 = 1, from a table             (Ho et al. 2020)
        clean              net(z, t)
        noise              u - s net(z, t)
        velocity           a^2 u - b net(z, t)                     v = a n - b x (Salimans and Ho 2022)

    flow matching          a = 1 - t, b = t, t = s / (1 + s)       (Lipman et al. 2023, Liu et al. 2023)
        velocity           z - t net(z, t)                         v = n - x

    EDM                    a = c_in, the time c_noise = log(s) / 4 (Karras et al. 2022)
        preconditioned     c_skip u + c_out net(c_in u, c_noise)   c_in = 1 / sqrt(s^2 + d^2), d = sigma_data,
                                                                   c_skip = (d c_in)^2, c_out = s d c_in

`gahb_theory.denoisers.schedulers` has `adapt_diffusion`, which reads the convention from a scheduler.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Convention, Wrapper, class_name, first_half, returned_images

__all__ = ["EDM", "AdaptedDiffusion", "DiffusionConvention", "FlowMatching", "TimeConvention", "table_of"]

Target = Literal["clean", "noise", "velocity"]
Times = Literal["continuous", "nearest"]
TOLERANCE = 1e-6  # rounding of a level that was computed in single precision


def _check_range(convention: Any) -> None:
    limits = Convention(low=convention.low, high=convention.high)
    object.__setattr__(convention, "low", limits.low)
    object.__setattr__(convention, "high", limits.high)


@dataclass(frozen=True)
class DiffusionConvention:
    """How a variance-preserving network is called and what it returns; see `adapt_diffusion`.

    Parameters
    ----------
    alphas_cumprod
        a^2 at the times 0, 1, ..., descending in (0, 1).
    prediction
        "clean", "noise" or "velocity", as above.
    low, high
        The intensities of black and white.
    times
        "continuous": t is interpolated, linear in the logarithm of s. "nearest": t is a whole number.
    learned_variance
        Whether the network returns twice the channels, of which the first half is the prediction.
    """

    alphas_cumprod: tuple[float, ...]
    prediction: Target = "noise"
    low: int | float = -1.0
    high: int | float = 1.0
    times: Times = "continuous"
    learned_variance: bool = False
    takes_zero = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphas_cumprod", table_of(self.alphas_cumprod))
        validate.one_of(self.prediction, "prediction", get_args(Target))
        validate.one_of(self.times, "times", get_args(Times))
        validate.flag(self.learned_variance, "learned_variance")
        _check_range(self)
        a = torch.tensor(self.alphas_cumprod, dtype=torch.float64, device="cpu")
        object.__setattr__(self, "log_levels", (1 / a - 1).log() / 2)  # in double, which not all devices have

    def __repr__(self) -> str:
        words = ", ".join(repr(v) for v in (self.prediction, self.low, self.high, self.times, self.learned_variance))
        return f"DiffusionConvention({len(self.alphas_cumprod)} times, {words})"

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and largest s of the table."""
        levels: Tensor = self.log_levels  # type: ignore[attr-defined]
        return float(levels[0].exp()), float(levels[-1].exp())

    def scale(self, s: Tensor) -> Tensor:
        """a = 1 / sqrt(1 + s^2)."""
        return (1 + s.square()).rsqrt()

    def time(self, s: Tensor) -> Tensor:
        """The times at which b / a is s, linear in log s."""
        levels: Tensor = self.log_levels  # type: ignore[attr-defined]
        at = s.cpu().to(levels.dtype).log()
        right = torch.searchsorted(levels, at.detach()).clamp(1, len(levels) - 1)
        fraction = (at - levels[right - 1]) / (levels[right] - levels[right - 1])
        exact = (right - 1 + fraction).clamp(0, len(levels) - 1)
        if self.times == "nearest":
            return exact.round().long().to(s.device)
        return exact.to(s.dtype).to(s.device)

    def clean(self, returned: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """The estimate of x."""
        if self.prediction == "clean":
            return returned
        if self.prediction == "noise":
            return u - s * returned
        a = self.scale(s)
        return a.square() * u - a * s * returned

    def denoiser(self, net: Callable[..., Any]) -> "AdaptedDiffusion":
        """Return the network `net` of this convention as a denoiser of ours."""
        return AdaptedDiffusion(net, self)


@dataclass(frozen=True)
class FlowMatching:
    """How a network of straight paths, x_t = (1 - t) x + t n, is called and what it returns: flow matching, rectified flow.

    Parameters
    ----------
    prediction
        "velocity": d x_t / dt; "clean": x; "noise": n.
    low, high
        The intensities of black and white.
    steps
        What the time is multiplied with before the network sees it: 1000 in diffusers, 1 in most papers.
    noise_at
        The time at which all is noise. 1, as above; 0 where data stand at the end, x_t = t x + (1 - t) n, so that the
        velocity is x - n.

    Examples
    --------
    >>> FlowMatching().time(torch.tensor([1.0]))
    tensor([500.])
    """

    prediction: Target = "velocity"
    low: int | float = -1.0
    high: int | float = 1.0
    steps: int | float = 1000.0
    noise_at: Literal[0, 1] = 1
    takes_zero = True
    learned_variance = False
    ends = (0.0, float("inf"))

    def __post_init__(self) -> None:
        validate.one_of(self.prediction, "prediction", get_args(Target))
        object.__setattr__(self, "steps", validate.positive(self.steps, "steps"))
        object.__setattr__(self, "noise_at", validate.integer(self.noise_at, "noise_at", 0, 1))
        _check_range(self)

    def scale(self, s: Tensor) -> Tensor:
        """1 - t = 1 / (1 + s)."""
        return 1 / (1 + s)

    def time(self, s: Tensor) -> Tensor:
        """The time of the network, in its units."""
        return self.steps * (s / (1 + s) if self.noise_at else 1 / (1 + s))

    def clean(self, returned: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """The estimate of x."""
        if self.prediction == "clean":
            return returned
        if self.prediction == "noise":
            return u - s * returned
        velocity = returned if self.noise_at else -returned
        return (u - s * velocity) / (1 + s)

    def denoiser(self, net: Callable[..., Any]) -> "AdaptedDiffusion":
        """Return the network `net` of this convention as a denoiser of ours."""
        return AdaptedDiffusion(net, self)


@dataclass(frozen=True)
class EDM:
    """How the network inside the preconditioning of Karras et al. 2022 is called: F(c_in u, c_noise).

    A network that holds its preconditioning, as the class `EDMPrecond` of the authors, sees the noise level itself:
    `adapt(net, Convention("clean", "sigma", -1.0))`.

    Parameters
    ----------
    sigma_data
        The standard deviation of the data, in the range of the network.
    low, high
        The intensities of black and white.
    sign
        The sign of c_out: 1 as published; -1 where diffusers calls the prediction "v_prediction".

    Examples
    --------
    >>> EDM().scale(torch.tensor(0.0))
    tensor(2.)
    """

    sigma_data: int | float = 0.5
    low: int | float = -1.0
    high: int | float = 1.0
    sign: Literal[-1, 1] = 1
    takes_zero = False
    learned_variance = False
    ends = (0.0, float("inf"))

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigma_data", validate.positive(self.sigma_data, "sigma_data"))
        if self.sign not in (-1, 1):
            raise ValueError(f"sign must be 1 or -1, the sign of c_out, got {self.sign!r}")
        _check_range(self)

    def scale(self, s: Tensor) -> Tensor:
        """c_in."""
        return (s.square() + self.sigma_data**2).rsqrt()

    def time(self, s: Tensor) -> Tensor:
        """c_noise."""
        return s.log() / 4

    def clean(self, returned: Tensor, u: Tensor, s: Tensor) -> Tensor:
        """The estimate of x."""
        scaled = self.sigma_data * self.scale(s)
        return scaled.square() * u + self.sign * scaled * s * returned

    def denoiser(self, net: Callable[..., Any]) -> "AdaptedDiffusion":
        """Return the network `net` of this convention as a denoiser of ours."""
        return AdaptedDiffusion(net, self)


TimeConvention = DiffusionConvention | FlowMatching | EDM
"""Each has `scale(s)`, the factor of the state, `time(s)`, what the network is given for s of shape (n,), and `clean`."""


class AdaptedDiffusion(Wrapper):
    """A network that sees a time as a denoiser of ours; build it with `adapt_diffusion`, or with `adapt` and a convention.

    Parameters
    ----------
    net
        The network, net(z, t) or net(z, t, label).
    convention
        A `DiffusionConvention`, `FlowMatching` or `EDM`.
    label
        What the network is given as a third argument, for each image the same: the number of a class, or a tensor, to which
        the axis of the batch is added. None: nothing.
    """

    def __init__(self, net: Callable[..., Any], convention: TimeConvention, label: int | Tensor | None = None) -> None:
        super().__init__(net)
        if not isinstance(convention, DiffusionConvention | FlowMatching | EDM):
            raise TypeError(
                f"convention must be a DiffusionConvention, FlowMatching or EDM, got {type(convention).__name__}"
            )
        self.convention = convention
        self.width = convention.high - convention.low
        self.label = None if label is None else _label(label)
        self._smallest = None if convention.takes_zero else max(self.sigma_range[0], 1e-3)

    @property
    def configuration(self) -> dict[str, Any]:
        """The class of the network, its convention and label, as JSON values; they do not make the network anew."""
        fields = {key: [*v] if isinstance(v, tuple) else v for key, v in asdict(self.convention).items()}
        described = {"net": class_name(self.net), "convention": fields}
        return described if self.label is None else described | {"label": self.label.tolist()}

    @property
    def sigma_range(self) -> tuple[float, float]:
        """Smallest and largest noise level, in units of intensities in [0, 1]."""
        lowest, highest = self.convention.ends
        return lowest / self.width, highest / self.width

    def time(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the times at which the noise has the levels `s` of the network's own range."""
        return self.convention.time(s).to(s.dtype)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """Return the clean images; at sigma = 0, y itself where the convention has no such time."""
        convention, low = self.convention, self.convention.low
        given = sigma
        if self._smallest is not None:
            sigma = torch.where(sigma == 0, self._smallest, sigma)
        self._within(sigma)
        u, s = low + self.width * y, self.width * sigma
        time = convention.time(s.flatten().expand(len(y)))
        label = () if self.label is None else (self._labels(u),)
        returned = self.net(convention.scale(s) * u, time, *label)
        returned = returned_images(first_half(returned, u) if convention.learned_variance else returned, u)
        x_hat = (convention.clean(returned, u, s) - low) / self.width
        return x_hat if convention.takes_zero else torch.where(given == 0, y, x_hat)

    def _labels(self, u: Tensor) -> Tensor:
        """The label of each image."""
        assert self.label is not None
        label = self.label.to(u.device, u.dtype) if self.label.is_floating_point() else self.label.to(u.device)
        return label.expand(len(u), *label.shape)

    def _within(self, sigma: Tensor) -> None:
        """Refuse noise levels outside the schedule, where they can be looked at."""
        if torch.compiler.is_compiling() or torch._C._functorch.is_batchedtensor(sigma):
            return
        sigma, (lowest, highest) = sigma.detach(), self.sigma_range
        if bool((sigma < lowest * (1 - TOLERANCE)).any()) or bool((sigma > highest * (1 + TOLERANCE)).any()):
            raise ValueError(
                f"the schedule of this network knows noise levels in [{lowest:.4g}, {highest:.4g}], for intensities in "
                f"[0, 1], got {float(sigma.min()):.4g} to {float(sigma.max()):.4g}"
            )


def _label(label: Any) -> Tensor:
    """The label of one image as a tensor."""
    if isinstance(label, Tensor) and label.ndim:
        return validate.finite(label, "label") if label.is_floating_point() else label
    return torch.tensor(validate.integer(label, "label", 0), device="cpu")


def table_of(given: Any) -> tuple[float, ...]:
    """The squared scales of the image, descending in (0, 1)."""
    a = validate.real_array(given, "alphas_cumprod", 1)
    if (a == 0).any():
        first = int(np.flatnonzero(a == 0)[0])
        raise ValueError(
            f"alphas_cumprod[{first}] is 0 (zero terminal signal-to-noise ratio): noise of an infinite level; leave that "
            f"time out, alphas_cumprod[:{first}], with the prediction named"
        )
    bad = np.flatnonzero((a <= 0) | (a >= 1) | (np.diff(a, prepend=np.inf) >= 0))
    if len(a) < 2 or len(bad):
        at = f"alphas_cumprod[{bad[0]}] = {a[bad[0]]:g}" if len(bad) else f"shape {a.shape}"
        raise ValueError(
            "alphas_cumprod must hold at least two numbers in (0, 1), descending: the squared scale of the image at the "
            f"times 0, 1, ...; got {at}"
        )
    return tuple(a.tolist())
