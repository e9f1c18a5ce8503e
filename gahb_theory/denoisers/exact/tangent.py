"""Projection on tangent spaces: the optimal denoiser of a smooth manifold at small noise.

    f(y) = x + T^T T (y - x),        J = T^T T,        E ||f(y) - x||^2 = k sigma^2,

T the k orthonormal tangent vectors at x. It knows x, so it is an oracle; the exact denoiser comes near it where sigma is
well below the radius of curvature (Kadkhodaie et al. 2024, section 3.2).
"""

from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.finite_sums import single
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.precision import takes_arrays

__all__ = ["TangentDenoiser"]


class TangentDenoiser(DenoiserModule):
    """Project each noisy image on the tangent space at its clean image.

    Parameters
    ----------
    points
        Clean images, shape (n, channels, height, width); the batch that is denoised has them in the same order.
    tangent
        Orthonormal tangent vectors, shape (n, k, d): `Disks.scene(...).tangent`.

    Examples
    --------
    >>> from gahb_theory.images import Disks
    >>> from gahb_theory.randomness import add_noise
    >>> scene = Disks(size=16).scene(2)
    >>> f = TangentDenoiser(scene.images, scene.tangent)
    >>> f(add_noise(scene.images, 0.1), 0.1).shape
    torch.Size([2, 1, 16, 16])
    """

    takes_zero = True
    points: Tensor
    tangent: Tensor

    @takes_arrays
    def __init__(self, points: Float[Tensor, "n c h w"], tangent: Float[Tensor, "n k d"]) -> None:
        super().__init__()
        validate.images(points, "points")
        n, d = len(points), points[0].numel()
        validate.tensor(tangent, "tangent", (n, "k", d), f"as points are {tuple(points.shape)}")
        self.register_buffer("points", points.detach().clone())
        self.register_buffer("tangent", tangent.detach().clone())
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The projection of each image; `sigma` is not used."""
        points, tangent = self.points.to(single(y.dtype)), self.tangent.to(single(y.dtype))
        fitting(y, points)
        if len(points) not in (1, len(y)):
            raise ValueError(f"this denoiser knows the tangents at {len(points)} images, got y of {len(y)} images")
        c = tangent @ (y - points).flatten(1)[:, :, None]
        return (points + (tangent.mT @ c)[:, :, 0].reshape(y.shape)).to(y.dtype)

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = T^T T; the same at every noisy image of one clean image."""
        validate.one_image(y, "y")
        validate.sigma_level(sigma, zero=True)
        if len(self.tangent) != 1:
            raise ValueError(f"J is that of one clean image, this denoiser knows {len(self.tangent)}; make one of each")
        tangent = self.tangent[0].to(y.dtype)
        return tangent.mT @ tangent

    def mse(self, sigma: float) -> float:
        """Risk k sigma^2, summed over pixels."""
        level = validate.sigma_level(sigma, zero=True)
        return self.tangent.shape[1] * level * level
