"""FFDNet (Zhang, Zuo and Zhang 2018): a CNN on the four interleaved quarters of an image and a map of the noise level.

    f(y, sigma) = up(net(down(y), sigma)),

where `down` puts each 2x2 block of pixels into channels and `up` is its inverse. With scale 1 it is FDnCNN of the same
authors: a CNN on the image and the map. Odd sides are padded by the last row or column, and cropped at the end. The names
of the tensors are those of the code of KAIR, model.0, model.2, ...
"""

from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import initialise
from gahb_theory.denoisers.networks.initialisation import bounded, building

__all__ = ["FFDNet"]


class FFDNet(Network):
    """A CNN with biases and without normalisation that sees sigma in one more channel.

    Parameters
    ----------
    channels
        Width; 64 for grey images and 96 for colour as published.
    depth
        Number of 3x3 convolutions; 15 for grey images and 12 for colour as published.
    image_channels
        1 for grey images, 3 for colour.
    scale
        Side of the blocks of pixels that become channels; 2 as published, 1 for FDnCNN.
    noise_map
        Whether the channel of noise levels is the "last" of the input, as published, or the "first".
    output
        Whether the layers give the "clean" image, as published, or the "residual", which is subtracted from y.
    seed
        Names the initial weights.

    References
    ----------
    K. Zhang, W. Zuo, L. Zhang, FFDNet: toward a fast and flexible solution for CNN based image denoising, IEEE Trans. Image
    Processing, 2018.

    Examples
    --------
    >>> import torch
    >>> FFDNet(channels=4, depth=3).eval()(torch.rand(2, 1, 9, 8), torch.tensor([0.1, 0.2])).shape
    torch.Size([2, 1, 9, 8])
    """

    given_sigma = True

    def __init__(
        self,
        channels: int = 64,
        depth: int = 15,
        image_channels: int = 1,
        *,
        scale: int = 2,
        noise_map: Literal["first", "last"] = "last",
        output: Literal["clean", "residual"] = "clean",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.depth = validate.integer(depth, "depth", 2)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        self.scale = validate.integer(scale, "scale", 1, 8)
        self.noise_map = validate.one_of(noise_map, "noise_map", ("first", "last"))
        self.output = validate.one_of(output, "output", ("clean", "residual"))
        outputs = self.image_channels * self.scale**2
        inner, ends = (9 * self.channels + 1) * self.channels, (18 * outputs + 10) * self.channels + outputs
        bounded(self, ends + (self.depth - 2) * inner, self.depth)
        with building(seed=seed):
            layers: list[nn.Module] = []
            for a, b in pairwise([outputs + 1, *[self.channels] * (self.depth - 1), outputs]):
                layers += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(inplace=True)]
            self.model = nn.Sequential(*layers[:-1])
            initialise(self)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """What the layers give at the scale of the image, or y minus it."""
        validate.channels(y, self.image_channels)
        height, width = y.shape[2:]
        padded = nn.functional.pad(y, (0, -width % self.scale, 0, -height % self.scale), mode="replicate")
        z = nn.functional.pixel_unshuffle(padded, self.scale)
        level = sigma.expand(len(z), 1, *z.shape[2:])
        z = self.model(torch.cat([z, level] if self.noise_map == "last" else [level, z], dim=1))
        out = nn.functional.pixel_shuffle(z, self.scale)[:, :, :height, :width]
        return out if self.output == "clean" else y - out
