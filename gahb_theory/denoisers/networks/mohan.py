"""The networks of Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda (ICLR 2020), with biases and without.

They show that additive constants tie a network to the noise levels it was trained on, and that without them it works
at others too. Their DnCNN without biases is `BFCNN`; here are DnCNN with biases (Zhang et al. 2017), a UNet with
dilated convolutions, a CNN that is applied again and again to its own output, and the same unrolled with weights of
its own at every stage. All return the clean image; all are blind.
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

__all__ = ["DilatedUNet", "DnCNN", "RecursiveCNN", "StagedCNN"]


class DnCNN(Network):
    """DnCNN: `depth` convolutions with biases, batch normalisation, and a residual connection over all.

    Parameters
    ----------
    channels
        Width; 64 as published.
    depth
        Number of 3x3 convolutions; 20 as published, 17 for grey images of one noise level.
    image_channels
        1 for grey images, 3 for colour.
    normalised
        Whether batch normalisation follows all convolutions but the first and the last; False where it has been merged
        into them.
    output
        Whether the layers give the "residual", which is subtracted from y, or the "clean" image.
    epsilon
        What batch normalisation adds to the variance: 1e-5 in torch, 1e-4 in the code of Zhang et al.
    seed
        Names the initial weights.

    References
    ----------
    K. Zhang, W. Zuo, Y. Chen, D. Meng, L. Zhang, Beyond a Gaussian denoiser, IEEE Trans. Image Processing, 2017.

    See Also
    --------
    gahb_theory.BFCNN, gahb_theory.load_denoiser, gahb_theory.train

    Examples
    --------
    >>> import torch
    >>> DnCNN(channels=4, depth=3).eval()(torch.rand(1, 1, 9, 8), 0.1).shape
    torch.Size([1, 1, 9, 8])
    """

    convention: Tensor

    def __init__(
        self,
        channels: int = 64,
        depth: int = 20,
        image_channels: int = 1,
        *,
        normalised: bool = True,
        output: Literal["clean", "residual"] = "residual",
        epsilon: int | float = 1e-5,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels = channels = validate.integer(channels, "channels", 1)
        self.depth = depth = validate.integer(depth, "depth", 2)
        self.image_channels = image_channels = validate.integer(image_channels, "image_channels", 1)
        self.normalised = validate.flag(normalised, "normalised")
        self.output = validate.one_of(output, "output", ("clean", "residual"))
        self.epsilon = validate.number(epsilon, "epsilon", least=0.0)
        ends = (18 * channels + 1) * image_channels + channels
        inner = 9 * channels**2 + (3 if self.normalised else 1) * channels
        bounded(self, ends + (depth - 2) * inner, depth)
        with building(seed=seed):
            layers: list[nn.Module] = [nn.Conv2d(image_channels, channels, 3, padding=1), nn.ReLU(inplace=True)]
            for _ in range(depth - 2):
                layers += [nn.Conv2d(channels, channels, 3, padding=1)]
                layers += [nn.BatchNorm2d(channels, eps=self.epsilon)] if self.normalised else []
                layers += [nn.ReLU(inplace=True)]
            self.layers = nn.Sequential(*layers, nn.Conv2d(channels, image_channels, 3, padding=1))
            initialise(self)
        if (self.output, self.epsilon) != ("residual", 1e-5):  # the usual one needs no mark in the state
            convention = torch.tensor([float(self.output == "clean"), self.epsilon], dtype=torch.float32)
            self.register_buffer("convention", convention)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """What the layers return, or `y` minus it."""
        validate.channels(y, self.image_channels)
        return self.layers(y) if self.output == "clean" else y - self.layers(y)


class DilatedUNet(Network):
    """A UNet of nine convolutions with one change of scale and dilations 2 and 4 at the coarse one.

    Images of odd height or width are padded by one row or column of zeros, and cropped at the end.

    Parameters
    ----------
    channels
        Width at the fine scale; 32 as published, twice as much at the coarse one.
    image_channels
        1 for grey images, 3 for colour.
    bias
        Whether all convolutions but the last have additive constants.
    output
        Whether the layers give the "clean" image or the "residual", which is subtracted from y.
    seed
        Names the initial weights.

    Examples
    --------
    >>> import torch
    >>> DilatedUNet(channels=4).eval()(torch.rand(1, 1, 9, 7), 0.1).shape
    torch.Size([1, 1, 9, 7])
    """

    def __init__(
        self,
        channels: int = 32,
        image_channels: int = 1,
        *,
        bias: bool = False,
        output: Literal["clean", "residual"] = "clean",
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.channels = c = validate.integer(channels, "channels", 1)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        self.bias, self.output = validate.flag(bias, "bias"), validate.one_of(output, "output", ("clean", "residual"))
        bounded(self, 226 * c**2 + 50 * self.image_channels * c + (13 * c if bias else 0), 9)
        with building(seed=seed):
            relu = nn.ReLU(inplace=True)
            self.fine = nn.Sequential(
                *(nn.Conv2d(image_channels, c, 5, padding=2, bias=bias), relu),
                *(nn.Conv2d(c, c, 3, padding=1, bias=bias), relu),
            )
            self.coarse = nn.Sequential(
                *(nn.Conv2d(c, 2 * c, 3, stride=2, padding=1, bias=bias), relu),
                *(nn.Conv2d(2 * c, 2 * c, 3, padding=1, bias=bias), relu),
                *(nn.Conv2d(2 * c, 2 * c, 3, padding=2, dilation=2, bias=bias), relu),
                *(nn.Conv2d(2 * c, 2 * c, 3, padding=4, dilation=4, bias=bias), relu),
                *(nn.ConvTranspose2d(2 * c, 2 * c, 4, stride=2, padding=1, bias=bias), relu),
            )
            self.last = nn.Sequential(
                *(nn.Conv2d(3 * c, c, 3, padding=1, bias=bias), relu),
                nn.Conv2d(c, image_channels, 5, padding=2, bias=False),
            )
            initialise(self)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean image, at any height and width."""
        validate.channels(y, self.image_channels)
        height, width = y.shape[2:]
        fine = self.fine(nn.functional.pad(y, (0, width % 2, 0, height % 2)))
        out = self.last(torch.cat([self.coarse(fine), fine], dim=1))[:, :, :height, :width]
        return out if self.output == "clean" else y - out


def _stage(inputs: int, outputs: int, channels: int, hidden: int, *, bias: bool, last_bias: bool) -> nn.Sequential:
    widths = [inputs, *[channels] * (hidden + 1)]
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Conv2d(a, b, 3, padding=1, bias=bias), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(channels, outputs, 3, padding=1, bias=last_bias))


class _Stages(Network):
    """What the recursive CNN and its unrolled form have in common; grey images."""

    fewest_hidden = 0

    def __init__(
        self, channels: int = 64, hidden: int = 5, stages: int = 4, *, bias: bool = False, seed: int = 0
    ) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.hidden = validate.integer(hidden, "hidden", self.fewest_hidden)
        self.stages = validate.integer(stages, "stages", 1)
        self.image_channels, self.bias = 1, validate.flag(bias, "bias")
        bounded(self, *self._size())
        with building(seed=seed):
            self.layers = self._build()
            initialise(self)

    def _size(self) -> tuple[int, int]:
        """Number of parameters and of layers."""
        raise NotImplementedError

    def _build(self) -> nn.Module:
        raise NotImplementedError


class RecursiveCNN(_Stages):
    """One CNN applied `stages` times: x_0 = y, x_(t+1) = net(y, x_t); grey images.

    Parameters
    ----------
    channels
        Width; 64 as published.
    hidden
        Number of convolutions between the first and the last; 5 as published.
    stages
        Number of applications; 4 as published. It is not seen in the weights.
    bias
        Whether all convolutions but the last have additive constants.
    seed
        Names the initial weights.

    Examples
    --------
    >>> import torch
    >>> RecursiveCNN(channels=4, hidden=1, stages=2).eval()(torch.rand(1, 1, 8, 8), 0.1).shape
    torch.Size([1, 1, 8, 8])
    """

    layers: nn.Sequential

    def _size(self) -> tuple[int, int]:
        c = self.channels
        return 9 * c * (3 + self.hidden * c) + self.bias * (self.hidden + 1) * c, self.stages * (self.hidden + 2)

    def _build(self) -> nn.Module:
        return _stage(2, 1, self.channels, self.hidden, bias=self.bias, last_bias=False)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The output of the last stage."""
        validate.channels(y, 1)
        x = y
        for _ in range(self.stages):
            x = self.layers(torch.cat([y, x], dim=1))
        return x


class StagedCNN(_Stages):
    """The recursive CNN unrolled: every stage has weights of its own and hands `hidden` channels to the next.

    Parameters
    ----------
    channels
        Width; 64 as published.
    hidden
        Number of convolutions between the first and the last of a stage, and of channels between stages; 5 as
        published.
    stages
        Number of stages; 4 as published.
    bias
        Whether all convolutions but the very last have additive constants.
    seed
        Names the initial weights.

    Examples
    --------
    >>> import torch
    >>> StagedCNN(channels=4, hidden=2, stages=2).eval()(torch.rand(1, 1, 8, 8), 0.1).shape
    torch.Size([1, 1, 8, 8])
    """

    layers: nn.ModuleList
    fewest_hidden = 1

    def _size(self) -> tuple[int, int]:
        c, h, n = self.channels, self.hidden, self.stages
        outside = 2 + (n - 1) * (2 * h + 1)  # channels that enter and leave, over all stages
        biases = n * (h + 1) * c + (n - 1) * h
        return 9 * c * (n * h * c + outside) + self.bias * biases, n * (h + 2)

    def _build(self) -> nn.Module:
        layers = nn.ModuleList()
        for i in range(self.stages):
            last = i == self.stages - 1
            inputs, outputs = 1 if i == 0 else self.hidden + 1, 1 if last else self.hidden
            bias = self.bias and not last
            layers.append(_stage(inputs, outputs, self.channels, self.hidden, bias=self.bias, last_bias=bias))
        return layers

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The output of the last stage."""
        validate.channels(y, 1)
        x = self.layers[0](y)
        for stage in self.layers[1:]:
            x = stage(torch.cat([y, x], dim=1))
        return x
