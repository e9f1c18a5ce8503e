"""The optimal denoisers of `Ray` and `SineCone`: an amplitude in closed form, and a sum over the phase.

    x = a v_f,  a uniform on [0, A]:      E[x | y] = sum_f p(f | y) E[a | y, f] v_f,

where t = <y, v_f> / ||v_f||^2 is a in Gaussian noise of level sigma / ||v_f||, so that E[a | t] and p(t) are those of
`bounded_normal`. A ray has one v. A sine cone has v_f = cos f C - sin f S with a uniform phase f; the sum over equidistant
phases is exact to rounding, since their spacing is far below the posterior standard deviation of the phase.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.exact.bounded_normal import bounded_moments
from gahb_theory.denoisers.exact.one_by_one import OneByOne
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.images.harmonics import Ray, SineCone

__all__ = ["ConeBayes"]

FEWEST_PHASES, MOST_PHASES, SPACING = 256, 2**16, 2.0


class ConeBayes(OneByOne):
    """The posterior mean of `Ray` or `SineCone`, exact.

    Parameters
    ----------
    images
        The class.

    Examples
    --------
    >>> from gahb_theory.randomness import add_noise
    >>> cone = SineCone(size=16)
    >>> f = ConeBayes(cone)
    >>> round(float(f.variance(add_noise(cone.sample(4), 0.01), 0.01).mean() / 0.01**2), 1)  # of dimension 2
    2.0
    """

    def __init__(self, images: Ray | SineCone) -> None:
        super().__init__()
        if not isinstance(images, Ray | SineCone):
            raise TypeError(f"images must be an image class Ray or SineCone, got {type(images).__name__}")
        self.images = images
        if isinstance(images, Ray):
            waves, self.largest = images.image.double(), 1.0
        else:
            phases = torch.tensor([[1.0, 0.0], [1.0, -torch.pi / 2]], dtype=torch.float64, device="cpu")
            waves, self.largest = images.paint(phases), 0.5
        self.register_buffer("waves", waves)  # C, and for a cone S
        self.image_shape = tuple(waves.shape[1:])
        self.eval()

    waves: Tensor

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, in closed form."""
        fitting(validate.one_image(y, "y"), self.image_shape)
        level, rows = validate.sigma_level(sigma), self.waves.flatten(1)
        return (rows.mT @ self._one(y[0], level)[1] @ rows / level**2).to(y.dtype)

    def _moments(self, y: Tensor, level: float) -> tuple[Tensor, Tensor]:
        rows = self.waves.flatten(1)
        mean, covariance = self._one(y, level)
        return (mean @ rows).reshape(self.image_shape), (covariance * (rows @ rows.mT)).sum()

    def _one(self, y: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Posterior mean (k,) and covariance (k, k) of the coefficients of the waves."""
        rows = self.waves.flatten(1)
        directions = self._directions(level)  # (m, k)
        gram = ((directions @ (rows @ rows.mT)) * directions).sum(dim=1)
        t = directions @ (rows @ y.double().flatten()) / gram
        result = bounded_moments(t, level / gram.sqrt(), 0.0, self.largest)
        # p(y | f) beside p(t): what is left of y across v_f, whose squared norm is ||y||^2 - gram t^2
        log_p = result.log_evidence + gram * t.square() / (2 * level**2) - gram.log() / 2
        p = torch.softmax(log_p, dim=0)
        mean = (p * result.mean) @ directions
        second = (directions.mT * (p * (result.variance + result.mean.square()))) @ directions
        return mean, second - mean[:, None] * mean

    def _directions(self, level: float) -> Tensor:
        if isinstance(self.images, Ray):
            return torch.ones(1, 1, dtype=torch.float64)
        longest = self.largest * float(self.waves.flatten(1).norm(dim=1).max())
        count = min(MOST_PHASES, max(FEWEST_PHASES, math.ceil(SPACING * 2 * math.pi * longest / level)))
        phase = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
        return torch.stack([phase.cos(), phase.sin()], dim=1)
