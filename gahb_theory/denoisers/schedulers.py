"""The convention of a diffusion network, read from the scheduler that others distribute with it.

A scheduler is read by its attributes; its package need not be installed. What is known:

    alphas_cumprod, config.prediction_type, config.variance_type     diffusers, variance preserving
    config.shift, config.num_train_timesteps; "flow_prediction"      diffusers, flow matching
    config.sigma_data, config.prediction_type                        diffusers, EDM
    alphas_cumprod, objective, normalize, model                      GaussianDiffusion of denoising-diffusion-pytorch

The table of alphas_cumprod may also be given as an array, and any convention of `diffusion` by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.diffusion import (
    EDM,
    AdaptedDiffusion,
    DiffusionConvention,
    FlowMatching,
    Target,
    TimeConvention,
    Times,
    table_of,
)

__all__ = ["adapt_diffusion", "convention_of"]

TARGETS: dict[str, Target] = {"epsilon": "noise", "sample": "clean", "v_prediction": "velocity"}
"""`prediction_type` of diffusers."""

OBJECTIVES: dict[str, Target] = {"pred_noise": "noise", "pred_x0": "clean", "pred_v": "velocity"}
"""`objective` of denoising-diffusion-pytorch."""


def adapt_diffusion(
    net: Callable[..., Any],
    alphas_cumprod: Any = None,
    prediction: Target | None = None,
    low: int | float | None = None,
    high: int | float | None = None,
    times: Times = "continuous",
    *,
    label: int | Tensor | None = None,
    learned_variance: bool | None = None,
) -> AdaptedDiffusion:
    """Return a denoiser of ours from a network net(z_t, t) that sees the time of a diffusion.

    Parameters
    ----------
    net
        Called with states of shape (n, c, h, w) and times of shape (n,). It may return a tensor, a tuple that begins
        with one, or an object with a field `sample`. A `GaussianDiffusion` of denoising-diffusion-pytorch can stand
        here alone.
    alphas_cumprod
        a_t^2 of the times 0, 1, ..., descending in (0, 1); a scheduler of diffusers, for variance-preserving noise, flow
        matching or EDM; or a `DiffusionConvention`, `FlowMatching` or `EDM` of `gahb_theory.denoisers`.
    prediction
        What the network returns: "clean", "noise" or "velocity". None: what the scheduler says, or "noise".
    low, high
        The intensities of black and white. None: what the scheduler says, or -1 and 1. For latents 0 and 1, which
        leaves them as they are; `gahb_theory.denoisers.adapt_latents` then holds their decoder.
    times
        "continuous": t is interpolated, linear in the logarithm of the noise level. "nearest": t is a whole number, for
        networks that look it up in a table; the noise level is then off by up to half a step.
    label
        The class or the condition of all images, which the network takes as a third argument: the number of a class,
        or a tensor for one image, such as an embedding.
    learned_variance
        Whether the network returns twice the channels, the second half a variance, which is left out. None: what the
        scheduler says, or False.

    Raises
    ------
    ValueError
        If the schedule is none that is known; when called, if sigma lies outside the schedule.

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
    if alphas_cumprod is None:
        if not hasattr(net, "model") or not hasattr(net, "alphas_cumprod"):
            raise TypeError(
                "alphas_cumprod must be given, an array or a scheduler, unless net is a GaussianDiffusion that has both "
                f"model and alphas_cumprod, got {type(net).__name__}"
            )
        net, alphas_cumprod = net.model, net
    learned = None if learned_variance is None else validate.flag(learned_variance, "learned_variance")
    convention = convention_of(alphas_cumprod, prediction, times, learned)
    asked = {"prediction": prediction, "low": low, "high": high, "learned_variance": learned or None}
    changed: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if missing := [name for name in changed if name not in {field.name for field in fields(convention)}]:
        raise ValueError(f"{type(convention).__name__} has no {missing[0]}; leave it out, got {changed[missing[0]]!r}")
    return AdaptedDiffusion(net, replace(convention, **changed), label)


def convention_of(
    given: Any, prediction: Target | None = None, times: Times = "continuous", learned_variance: bool | None = None
) -> TimeConvention:
    """Return the convention that an array, a scheduler or a convention amounts to; what is None is read from it."""
    if isinstance(given, DiffusionConvention | FlowMatching | EDM):
        return given
    if isinstance(given, Tensor | np.ndarray | list | tuple):
        named_or_noise = prediction or "noise"
        return DiffusionConvention(
            table_of(given), named_or_noise, times=times, learned_variance=bool(learned_variance)
        )
    named = _configured(given, "prediction_type")
    if named == "flow_prediction" or _is_flow(given):
        steps = _configured(given, "num_train_timesteps")
        return FlowMatching("velocity" if prediction is None else prediction, steps=1000 if steps is None else steps)
    if (sigma_data := _configured(given, "sigma_data")) is not None:
        return _edm(given, sigma_data, named)
    schedule = getattr(given, "alphas_cumprod", None)
    if schedule is None:
        raise TypeError(
            f"alphas_cumprod must be an array, or a scheduler that has one, got {type(given).__name__}; schedules that "
            "are not variance preserving have none: flow matching and EDM have a convention of gahb_theory.denoisers, and "
            "for networks that see sigma use adapt"
        )
    if learned_variance is None:
        learned_variance = str(_configured(given, "variance_type")).startswith("learned") or _twice(given)
    low, high = _limits(given)
    return DiffusionConvention(
        table_of(schedule), prediction or _target(given, named), low, high, times, learned_variance
    )


def _edm(given: Any, sigma_data: float, named: Any) -> EDM:
    """The preconditioning of a scheduler, if it is that of Karras et al."""
    if named not in ("epsilon", "v_prediction"):
        raise ValueError(f"the scheduler's prediction_type must be epsilon or v_prediction for EDM, got {named!r}")
    noise = getattr(given, "precondition_noise", None)
    if callable(noise) and abs(float(noise(torch.tensor([16.0], device="cpu"))) - np.log(16) / 4) > 1e-5:
        raise ValueError("the scheduler's time must be log(sigma) / 4, as EDM has it; this scheduler has another time")
    return EDM(sigma_data, sign=-1 if named == "v_prediction" else 1)


def _configured(given: Any, name: str) -> Any:
    """An entry of the configuration of a scheduler, or None."""
    config = getattr(given, "config", None)
    return config.get(name) if isinstance(config, Mapping) else getattr(config, name, None)


def _is_flow(given: Any) -> bool:
    """Whether this is a scheduler of flow matching: it has the shift of the times, and no table."""
    return _configured(given, "shift") is not None and not hasattr(given, "alphas_cumprod")


def _twice(given: Any) -> bool:
    """Whether the network of a GaussianDiffusion returns twice its channels."""
    channels, returned = getattr(given, "channels", None), getattr(getattr(given, "model", None), "out_dim", None)
    return channels is not None and returned == 2 * channels


def _limits(given: Any) -> tuple[float, float]:
    """Black and white as the images are normalised before the network sees them."""
    normalize = getattr(given, "normalize", None)
    if not callable(normalize):
        return -1.0, 1.0
    low, high = normalize(torch.tensor([0.0, 1.0], device="cpu")).tolist()
    return low, high


def _target(given: Any, prediction_type: Any) -> Target:
    """What the network of a scheduler returns."""
    objective = getattr(given, "objective", None)
    if prediction_type is None and objective is None:
        return "noise"
    name, said, known = (
        ("objective", objective, OBJECTIVES)
        if prediction_type is None
        else ("prediction_type", prediction_type, TARGETS)
    )
    if said not in known:
        raise ValueError(
            f"the scheduler's {name} must be one of {', '.join(known)}, got {said!r}; say what the "
            'network returns by prediction="clean", "noise" or "velocity"'
        )
    return known[said]
