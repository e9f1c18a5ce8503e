"""The two bias-free networks of the paper: UNet and BF-CNN.

Without additive constants a network of convolutions, ReLUs and normalisations by a fixed scale is piecewise linear and
homogeneous of order 1,

    f(s y) = s f(y) (s > 0),        f(y) = J(y) y = sum_k lambda_k(y) <y, e_k(y)> e_k(y),

a shrinkage in a basis adapted to y (Mohan, Kadkhodaie, Simoncelli and Fernandez-Granda 2020; Kadkhodaie et al. 2024,
equation 6). Both predict the noise; the denoiser returns y minus the prediction. Both are blind: they do not see sigma.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.initialisation import MOST_PARAMETERS, bounded, building
from gahb_theory.denoisers.shapes import divisible

__all__ = ["BFCNN", "BiasFreeNorm", "UNet", "initialise"]

EPSILON = 1e-5


class BiasFreeNorm(nn.Module):
    """Batch normalisation without additive terms: x gamma / sd, one sd and one gamma per channel.

    In training sd is sqrt(var + 1e-5) over batch, height and width, and its running mean (momentum 0.1) is updated; in
    eval mode the running mean is used, which makes the layer linear. The mean is not subtracted.

    Parameters
    ----------
    channels
        Number of channels.
    generator
        Draws the initial gammas; None takes a new one of seed 0.
    """

    running_sd: Tensor

    def __init__(self, channels: int, generator: torch.Generator | None = None) -> None:
        super().__init__()
        channels = validate.integer(channels, "channels", 1, MOST_PARAMETERS)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise TypeError(f"generator must be a torch.Generator, or None, got {type(generator).__name__}")
        with building() as default:
            gamma = torch.empty(channels).normal_(0, 2 / 9 / 64, generator=generator or default)
            self.gamma = nn.Parameter(gamma.clamp_(-0.025, 0.025))
            self.register_buffer("running_sd", torch.ones(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """Scale each channel."""
        if not isinstance(x, Tensor) or x.ndim != 4 or x.shape[1] != len(self.gamma):
            given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise TypeError(f"x must be a tensor of shape (n, {len(self.gamma)}, height, width), got {given}")
        if not self.training:
            return x * (self.gamma / self.running_sd)[:, None, None]
        alike = x.device.type == "cpu" and x.dtype == self.gamma.dtype  # neither a GPU nor autocast
        scaled, sd = (_Scaled.apply if alike else _scaled)(x, self.gamma)
        with torch.no_grad():
            self.running_sd.lerp_(sd.to(self.running_sd.dtype), 0.1)
        return scaled


def _scaled(x: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
    """x gamma / sd, and sd without a gradient."""
    sd = torch.sqrt(x.var(dim=(0, 2, 3), unbiased=False) + EPSILON)
    return x * (gamma / sd)[:, None, None], sd.detach()


class _Scaled(torch.autograd.Function):
    """The same by torch's loops of batch normalisation on CPUs: `var` and its gradient take five times as long.

    With u = x / sd, the gradient of a loss with gradient g at the output is, means being those of a channel,

        dx = gamma / sd (g - (x - mean(x)) / sd mean(g u)),        dgamma = sum(g u) .

    Batch normalisation of inputs of mean 0 has dx = gamma / sd (g - mean(g) - u mean(g u)), which lacks a constant.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        mean, variance = torch.batch_norm_update_stats(x, None, None, 0.0)
        sd = variance.add_(EPSILON).sqrt_()
        inverse = sd.reciprocal()
        scale = gamma * inverse
        ctx.save_for_backward(x, gamma, mean, inverse, scale)
        ctx.mark_non_differentiable(sd)
        return x * scale[:, None, None], sd

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        x, gamma, mean, inverse, scale = ctx.saved_tensors
        dx, dgamma, total = torch.ops.aten.native_batch_norm_backward.default(
            g, x, gamma, None, None, torch.zeros_like(mean), inverse, True, EPSILON, [True, True, True]
        )
        constant = total.addcmul_(mean * inverse, dgamma).mul_(scale).div_(x.numel() / len(gamma))
        return dx.add_(constant[:, None, None]), dgamma


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


def _conv_norm_relu(inputs: int, outputs: int, generator: torch.Generator) -> list[nn.Module]:
    return [_conv(inputs, outputs), BiasFreeNorm(outputs, generator), nn.ReLU(inplace=True)]


def _pair(inputs: int, outputs: int, generator: torch.Generator) -> list[nn.Module]:
    return _conv_norm_relu(inputs, outputs, generator) + _conv_norm_relu(outputs, outputs, generator)


def initialise(network: nn.Module) -> None:
    """He initialisation (2015) of the convolutions, as the authors do; biases are 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class UNet(Network):
    """The paper's bias-free UNet: `blocks` scales, channels doubling from one to the next, skip connections.

    Parameters
    ----------
    channels
        Channels at the finest scale; 64 in the paper.
    blocks
        Number of 2x2 average poolings; 3 in the paper. Height and width must be multiples of 2^blocks.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    Notes
    -----
    7,659,264 parameters at channels=64, blocks=3. A new network is in training mode; call `.eval()` before using it.

    See Also
    --------
    gahb_theory.BFCNN, gahb_theory.Conservative, gahb_theory.train

    Examples
    --------
    >>> import torch
    >>> f = UNet(channels=8, blocks=2).eval()
    >>> f(torch.rand(1, 1, 32, 32), 0.1).shape
    torch.Size([1, 1, 32, 32])
    """

    homogeneous = True

    def __init__(self, channels: int = 64, blocks: int = 3, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.blocks = validate.integer(blocks, "blocks", 1, 8)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        widths = [self.channels * 2**b for b in range(self.blocks + 1)]
        inner = sum(27 * v**2 + 13 * v * w + 9 * w**2 + 2 * v + 2 * w for v, w in pairwise(widths))
        bounded(self, inner + 18 * self.image_channels * self.channels, 5 * self.blocks + 2)
        with building(seed=seed) as generator:
            self._build(widths, generator)
            initialise(self)

    def _build(self, widths: list[int], generator: torch.Generator) -> None:
        channels, image_channels = self.channels, self.image_channels
        first = [
            _conv(image_channels, channels),
            nn.ReLU(inplace=True),
            *_conv_norm_relu(channels, channels, generator),
        ]
        self.encoder = nn.ModuleList([nn.Sequential(*first)])
        for inputs, outputs in pairwise(widths[:-1]):
            self.encoder.append(nn.Sequential(*_pair(inputs, outputs, generator)))
        self.middle = nn.Sequential(*_pair(widths[-2], widths[-1], generator))
        self.upsample = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for outputs, inputs in reversed(list(pairwise(widths))):
            self.upsample.append(nn.ConvTranspose2d(inputs, outputs, 2, stride=2, bias=False))
            inner = outputs != channels
            last = _conv_norm_relu(outputs, outputs, generator) if inner else [_conv(outputs, image_channels)]
            self.decoder.append(nn.Sequential(*_conv_norm_relu(2 * outputs, outputs, generator), *last))

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        validate.channels(y, self.image_channels)
        divisible(y, 2**self.blocks, "2^blocks")
        skips = []
        z = y
        for block in self.encoder:
            z = block(z)
            skips.append(z)
            z = nn.functional.avg_pool2d(z, 2)
        z = self.middle(z)
        for up, block in zip(self.upsample, self.decoder, strict=True):
            z = block(torch.cat([up(z), skips.pop()], dim=1))
        return y - z


class BFCNN(Network):
    """The paper's bias-free CNN: `depth` convolutions of one width, at one scale.

    Parameters
    ----------
    channels
        Width; 64 in the paper.
    depth
        Number of 3x3 convolutions; 21 in the paper. The receptive field is 2 depth + 1.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    Notes
    -----
    702,784 parameters at channels=64, depth=21. Any height and width.

    See Also
    --------
    gahb_theory.UNet, gahb_theory.DnCNN, gahb_theory.train

    Examples
    --------
    >>> sum(p.numel() for p in BFCNN().parameters())
    702784
    """

    homogeneous = True

    def __init__(self, channels: int = 64, depth: int = 21, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.depth = validate.integer(depth, "depth", 2)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        width, outside = self.channels, self.image_channels
        bounded(self, 18 * outside * width + (self.depth - 2) * (9 * width**2 + width), self.depth)
        with building(seed=seed) as generator:
            layers = [_conv(outside, width), nn.ReLU(inplace=True)]
            for _ in range(self.depth - 2):
                layers += _conv_norm_relu(width, width, generator)
            self.layers = nn.Sequential(*layers, _conv(width, outside))
            initialise(self)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        validate.channels(y, self.image_channels)
        return y - self.layers(y)
