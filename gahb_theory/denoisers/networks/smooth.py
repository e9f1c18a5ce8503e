"""A UNet that is homogeneous and smooth, for energies.

Convolutions z without additive constants, with a smooth activation, are not homogeneous; on normalised images they are:

    N(y) = y - P r z(P y / r),        P y = y - mean of y,        r = ||P y|| / sqrt(d),        N(s y) = s N(y) for s > 0,

d the number of values. By Euler's theorem N(y) = J_N(y) y, as for the networks of ReLUs, though N is linear nowhere. It also
commutes with changes of brightness, N(y + c) = N(y) + c: it is normalisation-equivariant (Herbreteau, Moebel and Kervrann
2023). A network that is given the noise level keeps both where it sees sigma / r,

    N(y, sigma) = y - P r z(P y / r, log(sigma / r)),        N(s y, s sigma) = s N(y, sigma) .

`Conservative` takes the gradient of the energy 1/2 <y, N(y)>. It holds J_N^T y, which jumps from one linear region of a
network of ReLUs to the next, and the gradient with respect to the weights, by which it is trained, does not see where the
jumps are. The exponential linear unit

    a(t) = t for t > 0,  exp(t) - 1 for t <= 0

(Clevert, Unterthiner and Hochreiter 2016) has a continuous derivative, and the denoiser is continuous. Hurault, Leclaire and
Papadakis (2022) take it for the same reason. `experiments/asymmetry.py` measures what this is worth.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.initialisation import bounded, building
from gahb_theory.denoisers.shapes import divisible

__all__ = ["SmoothConditionedUNet", "SmoothUNet"]

GAIN = 0.4
"""Factor of the weights between features, which are larger by its inverse: the steps of the default recipe suit them."""
SPREAD = 1.245
"""Times a standard normal number, the exponential linear unit of it has the mean square 1."""
LAST = 0.1
"""The prediction of the noise is small at first."""
FLOOR = 1e-6
"""The least sigma^2 / r^2 that a network sees: -1/2 log of it is 6.9, and sigma = 0 is a noise level."""


class _Convolution(nn.Conv2d):
    """3x3, of GAIN times its weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, GAIN * self.weight, padding=1)


class _Upsampling(nn.ConvTranspose2d):
    """2x2, of stride 2, of GAIN times its weights."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 2, stride=2, bias=False)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        return nn.functional.conv_transpose2d(x, GAIN * self.weight, stride=2)


def _stage(inputs: int, middle: int, outputs: int) -> nn.Sequential:
    """Two convolutions, each with its activation."""
    return nn.Sequential(_Convolution(inputs, middle), nn.ELU(), _Convolution(middle, outputs), nn.ELU())


class SmoothUNet(Network):
    """A UNet of exponential linear units on images of mean 0 and deviation 1: the network to be made conservative.

    The sizes are those of `UNet`. It is blind, homogeneous of order 1, continuously differentiable, and commutes with changes
    of brightness. It has no additive constants and no normalisation of features.

    Parameters
    ----------
    channels
        Channels at the finest scale.
    blocks
        Number of 2x2 average poolings. Height and width must be multiples of 2^blocks.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    References
    ----------
    D.-A. Clevert, T. Unterthiner, S. Hochreiter, Fast and accurate deep network learning by exponential linear units
    (ELUs), ICLR 2016. S. Herbreteau, E. Moebel, C. Kervrann, Normalization-equivariant neural networks with application to
    image denoising, NeurIPS 2023. S. Hurault, A. Leclaire, N. Papadakis, Gradient step denoiser for convergent
    plug-and-play, ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> from gahb_theory.denoisers import Conservative
    >>> f = Conservative(SmoothUNet(channels=4, blocks=1)).eval()
    >>> y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> bool((f(3 * y, 0.3) - 3 * f(y, 0.1)).abs().max() < 1e-5)
    True
    """

    homogeneous = True
    levels = 0
    """Channels beside those of the image."""

    def __init__(self, channels: int = 64, blocks: int = 3, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.channels = validate.integer(channels, "channels", 1)
        self.blocks = validate.integer(blocks, "blocks", 1, 8)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        widths = [self.channels * 2**b for b in range(self.blocks + 1)]
        inner = sum(27 * v**2 + 13 * v * w + 9 * w**2 for v, w in pairwise(widths))
        bounded(self, inner + 9 * (2 * self.image_channels + self.levels) * self.channels, 5 * self.blocks + 2)
        with building(seed=seed):
            self._build(widths)
            self._initialise()

    def _build(self, widths: list[int]) -> None:
        width = self.channels
        entry = nn.Conv2d(self.image_channels + self.levels, width, 3, padding=1, bias=False)
        self.encoder = nn.ModuleList([nn.Sequential(entry, nn.ELU(), _Convolution(width, width), nn.ELU())])
        self.encoder.extend(_stage(v, w, w) for v, w in pairwise(widths[:-1]))
        self.deepest = _stage(widths[-2], widths[-1], widths[-1])
        self.upsample = nn.ModuleList(_Upsampling(w, v) for v, w in reversed(list(pairwise(widths))))
        self.decoder = nn.ModuleList(_stage(2 * v, v, v) for v in widths[-2:0:-1])
        self.decoder.append(nn.Sequential(_Convolution(2 * width, width), nn.ELU()))
        self.exit = nn.Conv2d(width, self.image_channels, 3, padding=1, bias=False)

    @torch.no_grad()
    def _initialise(self) -> None:
        """Mean square 1 in all features of white noise (He et al. 2015), and LAST in what comes out."""
        for module in self.modules():
            if isinstance(module, _Upsampling):
                nn.init.normal_(module.weight, 0, 1 / GAIN / module.in_channels**0.5)
            elif isinstance(module, nn.Conv2d):
                gain = GAIN if isinstance(module, _Convolution) else 1.0
                nn.init.normal_(module.weight, 0, SPREAD / gain / (9 * module.in_channels) ** 0.5)
        self.exit.weight.mul_(LAST)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        validate.channels(y, self.image_channels)
        divisible(y, 2**self.blocks, "2^blocks")
        centred = _centred(y)
        deviation = torch.linalg.vector_norm(centred, dim=(1, 2, 3), keepdim=True) / y[0].numel() ** 0.5
        scale = torch.where(deviation > 0, deviation, torch.ones_like(deviation))
        return y - _centred(deviation * self.predict(self.inputs(centred / scale, sigma / scale)))

    def inputs(self, z: Float[Tensor, "n c h w"], ratio: Float[Tensor, "n 1 1 1"]) -> Float[Tensor, "n k h w"]:
        """What goes into the first convolution, from images of deviation 1 and their noise levels: the images alone."""
        return z

    def predict(self, z: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k h w"]:
        """The noise in images of mean 0 and deviation 1."""
        skips = []
        for block in self.encoder:
            z = block(z)
            skips.append(z)
            z = nn.functional.avg_pool2d(z, 2)
        z = self.deepest(z)
        for up, block in zip(self.upsample, self.decoder, strict=True):
            z = block(torch.cat([up(z), skips.pop()], dim=1))
        return self.exit(z)


class SmoothConditionedUNet(SmoothUNet):
    """A `SmoothUNet` that is given the noise level, in one more channel: 1 + log(sigma / r) / 2, r the deviation of the image.

    It is homogeneous in y and sigma together, N(s y, s sigma) = s N(y, sigma), and not in y alone. The gradient of its energy
    has a symmetric Jacobian, and f(y, sigma) = J y + sigma df/dsigma. A blind gradient costs decibels on images of unlike
    complexity (`gahb_theory.theory.symmetry_cost`); of a posterior mean at a known noise level it asks nothing.

    Parameters
    ----------
    channels
        Channels at the finest scale.
    blocks
        Number of 2x2 average poolings. Height and width must be multiples of 2^blocks.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    References
    ----------
    K. Zhang, W. Zuo, L. Zhang, FFDNet: toward a fast and flexible solution for CNN-based image denoising, IEEE Transactions
    on Image Processing 27, 2018, who give a network sigma in a channel.

    See Also
    --------
    gahb_theory.Conservative, gahb_theory.denoisers.SmoothUNet

    Examples
    --------
    >>> import torch
    >>> f = SmoothConditionedUNet(channels=4, blocks=1).eval()
    >>> y = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    >>> bool((f(3 * y, 0.3) - 3 * f(y, 0.1)).abs().max() < 1e-5), bool((f(3 * y, 0.1) - 3 * f(y, 0.1)).abs().max() < 1e-5)
    (True, False)
    """

    given_sigma = True
    levels = 1

    def inputs(self, z: Float[Tensor, "n c h w"], ratio: Float[Tensor, "n 1 1 1"]) -> Float[Tensor, "n k h w"]:
        """The images and the channel of the noise level."""
        level = 1 + (ratio.square() + FLOOR).log() / 4
        return torch.cat([z, level.expand(-1, 1, *z.shape[2:])], dim=1)


def _centred(x: Tensor) -> Tensor:
    """Images without the mean of each channel."""
    return x - x.mean((2, 3), keepdim=True)
