"""Whether images fit a denoiser that is made for one shape, or for sides that can be halved."""

from collections.abc import Sequence

from torch import Tensor

from gahb_theory import validate

__all__ = ["divisible", "fitting"]


def fitting(y: Tensor, known: Tensor | Sequence[int]) -> None:
    """Refuse images of another shape, or on another device, than those that a denoiser is made for.

    Parameters
    ----------
    y
        Noisy images, shape (n, channels, height, width).
    known
        Images that the denoiser holds, or the shape (channels, height, width) of one.
    """
    shape = tuple(known.shape[1:] if isinstance(known, Tensor) else known)
    if y.shape[1:] != shape:
        raise ValueError(
            f"this denoiser knows images of shape {shape}, got images of shape {tuple(y.shape[1:])}; crop or resize them"
        )
    if isinstance(known, Tensor):
        validate.same_device(known, y, "what this denoiser knows")


def divisible(y: Tensor, step: int, name: str = "") -> None:
    """Refuse images whose sides are not multiples of `step`, which is the value of the expression `name`."""
    if y.shape[2] % step or y.shape[3] % step:
        fit = tuple(max(step, side // step * step) for side in y.shape[2:])
        raise ValueError(
            f"height and width must be multiples of {name and f'{name} = '}{step}, got {tuple(y.shape[2:])}; "
            f"crop or pad the images, for example to {fit}"
        )
