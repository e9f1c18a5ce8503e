"""Exact posteriors that are computed for one noisy image at a time: mean and variance come from the same computation."""

import torch
from jaxtyping import Float
from torch import Tensor

from gahb_theory import validate
from gahb_theory.denoisers.exact.own_jacobian import OwnJacobian
from gahb_theory.denoisers.shapes import fitting

__all__ = ["OneByOne"]


class OneByOne(OwnJacobian):
    """What posterior means of this kind have in common; a subclass has the moments of one image."""

    image_shape: tuple[int, ...]
    """(channels, height, width) of the images of the class."""

    def _moments(self, y: Tensor, level: float) -> tuple[Tensor, Tensor]:
        """E[x | y] (channels, height, width) and the trace of Cov[x | y] of one image, in double precision."""
        raise NotImplementedError

    def estimate(self, y: Float[Tensor, "n c h w"], sigma: Float[Tensor, "#n 1 1 1"]) -> Float[Tensor, "n c h w"]:
        """E[x | y] for each image."""
        fitting(y, self.image_shape)
        levels = sigma.flatten().expand(len(y)).tolist()
        means = [self._moments(image, level)[0] for image, level in zip(y, levels, strict=True)]
        return torch.stack(means).to(y.dtype)

    def moments(
        self, y: Float[Tensor, "n c h w"], sigma: float
    ) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, " n"]]:
        """E[x | y] and the trace of Cov[x | y] of each image, in double precision."""
        fitting(validate.images(y, "y"), self.image_shape)
        level = validate.sigma_level(sigma)
        means, traces = zip(*(self._moments(image, level) for image in y), strict=True)
        return torch.stack(means), torch.stack(traces)

    def variance(self, y: Float[Tensor, "n c h w"], sigma: float) -> Float[Tensor, " n"]:
        """The trace of Cov[x | y], whose mean over y is the Bayes risk."""
        return self.moments(y, sigma)[1]
