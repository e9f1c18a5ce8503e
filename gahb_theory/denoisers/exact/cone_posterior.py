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
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.bounded_normal import bounded_moments
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.images.harmonics import Ray, SineCone

__all__ = ["ConeBayes"]

FEWEST_PHASES, MOST_PHASES, SPACING = 256, 2**16, 2.0


class ConeBayes(DenoiserModule):
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

    own_derivative = True

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
        self.eval()

    waves: Tensor

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        fitting(y, tuple(self.waves.shape[1:]))
        levels = sigma.flatten().expand(len(y)).tolist()
        means = [self._one(image, level)[0] for image, level in zip(y, levels, strict=True)]
        return torch.stack([(m @ self.waves.flatten(1)).reshape(y.shape[1:]) for m in means]).to(y.dtype)

    def variance(self, y: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, " n"]:
        """The trace of Cov[x | y], whose mean over y is the Bayes risk."""
        fitting(validate.images(y, "y"), tuple(self.waves.shape[1:]))
        rows = self.waves.flatten(1)
        level = validate.sigma_level(sigma)
        return torch.stack([(self._one(image, level)[1] * (rows @ rows.mT)).sum() for image in y])

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J = Cov[x | y] / sigma^2 at one noisy image, in closed form."""
        fitting(validate.one_image(y, "y"), tuple(self.waves.shape[1:]))
        level, rows = validate.sigma_level(sigma), self.waves.flatten(1)
        return (rows.mT @ self._one(y[0], level)[1] @ rows / level**2).to(y.dtype)

    def _one(self, y: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """Posterior mean (k,) and covariance (k, k) of the coefficients of the waves."""
        rows = self.waves.flatten(1)
        directions = self._directions(level)  # (m, k)
        gram = ((directions @ (rows @ rows.mT)) * directions).sum(dim=1)
        t = directions @ (rows @ y.double().flatten()) / gram
        found = bounded_moments(t, level / gram.sqrt(), 0.0, self.largest)
        # p(y | f) beside p(t): what is left of y across v_f, whose squared norm is ||y||^2 - gram t^2
        log_p = found.log_evidence + gram * t.square() / (2 * level**2) - gram.log() / 2
        p = torch.softmax(log_p, dim=0)
        mean = (p * found.mean) @ directions
        second = (directions.mT * (p * (found.variance + found.mean.square()))) @ directions
        return mean, second - mean[:, None] * mean

    def _directions(self, level: float) -> Tensor:
        if isinstance(self.images, Ray):
            return torch.ones(1, 1, dtype=torch.float64)
        longest = self.largest * float(self.waves.flatten(1).norm(dim=1).max())
        count = min(MOST_PHASES, max(FEWEST_PHASES, math.ceil(SPACING * 2 * math.pi * longest / level)))
        phase = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
        return torch.stack([phase.cos(), phase.sin()], dim=1)
