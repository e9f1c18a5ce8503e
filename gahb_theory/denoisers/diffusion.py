"""Networks that see the time of a diffusion, adapted to the interface f(y, sigma) with intensities in [0, 1].

A diffusion network is trained on variance-preserving states z_t = a_t u + b_t z with a_t^2 + b_t^2 = 1, and sees the
time t. A noisy image is such a state, scaled: with a^2 = 1 / (1 + s^2), a y = a x + b z, so t is the time at which
b_t / a_t = s. It may return the clean image, the noise, or the velocity v = a z - b x (Salimans and Ho 2022):

    clean      x_hat = net(a u, t)
    noise      x_hat = u - s net(a u, t)
    velocity   x_hat = a^2 u - b net(a u, t) .
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Convention, Wrapper, class_name, returned_images

__all__ = ["AdaptedDiffusion", "DiffusionConvention", "adapt_diffusion"]

Target = Literal["clean", "noise", "velocity"]
Times = Literal["continuous", "nearest"]
TARGETS: dict[str, Target] = {"epsilon": "noise", "sample": "clean", "v_prediction": "velocity"}
TOLERANCE = 1e-6  # rounding of a level that was computed in single precision


@dataclass(frozen=True)
class DiffusionConvention:
    """How a diffusion network is called and what it returns; see `adapt_diffusion`."""

    alphas_cumprod: tuple[float, ...]
    prediction: Target = "noise"
    low: int | float = -1.0
    high: int | float = 1.0
    times: Times = "continuous"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alphas_cumprod", _schedule(self.alphas_cumprod))
        validate.one_of(self.prediction, "prediction", get_args(Target))
        validate.one_of(self.times, "times", get_args(Times))
        limits = Convention(low=self.low, high=self.high)
        object.__setattr__(self, "low", limits.low)
        object.__setattr__(self, "high", limits.high)


class AdaptedDiffusion(Wrapper):
    """A variance-preserving diffusion network as a denoiser of ours; build it with `adapt_diffusion`."""

    takes_zero = False

    def __init__(self, net: Callable[..., Any], convention: DiffusionConvention) -> None:
        super().__init__(net)
        if not isinstance(convention, DiffusionConvention):
            raise TypeError(f"convention must be a DiffusionConvention, got {type(convention).__name__}")
        self.convention = convention
        self.width = convention.high - convention.low
        a = torch.tensor(convention.alphas_cumprod, dtype=torch.float64, device="cpu")
        self.log_levels = (1 / a - 1).log() / 2  # no buffer: not all devices have doubles

    @property
    def configuration(self) -> dict[str, Any]:
        """The class of the network and its convention, as JSON values; they do not make the network anew."""
        alphas = [*self.convention.alphas_cumprod]
        return {"net": class_name(self.net), "convention": asdict(self.convention) | {"alphas_cumprod": alphas}}

    @property
    def sigma_range(self) -> tuple[float, float]:
        """Smallest and largest noise level, in units of intensities in [0, 1]."""
        return float(self.log_levels[0].exp()) / self.width, float(self.log_levels[-1].exp()) / self.width

    def time(self, s: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
        """Return the times at which the noise has the levels `s` of the network's own range, linear in log s."""
        levels = self.log_levels
        at = s.cpu().to(levels.dtype).log()
        right = torch.searchsorted(levels, at.detach()).clamp(1, len(levels) - 1)
        fraction = (at - levels[right - 1]) / (levels[right] - levels[right - 1])
        exact = (right - 1 + fraction).clamp(0, len(levels) - 1)
        return (exact.round() if self.convention.times == "nearest" else exact).to(s.dtype).to(s.device)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """Return the clean images."""
        self._within(sigma)
        low, prediction = self.convention.low, self.convention.prediction
        u, s = low + self.width * y, self.width * sigma
        a = (1 + s.square()).rsqrt()
        time = self.time(s.flatten().expand(len(y)))
        time = time.long() if self.convention.times == "nearest" else time
        returned = returned_images(self.net(a * u, time), u)
        if prediction == "clean":
            x_hat = returned
        elif prediction == "noise":
            x_hat = u - s * returned
        else:
            x_hat = a.square() * u - a * s * returned
        return (x_hat - low) / self.width

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


def adapt_diffusion(
    net: Callable[..., Any],
    alphas_cumprod: Any,
    prediction: Target | None = None,
    low: int | float = -1.0,
    high: int | float = 1.0,
    times: Times = "continuous",
) -> AdaptedDiffusion:
    """Return a denoiser of ours from a network net(z_t, t) that was trained on variance-preserving noise.

    Parameters
    ----------
    net
        Called with states of shape (n, c, h, w) and times of shape (n,). It may return a tensor, a tuple that begins
        with one, or an object with a field `sample`.
    alphas_cumprod
        a_t^2 of the times 0, 1, ..., descending in (0, 1), or a scheduler of diffusers that has `alphas_cumprod`.
    prediction
        What the network returns: "clean", "noise" or "velocity". None: what the scheduler says in
        `config.prediction_type`, or "noise".
    low, high
        The intensities of black and white.
    times
        "continuous": t is interpolated, linear in the logarithm of the noise level. "nearest": t is a whole number, for
        networks that look it up in a table; the noise level is then off by up to half a step.

    Raises
    ------
    ValueError
        If the schedule is none of a variance-preserving diffusion; when called, if sigma lies outside the schedule.

    See Also
    --------
    gahb_theory.adapt, gahb_theory.load_denoiser

    Examples
    --------
    >>> import torch
    >>> schedule = torch.linspace(0.9999, 0.01, 1000)
    >>> f = adapt_diffusion(lambda z, t: torch.zeros_like(z), schedule)
    >>> round(f.sigma_range[1], 2)
    4.97
    """
    schedule, named = _scheduler(alphas_cumprod)
    if prediction is None:
        prediction = "noise" if named is None else _target(named)
    return AdaptedDiffusion(net, DiffusionConvention(_schedule(schedule), prediction, low, high, times))


def _scheduler(given: Any) -> tuple[Any, Any]:
    """The schedule in an array or a scheduler, and the type of prediction that the scheduler names."""
    if isinstance(given, Tensor | np.ndarray | list | tuple):
        return given, None
    schedule = getattr(given, "alphas_cumprod", None)
    if schedule is None:
        raise TypeError(
            f"alphas_cumprod must be an array, or a scheduler that has one, got {type(given).__name__}; schedules that "
            "are not variance preserving have none: for networks that see sigma use adapt"
        )
    config = getattr(given, "config", None)
    named = config.get("prediction_type") if isinstance(config, Mapping) else getattr(config, "prediction_type", None)
    return schedule, named


def _target(prediction_type: Any) -> Target:
    """What the network of a scheduler returns."""
    if prediction_type not in TARGETS:
        raise ValueError(
            f"the scheduler's prediction_type must be one of {', '.join(TARGETS)}, got {prediction_type!r}; say what the "
            'network returns by prediction="clean", "noise" or "velocity"'
        )
    return TARGETS[prediction_type]


def _schedule(given: Any) -> tuple[float, ...]:
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
