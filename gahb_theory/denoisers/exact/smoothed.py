"""The smoothed memoriser: the closed-form denoiser of a finite set, averaged over a neighbourhood of the noisy image.

The posterior mean of a finite set of images returns one of them where the noise is small. Averaged over Gaussian
displacements eta of a fixed standard deviation s,

    f_s(y) = E_eta f(y + eta) = sum_i E_eta[w_i(y + eta)] x_i ,        eta ~ N(0, s^2 Id) ,

it returns barycentres of those images whose distance from y differs little, which none of them is: the smoothed
closed-form score of Scarvelis, Borde and Solomon (2023), a theory of generalisation without a network. f(y) - y, smoothed,
remains a gradient, so that the Jacobian, the mean of Cov_w / sigma^2 over the displacements, is symmetric and has no
negative eigenvalue. The mean over eta is one over a fixed number of draws in pairs eta, -eta, the same for all images.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.base import DenoiserModule
from gahb_theory.denoisers.exact.empirical import BUDGET, EmpiricalBayes
from gahb_theory.denoisers.shapes import fitting
from gahb_theory.randomness import Component, normals

__all__ = ["SmoothedEmpiricalBayes"]


class SmoothedEmpiricalBayes(DenoiserModule):
    """The posterior mean of a finite set of images, averaged over displacements of the noisy image.

    Parameters
    ----------
    images
        The set, shape (N, channels, height, width).
    smoothing
        Standard deviation of the displacements, in the units of the images; at 0 it is `EmpiricalBayes`. Images whose
        squared distances from y differ by less than about 2 `smoothing` times their distance are mixed.
    draws
        Even number of displacements. The cost of a call is as many times that of `EmpiricalBayes`.
    budget
        Bytes for what is computed at a time.
    seed
        Names the displacements.

    References
    ----------
    C. Scarvelis, H. S. de Ocariz Borde, J. Solomon, Closed-form diffusion models, 2023.

    Examples
    --------
    Near the middle of two images the memoriser chooses one; smoothed, it mixes them:

    >>> import torch
    >>> images = torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1)
    >>> y = torch.full((1, 1, 1, 1), 0.6)
    >>> round(EmpiricalBayes(images)(y, 0.1).item(), 3), round(SmoothedEmpiricalBayes(images, 0.2, 256)(y, 0.1).item(), 1)
    (1.0, 0.7)
    """

    displacements: Tensor

    def __init__(
        self,
        images: Float[Tensor, "N c h w"],
        smoothing: float,
        draws: int = 32,
        budget: int = BUDGET,
        *,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.memoriser = EmpiricalBayes(images, budget=budget)
        self.smoothing = validate.number(smoothing, "smoothing", least=0)
        self.draws = validate.integer(draws, "draws", 2)
        if self.draws % 2:
            raise ValueError(
                f"draws must be even, since displacements come in pairs, got {draws}; take {self.draws + 1}"
            )
        half = normals(
            self.draws // 2, images[0].numel(), seed=seed, component=Component.DISPLACEMENTS, dtype=torch.float64
        )
        self.register_buffer("displacements", self.smoothing * torch.cat([half, -half]).to(images))
        self.eval()

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """The mean of E[x | y + eta] over the displacements eta, for each image."""
        fitting(y, self.memoriser.images)
        mean = torch.zeros_like(y)
        for eta in self.displacements:
            mean = mean + self.memoriser.estimate(y + eta.reshape(y.shape[1:]), sigma) / self.draws
        return mean

    def jacobian_matrix(self, y: Float[Tensor, "1 c h w"], sigma: float) -> Float[Tensor, "d d"]:
        """J, the mean of Cov_w / sigma^2 over the displacements, in closed form."""
        fitting(validate.one_image(y, "y"), self.memoriser.images)
        total = torch.zeros(y.numel(), y.numel(), dtype=y.dtype, device=y.device)
        for eta in self.displacements:
            total += self.memoriser.jacobian_matrix(y + eta.reshape(y.shape[1:]), sigma)
        return total / self.draws
