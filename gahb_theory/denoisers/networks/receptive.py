"""Bias-free CNNs whose receptive field is set apart from their depth.

A stack of convolutions with kernels k_1, ..., k_L sees a window of 1 + sum_l (k_l - 1) pixels; with 1x1 kernels among
3x3 ones the depth and nearly the number of nonlinearities stay the same while the window shrinks. Kadkhodaie, Guth,
Mallat and Simoncelli (ICLR 2023) use this to show that small windows suffice once the coarse image is given:

    f(y, c) = y - net(c, y),        c the coarse image, y the noisy details of a wavelet level.

The first layer is linear here, as in their networks: the first ReLU comes after the second convolution.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import BiasFreeNorm, initialise
from gahb_theory.denoisers.networks.initialisation import MOST_LAYERS, bounded, building

__all__ = ["WindowedCNN", "kernels_for"]


def kernels_for(receptive_field: int, depth: int = 21) -> tuple[int, ...]:
    """Kernel sizes of `depth` layers whose receptive field is the one given: 3 at both ends, the others spread evenly.

    Parameters
    ----------
    receptive_field
        An odd number from 5 to 2 depth + 1.
    depth
        Number of layers, at least 2.

    Examples
    --------
    >>> kernels_for(9, depth=6)
    (3, 1, 3, 1, 3, 3)
    """
    depth = validate.integer(depth, "depth", 2, MOST_LAYERS)
    validate.integer(receptive_field, f"receptive_field at depth {depth}", 5, 2 * depth + 1)
    receptive_field = validate.odd(receptive_field, "receptive_field")
    inner, wide = depth - 2, (receptive_field - 5) // 2
    spread = [3 if (i + 1) * wide // inner > i * wide // inner else 1 for i in range(inner)] if inner else []
    return (3, *spread, 3)


class WindowedCNN(Network):
    """A bias-free CNN with a kernel size for each layer, blind, and with a coarse image as condition where wanted.

    Parameters
    ----------
    channels
        Width; 64 in the paper.
    kernels
        Odd kernel size of each layer, at least two of them; see `kernels_for`.
    image_channels
        Channels that are denoised: 1 for grey images, 3 for the details of a wavelet level of a grey image.
    coarse_channels
        Channels of the condition; they come first in the input and do not appear in the output.
    first
        What follows the first convolution: "linear" (nothing) or "relu".
    seed
        Names the initial weights.

    Examples
    --------
    >>> f = WindowedCNN(channels=8, kernels=kernels_for(9, depth=6)).eval()
    >>> f.receptive_field
    9
    """

    homogeneous = True

    def __init__(
        self,
        channels: int = 64,
        kernels: Sequence[int] = (3,) * 21,
        image_channels: int = 1,
        coarse_channels: int = 0,
        first: Literal["linear", "relu"] = "linear",
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.kernels = validate.integers(kernels, "kernels", 1)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        self.coarse_channels = validate.integer(coarse_channels, "coarse_channels", 0)
        if len(self.kernels) < 2 or any(k % 2 == 0 for k in self.kernels):
            raise ValueError(f"kernels must be at least two odd sizes, got {self.kernels}; see kernels_for")
        self.first = validate.one_of(first, "first", ("linear", "relu"))
        w, out = self.channels, self.image_channels
        widths = [out + self.coarse_channels, *[w] * (len(self.kernels) - 1), out]
        count = sum(a * b * k**2 for (a, b), k in zip(pairwise(widths), self.kernels, strict=True))
        bounded(self, count + w * (len(self.kernels) - 2), len(self.kernels))
        with building(seed=seed):
            convolutions = [
                nn.Conv2d(a, b, k, padding=k // 2, bias=False)
                for (a, b), k in zip(pairwise(widths), self.kernels, strict=True)
            ]
            layers: list[nn.Module] = [convolutions[0]]
            layers += [nn.ReLU(inplace=True)] if first == "relu" else []
            for convolution in convolutions[1:-1]:
                layers += [convolution, BiasFreeNorm(w), nn.ReLU(inplace=True)]
            self.layers = nn.Sequential(*layers, convolutions[-1])
            initialise(self)

    @property
    def receptive_field(self) -> int:
        """Side of the window that one pixel of the output sees."""
        return 1 + sum(k - 1 for k in self.kernels)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n k h w"]:
        """`y` minus the predicted noise, without the condition."""
        validate.channels(y, self.image_channels + self.coarse_channels)
        return y[:, self.coarse_channels :] - self.layers(y)
