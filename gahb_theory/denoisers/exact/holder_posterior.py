"""The optimal denoiser of `HolderBall`: one shrinkage for each wavelet coefficient, and a sum over the shifts.

The coefficients c_k of x - 1/2 in an orthonormal basis are independent and uniform on [-g_k, g_k]. White noise stays white
in that basis, so that the posterior given the shift s is a product, and with t = W(y - 1/2 rolled back by s)

    E[x | y, s] = 1/2 + roll_s W^T (E[c_k | t_k])_k,        p(y | s) = prod_k p(t_k),

E[c | t] and p(t) those of `bounded_normal`. The shift is uniform on all pixels, and the basis is mapped to itself by shifts
of `period` pixels, so that period^2 shifts are enough. Nothing is approximated.
"""

from collections.abc import Iterator

import numpy as np
import pywt
import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.exact.bounded_normal import bounded_moments
from gahb_theory.denoisers.exact.one_by_one import OneByOne
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.images.holder_ball import HolderBall, coefficient_bounds, synthesis

__all__ = ["HolderBallBayes"]


class HolderBallBayes(OneByOne):
    """The posterior mean of `HolderBall`, exact.

    Parameters
    ----------
    images
        The class.

    Examples
    --------
    >>> from gahb_theory.randomness import add_noise
    >>> ball = HolderBall(size=16)
    >>> HolderBallBayes(ball)(add_noise(ball.sample(1), 0.1), 0.1).shape
    torch.Size([1, 1, 16, 16])
    """

    def __init__(self, images: HolderBall) -> None:
        super().__init__()
        if not isinstance(images, HolderBall):
            raise TypeError(f"images must be an image class HolderBall, got {type(images).__name__}")
        self.images = images
        self.register_buffer("bounds", coefficient_bounds(images))
        self.period = images.size // 4
        self.image_shape = (1, images.size, images.size)
        self.eval()

    bounds: Tensor

    def jacobian_matrix(self, y: Float[Tensor, "1 1 h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, in closed form."""
        fitting(validate.one_image(y, "y"), self.image_shape)
        level, size = validate.sigma_level(sigma), self.images.size
        probability, means, variances = self._shifts(y[0, 0], level)
        centred = (means - torch.einsum("s,sij->ij", probability, means)).flatten(1)
        total = (centred.mT * probability) @ centred
        atoms = torch.from_numpy(
            synthesis(np.eye(size**2).reshape(-1, size, size), self.images.wavelet)
        )  # one of each coefficient
        for shift, p, variance in zip(self._places(), probability, variances, strict=True):
            rows = atoms.roll(shift, (1, 2)).flatten(1)
            total = total + p * (rows.mT * variance.flatten()) @ rows
        return (total / level**2).to(y.dtype)

    def _moments(self, y: Tensor, level: float) -> tuple[Tensor, Tensor]:
        probability, means, variances = self._shifts(y[0], level)
        mean = torch.einsum("s,sij->ij", probability, means)
        spread = (means - mean).square().sum(dim=(1, 2)) + variances.sum(dim=(1, 2))
        return mean[None], (probability * spread).sum()

    def _shifts(self, y: Tensor, level: float) -> tuple[Tensor, Tensor, Tensor]:
        """Posterior probability of each shift; given it, the mean of the image, and the variances of the coefficients."""
        back = torch.stack([y.double().roll((-i, -j), (0, 1)) for i, j in self._places()]) - 0.5
        t = torch.from_numpy(analysis(back.cpu().numpy(), self.images.wavelet, self.images.size // self.period))
        moments = [bounded_moments(row, level, -self.bounds, self.bounds) for row in t]
        log_evidence = torch.stack([m.log_evidence.sum() for m in moments])
        means = torch.from_numpy(synthesis(torch.stack([m.mean for m in moments]).numpy(), self.images.wavelet)) + 0.5
        rolled = torch.stack([x.roll(shift, (0, 1)) for x, shift in zip(means, self._places(), strict=True)])
        return torch.softmax(log_evidence, dim=0), rolled, torch.stack([m.variance for m in moments])

    def _places(self) -> Iterator[tuple[int, int]]:
        return ((i, j) for i in range(self.period) for j in range(self.period))


def analysis(x: np.ndarray, wavelet: str, coarse: int) -> np.ndarray:
    """Coefficients of images (n, size, size) in the layout of `pywt.coeffs_to_array`, with a coarse image of this side."""
    c = x.copy()
    side = x.shape[1]
    while side > coarse:
        half = side // 2
        smooth, (rows, columns, both) = pywt.dwt2(c[:, :side, :side], wavelet, mode="periodization", axes=(1, 2))
        c[:, half:side, :half], c[:, :half, half:side], c[:, half:side, half:side] = rows, columns, both
        c[:, :half, :half] = smooth
        side = half
    return c
