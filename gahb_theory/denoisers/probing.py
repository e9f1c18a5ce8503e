"""The convention of a network, found by trying.

A network that removes noise by one convention and not by the others has that one. Every convention is tried on
known images (a disk, a C^2 image, a photograph) at several noise levels; its gain is the mean over images
and levels of output PSNR minus input PSNR. Conventions within half a decibel of the best are tied and the plainest of them
is taken: networks without additive constants hardly care whether white is 1 or 255, or whether black is 0 or -1. The
distance to the best convention that is not tied says how sure the answer is.

A network that can be called with a second argument of shape (n,), and whose output depends on it, may see the time of a
diffusion instead of the noise level: the published schedules, flow matching and EDM are then tried as well. Any other
schedule must be given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Conditioning, Convention, adapt, call, clean
from gahb_theory.denoisers.diffusion import TimeConvention
from gahb_theory.denoisers.probing_times import (
    TIMES,
    WIDE_LEVELS,
    describe,
    known_levels,
    same_map,
    timed_estimates,
)
from gahb_theory.denoisers.schedulers import convention_of
from gahb_theory.images import CAlpha, Disks, Photographs
from gahb_theory.metrics.errors import psnr_per_image
from gahb_theory.randomness import add_noise
from gahb_theory.stored_results import Result

__all__ = ["Probe", "probe"]

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.4)
RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))
CALLS: dict[Conditioning, str] = {
    "none": "net(y)",
    "sigma": "net(y, sigma)",
    "column": "net(y, sigma of shape (n, 1, 1, 1))",
    "number": "net(y, number)",
    "map": "net([y, map])",
    "second map": "net(y, map)",
}
AS_ARGUMENT = ("sigma", "column", "number", "second map")
AnyConvention = Convention | TimeConvention
MISLED = 1.3  # what a noise level is multiplied with, or divided by, to see whether the network does better
TIE_DB, SURE_GAIN_DB, SURE_MARGIN_DB = 0.5, 1.0, 2.0


@dataclass(frozen=True, repr=False)
class Probe(Result):
    """The convention of a network, and how sure the answer is; `adapt(net, found)` takes it where it is sure.

    Parameters
    ----------
    convention
        The plainest of the conventions that denoise best.
    gain
        Its gain in dB.
    margin
        Its distance in dB to the best convention that is not tied with it and differs in more than the range.
    range_margin
        Its distance in dB to the same convention in another range; small or negative where the range hardly matters.
    shrinkage_gain
        What the best shrinkage of each image towards its mean gains in dB.
    sure
        Whether it denoises (gain above 1 dB, and above that of shrinkage), no other convention comes near (margin above
        2 dB, or 1 dB where the next one does not denoise), and those tied with it differ in the range alone.
    tied
        Other conventions that do as well, within 0.5 dB.
    uses_sigma
        Whether its output depends on the sigma it is given; False where it takes none.
    homogeneity_error
        Relative distance of f(2 y) / 2 and f(y), sigma doubled too, by the convention found: 0 without additive constants.
    gains
        Every convention that could be called, with its gain in dB, the best first.
    gain_if_misled
        Of a network that sees a time: how many dB it does better where it is given a noise level 30 % larger or smaller. Above
        1 dB its schedule is another one, and the answer is not sure.
    """

    convention: AnyConvention
    gain: float
    margin: float
    range_margin: float
    shrinkage_gain: float
    sure: bool
    tied: tuple[AnyConvention, ...]
    uses_sigma: bool
    homogeneity_error: float
    gains: tuple[tuple[AnyConvention, float], ...]
    gain_if_misled: float = 0.0

    @property
    def doubt(self) -> str:
        """Why the answer is not sure; empty where it is."""
        if self.sure:
            return ""
        if self.gain <= max(SURE_GAIN_DB, self.shrinkage_gain):
            return (
                f"by no convention does it denoise, the best gains {self.gain:.1f} dB, and shrinking images towards their "
                f"mean {self.shrinkage_gain:.1f} dB"
            )
        if different := [c for c in self.tied if _without_range(c) != _without_range(self.convention)]:
            return f"{_words(self.convention)} and {_words(different[0])} do as well"
        if self.gain_if_misled > SURE_GAIN_DB:
            return (
                f"{_words(self.convention)}, but does better by {self.gain_if_misled:.1f} dB if given another noise level: its "
                "schedule is another one"
            )
        return f"the next convention is only {self.margin:.1f} dB behind {_words(self.convention)}"

    def denoiser(self, net: Callable[..., Any]) -> Any:
        """Return the network `net` by the convention found as a denoiser of ours; refused where it is not sure."""
        if not self.sure:
            raise ValueError(f"the convention of this network was not found: {self.doubt}; give adapt the right one")
        return self.convention.denoiser(net)

    def __str__(self) -> str:
        return (
            f"{_words(self.convention)}: {'sure' if self.sure else 'NOT sure, ' + self.doubt}; gains {self.gain:.1f} dB, "
            f"{self.margin:.1f} dB more than any convention that is not tied with it; tied: {len(self.tied)}"
        )


def probe(
    net: Callable[..., Any],
    shape: Sequence[int] = (1, 64, 64),
    dtype: torch.dtype | None = None,
    *,
    schedule: Any = None,
) -> Probe:
    """Return the convention of a denoising network, found by trying it on noisy images.

    Of the ways to give sigma as a second argument the first that can be called is taken: shape (n,), (n, 1, 1, 1), a
    number, a map. Of networks that see the time of a diffusion the linear, scaled linear, cosine and sigmoid schedules of 1000
    times are known, flow matching, and EDM with sigma_data = 1/2. The cosine and the sigmoid schedule are too near to each
    other for a sure answer, and one whose noise levels are within some 20 % of these may be taken for them. Latents cannot be
    probed, as the images tried are none.

    Parameters
    ----------
    net
        Any callable on batches of images, in eval mode.
    shape
        Images to try, (channels, height, width) with sides of at most 256. Larger is surer.
    dtype
        Precision to try. None: that of the weights, or single.
    schedule
        The schedule of a network that sees a time, as `adapt_diffusion` takes it, to be tried instead of the known ones.

    Raises
    ------
    ValueError
        If no convention can be called without an error; the errors are shown.
    RuntimeError
        If the network is in train mode.

    See Also
    --------
    gahb_theory.adapt, gahb_theory.Convention

    Examples
    --------
    >>> import torch
    >>> net = lambda y: y - torch.nn.functional.avg_pool2d(y, 3, stride=1, padding=1)
    >>> probe(net, (1, 32, 32)).convention.prediction
    'residual'
    """
    validate.function(net, "net", "net(y)")
    validate.evaluation_mode(net, "net")
    weight = next(net.parameters(), None) if isinstance(net, nn.Module) else None
    usual = torch.float32 if weight is None else weight.dtype
    dtype = usual if dtype is None else validate.floating(dtype)
    device = torch.device("cpu") if weight is None else weight.device
    channels, height, width = (validate.integer(s, "each of shape", 1, 256) for s in validate.sizes(shape, 3))
    times = [*TIMES.values()] if schedule is None else [_given_schedule(schedule)]
    small, wide = (known_levels(levels, times) for levels in (LEVELS, WIDE_LEVELS))
    if min(len(small), len(wide)) < 2:
        raise ValueError(f"schedule must know two or more of the noise levels {', '.join(map(str, WIDE_LEVELS))}")
    side = max(16, height, width)
    drawn = [c.sample(1, seed=0) for c in (Disks(size=side), CAlpha(alpha=2.0, size=side), Photographs(size=side))]
    clean_images = torch.cat(drawn)[:, :, :height, :width].to(dtype).expand(-1, channels, -1, -1)
    errors: list[str] = []

    def tried(levels: Sequence[float]) -> tuple[Tensor, Tensor, Tensor]:
        """Clean images, noisy ones and noise levels; of another number than the sides, over which levels would broadcast."""
        count = next((k for k in range(3) if (len(levels) - k) * len(clean_images) not in (height, width)), 0)
        sigma = torch.tensor(levels[count:], dtype=dtype, device="cpu").repeat_interleave(len(clean_images))
        x = clean_images.repeat(len(levels) - count, 1, 1, 1)
        return x.to(device), add_noise(x, sigma, seed=1).to(device), sigma.to(device)

    def timed(y: Tensor, sigma: Tensor) -> dict[AnyConvention, Tensor]:
        return {c: estimate for given in times for c, estimate in timed_estimates(net, given, y, sigma, errors)}

    with torch.no_grad():
        x, y, sigma = tried(small)
        estimates: dict[AnyConvention, Tensor] = dict(_plain(net, y, sigma, errors).items())
        ways = {_conditioning(c) for c in estimates}
        if "sigma" in ways or not ways & set(AS_ARGUMENT):
            estimates |= timed(y, sigma)
        if not estimates:
            words = "; ".join(dict.fromkeys(errors))
            raise ValueError(
                f"this network could not be called as any of {', '.join(CALLS.values())} on images of shape "
                f"{(channels, height, width)} and {dtype}: {words if len(words) <= 180 else words[:177] + '...'}"
            )
        result = _judge(net, estimates, x, y, sigma)
        near = [result.convention, *result.tied]
        if all(isinstance(c, Convention) for c in near):
            return result
        # by small noise it sees a time; larger noise tells schedules and predictions apart
        x, y, sigma = tried(wide)
        estimates = {c: e for c, e in _plain(net, y, sigma, errors).items() if c in near}
        result = _judge(net, estimates | timed(y, sigma), x, y, sigma)
        if isinstance(result.convention, Convention):
            return result
        gain = _gain_if_misled(result.convention.denoiser(net), x, y, sigma)
        return replace(result, gain_if_misled=gain, sure=result.sure and gain <= SURE_GAIN_DB)


def _given_schedule(schedule: Any) -> Any:
    """Its convention; refusals name the argument."""
    try:
        return convention_of(schedule)
    except (TypeError, ValueError) as error:
        raise type(error)(f"schedule: {error}") from error


def _gain_if_misled(f: Callable[..., Any], x: Tensor, y: Tensor, sigma: Tensor) -> float:
    """How many dB a denoiser does better at most where it is given another noise level; below 0.1 that says little."""
    psnr_at = [psnr_per_image(x, f(y, sigma * factor)) for factor in (1.0, MISLED, 1 / MISLED)]
    better = torch.stack(psnr_at[1:]) - psnr_at[0]
    levels = [level for level in sorted(set(sigma.tolist())) if level > 0.1]
    return max((float(better[:, sigma == level].mean(1).max()) for level in levels), default=0.0)


def _plain(net: Callable[..., Any], y: Tensor, sigma: Tensor, errors: list[str]) -> dict[Convention, Tensor]:
    """The estimates by every convention of networks that see the noise level, or nothing."""
    estimates: dict[Convention, Tensor] = {}
    for conditioning, (low, high) in product(CALLS, RANGES):
        if conditioning in AS_ARGUMENT and any(
            c.conditioning != conditioning and c.conditioning in AS_ARGUMENT for c in estimates
        ):
            continue
        base = Convention("clean", conditioning, low, high)
        u, s = low + (high - low) * y, (high - low) * sigma
        try:
            returned = call(base, net, u.clone(), s)
        except Exception as error:  # whatever a network raises where it is called as it should not be
            words = " ".join(str(error).split())
            errors.append(f"{conditioning}: {type(error).__name__}: {words[:80]}{'...' if words[80:] else ''}")
            continue
        if not _finite(returned):
            errors.append(f"{conditioning}: it returned values that are not finite")
            continue
        for prediction in ("clean", "residual", "noise", "score"):
            convention = Convention(prediction, conditioning, low, high)  # type: ignore[arg-type, unused-ignore]
            estimates[convention] = (clean(convention, returned, u, s) - low) / (high - low)
    return estimates


def _conditioning(c: Any) -> str:
    return c.conditioning if isinstance(c, Convention) else "time"


def _without_range(c: Any) -> Any:
    return replace(c, low=0.0, high=1.0)


def _words(c: AnyConvention) -> str:
    """A convention in words."""
    if isinstance(c, Convention):
        return f"{CALLS[c.conditioning]} returns the {c.prediction} image in [{c.low:g}, {c.high:g}]"
    return describe(c)


def _judge(
    net: Callable[..., Any], estimates: dict[AnyConvention, Tensor], x: Tensor, y: Tensor, sigma: Tensor
) -> Probe:
    noisy = psnr_per_image(x, y)
    gains = {c: float((psnr_per_image(x, e) - noisy).mean()) if _finite(e) else -300.0 for c, e in estimates.items()}
    ranked = sorted(gains, key=lambda c: gains[c], reverse=True)
    near = [c for c in estimates if gains[c] > gains[ranked[0]] - TIE_DB]  # in the order of trying: the plainest first
    best, tied = near[0], tuple(near[1:])
    others = [gains[c] for c in ranked if c not in near and _without_range(c) != _without_range(best)]
    ranges = [gains[c] for c in ranked if c != best and _without_range(c) == _without_range(best)]
    margin = gains[best] - others[0] if others else float("inf")
    mean, variance = x.mean((1, 2, 3), keepdim=True), x.var((1, 2, 3), keepdim=True, correction=0)
    shrunk = mean + variance / (variance + sigma.reshape(-1, 1, 1, 1) ** 2) * (y - mean)
    shrinkage_gain = float((psnr_per_image(x, shrunk) - noisy).mean())
    floor = max(SURE_GAIN_DB, shrinkage_gain)
    needed = SURE_MARGIN_DB if others and others[0] > floor else SURE_GAIN_DB
    agreed = all(_without_range(c) == _without_range(best) for c in tied)
    f = adapt(net, best)
    estimate = estimates[best]
    doubled = f(2 * y, 2 * sigma) / 2
    return Probe(
        convention=best,
        gain=gains[best],
        margin=margin,
        range_margin=gains[best] - ranges[0] if ranges else float("inf"),
        shrinkage_gain=shrinkage_gain,
        sure=gains[best] > floor and margin > needed and agreed,
        tied=tied,
        uses_sigma=_conditioning(best) != "none" and not same_map(f(y, 2 * sigma), estimate),
        homogeneity_error=float((doubled - estimate).norm() / estimate.norm()),
        gains=tuple((c, gains[c]) for c in ranked),
    )


def _finite(e: Tensor) -> bool:
    return bool(torch.isfinite(e).all())
