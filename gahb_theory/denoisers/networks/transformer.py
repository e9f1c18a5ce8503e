"""A small diffusion transformer, the control for convolution (Peebles and Xie 2023).

Patches of the noisy image become tokens; every block lets them attend to each other and then treats each by a
perceptron, both modulated by the noise level (adaptive layer norm, begun at zero so that every block begins as the
identity). With `window` the attention of the first blocks is local, which An et al. (2024) find to restore the
generalisation that a plain transformer lacks on few images; its Jacobians do not show geometry-adaptive harmonics.

The network sees y / sqrt(sigma^2 + s^2), s = 0.25, and log sigma; it predicts the noise up to scale as in Karras et al.
(2022):

    x_hat = c_skip y + c_out net(c_in y, log sigma),     c_skip = s^2 / (sigma^2 + s^2),
    c_out = sigma s / sqrt(sigma^2 + s^2),               c_in = 1 / sqrt(sigma^2 + s^2) .
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gahb_theory import validate
from gahb_theory.denoisers.base import Network
from gahb_theory.denoisers.networks.initialisation import bounded, building
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import plain_attention

__all__ = ["DiT", "NoiseEmbedding", "embedding_size", "precondition"]

SPREAD = 0.25


def precondition(y: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The input c_in (y - 1/2) of a network, and c_skip and c_out, for images of standard deviation about 0.25."""
    root = torch.hypot(sigma, torch.full_like(sigma, SPREAD))  # no square, which would overflow at large noise
    return (y - 0.5) / root, (SPREAD / root).square(), SPREAD * (sigma / root)


def embedding_size(width: int) -> int:
    """Number of parameters of a `NoiseEmbedding`."""
    return width**2 + 18 * width


class NoiseEmbedding(nn.Module):
    """Log sigma as `width` numbers: sines and cosines of growing frequency, then a perceptron."""

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2.0 ** (torch.arange(8, dtype=torch.float32) - 2), persistent=False)
        self.layers = nn.Sequential(nn.Linear(16, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, sigma: Float[Tensor, " n"]) -> Float[Tensor, "n width"]:
        """The embedding of each noise level."""
        angles = sigma.clamp(min=1e-4).log()[:, None] * self.frequencies.to(sigma.dtype)
        return self.layers(torch.cat([angles.sin(), angles.cos()], dim=1))


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.perceptron_norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.perceptron = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(width, 6 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, z: Tensor, level: Tensor, mask: Tensor | None) -> Tensor:
        shift, scale, gate, shift2, scale2, gate2 = self.modulation(level)[:, None].chunk(6, dim=2)
        h = self.attention_norm(z) * (1 + scale) + shift
        n, tokens, width = h.shape
        q, k, v = self.qkv(h).reshape(n, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        with plain_attention():
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        z = z + gate * self.out(mixed.transpose(1, 2).reshape(n, tokens, width))
        return z + gate2 * self.perceptron(self.perceptron_norm(z) * (1 + scale2) + shift2)


class DiT(Network):
    """A diffusion transformer as a denoiser; it sees sigma.

    Parameters
    ----------
    size
        Height and width of the images, a multiple of `patch`.
    patch
        Side of a token in pixels.
    width
        Width of the tokens, a multiple of `heads`.
    depth
        Number of blocks.
    heads
        Attention heads.
    window
        Side, in tokens and odd, of the window of attention in the first half of the blocks; None for global attention.
    image_channels
        1 for grey images, 3 for colour.
    seed
        Names the initial weights.

    See Also
    --------
    gahb_theory.UNet, gahb_theory.train

    Examples
    --------
    >>> import torch
    >>> f = DiT(size=16, patch=4, width=16, depth=2, heads=2).eval()
    >>> f(torch.rand(2, 1, 16, 16), 0.1).shape
    torch.Size([2, 1, 16, 16])
    """

    places: Tensor

    given_sigma = True

    def __init__(
        self,
        size: int = 32,
        patch: int = 4,
        width: int = 128,
        depth: int = 6,
        heads: int = 4,
        window: int | None = None,
        image_channels: int = 1,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.patch = patch = validate.integer(patch, "patch", 1)
        self.size = size = validate.integer(size, "size", 1)
        self.heads = heads = validate.integer(heads, "heads", 1)
        self.width = width = validate.integer(width, "width", 4)
        self.depth = validate.integer(depth, "depth", 1)
        self.image_channels = validate.integer(image_channels, "image_channels", 1)
        if size % patch or width % heads:
            raise ValueError(f"size must be a multiple of patch, width of heads; got {size}, {patch}, {width}, {heads}")
        self.window = None if window is None else validate.odd(window, "window")
        side, token = size // patch, self.image_channels * patch**2
        inner = self.depth * (18 * width**2 + 15 * width) + side**2 * width + embedding_size(width)
        bounded(self, inner + 2 * token * width + token + 3 * width, 4 * self.depth)
        if self.window is not None and side > 128:
            raise ValueError(f"a window is taken for at most 128 x 128 tokens, got {side} x {side}; enlarge patch")
        with building(seed=seed):
            self.enter = nn.Linear(token, width)
            self.position = nn.Parameter(0.02 * torch.randn(side**2, width))
            self.level = NoiseEmbedding(width)
            self.blocks = nn.ModuleList(_Block(width, heads) for _ in range(self.depth))
            self.leave_norm = nn.LayerNorm(width)
            self.leave = nn.Linear(width, token)
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)
            if self.window is not None:
                rows, columns = torch.arange(side**2) // side, torch.arange(side**2) % side
                apart = torch.maximum((rows[:, None] - rows).abs(), (columns[:, None] - columns).abs())
                self.register_buffer("places", apart, persistent=False)

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The clean images."""
        fitting(y, (self.image_channels, self.size, self.size))
        scaled, skip, out = precondition(y, sigma)
        level = self.level(sigma.flatten().expand(len(y)))
        z = self.enter(nn.functional.pixel_unshuffle(scaled, self.patch).flatten(2).mT) + self.position
        mask = None if self.window is None else self.places <= self.window // 2
        for i, block in enumerate(self.blocks):
            z = block(z, level, mask if i < (self.depth + 1) // 2 else None)
        side = self.size // self.patch
        residual = self.leave(self.leave_norm(z)).mT.reshape(len(y), -1, side, side)
        return 0.5 + skip * (y - 0.5) + out * nn.functional.pixel_shuffle(residual, self.patch)
