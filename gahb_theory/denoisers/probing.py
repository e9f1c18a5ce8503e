"""The convention of a network, found by trying.

A network that removes noise by one convention and not by the others has that one. Every convention is tried on
known images (a disk, a C^2 image, a photograph) at several noise levels; its gain is the mean over images
and levels of output PSNR minus input PSNR. Conventions within half a decibel of the best are tied and the plainest of them
is taken: networks without additive constants hardly care whether white is 1 or 255, or whether black is 0 or -1. The
distance to the best convention that is not tied says how sure the answer is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.adapters import Conditioning, Convention, adapt, call, clean
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
TIE_DB, SURE_GAIN_DB, SURE_MARGIN_DB = 0.5, 1.0, 2.0


@dataclass(frozen=True, repr=False)
class Probe(Result):
    """The convention of a network, and how sure the answer is.

    Parameters
    ----------
    convention
        The plainest of the conventions that denoise best. Give it to `adapt`.
    gain
        Its gain in dB.
    margin
        Its distance in dB to the best convention that is not tied with it.
    sure
        Whether it denoises (gain above 1 dB), no other convention comes near (margin above 2 dB), and those tied with
        it differ in the range alone.
    tied
        Other conventions that do as well, within 0.5 dB.
    uses_sigma
        Whether its output depends on the sigma it is given; False where it takes none.
    homogeneity_error
        Relative distance of f(2 y) / 2 and f(y), sigma doubled too, by the convention found: 0 without additive constants.
    gains
        Every convention that could be called, with its gain in dB, the best first.
    """

    convention: Convention
    gain: float
    margin: float
    sure: bool
    tied: tuple[Convention, ...]
    uses_sigma: bool
    homogeneity_error: float
    gains: tuple[tuple[Convention, float], ...]

    def __str__(self) -> str:
        c = self.convention
        call = CALLS[c.conditioning]
        answer = "sure" if self.sure else "NOT sure"
        return (
            f"{call} returns the {c.prediction} image in [{c.low:g}, {c.high:g}]: {answer}; gains {self.gain:.1f} dB, "
            f"{self.margin:.1f} dB more than any convention that is not tied with it; tied: {len(self.tied)}"
        )


def probe(net: Callable[..., Any], shape: Sequence[int] = (1, 64, 64), dtype: torch.dtype | None = None) -> Probe:
    """Return the convention of a denoising network, found by trying it on noisy images.

    Of the ways to give sigma as a second argument the first that can be called is taken: shape (n,), (n, 1, 1, 1), a
    number, a map. Networks that see a diffusion time cannot be probed without their schedule; use `adapt_diffusion`.

    Parameters
    ----------
    net
        Any callable on batches of images, in eval mode.
    shape
        Images to try, (channels, height, width) with sides of at most 256. Larger is surer.
    dtype
        Precision to try. None: that of the weights, or single.

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
    side = max(16, height, width)
    drawn = [c.sample(1, seed=0) for c in (Disks(size=side), CAlpha(alpha=2.0, size=side), Photographs(size=side))]
    x = torch.cat(drawn)[:, :, :height, :width].to(dtype).expand(-1, channels, -1, -1)
    # a batch of another size than the sides: else levels of shape (n,) broadcast over the columns unnoticed
    levels = next(LEVELS[k:] for k in range(3) if (len(LEVELS) - k) * len(x) not in (height, width))
    sigma = torch.tensor(levels, dtype=dtype, device="cpu").repeat_interleave(len(x))
    x = x.repeat(len(levels), 1, 1, 1)
    x, y, sigma = (t.to(device) for t in (x, add_noise(x, sigma, seed=1), sigma))
    estimates: dict[Convention, Tensor] = {}
    errors: list[str] = []
    with torch.no_grad():
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
        if not estimates:
            words = "; ".join(dict.fromkeys(errors))
            raise ValueError(
                f"this network could not be called as any of {', '.join(CALLS.values())} on images of shape "
                f"{(channels, height, width)} and {dtype}: {words if len(words) <= 180 else words[:177] + '...'}"
            )
        return _judge(net, estimates, x, y, sigma)


def _judge(net: Callable[..., Any], estimates: dict[Convention, Tensor], x: Tensor, y: Tensor, sigma: Tensor) -> Probe:
    noisy = psnr_per_image(x, y)
    gains = {c: float((psnr_per_image(x, e) - noisy).mean()) if _finite(e) else -300.0 for c, e in estimates.items()}
    ranked = sorted(gains, key=lambda c: gains[c], reverse=True)
    near = [c for c in estimates if gains[c] > gains[ranked[0]] - TIE_DB]  # in the order of trying: the plainest first
    best, tied = near[0], tuple(near[1:])
    others = [gains[c] for c in ranked if c not in near]
    margin = gains[best] - others[0] if others else float("inf")
    agreed = all((c.prediction, c.conditioning) == (best.prediction, best.conditioning) for c in tied)
    f = adapt(net, best)
    estimate = estimates[best]
    doubled = f(2 * y, 2 * sigma) / 2
    return Probe(
        convention=best,
        gain=gains[best],
        margin=margin,
        sure=gains[best] > SURE_GAIN_DB and margin > SURE_MARGIN_DB and agreed,
        tied=tied,
        uses_sigma=best.conditioning != "none" and not _same_map(f(y, 2 * sigma), estimate),
        homogeneity_error=float((doubled - estimate).norm() / estimate.norm()),
        gains=tuple((c, gains[c]) for c in ranked),
    )


def _finite(e: Tensor) -> bool:
    return bool(torch.isfinite(e).all())


def _same_map(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).norm() <= 1e-3 * b.norm())
