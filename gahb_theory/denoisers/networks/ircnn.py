"""IRCNN (Zhang, Zuo, Gu and Zhang 2017): seven dilated convolutions that predict the noise of one noise level.

    f(y) = y - net(y),        dilations 1, 2, 3, 4, 3, 2, 1,        ReLU between, biases, no normalisation.

The receptive field is 33 pixels. Published for 25 noise levels, a network for each; the names of the tensors are those of
the code of KAIR, model.0, model.2, ..., model.12.
"""

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import initialise
from gahb_theory.denoisers.networks.initialisation import bounded, building

__all__ = ["IRCNN"]

DILATIONS = (1, 2, 3, 4, 3, 2, 1)


class IRCNN(Network):
    """Seven dilated convolutions with biases; blind, returns y minus the predicted noise.

    Parameters
    ----------
    channels
        Width; 64 as published.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    References
    ----------
    K. Zhang, W. Zuo, S. Gu, L. Zhang, Learning deep CNN denoiser prior for image restoration, CVPR 2017.

    Examples
    --------
    >>> import torch
    >>> IRCNN(channels=4).eval()(torch.rand(1, 1, 9, 8), 0.1).shape
    torch.Size([1, 1, 9, 8])
    """

    def __init__(self, channels: int = 64, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        widths = [self.image_channels, *[self.channels] * 6, self.image_channels]
        bounded(self, sum((9 * a + 1) * b for a, b in pairwise(widths)), len(DILATIONS))
        with building(seed=seed):
            layers: list[nn.Module] = []
            for (a, b), d in zip(pairwise(widths), DILATIONS, strict=True):
                layers += [nn.Conv2d(a, b, 3, padding=d, dilation=d), nn.ReLU(inplace=True)]
            self.model = nn.Sequential(*layers[:-1])
            initialise(self)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        validate.channels(y, self.image_channels)
        return y - self.model(y)
