"""A UNet that sees sigma, with additive constants: the usual network of diffusion models, in small.

The counterpart of the paper's `UNet` in every other respect: convolutions of 3x3, scales by average pooling, skip
connections. The noise level enters as a scale and a shift of the channels after each normalisation (Perez et al. 2018;
Ho, Jain and Abbeel 2020), and the output is preconditioned as `gahb_theory.denoisers.networks.transformer` states.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import initialise
from gahb_theory.denoisers.networks.initialisation import bounded, building
from gahb_theory.denoisers.networks.transformer import NoiseEmbedding, embedding_size, precondition
from gahb_theory.denoisers.shapes import divisible

__all__ = ["ConditionedUNet"]


class _Layer(nn.Module):
    """Convolution, group norm, modulation by the noise level, SiLU."""

    def __init__(self, inputs: int, outputs: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(min(8, outputs), outputs)
        self.modulation = nn.Linear(width, 2 * outputs)

    def forward(self, z: Tensor, level: Tensor) -> Tensor:
        scale, shift = self.modulation(level)[:, :, None, None].chunk(2, dim=1)
        return nn.functional.silu(self.norm(self.convolution(z)) * (1 + scale) + shift)


class ConditionedUNet(Network):
    """A UNet conditioned on sigma.

    Parameters
    ----------
    channels
        Channels at the finest scale, a multiple of 8 or below 8; they double from one scale to the next.
    blocks
        Number of 2x2 average poolings. Height and width must be multiples of 2^blocks.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    Examples
    --------
    >>> import torch
    >>> f = ConditionedUNet(channels=8, blocks=2).eval()
    >>> f(torch.rand(2, 1, 16, 16), torch.tensor([0.1, 0.5])).shape
    torch.Size([2, 1, 16, 16])
    """

    given_sigma = True

    def __init__(self, channels: int = 32, blocks: int = 3, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = channels = validate.integer(channels, "channels", 1)
        if channels > 8 and channels % 8:
            raise ValueError(f"channels must be a multiple of 8, or at most 8, got {channels}")
        self.blocks = validate.integer(blocks, "blocks", 1, 8)
        self.image_channels = image_channels = validate.integer(image_channels, "image_channels", 1)
        widths = [channels * 2**b for b in range(self.blocks + 1)]
        width = 4 * channels
        shapes = [(image_channels, channels), (channels, channels)]
        for v, w in pairwise(widths):
            shapes += [(v, w), (w, w), (v + w, v), (v, v)]
        inner = sum(9 * a * b + 5 * b + 2 * width * b for a, b in shapes)
        bounded(self, inner + embedding_size(width) + (9 * channels + 1) * image_channels, len(shapes) + 4)
        with building(seed=seed):
            self.level = NoiseEmbedding(width)
            first = nn.ModuleList([_Layer(image_channels, channels, width), _Layer(channels, channels, width)])
            self.encoder = nn.ModuleList([first])
            for inputs, outputs in pairwise(widths):
                self.encoder.append(nn.ModuleList([_Layer(inputs, outputs, width), _Layer(outputs, outputs, width)]))
            self.decoder = nn.ModuleList()
            for outputs, inputs in reversed(list(pairwise(widths))):
                pair = [_Layer(inputs + outputs, outputs, width), _Layer(outputs, outputs, width)]
                self.decoder.append(nn.ModuleList(pair))
            self.last = nn.Conv2d(channels, image_channels, 3, padding=1)
            initialise(self)
            nn.init.zeros_(self.last.weight)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean images."""
        validate.channels(y, self.image_channels)
        divisible(y, 2**self.blocks, "2^blocks")
        z, skip, out = precondition(y, sigma)
        level = self.level(sigma.flatten().expand(len(y)))
        skips: list[Tensor] = []
        for i, pair in enumerate(self.encoder):
            z = nn.functional.avg_pool2d(z, 2) if i else z
            for layer in pair:  # type: ignore[attr-defined]
                z = layer(z, level)
            skips.append(z)
        skips.pop()
        for pair in self.decoder:
            up = nn.functional.interpolate(z, scale_factor=2.0, mode="nearest")
            z = torch.cat([up, skips.pop()], dim=1)
            for layer in pair:  # type: ignore[attr-defined]
                z = layer(z, level)
        return 0.5 + skip * (y - 0.5) + out * self.last(z)
