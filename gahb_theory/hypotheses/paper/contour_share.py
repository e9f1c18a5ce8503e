"""Whether directions that a denoiser neither keeps nor removes lie at the contour of the own image.

    share_ij = mean over eigenvectors v of image i with eigenvalue in (.2, .8) of  sum of v^2 over the pixels near contour j

and the value of image i is share_ii less the additive fit a_i + b_j to the pairs that do not belong together: 0 for a denoiser
with one basis for all images. An image without such eigenvectors has share 0 everywhere.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from gahb_theory.denoisers.base import Denoiser
from gahb_theory.hypotheses.paper.judged_measures import BETWEEN, Spectra, own_less_expected

__all__ = ["ContourShare", "near_edges"]

EDGE = 0.02
"""Difference of intensities between pixels at most two apart that makes an edge; the least jump of a disk is .2."""


def near_edges(images: Tensor, distance: int = 2) -> Tensor:
    """Pixels within some pixels of which the intensity changes, (n, d), true or false.

    Examples
    --------
    >>> x = torch.zeros(1, 1, 8, 8)
    >>> x[..., 4:] = 1
    >>> near_edges(x).reshape(8, 8)[0].int().tolist()
    [0, 0, 1, 1, 1, 1, 0, 0]
    """
    window = 2 * distance + 1
    padded = torch.nn.functional.pad(images.float(), (distance,) * 4, mode="replicate")
    high = torch.nn.functional.max_pool2d(padded, window, 1)
    low = -torch.nn.functional.max_pool2d(-padded, window, 1)
    return (high - low > EDGE).flatten(1)


@dataclass(frozen=True, eq=False)
class ContourShare:
    """The share of the energy at the own contour, less what those of other images let expect.

    Parameters
    ----------
    spectra
        Where eigenvectors are kept.
    """

    spectra: Spectra = field(default_factory=Spectra)
    name: str = "energy of intermediate eigenvectors at the own contour less that at others"

    def __call__(self, f: Denoiser, images: Tensor, sigma: float, seed: int) -> Tensor:
        """One number for each image."""
        values, vectors = self.spectra.at(f, images, sigma)
        between = ((values > BETWEEN[0]) & (values < BETWEEN[1])).double()
        energy = (vectors.double().square() * between[:, :, None]).sum(dim=1)
        energy = energy / between.sum(dim=1, keepdim=True).clamp(min=1)
        return own_less_expected(energy @ near_edges(images).double().mT)
