"""DRUNet (Zhang, Li, Zuo, Zhang, Van Gool and Timofte 2021): a UNet of residual blocks without additive constants.

    f(y, sigma) = tail(x_1 + up(...)),        x_1 = head([y, sigma]),

with a map of sigma as one more channel, strided 2x2 convolutions down and transposed ones up, skip connections that add, and
blocks z + conv(ReLU(conv(z))). Without additive constants, f(s y, s sigma) = s f(y, sigma) for s > 0. The names of the
tensors are those of the code of KAIR and of deepinv.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.bias_free import initialise
from gahb_theory.denoisers.networks.initialisation import bounded, building
from gahb_theory.denoisers.shapes import divisible

__all__ = ["DRUNet"]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = [nn.Conv2d(channels, channels, 3, padding=1, bias=False) for _ in range(2)]
        self.res = nn.Sequential(convolutions[0], nn.ReLU(inplace=True), convolutions[1])

    def forward(self, z: Tensor) -> Tensor:
        return z + self.res(z)


class DRUNet(Network):
    """A bias-free UNet of residual blocks that sees sigma in one more channel; four scales.

    Parameters
    ----------
    channels
        Channels at the finest scale; 64 as published. They double from one scale to the next.
    blocks
        Residual blocks at each scale; 4 as published.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    References
    ----------
    K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool, R. Timofte, Plug-and-play image restoration with deep denoiser prior,
    IEEE Trans. Pattern Analysis and Machine Intelligence, 2021.

    Examples
    --------
    >>> import torch
    >>> DRUNet(channels=4, blocks=1).eval()(torch.rand(1, 1, 16, 8), 0.1).shape
    torch.Size([1, 1, 16, 8])
    """

    homogeneous = True
    given_sigma = True

    def __init__(self, channels: int = 64, blocks: int = 4, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.blocks = validate.integer(blocks, "blocks", 1)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        widths = [self.channels * 2**scale for scale in range(4)]
        fine, coarse = 2 * sum(w**2 for w in widths[:3]), widths[3] ** 2
        count = 18 * self.blocks * (fine + coarse) + 8 * fine + 9 * self.channels * (2 * self.image_channels + 1)
        bounded(self, count, 14 * self.blocks + 8)
        with building(seed=seed):
            self.m_head = nn.Conv2d(self.image_channels + 1, self.channels, 3, padding=1, bias=False)
            for i, (fine, coarse) in enumerate(pairwise(widths), 1):
                down = nn.Conv2d(fine, coarse, 2, stride=2, bias=False)
                up = nn.ConvTranspose2d(coarse, fine, 2, stride=2, bias=False)
                setattr(self, f"m_down{i}", nn.Sequential(*self._residuals(fine), down))
                setattr(self, f"m_up{i}", nn.Sequential(up, *self._residuals(fine)))
            self.m_body = nn.Sequential(*self._residuals(widths[-1]))
            self.m_tail = nn.Conv2d(self.channels, self.image_channels, 3, padding=1, bias=False)
            initialise(self)

    def _residuals(self, channels: int) -> list[nn.Module]:
        return [_Residual(channels) for _ in range(self.blocks)]

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean images."""
        validate.channels(y, self.image_channels)
        divisible(y, 8)
        z = self.m_head(torch.cat([y, sigma.expand(len(y), 1, *y.shape[2:])], dim=1))
        skips = [z]
        for i in (1, 2, 3):
            z = getattr(self, f"m_down{i}")(z)
            skips.append(z)
        z = self.m_body(z)
        for i in (3, 2, 1):
            z = getattr(self, f"m_up{i}")(z + skips.pop())
        return self.m_tail(z + skips.pop())
