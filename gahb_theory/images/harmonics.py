"""Cones: sine waves of one frequency (dimension 2) and the multiples of one image (dimension 1).

    x(u) = a cos(2 pi w.u + f),        x = s x_0 .

Both are closed under multiplication, as are the outputs of a bias-free network, and flat, so that the projection on the
tangent space is optimal up to the ends of the amplitudes: the risk is 2 sigma^2 and sigma^2 (Kadkhodaie et al. 2024,
figures 19 and 20).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.images.base import Manifold, ManifoldScene, keep
from gahb_theory.images.batches import block_length, draw_scene
from gahb_theory.randomness import Component, uniforms

__all__ = ["Ray", "SineCone"]


@dataclass(frozen=True)
class SineCone(Manifold):
    """Sine waves of one frequency with random amplitude, uniform on (0, 1/2], and random phase.

    The parameters of a scene are the amplitude and the phase. Intensities lie in [-1/2, 1/2]: a constant would be one
    more dimension.

    Parameters
    ----------
    size
        Height and width in pixels, at least 4.
    frequency
        Cycles per image along the rows and along the columns, not both 0, each below size / 2.

    Examples
    --------
    >>> scene = SineCone(size=16).scene(3)
    >>> bool((scene.images.abs().amax(dim=(1, 2, 3)) <= scene.parameters[:, 0] + 1e-6).all())
    True
    """

    size: int = 64
    frequency: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        keep(self, "size", validate.integer(self.size, "size", 4, 4096))
        given = validate.real_array(self.frequency, "frequency", 1)
        keep(self, "frequency", tuple(given.tolist()))
        if len(given) != 2 or not 0 < abs(given).max() < self.size / 2:
            raise ValueError(
                f"frequency must be two numbers, not both 0, below size / 2 = {self.size / 2:g}, got {self.frequency}"
            )

    uniform_count = 2

    @property
    def dimension(self) -> int:
        """Dimension of the cone."""
        return 2

    def placed(self, u: Float[Tensor, "n u"]) -> Float[Tensor, "n 2"]:
        """Parameters as a function of independent uniform numbers."""
        return torch.stack([(1 - u[:, 0]) / 2, 2 * torch.pi * u[:, 1]], dim=1)

    def _paint(self, parameters: Tensor) -> Tensor:
        return self._derivatives(parameters)[:, :1]

    def _derivatives(self, parameters: Tensor) -> Tensor:
        """The wave, and the wave a quarter of a period on: a times the derivative by a, and minus that by f."""
        cell = 2 * torch.pi * (torch.arange(self.size, dtype=parameters.dtype, device="cpu") + 0.5) / self.size
        phase = self.frequency[0] * cell[:, None] + self.frequency[1] * cell[None, :] + parameters[:, 1, None, None]
        return parameters[:, :1, None, None] * torch.stack([phase.cos(), phase.sin()], dim=1)


@dataclass(frozen=True, eq=False)
class Ray:
    """The multiples s x_0 of one image, s uniform on (0, 1].

    The parameter of a scene is s.

    Parameters
    ----------
    image
        x_0, shape (1, channels, height, width), not zero.

    Examples
    --------
    >>> import torch
    >>> Ray(torch.ones(1, 1, 4, 4)).sample(2).shape
    torch.Size([2, 1, 4, 4])
    """

    image: Float[Tensor, "1 c h w"]

    def __post_init__(self) -> None:
        validate.one_image(self.image, "image")
        if not bool((self.image != 0).any()):
            raise ValueError("image must not be zero everywhere: its multiples would all be the same")

    @property
    def dimension(self) -> int:
        """Dimension of the ray."""
        return 1

    @property
    def optimal_slope(self) -> float:
        """PSNR slope of the optimal denoiser on a manifold, at small noise."""
        return 1.0

    def sample(
        self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32
    ) -> Float[Tensor, "n c h w"]:
        """Images start .. start + n - 1, shape (n, c, h, w)."""
        return self.scene(n, seed=seed, start=start, dtype=dtype).images

    def scene(self, n: int, *, seed: int = 0, start: int = 0, dtype: torch.dtype = torch.float32) -> ManifoldScene:
        """Images with their factor s and the direction of the ray."""

        def draw(count: int, first: int) -> ManifoldScene:
            x = self.image.detach().cpu().to(dtype)
            s = 1 - uniforms(count, 1, seed=seed, start=first, component=Component.PARAMETERS, dtype=dtype)
            direction = (x / torch.linalg.vector_norm(x)).reshape(1, 1, -1).expand(count, -1, -1)
            return ManifoldScene(s[:, :, None, None] * x, s, direction)

        return draw_scene(draw, n, start, block_length(self.image.numel()), tuple(self.image.shape[1:]), dtype)
