"""Networks that control for the inductive biases of the paper's: one bias changed at a time.

| network | convolutional | local | multi-scale | nonlinear | homogeneous |
|---|---|---|---|---|---|
| `UNet`, `BFCNN` | yes | yes | `UNet` | yes | yes |
| `LinearDenoiser` | no | no | no | no | yes |
| `LinearConvolution` | yes | yes | no | no | yes |
| `LocallyConnected` | no: weights of its own at every place | yes | no | yes | yes |
| `FullyConnected` | no | no | no | yes | yes |

All are blind, without additive constants, and predict the noise: f(y) = y - net(y). The linear ones at one noise level
have the Wiener filter as their optimum; blind over many, a compromise between Wiener filters (Mohan et al. 2020). The
geometry-adaptive harmonic bases of the paper are put down to convolutions and ReLUs together; these networks take
either away.
"""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.initialisation import bounded, building
from gahb_theory.denoisers.shapes import fitting

__all__ = ["FullyConnected", "LinearConvolution", "LinearDenoiser", "LocallyConnected"]


class LinearDenoiser(Network):
    """One matrix: f(y) = y - A y, with d^2 weights for images of d pixels.

    Parameters
    ----------
    size
        Height and width of the images.
    image_channels
        1 for grey images, 3 for colour.

    Notes
    -----
    It begins as the identity, A = 0, and the loss is convex.

    Examples
    --------
    >>> sum(p.numel() for p in LinearDenoiser(size=8).parameters())
    4096
    """

    homogeneous = True

    def __init__(self, size: int, image_channels: int = 1) -> None:
        super().__init__()
        self.size = validate.integer(size, "size", 1, 128)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        d = self.image_channels * self.size**2
        bounded(self, d**2, 1)
        with building():
            self.matrix = nn.Parameter(torch.zeros(d, d))

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        fitting(y, (self.image_channels, self.size, self.size))
        return y - (y.flatten(1) @ self.matrix.mT).reshape(y.shape)


class LinearConvolution(Network):
    """One convolution: f(y) = y - k * y, zeros beyond the image.

    Parameters
    ----------
    kernel
        Odd side of the kernel.
    image_channels
        1 for grey images, 3 for colour.

    Examples
    --------
    >>> sum(p.numel() for p in LinearConvolution(kernel=21).parameters())
    441
    """

    homogeneous = True

    def __init__(self, kernel: int = 43, image_channels: int = 1) -> None:
        super().__init__()
        self.kernel = kernel = validate.odd(kernel, "kernel")
        self.image_channels = c = validate.integer(image_channels, "image_channels", 1)
        bounded(self, (c * kernel) ** 2, 1)
        with building():
            self.weight = nn.Parameter(torch.zeros(c, c, kernel, kernel))

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        validate.channels(y, self.image_channels)
        return y - nn.functional.conv2d(y, self.weight, padding=self.kernel // 2)


class FullyConnected(Network):
    """A multilayer perceptron without additive constants, on the whole image.

    Parameters
    ----------
    size
        Height and width of the images.
    width
        Number of hidden units of each layer.
    depth
        Number of layers, at least 2.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    Examples
    --------
    >>> import torch
    >>> FullyConnected(size=8, width=32).eval()(torch.rand(2, 1, 8, 8), 0.1).shape
    torch.Size([2, 1, 8, 8])
    """

    homogeneous = True

    def __init__(self, size: int, width: int = 1024, depth: int = 4, image_channels: int = 1, *, seed: int = 0) -> None:
        super().__init__()
        self.size = validate.integer(size, "size", 1)
        self.width = validate.integer(width, "width", 1)
        self.depth = validate.integer(depth, "depth", 2)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        d, inner = self.image_channels * self.size**2, self.depth - 2
        bounded(self, 2 * d * self.width + inner * self.width**2, self.depth)
        with building(seed=seed):
            layers: list[nn.Module] = []
            for inputs, outputs in pairwise([d, *[self.width] * (self.depth - 1), d]):
                layer = nn.Linear(inputs, outputs, bias=False)
                nn.init.kaiming_normal_(layer.weight)
                layers += [layer, nn.ReLU(inplace=True)]
            self.layers = nn.Sequential(*layers[:-1])
            _shrink(layer.weight)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        fitting(y, (self.image_channels, self.size, self.size))
        return y - self.layers(y.flatten(1)).reshape(y.shape)


class LocallyConnected(Network):
    """Layers that look at the windows of a convolution, with weights of their own at every place.

    Parameters
    ----------
    size
        Height and width of the images.
    channels
        Width of the hidden layers.
    depth
        Number of layers, at least 2.
    kernel
        Odd side of the window of each layer.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    Examples
    --------
    >>> f = LocallyConnected(size=8, channels=4, depth=3)
    >>> sum(p.numel() for p in f.parameters())
    13824
    """

    homogeneous = True

    def __init__(
        self, size: int, channels: int = 8, depth: int = 5, kernel: int = 3, image_channels: int = 1, *, seed: int = 0
    ) -> None:
        super().__init__()
        self.size = validate.integer(size, "size", 1)
        self.channels = validate.integer(channels, "channels", 1)
        self.depth = validate.integer(depth, "depth", 2)
        self.kernel = kernel = validate.odd(kernel, "kernel")
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        c, w = self.image_channels, self.channels
        bounded(self, (self.size * kernel) ** 2 * (2 * c * w + (self.depth - 2) * w**2), self.depth)
        widths = [c, *[w] * (self.depth - 1), c]
        with building(seed=seed):
            self.weights = nn.ParameterList()
            for inputs, outputs in pairwise(widths):
                window = inputs * kernel**2
                self.weights.append(nn.Parameter(torch.randn(self.size**2, outputs, window) * (2 / window) ** 0.5))
            _shrink(self.weights[-1])

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """`y` minus the predicted noise."""
        fitting(y, (self.image_channels, self.size, self.size))
        z = y
        for i, weight in enumerate(self.weights):
            windows = nn.functional.unfold(z, self.kernel, padding=self.kernel // 2)
            z = torch.einsum("poi,nip->nop", weight, windows).reshape(len(y), -1, self.size, self.size)
            z = nn.functional.relu(z) if i < len(self.weights) - 1 else z
        return y - z


def _shrink(weight: Tensor) -> None:
    """Begin near the identity: there is no normalisation to keep the first predictions small."""
    with torch.no_grad():
        weight.mul_(0.1)
